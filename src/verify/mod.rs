//! Proving what lies in a store, from the store alone: that every object is what was put, and, with an identity, that what is in it
//! is what PostgreSQL wrote.
//!
//! A check that finds damage fails, and says which object; what could not be checked is said as well, because unknown is not fine.

mod archive;
mod backup;
mod claims;
mod continuity;
mod deep;
mod report;
mod stack;
mod wal;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use report::{Fault, FaultKind, Report, Sound};

use crate::format::layout::Repository;
use crate::format::seal::Identities;
use crate::format::signature::Writers;
use crate::inventory::{Chains, Observed, SystemIdentifier};
use crate::observe::{self, Eyes, Listed, Seen};
use crate::policy::model::Policy;
use crate::site::{About, Found, Site, SiteFault};
use crate::store::Store;
use crate::units::{BackupId, Instant, Name, SegmentSize};
use backup::Work;
use report::Findings;

/// What is to be proved.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// These backups and the log that they need; none: everything.
    pub backups: Vec<BackupId>,
    /// The backups of these jobs.
    pub jobs: Vec<Name>,
    /// What was written since then.
    pub since: Option<Instant>,
    /// Open it, and look at every byte of it.
    pub deep: bool,
}

impl Wanted {
    /// Nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.backups.is_empty() && self.jobs.is_empty() && self.since.is_none()
    }
}

/// How far it has come; read by others while it works.
#[derive(Debug, Default)]
pub struct Progress {
    pub objects: AtomicU64,
    pub bytes: AtomicU64,
}

impl Progress {
    fn read(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn object(&self) {
        self.objects.fetch_add(1, Ordering::Relaxed);
    }
}

/// What every check stands on.
struct Ground<'a> {
    store: &'a Store,
    repository: &'a Repository,
    policy: &'a str,
    writers: &'a Writers,
    identities: &'a Identities,
    wanted: &'a Wanted,
    sizes: BTreeMap<SystemIdentifier, SegmentSize>,
    found: &'a Findings,
    progress: &'a Progress,
}

const NONE: &str = "backups belong there, and none lies there";

/// The policy puts backups there first that are to be looked at. That there are none proves nothing.
fn belong_there(policy: &Policy, store: &Name, wanted: &Wanted) -> bool {
    let of_job = |name: &Name| wanted.jobs.is_empty() || wanted.jobs.contains(name);
    let any_time = wanted.backups.is_empty() && wanted.since.is_none();
    let mut jobs = policy.backups.iter();
    any_time && jobs.any(|(name, backup)| of_job(name) && backup.method.runs_in_this_version() && backup.store.as_ref() == Some(store))
}

/// Proves one store.
pub fn verify(
    site: &Site<'_>,
    name: &Name,
    identities: &Identities,
    wanted: &Wanted,
    now: Instant,
    progress: &Progress,
) -> Result<Report, SiteFault> {
    let store = &site.store(name)?;
    let found = Findings::default();
    let writers = site.writers()?;
    let Some(Found { repository, passed_over }) = site.find_repository(store)? else {
        let nothing = format!("nothing of the policy `{}` lies in {}", site.policy.name, store.url());
        if let Some(id) = wanted.backups.first() {
            return Err(SiteFault::new(format!("backup {id} cannot be checked: {nothing}"), "`seawall list` shows what there is."));
        }
        if belong_there(site.policy, name, wanted) {
            found.fault(FaultKind::Missing, "repository.json", NONE, None);
        }
        return Ok(found.report(Vec::new(), nothing));
    };
    let policy = site.policy.name.as_str();
    about(store, &repository, policy, &found)?;
    let eyes = Eyes { policy, writers: &writers, identities, now };
    let seen = observe::look_settled(store, repository.clone(), &eyes)?.passing_over(passed_over);
    let chosen = chosen(&seen, wanted)?;
    if chosen.is_empty() && belong_there(site.policy, name, wanted) {
        found.fault(FaultKind::Missing, repository.prefix("backups"), NONE, None);
    }
    let sizes = seen.listed.iter().map(|listed| (listed.system_identifier, listed.segment_size)).collect();
    let ground = Ground { store, repository: &repository, policy, writers: &writers, identities, wanted, sizes, found: &found, progress };
    ground.run(&seen, &chosen)?;
    let kept_since = site.policy.wal.as_ref().map(|wal| wal.keep.before(now, site.policy.zone.time_zone()));
    continuity::check(&seen, &chosen, kept_since, wanted, &repository, &found);
    ground.unchecked(&seen);
    Ok(found.report(chosen.iter().map(|listed| listed.id.clone()).collect(), String::new()))
}

impl Ground<'_> {
    fn run(&self, seen: &Seen, chosen: &[&Listed]) -> Result<(), SiteFault> {
        let everything = self.wanted.is_everything() || self.wanted.since.is_some() && self.wanted.backups.is_empty();
        let mut work: Vec<Work> = Vec::new();
        if everything {
            for rejected in &seen.rejected {
                self.found.fault(FaultKind::Rejected, &rejected.key, &rejected.why, None);
            }
            work.extend(wal::folders(self)?);
            work.extend(archive::extents(self)?);
            self.strays(seen)?;
            claims::check(self)?;
        } else {
            work.extend(wal::of_backups(self, chosen)?);
        }
        work.extend(chosen.iter().map(|listed| Work::Backup(Arc::new((*listed).clone()))));
        stack::work_off(observe::width(self.store), work, &|work, more| backup::step(self, work, more));
        Ok(())
    }

    /// What lies where nothing of ours does, and what is left of backups that were not completed.
    fn strays(&self, seen: &Seen) -> Result<(), SiteFault> {
        use crate::inventory::BackupState;
        const OURS: [&str; 12] =
            ["archive", "backups", "data", "wal", "claims", "pins", "leases", "hints", "expiring", "holds", "drills", "audit"];
        for folder in self.store.folders(self.repository.as_str())? {
            if !OURS.contains(&folder.as_str()) {
                self.found.unchecked(format!("what lies below {}: this version does not know what it is", self.repository.prefix(&folder)));
            }
        }
        let signed: Vec<_> = self.store.list(&self.repository.prefix("backups"))?;
        let left = |state| seen.inventory.backups.iter().filter(move |backup| backup.state == state).map(|backup| &backup.id);
        for id in left(BackupState::Running) {
            self.found.note(format!("backup {id} is being taken; it is checked when it is complete"));
        }
        for id in left(BackupState::Failed) {
            self.found.note(format!("data/{id} is left of a backup that was never completed"));
        }
        for meta in &signed {
            let Some(descriptor) = meta.key.as_str().strip_suffix(".sig") else { continue };
            let id = descriptor.rsplit('/').next().and_then(|name| name.strip_suffix(".json")).and_then(|name| name.split_once('-'));
            let running = id.is_some_and(|(_, id)| left(BackupState::Running).any(|running| running.as_str() == id));
            if !running && !signed.iter().any(|other| other.key.as_str() == descriptor) {
                self.found.fault(FaultKind::Missing, descriptor, "its signature is there, and it is not", None);
            }
        }
        Ok(())
    }

    fn unchecked(&self, seen: &Seen) {
        for doubt in &seen.doubts {
            self.found.unchecked(doubt.clone());
        }
        if self.writers.is_empty() {
            self.found.unchecked("who wrote all this: the policy names no writers".into());
        }
        if !self.wanted.deep {
            self.found.unchecked("what is inside the objects: that needs `--deep` and an identity".into());
        }
        if !self.wanted.is_everything() {
            self.found.unchecked("everything that was not asked for".into());
        }
        if let Observed::Unknown { reason } = &seen.inventory.used {
            self.found.unchecked(reason.clone());
        }
    }
}

/// `repository.json`, byte by byte.
fn about(store: &Store, repository: &Repository, policy: &str, found: &Findings) -> Result<(), SiteFault> {
    let key = repository.about();
    let json = store.get(&key, 64 << 10)?;
    let about: About = match serde_json::from_slice(&json) {
        Ok(about) => about,
        Err(error) => {
            found.fault(FaultKind::Damaged, &key, &error.to_string(), None);
            return Ok(());
        }
    };
    let spelled = about.signature.as_deref().is_none_or(crate::format::signature::is_spelled_as_written);
    match about.check() {
        Err(error) => found.fault(FaultKind::Damaged, &key, &error.to_string(), None),
        Ok(_) if about.to_json() != json || !spelled => {
            found.fault(FaultKind::Damaged, &key, "it is not spelled as it was written", None);
        }
        Ok(_) if about.repository != repository.as_str() || about.policy != policy => {
            found.fault(FaultKind::Rejected, &key, "it belongs to another repository", None);
        }
        Ok(_) => {}
    }
    Ok(())
}

fn chosen<'s>(seen: &'s Seen, wanted: &Wanted) -> Result<Vec<&'s Listed>, SiteFault> {
    // Descriptors are named by the time at which their backups ended.
    let newest = seen.listed.last().map(|listed| &listed.id);
    let named: Vec<&BackupId> = wanted.backups.iter().map(|id| newest.filter(|_| id.as_str() == "latest").unwrap_or(id)).collect();
    let known = |id: &BackupId| seen.listed.iter().any(|listed| listed.id == *id);
    if let Some(id) = named.iter().find(|id| !known(id)) {
        let rejected = seen.rejected.iter().find(|one| crate::format::layout::descriptor_id(&one.key).as_ref() == Some(*id));
        let why = rejected.map_or_else(|| "it has no descriptor".to_owned(), |one| format!("{} is rejected: {}", one.key, one.why));
        return Err(SiteFault::new(format!("backup {id} cannot be checked: {why}"), "`seawall list` shows what there is."));
    }
    let of = |id: &BackupId| seen.inventory.backups.iter().find(|backup| backup.id == *id);
    let is_wanted = |listed: &&Listed| {
        let named = named.is_empty() || named.contains(&&listed.id);
        let of_job = wanted.jobs.is_empty() || of(&listed.id).is_some_and(|backup| wanted.jobs.contains(&backup.job));
        let recent = wanted.since.is_none_or(|since| of(&listed.id).is_some_and(|backup| backup.moment() >= since));
        named && of_job && recent
    };
    let chosen: Vec<&Listed> = seen.listed.iter().filter(is_wanted).collect();
    if wanted.backups.is_empty() && wanted.jobs.is_empty() {
        return Ok(chosen);
    }
    // One that is asked for is as good as what it builds on.
    let chains = Chains::of(&seen.inventory.backups);
    let links = chosen.iter().filter_map(|listed| chains.links(chains.position(&listed.id)?)).flatten();
    let needed: HashSet<&BackupId> = links.map(|link| &link.id).chain(chosen.iter().map(|listed| &listed.id)).collect();
    Ok(seen.listed.iter().filter(|listed| needed.contains(&listed.id)).collect())
}
