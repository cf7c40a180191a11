//! The stores: whether they answer, what is in them, how much. Everything is looked at every hour; in between it is only asked whether
//! they are there, because a listing of all that a store has is slow and costs money.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::facts::since_down;
use crate::alert::{Answers, StoreFacts};
use crate::catalog::{Catalog, CatalogFault};
use crate::inventory::{BackupState, Hold, Observed, StoreInventory};
use crate::observe;
use crate::site::{Site, SiteFault};
use crate::units::{Bytes, Instant, Name};
use crate::world::{files, parallel};

const EVERY: jiff::SignedDuration = jiff::SignedDuration::from_mins(60);
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_BYTES: usize = 16 << 20;

/// What was seen in the last hour.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    at: Option<Instant>,
    used: BTreeMap<Name, u64>,
    /// The end of each job's newest complete backup, in the first store of the job.
    newest: BTreeMap<Name, Instant>,
    holds: Option<Vec<Hold>>,
    /// Stores that were seen.
    stores: Vec<Name>,
}

pub(super) struct Stores {
    pub stores: BTreeMap<Name, StoreFacts>,
    /// By job.
    pub newest: BTreeMap<Name, Observed<Option<Instant>>>,
    pub holds: Observed<Vec<Hold>>,
}

/// `made`: when the newest backup was made that the record knows of.
pub(super) fn look(site: &Site<'_>, catalog: &Catalog, made: Option<Instant>, now: Instant) -> Result<Stores, CatalogFault> {
    let is_fresh = |at: Instant| now.duration_since(at).abs() < EVERY && made.is_none_or(|made| made < at);
    let remembered = recall(site).filter(|seen| seen.at.is_some_and(is_fresh)).map(|seen| (ask(site), seen));
    // A store that was away when everything was looked at, and is back.
    let is_back = |(asked, seen): &(Asked, Seen)| asked.iter().any(|(name, answer)| answer.is_ok() && !seen.stores.contains(name));
    let (answers, seen) = match remembered.filter(|remembered| !is_back(remembered)) {
        Some(remembered) => remembered,
        None => {
            let (answers, seen) = everything(site, now);
            remember(site, &seen);
            (answers, seen)
        }
    };
    let mut stores = BTreeMap::new();
    for (name, answer) in answers {
        let since = since_down(site, catalog, &format!("store:{name}"), answer.is_ok(), now)?;
        let used =
            seen.used.get(&name).map_or_else(|| Observed::unknown("it was not looked at"), |used| Observed::Known(Bytes::new(*used)));
        let facts = match answer {
            Ok(()) => StoreFacts { answers: Answers::Yes, used },
            Err(fault) => {
                let hint = Some(fault.hint).filter(|hint| !hint.is_empty());
                StoreFacts { answers: Answers::No { since, error: fault.message, hint }, used }
            }
        };
        stores.insert(name, facts);
    }
    let newest = site.policy.backups.keys().filter_map(|job| {
        let store = site.policy.store_of(job)?;
        let known = if seen.stores.contains(store) {
            Observed::Known(seen.newest.get(job).copied())
        } else {
            Observed::unknown(format!("`{store}` was not looked at"))
        };
        Some((job.clone(), known))
    });
    let newest = newest.collect();
    let holds = seen.holds.map_or_else(|| Observed::unknown("not every store was looked at"), Observed::Known);
    Ok(Stores { stores, newest, holds })
}

type Asked = Vec<(Name, Result<(), SiteFault>)>;

/// Whether they are there.
fn ask(site: &Site<'_>) -> Asked {
    let names: Vec<&Name> = site.policy.stores.keys().collect();
    let asked = parallel::map_with(names.len().min(8), &names, &|name| {
        let store = site.store_with_patience(name, PATIENCE)?;
        site.find_repository(&store).map(drop)
    });
    names.into_iter().cloned().zip(asked).collect()
}

fn everything(site: &Site<'_>, now: Instant) -> (Asked, Seen) {
    let cluster = observe::cluster(site, now);
    let mut seen = Seen { at: Some(now), holds: cluster.inventory.holds.known().cloned(), ..Seen::default() };
    for (name, store) in &cluster.inventory.stores {
        let Observed::Known(store) = store else { continue };
        seen.stores.push(name.clone());
        seen.used.extend(store.used.known().map(|used| (name.clone(), used.bytes().get())));
        newest(site, name, store, &mut seen.newest);
    }
    let asked = cluster.stores.into_iter().map(|(name, seen)| (name, seen.map(drop))).collect();
    (asked, seen)
}

fn newest(site: &Site<'_>, name: &Name, store: &StoreInventory, newest: &mut BTreeMap<Name, Instant>) {
    for backup in store.backups.iter().filter(|backup| backup.state == BackupState::Complete) {
        if site.policy.store_of(&backup.job) == Some(name) {
            let at = newest.entry(backup.job.clone()).or_insert(backup.moment());
            *at = (*at).max(backup.moment());
        }
    }
}

fn place(site: &Site<'_>) -> PathBuf {
    site.policy_state().join("observed.json")
}

fn recall(site: &Site<'_>) -> Option<Seen> {
    serde_json::from_slice(&files::read(&place(site), MAX_BYTES).ok()?).ok()
}

/// What cannot be remembered is only looked at again.
fn remember(site: &Site<'_>, seen: &Seen) {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(site.policy_state());
    if let (Ok(()), Ok(json)) = (made, serde_json::to_vec(seen)) {
        let _ = files::replace(&place(site), &json);
    }
}
