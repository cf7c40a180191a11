//! Runs that nobody will end any more: their process is gone, or the whole host that began them.

use std::time::Duration;

use super::{audit, work};
use crate::catalog::{self, Abandoned, Catalog, CatalogFault, End};
use crate::execute::backup::lease;
use crate::execute::run::Work;
use crate::execute::since::since_down;
use crate::site::{Site, SiteFault};
use crate::world::{clock, host};

/// Of another host nobody sees whether its process lives. A session that broke has lost the lock before its holder knows: so long it has time
/// to take it again, or to end.
const UNHEARD: jiff::SignedDuration = jiff::SignedDuration::from_mins(15);
/// A store that does not answer soon is asked again by the next look.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends on record the runs of these policies whose processes, or whose hosts, are gone. Returns how many there were.
pub fn bury(sites: &[&Site<'_>], catalog: &Catalog) -> Result<usize, CatalogFault> {
    sites.iter().try_fold(0, |buried, site| Ok(buried + of_policy(site, catalog)?))
}

fn of_policy(site: &Site<'_>, catalog: &Catalog) -> Result<usize, CatalogFault> {
    let mut buried = 0;
    for run in catalog.abandoned(site.policy.name.as_str())? {
        // Whoever runs it holds the job's lock; a number of a process may have come to another one.
        let guard = catalog.try_lock(&run.policy, &run.job)?;
        let is_over = if run.host == site.host() { process_is_gone(&run) } else { host_is_gone(site, catalog, &run, guard.is_some())? };
        let (Some(_guard), Some(message)) = (guard, is_over) else { continue };
        let now = clock::now();
        let entry = audit::lost(site, &run, now, &message);
        let end = End { transient: true, message: Some(&message), entry: Some(&entry), ..End::with(catalog::Outcome::Lost, now) };
        catalog.end_run(run.run, &end)?;
        buried += 1;
    }
    Ok(buried)
}

fn process_is_gone(run: &Abandoned) -> Option<String> {
    let boot = host::boot();
    let another_boot = run.boot.is_some() && boot.is_some() && run.boot != boot;
    let gone = another_boot || !host::is_alive(run.pid);
    gone.then(|| format!("its process ({}) ended without a word: it was killed, or the machine went down", run.pid))
}

/// Nobody has held its lock for a while, and nobody adds to its backup.
fn host_is_gone(site: &Site<'_>, catalog: &Catalog, run: &Abandoned, is_free: bool) -> Result<Option<String>, CatalogFault> {
    let now = clock::now();
    let free_since = since_down(site, catalog, &format!("run:{}", run.run), !is_free, now)?;
    // Whichever of two hosts' clocks is ahead.
    if !is_free || now.duration_since(free_since).abs() <= UNHEARD {
        return Ok(None);
    }
    match holds_lease(site, run) {
        Ok(true) => Ok(None),
        Ok(false) => {
            Ok(Some(format!("nothing was heard of it any more from {}: the host went down, or cannot reach the catalog", run.host)))
        }
        // Unknown is not over.
        Err(fault) => {
            tracing::debug!("whether run {} of {} still has a lease is not known: {}", run.run, run.host, fault.message);
            Ok(None)
        }
    }
}

/// The store of a backup knows whether that host still adds to it.
fn holds_lease(site: &Site<'_>, run: &Abandoned) -> Result<bool, SiteFault> {
    let job = work::jobs(site.policy).into_iter().find(|job| job.path.to_string() == run.job);
    let Some(Work::Backup(job, _)) = job.map(|job| job.work) else { return Ok(false) };
    let Some(name) = site.policy.store_of(job) else { return Ok(false) };
    let store = site.store_with_patience(name, PATIENCE)?;
    let Some(found) = site.find_repository(&store)? else { return Ok(false) };
    let running = lease::running(&store, &found.repository)?;
    Ok(running.iter().any(|(content, _)| content.host == run.host && content.job == *job))
}
