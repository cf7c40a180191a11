//! A drill of the tiers of data: a private server is made, and one database comes back into it tier by tier, as `restore --tier` does it.
//!
//! How soon all of it is there says nothing of a recovery that brings back everything at once; when each tier was usable is what its promise is
//! held against.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant as Clock;

use super::super::choose::Goal;
use super::super::{DrillFault, judge};
use super::dump::preloaded;
use super::taken_out::timed;
use super::{Chosen, Run, is_of_a_place, suits};
use crate::execute::dump::restore as dump;
use crate::execute::empty;
use crate::execute::restore::{self, Pin, TimelineChoice, directory, programs};
use crate::execute::throwaway::{self, Reached};
use crate::execute::tiers::{self, Moment, Onlooker, Plan, Usable, Wanted};
use crate::inventory::{DrilledTier, Phase};
use crate::plan::words::{joined, quoted};
use crate::policy::model::DrilledTiers;
use crate::postgres::{Connection, Settings};
use crate::recovery::Target;
use crate::units::{Instant, Name};
use crate::world::clock;

/// Each tier is opened in one step, which locks all that it has.
const LOCKS: (&str, &str) = ("max_locks_per_transaction", "1024");

impl Run<'_> {
    pub(super) fn bring_back_tiers(&mut self, drilled: &DrilledTiers, now: Instant) -> Result<(), DrillFault> {
        self.record.tiers = self.promised();
        let reached = match self.dump() {
            Some(job) => self.tiers_of_a_dump(&job.clone(), drilled, now)?,
            None => self.tiers_of_a_cluster(drilled, now)?,
        };
        self.run_command(&reached)?;
        self.must_be_in_time()?;
        let late = judge::late(&self.record.tiers);
        if late.is_empty() {
            return Ok(());
        }
        self.watch.enter(Phase::Load);
        let hint = "Name what is needed first in fewer and smaller tiers, dump in several pieces (`logical.jobs`), restore from a nearer store, or \
                    promise less.";
        Err(DrillFault::new(joined(late), hint))
    }

    /// Whatever order they are said in, all tiers of the database come in the end.
    fn promised(&self) -> Vec<DrilledTier> {
        let policy = self.site.policy;
        let of = |tier: Name| {
            let left = policy.left_of_tier(&tier);
            DrilledTier { tier, rows: None, millis: None, within_millis: left.map(|left| left.as_secs().saturating_mul(1_000)) }
        };
        self.drill.measures(policy).into_iter().map(of).collect()
    }

    fn tiers_of_a_dump(&mut self, job: &Name, drilled: &DrilledTiers, now: Instant) -> Result<Reached, DrillFault> {
        let found = self.choose_a_dump(job, now)?;
        let _pin = Pin::of(&found.store, &found.repository, &found.descriptor, "drill", self.site.host(), clock::now());
        let settings = self.make_server(&found)?;
        self.must_go_on()?;
        let of = dump::Wanted {
            backup: Some(found.descriptor.id.clone()),
            job: Some(job.clone()),
            store: Some(found.store_name.clone()),
            programs: Some(self.clients(&found)?.folder().to_owned()),
            ..self.of_tiers(drilled, &settings)
        };
        let loaded = self.load_tiers(&self.wanted_tiers(drilled, of, None));
        self.opened_by(&found.identities);
        loaded?;
        self.record.recovery_millis = Some(self.millis());
        self.enter(Phase::Expect);
        let reached = self.reached_in(drilled, &settings);
        self.examine_dump(&found, &reached)?;
        Ok(reached)
    }

    fn tiers_of_a_cluster(&mut self, drilled: &DrilledTiers, now: Instant) -> Result<Reached, DrillFault> {
        let Chosen { goal, base, plan, port } = self.choose_a_backup(now)?;
        let _pin = Pin::put(&plan, self.site.host(), clock::now());
        let (owner, account) = directory::server_account()?;
        suits::must_be_entered(&base, owner, &account)?;
        let bin = programs::find(self.wishes.programs.as_deref(), plan.chosen.descriptor.cluster.version / 10_000)?;
        let private = &plan.chosen.private;
        let extensions = private.extensions.get(&drilled.database).into_iter().flat_map(|all| all.keys()).map(String::as_str).collect();
        let loads = ("shared_preload_libraries".to_owned(), preloaded(&extensions, private));
        let settings = self.start_empty(&bin, vec![loads], port)?;
        // It comes back as it was, and not into one that is there.
        if drilled.database == "postgres" {
            Connection::connect(&settings)?.run("drop database postgres")?;
        }
        self.must_go_on()?;
        let of = dump::Wanted {
            backup: Some(plan.chosen.descriptor.id.clone()),
            store: goal.store.clone(),
            // What lies in it belongs to somebody.
            globals: true,
            programs: self.wishes.programs.clone(),
            ..self.of_tiers(drilled, &settings)
        };
        let loaded = self.load_tiers(&self.wanted_tiers(drilled, of, Some((&goal, &base))));
        self.opened_by(&plan.identities);
        let ended = loaded?.ok_or_else(|| DrillFault::new("the private server does not say where its log ended", ""))?;
        self.note_reached(&ended, &plan);
        let log = self.judge_the_log(&plan, &goal);
        self.enter(Phase::Expect);
        let reached = self.reached_in(drilled, &settings);
        let met = self.examine(&plan, &reached);
        self.must_be_proven(log, Ok(()), met)?;
        Ok(reached)
    }

    /// A server in the drill's place that has nothing yet, for what shall come back.
    pub(super) fn start_empty(&mut self, bin: &Path, more: Vec<(String, String)>, port: u16) -> Result<Settings, DrillFault> {
        let mut lines = throwaway::of_copy(self.place(), &self.record.id, port);
        if self.drill.tiers.is_some() {
            lines.push((LOCKS.0.to_owned(), LOCKS.1.to_owned()));
        }
        lines.extend(more);
        let (owner, _) = directory::server_account()?;
        self.place().prepare(owner)?;
        self.must_go_on()?;
        empty::start(self.place(), bin, owner, &lines)?;
        Ok(empty::settings_of(self.place().sockets(), port)?)
    }

    fn of_tiers(&self, drilled: &DrilledTiers, settings: &Settings) -> dump::Wanted {
        let port = settings.targets.first().map_or(0, |target| target.port);
        let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        dump::Wanted {
            from_database: Some(drilled.database.clone()),
            into: drilled.database.clone(),
            create: true,
            connection: Some(empty::connection(self.place().sockets(), port)),
            jobs: self.wishes.workers.unwrap_or_else(|| processors.min(8)),
            no_tablespaces: true,
            identity: self.wishes.identity.clone(),
            ..dump::Wanted::default()
        }
    }

    fn wanted_tiers(&self, drilled: &DrilledTiers, of: dump::Wanted, moment: Option<(&Goal, &Path)>) -> Wanted {
        Wanted {
            tiers: drilled.tiers.clone(),
            of,
            moment: Moment {
                target: moment.map_or(Target::Latest, |(goal, _)| goal.target.clone()),
                exclusive: false,
                timeline: TimelineChoice::Latest,
                is_said: moment.is_some(),
                directory: moment.map(|(_, base)| base.to_owned()),
                workers: self.wishes.workers,
            },
            at_once: true,
            is_rehearsal: true,
        }
    }

    /// Where the log ended, out of a physical backup.
    fn load_tiers(&mut self, wanted: &Wanted) -> Result<Option<restore::Reached>, DrillFault> {
        let (site, progress, onlooker) = (self.site, self.progress, self.onlooker);
        let of = |fault: tiers::Fault| DrillFault::new(fault.message, fault.hint);
        let plan: Plan<'_> =
            timed(&mut self.watch, progress, onlooker, |onlooker| tiers::plan(site, wanted, onlooker, clock::now()).map_err(of))?;
        self.must_go_on()?;
        let ended = plan.ended().cloned();
        self.enter(Phase::Load);
        let began = Clock::now().checked_sub(self.watch.elapsed()).unwrap_or_else(Clock::now);
        let came = Mutex::new(Vec::new());
        let usable = |tier: &Usable| {
            let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            came.lock().unwrap_or_else(PoisonError::into_inner).push((tier.tier.clone(), millis, tier.rows));
        };
        let bytes = AtomicU64::new(0);
        let begins = |_: &str| {};
        let watch = Onlooker { begins: &begins, usable: &usable, bytes: &bytes, progress, stop: onlooker.stop };
        let tiered = tiers::carry_out(plan, watch).map_err(of);
        self.watch.end(None);
        self.note_came(came.into_inner().unwrap_or_else(PoisonError::into_inner));
        self.must_go_on()?;
        let tiered = tiered?;
        self.watch.through(Phase::Load, tiered.bytes);
        let is_new = |remark: &String| !is_of_a_place(remark) && !self.record.remarks.contains(remark);
        let remarks: Vec<String> = tiered.remarks.into_iter().filter(is_new).collect();
        self.record.remarks.extend(remarks);
        if tiered.broken_keys.is_empty() {
            return Ok(ended);
        }
        let message = format!("rows that came back lead nowhere: {}", joined(tiered.broken_keys.iter().map(quoted)));
        Err(DrillFault::new(message, "A recovery would bring back the same. `--backup ID` drills another backup."))
    }

    /// In the order in which they came; what has not come stands behind.
    fn note_came(&mut self, came: Vec<(Option<Name>, u64, Option<u64>)>) {
        let mut all = std::mem::take(&mut self.record.tiers);
        for (name, millis, rows) in came {
            let Some(at) = name.and_then(|name| all.iter().position(|one| one.tier == name)) else { continue };
            let one = all.remove(at);
            self.record.tiers.push(DrilledTier { millis: Some(millis), rows, ..one });
        }
        self.record.tiers.append(&mut all);
    }

    fn reached_in(&mut self, drilled: &DrilledTiers, settings: &Settings) -> Reached {
        let reached = Reached {
            sockets: self.place().sockets().to_string_lossy().into_owned(),
            port: settings.targets.first().map_or(0, |target| target.port),
            user: empty::USER.to_owned(),
            database: drilled.database.clone(),
            options: None,
        };
        self.reached = Some(reached.clone());
        reached
    }
}
