//! The two stores, as they were seen when it began.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;

use super::Onlooker;
use crate::format::layout::{Repository, descriptor_id};
use crate::format::signature::Writers;
use crate::inventory::{Backup, Hold, Observed, WalRange};
use crate::observe::{Eyes, Listed, Rejected, Seen, look_into};
use crate::site::{About, Site, SiteFault};
use crate::store::{FaultKind, Store, fresh_name};
use crate::units::{BackupId, Instant, Name};

/// What `repository.json` may be long.
const MAX_ABOUT: usize = 64 << 10;

/// One of them.
#[derive(Debug)]
pub(super) struct Side {
    pub name: Name,
    pub store: Store,
    pub repository: Repository,
    pub seen: Seen,
}

/// From where to where.
#[derive(Clone, Copy)]
pub(super) struct Pair<'p> {
    pub site: &'p Site<'p>,
    pub from: &'p Side,
    pub to: &'p Side,
    /// Where the log lies that backups need.
    pub log: &'p Side,
    /// The log is archived into the copy's store first.
    pub log_is_there: bool,
    pub writers: &'p Writers,
    pub onlooker: Onlooker<'p>,
}

impl Side {
    /// None where nothing of the policy lies there.
    pub fn open(site: &Site<'_>, name: &Name, now: Instant) -> Result<Option<Side>, SiteFault> {
        let store = site.store(name)?;
        // A directory is made by the first object that is put there.
        if matches!(store.folders(""), Err(fault) if fault.kind == FaultKind::NoStore) && store.url().starts_with("file:") {
            site.not_forgotten(&store)?;
            return Ok(None);
        }
        let Some(found) = site.find_repository(&store)? else { return Ok(None) };
        Side::look(site, name, store, found.repository, now).map(Some)
    }

    fn look(site: &Site<'_>, name: &Name, store: Store, repository: Repository, now: Instant) -> Result<Side, SiteFault> {
        let writers = site.writers()?;
        let identities = site.identities(None).unwrap_or_default();
        let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities: &identities, now };
        let seen = look_into(&store, repository.clone(), &eyes)?;
        match &seen.newer {
            None => Ok(Side { name: name.clone(), store, repository, seen }),
            Some(key) => {
                let message = format!("{key} in `{name}` was written by a newer seawall, so what lies there is not all known");
                Err(SiteFault::new(message, "Let that one copy."))
            }
        }
    }

    /// The copy, begun where nothing lies there yet: as the same repository, with the same words of what it is.
    pub fn begin(site: &Site<'_>, name: &Name, from: &Side, now: Instant) -> Result<Side, SiteFault> {
        let store = site.store(name)?;
        if store.url() == from.store.url() {
            let message = format!("`stores.{name}` and `stores.{}` are the same place, so a copy there is none", from.name);
            return Err(SiteFault::new(message, "Give the copy a place of its own."));
        }
        if let Some(side) = Side::open(site, name, now)? {
            return Ok(side);
        }
        let about = from.store.get(&from.repository.about(), MAX_ABOUT)?;
        let said: About = serde_json::from_slice(&about)
            .map_err(|error| SiteFault::new(format!("{} in `{}` cannot be read: {error}", from.repository.about(), from.name), ""))?;
        store.check_conditional_put(&from.repository.probe(&fresh_name()))?;
        store.put_new(&from.repository.about(), Bytes::clone(&about))?;
        // Remembered on this host: a disk that is not mounted some day must not look like a copy that was never begun.
        let repository = site.own_repository(name, &store, said.system_identifier, now)?;
        Side::look(site, name, store, repository, now)
    }

    pub fn backup(&self, id: &BackupId) -> Option<&Backup> {
        self.seen.inventory.backups.iter().find(|backup| backup.id == *id)
    }

    pub fn listed(&self, id: &BackupId) -> Option<&Listed> {
        self.seen.listed.iter().find(|listed| listed.id == *id)
    }

    /// Descriptors that lie there and are not believed.
    pub fn rejected_backups(&self) -> impl Iterator<Item = &Rejected> {
        let prefix = self.repository.prefix("backups/");
        self.seen.rejected.iter().filter(move |one| one.key.as_str().starts_with(&prefix) && descriptor_id(&one.key).is_some())
    }

    /// Those that have a descriptor, and as much data as it says.
    pub fn whole_backups(&self) -> Result<BTreeSet<BackupId>, SiteFault> {
        let prefix = self.repository.prefix("data");
        let mut lying: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        self.store.list_each(&prefix, &mut |meta| {
            let id = meta.key.as_str().get(prefix.len() + 1..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
            match lying.get_mut(id) {
                Some((objects, bytes)) => (*objects, *bytes) = (*objects + 1, *bytes + meta.size),
                None => _ = lying.insert(id.to_owned(), (1, meta.size)),
            }
            ControlFlow::Continue(())
        })?;
        let is_whole = |listed: &&Listed| {
            let said = self.backup(&listed.id).and_then(|backup| backup.stored_size).map(|size| size.bytes().get());
            lying.get(listed.id.as_str()).is_some_and(|(objects, bytes)| *objects == listed.objects && Some(*bytes) == said)
        };
        Ok(self.seen.listed.iter().filter(is_whole).map(|listed| listed.id.clone()).collect())
    }
}

impl Pair<'_> {
    /// Both have a backup of that name, and do not say the same of it.
    pub fn differs(&self, id: &BackupId) -> bool {
        let said = |side: &Side| side.backup(id).map(|backup| Backup { storage_class: None, verified_at: None, ..backup.clone() });
        match (said(self.from), said(self.to)) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        }
    }

    /// A backup's part of the log is not in the copy any more, and could be.
    pub fn lacks_log(&self, id: &BackupId) -> bool {
        let has = |side: &Side| {
            let Some((backup, listed)) = self.from.backup(id).zip(self.from.listed(id)) else { return true };
            let (Some(timeline), Some(start), Some(stop)) = (backup.timeline, backup.start_lsn, backup.stop_lsn) else { return true };
            let covers = |range: &WalRange| {
                let is_its = range.timeline == timeline && range.system_identifier.is_none_or(|of| of == listed.system_identifier);
                is_its && range.from_lsn <= start && stop <= range.to_lsn
            };
            side.seen.inventory.wal.iter().any(covers)
        };
        let pair = self.from.backup(id).map_or(*self, |backup| self.of(backup));
        !pair.log_is_there && !has(pair.to) && has(pair.log)
    }

    /// What brought its own log has it where it lies, wherever log is archived by now.
    pub fn of(&self, backup: &Backup) -> Pair<'_> {
        if backup.carries_log { Pair { log: self.from, log_is_there: false, ..*self } } else { *self }
    }

    /// What arrives in a directory is read once more; a cloud has checked it by itself.
    pub fn reads_back(&self, job: &Name) -> bool {
        let contents = |backup: &crate::policy::model::Backup| backup.read_back == crate::policy::file::ReadBack::Contents;
        self.reads_back_log() || self.site.policy.backups.get(job).is_some_and(contents)
    }

    /// A directory checks nothing by itself.
    pub fn reads_back_log(&self) -> bool {
        self.to.store.url().starts_with("file:")
    }
}

/// What was placed in either of them holds in both.
pub(super) fn holds_of(from: Option<&Side>, to: Option<&Side>) -> Observed<Vec<Hold>> {
    let mut all: Vec<Hold> = Vec::new();
    for side in [from, to].into_iter().flatten() {
        match &side.seen.holds {
            Observed::Known(holds) => all.extend(holds.iter().cloned()),
            Observed::Unknown { reason } => return Observed::unknown(format!("`{}`: {reason}", side.name)),
        }
    }
    Observed::Known(all)
}
