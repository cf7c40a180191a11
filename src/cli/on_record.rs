//! What this host has on record of a policy, for those who plan on it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::terminal::tame;
use crate::catalog::{Catalog, CatalogFault, Where};
use crate::inventory::ClusterInventory;
use crate::observe::{Recorded, recorded};
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::Instant;

/// Catalogs of this host, each opened once.
#[derive(Debug, Default)]
pub struct OnRecord(Mutex<BTreeMap<String, Option<Arc<Catalog>>>>);

impl OnRecord {
    /// The evidence in the policy's catalog, where that is a file of this host and knows the policy. A database is not asked: a plan is made
    /// without credentials, and says the same wherever it is made. What cannot be read is said and counts for nothing.
    pub fn of(&self, policy: &Policy, state: Option<&Path>, now: Instant) -> Option<ClusterInventory> {
        let catalog = self.catalog(policy, state)?;
        let known = catalog.last_runs(policy.name.as_str()).and_then(|jobs| {
            let drilled = !catalog.last_drills(policy.name.as_str())?.is_empty();
            if jobs.is_empty() && !drilled { Ok(None) } else { recorded(policy, &catalog, now).map(Some) }
        });
        match known {
            Ok(known) => known.map(Recorded::alone),
            Err(fault) => {
                left_out(&fault);
                None
            }
        }
    }

    /// What `seawall watch` last saw in the policy's stores, with what was measured since, and when it was seen. None where that catalog has
    /// nothing of it that this version reads, or nothing that is older than `now`.
    pub fn seen(&self, policy: &Policy, state: Option<&Path>, now: Instant) -> Option<(ClusterInventory, Instant)> {
        let catalog = self.catalog(policy, state)?;
        let kept = match catalog.inventories(&[policy.name.as_str()]) {
            Ok(mut all) => all.remove(policy.name.as_str()).filter(|kept| kept.at <= now)?,
            Err(fault) => {
                left_out(&fault);
                return None;
            }
        };
        let mut inventory: ClusterInventory = serde_json::from_str(&kept.document).ok()?;
        if let Some(known) = self.of(policy, state, now) {
            (inventory.measured, inventory.proven) = (known.measured, known.proven);
        }
        Some((inventory, kept.at))
    }

    fn catalog(&self, policy: &Policy, state: Option<&Path>) -> Option<Arc<Catalog>> {
        if policy.file.catalog.as_ref().is_some_and(|catalog| catalog.postgres.is_some()) {
            return None;
        }
        self.opened(&Site::new(policy, state, None).catalog().ok()?)
    }

    fn opened(&self, place: &Where) -> Option<Arc<Catalog>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || match Catalog::open_existing(place) {
            Ok(catalog) => catalog.map(Arc::new),
            Err(fault) => {
                left_out(&fault);
                None
            }
        };
        known.entry(place.to_string()).or_insert_with(open).clone()
    }
}

/// A judgement without what was measured is one all the same.
fn left_out(fault: &CatalogFault) {
    eprintln!("warning: what was measured is left out: {}", tame(&fault.message));
}
