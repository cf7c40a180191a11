//! What is on record: commands that read the catalog.

mod ack;
mod audit;
mod check;
mod checklist;
pub mod gather;
mod history;
pub mod metrics;
mod status;

pub use ack::{Ack, AckOutput};
pub use audit::{Audit, AuditOutput, AuditVerifyOutput};
pub use check::{Check, unknown as unknown_check};
pub use checklist::{Checklist, ChecklistOutput};
pub use history::{History, HistoryOutput};
pub use metrics::Metrics;
pub use status::{Status, StatusOutput};

use crate::alert::{Acknowledgement, Firing, Memory, Unheard, Unreadable};
use crate::catalog::{Catalog, CatalogFault};
use crate::cli::exit::Trouble;
use crate::cli::here::Here;
use crate::cli::terminal::Colour;
use crate::cli::watch;
use crate::execute::drill;
use crate::execute::run;
use crate::execute::watch::failing;
use crate::plan::words::counted;
use crate::policy::model::Policy;
use crate::site::{Site, known};
use crate::units::Instant;
use crate::world::clock;

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

/// The policy of the moment, or else its last version that could be read: what it promised is still owed, and what ran, ran.
fn policy_or_last_good(here: &Here, colour: Colour) -> Result<Policy, Trouble> {
    here.read(colour).or_else(|trouble| last_good(here, trouble).map(|(policy, _)| policy))
}

fn last_good(here: &Here, trouble: Trouble) -> Result<(Policy, Unreadable), Trouble> {
    let Some(known) = known::peek(&here.state(), &here.path(), clock::now()) else { return Err(trouble) };
    let unreadable = watch::unreadable(here, &trouble, known.unreadable_since);
    Ok((known.policy, unreadable))
}

/// The catalog, for those who only read it.
fn existing(site: &Site<'_>) -> Result<Catalog, Trouble> {
    let place = site.catalog()?;
    Catalog::open_existing(&place).map_err(trouble)?.ok_or_else(|| {
        let hint = "`seawall run --due` and `seawall watch` make it; `--state` names another place.";
        Trouble::failed(format!("nothing has run here yet: there is no catalog at {place}"), hint)
    })
}

fn trouble(fault: CatalogFault) -> Trouble {
    Trouble::failed(fault.message, fault.hint)
}

/// What is wrong by the last look, and what of it nobody has heard of, worst first; what was acknowledged since then is.
fn firing(catalog: &Catalog, policy: &Policy, now: Instant) -> Result<(Vec<Firing>, Vec<Unheard>), Trouble> {
    let name = policy.name.as_str();
    let (_, text) = catalog.memory(name).map_err(trouble)?;
    if text.is_empty() {
        return Ok(Default::default());
    }
    let memory = Memory::from_json(&text).map_err(|fault| Trouble::failed(fault.to_string(), fault.hint()))?;
    let given = catalog.acknowledgements(name).map_err(trouble)?.into_iter().map(|ack| Acknowledgement {
        key: ack.key,
        by: ack.by,
        at: ack.at,
        until: ack.until,
        note: Some(ack.note).filter(|note| !note.is_empty()),
    });
    let undelivered = catalog.undelivered(name).map_err(trouble)?;
    let failing = failing(policy, catalog.failing_receivers(name).map_err(trouble)?, &undelivered);
    Ok((memory.firing(&given.collect::<Vec<_>>(), now), memory.unheard(policy, &failing, now)))
}

/// Keeps the policy, for the day on which it cannot be read.
pub fn keep_policy(here: &Here, policy: &Policy) {
    if let Err(error) = known::remember(&here.state(), &here.path(), policy) {
        tracing::debug!("the policy is not kept: {error}");
    }
}

/// Brings the record up to date with what this host knows and the record does not.
pub fn settle(sites: &[&Site<'_>], catalog: &Catalog) {
    for site in sites {
        drill::sweep(site, Some(catalog));
    }
    let settled = sites.iter().try_for_each(|site| run::bring_in(site, catalog)).and_then(|()| run::bury(sites, catalog));
    match settled {
        Ok(0) => {}
        Ok(lost) => tracing::warn!("{} ended without a word and is on record as lost", counted(lost, "run")),
        Err(fault) => tracing::warn!(hint = fault.hint, "the record is not up to date: {}", fault.message),
    }
}

/// Notes which jobs the policies have.
pub fn see(sites: &[&Site<'_>], catalog: &Catalog, now: Instant) {
    let paths = |site: &&Site<'_>| run::jobs(site.policy).iter().map(|job| job.path.to_string()).collect::<Vec<_>>();
    let jobs: Vec<Vec<String>> = sites.iter().map(paths).collect();
    let jobs: Vec<(&str, Vec<&str>)> =
        sites.iter().zip(&jobs).map(|(site, jobs)| (site.policy.name.as_str(), jobs.iter().map(String::as_str).collect())).collect();
    let seen = match jobs.as_slice() {
        [(policy, jobs)] => catalog.see_jobs(policy, jobs, now),
        all => catalog.see_jobs_of_all(all, now),
    };
    if let Err(fault) = seen {
        tracing::warn!(hint = fault.hint, "the record is not up to date: {}", fault.message);
    }
}
