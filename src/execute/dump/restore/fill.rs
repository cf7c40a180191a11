//! The dump's objects, through `pg_restore` into a database.

use std::collections::BTreeSet;
use std::io::{Read, Write as _};
use std::sync::atomic::Ordering;

use super::act::{Part, Work, of};
use super::feed::{Source, feed};
use super::jobs::{HeldJob, Jobs};
use super::{Plan, Section};
use crate::execute::dump::child::Halt;
use crate::execute::restore::RestoreFault;
use crate::format::contents::{Archive, Holds};
use crate::format::descriptor::Object;
use crate::inventory::BackupKind;
use crate::observe;
use crate::pipeline::{Checked, PipelineFault};
use crate::policy::sql_name::{literal, quoted};
use crate::units::Key;
use crate::world::files::{in_memory, path_in_memory};
use crate::world::parallel;

/// Larger definitions are read by one session, as they come.
const IN_MEMORY: u64 = 256 << 20;

pub(super) struct Fill<'r> {
    pub plan: &'r Plan,
    pub halt: &'r Halt<'r>,
    pub work: &'r Work<'r>,
}

impl Fill<'_> {
    fn key(&self, object: &Object) -> Key {
        self.plan.found.repository.data(&self.plan.found.descriptor.id, &object.name)
    }

    /// Nothing reaches the server that is not what the signed descriptor names.
    pub(super) fn check_hashes(&self) -> Result<(), RestoreFault> {
        let store = &self.plan.found.store;
        let checked = parallel::map_with(observe::width(store), &self.plan.objects, &|object| {
            self.plan.found.check(object, &mut |got| {
                self.work.checked.fetch_add(got as u64, Ordering::Relaxed);
                self.halt.check().is_ok()
            })
        });
        checked.into_iter().collect()
    }

    /// All of it that is wanted. Says which jobs of TimescaleDB came with it and do not run.
    pub(super) fn whole(&self, into: &str) -> Result<Vec<HeldJob>, RestoreFault> {
        if self.plan.found.descriptor.kind == BackupKind::Tables {
            self.make_schemas(into)?;
        }
        let Some(version) = self.plan.database().extensions.get("timescaledb") else { return self.archives(into).map(|()| Vec::new()) };
        let mut connection = self.plan.connect(into)?;
        connection.run(&format!("create extension if not exists timescaledb version {}", literal(version))).map_err(of)?;
        let installed = "select extversion as version from pg_extension where extname = 'timescaledb'";
        let installed = connection.query(installed, &[]).and_then(|rows| rows.one()?.text("version").map(str::to_owned)).map_err(of)?;
        if installed != *version {
            let message = format!("the dump is of TimescaleDB {version}, and `{into}` has {installed}");
            return Err(RestoreFault::new(message, "Restore into a new database with `--create`, and update the extension there."));
        }
        // It loads itself into new sessions only.
        let restored = self.plan.connect(into).and_then(|mut connection| {
            let jobs = Jobs::there(&mut connection)?;
            connection.run("select timescaledb_pre_restore()").map_err(of)?;
            let brought = self.archives(into);
            // Also when only some came: the database may be one that stays. Nothing keeps a session alive that was silent for hours.
            let hold = || self.plan.connect(into).and_then(|mut connection| jobs.hold_others(&mut connection));
            let held = if self.work.jobs_run { Ok(Vec::new()) } else { hold() };
            brought.and(held)
        });
        // Also when that failed, and when nobody knows whether it began: until then the database's own jobs and its checks are off.
        let post =
            self.plan.connect(into).and_then(|mut connection| connection.run("select timescaledb_post_restore()").map(drop).map_err(of));
        let held = restored?;
        post.map(|()| held)
    }

    /// A dump of chosen tables has none of what they lie in.
    fn make_schemas(&self, into: &str) -> Result<(), RestoreFault> {
        let schemas: BTreeSet<&str> = self.plan.database().tables.iter().map(|table| table.schema.as_str()).collect();
        let mut connection = self.plan.connect(into)?;
        for schema in schemas {
            connection.run(&format!("create schema if not exists {}", quoted(schema))).map_err(of)?;
        }
        Ok(())
    }

    fn archives(&self, into: &str) -> Result<(), RestoreFault> {
        let archives: Vec<(&Archive, &Object)> = self.plan.database().archives.iter().zip(&self.plan.objects).collect();
        let holding = |holds: Holds| archives.iter().copied().filter(|(archive, _)| archive.holds == holds).collect::<Vec<_>>();
        for (_, object) in holding(Holds::Everything) {
            let sections = self.plan.wanted.sections.iter().map(|section| format!("--section={}", section.as_str())).collect();
            // Behind the last row come indexes and constraints, of which it has read the definitions long before.
            self.stream(into, object, sections, &|| (self.work.part)(Part::Index))?;
        }
        let (definitions, rows) = (holding(Holds::Definitions), holding(Holds::Rows));
        for section in self.plan.sections().into_iter().filter(|_| !definitions.is_empty()) {
            let word = vec![format!("--section={}", section.as_str())];
            match section {
                Section::PreData => definitions.iter().try_for_each(|(_, object)| self.stream(into, object, word.clone(), &|| {}))?,
                Section::Data => {
                    let done = parallel::map_with(self.plan.wanted.jobs, &rows, &|(_, object)| {
                        let done = self.stream(into, object, word.clone(), &|| {});
                        if done.is_err() {
                            self.halt.abort.store(true, Ordering::Relaxed);
                        }
                        done
                    });
                    first_fault(done)?;
                }
                Section::PostData => {
                    (self.work.part)(Part::Index);
                    definitions.iter().try_for_each(|(_, object)| self.seekable(into, object, word.clone()))?;
                }
            }
        }
        Ok(())
    }

    fn command(&self, into: &str, more: Vec<String>) -> std::process::Command {
        let (wanted, settings) = (&self.plan.wanted, &self.plan.settings);
        let mut words =
            vec!["--exit-on-error".to_owned(), "--no-password".to_owned(), format!("--dbname={}", settings.dbname_argument(into))];
        words.extend(wanted.no_owner.then(|| "--no-owner".to_owned()));
        words.extend(wanted.no_privileges.then(|| "--no-privileges".to_owned()));
        words.extend(wanted.no_tablespaces.then(|| "--no-tablespaces".to_owned()));
        words.extend(wanted.single_transaction.then(|| "--single-transaction".to_owned()));
        words.extend(wanted.names());
        words.extend(more);
        let mut command = self.plan.programs.command("pg_restore", words);
        settings.environment(&settings.targets[0]).apply(&mut command);
        command
    }

    fn open(&self, object: &Object) -> Result<Box<dyn Read>, RestoreFault> {
        let found = &self.plan.found;
        let checked = Checked::open(&found.store, &self.key(object), object.size, &object.sha256, &found.identities)?;
        self.plan.wanted.roles.over(&object.name, checked)
    }

    fn stream(&self, into: &str, object: &Object, more: Vec<String>, given: &dyn Fn()) -> Result<(), RestoreFault> {
        let mut reader = self.open(object)?;
        let source = Source { from: &mut reader, fed: self.work.fed, given };
        feed(self.command(into, more), self.halt, &object.name, Some(source))
    }

    /// Several sessions build indexes at once when they can read the definitions from a file, which is in memory. No row is among them.
    fn seekable(&self, into: &str, object: &Object, mut more: Vec<String>) -> Result<(), RestoreFault> {
        if self.plan.wanted.jobs == 1 || object.plain_size > IN_MEMORY {
            return self.stream(into, object, more, &|| {});
        }
        let failed = |error: std::io::Error| PipelineFault::file("the definitions, in memory", error);
        let mut file = in_memory().map_err(failed)?;
        let mut reader = self.open(object)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match reader.read(&mut buffer).map_err(|error| PipelineFault::of_stream(&object.name, &error))? {
                0 => break,
                got => file.write_all(&buffer[..got]).map_err(failed)?,
            }
        }
        more.push(format!("--jobs={}", self.plan.wanted.jobs));
        more.push(path_in_memory(&file));
        feed(self.command(into, more), self.halt, &object.name, None)
    }
}

/// The fault that made the others stop, and not one of those.
fn first_fault(done: Vec<Result<(), RestoreFault>>) -> Result<(), RestoreFault> {
    let mut faults: Vec<RestoreFault> = done.into_iter().filter_map(Result::err).collect();
    let own = faults.iter().position(|fault| fault.message != "it was interrupted").unwrap_or(0);
    if faults.is_empty() { Ok(()) } else { Err(faults.swap_remove(own)) }
}
