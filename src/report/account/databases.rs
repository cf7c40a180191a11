//! How far back each database leads: the window of the cluster that it is in, and the dumps that have it.

use super::Room;
use super::shape::{DatabaseAccount, DatabaseWindow, Listed, PointAccount, StoreAccount};
use crate::policy::model::Policy;

/// So many single moments are shown of all databases together, and a few of each.
const MOMENTS: usize = 6_000;
const FEWEST: usize = 12;

/// What was seen of one store, with every single moment in it, the oldest first.
pub(super) type Looked = (StoreAccount, Vec<PointAccount>);

pub(super) fn databases(policy: &Policy, stores: &[Looked], room: Room) -> Vec<DatabaseAccount> {
    let known = policy.known_databases();
    // Where the policy names none, a cluster may have more than its dumps.
    let is_open = policy.databases.is_empty() && (known.is_empty() || policy.backups.values().any(|backup| backup.method.is_physical()));
    let names: Vec<Option<&String>> = known.into_iter().map(Some).chain(is_open.then_some(None)).collect();
    let most = (room.points as usize).min((MOMENTS / (names.len() * stores.len()).max(1)).max(FEWEST));
    let windows = |name: Option<&String>| stores.iter().filter_map(|looked| window(policy, name, looked, most)).collect();
    names.into_iter().map(|name| DatabaseAccount { database: name.cloned(), stores: windows(name) }).collect()
}

/// None where nothing of the database lies there, and nothing is meant to.
fn window(policy: &Policy, database: Option<&String>, (store, moments): &Looked, most: usize) -> Option<DatabaseWindow> {
    let own = || moments.iter().rev().filter(|point| has(database, point));
    let window = DatabaseWindow {
        store: store.store.clone(),
        unknown: store.unknown.clone(),
        oldest: store.windows.iter().map(|window| window.from).chain(own().map(|point| point.at)).min(),
        windows: store.windows.clone(),
        gaps: store.gaps.clone(),
        points: Listed::of(own().cloned(), most),
    };
    (window.oldest.is_some() || belongs(policy, database, &store.store)).then_some(window)
}

fn has(database: Option<&String>, point: &PointAccount) -> bool {
    point.databases.is_empty() || database.is_some_and(|database| point.databases.contains(database))
}

/// A job of the policy brings all of the database there.
fn belongs(policy: &Policy, database: Option<&String>, store: &str) -> bool {
    policy.backups.iter().filter(|(_, backup)| backup.method.has_all()).any(|(name, backup)| {
        let dumped = policy.dumped(&backup.method);
        dumped.is_none_or(|dumped| database.is_some_and(|database| dumped.contains(database)))
            && policy.stores_of(name).into_iter().any(|to| to.as_str() == store)
    })
}
