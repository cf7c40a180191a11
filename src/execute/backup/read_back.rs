//! What the store gives back is what it was given.

use std::sync::atomic::AtomicBool;

use super::watch::Watch;
use super::{BackupFault, Run};
use crate::format::descriptor::Object;
use crate::format::layout::Repository;
use crate::observe;
use crate::pipeline::{PipelineFault, hash_object};
use crate::store::Store;
use crate::units::BackupId;
use crate::world::parallel;

impl Run<'_> {
    pub(super) fn read_back(&self, objects: &[Object]) -> Result<(), BackupFault> {
        let deadline = self.order.timeout.and_then(|timeout| self.began.checked_add(timeout));
        let watch = Watch { stop: self.onlooker.stop, abort: &AtomicBool::new(false), deadline, held: None };
        read_back((self.store, self.repository), &self.basis.id, objects, &|| watch.check())
    }
}

/// Every byte of every object, held against the hash of what was sent. `check` may end it.
pub(in crate::execute) fn read_back(
    (store, repository): (&Store, &Repository),
    id: &BackupId,
    objects: &[Object],
    check: &(dyn Fn() -> Result<(), BackupFault> + Sync),
) -> Result<(), BackupFault> {
    let read = parallel::map_with(observe::width(store), objects, &|object| {
        let key = repository.data(id, &object.name);
        match hash_object(store, &key, object.size, &mut |_| check().is_ok()) {
            Ok(sha256) if sha256 == object.sha256 => Ok(()),
            Ok(sha256) => {
                let message = format!("{key} does not read back as it was written: its SHA-256 is {sha256} instead of {}", object.sha256);
                let hint = "Something between here and the store's disk changes what passes through it: memory, a controller, the disk.";
                Err(BackupFault::refused(message, hint))
            }
            Err(PipelineFault::Interrupted) => check(),
            Err(fault) => Err(fault.into()),
        }
    });
    read.into_iter().collect()
}
