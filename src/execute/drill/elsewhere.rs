//! Drills of other hosts, whose records lie beside the backups, brought into this host's catalog.
//!
//! A host that drills may share no catalog with the one that is protected. What it has proven is evidence all the same, and stays here when its
//! backup has gone, and its record with it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::catalog::{Catalog, CatalogFault, FaultKind};
use crate::observe::{self, DRILLS_WITHIN, DrillsFound, KnownDrills, NotCounted};
use crate::site::Site;
use crate::units::{Instant, Name};

use super::keep;

/// Brings in all that is new in the stores, however much it is: what goes with its backup is read by no later look. What is not believed, and
/// what cannot be read now, stands in nobody's way.
pub fn bring_all_in(site: &Site<'_>, catalog: &Catalog, now: Instant, stop: &AtomicBool) -> Result<(), CatalogFault> {
    let (mut passed_over, mut silent) = (BTreeSet::new(), BTreeSet::new());
    while !stop.load(Ordering::Relaxed) {
        let found = bring_in(site, catalog, (&passed_over, &silent), now)?;
        let before = passed_over.len();
        passed_over.extend(found.rejected.iter().chain(&found.ahead).map(NotCounted::place));
        silent.extend(found.unseen.into_iter().map(|(store, _)| store));
        if found.records.is_empty() && passed_over.len() == before {
            break;
        }
    }
    Ok(())
}

/// Brings in what is new in the stores, and gives back what was found. `rejected` are records that were looked at before and not believed;
/// `silent` are stores that do not answer, as somebody has just seen.
pub fn bring_in(
    site: &Site<'_>,
    catalog: &Catalog,
    (rejected, silent): (&BTreeSet<String>, &BTreeSet<Name>),
    now: Instant,
) -> Result<DrillsFound, CatalogFault> {
    let policy = site.policy.name.as_str();
    let drills = catalog.drill_ids(policy)?;
    let since = now.checked_sub(DRILLS_WITHIN.to_signed()).unwrap_or(now);
    let mut found = observe::drills(site, KnownDrills { drills: &drills, rejected, silent, since }, now).unwrap_or_else(|fault| {
        tracing::warn!(hint = fault.hint, "drills of other hosts are not looked for: {}", fault.message);
        DrillsFound::default()
    });
    let latest = if found.records.is_empty() { Vec::new() } else { catalog.latest(policy)? };
    let mut kept = Vec::new();
    for record in std::mem::take(&mut found.records) {
        match keep::put_on_record(catalog, &record, &latest) {
            Ok(()) => {
                tracing::info!("drill {} of `{}` is on record now, as it was found beside its backup", record.id, record.host);
                kept.push(record);
            }
            // It says more than the catalog takes, and would at every look.
            Err(fault) if fault.kind == FaultKind::Refused => {
                tracing::warn!("drill {} of `{}` is not on record: {}", record.id, record.host, fault.message);
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(DrillsFound { records: kept, ..found })
}
