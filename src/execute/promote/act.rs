//! The procedure, step by step. What each step does stands in `before`, `after` and `note`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant as Clock};

use super::PromoteFault;
use super::claim::Claims;
use super::journal::Journal;
use super::plan::Plan;
use super::record::{Kind, Promotion, Stage, StepName, StepOutcome};
use crate::site::Site;
use crate::world::clock;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Who is told what happens, and who may ask to stop.
#[derive(Clone, Copy)]
pub struct Onlooker<'o> {
    pub say: &'o dyn Fn(&str),
    pub stop: &'o AtomicBool,
}

impl std::fmt::Debug for Onlooker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onlooker").field("stop", self.stop).finish_non_exhaustive()
    }
}

/// Does it, or goes on with it. With the fault comes how far it came, as soon as anything was begun.
pub fn carry_out(site: &Site<'_>, plan: Plan, onlooker: Onlooker<'_>) -> Result<Promotion, (PromoteFault, Option<Box<Promotion>>)> {
    let goes_on = plan.goes_on.is_some();
    let promotion = plan.goes_on.clone().unwrap_or_else(|| begun(site, &plan));
    let journal = Journal::begin(site, promotion, plan.before.as_ref()).map_err(|fault| (fault, None))?;
    let mut procedure = Procedure { site, plan, journal, onlooker, claims: Claims::default() };
    // One that is a standby yet begins anew, whatever it was told: the fence of then says nothing of now.
    let done = if goes_on && !procedure.plan.seen.in_recovery { procedure.finish() } else { procedure.whole() };
    procedure.journal.promotion.ended = Some(clock::now());
    procedure.note(done.as_ref().err());
    let promotion = procedure.journal.promotion;
    done.map_err(|fault| (fault, Some(Box::new(promotion.clone()))))?;
    Ok(promotion)
}

pub(super) fn begun(site: &Site<'_>, plan: &Plan) -> Promotion {
    Promotion {
        format_version: 1,
        policy: site.policy.name.to_string(),
        host: site.host().to_owned(),
        who: plan.wanted.who.clone(),
        kind: plan.kind,
        stage: Stage::Begun,
        server: plan.server.at.clone(),
        system_identifier: plan.seen.cluster,
        timeline_before: plan.seen.timeline,
        timeline: None,
        begun: clock::now(),
        ended: None,
        fencing: None,
        old_primary_at: plan.old_primary_at(),
        loss: plan.loss.clone(),
        steps: Vec::new(),
        remarks: Vec::new(),
        old_primary: Vec::new(),
        recorded: false,
    }
}

pub(super) struct Procedure<'p> {
    pub(super) site: &'p Site<'p>,
    pub(super) plan: Plan,
    pub(super) journal: Journal,
    pub(super) onlooker: Onlooker<'p>,
    /// Kept until the stores themselves say who the primary is.
    pub(super) claims: Claims,
}

impl Procedure<'_> {
    fn whole(&mut self) -> Result<(), PromoteFault> {
        self.step(StepName::Claim, |procedure| {
            procedure.claim()?;
            procedure.look_again()
        })?;
        self.step(StepName::Fence, Procedure::fence)?;
        self.step(StepName::Silence, Procedure::silence)?;
        self.step(StepName::Drain, Procedure::drain)?;
        if self.plan.kind == Kind::Switchover {
            self.step(StepName::Compare, Procedure::compare)?;
        }
        self.finish()
    }

    /// The same steps but for those that are about the world outside: other promotions, the old primary, the archive.
    pub(super) fn rehearsal(&mut self) -> Result<(), PromoteFault> {
        self.step(StepName::Fence, Procedure::fence)?;
        self.step(StepName::Drain, Procedure::drain)?;
        self.step(StepName::Promote, Procedure::promote)?;
        self.step(StepName::Check, Procedure::check)?;
        self.step(StepName::Announce, Procedure::announce)?;
        self.journal.reach(Stage::Done)
    }

    /// Telling the server, and what comes after it. Each of these can be done again.
    fn finish(&mut self) -> Result<(), PromoteFault> {
        if self.claims.is_empty() {
            let claimed = self.claim();
            // A server that is the primary already needs nobody's leave.
            if self.plan.seen.in_recovery {
                claimed?;
            }
        }
        if self.journal.promotion.stage < Stage::Promoted {
            self.step(StepName::Promote, Procedure::promote)?;
        }
        self.step(StepName::Check, Procedure::check)?;
        // It takes writes: nobody waits for a store that may be gone with the old primary before the application is led here.
        let announced = self.once(StepName::Announce, Procedure::announce);
        let archived = self.once(StepName::Archive, Procedure::archive);
        if archived.is_ok() {
            self.claims.release();
        }
        announced.and(archived)?;
        self.journal.reach(Stage::Done)
    }

    fn once(&mut self, name: StepName, work: impl FnOnce(&mut Self) -> Result<String, PromoteFault>) -> Result<(), PromoteFault> {
        if self.journal.promotion.is_done(name) { Ok(()) } else { self.step(name, work) }
    }

    fn step(&mut self, name: StepName, work: impl FnOnce(&mut Self) -> Result<String, PromoteFault>) -> Result<(), PromoteFault> {
        if self.is_stopped() {
            return Err(PromoteFault::stopped(&format!("was about to {}", name.says())));
        }
        self.journal.begin_step(name)?;
        let done = work(self);
        let (outcome, said) = match &done {
            Ok(said) => (StepOutcome::Done, said.clone()),
            Err(fault) => (StepOutcome::Failed, fault.message.clone()),
        };
        let kept = self.journal.end_step(outcome, &said);
        let seconds = self.journal.promotion.steps.last().and_then(|step| step.seconds).unwrap_or_default();
        if done.is_ok() {
            (self.onlooker.say)(&format!("{:<9} {said} ({seconds:.1} s)", name.as_str()));
        }
        done.and(kept)
    }

    fn is_stopped(&self) -> bool {
        self.onlooker.stop.load(Ordering::Relaxed)
    }

    /// Looks until something is so. Nothing is waited for without end.
    pub(super) fn until<T>(
        &mut self,
        doing: &str,
        patience: Duration,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>, PromoteFault>,
    ) -> Result<Option<T>, PromoteFault> {
        let began = Clock::now();
        loop {
            if let Some(found) = look(self)? {
                return Ok(Some(found));
            }
            if self.is_stopped() {
                return Err(PromoteFault::stopped(doing));
            }
            if began.elapsed() > patience {
                return Ok(None);
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}
