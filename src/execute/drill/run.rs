//! One drill, from the choice of what is restored to the removal of the copy.

mod by_tiers;
mod dump;
mod files;
mod rehearsal;
mod suits;
mod tables;
mod taken_out;
mod wait;

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::choose::Goal;
use super::keep::Beside;
use super::stopwatch::Stopwatch;
use super::{DrillFault, Drilled, Kept, Onlooker, Progress, Wishes, choose, command, judge};
use crate::alert::allowed;
use crate::catalog::Catalog;
use crate::evidence::{recipient_key, recipients};
use crate::execute::restore::{self, Following, Pin, Request, RestorePlan, Server, programs};
use crate::execute::throwaway::{self, Place, Purpose, Reached};
use crate::execute::{expect, extensions};
use crate::format::seal::{Identities, Used};
use crate::inventory::{DrillFailure, DrillOutcome, DrillReached, DrillRecord, Expected, Phase, Restored};
use crate::observe::WAL_POSITION;
use crate::plan::minute;
use crate::policy::model::Drill;
use crate::recovery::Target;
use crate::site::Site;
use crate::units::{BackupId, Instant, Lsn, Name, Timeline};
use crate::world::clock;

/// Further back nobody looks for where the server's log was.
const LATELY: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);

/// One drill on its way.
pub(super) struct Run<'r> {
    site: &'r Site<'r>,
    catalog: Option<&'r Catalog>,
    name: &'r Name,
    drill: &'r Drill,
    wishes: &'r Wishes,
    progress: &'r Progress,
    onlooker: Onlooker<'r>,
    /// It is asked to end because its own time is up.
    late: &'r AtomicBool,
    watch: Stopwatch,
    record: DrillRecord,
    place: Option<Place>,
    beside: Option<Beside>,
    reached: Option<Reached>,
    /// It went no further for a reason that may pass.
    passing: bool,
}

/// Which backup comes back, and where.
struct Chosen {
    goal: Goal,
    base: PathBuf,
    plan: RestorePlan,
    /// Of the server that will run there.
    port: u16,
}

impl<'r> Run<'r> {
    pub(super) fn new(
        site: &'r Site<'r>,
        catalog: Option<&'r Catalog>,
        name: &'r Name,
        drill: &'r Drill,
        (wishes, progress): (&'r Wishes, &'r Progress),
        (onlooker, late): (Onlooker<'r>, &'r AtomicBool),
        (id, started): (BackupId, Instant),
    ) -> Run<'r> {
        let limit = judge::limit(site.policy, drill, &format!("drills.{name}"));
        let record = DrillRecord {
            format_version: DrillRecord::FORMAT_VERSION,
            id,
            policy: site.policy.name.clone(),
            drill: Some(name.clone()),
            definition: Some(drill.definition.clone()),
            host: site.host().to_owned(),
            started,
            ended: started,
            outcome: DrillOutcome::Passed,
            failure: None,
            restored: None,
            reached: None,
            phases: Vec::new(),
            recovery_millis: None,
            within_millis: limit.map(|(limit, _)| limit.as_secs().saturating_mul(1000)),
            expectations: Vec::new(),
            command: None,
            promotion: None,
            canary: None,
            opened_with: None,
            opened_with_part: None,
            tiers: Vec::new(),
            chosen: wishes.choices(drill),
            remarks: Vec::new(),
        };
        Run {
            site,
            catalog,
            name,
            drill,
            wishes,
            progress,
            onlooker,
            late,
            watch: Stopwatch::start(),
            record,
            place: None,
            beside: None,
            reached: None,
            passing: false,
        }
    }

    pub(super) fn run(mut self) -> Drilled {
        (self.onlooker.phase)(Phase::Prepare);
        self.progress.enter(Phase::Prepare);
        let end = catch_unwind(AssertUnwindSafe(|| self.go()))
            .unwrap_or_else(|_| Err(DrillFault::new("this is a fault of seawall itself", "Please report it with the message in the log.")));
        if let Err(fault) = end {
            self.went_no_further(fault);
        }
        let kept = self.clear_away();
        self.watch.end(None);
        self.record.phases = self.watch.phases();
        self.record.ended = clock::now().max(self.record.started);
        if self.beside.is_none() && self.record.outcome == DrillOutcome::Failed {
            self.beside = Beside::newest(self.site, &choose::sources(self.site, self.drill, self.wishes));
        }
        if let Some(beside) = &self.beside {
            match beside.put(self.site, &self.record) {
                Ok(None) => {}
                Ok(Some(why)) => self.record.remarks.push(format!("no other host believes its record beside the backup: {why}")),
                Err(fault) => self.record.remarks.push(format!("it is not on record beside its backup: {}", fault.message)),
            }
        }
        Drilled { record: self.record, kept, passing: self.passing }
    }

    /// What a recovery does, and then what proves that it did.
    fn go(&mut self) -> Result<(), DrillFault> {
        let now = clock::now();
        if let Some(tiers) = &self.drill.tiers {
            return self.bring_back_tiers(tiers, now);
        }
        if let Some(job) = self.dump() {
            return self.bring_back_a_dump(job, now);
        }
        if let Some(job) = self.files() {
            return self.bring_back_files(job, now);
        }
        if let Some(tables) = &self.drill.tables {
            return self.take_tables_out(tables, now);
        }
        self.must_be_for_a_standby()?;
        let Chosen { goal, plan, port, .. } = self.choose_a_backup(now)?;
        self.place().prepare(plan.directory.owner)?;
        let mut server = Server::prepare(&plan, self.wishes.programs.as_deref())?;
        self.must_go_on()?;

        self.copy(&plan)?;
        self.opened_by(&plan.identities);
        // The log is needed for as long as it is replayed.
        let pin = Pin::put(&plan, self.site.host(), clock::now());
        self.recover(&plan, &mut server)?;
        if let Some(rehearsal) = &self.drill.promote {
            self.rehearse(rehearsal, &goal, (&plan, &mut server), port)?;
        }
        drop(pin);
        let log = self.judge_the_log(&plan, &goal);

        self.enter(Phase::Expect);
        let reached = Reached::of(self.place(), port, self.site.policy)?;
        self.reached = Some(reached.clone());
        let canary = self.look_at_the_canary(&plan, &goal, &reached);
        let met = self.examine(&plan, &reached);
        self.must_be_proven(log, canary, met)?;
        self.run_command(&reached)?;
        self.must_be_in_time()
    }

    /// When it was chosen what comes back: with what was waited for, later than the drill's own beginning.
    fn begun(&self) -> Instant {
        let waited = jiff::SignedDuration::try_from(self.watch.waited()).unwrap_or_default();
        self.record.started.checked_add(waited).unwrap_or(self.record.started)
    }

    fn place(&self) -> &Place {
        self.place.as_ref().expect("made before anything is restored")
    }

    /// Since the beginning.
    fn millis(&self) -> u64 {
        u64::try_from(self.watch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn enter(&mut self, phase: Phase) {
        self.watch.enter(phase);
        self.tell(phase);
    }

    fn tell(&self, phase: Phase) {
        self.progress.enter(phase);
        if let Some(place) = &self.place {
            place.at(phase);
        }
        (self.onlooker.phase)(phase);
    }

    fn is_asked_to_end(&self) -> bool {
        self.onlooker.stop.load(Ordering::Relaxed)
    }

    fn must_go_on(&self) -> Result<(), DrillFault> {
        if self.is_asked_to_end() { Err(DrillFault::new("it was asked to end", "")) } else { Ok(()) }
    }

    /// A backup and where in the log it ends, with a place to put it and the plan that brings it there.
    fn choose_a_backup(&mut self, now: Instant) -> Result<Chosen, DrillFault> {
        let goal = choose::choose(self.site, self.catalog, self.drill, self.wishes, now)?;
        let base = self.base()?;
        let place = Place::make(self.site, &base, &self.record.id, self.purpose())?;
        let port = throwaway::free_port()?;
        let request = self.request(&goal, &place, port)?;
        self.place = Some(place);
        let mut plan = restore::plan(self.site, request, now)?;
        while self.waits_for_log(&plan.chosen, &goal)? {
            plan = restore::plan(self.site, plan.request, clock::now())?;
        }
        if self.drill.promote.is_some() {
            rehearsal::keep_quiet(&mut plan);
        }
        self.must_suit(&plan, &base)?;
        self.note(&plan, &goal);
        Ok(Chosen { goal, base, plan, port })
    }

    fn base(&self) -> Result<PathBuf, DrillFault> {
        let base = self.drill.directory.as_ref().map_or_else(|| throwaway::usual(self.site), PathBuf::from);
        let base = std::path::absolute(&base).map_err(|error| DrillFault::new(format!("`{}`: {error}", base.display()), ""))?;
        throwaway::refuse_the_original(self.site, &base, &self.purpose())?;
        Ok(base)
    }

    fn purpose(&self) -> Purpose {
        Purpose::Drill(self.name.clone(), self.record.chosen.clone())
    }

    /// What must be so before anything is fetched.
    fn must_suit(&self, plan: &RestorePlan, base: &Path) -> Result<(), DrillFault> {
        let (descriptor, purpose) = (&plan.chosen.descriptor, self.purpose());
        let major = descriptor.cluster.version / 10_000;
        throwaway::must_suit(self.site, plan, base, &purpose)?;
        let programs = programs::find(self.wishes.programs.as_deref(), major)?;
        extensions::must_be_here(&programs, major, &plan.chosen.private)?;
        Ok(throwaway::must_have_room(base, descriptor.size, plan.estimate.wal_bytes, &purpose)?)
    }

    fn request(&self, goal: &Goal, place: &Place, port: u16) -> Result<Request, DrillFault> {
        let absolute =
            |path: &Path| std::path::absolute(path).map_err(|error| DrillFault::new(format!("`{}`: {error}", path.display()), ""));
        let file =
            self.site.file().ok_or_else(|| DrillFault::new("the policy's file is not known, and the server reads its log by it", ""))?;
        let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut set = throwaway::of_copy(place, &self.record.id, port);
        if self.drill.promote.is_some() {
            rehearsal::of_a_standby(&mut set);
        }
        Ok(Request {
            target: goal.target.clone(),
            exclusive: false,
            timeline: restore::TimelineChoice::Latest,
            backup: goal.backup.clone(),
            store: goal.store.clone(),
            directory: place.data(),
            tablespaces: Vec::new(),
            delta: false,
            standby: self.drill.promote.as_ref().map(rehearsal::standby),
            identity: self.wishes.identity.as_deref().map(absolute).transpose()?,
            owner: None,
            workers: self.wishes.workers.unwrap_or_else(|| processors.min(8)),
            action: restore::Action::Promote,
            config_to: None,
            set,
            start: true,
            fetch: restore::FetchCommand {
                program: std::env::current_exe().map_err(|error| DrillFault::new(format!("our own program is not found: {error}"), ""))?,
                policy: absolute(file)?,
                state: self.site.given_state().map(absolute).transpose()?,
            },
            throw_away: Some(place.tablespaces()),
        })
    }

    /// What is known once there is a plan.
    fn note(&mut self, plan: &RestorePlan, goal: &Goal) {
        let descriptor = &plan.chosen.descriptor;
        self.record.restored = Some(Restored {
            job: descriptor.job.clone(),
            store: plan.chosen.store_name.clone(),
            backup: descriptor.id.clone(),
            kind: descriptor.kind,
            stopped: descriptor.stopped,
            size: descriptor.size,
            stored_size: Some(descriptor.stored_size),
            postgres: version(descriptor.cluster.version),
            target: if let Target::Time(at) = &goal.target { Some(*at) } else { None },
            tables: Vec::new(),
            scope: None,
        });
        self.beside =
            Some(Beside { store: plan.chosen.store.clone(), repository: plan.chosen.repository.clone(), backup: descriptor.id.clone() });
        self.record.remarks.extend(goal.passed_over.iter().cloned());
        let log = plan.chosen.wal.first().zip(plan.chosen.wal.last()).map(|(first, last)| (first.from, last.to));
        self.progress.expect(descriptor.size, log);
        self.record.remarks.extend(plan.warnings.iter().filter(|warning| !is_of_a_place(warning)).cloned());
    }

    /// The recipient whose identity has opened it: what was only at hand proves nothing.
    fn opened_by(&mut self, identities: &Identities) {
        let of_policy = recipients(self.site.policy);
        let mut used: Vec<Used> = identities.used();
        used.iter_mut().for_each(|used| used.key = recipient_key(&used.key));
        let Some(first) = used.iter().find(|used| of_policy.contains(&used.key)).or(used.first()) else { return };
        // Its newest part stands last: what an older one opens besides says less.
        let newest = used.iter().rfind(|used| used.key == first.key).unwrap_or(first);
        (self.record.opened_with, self.record.opened_with_part) = (Some(newest.key.clone()), newest.part.clone());
    }

    fn copy(&mut self, plan: &RestorePlan) -> Result<(), DrillFault> {
        self.watch.enter_measured(Phase::Files);
        self.tell(Phase::Files);
        let files = &self.progress.files;
        let report = restore::carry_out(self.site, plan, files)?;
        let busy = |nanos: &std::sync::atomic::AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let parts = [
            (Phase::Files, seconds(report.seconds.files), Some(report.written)),
            (Phase::Fetch, busy(&files.fetching), Some(report.fetched)),
            (Phase::Open, busy(&files.opening), Some(report.written)),
            (Phase::Write, busy(&files.writing), Some(report.written)),
            (Phase::Sync, seconds(report.seconds.sync), Some(files.cached.load(Ordering::Relaxed))),
        ];
        self.watch.split(Phase::Prepare, &parts, Phase::Consistent);
        self.must_go_on()
    }

    fn recover(&mut self, plan: &RestorePlan, server: &mut Server<'_>) -> Result<(), DrillFault> {
        self.enter(Phase::Consistent);
        let began = std::time::Instant::now();
        server.start()?;
        let mut consistent: Option<Duration> = None;
        let (progress, stop) = (self.progress, self.onlooker.stop);
        let recovered = server.follow(&mut |following: &Following| {
            progress.follow(following);
            if following.consistent && consistent.is_none() {
                consistent = Some(began.elapsed());
                self.tell(Phase::Replay);
            }
            !stop.load(Ordering::Relaxed)
        });
        // By the server's own words where it was faster than anybody looked.
        let own = recovered.as_ref().ok().and_then(|recovered| recovered.consistent).and_then(|at| Duration::try_from_secs_f64(at).ok());
        let whole = began.elapsed();
        let position = plan.chosen.descriptor.position;
        let to_consistent = Some(position.stop.0.saturating_sub(position.start.0));
        match consistent.or(own.filter(|_| recovered.is_ok())) {
            Some(at) => {
                let at = at.min(whole);
                let to = recovered.as_ref().ok().and_then(|recovered| recovered.reached.lsn);
                let replayed = to.map(|to| to.0.saturating_sub(position.stop.0));
                let parts = [(Phase::Consistent, at, to_consistent), (Phase::Replay, whole.saturating_sub(at), replayed)];
                self.watch.split(Phase::Consistent, &parts, Phase::Replay);
                if consistent.is_none() {
                    self.tell(Phase::Replay);
                }
            }
            None => self.watch.end(None),
        }
        self.must_go_on()?;
        let reached = recovered?.reached;
        self.note_reached(&reached, plan);
        if let Some(said) = &reached.ended_by {
            self.record.remarks.push(format!("the last segment is not whole: replay ended where PostgreSQL said `{said}`"));
        }
        Ok(())
    }

    fn note_reached(&mut self, reached: &restore::Reached, plan: &RestorePlan) {
        self.record.recovery_millis = Some(self.millis());
        self.record.reached = Some(DrillReached {
            lsn: reached.lsn,
            timeline: Some(reached.timeline.and_then(NonZero::new).map(Timeline).unwrap_or(plan.chosen.timeline)),
            last_commit: reached.committed(),
        });
    }

    /// Of the newest moment: replay has really gone to the end of what is archived. Gives why that proves nothing, where nothing was archived
    /// after the backup; a heartbeat row may still be the proof.
    fn must_have_come_back(&self, plan: &RestorePlan, goal: &Goal) -> Result<Option<DrillFault>, DrillFault> {
        if !goal.newest {
            return Ok(None);
        }
        let reached: Option<Lsn> = self.record.reached.as_ref().and_then(|reached| reached.lsn);
        if !judge::is_at_the_end(&plan.chosen, reached) {
            let end = plan.chosen.wal.last().map_or_else(String::new, |end| end.to.to_string());
            let at = reached.map_or_else(|| "an unknown position".to_owned(), |at| at.to_string());
            return Err(DrillFault::new(format!("replay ended at {at}, and the archived log goes on to {end}"), ""));
        }
        Ok((!judge::goes_beyond_the_backup(&plan.chosen)).then(|| judge::nothing_behind(self.site.policy)))
    }

    fn judge_the_log(&self, plan: &RestorePlan, goal: &Goal) -> Result<Option<DrillFault>, DrillFault> {
        let cut_short = self.must_have_come_back(plan, goal)?;
        self.must_hold_what_was_written(plan, goal)?;
        Ok(cut_short)
    }

    /// What is wrong with the log goes before what is wrong with the rows, and is told after all of them were looked at.
    fn must_be_proven(
        &mut self,
        log: Result<Option<DrillFault>, DrillFault>,
        canary: Result<(), DrillFault>,
        met: Result<(), DrillFault>,
    ) -> Result<(), DrillFault> {
        let of_log = match log {
            Ok(cut_short) => {
                canary?;
                cut_short.filter(|_| !judge::is_proven(self.record.canary.as_ref()))
            }
            Err(fault) => Some(fault),
        };
        match of_log {
            Some(fault) => {
                self.watch.enter(Phase::Replay);
                Err(fault)
            }
            None => met,
        }
    }

    /// A store that has lost its newest log leads to its own end and knows of nothing behind it. The server was seen to be further.
    fn must_hold_what_was_written(&self, plan: &RestorePlan, goal: &Goal) -> Result<(), DrillFault> {
        let (Some(may_lack), Some(catalog)) = (self.may_lack(plan, goal), self.catalog) else { return Ok(()) };
        let policy = self.site.policy.name.as_str();
        let archived_by = self.begun() - may_lack.to_signed();
        // Where the record does not say it, nobody knows.
        let positions = catalog.series(policy, WAL_POSITION, "", archived_by - LATELY).unwrap_or_default();
        let Some(lacking) = judge::lacks(&plan.chosen, &positions, archived_by) else { return Ok(()) };
        Err(DrillFault::new(
            format!(
                "the log in the store ends at {}, and at {} the server had written up to {}: what was written in between has not come back",
                lacking.end,
                minute(lacking.at),
                lacking.written
            ),
            "See `seawall wal status`, and whether `archive_command` still ships into this store. Take a backup now: nothing else holds it.",
        ))
    }

    /// How much of the newest moment may be missing: what is promised, and what a segment may wait until it is full. None where nobody says it.
    fn may_lack(&self, plan: &RestorePlan, goal: &Goal) -> Option<crate::units::Duration> {
        let policy = self.site.policy;
        let wal = policy.wal.as_ref().filter(|_| goal.newest)?;
        let of_scenario = self.drill.scenario(policy).filter(|(_, scenario)| !self.drill.promotes_for(scenario));
        // What is copied elsewhere comes there later, and how much later it may be only a scenario says.
        let is_first = plan.chosen.store_name == wal.store;
        let of_all = || policy.objectives.rpo.or_else(|| Some(allowed::wal_lag(policy)?.value)).filter(|_| is_first);
        let promised = of_scenario.and_then(|(_, scenario)| scenario.rpo).or_else(of_all)?;
        Some(promised + wal.timeout)
    }

    fn look_at_the_canary(&mut self, plan: &RestorePlan, goal: &Goal, reached: &Reached) -> Result<(), DrillFault> {
        if self.site.policy.file.canary.is_none() || matches!(goal.target, Target::Immediate(_)) {
            return Ok(());
        }
        let owed = expect::Owed {
            stop: plan.chosen.descriptor.position.stop,
            stopped: plan.chosen.descriptor.stopped,
            until: if let Target::Time(at) = &goal.target { *at } else { self.begun() },
            archived: plan.chosen.archived_until,
            written: self.written(),
            may_lack: self.may_lack(plan, goal),
        };
        // Before a position that was asked for, no row is owed by any time.
        let is_timed = matches!(goal.target, Target::Time(_) | Target::Latest);
        let connect = |database: &str| reached.connect(database);
        let copy = self.seen_as(plan, &connect);
        match expect::canary(self.site.policy, &copy, &owed) {
            Ok(proof) => self.record.canary = proof,
            Err(why) if is_timed => {
                let hint = "Is the log archived whole, and does `seawall watch` run? `seawall wal status` says how far the log goes.";
                return Err(DrillFault::new(why, hint));
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// When the heartbeat row was last written, as far as anybody knows.
    fn written(&self) -> Option<Instant> {
        expect::canary_written(self.catalog?, self.site.policy).ok()?
    }

    fn seen_as<'c>(
        &'c self,
        plan: &'c RestorePlan,
        connect: &'c (dyn Fn(&str) -> Result<crate::postgres::Connection, crate::postgres::Fault> + Sync),
    ) -> expect::Copy<'c> {
        let last = self.record.reached.as_ref().and_then(|reached| reached.last_commit);
        let recovered_to = match &plan.request.target {
            Target::Time(at) => *at,
            _ => last.unwrap_or(plan.chosen.descriptor.stopped),
        };
        expect::Copy { connect, recovered_to, private: &plan.chosen.private, stop: self.onlooker.stop }
    }

    fn examine(&mut self, plan: &RestorePlan, reached: &Reached) -> Result<(), DrillFault> {
        let connect = |database: &str| reached.connect(database);
        let expectations = expect::examine(self.drill, &self.seen_as(plan, &connect));
        self.must_be_met(expectations)
    }

    fn must_be_met(&mut self, expectations: Vec<Expected>) -> Result<(), DrillFault> {
        self.record.expectations = expectations;
        self.must_go_on()?;
        match judge::unmet(&self.record.expectations) {
            Some(what) => Err(DrillFault::new(what, "`--keep` leaves the copy to be looked at. A recovery would bring back the same.")),
            None => Ok(()),
        }
    }

    /// What is restored has one moment only.
    fn must_want_no_moment(&self, why: &str, backup_chooses: &str) -> Result<(), DrillFault> {
        if self.wishes.target.is_none() && !self.wishes.random {
            return Ok(());
        }
        Err(DrillFault::new(why, format!("Leave `--time`, `--lsn` and `--random` away; `--backup ID` chooses {backup_chooses}.")))
    }

    fn run_command(&mut self, reached: &Reached) -> Result<(), DrillFault> {
        self.run_program(reached.variables().to_vec())
    }

    fn run_program(&mut self, mut variables: Vec<(&'static str, String)>) -> Result<(), DrillFault> {
        let Some(program) = &self.drill.run else { return Ok(()) };
        self.enter(Phase::Command);
        variables.extend([
            ("SEAWALL_POLICY", self.record.policy.to_string()),
            ("SEAWALL_DRILL", self.name.to_string()),
            ("SEAWALL_BACKUP", self.record.restored.as_ref().map_or_else(String::new, |restored| restored.backup.to_string())),
        ]);
        let end = command::run(program, &variables, self.place(), self.onlooker.stop);
        let failed = judge::of_command(&end);
        self.record.command = Some(end);
        self.must_go_on()?;
        let hint = format!("The end of what it said is in the record; `drills.{}.run` names it, and `--keep` leaves the copy.", self.name);
        failed.map_or(Ok(()), |what| Err(DrillFault::new(what, hint)))
    }

    /// Last, so that a recovery that is too slow has still been shown to be right.
    fn must_be_in_time(&mut self) -> Result<(), DrillFault> {
        self.must_be_promoted_in_time()?;
        let limit = judge::limit(self.site.policy, self.drill, &format!("drills.{}", self.name));
        let (Some((limit, path)), Some(took)) = (limit, self.record.recovery_millis) else { return Ok(()) };
        if took <= limit.as_secs().saturating_mul(1000) {
            return Ok(());
        }
        let took = took as f64 / 1000.0;
        self.watch.enter(Phase::Replay);
        let hint = "Its phases say what took so long. Take backups more often so that less log is replayed, restore with more workers or \
                    from a nearer store, or promise less.";
        Err(DrillFault::new(format!("the recovery took {took:.1} s, and `{path}` allows {limit}"), hint))
    }

    fn went_no_further(&mut self, fault: DrillFault) {
        let phase = self.watch.phase();
        let limit = self.drill.timeout.filter(|_| self.late.load(Ordering::Relaxed));
        let (outcome, fault) = match (self.is_asked_to_end(), limit) {
            // A recovery that takes longer than it may is one that failed; that somebody ended it says nothing of it.
            (true, Some(limit)) => {
                let message = format!("it was stopped after {limit}, as `drills.{}.timeout` says", self.name);
                (DrillOutcome::Failed, DrillFault::new(message, "Find out what took so long from its phases, or give it more time."))
            }
            (true, None) => (DrillOutcome::Stopped, DrillFault::new("it was asked to end", "")),
            (false, _) if fault.passing => (DrillOutcome::Stopped, fault),
            // A server of a few tables is gone by then, and whoever made it has said what may serve.
            (false, _) if self.drill.tables.is_some() && self.place.is_none() => (DrillOutcome::Failed, fault),
            (false, _) => (DrillOutcome::Failed, fault.in_a_drill(phase)),
        };
        (self.onlooker.failed)(&fault.message);
        self.passing = fault.passing && !self.is_asked_to_end();
        self.record.outcome = outcome;
        self.record.failure = Some(DrillFailure { phase, message: fault.message, hint: fault.hint });
    }

    /// Whatever happened. What cannot be removed is a failure of its own: a drill leaves nothing behind.
    fn clear_away(&mut self) -> Option<Kept> {
        let place = self.place.take();
        let mut place = place?;
        if self.wishes.keep {
            let connect = self.reached.as_ref().map(|at| format!("psql -h {} -p {} -U {} {}", at.sockets, at.port, at.user, at.database));
            return Some(Kept { folder: place.keep(), connect });
        }
        self.watch.enter(Phase::Remove);
        self.progress.enter(Phase::Remove);
        place.at(Phase::Remove);
        (self.onlooker.phase)(Phase::Remove);
        if let Err(fault) = place.remove() {
            match &self.record.failure {
                Some(_) => self.record.remarks.push(fault.message),
                None => {
                    (self.onlooker.failed)(&fault.message);
                    self.record.outcome = DrillOutcome::Failed;
                    self.record.failure = Some(DrillFailure { phase: Phase::Remove, message: fault.message, hint: fault.hint });
                }
            }
        }
        None
    }
}

/// Of the places that a plan speaks of nothing is left.
fn is_of_a_place(warning: &str) -> bool {
    warning.starts_with("configuration lay outside")
}

fn version(number: u32) -> String {
    format!("{}.{}", number / 10_000, number % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_postgresql_counts_them() {
        assert_eq!((version(150_014), version(180_001)), ("15.14".to_owned(), "18.1".to_owned()));
    }
}
