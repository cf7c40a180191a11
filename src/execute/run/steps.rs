//! The steps of a plan, as they are gone through.

use std::sync::{Mutex, PoisonError};

use super::record::Record;
use crate::catalog::StepOutcome;
use crate::plan::{Action, Step};
use crate::world::clock;

/// Where in its steps a run is.
#[derive(Debug)]
pub(super) struct Steps<'r> {
    steps: &'r [Step],
    record: &'r Record<'r>,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    /// The step that is under way.
    at: Option<usize>,
    /// Where the next one is looked for.
    next: usize,
}

impl<'r> Steps<'r> {
    pub(super) fn new(steps: &'r [Step], record: &'r Record<'r>) -> Self {
        Steps { steps, record, now: Mutex::default() }
    }

    /// The next step of this kind begins, which ends the one before. Those between them were done on the way.
    pub(super) fn enter(&self, wanted: impl Fn(&Action) -> bool) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let from = now.next;
        let Some(found) = self.steps.iter().skip(from).position(|step| wanted(&step.action)).map(|at| from + at) else { return };
        let at = clock::now();
        if let Some(before) = now.at {
            self.record.end_step(before, StepOutcome::Succeeded, None, at);
        }
        for passed in from..found {
            self.record.begin_step(passed, &self.steps[passed], at);
            self.record.end_step(passed, StepOutcome::Succeeded, None, at);
        }
        self.record.begin_step(found, &self.steps[found], at);
        *now = Now { at: Some(found), next: found + 1 };
    }

    /// This very step begins, also where some before it come later.
    pub(super) fn begin(&self, wanted: impl Fn(&Action) -> bool) {
        let Some(found) = self.steps.iter().position(|step| wanted(&step.action)) else { return };
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        self.record.begin_step(found, &self.steps[found], clock::now());
        *now = Now { at: Some(found), next: now.next.max(found + 1) };
    }

    /// The last step of this kind begins, whatever of those before it was done.
    pub(super) fn skip_to_last(&self, wanted: impl Fn(&Action) -> bool) {
        let Some(found) = self.steps.iter().rposition(|step| wanted(&step.action)) else { return };
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        self.record.begin_step(found, &self.steps[found], clock::now());
        *now = Now { at: Some(found), next: found + 1 };
    }

    /// The step that is under way has ended; why, where it did not go well.
    pub(super) fn end(&self, outcome: StepOutcome, message: Option<&str>) {
        if let Some(now) = self.now.lock().unwrap_or_else(PoisonError::into_inner).at.take() {
            self.record.end_step(now, outcome, message, clock::now());
        }
    }
}
