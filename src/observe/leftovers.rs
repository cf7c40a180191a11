use serde::Deserialize;

use super::descriptors::ReadAll;
use super::width;
use crate::format::layout::Repository;
use crate::inventory::{Backup, BackupKind, BackupState, Size};
use crate::store::{Fault, Store};
use crate::units::{BackupId, Instant, Name};
use crate::world::parallel;

/// A lease that was not renewed for so long is nobody's.
const LEASE_SECONDS: i64 = 15 * 60;
const MAX_LEASE: usize = 64 << 10;

/// Data without a descriptor: a backup that is being taken, or what is left of one that failed.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    pub backups: Vec<Backup>,
    pub bytes: u64,
}

/// What a lease says, as far as a list shows it. All of it is optional: it is a note, not a promise.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lease {
    job: Option<Name>,
    kind: Option<BackupKind>,
    started: Option<Instant>,
    label: Option<String>,
    parent: Option<BackupId>,
}

pub(super) fn look(store: &Store, repository: &Repository, folders: &[String], read: &ReadAll, now: Instant) -> Result<Leftovers, Fault> {
    let without: Vec<BackupId> =
        folders.iter().filter(|folder| !read.ids.contains(folder.as_str())).filter_map(|folder| folder.parse().ok()).collect();
    let found = parallel::map_with(width(store), &without, &|id| leftover(store, repository, id, now));
    let mut all = Leftovers::default();
    for found in found {
        if let Some((backup, bytes)) = found? {
            all.backups.push(backup);
            all.bytes += bytes;
        }
    }
    Ok(all)
}

fn leftover(store: &Store, repository: &Repository, id: &BackupId, now: Instant) -> Result<Option<(Backup, u64)>, Fault> {
    let objects = store.list(&repository.prefix(&format!("data/{id}")))?;
    let key = repository.backup_lease(id);
    let held = store.head(&key)?;
    let fresh = held.as_ref().is_some_and(|meta| now.as_second() - meta.modified.as_second() < LEASE_SECONDS);
    let lease = match held.map(|_| store.get(&key, MAX_LEASE)) {
        Some(Ok(json)) => serde_json::from_slice::<Lease>(&json).unwrap_or_default(),
        Some(Err(fault)) if !fault.is_absent() => return Err(fault),
        Some(Err(_)) | None => Lease::default(),
    };
    let times = || objects.iter().map(|meta| meta.modified);
    // An empty folder of a local store is nothing.
    let Some(first) = lease.started.or_else(|| times().min()).filter(|_| fresh || !objects.is_empty()) else { return Ok(None) };
    let bytes = objects.iter().map(|meta| meta.size).sum();
    let kind = lease.kind.filter(|kind| *kind != BackupKind::Incremental || lease.parent.is_some()).unwrap_or(BackupKind::Full);
    Ok(Some((
        Backup {
            id: id.clone(),
            // Nothing but the lease says of which job it is.
            job: lease.job.unwrap_or_else(|| "unknown".parse().expect("a name")),
            kind,
            state: if fresh { BackupState::Running } else { BackupState::Failed },
            parent: lease.parent.filter(|_| kind == BackupKind::Incremental),
            started: first,
            stopped: if fresh { None } else { times().max().map(|last| last.max(first)) },
            size: None,
            stored_size: Some(Size::new(bytes)),
            label: lease.label,
            keep: None,
            system_identifier: None,
            timeline: None,
            start_lsn: None,
            stop_lsn: None,
            verified_at: None,
        },
        bytes,
    )))
}
