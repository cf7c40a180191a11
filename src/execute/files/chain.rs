//! What an increment builds on: found when one is taken, and before one is read.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::execute::backup::{BackupFault, Wishes, lease};
use crate::execute::restore::Pin;
use crate::format::descriptor::{Descriptor, ObjectKind};
use crate::format::layout::Repository;
use crate::inventory::{BackupKind, SystemIdentifier};
use crate::observe::{Eyes, Read, find_descriptor, look_into, read_descriptor};
use crate::pipeline::{Checked, PipelineFault};
use crate::plan::{Basis, basis};
use crate::site::{HostKeys, Site, SiteFault};
use crate::store::Store;
use crate::units::{BackupId, Instant};

use super::order::Order;

/// More than any policy makes: one every five minutes, for a week.
const LONGEST: usize = 2048;

/// The backup that an increment is taken upon.
#[derive(Debug)]
pub(super) struct Parent {
    pub descriptor: Descriptor,
    /// What it builds on itself, the nearest first.
    pub ancestors: Vec<Descriptor>,
    /// Nobody expires it meanwhile.
    _pin: Pin,
}

/// Where it lies.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub store: &'p Store,
    pub repository: &'p Repository,
    pub cluster: SystemIdentifier,
}

impl Parent {
    /// What this run builds on; none when it is a full one, and why is among the remarks.
    pub(super) fn find(
        site: &Site<'_>,
        order: &Order,
        place: Place<'_>,
        keys: &HostKeys,
        wishes: &Wishes,
        now: Instant,
        remarks: &mut Vec<String>,
    ) -> Result<Option<Parent>, BackupFault> {
        if order.options.full_every.is_none() {
            return Ok(None);
        }
        if wishes.anew {
            remarks.push("a full one, as was asked for".into());
            return Ok(None);
        }
        let writers = site.writers()?;
        let identities = site.identities(None).unwrap_or_default();
        let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities: &identities, now };
        let seen = look_into(place.store, place.repository.clone(), &eyes)?;
        let decided = basis(&order.job, order.options.full_every, &seen.inventory.backups, Some(place.cluster), now);
        let Basis::Increment { parent: id, .. } = &decided else {
            remarks.push(decided.to_string());
            return Ok(None);
        };
        match Parent::of(site, place, keys, id, now) {
            Ok(parent) => {
                remarks.push(decided.to_string());
                Ok(Some(parent))
            }
            // It may be whole all the same: asked again later, it is an increment after all.
            Err(fault) if fault.is_transient() => Err(fault),
            Err(fault) => {
                remarks.push(format!("a full one: {id} cannot be built on: {fault}"));
                Ok(None)
            }
        }
    }

    fn of(site: &Site<'_>, place: Place<'_>, keys: &HostKeys, id: &BackupId, now: Instant) -> Result<Parent, BackupFault> {
        let Place { store, repository, .. } = place;
        let descriptor = named(site, store, repository, id)?;
        // Before it is looked at more closely: whoever deletes it from here on sees this, or is seen.
        let pin = Pin::of(store, repository, &descriptor, "backup", site.host(), now)
            .ok_or_else(|| BackupFault::refused("it cannot be kept from being deleted meanwhile", ""))?;
        let ancestors = ancestors(site, store, repository, &descriptor)?;
        if ancestors.len() >= LONGEST {
            return Err(BackupFault::refused(format!("{LONGEST} backups build on each other, and no more can be read back"), ""));
        }
        for link in std::iter::once(&descriptor).chain(&ancestors) {
            if must_be_there(store, repository, link)?.is_asleep {
                let message = format!("{} lies in an archive class, and all that builds on it would have to wait for it", link.id);
                return Err(BackupFault::refused(message, ""));
            }
        }
        for index in descriptor.objects_of(ObjectKind::Index) {
            let key = repository.data(id, &index.name);
            let mut lines = Checked::open(store, &key, index.size, &index.sha256, &keys.metadata)?;
            io::copy(&mut lines, &mut io::sink()).map_err(|error| PipelineFault::of_stream(key.as_str(), &error))?;
        }
        Ok(Parent { descriptor, ancestors, _pin: pin })
    }

    /// Everything that it needs is a backup still.
    pub(super) fn must_be_committed(&self, place: Place<'_>) -> Result<(), BackupFault> {
        let (complete, _) = lease::committed(place.store, place.repository)?;
        let gone = std::iter::once(&self.descriptor).chain(&self.ancestors).find(|link| !complete.contains(&link.id));
        gone.map_or(Ok(()), |link| {
            let message = format!("{}, which this increment builds on, was deleted while it was taken", link.id);
            Err(BackupFault::refused(message, "Run it again: it builds on another one, or is a full one."))
        })
    }
}

/// All that a backup of files builds on, the nearest first. A link that is missing is named.
pub(in crate::execute) fn ancestors(
    site: &Site<'_>,
    store: &Store,
    repository: &Repository,
    descriptor: &Descriptor,
) -> Result<Vec<Descriptor>, SiteFault> {
    if descriptor.parent.is_none() || descriptor.kind != BackupKind::Files {
        return Ok(Vec::new());
    }
    let mut links: Vec<Descriptor> = Vec::new();
    let mut seen = HashSet::from([descriptor.id.clone()]);
    while let Some(parent) = links.last().unwrap_or(descriptor).parent.clone() {
        if !seen.insert(parent.clone()) {
            let message = format!("backup {} builds on {parent}, and that on itself", descriptor.id);
            return Err(SiteFault::new(message, "Do not trust this store."));
        }
        if links.len() >= LONGEST {
            let message = format!("backup {} builds on more than {LONGEST} others", descriptor.id);
            return Err(SiteFault::new(message, "Seawall makes no such chain: do not trust this store."));
        }
        let link = named(site, store, repository, &parent).map_err(|fault| {
            let message = format!("backup {} builds on {parent}, which cannot be read: {}", descriptor.id, fault.message);
            SiteFault { message, hint: "Take another store (`--store NAME`), or another backup.".into(), ..fault }
        })?;
        links.push(link);
    }
    Ok(links)
}

fn named(site: &Site<'_>, store: &Store, repository: &Repository, id: &BackupId) -> Result<Descriptor, SiteFault> {
    let gone = || SiteFault::new(format!("backup {id} is not in {}", store.url()), "`seawall list` shows what there is.");
    let (key, is_signed) = find_descriptor(store, repository, id)?.ok_or_else(gone)?;
    let writers = site.writers()?;
    match read_descriptor(store, repository, &key, is_signed, site.policy.name.as_str(), &writers)? {
        Read::Good(descriptor, _) => Ok(*descriptor),
        Read::Gone => Err(gone()),
        Read::Rejected(why) | Read::Newer(why) => Err(SiteFault::new(format!("{key}: {why}"), "Do not trust this store.")),
    }
}

/// How the objects of a backup lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::execute) struct Lies {
    /// Some of them in an archive class.
    pub is_asleep: bool,
}

/// What its descriptor names, as long as it says.
pub(in crate::execute) fn must_be_there(store: &Store, repository: &Repository, descriptor: &Descriptor) -> Result<Lies, SiteFault> {
    let there = store.list(&repository.prefix(&format!("data/{}", descriptor.id)))?;
    let sizes: HashMap<&str, u64> = there.iter().map(|meta| (meta.key.file_name(), meta.size)).collect();
    match descriptor.objects.iter().find(|object| sizes.get(object.name.as_str()) != Some(&object.size)) {
        None => Ok(Lies { is_asleep: there.iter().any(|meta| meta.frozen) }),
        Some(object) => {
            let message = format!("{} of backup {} is not there as it was put", object.name, descriptor.id);
            Err(SiteFault::new(message, "`seawall verify` shows what else is damaged."))
        }
    }
}
