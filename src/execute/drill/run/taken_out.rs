//! A drill of a few tables out of a physical backup: the private server that `restore --table` takes them from, made in the drill's own place.
//!
//! Of the cluster it has the catalogs of one database and these tables, and of everything else only the size. So nothing but the tables is asked
//! there, and how fast it was says nothing of a recovery of all of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::choose::{self, Goal};
use super::super::{DrillFault, Onlooker, Progress};
use super::{Run, Stopwatch, is_of_a_place};
use crate::execute::expect;
use crate::execute::table::source::{self, Held, Wanted};
use crate::execute::throwaway::Reached;
use crate::inventory::{Phase, RestoredTable};
use crate::plan::words::{joined, quoted};
use crate::policy::model::DrilledTables;
use crate::policy::sql_name;
use crate::units::Instant;

impl Run<'_> {
    pub(super) fn take_tables_out(&mut self, drilled: &DrilledTables, now: Instant) -> Result<(), DrillFault> {
        let goal = choose::choose(self.site, self.catalog, self.drill, self.wishes, now)?;
        let wanted = self.wanted(drilled, &goal)?;
        let Held { plan, ended, reached, place, flaws, unlogged, .. } = self.hold(&wanted, drilled, &goal)?;
        self.place = Some(place);
        self.reached = Some(reached.clone());
        self.note_reached(&ended, &plan);
        let is_new = |flaw: &String| !is_of_a_place(flaw) && !self.record.remarks.contains(flaw);
        let flaws: Vec<String> = flaws.into_iter().filter(is_new).collect();
        self.record.remarks.extend(flaws);
        self.must_go_on()?;
        if !unlogged.is_empty() {
            let message = format!("no backup has the rows of {}: they are not in the log", joined(unlogged.iter().map(quoted)));
            return Err(DrillFault::new(message, "Nothing could bring them back. `alter table … set logged` changes that."));
        }
        let log = self.judge_the_log(&plan, &goal);
        self.enter(Phase::Count);
        self.count_rows(drilled, &reached, &plan)?;
        self.enter(Phase::Expect);
        let met = self.examine(&plan, &reached);
        self.must_be_proven(log, Ok(()), met)?;
        let mut variables = reached.variables().to_vec();
        // What a database or a role has set would go before the copy's own settings.
        variables.extend(reached.options.map(|options| ("PGOPTIONS", options)));
        self.run_program(variables)?;
        self.must_be_in_time()
    }

    fn wanted(&self, drilled: &DrilledTables, goal: &Goal) -> Result<Wanted, DrillFault> {
        let tables = drilled.tables.iter().map(|table| source::TableName { schema: table.schema.clone(), name: table.name.clone() });
        Ok(Wanted {
            database: Some(drilled.database.clone()),
            backup: goal.backup.clone(),
            store: goal.store.clone(),
            identity: self.wishes.identity.clone(),
            directory: Some(self.base()?),
            programs: self.wishes.programs.clone(),
            workers: self.wishes.workers,
            copy: Some((self.record.id.clone(), self.purpose())),
            ..Wanted::new(tables.collect(), goal.target.clone())
        })
    }

    /// Fetches, replays and proves. The copy is gone when this fails.
    fn hold(&mut self, wanted: &Wanted, drilled: &DrilledTables, goal: &Goal) -> Result<Held, DrillFault> {
        let (site, progress, onlooker) = (self.site, self.progress, self.onlooker);
        let mut planned = timed(&mut self.watch, progress, onlooker, |onlooker| source::physical(site, wanted, onlooker))?;
        while self.waits_for_log(&planned.plan().chosen, goal)? {
            drop(planned);
            // On the clock of the wait.
            planned = source::physical(site, wanted, source::Onlooker { phase: &|_| {}, stop: onlooker.stop, progress })?;
        }
        self.note(planned.plan(), goal);
        self.note_tables(drilled);
        self.must_go_on()?;
        let (size, log) = (planned.size, planned.estimate.wal_bytes);
        let held = timed(&mut self.watch, progress, onlooker, |onlooker| planned.hold(onlooker))?;
        self.watch.end(None);
        self.watch.through(Phase::Files, size);
        self.watch.through(Phase::Replay, log);
        let busy = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        let files = &progress.files;
        self.watch.beside(Phase::Fetch, busy(&files.fetching), held.fetched);
        self.watch.beside(Phase::Open, busy(&files.opening), size);
        self.watch.beside(Phase::Write, busy(&files.writing), size);
        self.opened_by(&held.plan.identities);
        Ok(held)
    }

    fn note_tables(&mut self, drilled: &DrilledTables) {
        let of = |table: &crate::inventory::TableName| RestoredTable {
            database: drilled.database.clone(),
            table: table.to_string(),
            rows: None,
        };
        if let Some(restored) = &mut self.record.restored {
            restored.tables = drilled.tables.iter().map(of).collect();
        }
    }

    /// Every row is read once, also where nobody expects anything of it.
    fn count_rows(
        &mut self,
        drilled: &DrilledTables,
        reached: &Reached,
        plan: &crate::execute::restore::RestorePlan,
    ) -> Result<(), DrillFault> {
        let connect = |database: &str| reached.connect(database);
        for (at, table) in drilled.tables.iter().enumerate() {
            self.must_go_on()?;
            let name = format!("{}.{}", sql_name::quoted(&table.schema), sql_name::quoted(&table.name));
            let counted = expect::count_rows(&self.seen_as(plan, &connect), &drilled.database, &name);
            let rows = counted.map_err(|why| {
                let message = format!("the rows of {} cannot be read: {why}", quoted(table));
                DrillFault::new(message, "`seawall verify --deep` says whether the backup is whole; `--backup ID` drills another one.")
            })?;
            if let Some(restored) = &mut self.record.restored {
                restored.tables[at].rows = Some(rows);
            }
        }
        Ok(())
    }
}

/// Whoever watches the drill hears of each phase, and so does its clock.
pub(super) fn timed<T, F: Into<DrillFault>>(
    watch: &mut Stopwatch,
    progress: &Progress,
    onlooker: Onlooker<'_>,
    work: impl FnOnce(source::Onlooker<'_>) -> Result<T, F>,
) -> Result<T, DrillFault> {
    let watch = Mutex::new(watch);
    let phase = |phase: Phase| {
        watch.lock().unwrap_or_else(PoisonError::into_inner).enter(phase);
        (onlooker.phase)(phase);
    };
    work(source::Onlooker { phase: &phase, stop: onlooker.stop, progress }).map_err(Into::into)
}
