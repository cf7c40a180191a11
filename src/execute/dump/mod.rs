//! Dumps databases with PostgreSQL's own `pg_dump`, through the same pipeline into the same repository as every other backup.
//!
//! What `pg_dump` writes never lies on a disk of this host: it is looked at to its last byte, compressed, encrypted and put as it comes. Each
//! database is dumped as of one snapshot. Before an object is complete its table of contents has been read by `pg_restore`, and its rows have
//! been counted. As with every backup, the descriptor comes last.

mod archive;
pub(in crate::execute) mod child;
mod choice;
pub(in crate::execute) mod encoding;
pub(in crate::execute) mod globals;
mod hidden;
mod hyper;
mod locks;
mod order;
mod own;
mod pieces;
pub(in crate::execute) mod programs;
pub mod restore;
mod snapshot;
mod tables;

use std::sync::atomic::AtomicBool;
use std::time::Instant as Stopwatch;

use child::Halt;
use choice::Choice;
use locks::Which;
use order::Order;
use programs::Programs;
use snapshot::{LeftOut, Named, Snapshot};

use super::backup::opening::{Opening, abandon};
use super::backup::{BackupFault, Failure, Onlooker, Stage, Taken, Wishes, commit, describe, end_of, lease, originals, read_back, server};
use crate::execute::id::new_id;
use crate::format::contents::{self, Archive, Contents, Database, Table};
use crate::format::descriptor::{Descriptor, FORMAT, Object, ObjectKind, Position, Private};
use crate::format::dump::{EntryKind, Whole};
use crate::format::layout::Repository;
use crate::inventory::{BackupKind, SystemIdentifier};
use crate::pipeline::{Lock, Pace, Shelf, StreamWriter, Streamed};
use crate::plan::words::counted;
use crate::policy::file::{Logical, ReadBack, Unreadable};
use crate::postgres::conninfo::Environment;
use crate::postgres::{Connection, Server, Settings};
use crate::site::{HostKeys, Site};
use crate::store::Store;
use crate::units::{BackupId, DumpSection, Instant, Key, Lsn, Name, Rate, hex};
use crate::world::parallel;

/// More names say no more.
const SHOWN: usize = 20;
/// As what a dump does not have.
const LARGE_OBJECTS: &str = "large objects";

/// Dumps what a job of the policy says. Nothing that looks complete is left behind when it does not come to its end.
pub fn take(site: &Site<'_>, job: &Name, wishes: &Wishes, onlooker: Onlooker<'_>) -> Result<Taken, Failure> {
    let opening = Opening::begin(site, job, wishes, onlooker);
    let (started, began) = (opening.started, opening.began);
    let order = Order::of(site, job)?;
    let keys = opening.keys()?;
    let (mut connection, server) = opening.server()?;
    server::check_role(order.options.from, &server)?;
    let named = order.options.programs.as_deref().map(std::path::Path::new);
    let programs = if order.needs_programs() { Some(Programs::find(named, server.major())?) } else { None };
    let place = server::Place { store: &order.store, local: order.local.as_ref(), first_needs: order.first_needs };
    let root = server.setting("data_directory").map(std::path::Path::new).filter(|path| path.is_dir());
    let latest = |repository: &Repository| repository.latest_of(job);
    let (store, repository) = opening.repository(place, SystemIdentifier(server.system), root, &latest)?;
    let id = new_id(started)?;
    let (lease, mut remarks) = opening.lease(&store, &repository, &id, Some(&mut connection))?;
    if let Some(programs) = programs.as_ref().filter(|programs| programs.major != server.major()) {
        remarks.push(format!(
            "{} dumps PostgreSQL {}: what it writes needs a `pg_restore` as new as itself",
            programs.version,
            server.major()
        ));
    }
    // Every session goes to the server that was looked at, whichever of several it is.
    let mut settings = site.connection()?;
    settings.targets = vec![connection.target().clone()];
    let environment = settings.environment(connection.target());
    let halt =
        Halt { stop: onlooker.stop, abort: AtomicBool::new(false), deadline: order.timeout.and_then(|timeout| began.checked_add(timeout)) };
    let locks = (site.lock()?, site.lock_for_host(&keys)?);
    let mut run = Run {
        site,
        order: &order,
        wishes,
        keys: &keys,
        server: &server,
        programs: programs.as_ref(),
        settings: &settings,
        environment: &environment,
        store: &store,
        repository: &repository,
        id: &id,
        data_lock: &locks.0,
        index_lock: &locks.1,
        started,
        began,
        lease: &lease,
        halt: &halt,
        pace: Pace::new(order.options.read_limit.map(Rate::get)),
        onlooker,
        remarks,
        objects: Vec::new(),
        private: Private::default(),
    };
    let taken = run.whole(&mut connection);
    let remarks = std::mem::take(&mut run.remarks);
    opening.end(&store, taken, remarks, || abandon(&store, &repository, &id))
}

/// One dump on its way.
struct Run<'r> {
    site: &'r Site<'r>,
    order: &'r Order,
    wishes: &'r Wishes,
    keys: &'r HostKeys,
    server: &'r Server,
    programs: Option<&'r Programs>,
    settings: &'r Settings,
    environment: &'r Environment,
    store: &'r Store,
    repository: &'r Repository,
    id: &'r BackupId,
    data_lock: &'r Lock,
    index_lock: &'r Lock,
    started: Instant,
    began: Stopwatch,
    lease: &'r lease::Lease,
    halt: &'r Halt<'r>,
    /// All pieces together.
    pace: Pace,
    onlooker: Onlooker<'r>,
    remarks: Vec<String>,
    objects: Vec<Object>,
    /// What a drill holds the copy against.
    private: Private,
}

impl<'r> Run<'r> {
    fn whole(&mut self, connection: &mut Connection) -> Result<(Descriptor, Key), BackupFault> {
        let cleared = lease::clear_leftovers(self.store, self.repository, self.lease)?;
        self.remarks.extend(cleared.iter().map(|id| format!("the remains of the broken-off backup {id} were removed")));
        let order = self.order;
        let mut contents = Contents { format: contents::FORMAT, client: self.client(), databases: Vec::new(), globals: None };
        for (number, database) in order.databases.iter().enumerate() {
            (self.onlooker.stage)(Stage::Dumping(database.clone()));
            let database = self.database(number + 1, database)?;
            self.remarks.extend(unlogged(&database));
            contents.databases.push(database);
        }
        if order.globals {
            (self.onlooker.stage)(Stage::DumpingGlobals);
            contents.globals = Some(self.globals(connection)?);
        }
        self.contents(&contents)?;
        if order.read_back == ReadBack::Contents {
            (self.onlooker.stage)(Stage::ReadingBack);
            read_back::read_back((self.store, self.repository), self.id, &self.objects, &|| self.halt.check())?;
        }
        self.halt.check()?;
        (self.onlooker.stage)(Stage::Committing);
        let descriptor = self.describe(&contents)?;
        let key = commit::commit(self.store, self.repository, &descriptor, &self.keys.signing)?;
        Ok((descriptor, key))
    }

    /// What wrote it.
    fn client(&self) -> String {
        self.programs.map_or_else(|| format!("COPY (PostgreSQL {})", self.server.major()), |programs| programs.version.clone())
    }

    fn programs(&self) -> Result<&'r Programs, BackupFault> {
        self.programs.ok_or_else(|| BackupFault::refused("no pg_dump was looked for", "This is a fault of seawall; please report it."))
    }

    /// One snapshot, and all of the database as of it.
    fn database(&mut self, number: usize, name: &str) -> Result<Database, BackupFault> {
        if let Some(chosen) = &self.order.tables {
            return self.chosen(number, name, chosen);
        }
        let options = &self.order.options;
        let which = if options.leaves_tables_out() { Which::Chosen(options) } else { Which::All };
        let mut snapshot =
            Snapshot::take(self.settings, name, which, self.order.lock_timeout).map_err(|fault| archive::of_database(name, fault))?;
        let choice = Choice::of(snapshot.session(), options).map_err(|fault| archive::of_database(name, fault))?;
        self.remarks.extend(choice.must_fit(options, self.order.job.as_str(), name)?);
        let skipped = self.skipped(&mut snapshot, name)?;
        let closed = self.closed(&mut snapshot, name)?;
        let is_timescale = snapshot.has_timescale();
        if is_timescale && (self.order.is_partial() || !skipped.is_empty()) {
            hyper::must_have_its_catalog(options, name, &skipped)?;
            let path = format!("backups.{}.logical.tables", self.order.job);
            let mut roots = hyper::Roots::chosen(&mut snapshot, &choice, options, &path)?;
            if closed {
                roots.leave_large_objects();
            }
            return self.some_rows(number, name, snapshot, &roots);
        }
        if is_timescale {
            self.remarks.extend(hidden::remarks(snapshot.session(), name, &[])?);
        }
        // TimescaleDB's catalog is rows of tables that must come back as one.
        let jobs = if is_timescale || !options.has(DumpSection::Data) { 1 } else { self.order.jobs };
        let left_out = skipped.iter().map(|table| format!("--exclude-table={}", pieces::pattern(table)));
        let parts = choice.parts.iter().map(|part| format!("--table={}", pieces::pattern(part)));
        let large_objects = closed.then(|| "--no-blobs".to_owned());
        let selection: Vec<String> = self.order.selection().into_iter().chain(parts).chain(left_out).chain(large_objects).collect();
        let made = self.pieces(number, name, &mut snapshot, jobs, &selection)?;
        let skipped: Vec<String> = skipped.iter().map(Named::quoted).chain(closed.then(|| LARGE_OBJECTS.to_owned())).collect();
        let oids = |kind| made.iter().flat_map(|made| made.tables(kind)).collect();
        let is_partial = self.order.is_partial();
        let left = match is_partial {
            true => snapshot.left_out(options, &oids(EntryKind::Table), &oids(EntryKind::Rows))?,
            false => LeftOut::default(),
        };
        self.remarks.extend(is_partial.then(|| has(options, name, &left)));
        let database = Database {
            partial: is_partial || !skipped.is_empty(),
            sections: options.sections.clone().filter(|_| options.lacks().is_some()).unwrap_or_default(),
            schemas: choice.homes.into_iter().collect(),
            excluded: left.tables.into_iter().filter(|table| !skipped.contains(table)).collect(),
            without_rows: left.rows,
            skipped,
            ..recorded(name, &snapshot, self.order, &made)
        };
        let of = originals::of_dump(self.site.policy, self.settings, (name, &snapshot.id), &mut self.remarks);
        self.private.recorded.extend(of.0.map(|recorded| (name.to_owned(), recorded)));
        self.private.answers.extend(of.1);
        snapshot.end(made.iter().flat_map(|made| made.tables(EntryKind::Rows))).map_err(|fault| archive::of_database(name, fault))?;
        self.objects.extend(made.into_iter().map(|made| made.object));
        Ok(database)
    }

    /// In one archive, or the definitions in one and the rows in several.
    fn pieces(
        &self,
        number: usize,
        name: &str,
        snapshot: &mut Snapshot,
        jobs: usize,
        selection: &[String],
    ) -> Result<Vec<Made>, BackupFault> {
        use DumpSection::{PostData, PreData};
        snapshot.encode(selection.iter())?;
        let with = |sections: &[DumpSection]| -> Vec<String> {
            self.order.sections(sections).into_iter().chain(selection.iter().cloned()).collect()
        };
        if jobs == 1 {
            return Ok(vec![self.archive(snapshot, name, &pieces::whole(number, with(&DumpSection::ALL)))?]);
        }
        let mut made = Vec::new();
        let options = &self.order.options;
        if options.has(PreData) || options.has(PostData) {
            made.push(self.archive(snapshot, name, &pieces::definitions(number, with(&[PreData, PostData])))?);
        }
        let defined: Vec<u32> = made.iter().flat_map(|made| made.tables(EntryKind::Table)).collect();
        snapshot.hold(defined.iter().copied())?;
        let dumped: Vec<&Named> = match options.has(PreData) {
            true => defined.iter().filter_map(|oid| snapshot.tables.get(oid)).collect(),
            false => snapshot.locked(),
        };
        let rows = pieces::rows(number, jobs, &dumped, selection);
        snapshot.encode(rows.iter().flat_map(|piece| &piece.arguments))?;
        let archives = parallel::map_with(jobs, &rows, &|piece| self.archive(snapshot, name, piece));
        made.extend(first_fault(archives)?);
        Ok(made)
    }

    /// Tables that the role may not read, where the policy says that they are left out.
    fn skipped(&mut self, snapshot: &mut Snapshot, name: &str) -> Result<Vec<Named>, BackupFault> {
        if self.order.options.unreadable != Some(Unreadable::Skip) {
            return Ok(Vec::new());
        }
        let skipped = snapshot.unreadable()?;
        if !skipped.is_empty() {
            let names: Vec<String> = skipped.iter().take(SHOWN).map(Named::quoted).collect();
            let more = if skipped.len() > SHOWN { ", …" } else { "" };
            self.remarks.push(format!(
                "not in the dump of `{name}`, for this role may not read them (`unreadable: skip`): {}{more}",
                names.join(", ")
            ));
        }
        Ok(skipped)
    }

    /// Whether large objects are left out, because this role may not read some: `pg_dump` has all of them or none.
    fn closed(&mut self, snapshot: &mut Snapshot, name: &str) -> Result<bool, BackupFault> {
        if self.order.options.unreadable != Some(Unreadable::Skip) {
            return Ok(false);
        }
        let count = snapshot.closed()?;
        if count > 0 {
            let some = counted(count, "large object");
            self.remarks.push(format!(
                "no large object is in the dump of `{name}`: this role may not read {some}, and `pg_dump` has all of them or none (`unreadable: skip`)"
            ));
        }
        Ok(count > 0)
    }

    fn contents(&mut self, contents: &Contents) -> Result<(), BackupFault> {
        let name = format!("contents.json{}", self.order.codec.extension(self.index_lock.envelope()));
        let shelf = Shelf { store: self.store, lock: self.index_lock, codec: self.order.codec };
        let mut writer = StreamWriter::new(&shelf, &self.repository.data(self.id, &name))?;
        writer.push(&contents.to_json())?;
        let written = writer.finish()?;
        self.objects.push(object(name, ObjectKind::Contents, &written));
        Ok(())
    }

    fn describe(&mut self, contents: &Contents) -> Result<Descriptor, BackupFault> {
        let extensions = contents.databases.iter().map(|database| (database.name.clone(), database.extensions.clone())).collect();
        // A server that starts without them cannot take back what needs them.
        let preloaded = self.server.setting("shared_preload_libraries").filter(|value| !value.is_empty());
        let settings = preloaded.map(|value| ("shared_preload_libraries".to_owned(), value.to_owned())).into_iter().collect();
        let scope = (self.order.kind() == BackupKind::Logical).then(|| contents.scope());
        let private = Private { databases: self.order.databases.clone(), scope, extensions, settings, ..std::mem::take(&mut self.private) };
        let private = private.seal(self.index_lock.recipients()).map_err(|error| BackupFault::refused(error.to_string(), ""))?;
        let positions = || contents.databases.iter().map(|database| database.position);
        let objects = std::mem::take(&mut self.objects);
        Ok(Descriptor {
            format: FORMAT,
            id: self.id.clone(),
            job: self.order.job.clone(),
            kind: self.order.kind(),
            parent: None,
            label: self.wishes.label.clone(),
            keep: self.wishes.keep,
            started: self.started,
            stopped: end_of(self.started, self.began),
            by: describe::by(self.site),
            cluster: describe::cluster(self.server),
            position: Position {
                timeline: self.server.timeline,
                start: positions().min().unwrap_or(Lsn(0)),
                stop: positions().max().unwrap_or(Lsn(0)),
            },
            carries_log: false,
            size: objects.iter().map(|object| object.plain_size).sum(),
            stored_size: objects.iter().map(|object| object.size).sum(),
            files: contents.tables() as u64,
            objects,
            damage: Default::default(),
            private,
        })
    }
}

/// The fault that made the others stop, and not one of those.
fn first_fault<T>(all: Vec<Result<T, BackupFault>>) -> Result<Vec<T>, BackupFault> {
    let (mut good, mut faults) = (Vec::new(), Vec::new());
    for one in all {
        match one {
            Ok(one) => good.push(one),
            Err(fault) => faults.push(fault),
        }
    }
    let own = faults.iter().position(|fault| !matches!(fault, BackupFault::Interrupted)).unwrap_or(0);
    if faults.is_empty() { Ok(good) } else { Err(faults.swap_remove(own)) }
}

/// A database as a dump would record it, without any of its rows.
pub(in crate::execute) fn described(settings: &Settings, name: &str) -> Result<Database, BackupFault> {
    let snapshot = Snapshot::take(settings, name, Which::Idle, std::time::Duration::ZERO)?;
    Ok(empty(name, &snapshot))
}

/// An archive that is in the store.
struct Made {
    object: Object,
    archive: Archive,
    whole: Whole,
}

impl Made {
    /// Oids of what is in it.
    fn tables(&self, kind: EntryKind) -> impl Iterator<Item = u32> {
        self.whole.about.kept.iter().filter(move |entry| entry.kind == kind).map(|entry| entry.oid)
    }
}

pub(in crate::execute) fn object(name: String, is: ObjectKind, written: &Streamed) -> Object {
    Object { name, is, size: written.object.size, sha256: hex(&written.object.sha256), plain_size: written.size }
}

/// How much of a database is in its dump, where the job leaves some of it out.
fn has(options: &Logical, name: &str, left: &LeftOut) -> String {
    let of = counted(left.all, "table");
    let rows = if left.rows.is_empty() { String::new() } else { format!(", {} of them without rows", left.rows.len()) };
    let lacks = options.lacks().map_or_else(String::new, |lacks| format!("; it is without {lacks} (`sections`)"));
    format!("the dump of `{name}` has {} of its {of}{rows}{lacks}", left.all - left.tables.len())
}

/// What nobody would know of a standby's dump before somebody needs it.
fn unlogged(database: &Database) -> Option<String> {
    let more = if database.unlogged.len() > SHOWN { ", …" } else { "" };
    let names = database.unlogged.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| {
        let name = &database.name;
        format!("the dump of `{name}` has no rows of unlogged tables, because a standby has none; on the primary they may have some: {names}{more}")
    })
}

/// What is known of a database afterwards. Names come from the server: a dump has them in the database's encoding.
fn recorded(name: &str, snapshot: &Snapshot, order: &Order, made: &[Made]) -> Database {
    let mut tables = Vec::new();
    for whole in made.iter().map(|made| &made.whole) {
        for entry in whole.about.kept.iter().filter(|entry| entry.kind == EntryKind::Rows) {
            let rows = whole.rows.get(&entry.id).copied().unwrap_or_default();
            let (schema, name) = match snapshot.tables.get(&entry.oid) {
                Some(known) => (known.schema.clone(), known.name.clone()),
                None => (entry.schema.clone(), entry.name.clone()),
            };
            tables.push(Table { schema, name, rows });
        }
    }
    tables.sort_by(|one, other| (&one.schema, &one.name).cmp(&(&other.schema, &other.name)));
    let defined = made.iter().flat_map(|made| made.tables(EntryKind::Table)).collect();
    Database {
        unlogged: snapshot.unlogged(&order.options, &defined),
        partial: order.is_partial(),
        without_owners: order.options.owners == Some(false),
        without_grants: order.options.grants == Some(false),
        archives: made.iter().map(|made| made.archive.clone()).collect(),
        tables,
        large_objects: made.iter().map(|made| made.whole.large_objects).sum(),
        ..empty(name, snapshot)
    }
}

fn empty(name: &str, snapshot: &Snapshot) -> Database {
    Database {
        name: name.to_owned(),
        encoding: snapshot.encoding.clone(),
        collate: snapshot.collate.clone(),
        ctype: snapshot.ctype.clone(),
        position: snapshot.position,
        extensions: snapshot.extensions.clone(),
        extension_schemas: snapshot.extension_schemas.clone(),
        partial: false,
        sections: Vec::new(),
        schemas: Vec::new(),
        skipped: Vec::new(),
        excluded: Vec::new(),
        some_rows: None,
        without_rows: Vec::new(),
        unlogged: Vec::new(),
        without_owners: false,
        without_grants: false,
        archives: Vec::new(),
        types: None,
        tables: Vec::new(),
        large_objects: 0,
        exports: Vec::new(),
        own: Some(snapshot.own.clone()),
    }
}
