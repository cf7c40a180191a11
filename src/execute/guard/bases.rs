//! Which backup a restore point could be reached from: one that is good, and from which the log leads to now without a gap.

use std::time::Duration;

use crate::execute::restore::candidates;
use crate::format::layout::Repository;
use crate::inventory::{StoreInventory, SystemIdentifier};
use crate::observe::{self, Eyes};
use crate::plan::guard::{Base, Primary};
use crate::recovery::{Aim, Path, Target, find_path};
use crate::site::{Site, SiteFault};
use crate::store::Store;
use crate::units::{BackupId, Instant, Lsn, Name, Timeline};

/// A store that does not answer by then is not one to rely on now.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store of the policy, opened.
pub(super) struct Place {
    pub store: Store,
    pub repository: Repository,
}

impl Place {
    pub(super) fn open(site: &Site<'_>, name: &Name) -> Result<Place, SiteFault> {
        let store = site.store_with_patience(name, PATIENCE)?;
        let found = site.find_repository(&store)?;
        let repository = found.ok_or_else(|| SiteFault::new(format!("{} holds nothing of this policy", store.url()), ""))?.repository;
        Ok(Place { store, repository })
    }

    pub(super) fn look(&self, site: &Site<'_>, now: Instant) -> Result<StoreInventory, SiteFault> {
        let writers = site.writers()?;
        // Only what is open in a descriptor is read, and histories of timelines, which the host's own key opens.
        let identities = site.identities(None).unwrap_or_default();
        let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities: &identities, now };
        Ok(observe::look_settled(&self.store, self.repository.clone(), &eyes)?.inventory)
    }
}

/// Each store that could have one, with what it has or why it has none. The backup must be one of `job`, where one is named.
pub(super) fn look(site: &Site<'_>, primary: &Primary, job: Option<&Name>, now: Instant) -> Vec<(Name, Result<Base, String>)> {
    let all = candidates(site.policy, None).into_iter();
    let of_log = |name: &Name| site.policy.wal.as_ref().is_some_and(|wal| wal.store == *name || wal.copies.contains(name));
    all.filter(of_log).map(|name| (name.clone(), base_in(site, &name, primary, job, now))).collect()
}

fn base_in(site: &Site<'_>, name: &Name, primary: &Primary, job: Option<&Name>, now: Instant) -> Result<Base, String> {
    let seen = Place::open(site, name).and_then(|place| place.look(site, now)).map_err(|fault| fault.message)?;
    let path = lead(&seen, primary.cluster, primary.timeline, Target::Latest)?;
    let base = path.chain.last().filter(|_| path.chain.len() == 1);
    let base = base.ok_or_else(|| "its newest backup is an increment, which cannot be restored yet".to_owned())?;
    let of_timeline =
        seen.wal.iter().filter(|range| range.timeline == primary.timeline && range.system_identifier == Some(primary.cluster));
    let newest = of_timeline.map(|range| range.to_lsn).max();
    // From before anything was archived: what it brought itself is all that follows it.
    if base.carries_log && path.wal.last().map(|last| last.to) < newest {
        return Err(format!("no log leads on from its newest backup {}, which brought its own", base.id));
    }
    // The log before the newest one stays no longer than that one is wanted for.
    if let Some(job) = job.filter(|job| base.job != **job) {
        return Err(format!(
            "its newest backup is one of `backups.{}`, and the log between an older one of `backups.{job}` and that may go",
            base.job
        ));
    }
    Ok(Base { store: name.clone(), backup: base.id.clone(), job: base.job.clone(), taken: base.moment(), timeline: primary.timeline })
}

/// The log leads from this backup to that position: what lies in the store now, without a gap.
pub(super) fn must_lead(
    seen: &StoreInventory,
    base: &BackupId,
    cluster: SystemIdentifier,
    timeline: Timeline,
    to: Lsn,
) -> Result<(), String> {
    let mut only = seen.clone();
    only.backups.retain(|backup| backup.id == *base);
    lead(&only, cluster, timeline, Target::Lsn(to)).map(drop)
}

fn lead(seen: &StoreInventory, cluster: SystemIdentifier, timeline: Timeline, target: Target) -> Result<Path<'_>, String> {
    let aim = Aim { target, system_identifier: Some(cluster), timeline: Some(timeline) };
    find_path(seen, &aim).map_err(|missing| missing.to_string())
}
