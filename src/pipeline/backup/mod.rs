//! A cluster's files on their way into a store: listed, read in chunks by several workers, checked, hashed, compressed, and put
//! into parts in the order in which they were cut.

mod adopt;
mod copy;
mod cut;
mod fill;
mod intake;
mod lane;
mod leave_out;
mod listing;
mod pages;
mod part;
mod scan;
mod text;
pub mod tree;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use adopt::{Adopted, Left};
pub use copy::{Copied, Copy, SmallFile};
pub use intake::Intake;
pub use leave_out::pages_of;
pub use listing::{Listed, Listing};
pub use pages::Pages;
pub(super) use part::number as part_number;
pub use scan::scan;

use super::{Lock, PipelineFault};
use crate::format::codec::Codec;
use crate::format::tarball::Owner;
use crate::inventory::SystemIdentifier;
use crate::store::Store;
use crate::units::Key;

/// Reads a piece of a file, by its path, once more; false when it cannot.
pub type Again<'a> = &'a (dyn Fn(&str, u64, &mut [u8]) -> bool + Sync);

/// What is to be made of the files, and how.
pub struct Job<'j> {
    pub store: &'j Store,
    /// Where an object of this backup lies, by its name.
    pub key: &'j (dyn Fn(&str) -> Key + Sync),
    pub codec: Codec,
    /// Who may open the files.
    pub data_lock: &'j Lock,
    /// Who may open indexes and the manifest.
    pub index_lock: &'j Lock,
    pub workers: usize,
    /// How pages are looked at; not at all where they carry no checksums.
    pub pages: Option<Pages>,
    /// How a page of what somebody else sends is read once more; without it, it is judged as it came.
    pub again: Option<Again<'j>>,
    /// Bytes in a second.
    pub read_limit: Option<u64>,
    pub owner: Owner,
    /// Of the server.
    pub major: u32,
    pub cluster: SystemIdentifier,
    pub progress: &'j Progress,
    /// Told of each part that is complete and durable.
    pub put: &'j (dyn Fn(&Left) + Sync),
    /// Set by somebody who does not want it any more.
    pub stop: &'j AtomicBool,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("store", &self.store)
            .field("codec", &self.codec)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

/// How far it is, for those who watch.
#[derive(Debug, Default)]
pub struct Progress {
    pub total: AtomicU64,
    pub read: AtomicU64,
    pub stored: AtomicU64,
}

impl Progress {
    fn add(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    fn add_stored(&self, bytes: u64) {
        self.stored.fetch_add(bytes, Ordering::Relaxed);
    }
}
