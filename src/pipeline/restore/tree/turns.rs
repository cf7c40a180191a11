//! Frames are fetched and opened by several workers at once, and what is in them is put in its place in their order.

use std::sync::{Condvar, Mutex, PoisonError};

use super::super::PipelineFault;
use super::super::feed::{Batch, Feed};
use super::runs::{Run, runs};

/// Hands out batches with their numbers, and lets one worker after the other go on.
pub(super) struct Turns<'s> {
    feed: Feed<'s>,
    given: Mutex<(u64, usize)>,
    next: Mutex<u64>,
    moved: Condvar,
    failure: Mutex<Option<PipelineFault>>,
}

/// What follows one another in a backup, with its places in the order of all.
pub(super) struct Numbered {
    pub number: u64,
    pub first_run: usize,
    pub runs: Vec<Run>,
    /// Without its frames: they are in the runs.
    pub batch: Batch,
}

impl<'s> Turns<'s> {
    pub(super) fn new(feed: Feed<'s>) -> Turns<'s> {
        Turns { feed, given: Mutex::default(), next: Mutex::default(), moved: Condvar::new(), failure: Mutex::default() }
    }

    pub(super) fn next(&self) -> Result<Option<Numbered>, PipelineFault> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut batch) = self.feed.next()? else { return Ok(None) };
        let runs = runs(&batch.key, std::mem::take(&mut batch.frames));
        let (number, first_run) = *given;
        *given = (number + 1, first_run + runs.len());
        Ok(Some(Numbered { number, first_run, runs, batch }))
    }

    /// Does the work when all before it is done; not at all when something failed.
    pub(super) fn in_turn(&self, number: u64, work: impl FnOnce() -> Result<(), PipelineFault>) -> Result<(), PipelineFault> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        while *next != number {
            if self.has_failed() {
                return Ok(());
            }
            next = self.moved.wait(next).unwrap_or_else(PoisonError::into_inner);
        }
        // Only the one whose turn it is comes here.
        work()?;
        *next += 1;
        self.moved.notify_all();
        Ok(())
    }

    pub(super) fn fail(&self, fault: PipelineFault) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.feed.stop();
        // Whoever is about to wait holds this lock.
        let _next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        self.moved.notify_all();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Every index was read to its end and found right, or why not.
    pub(super) fn finish(self) -> Result<(), PipelineFault> {
        match self.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(fault) => Err(fault),
            None => self.feed.finish().map(drop),
        }
    }
}
