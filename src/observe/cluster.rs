use std::collections::BTreeMap;

use super::{Seen, look};
use crate::inventory::{ClusterInventory, Hold, Observed, SystemIdentifier};
use crate::site::{Site, SiteFault};
use crate::units::{Instant, Name};
use crate::world::parallel;

/// What was seen of one policy's cluster.
#[derive(Debug)]
pub struct SeenCluster {
    pub inventory: ClusterInventory,
    /// More of each store, or why it could not be looked at.
    pub stores: BTreeMap<Name, Result<Seen, SiteFault>>,
}

/// What can be known from the stores alone: neither the database nor the catalog is asked.
pub fn cluster(site: &Site<'_>, now: Instant) -> SeenCluster {
    let names: Vec<&Name> = site.policy.stores.keys().collect();
    let seen = parallel::map_with(names.len().min(8), &names, &|name| site.store(name).and_then(|store| look(site, &store, now)));
    let stores: BTreeMap<Name, Result<Seen, SiteFault>> = names.into_iter().cloned().zip(seen).collect();
    let newest = newest(&stores);
    let observed = stores.iter().map(|(name, seen)| {
        let store = match seen {
            Ok(seen) => seen.clone().observed(),
            Err(fault) => Observed::unknown(fault.message.clone()),
        };
        (name.clone(), store)
    });
    let inventory = ClusterInventory {
        repository: stores.values().flatten().find_map(|seen| seen.repository.as_ref().map(ToString::to_string)),
        system_identifier: newest.map_or_else(not_asked, |(_, cluster)| Observed::Known(cluster)),
        postgres_version: newest.map_or_else(not_asked, |(version, _)| Observed::Known(spelled(version))),
        cluster_size: Observed::unknown("the database was not asked; only the stores were looked at"),
        stores: observed.collect(),
        measured: Observed::unknown("the catalog was not asked; only the stores were looked at"),
        proven: None,
        holds: placed(&stores),
        timescaledb: BTreeMap::new(),
        server: None,
    };
    SeenCluster { inventory, stores }
}

/// Those of all stores. Where one of the stores was not seen, neither were its holds.
fn placed(stores: &BTreeMap<Name, Result<Seen, SiteFault>>) -> Observed<Vec<Hold>> {
    let mut all: Vec<Hold> = Vec::new();
    for (name, seen) in stores {
        match seen.as_ref().map(|seen| &seen.holds) {
            Ok(Observed::Known(holds)) => {
                // The same hold lies in every store in which it holds something.
                let new: Vec<Hold> = holds.iter().filter(|hold| !all.contains(hold)).cloned().collect();
                all.extend(new);
            }
            Ok(Observed::Unknown { reason }) => return Observed::unknown(format!("`{name}`: {reason}")),
            Err(fault) => return Observed::unknown(format!("`{name}`: {}", fault.message)),
        }
    }
    Observed::Known(all)
}

fn not_asked<T>() -> Observed<T> {
    Observed::unknown("the database was not asked, and no backup in a store says it")
}

/// Version and number of the cluster of the newest backup that any store has.
fn newest(stores: &BTreeMap<Name, Result<Seen, SiteFault>>) -> Option<(u32, SystemIdentifier)> {
    let all = stores.values().flatten().flat_map(|seen| {
        let moment = |id| seen.inventory.backups.iter().find(|backup| backup.id == id).map(|backup| backup.moment());
        // Descriptors are named by the time at which their backups ended, so the last one is the newest.
        seen.listed.last().and_then(|listed| Some((moment(listed.id.clone())?, listed)))
    });
    all.max_by_key(|(moment, _)| *moment).map(|(_, listed)| (listed.version, listed.system_identifier))
}

/// `160004` as PostgreSQL says it: `16.4`.
pub fn spelled(version: u32) -> String {
    format!("{}.{}", version / 10_000, version % 10_000)
}
