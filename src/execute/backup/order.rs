//! What the policy says about a job, and what the caller wishes.

use std::path::PathBuf;
use std::time::Duration;

use super::BackupFault;
use crate::format::codec::Codec;
use crate::inventory::OwnKeep;
use crate::plan::room_needed;
use crate::policy::file::{DamagedPages, ReadBack, ReadFrom};
use crate::policy::model::{Method, Policy, StoreKind};
use crate::site::Site;
use crate::units::{self, Bytes, Name, Rate};

/// What the caller of a backup wishes beside what the policy says.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    pub label: Option<String>,
    pub keep: Option<OwnKeep>,
    /// Also while another host seems to be at it, and by a clock that seems to be wrong.
    pub force: bool,
    /// Not from what a broken-off backup left, and on no earlier one.
    pub anew: bool,
}

/// A job of the policy that copies the cluster.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub job: Name,
    pub store: Name,
    /// Where the log is archived; none where a backup brings its own.
    pub wal_store: Option<Name>,
    pub from: Option<ReadFrom>,
    pub workers: usize,
    pub read_limit: Option<Rate>,
    pub damaged_pages: DamagedPages,
    pub read_back: ReadBack,
    pub codec: Codec,
    pub data_directory: Option<PathBuf>,
    /// The store's directory, if it is one, and whether it may be on the cluster's own disk.
    pub local: Option<(PathBuf, bool)>,
    /// What the first backup is taken to need.
    pub first_needs: Option<Bytes>,
    pub timeout: Option<Duration>,
}

impl Order {
    pub(super) fn of(site: &Site<'_>, job: &Name) -> Result<Order, BackupFault> {
        let policy = site.policy;
        let backup = policy.backups.get(job).ok_or_else(|| {
            let known: Vec<&str> = policy.backups.keys().map(Name::as_str).collect();
            BackupFault::refused(format!("the policy has no backup `{job}`"), format!("It has: {}.", known.join(", ")))
        })?;
        let physical = match &backup.method {
            Method::Physical(physical) => physical,
            Method::Incremental { of, .. } => {
                let message = format!("backups.{job}: incremental backups cannot be taken yet");
                return Err(BackupFault::refused(message, format!("Take a full one: `seawall backup {of}`.")));
            }
            other => {
                let message = format!("backups.{job}: a backup of the kind `{}` cannot be taken yet", other.as_str());
                return Err(BackupFault::refused(message, "Physical and logical ones and those of files can."));
            }
        };
        let store = backup
            .store
            .clone()
            .ok_or_else(|| BackupFault::refused(format!("backups.{job} names no store"), format!("Add `backups.{job}.store`.")))?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Order {
            job: job.clone(),
            wal_store: policy.wal.as_ref().map(|wal| wal.store.clone()),
            from: physical.from,
            workers: physical.workers.map_or((processors / 2).max(1), usize::from),
            read_limit: physical.read_limit,
            damaged_pages: physical.damaged_pages.unwrap_or(DamagedPages::Mark),
            read_back: backup.read_back,
            codec: site.codec(Some(job)),
            data_directory: policy.file.cluster.as_ref().and_then(|cluster| cluster.data_directory.as_ref()).map(PathBuf::from),
            local: local(policy, &store),
            first_needs: room_needed(policy, backup),
            timeout: backup.timeout.map(patience),
            store,
        })
    }
}

/// The store's directory, if it is one, and whether it may be on the cluster's own disk.
pub(in crate::execute) fn local(policy: &Policy, store: &Name) -> Option<(PathBuf, bool)> {
    match &policy.stores.get(store)?.kind {
        StoreKind::Local(local) => Some((PathBuf::from(&local.path), local.other_device == Some(false))),
        _ => None,
    }
}

pub(in crate::execute) fn patience(timeout: units::Duration) -> Duration {
    Duration::try_from(timeout.to_signed()).unwrap_or(Duration::MAX)
}
