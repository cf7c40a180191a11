//! A restore drill: a copy is restored as a recovery would restore it, judged, timed and removed.
//!
//! It is `restore`'s own plan that is made and carried out, so what a drill proves is what an incident will find. What it adds is a place of
//! its own for the copy, settings with which nothing of the copy reaches the original, a stopwatch, and the promise that nothing is left:
//! not after a failure, not after Ctrl-C, and after `kill -9` not for longer than until the next run on this host.

mod choose;
mod command;
mod elsewhere;
mod fault;
mod judge;
mod keep;
mod leftovers;
mod run;
mod stopwatch;
mod wishes;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::execute::id::new_id;
use crate::execute::throwaway;
use crate::inventory::{DrillRecord, Phase};
use crate::policy::model::Drill;
use crate::site::Site;
use crate::units::Name;
use crate::world::clock;

pub use crate::execute::throwaway::{Glance, Progress};
pub use elsewhere::{bring_all_in, bring_in};
pub use fault::DrillFault;
pub use leftovers::{kept, remove_kept, sweep};
pub use wishes::Wishes;

use run::Run;

const LOOK: Duration = Duration::from_millis(50);

/// Who watches a drill.
#[derive(Clone, Copy)]
pub struct Onlooker<'o> {
    /// A phase begins.
    pub phase: &'o (dyn Fn(Phase) + Sync),
    /// It went no further.
    pub failed: &'o (dyn Fn(&str) + Sync),
    pub stop: &'o AtomicBool,
}

impl std::fmt::Debug for Onlooker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onlooker").field("stop", self.stop).finish_non_exhaustive()
    }
}

/// What came of a drill.
#[derive(Debug)]
pub struct Drilled {
    pub record: DrillRecord,
    /// A copy that was left to be looked at.
    pub kept: Option<Kept>,
    /// It could not prove anything yet: the same may pass a little later.
    pub passing: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub folder: PathBuf,
    /// For `psql`, where its server runs.
    pub connect: Option<String>,
}

/// Runs one drill of the policy to its end, whatever that is; the end is in its record.
pub fn drill(
    site: &Site<'_>,
    catalog: Option<&Catalog>,
    name: &Name,
    drill: &Drill,
    wishes: &Wishes,
    onlooker: Onlooker<'_>,
) -> Result<Drilled, DrillFault> {
    sweep(site, catalog);
    let started = clock::now();
    let id = new_id(started)?;
    let late = AtomicBool::new(false);
    let stop = AtomicBool::new(false);
    let progress = wishes.progress.clone().unwrap_or_default();
    let ours = Onlooker { stop: &stop, ..onlooker };
    let drilled = thread::scope(|scope| {
        let (done, over) = mpsc::channel::<()>();
        let (stop, late, progress) = (&stop, &late, &*progress);
        scope.spawn(move || {
            let began = std::time::Instant::now();
            let limit = drill.timeout.map(|timeout| Duration::from_secs(timeout.as_secs()));
            while over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let too_late = limit.is_some_and(|limit| began.elapsed() >= limit);
                if too_late && !stop.load(Ordering::Relaxed) {
                    late.store(true, Ordering::Relaxed);
                }
                if too_late || onlooker.stop.load(Ordering::Relaxed) {
                    stop.store(true, Ordering::Relaxed);
                    progress.files.cancelled.store(true, Ordering::Relaxed);
                }
            }
        });
        // Of its own, because a priority that was lowered cannot be raised again; what it starts has the same.
        let work = scope.spawn(|| {
            throwaway::lower_priority(site);
            Run::new(site, catalog, name, drill, (wishes, progress), (ours, late), (id, started)).run()
        });
        let drilled = work.join();
        drop(done);
        drilled
    });
    let drilled = drilled.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    if let Some(catalog) = catalog {
        keep::on_record(catalog, &drilled.record);
    }
    Ok(drilled)
}
