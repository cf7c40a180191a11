use std::path::PathBuf;

use super::{Markers, WalFault};
use crate::format::codec::Codec;
use crate::format::layout::Repository;
use crate::format::signature::{SigningKey, Writers};
use crate::inventory::SystemIdentifier;
use crate::pipeline::Lock;
use crate::store::Store;
use crate::units::{Key, Name, WalFile};

/// Everything that archiving needs of a policy.
#[derive(Debug)]
pub struct Settings {
    /// The policy's store for the log first, then the copies.
    pub destinations: Vec<Destination>,
    /// Otherwise the first store's word is enough and the copies follow.
    pub acknowledged_by_all: bool,
    pub codec: Codec,
    /// To whom segments are locked.
    pub lock: Lock,
    /// To whom histories and labels of backups are locked: this host reads them again to know its timelines.
    pub history_lock: Lock,
    pub signing: SigningKey,
    pub writers: Writers,
    pub markers: Markers,
    /// What this host must not forget of the log.
    pub state: PathBuf,
    pub workers: usize,
}

/// A store that gets the log.
#[derive(Debug, Clone)]
pub struct Destination {
    pub name: Name,
    pub url: String,
    /// A store that cannot be opened today is still one that must have the log.
    pub place: Result<Place, WalFault>,
}

/// A store that was opened, and where in it this cluster's things lie.
#[derive(Debug, Clone)]
pub struct Place {
    pub store: Store,
    pub repository: Repository,
}

impl Settings {
    /// How the log is compressed. Where nothing is encrypted the stamp is a frame of the compressed file, so it must be one.
    pub(super) fn codec(&self) -> Codec {
        if self.codec == Codec::None && !self.lock.is_encrypted() { Codec::DEFAULT } else { self.codec }
    }

    pub(super) fn lock(&self, file: WalFile) -> &Lock {
        if matches!(file, WalFile::History(_) | WalFile::BackupLabel(..)) { &self.history_lock } else { &self.lock }
    }

    pub(super) fn key(&self, repository: &Repository, cluster: SystemIdentifier, file: WalFile) -> Key {
        repository.wal(cluster, file, self.codec(), self.lock.envelope())
    }
}

/// Stands for the set of stores that a marker was left for, and what acknowledged means: another policy, another digest.
pub fn destinations_digest<'u>(urls: impl IntoIterator<Item = &'u str>, acknowledged_by_all: bool) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(if acknowledged_by_all { b"all\n" } else { b"first\n" });
    for url in urls {
        hasher.update(&(url.len() as u64).to_le_bytes());
        hasher.update(url.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
