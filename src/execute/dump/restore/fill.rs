//! The dump's objects, through `pg_restore` into a database.

use std::fs::File;
use std::io::{Read, Write as _};
use std::sync::atomic::Ordering;

use super::act::{Part, Work, of};
use super::feed::{Source, feed, feed_and_hear};
use super::jobs::HeldJob;
use super::{Plan, listing, restoring, target, with_job_owners};
use crate::execute::dump::child::Halt;
use crate::execute::dump::encoding;
use crate::execute::restore::RestoreFault;
use crate::format::contents::{Archive, Holds, Tie, USUAL_SCHEMA};
use crate::format::descriptor::Object;
use crate::observe;
use crate::pipeline::{Checked, PipelineFault};
use crate::policy::sql_name::quoted;
use crate::units::{DumpSection, Key};
use crate::world::files::{in_memory, path_in_memory};
use crate::world::parallel;

/// How a list begins that has a materialized view filled.
const REFRESHED: &str = "MATERIALIZED VIEW DATA ";
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
        let objects: Vec<&Object> = self.plan.all_objects().collect();
        let checked = parallel::map_with(observe::width(store), &objects, &|object| {
            self.plan.found.check(object, &mut |got| {
                self.work.checked.fetch_add(got as u64, Ordering::Relaxed);
                self.halt.check().is_ok()
            })
        });
        checked.into_iter().collect()
    }

    /// All of it that is wanted. Says which jobs of TimescaleDB came with it and do not run.
    pub(super) fn whole(&self, into: &str) -> Result<Vec<HeldJob>, RestoreFault> {
        let unmade = self.make_types(into)?;
        self.tables(into).map_err(|fault| match unmade {
            Some(unmade) => {
                let hint = format!("{} Of what the tables need not everything could be made: {}.", fault.hint, unmade.message);
                fault.with_hint(hint.trim_start())
            }
            None => fault,
        })
    }

    fn tables(&self, into: &str) -> Result<Vec<HeldJob>, RestoreFault> {
        self.make_schemas(into)?;
        let Some(version) = self.plan.database().extensions.get("timescaledb") else {
            return self.archives(into, None).map(|()| Vec::new());
        };
        let home = self.plan.database().schema_of("timescaledb");
        if home != USUAL_SCHEMA {
            self.make_home(into, home)?;
        }
        restoring::make_extension(&mut self.plan.connect(into)?, into, version, home)?;
        let bring = || self.archives(into, Some(home)).and_then(|()| self.have_aggregates_made(into));
        let (restored, ended) = restoring::during(&|| self.plan.connect(into), home, self.work.jobs_run, bring);
        match (restored, ended) {
            (Ok(held), Ok(())) => self.refresh(into).map(|()| held),
            (Err(fault), Ok(())) => Err(fault),
            (restored, Err(why)) => Err(self.still_restoring(into, &restoring::end(home), restored.err(), &why)),
        }
    }

    /// One that was made for it goes with the failure; another one stays as it is until somebody ends it.
    fn still_restoring(&self, into: &str, end: &str, fault: Option<RestoreFault>, why: &RestoreFault) -> RestoreFault {
        let passing = fault.as_ref().map_or(why.passing, |fault| fault.passing);
        let (first, hint) = fault.map_or_else(Default::default, |fault| (format!("{}; ", fault.message), fault.hint));
        if self.plan.wanted.makes() {
            return RestoreFault::new(format!("{first}TimescaleDB's restoring mode was not ended: {}", why.message), hint)
                .passing_if(passing);
        }
        let message = format!("{first}`{into}` may still be in TimescaleDB's restoring mode, which could not be ended: {}", why.message);
        let out = format!("In that mode its jobs and checks are off. {}", target::way_out(end));
        RestoreFault::new(message, format!("{hint} {out}").trim_start()).passing_if(passing)
    }

    /// As the dump has it, with its owner: the extension needs it before anything else of the dump is there.
    fn make_home(&self, into: &str, home: &str) -> Result<(), RestoreFault> {
        for (archive, object) in self.plan.database().archives.iter().zip(&self.plan.objects) {
            if archive.holds != Holds::Rows
                && let Some(list) = self.only(object, &|entry| listing::is_schema(entry, home))?
            {
                self.stream(into, object, vec!["--section=pre-data".to_owned(), list.word()], &|| {})?;
            }
        }
        // One that is there already is not in the dump where it came with the database.
        let sql = format!("create schema if not exists {}", quoted(home));
        self.plan.connect(into)?.run(&sql).map(drop).map_err(of)
    }

    /// Those lines of an archive's list that are wanted; none where no line is.
    fn only(&self, object: &Object, wanted: &dyn Fn(&str) -> bool) -> Result<Option<List>, RestoreFault> {
        let all = listing::list(&self.plan.programs, &mut self.open(object)?, (&object.name, &self.plan.database().encoding), self.halt)?;
        let lines: Vec<&str> = all.lines().filter(|line| listing::entry(line).is_some_and(wanted)).collect();
        if lines.is_empty() { Ok(None) } else { List::of(&lines).map(Some) }
    }

    /// What chosen tables go by, as far as that goes: what cannot be made here may be what they need not after all. Gives what was wrong with it.
    fn make_types(&self, into: &str) -> Result<Option<RestoreFault>, RestoreFault> {
        let Some(types) = &self.plan.types else { return Ok(None) };
        let object = &types.object;
        let all = listing::list(&self.plan.programs, &mut self.open(object)?, (&object.name, &self.plan.database().encoding), self.halt)?;
        let lines: Vec<&str> = all.lines().filter(|line| listing::number(line).is_some_and(|line| types.has(line))).collect();
        let list = List::of(&lines)?;
        let mut reader = self.open(object)?;
        let source = Source { from: &mut reader, fed: self.work.fed, given: &|| {} };
        let command = self.command_of(into, vec!["--section=pre-data".to_owned(), list.word()]);
        let heard = feed_and_hear(command, self.halt, &object.name, Some(source))?;
        Ok(heard.err().inspect(|fault| tracing::info!("not all types and functions of the dump could be made: {}", fault.message)))
    }

    /// A dump of chosen tables has none of what they lie in.
    fn make_schemas(&self, into: &str) -> Result<(), RestoreFault> {
        let schemas = self.plan.found.homes(self.plan.database());
        if schemas.is_empty() {
            return Ok(());
        }
        let mut connection = self.plan.connect(into)?;
        for schema in schemas {
            connection.run(&format!("create schema if not exists {}", quoted(schema))).map_err(of)?;
        }
        Ok(())
    }

    /// `made`: a schema that is there already, and came out of this dump.
    fn archives(&self, into: &str, made: Option<&str>) -> Result<(), RestoreFault> {
        let archives: Vec<(&Archive, &Object)> = self.plan.database().archives.iter().zip(&self.plan.objects).collect();
        let holding = |holds: Holds| archives.iter().copied().filter(|(archive, _)| archive.holds == holds).collect::<Vec<_>>();
        for (_, object) in holding(Holds::Everything) {
            let mut words: Vec<String> =
                self.plan.wanted.sections.iter().map(|section| format!("--section={}", section.as_str())).collect();
            let others = self.but(made, into, object)?;
            words.extend(others.iter().map(List::word));
            // Behind the last row come indexes and constraints, of which it has read the definitions long before.
            self.stream(into, object, words, &|| (self.work.part)(Part::Index))?;
        }
        let (definitions, rows) = (holding(Holds::Definitions), holding(Holds::Rows));
        for section in self.plan.sections() {
            let word = vec![format!("--section={}", section.as_str())];
            match section {
                DumpSection::PreData => definitions.iter().try_for_each(|(_, object)| {
                    let others = self.but(made, into, object)?;
                    self.stream(into, object, word.iter().cloned().chain(others.iter().map(List::word)).collect(), &|| {})
                })?,
                DumpSection::Data => {
                    let one = |(_, object): &(&Archive, &Object)| {
                        let done = self.stream(into, object, word.clone(), &|| {});
                        if done.is_err() {
                            self.halt.abort.store(true, Ordering::Relaxed);
                        }
                        done
                    };
                    // With TimescaleDB's catalog, which comes before the rows of other chunks.
                    let alone = usize::from(self.plan.database().some_rows.is_some()).min(rows.len());
                    rows[..alone].iter().try_for_each(one)?;
                    first_fault(parallel::map_with(self.plan.wanted.jobs, &rows[alone..], &one))?;
                }
                DumpSection::PostData => {
                    (self.work.part)(Part::Index);
                    definitions.iter().try_for_each(|(_, object)| {
                        let others = self.but(made, into, object)?;
                        self.seekable(into, object, word.iter().cloned().chain(others.iter().map(List::word)).collect())
                    })?;
                }
            }
        }
        Ok(())
    }

    /// With TimescaleDB everything but the schema that is there already, what leads from rows that came to rows that did not, and what would be
    /// read of hypertables before they are such.
    fn but(&self, made: Option<&str>, into: &str, object: &Object) -> Result<Option<List>, RestoreFault> {
        let Some(made) = made else { return Ok(None) };
        let ties = self.ties(into)?;
        let is_there = |entry: &str| made != USUAL_SCHEMA && listing::is_schema(entry, made);
        let is_tie = |entry: &str| ties.iter().any(|tie| entry.starts_with(tie));
        self.only(object, &|entry| !(is_there(entry) || is_tie(entry) || entry.starts_with(REFRESHED)))
    }

    /// While TimescaleDB's tables come back nobody sees its compressed rows: what is made of them is made behind that.
    fn refresh(&self, into: &str) -> Result<(), RestoreFault> {
        if !self.plan.sections().contains(&DumpSection::PostData) {
            return Ok(());
        }
        for (archive, object) in self.plan.database().archives.iter().zip(&self.plan.objects) {
            if archive.holds != Holds::Rows
                && let Some(list) = self.only(object, &|entry| entry.starts_with(REFRESHED))?
            {
                self.stream(into, object, vec!["--section=post-data".to_owned(), list.word()], &|| {})?;
            }
        }
        Ok(())
    }

    /// Foreign keys that do not come, as lists begin that name them.
    fn ties(&self, into: &str) -> Result<Vec<String>, RestoreFault> {
        let ties = self.plan.database().some_rows.iter().flat_map(|some| &some.ties);
        let line = |Tie { schema, table, name }: &Tie| {
            // Behind its name stands the owner's, and either may have spaces.
            Ok(format!("FK CONSTRAINT {} {} ", self.listed(into, schema)?, self.listed(into, &format!("{table} {name}"))?))
        };
        ties.map(line).collect()
    }

    /// A name as the lists have it: in the dump's encoding, on one line.
    fn listed(&self, into: &str, name: &str) -> Result<String, RestoreFault> {
        let name = name.replace(['\n', '\r'], " ");
        if self.plan.database().encoding == encoding::UTF8 {
            return Ok(name);
        }
        Ok(listing::as_listed(&encoding::bytes(&mut self.plan.connect(into)?, &name)?))
    }

    /// What these were made into did not come with them. All of it is marked as changed, so that the next refresh of any time makes it.
    fn have_aggregates_made(&self, into: &str) -> Result<(), RestoreFault> {
        const MARK: &str = "insert into _timescaledb_catalog.continuous_aggs_materialization_invalidation_log \
            (materialization_id, lowest_modified_value, greatest_modified_value) \
            select mat_hypertable_id, -9223372036854775808, 9223372036854775807 from _timescaledb_catalog.continuous_agg \
            where pg_catalog.format('%I.%I', user_view_schema, user_view_name) = $1";
        let Some(some) = self.plan.database().some_rows.as_ref().filter(|_| self.plan.sections().contains(&DumpSection::Data)) else {
            return Ok(());
        };
        let mut connection = self.plan.connect(into)?;
        some.aggregates.iter().try_for_each(|name| connection.query(MARK, &[name]).map(drop).map_err(of))
    }

    /// What is wrong ends it, and only what somebody wants comes.
    fn command(&self, into: &str, more: Vec<String>) -> std::process::Command {
        let mut words = vec!["--exit-on-error".to_owned()];
        words.extend(self.plan.wanted.single_transaction.then(|| "--single-transaction".to_owned()));
        let mut command = self.command_of(into, words);
        command.args(self.plan.names.iter()).args(more);
        command
    }

    fn command_of(&self, into: &str, more: Vec<String>) -> std::process::Command {
        let (wanted, settings) = (&self.plan.wanted, &self.plan.settings);
        let mut words = vec!["--no-password".to_owned(), format!("--dbname={}", settings.dbname_argument(into))];
        words.extend(wanted.no_owner.then(|| "--no-owner".to_owned()));
        words.extend(wanted.no_privileges.then(|| "--no-privileges".to_owned()));
        words.extend(wanted.no_tablespaces.then(|| "--no-tablespaces".to_owned()));
        words.extend(more);
        let mut command = self.plan.programs.command("pg_restore", words);
        settings.environment(&settings.targets[0]).apply(&mut command);
        command
    }

    fn open(&self, object: &Object) -> Result<Box<dyn Read + '_>, RestoreFault> {
        let found = &self.plan.found;
        let checked = Checked::open(&found.store, &self.key(object), object.size, &object.sha256, &found.identities)?;
        let dump = self.plan.wanted.roles.over(&object.name, checked)?;
        if !self.plan.wanted.no_owner {
            return Ok(dump);
        }
        // Nobody would know that role, and no job would come for want of it.
        let is_there = |role: &str| self.plan.known_roles.contains(role);
        with_job_owners(&object.name, dump, move |role| (!is_there(role)).then(|| self.plan.settings.user.clone()))
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

/// Lines for `pg_restore`, for as long as this is there.
struct List(File);

impl List {
    fn of(lines: &[&str]) -> Result<List, RestoreFault> {
        let failed = |error: std::io::Error| PipelineFault::file("the list for pg_restore, in memory", error);
        let mut file = in_memory().map_err(failed)?;
        file.write_all((lines.join("\n") + "\n").as_bytes()).map_err(failed)?;
        Ok(List(file))
    }

    fn word(&self) -> String {
        format!("--use-list={}", path_in_memory(&self.0))
    }
}

/// The fault that made the others stop, and not one of those.
fn first_fault(done: Vec<Result<(), RestoreFault>>) -> Result<(), RestoreFault> {
    let mut faults: Vec<RestoreFault> = done.into_iter().filter_map(Result::err).collect();
    let own = faults.iter().position(|fault| fault.message != "it was interrupted").unwrap_or(0);
    if faults.is_empty() { Ok(()) } else { Err(faults.swap_remove(own)) }
}
