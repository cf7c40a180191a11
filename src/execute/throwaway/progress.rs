//! How far a copy is, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::execute::restore::Following;
use crate::inventory::Phase;
use crate::pipeline::restore;
use crate::units::Lsn;

#[derive(Debug, Default)]
pub struct Progress {
    /// Of the files.
    pub files: restore::Progress,
    size: AtomicU64,
    now: Mutex<Now>,
}

#[derive(Debug, Clone, Default)]
struct Now {
    phase: Option<Phase>,
    following: Following,
    log: Option<(Lsn, Lsn)>,
}

/// A look at it.
#[derive(Debug, Clone)]
pub struct Glance {
    pub phase: Option<Phase>,
    /// Plain bytes that are in their place, of how many.
    pub done: u64,
    pub size: u64,
    pub following: Following,
    /// The stretch of the log that is replayed.
    pub log: Option<(Lsn, Lsn)>,
}

impl Progress {
    pub(in crate::execute) fn enter(&self, phase: Phase) {
        self.change(|now| now.phase = Some(phase));
    }

    pub(in crate::execute) fn expect(&self, size: u64, log: Option<(Lsn, Lsn)>) {
        self.size.store(size, Ordering::Relaxed);
        self.change(|now| now.log = log);
    }

    pub(in crate::execute) fn follow(&self, following: &Following) {
        self.change(|now| now.following = following.clone());
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn glance(&self) -> Glance {
        let Now { phase, following, log } = self.now.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Glance { phase, done: self.files.done.load(Ordering::Relaxed), size: self.size.load(Ordering::Relaxed), following, log }
    }
}
