//! What waits on this host, and how long it still can.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::debt::{self, Refused};
use super::{data_directory, ready};
use crate::inventory::SystemIdentifier;
use crate::units::{Instant, WalFile};

/// The log on its way, as it is on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// In the order in which PostgreSQL will ask for them.
    pub files: Vec<WalFile>,
    pub bytes: u64,
    /// When the oldest of them was last written.
    pub since: Option<Instant>,
    /// What copies are owed where the first store's word was enough, by store.
    pub owed: BTreeMap<String, OwedFiles>,
    /// What is free where `pg_wal` lies, for who may write there.
    pub free: Option<u64>,
}

/// What a copy's store is to get yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwedFiles {
    pub files: usize,
    /// So many of them no waiting brings there.
    pub refused: usize,
    /// Why, for the first of these.
    pub why: Option<Refused>,
}

/// Looks at a data directory and at this host's notes.
pub fn waiting(data: &Path, state: &Path, cluster: SystemIdentifier) -> std::io::Result<Waiting> {
    let wal = data.join("pg_wal");
    let files = ready::ready(&wal)?;
    let about: Vec<fs::Metadata> = files.iter().filter_map(|file| fs::metadata(wal.join(file.to_string())).ok()).collect();
    let since: Option<SystemTime> = about.iter().filter_map(|about| about.modified().ok()).min();
    let mut owed: BTreeMap<String, OwedFiles> = BTreeMap::new();
    for one in debt::owed(state, cluster) {
        let of = owed.entry(one.store).or_default();
        of.files += 1;
        of.refused += usize::from(one.refused.is_some());
        of.why = of.why.take().or(one.refused);
    }
    let free = rustix::fs::statvfs(&wal).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    Ok(Waiting {
        bytes: about.iter().map(fs::Metadata::len).sum(),
        since: since.and_then(|time| Instant::try_from(time).ok()),
        files,
        owed,
        free,
    })
}

/// A data directory is where the environment says, where the policy says, or where we stand.
pub fn usual_data_directory(of_policy: Option<&str>) -> Option<PathBuf> {
    let given = std::env::var_os("PGDATA").map(PathBuf::from);
    [given, of_policy.map(PathBuf::from), Some(PathBuf::from("."))]
        .into_iter()
        .flatten()
        .find(|data| data.join("global/pg_control").is_file() && data_directory(&data.join("pg_wal/x")).is_some())
}
