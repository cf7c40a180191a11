//! How fast dumps come back, by what is on record.

use crate::catalog::Catalog;
use crate::observe::LOADED;
use crate::site::Site;

/// Plain bytes in a second, and where the figure is from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    pub rate: f64,
    pub is_measured: bool,
}

impl Pace {
    /// The slow end of what was measured with dumps, or as the policy assumes it.
    pub(in crate::execute) fn of(site: &Site<'_>) -> Option<Pace> {
        let assumed = site.policy.objectives.assume.load.map(|rate| rate.get() as f64).filter(|rate| *rate >= 1.0);
        let measured = measured(site).map(|rate| Pace { rate, is_measured: true });
        measured.or(assumed.map(|rate| Pace { rate, is_measured: false }))
    }

    pub fn seconds(&self, bytes: u64) -> f64 {
        bytes as f64 / self.rate
    }

    /// As it stands behind an estimate.
    pub fn because(&self) -> &'static str {
        if self.is_measured { "by what was measured" } else { "by what the policy assumes" }
    }
}

fn measured(site: &Site<'_>) -> Option<f64> {
    let place = site.catalog().ok()?;
    let catalog = Catalog::open_existing(&place).ok()??;
    let latest = catalog.latest(site.policy.name.as_str()).ok()?;
    latest.iter().filter(|one| one.name == LOADED).map(|one| one.value).filter(|rate| *rate >= 1.0).reduce(f64::min)
}
