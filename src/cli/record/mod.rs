//! What is on record: commands that read the catalog.

use crate::catalog::Catalog;
use crate::cli::here::Here;
use crate::execute::run;
use crate::plan::words::counted;
use crate::policy::model::Policy;
use crate::site::{Site, known};
use crate::units::Instant;

/// The catalog, for those who write into it. Where it cannot be opened that is said, and what protects data goes on without.
pub fn open(site: &Site<'_>) -> Option<Catalog> {
    let place = match site.catalog() {
        Ok(place) => place,
        Err(fault) => {
            tracing::warn!(hint = fault.hint, "nothing can be recorded: {}", fault.message);
            return None;
        }
    };
    match Catalog::open(&place) {
        Ok(catalog) => Some(catalog),
        Err(fault) => {
            tracing::warn!(hint = fault.hint, "nothing can be recorded: {}", fault.message);
            None
        }
    }
}

/// Keeps the policy, for the day on which it cannot be read.
pub fn keep_policy(here: &Here, policy: &Policy) {
    if let Err(error) = known::remember(&here.state(), &here.path(), policy) {
        tracing::debug!("the policy is not kept: {error}");
    }
}

/// Brings the record up to date with what this host knows and the record does not.
pub fn settle(site: &Site<'_>, catalog: &Catalog) {
    let settled = run::bring_in(site, catalog).and_then(|()| run::bury(site, catalog));
    match settled {
        Ok(0) => {}
        Ok(lost) => tracing::warn!("{} ended without a word and is on record as lost", counted(lost, "run")),
        Err(fault) => tracing::warn!(hint = fault.hint, "the record is not up to date: {}", fault.message),
    }
}

/// Notes which jobs the policy has.
pub fn see(site: &Site<'_>, catalog: &Catalog, now: Instant) {
    let paths: Vec<String> = run::jobs(site.policy).iter().map(|job| job.path.to_string()).collect();
    let jobs: Vec<&str> = paths.iter().map(String::as_str).collect();
    if let Err(fault) = catalog.see_jobs(site.policy.name.as_str(), &jobs, now) {
        tracing::warn!(hint = fault.hint, "the record is not up to date: {}", fault.message);
    }
}
