//! A physical backup, as of any moment: private servers that hold a part of it, one after the other, all stopped at the same record.
//!
//! The first has the catalogs and the sequences, and so every definition; where nobody is asked before it begins, it has the tables of the
//! first tier too, and the log is replayed once for both. For each further tier another one has the tables of that tier.

mod definitions;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use definitions::Around;

use super::look::{Looked, meant, named};
use super::{Effort, Source};
use crate::execute::backup::BackupFault;
use crate::execute::custody;
use crate::execute::dump::child::{self, Halt};
use crate::execute::dump::programs::Programs;
use crate::execute::dump::restore::feed::{self, feed_and_hear};
use crate::execute::dump::restore::needs::Needs;
use crate::execute::dump::restore::{Ready, Roles, must_be_free, ready, restoring};
use crate::execute::restore::{Pin, Reached, TimelineChoice};
use crate::execute::table::TableFault;
use crate::execute::table::landing::session;
use crate::execute::table::source::{self, Fault, Fixed, Held, Known, Onlooker, TableName};
use crate::execute::tiers::act::Acting;
use crate::execute::tiers::pending::{Begun, Kind, Thing};
use crate::execute::tiers::plan::Wanted;
use crate::format::dump::Item;
use crate::inventory::Phase;
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Settings};
use crate::site::Site;
use crate::units::{BackupId, Name};
use crate::world::clock;

/// By this it is known that they are there.
const LARGE_OBJECTS: &str = "large objects";

#[derive(Debug)]
pub(in crate::execute::tiers) struct Physical<'s> {
    site: &'s Site<'s>,
    pub backup: BackupId,
    pub store: Name,
    /// For people.
    pub moment: String,
    pub fixed: Fixed,
    pub ended: Box<Reached>,
    /// Bytes of the whole backup in the store.
    pub stored: u64,
    /// `select pg_catalog.setval(…)`.
    pub sequences: Vec<String>,
    /// What every further server is made by.
    wanted: source::Wanted,
    known: Known,
    programs: Programs,
    rows: BTreeMap<(String, String), Rows>,
    large_objects: u64,
    pace: Option<f64>,
    replay_seconds: Option<f64>,
    /// The one that is used next.
    held: Mutex<Option<Holding>>,
    /// Those of the first server are in the plan.
    told: Vec<String>,
    flaws: Mutex<Vec<String>>,
    _pin: Option<Pin>,
}

/// How the rows of a table are read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rows {
    oid: u32,
    /// In brackets; nothing where there are none.
    columns: String,
    /// An extension's own words on which of them are the user's.
    condition: Option<String>,
}

#[derive(Debug)]
struct Holding {
    server: Held,
    has_large_objects: bool,
}

impl<'s> Physical<'s> {
    pub(super) fn look(
        site: &'s Site<'s>,
        wanted: &Wanted,
        settings: &Settings,
        begun: Option<&Begun>,
        first: &[(Option<String>, String)],
        onlooker: Onlooker<'_>,
    ) -> Result<Looked<'s>, TableFault> {
        must_be_free(settings, &wanted.of)?;
        let mut of = first_server(site, wanted, begun)?;
        if wanted.at_once {
            of.ahead = first.to_vec();
        }
        let ended = |fault: Fault| if onlooker.must_end() { TableFault::stopped() } else { in_our_words(fault).into() };
        let planned = source::physical(site, &of, onlooker).map_err(ended)?;
        let pin = Pin::put(planned.plan(), site.host(), clock::now());
        custody::note_where_there_is_a_catalog(site, &planned.plan().identities, clock::now());
        let (backup, store, reason) = (planned.backup.clone(), planned.store.clone(), planned.reason.clone());
        let (known, pace, replay_seconds, stored) = (planned.known(), planned.pace(), planned.estimate.replay_seconds, planned.fetch_of);
        let server = planned.hold(onlooker).map_err(ended)?;
        let fixed = match begun.and_then(|begun| begun.position.as_deref()) {
            Some(position) => position.parse().map_err(|what: String| TableFault::new(what, ""))?,
            None => {
                server.fixed.ok_or_else(|| TableFault::new("the private server does not say where its log ended", "Restore all of it."))?
            }
        };
        let halt = Halt { stop: onlooker.stop, abort: false.into(), deadline: None };
        let programs = clients(wanted.of.programs.as_deref(), server.major)?;
        let around = Around::of(&server, &programs, wanted.of.globals, &halt)?;
        let with_programs = crate::execute::dump::restore::Wanted { programs: Some(programs.folder().to_owned()), ..wanted.of.clone() };
        let roles = |connection: &mut Connection| Roles::of_server(&around.globals, connection);
        let Ready { target, settings, roles, known_roles, programs } =
            ready(&around.database, &with_programs, settings, programs.major, &roles)?;
        wanted.of.roles.must_be_readable(&around.database.encoding)?;
        let items = Item::all(&around.head).map_err(|bad| TableFault::new(format!("the definitions: {bad}"), ""))?;
        let needs = Needs::of(items.iter().map(|item| (item, true)), &wanted.of);
        needs.must_be_met(&known_roles, &around.database, &wanted.of)?;
        needs.must_have_its_tablespaces(&target)?;
        let mut remarks = vec![format!("backup {backup} was chosen: {reason}")];
        remarks.extend(target.remarks.iter().cloned());
        remarks.extend(server.flaws.iter().cloned());
        remarks.extend(
            around.unlogged.iter().map(|name| format!("`{name}` is unlogged: no physical backup has its rows, and it will be empty")),
        );
        let again = source::Wanted {
            ahead: Vec::new(),
            sequences: false,
            known: Some(known.clone()),
            database: Some(server.database.clone()),
            target: fixed.target(),
            exclusive: fixed.is_exclusive(),
            timeline: TimelineChoice::Number(fixed.timeline()),
            backup: Some(backup.clone()),
            // The log that led there may lie in several.
            store: wanted.of.store.clone(),
            made_later: true,
            ..of
        };
        let physical = Physical {
            site,
            backup,
            store,
            moment: begun.map_or_else(|| server.moment.clone(), |begun| begun.moment.trim_start_matches("as of ").to_owned()),
            fixed,
            ended: server.ended.clone(),
            stored,
            sequences: around.sequences,
            wanted: again,
            known,
            programs: programs.clone(),
            rows: around.rows,
            large_objects: around.large_objects,
            pace,
            replay_seconds,
            // Who is asked first is not to find a server running while he thinks it over.
            held: Mutex::new(wanted.at_once.then_some(Holding { server, has_large_objects: false })),
            told: remarks.clone(),
            flaws: Mutex::default(),
            _pin: pin,
        };
        Ok(Looked {
            source: Source::Physical(Box::new(physical)),
            head: around.head,
            catalog: around.catalog,
            database: around.database,
            settings,
            target,
            roles,
            programs,
            remarks,
        })
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rows.keys().map(|(schema, name)| (schema.as_str(), name.as_str()))
    }

    pub(super) fn flaws(&self) -> Vec<String> {
        lock(&self.flaws).clone()
    }

    pub(super) fn effort(&self, tables: &[&Item], is_last: bool) -> Effort {
        let oids = tables.iter().map(|item| item.oid).collect();
        let (plain, fetch) = self.known.cost(&oids, is_last && self.large_objects > 0);
        let copy = self.pace.map(|pace| pace * plain as f64);
        Effort {
            rows: None,
            bytes: self.known.bytes(&oids) as f64,
            fetch: Some(fetch),
            seconds: copy.zip(self.replay_seconds).map(|(copy, replay)| copy + replay),
        }
    }

    pub(super) fn bring(&self, acting: &Acting<'_>, course: usize, things: &[Thing]) -> Result<(), TableFault> {
        let rows = |thing: &Thing| self.rows.get(&(thing.schema.clone(), thing.name.clone()));
        let left: Vec<(&Thing, &Rows)> =
            things.iter().filter(|thing| !thing.is_filled).filter_map(|thing| Some((thing, rows(thing)?))).collect();
        if left.is_empty() {
            return Ok(());
        }
        let is_last = course + 1 == acting.order.courses.len();
        let holding = self.hold(acting, &left, is_last && self.large_objects > 0)?;
        self.load(acting, &holding.server, &left)?;
        // Its room is given back before anything is built.
        if holding.has_large_objects {
            *lock(&self.held) = Some(holding);
        }
        Ok(())
    }

    /// A server with these tables: that which is there, where it has them.
    fn hold(&self, acting: &Acting<'_>, left: &[(&Thing, &Rows)], with_large_objects: bool) -> Result<Holding, TableFault> {
        let tables: Vec<TableName> = left.iter().map(|(thing, _)| named(&thing.schema, &thing.name)).collect();
        if let Some(mut there) = lock(&self.held).take()
            && there.has_large_objects == with_large_objects
            && there.server.has(&tables)?
        {
            self.note_flaws(&there.server);
            return Ok(there);
        }
        let oids = left.iter().map(|(_, rows)| rows.oid).collect();
        // From 18 on `pg_dump` reads all sequences, whatever is wanted of it.
        let of = source::Wanted { tables, oids, large_objects: with_large_objects, sequences: with_large_objects, ..self.wanted.clone() };
        let phase = |phase: Phase| acting.begins(phase.says());
        let onlooker = Onlooker { phase: &phase, stop: acting.halt.stop, progress: acting.onlooker.progress };
        let made = source::physical(self.site, &of, onlooker).and_then(|planned| planned.hold(onlooker));
        let server = made.map_err(|fault| if onlooker.must_end() { TableFault::stopped() } else { in_our_words(fault).into() })?;
        self.note_flaws(&server);
        Ok(Holding { server, has_large_objects: with_large_objects })
    }

    fn note_flaws(&self, server: &Held) {
        let mut flaws = lock(&self.flaws);
        for flaw in server.flaws.iter().filter(|flaw| !self.told.contains(flaw)) {
            if !flaws.contains(flaw) {
                flaws.push(flaw.clone());
            }
        }
    }

    /// The largest first, each to whoever has least.
    fn load(&self, acting: &Acting<'_>, server: &Held, left: &[(&Thing, &Rows)]) -> Result<(), TableFault> {
        let mut sized: Vec<(u64, (&Thing, &Rows))> =
            left.iter().map(|(thing, rows)| (self.known.bytes(&BTreeSet::from([rows.oid])), (*thing, *rows))).collect();
        sized.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.0.oid.cmp(&other.1.0.oid)));
        let mut shares: Vec<(u64, Vec<(&Thing, &Rows)>)> = vec![(0, Vec::new()); acting.ground.wanted.jobs.clamp(1, sized.len())];
        for (bytes, one) in sized {
            let least = shares.iter_mut().min_by_key(|(bytes, _)| *bytes).expect("there is one");
            // Also an empty table takes its time.
            least.0 += bytes + 1;
            least.1.push(one);
        }
        let origin = server.settings(&server.database)?;
        acting.at_once(&shares, &|(_, share), to| {
            let mut from = session::open(&origin)?;
            from.run(&acting.encoding())?;
            if acting.has_timescale() {
                from.run(restoring::OFF)?;
            }
            for (thing, rows) in share {
                acting.table(to, thing, &rows.columns, &mut |take| {
                    let mut out = from.copy_out(&rows.query(thing))?;
                    while let Some(piece) = out.piece()? {
                        take(&piece)?;
                    }
                    Ok(Some(out.rows()))
                })?;
            }
            Ok(())
        })
    }

    pub(super) fn rest(&self, acting: &Acting<'_>, session: &mut Connection) -> Result<(), TableFault> {
        if self.large_objects == 0 || acting.done(session)?.contains(LARGE_OBJECTS) {
            return Ok(());
        }
        let there = lock(&self.held).take().filter(|holding| holding.has_large_objects);
        let holding = match there {
            Some(there) => there,
            None => self.hold(acting, &[], true)?,
        };
        acting.begins("restoring large objects");
        let origin = holding.server.settings(&holding.server.database)?;
        let mut dump = self.programs.command("pg_dump", definitions::words(&origin, &["--section=data", "--exclude-table=*.*"]));
        origin.environment(&origin.targets[0]).apply(&mut dump);
        self.through(acting, dump)?;
        acting.note_done(session, LARGE_OBJECTS)
    }

    /// What one program writes the other one reads; none of it lies on a disk.
    fn through(&self, acting: &Acting<'_>, dump: std::process::Command) -> Result<(), TableFault> {
        let failed = |error: std::io::Error| BackupFault::refused(format!("what pg_dump writes cannot be passed on: {error}"), "");
        let (reader, mut writer) = std::io::pipe().map_err(failed)?;
        let is_unheard = AtomicBool::new(false);
        let unheard = |error: std::io::Error| {
            is_unheard.store(true, Ordering::Relaxed);
            failed(error)
        };
        std::thread::scope(|scope| {
            let dumped = scope.spawn(move || child::stream(dump, &acting.halt, &mut |bytes| writer.write_all(bytes).map_err(unheard)));
            // Whoever still writes when it is over hears that nobody reads.
            let fed = acting.ground.wanted.roles.over(LARGE_OBJECTS, reader).and_then(|mut reader| {
                let source = feed::Source { from: &mut reader, fed: acting.bytes, given: &|| {} };
                feed_and_hear(acting.restoring_data(None), &acting.halt, LARGE_OBJECTS, Some(source))
            });
            let dumped = dumped.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // The one that failed first.
            if is_unheard.load(Ordering::Relaxed) {
                fed??;
                return Ok(dumped?);
            }
            dumped?;
            Ok(fed??)
        })
    }
}

impl Rows {
    fn query(&self, thing: &Thing) -> String {
        let named = format!("{}.{}", quoted(&thing.schema), quoted(&thing.name));
        let columns = self.columns.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or_default();
        match (&self.condition, thing.kind) {
            (Some(condition), Kind::Extension) => format!("copy (select {columns} from only {named} {condition}) to stdout"),
            _ => format!("copy {named} {} to stdout", self.columns),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn first_server(site: &Site<'_>, wanted: &Wanted, begun: Option<&Begun>) -> Result<source::Wanted, TableFault> {
    let moment = &wanted.moment;
    let fixed: Option<Fixed> = match begun.and_then(|begun| begun.position.as_deref()) {
        Some(position) => Some(position.parse().map_err(|what: String| TableFault::new(what, "Drop the database and begin again."))?),
        None => None,
    };
    Ok(source::Wanted {
        database: meant(site.policy, wanted),
        sequences: true,
        exclusive: fixed.map_or(moment.exclusive, |fixed| fixed.is_exclusive()),
        timeline: fixed.map_or(moment.timeline, |fixed| TimelineChoice::Number(fixed.timeline())),
        backup: wanted.of.backup.clone(),
        store: wanted.of.store.clone(),
        identity: wanted.of.identity.clone(),
        directory: moment.directory.clone(),
        programs: wanted.of.programs.clone(),
        workers: moment.workers,
        ..source::Wanted::new(Vec::new(), fixed.map_or_else(|| moment.target.clone(), |fixed| fixed.target()))
    })
}

/// Beside the server's own programs; where there are none, the oldest that are new enough.
fn clients(named: Option<&std::path::Path>, major: u32) -> Result<Programs, TableFault> {
    let own = named.filter(|folder| folder.join("pg_dump").is_file());
    Ok(Programs::find(own, major)?)
}

fn in_our_words(fault: Fault) -> Fault {
    let hint = fault.hint.replace("`--database NAME`", "`--from-database NAME`");
    fault.with_hint(hint)
}
