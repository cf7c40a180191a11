//! The copies of a store, which are to have a backup before it goes there. Otherwise one that was away for some days would never get what
//! went meanwhile, and would seem to lack nothing: what nobody has any more is missed by nobody.
//!
//! A copy is looked at only when something would go that it may want.

use std::collections::{BTreeMap, BTreeSet};

use super::ground::Ground;
use crate::inventory::{Hold, Observed, StoreInventory};
use crate::observe::{Eyes, Seen, look_into};
use crate::plan::{Awaited, awaited};
use crate::site::{Site, SiteFault};
use crate::store::Store;
use crate::units::{BackupId, Instant, Name};

impl Ground {
    /// Of the backups that would go, those that a copy is to have first.
    pub(super) fn awaited(&self, site: &Site<'_>, going: &BTreeSet<&BackupId>) -> BTreeMap<BackupId, Awaited> {
        let (policy, now) = (site.policy, self.moment.rules);
        let mut all = BTreeMap::new();
        for to in policy.copy_stores().into_keys().filter(|to| **to != self.name) {
            let wanted = |there: &Observed<&StoreInventory>, placed: &Observed<Vec<Hold>>| {
                let mut wanted = awaited(policy, (&self.name, to), &self.seen.inventory, there, placed, now);
                wanted.retain(|id, _| going.contains(id));
                wanted
            };
            let may = wanted(&Observed::unknown("it was not looked at"), &self.seen.holds);
            if may.is_empty() {
                continue;
            }
            let wanted = match look(site, to, &may, self.moment.store) {
                Ok((there, holds)) => wanted(&Observed::Known(&there), &together(&self.seen.holds, holds)),
                Err(fault) => wanted(&Observed::unknown(fault.message), &self.seen.holds),
            };
            for (id, awaited) in wanted {
                all.entry(id).or_insert(awaited);
            }
        }
        all
    }
}

/// What lies in a copy, and what is held there. Of the backups that matter only those count that have all their objects.
fn look(
    site: &Site<'_>,
    name: &Name,
    matter: &BTreeMap<BackupId, Awaited>,
    now: Instant,
) -> Result<(StoreInventory, Observed<Vec<Hold>>), SiteFault> {
    let store = site.store(name)?;
    let Some(found) = site.find_repository(&store)? else {
        return Ok((StoreInventory::empty(), Observed::Known(Vec::new())));
    };
    let (writers, identities) = (site.writers()?, site.identities(None).unwrap_or_default());
    let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities: &identities, now };
    let mut seen = look_into(&store, found.repository, &eyes)?;
    let mut broken = BTreeSet::new();
    for id in matter.keys() {
        if !is_whole(&store, &seen, id)? {
            broken.insert(id.clone());
        }
    }
    seen.inventory.backups.retain(|backup| !broken.contains(&backup.id));
    Ok((seen.inventory, seen.holds))
}

/// It has as many objects, and as much in them, as its descriptor says.
fn is_whole(store: &Store, seen: &Seen, id: &BackupId) -> Result<bool, SiteFault> {
    let Some(repository) = &seen.repository else { return Ok(false) };
    let Some(listed) = seen.listed.iter().find(|listed| listed.id == *id) else { return Ok(false) };
    let said = seen.inventory.backups.iter().find(|backup| backup.id == *id).and_then(|backup| backup.stored_size);
    let objects = store.list(&repository.prefix(&format!("data/{id}")))?;
    let bytes: u64 = objects.iter().map(|meta| meta.size).sum();
    Ok(objects.len() == listed.objects && said.is_some_and(|said| said.bytes().get() == bytes))
}

fn together(here: &Observed<Vec<Hold>>, there: Observed<Vec<Hold>>) -> Observed<Vec<Hold>> {
    match (here, there) {
        (Observed::Known(here), Observed::Known(there)) => Observed::Known(here.iter().cloned().chain(there).collect()),
        (Observed::Unknown { reason }, _) => Observed::unknown(reason.clone()),
        (_, unknown) => unknown,
    }
}
