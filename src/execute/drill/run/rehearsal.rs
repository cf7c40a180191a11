//! The copy as a standby, and its promotion: the very steps of `seawall promote`, with programs of the drill's own, and nothing of it archived.

use std::thread;
use std::time::{Duration, Instant as Clock};

use super::super::{DrillFault, choose::Goal, judge};
use super::Run;
use crate::execute::extensions;
use crate::execute::promote::{self, Hooks, Promotion, Rehearsing, StepOutcome};
use crate::execute::restore::{Following, RestorePlan, Server, Standby, settings};
use crate::execute::throwaway::Reached;
use crate::inventory::{DrillReached, Phase, RehearsedPromotion, RehearsedStep};
use crate::policy::file::Rehearsal;
use crate::policy::sql_name;
use crate::units::{Instant, Lsn};

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// So long replay may stand still before it counts as stuck, and each thing of a promotion may take: as with `seawall promote`.
const PATIENCE: Duration = Duration::from_secs(300);
const TIMESCALEDB: &str = "timescaledb";

/// Without a slot: the primary must not keep log for what is gone tomorrow.
pub(super) fn standby(rehearsal: &Rehearsal) -> Standby {
    Standby { primary_conninfo: rehearsal.stream.clone(), slot: None }
}

/// What a copy that is asked while it recovers has otherwise: it must not be below the original in what recovery compares with the log.
pub(super) fn of_a_standby(set: &mut Vec<(String, String)>) {
    set.retain(|(name, _)| name != "max_worker_processes");
    for (name, value) in [("hot_standby", "on"), ("archive_command", "")] {
        set.push((name.to_owned(), value.to_owned()));
    }
}

/// It may have background workers, so nothing is loaded that would start some of its own. What a database cannot be entered without has
/// settings that keep it quiet.
pub(super) fn keep_quiet(plan: &mut RestorePlan) {
    let private = &plan.chosen.private;
    let recorded = private.settings.get("shared_preload_libraries").map(String::as_str).unwrap_or_default();
    let is_of_it = |library: &&str| library.rsplit('/').next() == Some(TIMESCALEDB);
    let loaded: Vec<String> = extensions::loaded(recorded).filter(is_of_it).map(sql_name::quoted).collect();
    let mut lines = vec![("shared_preload_libraries".to_owned(), loaded.join(", "))];
    lines.extend(settings::QUIET.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    plan.settings.extend(lines);
}

impl Run<'_> {
    /// A standby has no other moment than the newest.
    pub(super) fn must_be_for_a_standby(&self) -> Result<(), DrillFault> {
        if self.drill.promote.is_none() {
            return Ok(());
        }
        let why = format!("`drills.{}` rehearses a promotion, and a standby is promoted at the newest moment", self.name);
        self.must_want_no_moment(&why, "what it begins with")
    }

    pub(super) fn rehearse(
        &mut self,
        rehearsal: &Rehearsal,
        goal: &Goal,
        (plan, server): (&RestorePlan, &mut Server<'_>),
        port: u16,
    ) -> Result<(), DrillFault> {
        self.enter(Phase::Replay);
        let reached = Reached::of(self.place(), port, self.site.policy)?;
        let caught_up = self.catch_up((plan, server), &reached)?;
        self.watch.end(caught_up.map(|at| at.0.saturating_sub(plan.chosen.descriptor.position.stop.0)));
        self.enter(Phase::Promote);
        let rehearsing = Rehearsing {
            settings: reached.settings(&reached.database)?,
            hooks: Hooks::of_drill(self.name, rehearsal, self.place().id()),
            store: goal.store.clone(),
            patience: PATIENCE,
        };
        let onlooker = promote::Onlooker { say: &|step| tracing::info!("{step}"), stop: self.onlooker.stop };
        let promoted = promote::rehearse(self.site, rehearsing, onlooker);
        match promoted {
            Ok(promotion) => {
                self.note_promotion(&promotion);
                Ok(())
            }
            Err((fault, promotion)) => {
                promotion.iter().for_each(|promotion| self.note_promotion(promotion));
                self.must_go_on()?;
                Err(fault.into())
            }
        }
    }

    /// Until it is where the log ended when the drill began: a standby that is promoted has been there for long.
    fn catch_up(&self, (plan, server): (&RestorePlan, &mut Server<'_>), reached: &Reached) -> Result<Option<Lsn>, DrillFault> {
        let mut connection = reached.connect(&reached.database)?;
        let began = Clock::now();
        let mut at: (Option<Lsn>, Clock) = (None, Clock::now());
        loop {
            self.must_go_on()?;
            let asked = connection.query("select pg_catalog.pg_last_wal_replay_lsn()::text as at", &[]);
            let rows = asked.map_err(|fault| server.failed(&format!("the copy cannot be asked any more: {}", fault.message)))?;
            let lsn: Option<Lsn> = rows.one()?.parse_if("at")?;
            self.progress.follow(&Following { lsn, consistent: true, seconds: began.elapsed().as_secs_f64() });
            if plan.chosen.wal.is_empty() || judge::is_at_the_end(&plan.chosen, lsn) {
                return Ok(lsn);
            }
            if lsn != at.0 {
                at = (lsn, Clock::now());
            }
            if at.1.elapsed() > PATIENCE {
                let stands = lsn.map_or_else(String::new, |lsn| format!(" at {lsn}"));
                let to = plan.chosen.wal.last().map_or_else(String::new, |end| end.to.to_string());
                let minutes = PATIENCE.as_secs() / 60;
                let message = format!("replay stands{stands} for {minutes} minutes, and the archived log goes on to {to}");
                return Err(server.failed(&message).into());
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn note_promotion(&mut self, promotion: &Promotion) {
        let limit = judge::promotion_limit(self.site.policy, self.drill, &format!("drills.{}", self.name));
        let stopped = self.record.restored.as_ref().map(|restored| restored.stopped);
        let rehearsed = rehearsed(promotion, limit.map(|(limit, _)| limit.as_secs().saturating_mul(1000)), stopped);
        if let Some(timeline) = rehearsed.timeline {
            self.record.recovery_millis = Some(u64::try_from(self.watch.elapsed().as_millis()).unwrap_or(u64::MAX));
            let last_commit = promotion.loss.last_commit.or(self.record.reached.as_ref().and_then(|reached| reached.last_commit));
            self.record.reached = Some(DrillReached { lsn: rehearsed.replayed, timeline: Some(timeline), last_commit });
        } else {
            self.record.recovery_millis = None;
        }
        self.record.promotion = Some(rehearsed);
    }

    pub(super) fn must_be_promoted_in_time(&mut self) -> Result<(), DrillFault> {
        let limit = judge::promotion_limit(self.site.policy, self.drill, &format!("drills.{}", self.name));
        let (Some((limit, path)), Some(promotion)) = (limit, &self.record.promotion) else { return Ok(()) };
        if promotion.millis <= limit.as_secs().saturating_mul(1000) {
            return Ok(());
        }
        let took = promotion.millis as f64 / 1000.0;
        self.watch.enter(Phase::Promote);
        let hint = "Its steps say what took so long: the fence's program, the log that was still to be replayed, the promotion, the program after it.";
        Err(DrillFault::new(format!("the promotion took {took:.1} s, and `{path}` allows {limit}"), hint))
    }
}

/// For the drill's record.
fn rehearsed(promotion: &Promotion, within_millis: Option<u64>, stopped: Option<Instant>) -> RehearsedPromotion {
    let loss = &promotion.loss;
    let lost_bytes = loss.primary.zip(loss.replayed).map(|(primary, replayed)| primary.0.saturating_sub(replayed.0));
    let lost_millis = match lost_bytes {
        Some(0) => Some(0),
        // Where nothing was committed in the log behind the backup, nothing is older than its end.
        _ => loss.last_commit.or(stopped).map(|last| between(last, promotion.begun)),
    };
    let steps = promotion.steps.iter().map(|step| RehearsedStep {
        step: step.step.as_str().to_owned(),
        done: step.outcome == Some(StepOutcome::Done),
        millis: step.seconds.map_or(0, |seconds| (seconds * 1000.0) as u64),
        says: step.said.clone(),
    });
    RehearsedPromotion {
        timeline_before: promotion.timeline_before,
        timeline: promotion.timeline,
        replayed: loss.replayed,
        archived: loss.archives.iter().filter_map(|archived| archived.to).max(),
        millis: promotion.ended.map_or(0, |ended| between(promotion.begun, ended)),
        within_millis,
        lost_millis,
        lost_bytes,
        steps: steps.collect(),
    }
}

fn between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}
