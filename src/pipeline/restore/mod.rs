//! From a backup's parts to files. Workers share frames, not parts or files, so that all of them are busy to the end; each owns its
//! buffers. Memory does not grow with the number of files: indexes are read as streams, directories are made when a file needs
//! them, and few files are open at a time.
//!
//! **What is trusted, and why that is enough.** The descriptor is signed by a writer whom the policy names. It holds the SHA-256 of
//! every index as it lies in the store, and an index holds the BLAKE3 of every piece of every file. So each byte that is written was
//! vouched for by that writer, and the SHA-256 of the parts themselves need not be computed again: a part that was exchanged gives
//! pieces with other hashes. An index is believed while it is being read, because its hash is known only at its end; until that is
//! found right nothing in the directory can be started, since `pg_control` is still missing.
//!
//! **The order in which things become durable**: the old `pg_control` goes away and that is synced; then files are written; then what
//! the backup does not have is removed; then every file system is synced once; only then does `pg_control` get its name, and the
//! directory that holds it is synced. Whatever ends a restore before that leaves a directory that PostgreSQL does not start.

mod choice;
mod extras;
mod feed;
mod files;
mod flush;
mod ground;
mod parts;
#[cfg(test)]
mod tests;
pub mod tree;
mod work;

pub use choice::{Choice, Take};
pub use extras::{Extras, Names};
pub(super) use feed::bad_index;
pub use ground::{Ground, Owner, PG_CONTROL};
pub use parts::{PartSource, Source, object_key};

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::PipelineFault;
use feed::Feed;
use ground::Disks;

/// How the files are restored.
#[derive(Debug, Clone, Copy)]
pub struct How<'h> {
    pub workers: usize,
    /// What is there already and is right is left alone.
    pub delta: bool,
    /// Not all of it.
    pub only: Option<&'h dyn Choice>,
}

/// How far it is, for whoever watches.
#[derive(Debug, Default)]
pub struct Progress {
    /// Plain bytes that are in their place, written now or right before.
    pub done: AtomicU64,
    /// Plain bytes that were written.
    pub written: AtomicU64,
    /// Those of them that went into the system's cache, from where they must still go to the disk.
    pub cached: AtomicU64,
    /// Bytes of frames that were read from the store.
    pub fetched: AtomicU64,
    pub frames_fetched: AtomicU64,
    pub frames: AtomicU64,
    /// Nanoseconds that all workers together waited for the store.
    pub fetching: AtomicU64,
    /// Nanoseconds that they decrypted, expanded and compared hashes.
    pub opening: AtomicU64,
    /// Nanoseconds that they wrote.
    pub writing: AtomicU64,
    /// Set from outside to end it early.
    pub cancelled: AtomicBool,
}

impl Progress {
    fn add(counter: &AtomicU64, much: u64) {
        counter.fetch_add(much, Ordering::Relaxed);
    }

    fn spend(counter: &AtomicU64, time: Duration) {
        Progress::add(counter, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// The files are in their places, but for `pg_control`, which has another name until [`arm`].
#[derive(Debug)]
pub struct Restored {
    pub names: Names,
    /// For [`commit`].
    pub written: Written,
}

/// Where files were written that are not yet durable.
#[derive(Debug)]
pub struct Written(Disks);

/// Puts every file of the backup in its place, all but `pg_control`.
pub fn restore(source: &Source<'_>, ground: &Ground, how: How<'_>, progress: &Progress) -> Result<Restored, PipelineFault> {
    ground.make_directory(&ground.root)?;
    let disks = ground.hold()?;
    ground.disarm()?;
    let feed = Feed::new(source, how);
    let fault: Mutex<Option<PipelineFault>> = Mutex::new(None);
    let failed = |error: PipelineFault| {
        feed.stop();
        fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
    };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if how.only.is_none() {
            scope.spawn(|| flush::flush(ground, progress, &over).unwrap_or_else(&failed));
        }
        let workers: Vec<_> =
            // One more than there are processors for: somebody always waits for the disk.
            (0..=how.workers.max(1)).map(|_| scope.spawn(|| work::work(&feed, ground, how, progress).unwrap_or_else(&failed))).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                over.store(true, Ordering::Relaxed);
                std::panic::resume_unwind(panic);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    if let Some(fault) = fault.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(fault);
    }
    let (names, links) = feed.finish()?;
    // Links come last: nothing is ever written through one that the backup brought along.
    for (path, target) in links {
        ground.link(&path, &target)?;
    }
    Ok(Restored { names, written: Written(disks) })
}

/// Brings all of it to the disk. What is thrown away before the machine ends does without.
pub fn make_durable(ground: &Ground, written: Written) -> Result<(), PipelineFault> {
    written.0.sync(ground)
}

/// Gives `pg_control` its name, when everything else is durable: from here on the directory starts.
pub fn arm(ground: &Ground) -> Result<(), PipelineFault> {
    ground.arm()
}
