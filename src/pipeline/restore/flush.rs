//! Writing back while the workers go on, so that the sync at the end finds little left to do.
//!
//! On a thread of its own: a worker that asked the kernel itself would wait for the disk instead of opening the next frame.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Ground, PipelineFault, Progress};

/// So much is written into the cache between two write-backs.
const EVERY: u64 = 96 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Syncs the data directory's file system again and again until it is `over`. An error is the restore's error.
pub(super) fn flush(ground: &Ground, progress: &Progress, over: &AtomicBool) -> Result<(), PipelineFault> {
    let fault = |error| PipelineFault::file(format!("`{}` cannot be written", ground.root.display()), error);
    let directory = File::open(&ground.root).map_err(fault)?;
    let mut flushed = 0;
    while !over.load(Ordering::Relaxed) {
        let cached = progress.cached.load(Ordering::Relaxed);
        if cached - flushed < EVERY {
            std::thread::park_timeout(LOOK_EVERY);
            continue;
        }
        flushed = cached;
        rustix::fs::syncfs(&directory).map_err(|error| fault(error.into()))?;
    }
    Ok(())
}
