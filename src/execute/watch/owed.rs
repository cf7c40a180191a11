//! Files of the log that a copy's store refuses. Only the host that has archived them knows of them, so each says it to the catalog, and
//! whoever looks tells of all.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, CatalogFault, Latest, Measured};
use crate::site::Site;
use crate::units::{Instant, Name};
use crate::wal;

/// Under which name a host's count is kept, with the store and the host.
const MEASURED: &str = "log_refused";
/// A host that has said nothing for so long is not there any more.
const REMEMBERED: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

pub(super) fn look(
    site: &Site<'_>,
    catalog: &Catalog,
    measured: &[Latest],
    now: Instant,
) -> Result<BTreeMap<Name, BTreeMap<String, u64>>, CatalogFault> {
    let said: BTreeMap<&str, &Latest> = measured.iter().filter(|one| one.name == MEASURED).map(|one| (one.subject.as_str(), one)).collect();
    let here = wal::refused(&site.log_state());
    let mut owed: BTreeMap<Name, BTreeMap<String, u64>> = BTreeMap::new();
    for store in site.policy.wal.iter().flat_map(|wal| &wal.copies) {
        let subject = format!("{store} {}", site.host());
        let count = here.get(store.as_str()).copied().unwrap_or(0) as u64;
        if count > 0 || said.get(subject.as_str()).is_some_and(|one| one.value > 0.0) {
            catalog.measure(site.policy.name.as_str(), &[Measured { name: MEASURED, subject: &subject, value: count as f64 }], now)?;
        }
        let hosts = owed.entry(store.clone()).or_default();
        hosts.extend(said.iter().filter_map(|(subject, one)| {
            let (of, host) = subject.split_once(' ')?;
            (of == store.as_str() && now.duration_since(one.at) < REMEMBERED).then(|| (host.to_owned(), one.value as u64))
        }));
        hosts.insert(site.host().to_owned(), count);
        hosts.retain(|_, count| *count > 0);
    }
    Ok(owed)
}
