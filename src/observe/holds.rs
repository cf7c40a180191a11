use crate::format::layout::Repository;
use crate::inventory::{Hold, Observed};
use crate::store::{Fault, Meta, Store};
use crate::units::Instant;
use crate::world::parallel;

use super::width;

/// A hold is a name, a reason and what it selects.
const MAX_BYTES: usize = 1 << 20;

/// The holds that were placed in a store. It holds what lies in that store. One that cannot be read may hold anything, so then they are
/// unknown; and since nobody signs them, all that somebody who plants one can do is keep a backup longer.
pub fn holds(store: &Store, repository: &Repository) -> Result<Observed<Vec<Hold>>, Fault> {
    read(store, &store.list(&repository.prefix("holds"))?)
}

/// Those of them that were placed, or changed, at this second of the store's clock or later.
pub fn holds_since(store: &Store, repository: &Repository, since: Instant) -> Result<Observed<Vec<Hold>>, Fault> {
    let mut listed = store.list(&repository.prefix("holds"))?;
    listed.retain(|meta| meta.modified.as_second() >= since.as_second());
    read(store, &listed)
}

fn read(store: &Store, listed: &[Meta]) -> Result<Observed<Vec<Hold>>, Fault> {
    let mut holds = Vec::with_capacity(listed.len());
    let read = parallel::map_with(width(store), listed, &|meta| match store.get(&meta.key, MAX_BYTES) {
        Ok(json) => Ok(Some((&meta.key, serde_json::from_slice::<Hold>(&json)))),
        // Taken away since it was listed.
        Err(fault) if fault.is_absent() => Ok(None),
        Err(fault) => Err(fault),
    });
    for read in read {
        match read? {
            None => {}
            Some((_, Ok(hold))) => holds.push(hold),
            Some((key, Err(error))) => return Ok(Observed::unknown(format!("{key} cannot be read: {error}"))),
        }
    }
    Ok(Observed::Known(holds))
}
