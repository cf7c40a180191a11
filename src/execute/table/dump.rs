//! A table out of a dump: an empty server is made for it, with all definitions of the database and the rows of the wanted tables only.
//!
//! `pg_restore --table` alone would leave its indexes and constraints behind. So first all definitions are restored, which cost next to nothing
//! where there are no rows; then the rows; then everything else. Foreign keys come last and unasked, because their other ends are empty here.

mod apart;
mod timescale;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::TableFault;
use super::landing::{Apart, Origin, about};
use super::source::TableName;
use crate::execute::dump::child::Halt;
use crate::execute::dump::encoding;
use crate::execute::dump::programs::Programs;
use crate::execute::dump::restore::feed::{self, feed_and_hear};
use crate::execute::dump::restore::{Found, Pace, Which, choose, find, listing, own, with_job_owners};
use crate::execute::empty;
use crate::execute::id::new_id;
use crate::execute::restore::{Pin, RestoreFault, directory, programs};
use crate::execute::throwaway::{self, Place, Purpose};
use crate::format::contents::{Archive, Database, Holds, Table, USUAL_SCHEMA};
use crate::format::descriptor::Object;
use crate::format::dump::Item;
use crate::pipeline::Checked;
use crate::pipeline::restore::Owner;
use crate::plan::words::{counted, joined, plain, quoted as shown};
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::{Connection, Settings};
use crate::site::Site;
use crate::units::{BackupId, DumpSection, Instant, Name};
use crate::world::clock;

/// So much of what went wrong is told.
const MOST_TOLD: usize = 300;

/// What a dump has that may be taken for a table.
const NO_TABLES: [(&str, &str); 4] =
    [("VIEW", "a view"), ("MATERIALIZED VIEW", "a materialized view"), ("FOREIGN TABLE", "a foreign table"), ("SEQUENCE", "a sequence")];

/// What somebody wants back.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub tables: Vec<TableName>,
    /// Which of the dump's databases; may be left out where it has one.
    pub database: Option<String>,
    pub backup: Option<BackupId>,
    /// The newest dump of this job.
    pub job: Option<Name>,
    pub store: Option<Name>,
    /// The newest one that ended before.
    pub until: Option<Instant>,
    pub identity: Option<PathBuf>,
    /// Below which the server lies for as long as it is needed; usually the policy's own state.
    pub directory: Option<PathBuf>,
    /// PostgreSQL's own programs, where they are not where they usually are.
    pub programs: Option<PathBuf>,
}

/// What people see before anything large is fetched.
#[derive(Debug)]
pub struct Planned<'s> {
    site: &'s Site<'s>,
    wanted: Wanted,
    chosen: Found,
    at: usize,
    /// Of the private server.
    bin: PathBuf,
    pub major: u32,
    clients: Programs,
    /// The version of TimescaleDB that it loads.
    timescale: Option<String>,
    /// Rows of each wanted table, without those of its partitions.
    pub rows: Vec<Option<u64>>,
    /// Stored bytes that are read at most.
    pub fetch: u64,
    /// Plain bytes of all tables of the database: more than that the wanted ones do not need, their indexes apart.
    pub plain: u64,
    pub directory: PathBuf,
}

/// Looks for the dump and into its contents; fetches nothing else.
pub fn plan<'s>(site: &'s Site<'s>, wanted: &Wanted) -> Result<Planned<'s>, TableFault> {
    let which = Which {
        backup: wanted.backup.clone(),
        job: wanted.job.clone(),
        store: wanted.store.clone(),
        database: wanted.database.clone(),
        until: wanted.until,
    };
    let of_a_table = |fault: RestoreFault| {
        let hint = fault.hint.replace("--from-database", "--database");
        TableFault::from(fault.with_hint(hint))
    };
    let chosen = find(site, &which, wanted.identity.as_deref(), clock::now()).map_err(of_a_table)?;
    let at = choose::database(&chosen.contents, wanted.database.as_deref()).map_err(of_a_table)?;
    let database = &chosen.contents.databases[at];
    if database.archives.is_empty() {
        let message = format!("backup {} has its tables as files, with nothing that makes tables of them", chosen.descriptor.id);
        return Err(TableFault::new(message, "`seawall restore --export-to DIR` gives the files."));
    }
    if !(database.has(DumpSection::PreData) && database.has(DumpSection::Data)) {
        let lacks = database.lacks().unwrap_or_default();
        let message = format!("backup {} is without {lacks}: its job leaves that out (`sections`)", chosen.descriptor.id);
        return Err(TableFault::new(message, "Take the table out of another backup: `--job` and `--backup` name one."));
    }
    let rows_of = |table: &TableName| {
        database.tables.iter().find(|known| known.schema == table.schema && known.name == table.name).map(|known| known.rows)
    };
    let rows: Vec<Option<u64>> = wanted.tables.iter().map(rows_of).collect();
    // Of the dump's own version, or the oldest newer one that is here.
    let (bin, major) =
        programs::find_from(wanted.programs.as_deref(), chosen.descriptor.cluster.version / 10_000).map_err(TableFault::by_our_words)?;
    let clients = Programs::find(wanted.programs.as_deref(), chosen.client().max(major))
        .map_err(|fault| TableFault::new(fault.to_string(), format!("{} Or say where with `--programs DIR`.", fault.hint())))?;
    let timescale = timescale::version((&bin, major), database, &wanted.tables, &rows)?;
    let objects = objects(&chosen, database)?;
    let (fetch, plain) = objects.iter().fold((0, 0), |(stored, plain), (_, object)| (stored + object.size, plain + object.plain_size));
    let directory = wanted.directory.clone().unwrap_or_else(|| throwaway::usual_for_tables(site));
    Ok(Planned { site, wanted: wanted.clone(), chosen, at, bin, major, clients, timescale, rows, fetch, plain, directory })
}

/// What makes the types of chosen tables; none where all definitions are there, or a dump is of before they were kept.
fn types(chosen: &Found, database: &Database) -> Result<Option<Object>, TableFault> {
    Ok(database.types.as_ref().map(|archive| chosen.object(&archive.object).cloned()).transpose()?)
}

fn objects(chosen: &Found, database: &Database) -> Result<Vec<(Archive, Object)>, TableFault> {
    let named = |archive: &Archive| Ok((archive.clone(), chosen.object(&archive.object)?.clone()));
    database.archives.iter().map(named).collect()
}

impl Planned<'_> {
    pub fn backup(&self) -> &BackupId {
        &self.chosen.descriptor.id
    }

    /// Unless somebody has said which store it is to come from.
    pub(super) fn must_be_the_newest(&self) -> Result<(), TableFault> {
        if self.wanted.store.is_some() { Ok(()) } else { Ok(self.chosen.must_be_the_newest()?) }
    }

    pub fn job(&self) -> &Name {
        &self.chosen.descriptor.job
    }

    pub fn store(&self) -> &Name {
        &self.chosen.store_name
    }

    pub fn started(&self) -> Instant {
        self.chosen.descriptor.started
    }

    pub fn remarks(&self) -> &[String] {
        &self.chosen.remarks
    }

    /// What the wanted tables take on the private server's disk, with their indexes: their share of what the database had. None where nobody knows.
    pub fn room(&self) -> Option<u64> {
        let database = self.database();
        let (all, own) = (database.tables.iter().map(|table| table.rows).sum::<u64>(), database.own.as_ref()?);
        let wanted = self.rows.iter().copied().collect::<Option<Vec<u64>>>()?.into_iter().sum::<u64>();
        (self.timescale.is_none() && all > 0).then(|| (own.bytes as f64 * (wanted as f64 / all as f64)) as u64)
    }

    /// Everything is read, and most of it passed over: so fast at least as dumps come back whole.
    pub fn pace(&self) -> Option<Pace> {
        Pace::of(self.site)
    }

    fn database(&self) -> &Database {
        &self.chosen.contents.databases[self.at]
    }

    pub fn database_name(&self) -> &str {
        &self.database().name
    }

    /// What the dump has of one of the wanted tables, for people.
    pub fn holds(&self, number: usize) -> String {
        let name = self.wanted.tables.get(number).map(about::sql);
        match (self.rows.get(number).copied().flatten(), &self.timescale) {
            (None, _) if name.as_ref().is_some_and(|name| self.database().unlogged.contains(name)) => {
                "no rows: it is unlogged, and a standby was dumped, which has none of them".to_owned()
            }
            (Some(0), Some(version)) => match self.recorded_chunks(number) {
                Some(chunks) => format!("a hypertable of {} (TimescaleDB {version})", counted(chunks, "chunk")),
                None => format!("no rows of its own; of a hypertable those of its chunks (TimescaleDB {version})"),
            },
            (Some(rows), _) => counted(rows, "row"),
            (None, _) => "no rows of its own".to_owned(),
        }
    }

    /// As was written down when it was dumped.
    fn recorded_chunks(&self, number: usize) -> Option<u64> {
        let table = self.wanted.tables.get(number)?;
        let mut private = self.chosen.descriptor.open_private(&self.chosen.identities).ok()?;
        let known = private.recorded.remove(self.database_name())?.timescale?.hypertables;
        known.iter().find(|one| one.table.schema == table.schema && one.table.name == table.name).map(|one| one.chunks)
    }

    /// Makes the server and fills it.
    pub fn hold(self, begins: &(dyn Fn(&str) + Sync), stop: &AtomicBool) -> Result<Held, TableFault> {
        throwaway::sweep(self.site, &|purpose| *purpose == Purpose::Tables, &mut |_, _| {});
        let id = new_id(clock::now())?;
        let (owner, _) = directory::server_account()?;
        let place = Place::make(self.site, &self.directory, &id, Purpose::Tables)?;
        place.prepare(owner)?;
        let port = throwaway::free_port()?;
        let server = Server { place, owner, bin: self.bin.clone(), port };
        let halt = Halt { stop, abort: AtomicBool::new(false), deadline: None };
        let _pin = Pin::of(&self.chosen.store, &self.chosen.repository, &self.chosen.descriptor, "restore", self.site.host(), clock::now());
        begins("making an empty server");
        halt.check()?;
        server.start(&id, timescale::settings(self.timescale.as_ref()))?;
        halt.check()?;
        let mut known = Known::default();
        server.create_database(self.database(), self.major, &mut known.flaws)?;
        let objects = objects(&self.chosen, self.database())?;
        Filling { planned: &self, server: &server, halt: &halt, objects, lists: Vec::new() }.all(begins, &mut known)?;
        let moment = format!("as of the dump {} of `{}`, begun {}", self.backup(), self.job(), self.started());
        Ok(Held { database: self.database().name.clone(), major: self.major, moment, known, server })
    }
}

/// A private server with the tables of a dump. It is gone with this.
#[derive(Debug)]
pub struct Held {
    server: Server,
    database: String,
    major: u32,
    pub moment: String,
    known: Known,
}

/// What is known of the tables, and is not to be seen in the server's catalogs.
#[derive(Debug, Default)]
struct Known {
    flaws: Vec<String>,
    /// A standby was dumped, which has none of their rows.
    unlogged: Vec<String>,
    apart: Vec<Apart>,
    /// Whose views were, and who might use them.
    views: BTreeMap<TableName, Vec<String>>,
}

impl Held {
    pub fn origin(&self) -> Result<Origin, TableFault> {
        Ok(Origin {
            settings: self.server.settings(&self.database)?,
            programs: self.server.bin.clone(),
            major: self.major,
            moment: self.moment.clone(),
            flaws: self.known.flaws.clone(),
            unlogged: self.known.unlogged.clone(),
            has_rights: false,
            views: self.known.views.clone(),
            apart: self.known.apart.clone(),
        })
    }
}

#[derive(Debug)]
struct Server {
    place: Place,
    owner: Option<Owner>,
    bin: PathBuf,
    port: u16,
}

impl Server {
    fn start(&self, id: &BackupId, more: Vec<(String, String)>) -> Result<(), TableFault> {
        // It goes with the machine.
        let own =
            [("fsync", "off"), ("full_page_writes", "off"), ("wal_level", "minimal"), ("max_wal_senders", "0"), ("max_wal_size", "4GB")];
        let mut lines = throwaway::of_copy(&self.place, id, self.port);
        lines.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        lines.extend(more);
        empty::start(&self.place, &self.bin, self.owner, &lines).map_err(TableFault::by_our_words)
    }

    fn settings(&self, database: &str) -> Result<Settings, TableFault> {
        Ok(empty::settings_of(self.place.sockets(), self.port)?.with_dbname(database))
    }

    /// Sorted as it was, where this machine can; how rows are sorted does not change them.
    fn create_database(&self, dumped: &Database, major: u32, flaws: &mut Vec<String>) -> Result<(), TableFault> {
        let mut connection = Connection::connect(&self.settings(empty::DATABASE)?)?;
        let database = format!("create database {} template template0", quoted(&dumped.name));
        let sorted = format!("{database} {}", own::sorted_as(dumped, major));
        if dumped.name == empty::USER || dumped.name == empty::DATABASE {
            return Ok(());
        }
        if let Err(fault) = connection.run(&sorted) {
            connection.run(&format!("{database} encoding {}", literal(&dumped.encoding)))?;
            flaws.push(format!("conditions compare text byte by byte: {}", plain(&fault.message)));
        }
        Ok(())
    }
}

struct Filling<'f> {
    planned: &'f Planned<'f>,
    server: &'f Server,
    halt: &'f Halt<'f>,
    objects: Vec<(Archive, Object)>,
    /// What lies in each of them, as `pg_restore` lists it.
    lists: Vec<String>,
}

impl Filling<'_> {
    fn all(mut self, begins: &(dyn Fn(&str) + Sync), known: &mut Known) -> Result<(), TableFault> {
        let flaws = &mut known.flaws;
        // Nothing reaches the server that is not what the signed descriptor names.
        begins("checking the dump");
        let types = types(&self.planned.chosen, self.planned.database())?;
        for object in self.objects.iter().map(|(_, object)| object).chain(&types) {
            self.planned.chosen.check(object, &mut |_| self.halt.check().is_ok())?;
            self.halt.check()?;
        }
        begins("restoring definitions");
        for (_, object) in &self.objects {
            let mut reader = self.open(object)?;
            let of = (object.name.as_str(), self.planned.database().encoding.as_str());
            self.lists.push(listing::list(&self.planned.clients, &mut reader, of, self.halt)?);
        }
        let open = || Ok(Connection::connect(&self.server.settings(self.planned.database_name())?)?);
        let timescale = self.planned.timescale.as_ref();
        let home = timescale.map(|_| self.planned.database().schema_of(timescale::NAME));
        if let (Some(version), Some(home)) = (timescale, home) {
            timescale::begin(&open, version, home)?;
        }
        // A dump of chosen tables has none of what they lie in.
        for schema in self.planned.chosen.homes(self.planned.database()) {
            open()?.run(&format!("create schema if not exists {}", quoted(schema)))?;
        }
        if let Some(object) = &types {
            self.make_types(object)?;
        }
        let has_definitions = |(archive, _): &&(Archive, Object)| archive.holds != Holds::Rows;
        for ((_, object), list) in self.objects.iter().zip(&self.lists).filter(|(of, _)| has_definitions(of)) {
            let mut words = vec!["--section=pre-data".to_owned()];
            // The schema that the extension needed is there already.
            if let Some(home) = home.filter(|home| *home != USUAL_SCHEMA) {
                let Some(path) = self.list(list, &|entry| !listing::is_schema(entry, home))? else { continue };
                words.push(path);
            }
            // One that needs an extension that is not here need not be of the wanted tables.
            self.restore(object, &words)?.unwrap_or_else(|fault| flaws.push(clip(&fault.message)));
        }
        if timescale.is_some() {
            self.rows(&timescale::is_of_catalog)?;
        }
        let items = self.items()?;
        let mut connection = open()?;
        apart::make_roles(&mut connection, &items)?;
        let (mut expected, mut wanted) = (Vec::new(), Vec::new());
        for table in &self.planned.wanted.tables {
            let parts = parts(&mut connection, table)?;
            if parts.is_empty() {
                return Err(self.unknown(table, &items, flaws));
            }
            // Before anything large is read.
            self.lacks_rows_of(&mut connection, table)?;
            wanted.push(apart::Wanted::look(&mut connection, table, parts.clone())?);
            expected.extend(parts);
            if timescale.is_some() {
                expected.extend(timescale::chunks(&mut connection, table, self.planned.database())?);
            }
        }
        begins("restoring rows");
        let mut entries = HashSet::new();
        for table in &expected {
            entries.insert(format!(
                "TABLE DATA {} {}",
                self.listed(&mut connection, &table.schema)?,
                self.listed(&mut connection, &table.name)?
            ));
        }
        // Behind its name stands the owner's, and either may have spaces.
        self.rows(&|line| line.match_indices(' ').any(|(at, _)| entries.contains(&line[..at])))?;
        known.unlogged = self.must_have_all(&mut connection, &expected)?;
        if !known.unlogged.is_empty() {
            let names = joined(known.unlogged.iter().map(shown));
            flaws.push(format!("{names} is unlogged, and a standby was dumped: it has none of the rows, and it is empty here"));
        }
        if !self.planned.database().has(DumpSection::PostData) {
            flaws.push("the dump is without `post-data` (`sections`): indexes, constraints and triggers do not come".to_owned());
        }
        begins("building indexes and constraints");
        let left = ["FK CONSTRAINT", "EVENT TRIGGER", "MATERIALIZED VIEW DATA", "PUBLICATION", "SUBSCRIPTION"];
        for ((_, object), list) in self.objects.iter().zip(&self.lists).filter(|((archive, _), _)| archive.holds != Holds::Rows) {
            // Without what leads to rows that are not here and what would act by itself.
            let Some(path) = self.list(list, &|entry| !left.iter().any(|kind| entry.starts_with(kind)))? else { continue };
            let words = ["--section=post-data".to_owned(), path];
            self.restore(object, &words)?.unwrap_or_else(|fault| flaws.push(clip(&fault.message)));
        }
        known.apart = apart::tie(&mut connection, &items, &wanted)?;
        known.views = apart::views(&items, self.planned.database());
        known.apart.extend(apart::unmade(&mut connection, &items, &wanted)?);
        known.apart.extend(wanted.iter().flat_map(|wanted| wanted.said(&items, self.planned.database())));
        if timescale.is_some() {
            timescale::end(&open)?;
            for table in &self.planned.wanted.tables {
                flaws.extend(timescale::unsure(&mut open()?, table)?);
            }
        }
        Ok(())
    }

    /// A name as the lists have it: in the dump's encoding, on one line.
    fn listed(&self, connection: &mut Connection, name: &str) -> Result<String, TableFault> {
        let name = name.replace(['\n', '\r'], " ");
        if self.planned.database().encoding == encoding::UTF8 {
            return Ok(name);
        }
        Ok(listing::as_listed(&encoding::bytes(connection, &name)?))
    }

    /// As far as that goes: what the tables do not need may need what is not here. Schemas are there already.
    fn make_types(&self, object: &Object) -> Result<(), TableFault> {
        let of = (object.name.as_str(), self.planned.database().encoding.as_str());
        let listed = listing::list(&self.planned.clients, &mut self.open(object)?, of, self.halt)?;
        let Some(path) = self.list(&listed, &|entry| !entry.starts_with("EVENT TRIGGER"))? else { return Ok(()) };
        if let Err(fault) = self.restore(object, &[path])? {
            tracing::info!("not all types and functions of the dump could be made: {}", fault.message);
        }
        Ok(())
    }

    fn unknown(&self, table: &TableName, items: &[Item], flaws: &[String]) -> TableFault {
        let (name, dump) = (about::sql(table), self.planned.backup());
        let of_it = |kind: &str| items.iter().any(|item| item.kind == kind && item.schema == table.schema && item.name == table.name);
        if of_it("TABLE") {
            let message = format!("the table {name} is in the dump {dump}, and cannot be made here");
            let why = flaws.first().map_or_else(String::new, |flaw| format!("`pg_restore` says: {flaw}. "));
            let hint = "What it needs is not in the dump, or not installed here; a job with `logical` dumps everything that a table needs.";
            return TableFault::new(message, format!("{why}{hint}"));
        }
        if let Some((_, what)) = NO_TABLES.iter().find(|(kind, _)| of_it(kind)) {
            return TableFault::new(format!("{name} is {what} in the dump {dump}"), "Name a table that has rows of its own.");
        }
        TableFault::new(format!("there is no table {name} in the dump {dump}"), "Names are exact, and case counts.")
    }

    /// Rows of those entries that are wanted, out of whichever archive has them.
    fn rows(&self, wanted: &dyn Fn(&str) -> bool) -> Result<(), TableFault> {
        for ((_, object), list) in self.objects.iter().zip(&self.lists).filter(|((archive, _), _)| archive.holds != Holds::Definitions) {
            if let Some(path) = self.list(list, wanted)? {
                self.restore(object, &["--section=data".to_owned(), path])??;
            }
        }
        Ok(())
    }

    /// The inner fault is what the program found wrong.
    fn restore(&self, object: &Object, words: &[String]) -> Result<Result<(), TableFault>, TableFault> {
        let settings = self.server.settings(self.planned.database_name())?;
        let mut all = vec!["--no-password".to_owned(), format!("--dbname={}", settings.dbname_argument(&settings.dbname))];
        all.extend(
            ["owner", "privileges", "publications", "subscriptions", "security-labels", "tablespaces"].map(|what| format!("--no-{what}")),
        );
        all.extend(words.iter().cloned());
        let mut command: Command = self.planned.clients.command("pg_restore", all);
        settings.environment(&settings.targets[0]).apply(&mut command);
        let checked = self.open(object)?;
        // Nobody but this server's superuser is here, and jobs do not run.
        let mut reader: Box<dyn Read> = match self.planned.timescale {
            Some(_) => with_job_owners(&object.name, checked, |_| Some(empty::USER.to_owned()))?,
            None => Box::new(checked),
        };
        let source = feed::Source { from: &mut reader, fed: &AtomicU64::new(0), given: &|| {} };
        let heard = feed_and_hear(command, self.halt, &object.name, Some(source));
        match heard {
            Ok(heard) => Ok(heard.map_err(TableFault::from)),
            Err(fault) => {
                self.halt.check()?;
                Err(fault.into())
            }
        }
    }

    fn open(&self, object: &Object) -> Result<Checked, TableFault> {
        let Found { store, repository, descriptor, identities, .. } = &self.planned.chosen;
        let key = repository.data(&descriptor.id, &object.name);
        Ok(Checked::open(store, &key, object.size, &object.sha256, identities)?)
    }

    /// Gives those of which a standby had no rows.
    fn must_have_all(&self, connection: &mut Connection, expected: &[TableName]) -> Result<Vec<String>, TableFault> {
        let mut unlogged = Vec::new();
        for table in expected {
            let Some(dumped) = self.dumped(table) else {
                unlogged.extend(self.lacks_rows_of(connection, table)?.then(|| table.to_string()));
                continue;
            };
            let sql = format!("select count(*) as n from only {}", about::sql(table));
            let rows: u64 = connection.query(&sql, &[])?.one()?.parse("n")?;
            if rows != dumped.rows {
                let message = format!("{} has {rows} rows, and its dump {}", about::sql(table), dumped.rows);
                return Err(TableFault::new(message, "Nothing was changed. `seawall verify` says whether the dump is whole."));
            }
        }
        Ok(unlogged)
    }

    /// With its rows.
    fn dumped(&self, table: &TableName) -> Option<&Table> {
        self.planned.database().tables.iter().find(|known| known.schema == table.schema && known.name == table.name)
    }

    /// A table that is in a dump without its rows (`exclude_table_data`) must not be taken for an empty one. True where it is unlogged and a standby
    /// was dumped: `pg_dump` passes over its rows without a word.
    fn lacks_rows_of(&self, connection: &mut Connection, table: &TableName) -> Result<bool, TableFault> {
        const KIND: &str = "select relkind::text as kind, relpersistence::text as lasts from pg_catalog.pg_class \
            where oid = pg_catalog.to_regclass($1)";
        let rows = connection.query(KIND, &[&about::sql(table)])?;
        let is = |name: &str, one: &str| rows.iter().next().is_some_and(|row| row.get(name) == Some(one));
        if self.dumped(table).is_some() || !is("kind", "r") {
            return Ok(false);
        }
        if is("lasts", "u") && self.planned.chosen.descriptor.cluster.standby {
            return Ok(true);
        }
        if !self.planned.database().partial {
            return Ok(false);
        }
        let message = format!("the dump has {} without its rows: the job leaves them out", about::sql(table));
        Err(TableFault::new(message, "Take it out of another backup: `--job` and `--backup` name one."))
    }

    /// Those lines of a list that are wanted, as a word for `pg_restore`; none where no line is.
    fn list(&self, text: &str, wanted: &dyn Fn(&str) -> bool) -> Result<Option<String>, TableFault> {
        let is_wanted = |line: &&str| listing::entry(line).is_some_and(wanted);
        let kept: Vec<&str> = text.lines().filter(is_wanted).collect();
        if kept.is_empty() {
            return Ok(None);
        }
        let path = self.server.place.folder().join("list");
        let failed = |error: std::io::Error| TableFault::new(format!("`{}`: {error}", path.display()), "");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all((kept.join("\n") + "\n").as_bytes()).map_err(failed)?;
        Ok(Some(format!("--use-list={}", path.display())))
    }
}

/// The table and its partitions; nothing where it is not there.
fn parts(connection: &mut Connection, table: &TableName) -> Result<Vec<TableName>, TableFault> {
    const PARTS: &str = "\
        with it as (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace \
          where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')) \
        select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace \
        where c.oid in (select oid from it union select t.relid from it, pg_partition_tree(it.oid) t)";
    let rows = connection.query(PARTS, &[&table.schema, &table.name])?;
    rows.iter().map(|row| Ok(TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() })).collect()
}

fn clip(text: &str) -> String {
    let text = plain(text);
    if text.chars().count() <= MOST_TOLD { text } else { text.chars().take(MOST_TOLD).chain(['…']).collect() }
}
