//! Once a day the catalog lets go of what is too old, whichever host of a fleet comes first.

use crate::alert::allowed;
use crate::catalog::{Catalog, CatalogFault, Measured};
use crate::site::Site;
use crate::units::{Instant, figure_of, moment_of};
use crate::world::clock;

const MARK: &str = "pruned";
/// The catalog is everybody's, so no policy has the mark.
const EVERYBODY: &str = "";
const EVERY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
/// A comparison of clocks that is older says nothing of now.
const LATELY: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

pub(super) fn tidy(sites: &[&Site<'_>], catalog: &Catalog) -> Result<(), CatalogFault> {
    let now = clock::now();
    let marks = catalog.latest(EVERYBODY)?;
    let last = marks.iter().find(|mark| mark.name == MARK).and_then(|mark| moment_of(mark.value));
    if last.is_some_and(|last| now.duration_since(last).abs() < EVERY) || !is_right(sites, catalog, now)? {
        return Ok(());
    }
    let pruned = catalog.prune(now)?;
    tracing::debug!(pruned.runs, pruned.measurements, pruned.notices, "what was too old is no longer in the catalog");
    catalog.measure(EVERYBODY, &[Measured { name: MARK, subject: "", value: figure_of(now) }], now)
}

/// A clock that is years ahead would find everything too old: it must be seen just now that every server which answers has the same time.
fn is_right(sites: &[&Site<'_>], catalog: &Catalog, now: Instant) -> Result<bool, CatalogFault> {
    let mut compared = false;
    for site in sites {
        let measured = catalog.latest(site.policy.name.as_str())?;
        let skew = measured.iter().find(|one| one.name == "clock_skew_seconds" && now.duration_since(one.at).abs() < LATELY);
        let Some(skew) = skew else { continue };
        if skew.value > allowed::CLOCK_SKEW.as_secs() as f64 {
            return Ok(false);
        }
        compared = true;
    }
    Ok(compared)
}
