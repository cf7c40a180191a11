//! The newest backup of a kind that stands by itself, whichever store has it.

use std::cmp::Reverse;

use super::{RestoreFault, archive, unsigned_warning};
use crate::execute::files::chain;
use crate::format::descriptor::Descriptor;
use crate::format::layout::Repository;
use crate::format::seal::Identities;
use crate::inventory::Backup;
use crate::observe::{self, Eyes, Read, Seen, look_into};
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
    /// Where a newer one may be, and why that is not known: such sentences too.
    pub unsure: Vec<String>,
}

/// The newest one that a store has.
struct Candidate {
    store_name: Name,
    store: Store,
    repository: Repository,
    seen: Seen,
    backup: Backup,
}

/// Looks into all stores: which of them comes first in the policy says nothing of what lies there.
pub(in crate::execute) fn newest(
    site: &Site<'_>,
    wanted: &Wanted<'_>,
    identities: &Identities,
    now: Instant,
) -> Result<Newest, RestoreFault> {
    let mut search = Search { site, wanted, identities, now, candidates: Vec::new(), passed: Vec::new(), unsure: Vec::new(), fault: None };
    for name in stores(site, wanted) {
        search.look(name);
        // The same one is the same everywhere.
        if wanted.backup.is_some()
            && let Some(found) = search.open()
        {
            return Ok(found);
        }
    }
    search.open().ok_or_else(|| search.none())
}

struct Search<'s> {
    site: &'s Site<'s>,
    wanted: &'s Wanted<'s>,
    identities: &'s Identities,
    now: Instant,
    candidates: Vec<Candidate>,
    /// Stores that have none, and those that could not be asked.
    passed: Vec<String>,
    unsure: Vec<String>,
    /// What more can be said of why there is none.
    fault: Option<RestoreFault>,
}

impl Search<'_> {
    fn look(&mut self, name: Name) {
        match look(self.site, &name, self.wanted, self.identities, self.now) {
            Ok(Some(candidate)) => self.candidates.push(candidate),
            Ok(None) => self.passed.push(format!("store `{name}` has none")),
            Err(fault) => {
                self.unsure.push(format!("store `{name}` may have a newer one, and could not be asked: {fault}"));
                self.failed(&name, fault);
            }
        }
    }

    /// The newest of those that were found, or where it cannot be had, the next one.
    fn open(&mut self) -> Option<Newest> {
        // Of the same one in several stores, the first store's.
        self.candidates.sort_by_key(|candidate| Reverse(candidate.backup.moment()));
        let mut passed = Vec::new();
        for candidate in std::mem::take(&mut self.candidates) {
            let (name, backup) = (candidate.store_name.clone(), candidate.backup.clone());
            match open(self.site, candidate) {
                Ok(found) => return Some(self.found(found, backup.moment(), passed)),
                Err(fault) => {
                    passed.push((format!("store `{name}`: {fault}"), backup));
                    self.failed(&name, fault);
                }
            }
        }
        None
    }

    fn found(&mut self, found: Newest, moment: Instant, passed: Vec<(String, Backup)>) -> Newest {
        let mut found = found;
        for (why, backup) in passed {
            match backup.moment() > moment {
                true => self.unsure.push(format!("{} of {} is newer, and cannot be had from {why}", backup.id, backup.moment())),
                false => found.remarks.push(format!("not from {why}")),
            }
        }
        // Of one that is named there is no newer one.
        let unsure = if self.wanted.backup.is_some() { Vec::new() } else { std::mem::take(&mut self.unsure) };
        found.remarks.extend(unsure.iter().cloned());
        Newest { unsure, ..found }
    }

    fn failed(&mut self, name: &Name, fault: RestoreFault) {
        self.passed.push(format!("store `{name}`: {fault}"));
        let known = self.fault.take();
        self.fault = Some(match known {
            Some(known) => RestoreFault { passing: known.passing || fault.passing, asleep: known.asleep.or(fault.asleep), ..known },
            None => fault,
        });
    }

    fn none(&mut self) -> RestoreFault {
        let what = match (self.wanted.backup, self.wanted.job) {
            (Some(id), _) => format!("{} {id}", self.wanted.what),
            (None, Some(job)) => format!("complete {} of `backups.{job}`", self.wanted.what),
            (None, None) => format!("complete {}", self.wanted.what),
        };
        let no = if self.fault.is_none() { "there is no" } else { "not every store could be asked, and the others have no" };
        let fault = RestoreFault::new(format!("{no} {what}: {}", self.passed.join("; ")), "`seawall list` shows what there is.");
        match self.fault.take() {
            Some(RestoreFault { passing, asleep, .. }) => RestoreFault { passing, asleep, ..fault },
            None => fault,
        }
    }
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

fn look(
    site: &Site<'_>,
    name: &Name,
    wanted: &Wanted<'_>,
    identities: &Identities,
    now: Instant,
) -> Result<Option<Candidate>, RestoreFault> {
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
    let Some(backup) = all.filter(is_wanted).max_by_key(|backup| backup.moment()).cloned() else { return Ok(None) };
    Ok(Some(Candidate { store_name: name.clone(), store, repository, seen, backup }))
}

fn open(site: &Site<'_>, candidate: Candidate) -> Result<Newest, RestoreFault> {
    let Candidate { store_name, store, repository, seen, backup } = candidate;
    let writers = site.writers()?;
    let gone = || RestoreFault::new(format!("backup {} was deleted while this was looking", backup.id), "Run it again.");
    let (key, is_signed) = observe::find_descriptor(&store, &repository, &backup.id)?.ok_or_else(gone)?;
    let descriptor = match observe::read_descriptor(&store, &repository, &key, is_signed, site.policy.name.as_str(), &writers)? {
        Read::Good(descriptor, _) => *descriptor,
        Read::Gone => return Err(gone()),
        Read::Rejected(why) | Read::Newer(why) => return Err(RestoreFault::new(format!("{key}: {why}"), "Do not trust this store.")),
    };
    let mut remarks: Vec<String> = unsigned_warning(&writers).into_iter().collect();
    let ancestors = chain::ancestors(site, &store, &repository, &descriptor)?;
    archive::must_be_awake((&store_name, &store), &repository, &descriptor, &ancestors)?;
    ancestors.iter().try_for_each(|link| chain::must_be_there(&store, &repository, link).map(drop))?;
    remarks.extend(seen.rejected.iter().take(10).map(|rejected| format!("not believed: {}: {}", rejected.key, rejected.why)));
    Ok(Newest { store_name, store, repository, descriptor, ancestors, remarks, unsure: Vec::new() })
}
