//! What a run writes down. Writing must never stop what protects data: where the catalog does not take it, that is said once, and the
//! run is kept beside the state and brought in later.

use std::sync::Mutex;
use std::sync::PoisonError;

use super::unrecorded::{self, Unrecorded};
use crate::catalog::{Catalog, CatalogFault, End, NewRun, RunId, StepOutcome};
use crate::plan::Step;
use crate::site::Site;
use crate::units::Instant;

/// One run on record, or one that nobody could write down.
#[derive(Debug)]
pub(in crate::execute) struct Record<'r> {
    catalog: Option<&'r Catalog>,
    run: Option<RunId>,
    /// The first thing that could not be written.
    fault: Mutex<Option<CatalogFault>>,
}

impl<'r> Record<'r> {
    pub(in crate::execute) fn begin(catalog: Option<&'r Catalog>, new: &NewRun<'_>) -> Self {
        let record = Record { catalog, run: None, fault: Mutex::new(None) };
        let run = catalog.and_then(|catalog| record.kept(catalog.begin_run(new)));
        Record { run, ..record }
    }

    /// It is on record that this run began.
    pub(super) fn is_kept(&self) -> bool {
        self.run.is_some()
    }

    pub(super) fn begin_step(&self, number: usize, step: &Step, at: Instant) {
        tracing::info!(step = number + 1, "{}", step.says);
        if let (Some(catalog), Some(run)) = (self.catalog, self.run) {
            self.kept(catalog.begin_step(run, place(number), &step.action.word(), &step.says, at));
        }
    }

    pub(super) fn end_step(&self, number: usize, outcome: StepOutcome, message: Option<&str>, at: Instant) {
        if let (Some(catalog), Some(run)) = (self.catalog, self.run) {
            self.kept(catalog.end_step(run, place(number), outcome, message, at));
        }
    }

    /// The run has ended. What could not be recorded waits beside the state.
    pub(in crate::execute) fn end(&self, site: &Site<'_>, new: &NewRun<'_>, end: &End<'_>) {
        let ended = match (self.catalog, self.run) {
            (Some(catalog), Some(run)) => self.kept(catalog.end_run(run, end)),
            _ => None,
        };
        if ended.is_none()
            && let Err(error) = unrecorded::keep(site, &Unrecorded::of(self.run, new, end))
        {
            tracing::warn!("this run is on no record: {error}");
        }
    }

    fn kept<T>(&self, written: Result<T, CatalogFault>) -> Option<T> {
        match written {
            Ok(value) => Some(value),
            Err(fault) => {
                let mut first = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
                if first.is_none() {
                    tracing::warn!(hint = fault.hint, "the catalog does not take what happens: {}", fault.message);
                    *first = Some(fault);
                }
                None
            }
        }
    }
}

fn place(number: usize) -> u32 {
    u32::try_from(number + 1).unwrap_or(u32::MAX)
}
