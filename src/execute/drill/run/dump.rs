//! A drill of a dump: a private server is made, and every database of the dump comes back into it, as `restore --into-database` does it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::super::{DrillFault, choose};
use super::{Run, suits, tables, version};
use crate::execute::drill::keep::Beside;
use crate::execute::dump::programs::Programs;
use crate::execute::dump::restore::{self, Found, Part, Plan, Roles, Wanted, Which, Work};
use crate::execute::restore::{Pin, directory, programs};
use crate::execute::throwaway::{self, Place, Reached};
use crate::execute::{empty, expect, extensions};
use crate::format::descriptor::Private;
use crate::format::recorded::{Recorded, TableRows};
use crate::inventory::{BackupKind, Phase, Restored, TableName};
use crate::plan::words::{counted, joined, quoted};
use crate::policy::sql_name;
use crate::postgres::{Connection, Settings};
use crate::units::{Instant, Name};
use crate::world::clock;

const TIMESCALEDB: &str = "timescaledb";

impl<'r> Run<'r> {
    /// The job whose dumps this drill restores.
    pub(super) fn dump(&self) -> Option<&'r Name> {
        self.drill.dump(self.site.policy)
    }

    pub(super) fn choose_a_dump(&mut self, job: &Name, now: Instant) -> Result<Arc<Found>, DrillFault> {
        self.must_want_no_moment(&format!("`{job}` makes dumps, and a dump has no other moment than its own"), "another dump")?;
        let goal = choose::choose(self.site, self.catalog, self.drill, self.wishes, now)?;
        let which = Which { backup: goal.backup, job: Some(job.clone()), store: goal.store, ..Which::default() };
        let found = Arc::new(restore::find(self.site, &which, self.wishes.identity.as_deref(), now)?);
        self.record.remarks.extend(goal.passed_over);
        self.note_dump(&found);
        Ok(found)
    }

    pub(super) fn bring_back_a_dump(&mut self, job: &Name, now: Instant) -> Result<(), DrillFault> {
        let found = self.choose_a_dump(job, now)?;
        let _pin = Pin::of(&found.store, &found.repository, &found.descriptor, "drill", self.site.host(), clock::now());
        if tables::are_columns(&found) {
            self.read_back_columns(&found)?;
            return self.must_be_in_time();
        }
        let settings = self.make_server(&found)?;
        self.must_go_on()?;
        if found.is_of_tables() {
            self.bring_back_tables(&found, &settings)?;
        } else {
            self.bring_back_databases(&found, &settings)?;
        }
        self.record.recovery_millis = Some(self.millis());

        self.enter(Phase::Expect);
        let reached = self.reached_as(&found, &settings);
        self.reached = Some(reached.clone());
        self.examine_dump(&found, &reached)?;
        self.run_command(&reached)?;
        self.must_be_in_time()
    }

    fn bring_back_databases(&mut self, found: &Arc<Found>, settings: &Settings) -> Result<(), DrillFault> {
        let plans = self.plans(found, settings)?;
        if found.descriptor.kind == BackupKind::Tables {
            stand_in(&plans, settings)?;
        }
        let loaded = self.load(&plans);
        self.watch.end(None);
        self.watch.through(Phase::Check, plans.iter().map(Plan::stored_bytes).sum());
        // How fast definitions are made says nothing of rows, nor do some tables, or rows without indexes, of a whole database.
        if found.contents.databases.iter().all(|database| !database.partial && database.lacks().is_none()) {
            self.watch.through(Phase::Load, plans.iter().map(Plan::bytes).sum());
        }
        self.opened_by(&found.identities);
        self.must_go_on()?;
        loaded
    }

    pub(super) fn note_dump(&mut self, found: &Found) {
        let descriptor = &found.descriptor;
        self.record.restored = Some(Restored {
            job: descriptor.job.clone(),
            store: found.store_name.clone(),
            backup: descriptor.id.clone(),
            kind: descriptor.kind,
            stopped: descriptor.stopped,
            size: descriptor.size,
            stored_size: Some(descriptor.stored_size),
            postgres: version(descriptor.cluster.version),
            target: None,
            tables: Vec::new(),
            scope: (descriptor.kind == BackupKind::Logical).then(|| found.contents.scope()),
        });
        self.beside = Some(Beside { store: found.store.clone(), repository: found.repository.clone(), backup: descriptor.id.clone() });
        self.record.remarks.extend(found.remarks.iter().cloned());
        self.progress.expect(found.descriptor.size, None);
    }

    /// Of the original's version, or where that is not here, or its dump is of a newer `pg_dump`, of the next one.
    pub(super) fn make_server(&mut self, found: &Found) -> Result<Settings, DrillFault> {
        let original = found.descriptor.cluster.version / 10_000;
        let (bin, major) = programs::find_from(self.wishes.programs.as_deref(), original.max(found.client()))?;
        if major != original {
            self.record.remarks.push(format!("the original is PostgreSQL {original}, and this was restored into PostgreSQL {major}"));
        }
        let base = self.base()?;
        let extensions = found.contents.databases.iter().flat_map(|database| database.extensions.keys()).map(String::as_str).collect();
        let preloaded = if found.is_of_tables() { String::new() } else { preloaded(&extensions, &private(found)?) };
        suits::must_suit(found, (&bin, major), &preloaded, &base)?;
        let place = Place::make(self.site, &base, &self.record.id, self.purpose())?;
        let port = throwaway::free_port()?;
        self.place = Some(place);
        let (owner, account) = directory::server_account()?;
        suits::must_be_entered(&base, owner, &account)?;
        let settings = self.start_empty(&bin, vec![("shared_preload_libraries".to_owned(), preloaded)], port)?;
        let mut connection = Connection::connect(&settings)?;
        // It comes back as it was, and not into one that is there.
        if found.contents.databases.iter().any(|database| database.name == "postgres") {
            connection.run("drop database postgres")?;
        }
        // Tables belong to nobody in particular here.
        if found.descriptor.kind != BackupKind::Tables {
            self.make_roles(found, &mut connection)?;
        }
        Ok(settings)
    }

    /// Everything in the dump belongs to somebody.
    fn make_roles(&mut self, found: &Found, connection: &mut Connection) -> Result<(), DrillFault> {
        match Roles::look(found, connection)? {
            Some(roles) => {
                roles.make(connection)?;
                if !roles.tablespaces.is_empty() {
                    let names = joined(roles.tablespaces.iter().map(quoted));
                    let what = counted(roles.tablespaces.len(), "tablespace");
                    self.record.remarks.push(format!("what lay in {what} ({names}) was restored into one"));
                }
            }
            None => self.record.remarks.push("the dump has no roles (`logical.globals` is off), so there are none but `postgres`".into()),
        }
        Ok(())
    }

    /// As new as what made the dump.
    pub(super) fn clients(&self, found: &Found) -> Result<Programs, DrillFault> {
        match Programs::find(self.wishes.programs.as_deref(), found.client()) {
            Ok(programs) => Ok(programs),
            Err(fault) => Programs::find(None, found.client()).map_err(|_| DrillFault::new(fault.to_string(), fault.hint())),
        }
    }

    /// Of every database, before any of them is restored: what the server lacks is known then.
    fn plans(&self, found: &Arc<Found>, settings: &Settings) -> Result<Vec<Plan>, DrillFault> {
        let programs = self.clients(found)?;
        let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let of = |name: &String| {
            let pieces =
                found.contents.databases.iter().find(|database| database.name == *name).map_or(1, |database| database.archives.len());
            let jobs = if pieces > 1 { self.wishes.workers.unwrap_or_else(|| processors.min(8)) } else { 1 };
            let is_of_nobody = found.descriptor.kind == BackupKind::Tables;
            let wanted = Wanted {
                no_owner: is_of_nobody,
                no_privileges: is_of_nobody,
                from_database: Some(name.clone()),
                into: name.clone(),
                create: true,
                jobs,
                no_tablespaces: true,
                programs: Some(programs.folder().to_owned()),
                ..Wanted::default()
            };
            let plan = restore::plan_into(found.clone(), settings, wanted)?;
            if !is_of_nobody {
                plan.must_have_its_own_roles()?;
            }
            Ok(plan)
        };
        found.contents.databases.iter().map(|database| of(&database.name)).collect()
    }

    fn load(&mut self, plans: &[Plan]) -> Result<(), DrillFault> {
        let Run { watch, progress, place, onlooker, .. } = self;
        let Some(place) = place.as_ref() else { return Ok(()) };
        let watch = Mutex::new(watch);
        let part = |part: Part| {
            let phase = match part {
                Part::Check => Phase::Check,
                Part::Copy | Part::Load => Phase::Load,
                Part::Index => Phase::Index,
                Part::Count => Phase::Count,
            };
            watch.lock().unwrap_or_else(PoisonError::into_inner).enter(phase);
            progress.enter(phase);
            place.at(phase);
            (onlooker.phase)(phase);
        };
        for plan in plans {
            let checked = AtomicU64::new(0);
            let work = Work { stop: onlooker.stop, part: &part, checked: &checked, fed: &progress.files.done, keep: true, jobs_run: true };
            restore::bring(plan, &work)?;
        }
        Ok(())
    }

    fn reached_as(&self, found: &Found, settings: &Settings) -> Reached {
        let there: Vec<&String> = found.contents.databases.iter().map(|database| &database.name).collect();
        let named = self.site.policy.databases.iter().find(|name| there.contains(name));
        Reached {
            sockets: self.place().sockets().to_string_lossy().into_owned(),
            port: settings.targets.first().map_or(0, |target| target.port),
            user: empty::USER.to_owned(),
            database: named.or(there.first().copied()).cloned().unwrap_or_else(|| empty::DATABASE.to_owned()),
            options: None,
        }
    }

    pub(super) fn examine_dump(&mut self, found: &Found, reached: &Reached) -> Result<(), DrillFault> {
        let connect = |database: &str| reached.connect(database);
        let private = private(found)?;
        // Each database is as of its snapshot, and the first of those was taken soon after this.
        let copy = expect::Copy { connect: &connect, recovered_to: found.descriptor.started, private: &private, stop: self.onlooker.stop };
        let expectations = expect::examine(self.drill, &copy);
        self.must_be_met(expectations)
    }
}

/// A job of chosen tables dumps no roles, and policies name some.
fn stand_in(plans: &[Plan], settings: &Settings) -> Result<(), DrillFault> {
    let mut connection = Connection::connect(settings)?;
    let mut lacking = BTreeSet::new();
    for plan in plans {
        lacking.extend(plan.roles_that_lack()?);
    }
    for role in lacking {
        connection.run(&format!("create role {}", sql_name::quoted(&role)))?;
    }
    Ok(())
}

/// What was written down of the original; of its tables the rows that were counted when they were dumped.
fn private(found: &Found) -> Result<Private, DrillFault> {
    let mut private = found.descriptor.open_private(&found.identities).map_err(|error| {
        let message = format!("backup {} cannot be opened: {error}", found.descriptor.id);
        DrillFault::new(message, "Give the identity of one of its recipients with `--identity FILE`; old backups need old identities.")
    })?;
    for database in &found.contents.databases {
        let of = |table: &crate::format::contents::Table| {
            let name = TableName { schema: table.schema.clone(), name: table.name.clone() };
            TableRows { table: name, rows: table.rows }
        };
        let tables = database.tables.iter().filter(|table| table.rows > 0).map(of).collect();
        let recorded = private.recorded.remove(&database.name);
        let (at, timescale) = recorded.map_or((found.descriptor.started, None), |recorded| (recorded.at, recorded.timescale));
        private.recorded.insert(database.name.clone(), Recorded { at, tables, has_more: false, timescale });
    }
    Ok(private)
}

/// Of the libraries that the original loads when it starts, those that an extension in the dump comes with; the others do nothing for a dump.
pub(super) fn preloaded(extensions: &BTreeSet<&str>, private: &Private) -> String {
    let recorded = private.settings.get("shared_preload_libraries").map(String::as_str).unwrap_or_default();
    let of_extension =
        |library: &&str| Path::new(library).file_name().is_some_and(|name| extensions.contains(name.to_string_lossy().as_ref()));
    let mut libraries: Vec<&str> = extensions::loaded(recorded).filter(of_extension).collect();
    // Its database cannot be entered without it; older dumps do not say what was loaded.
    if extensions.contains(TIMESCALEDB) && !libraries.contains(&TIMESCALEDB) {
        libraries.push(TIMESCALEDB);
    }
    libraries.iter().map(|library| sql_name::quoted(library)).collect::<Vec<_>>().join(", ")
}
