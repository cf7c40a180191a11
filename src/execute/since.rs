//! Since when something does not answer, kept on record: the same after a restart, and for every host of a fleet.

use crate::catalog::{Catalog, CatalogFault, Measured};
use crate::site::Site;
use crate::units::{Instant, figure_of, moment_of};

/// Since when something does not answer; now, where it just stopped. Kept on record, so that it is the same after a restart.
pub(super) fn since_down(site: &Site<'_>, catalog: &Catalog, what: &str, answers: bool, now: Instant) -> Result<Instant, CatalogFault> {
    const NAME: &str = "down_since";
    let policy = site.policy.name.as_str();
    let known = catalog.latest(policy)?.into_iter().find(|one| one.name == NAME && one.subject == what).map_or(0.0, |one| one.value);
    let since = match (answers, moment_of(known)) {
        (true, _) => None,
        (false, since) => since.or(Some(now)),
    };
    let value = since.map_or(0.0, figure_of);
    if value != known {
        catalog.measure(policy, &[Measured { name: NAME, subject: what, value }], now)?;
    }
    Ok(since.unwrap_or(now))
}
