//! What is there, asked for by the comparison. What is not known is said to be unknown, never taken for nothing.

use super::consequence::{Existing, ExistingBackup};
use crate::inventory::{Backup, ClusterInventory, Hold, Observed, StoreInventory, Timelines};
use crate::units::{Instant, Name};

#[derive(Debug, Clone, Copy)]
pub struct World<'p> {
    pub inventory: Option<&'p ClusterInventory>,
    pub now: Instant,
}

impl<'p> World<'p> {
    pub fn store(&self, name: &Name) -> Result<&'p StoreInventory, String> {
        let Some(inventory) = self.inventory else { return Err("no inventory was given".into()) };
        match inventory.stores.get(name) {
            None => Err(format!("the inventory does not speak of the store `{name}`")),
            Some(Observed::Unknown { reason }) => Err(format!("`{name}` could not be seen: {}", super::words::plain(reason))),
            Some(Observed::Known(store)) => Ok(store),
        }
    }

    pub fn timelines(&self) -> Timelines {
        self.inventory.map(ClusterInventory::timelines).unwrap_or_default()
    }

    /// The backups in these stores that fit, with what becomes of each. Unknown as soon as one store is.
    pub fn existing(&self, stores: &[&Name], fits: impl Fn(&Backup) -> bool, before: &str, after: &str) -> Existing {
        let mut found = Vec::new();
        for name in stores {
            match self.store(name) {
                Err(reason) => return Existing::unknown(reason),
                Ok(store) => {
                    let fitting = store.backups.iter().filter(|backup| fits(backup));
                    found.extend(fitting.map(|backup| existing_backup(backup, name, before.into(), after.into())));
                }
            }
        }
        Existing::known(found)
    }

    /// Holds placed at run time, where they are known.
    pub fn placed_holds(&self) -> &'p [Hold] {
        self.inventory.and_then(|inventory| inventory.holds.known()).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn holds_are_unknown(&self) -> bool {
        self.inventory.is_some_and(|inventory| inventory.holds.known().is_none())
    }
}

pub fn existing_backup(backup: &Backup, store: &Name, before: String, after: String) -> ExistingBackup {
    ExistingBackup {
        id: backup.id.clone(),
        job: backup.job.clone(),
        store: store.clone(),
        moment: backup.moment(),
        size: backup.stored_size.or(backup.size),
        before,
        after,
    }
}
