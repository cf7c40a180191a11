//! The newest backup of a kind that stands by itself, in the first store that has one.

use super::{RestoreFault, archive, unsigned_warning};
use crate::execute::files::chain;
use crate::format::descriptor::Descriptor;
use crate::format::layout::Repository;
use crate::format::seal::Identities;
use crate::inventory::Backup;
use crate::observe::{self, Eyes, Read, look_into};
use crate::policy::model::Method;
use crate::site::Site;
use crate::store::Store;
use crate::units::{BackupId, Instant, Name};

/// Which one somebody wants.
pub(in crate::execute) struct Wanted<'w> {
    /// What such a backup is called: `dump`.
    pub what: &'w str,
    pub backup: Option<&'w BackupId>,
    pub job: Option<&'w Name>,
    pub store: Option<&'w Name>,
    pub made_by: &'w dyn Fn(&Method) -> bool,
    pub is_one: &'w dyn Fn(&Backup) -> bool,
}

/// One that is there and whose descriptor is believed.
#[derive(Debug)]
pub(in crate::execute) struct Newest {
    pub store_name: Name,
    pub store: Store,
    pub repository: Repository,
    pub descriptor: Descriptor,
    /// What it builds on, the nearest first.
    pub ancestors: Vec<Descriptor>,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
}

pub(in crate::execute) fn newest(
    site: &Site<'_>,
    wanted: &Wanted<'_>,
    identities: &Identities,
    now: Instant,
) -> Result<Newest, RestoreFault> {
    let (mut passed, mut all_asked, mut passing, mut asleep) = (Vec::new(), true, false, None);
    for name in stores(site, wanted) {
        match from_store(site, &name, wanted, identities, now) {
            Ok(Some(mut found)) => {
                found.remarks.extend(passed.into_iter().map(|why| format!("not from {why}")));
                return Ok(found);
            }
            Ok(None) => passed.push(format!("store `{name}` has none")),
            Err(fault) => {
                all_asked = false;
                passing |= fault.passing;
                asleep = asleep.or_else(|| fault.asleep.clone());
                passed.push(format!("store `{name}`: {fault}"));
            }
        }
    }
    let what = match (wanted.backup, wanted.job) {
        (Some(id), _) => format!("{} {id}", wanted.what),
        (None, Some(job)) => format!("complete {} of `backups.{job}`", wanted.what),
        (None, None) => format!("complete {}", wanted.what),
    };
    let no = if all_asked { "there is no" } else { "not every store could be asked, and the others have no" };
    let fault = RestoreFault::new(format!("{no} {what}: {}", passed.join("; ")), "`seawall list` shows what there is.");
    Err(RestoreFault { passing, asleep, ..fault })
}

fn stores(site: &Site<'_>, wanted: &Wanted<'_>) -> Vec<Name> {
    if let Some(store) = wanted.store {
        return vec![store.clone()];
    }
    let jobs = site.policy.backups.iter().filter(|(_, backup)| (wanted.made_by)(&backup.method)).map(|(name, _)| name);
    let mut names: Vec<Name> = Vec::new();
    for name in jobs.flat_map(|job| site.policy.stores_of(job)) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn from_store(
    site: &Site<'_>,
    name: &Name,
    wanted: &Wanted<'_>,
    identities: &Identities,
    now: Instant,
) -> Result<Option<Newest>, RestoreFault> {
    let store = site.store(name)?;
    let Some(found) = site.find_repository(&store)? else { return Ok(None) };
    let repository = found.repository;
    let writers = site.writers()?;
    let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities, now };
    let seen = look_into(&store, repository.clone(), &eyes)?;
    let is_wanted = |backup: &&Backup| match wanted.backup {
        Some(id) => backup.id == *id,
        None => wanted.job.is_none_or(|job| backup.job == *job),
    };
    let all = seen.inventory.backups.iter().filter(|backup| (wanted.is_one)(backup));
    let Some(backup) = all.filter(is_wanted).max_by_key(|backup| backup.moment()) else { return Ok(None) };
    let gone = || RestoreFault::new(format!("backup {} was deleted while this was looking", backup.id), "Run it again.");
    let (key, is_signed) = observe::find_descriptor(&store, &repository, &backup.id)?.ok_or_else(gone)?;
    let descriptor = match observe::read_descriptor(&store, &repository, &key, is_signed, eyes.policy, &writers)? {
        Read::Good(descriptor, _) => *descriptor,
        Read::Gone => return Err(gone()),
        Read::Rejected(why) | Read::Newer(why) => return Err(RestoreFault::new(format!("{key}: {why}"), "Do not trust this store.")),
    };
    let mut remarks: Vec<String> = unsigned_warning(&writers).into_iter().collect();
    let ancestors = chain::ancestors(site, &store, &repository, &descriptor)?;
    archive::must_be_awake((name, &store), &repository, &descriptor, &ancestors)?;
    ancestors.iter().try_for_each(|link| chain::must_be_there(&store, &repository, link).map(drop))?;
    remarks.extend(seen.rejected.iter().take(10).map(|rejected| format!("not believed: {}: {}", rejected.key, rejected.why)));
    Ok(Some(Newest { store_name: name.clone(), store, repository, descriptor, ancestors, remarks }))
}
