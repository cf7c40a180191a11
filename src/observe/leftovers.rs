use super::descriptors::ReadAll;
use super::width;
use crate::format::layout::Repository;
use crate::format::lease::{Lease, MAX_BYTES, is_stale};
use crate::inventory::{Backup, BackupKind, BackupState, Size};
use crate::store::{Fault, Store};
use crate::units::{BackupId, Instant};
use crate::world::parallel;

/// Data without a descriptor: a backup that is being taken, or what is left of one that failed.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    pub backups: Vec<Backup>,
    pub bytes: u64,
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
    let fresh = held.as_ref().is_some_and(|meta| !is_stale(meta.modified, now));
    let lease = match held.map(|_| store.get(&key, MAX_BYTES)) {
        Some(Ok(json)) => Lease::read(&json),
        Some(Err(fault)) if !fault.is_absent() => return Err(fault),
        Some(Err(_)) | None => None,
    };
    let times = || objects.iter().map(|meta| meta.modified);
    // An empty folder of a local store is nothing.
    let Some(first) = lease.as_ref().map(|lease| lease.started).or_else(|| times().min()).filter(|_| fresh || !objects.is_empty()) else {
        return Ok(None);
    };
    let bytes = objects.iter().map(|meta| meta.size).sum();
    Ok(Some((
        Backup {
            id: id.clone(),
            // Nothing but the lease says of which job it is.
            job: lease.map_or_else(|| "unknown".parse().expect("a name"), |lease| lease.job),
            kind: BackupKind::Full,
            state: if fresh { BackupState::Running } else { BackupState::Failed },
            parent: None,
            started: first,
            stopped: if fresh { None } else { times().max().map(|last| last.max(first)) },
            size: None,
            stored_size: Some(Size::new(bytes)),
            label: None,
            keep: None,
            system_identifier: None,
            timeline: None,
            start_lsn: None,
            stop_lsn: None,
            verified_at: None,
            carries_log: false,
            storage_class: None,
            scope: None,
        },
        bytes,
    )))
}
