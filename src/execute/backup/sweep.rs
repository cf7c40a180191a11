//! Whoever removes what a backup left says so first, and looks only then whether it is complete; whoever completes a backup looks afterwards whether
//! somebody said so, and takes it back. So one of the two sees the other, however long either was asleep between any two of its steps: a
//! complete backup whose data somebody is still about to remove cannot be.
//!
//! Every one says it in a name of his own, and takes back only that. Of one who was killed it stays: it may be that he is only asleep. It does
//! no harm to a backup that was complete before, and is tidied up when there are no data any more that could be completed.

use bytes::Bytes;

use crate::format::layout::Repository;
use crate::store::{Fault, Store, fresh_name};
use crate::units::{BackupId, Key};

/// Somebody removes what lies there of a backup without a descriptor.
#[derive(Debug)]
pub(in crate::execute) struct Sweep<'s> {
    store: &'s Store,
    repository: &'s Repository,
    backup: &'s BackupId,
    key: Key,
}

impl<'s> Sweep<'s> {
    /// From here on it cannot be completed. What keeps it must be asked after this.
    pub(in crate::execute) fn announce(store: &'s Store, repository: &'s Repository, backup: &'s BackupId) -> Result<Sweep<'s>, Fault> {
        let key = repository.sweep(backup, &fresh_name());
        store.replace(&key, Bytes::from_static(b"{}"))?;
        Ok(Sweep { store, repository, backup, key })
    }

    /// Something keeps it after all.
    pub(in crate::execute) fn call_off(self) -> Result<(), Fault> {
        self.store.withdraw(&[self.key])
    }

    /// All of it is gone, so nobody can complete it any more, whatever others said.
    pub(in crate::execute) fn end(self) -> Result<(), Fault> {
        let all: Vec<Key> = self.store.list(&self.repository.sweeps(self.backup))?.into_iter().map(|meta| meta.key).collect();
        self.store.withdraw(&all)
    }
}

/// Somebody has begun to remove what lies there of it, or is about to.
pub(in crate::execute) fn is_swept(store: &Store, repository: &Repository, backup: &BackupId) -> Result<bool, Fault> {
    Ok(!store.list(&repository.sweeps(backup))?.is_empty())
}

/// Removes what was said by those who were killed, of backups that have no data any more.
pub(in crate::execute) fn tidy(store: &Store, repository: &Repository) -> Result<(), Fault> {
    let said = store.folders(&repository.prefix("leases/sweeps"))?;
    if said.is_empty() {
        return Ok(());
    }
    let with_data = store.folders(&repository.prefix("data"))?;
    for backup in said.iter().filter(|id| !with_data.contains(id)).filter_map(|id| id.parse::<BackupId>().ok()) {
        let all: Vec<Key> = store.list(&repository.sweeps(&backup))?.into_iter().map(|meta| meta.key).collect();
        store.withdraw(&all)?;
    }
    Ok(())
}
