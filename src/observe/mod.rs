//! Looking, and only looking: what lies in the stores of a policy, from the stores alone.
//!
//! **Unknown is not empty.** What could not be looked at is [`Observed::Unknown`] with the reason, and a backup that nobody
//! accepted by the policy has signed is named and not counted.

mod archived;
mod classes;
mod cluster;
mod databases;
mod descriptors;
mod drilled;
mod held;
mod holds;
mod kin;
mod leftovers;
mod recorded;
mod server;
mod wal;

pub use archived::{Kept, Names, Shelf, sha256};
pub use classes::storage_classes;
pub use cluster::{SeenCluster, cluster, spelled};
pub use databases::{databases, holds_there, running};
pub use descriptors::{Listed, Read, find_descriptor, is_listed, read_descriptor, signer_beside};
pub use drilled::{DrillsFound, KnownDrills, NotCounted, drills};
pub use held::{ages, holds_shown, left_until, look_at_holds, no_rows};
pub use holds::{holds, holds_since};
pub use kin::{family, kin, kin_query};
pub use recorded::{DRILLS_WITHIN, LOADED, RECOVERED, Recorded, WAL_POSITION, WAL_PUSH, identities, recorded, recorded_with};
pub use server::{look_at_server, server};
pub use wal::{WalSeen, accept_stamp, signer};

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

use crate::format::layout::Repository;
use crate::format::seal::Identities;
use crate::format::signature::Writers;
use crate::inventory::{Backup, BackupState, Hold, Observed, Size, StoreInventory, SystemIdentifier, gaps, settled};
use crate::site::{PassedOver, Site, SiteFault};
use crate::store::{Fault, Store};
use crate::units::{Instant, Key, Lsn, Name, Segment, SegmentSize, Timeline};
use crate::world::parallel;

/// To a log whose newest segment is older nothing is on its way.
const GROWS_SECONDS: i64 = 300;
/// How long a segment may still be on its way after one that follows it.
const SETTLES_WITHIN: std::time::Duration = std::time::Duration::from_secs(3);

/// What was seen in one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// None when it is known that the store has nothing of this policy.
    pub repository: Option<Repository>,
    pub inventory: StoreInventory,
    /// More of each backup that has a descriptor, in the order of their names.
    pub listed: Vec<Listed>,
    /// Of each cluster whose log is there, where it is known.
    pub segment_sizes: BTreeMap<SystemIdentifier, SegmentSize>,
    /// What was placed in it at run time.
    pub holds: Observed<Vec<Hold>>,
    /// What lies there and is not counted.
    pub rejected: Vec<Rejected>,
    /// What could not be told of it, as sentences without a full stop.
    pub doubts: Vec<String>,
    /// A newer seawall wrote here, so there are backups that this one cannot read.
    pub newer: Option<Key>,
    /// Descriptors that the store did not give, and why: there are backups of which nothing is known.
    pub unread: Vec<(Key, Fault)>,
}

/// An object that is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rejected {
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub key: Key,
    pub why: String,
}

impl From<PassedOver> for Rejected {
    fn from(PassedOver { key, why }: PassedOver) -> Rejected {
        Rejected { key, why }
    }
}

fn as_text<S: serde::Serializer>(key: &Key, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

/// What looking needs to know.
#[derive(Debug)]
pub struct Eyes<'a> {
    pub policy: &'a str,
    pub writers: &'a Writers,
    /// For the histories of timelines; may be empty.
    pub identities: &'a Identities,
    pub now: Instant,
}

/// What lies in a store, as the inventory says it.
pub fn store(site: &Site<'_>, store: &Store, now: Instant) -> Observed<StoreInventory> {
    match look(site, store, now) {
        Ok(seen) => seen.observed(),
        Err(fault) => Observed::unknown(fault.message),
    }
}

/// What lies in a store, with what was not believed and what could not be told.
pub fn look(site: &Site<'_>, store: &Store, now: Instant) -> Result<Seen, SiteFault> {
    look_as_far_as_possible(site, store, now)?.whole()
}

/// The same for those who only show it: one descriptor that cannot be read hides no other one.
pub fn look_as_far_as_possible(site: &Site<'_>, store: &Store, now: Instant) -> Result<Seen, SiteFault> {
    let writers = site.writers()?;
    // Without any identity the histories of timelines stay closed, which is said and is no reason to see nothing.
    let identities = site.identities(None).unwrap_or_default();
    let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities: &identities, now };
    match site.find_repository(store)? {
        Some(found) => {
            let repository = found.repository.clone();
            let mut seen = look_around(store, found.repository, &eyes, &identities)?.passing_over(found.passed_over);
            let moves =
                |backup: &Backup| backup.state == BackupState::Complete && backup.parent.is_none() && has_classes(site, &backup.job);
            storage_classes(store, &repository, &mut seen.inventory.backups, &moves)?;
            Ok(seen)
        }
        None => Ok(Seen::nothing()),
    }
}

/// Whether the backups of a job move from one storage class to another.
fn has_classes(site: &Site<'_>, job: &Name) -> bool {
    let Some(backup) = site.policy.backups.get(job) else { return false };
    !backup.classes.is_empty() || backup.copies.iter().any(|copy| !copy.classes.is_empty())
}

/// The write-ahead log alone; nothing where the store holds no repository of the policy.
pub fn look_at_log(site: &Site<'_>, store: &Store, now: Instant) -> Result<Option<WalSeen>, SiteFault> {
    let writers = site.writers()?;
    let identities = site.identities(None).unwrap_or_default();
    let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities: &identities, now };
    let Some(found) = site.find_repository(store)? else { return Ok(None) };
    let mut seen = wal::look(store, &found.repository, &BTreeMap::new(), &eyes)?;
    seen.rejected.extend(found.passed_over.into_iter().map(Rejected::from));
    Ok(Some(seen))
}

/// When the segment was written that begins here, by its own stamp; none where it cannot be told.
pub fn log_written(
    site: &Site<'_>,
    (store, seen): (&Name, &Seen),
    cluster: SystemIdentifier,
    timeline: Timeline,
    at: Lsn,
) -> Option<Instant> {
    let (repository, size) = (seen.repository.as_ref()?, *seen.segment_sizes.get(&cluster)?);
    let (store, writers) = (site.store(store).ok()?, site.writers().ok()?);
    let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities: &Identities::default(), now: Instant::UNIX_EPOCH };
    wal::written(&store, repository, &eyes, cluster, (Segment::of(timeline, at, size), size))
}

/// What lies in one repository.
pub fn look_into(store: &Store, repository: Repository, eyes: &Eyes<'_>) -> Result<Seen, SiteFault> {
    // Which identity opens the one backup that somebody wants is evidence: it opens no others before.
    look_around(store, repository, eyes, &Identities::default())?.whole()
}

fn look_around(store: &Store, repository: Repository, eyes: &Eyes<'_>, openers: &Identities) -> Result<Seen, SiteFault> {
    // The folders come first: what has no descriptor afterwards had none when its folder was seen.
    let folders = store.folders(&repository.prefix("data"))?;
    let read = descriptors::read_all(store, &repository, eyes, openers)?;
    let sizes = read.listed.iter().map(|listed| (listed.system_identifier, listed.segment_size)).collect();
    let leftovers = leftovers::look(store, &repository, &folders, &read, eyes.now)?;
    let wal = wal::look(store, &repository, &sizes, eyes)?;
    let holds = holds::holds(store, &repository)?;
    let mut backups = read.backups;
    backups.extend(leftovers.backups);
    let used = read.stored_bytes + leftovers.bytes + wal.bytes;
    let used = match read.unread.first() {
        None => Observed::Known(Size::new(used)),
        Some((_, fault)) => Observed::unknown(fault.message.clone()),
    };
    Ok(Seen {
        repository: Some(repository),
        inventory: StoreInventory { backups, wal: wal.ranges, forks: wal.forks, used },
        listed: read.listed,
        segment_sizes: wal.sizes,
        holds,
        rejected: read.rejected.into_iter().chain(wal.rejected).collect(),
        doubts: wal.doubts,
        newer: read.newer,
        unread: read.unread,
    })
}

/// The same for those who judge the log by it: a gap in it is one that stayed.
pub fn look_settled(store: &Store, repository: Repository, eyes: &Eyes<'_>) -> Result<Seen, SiteFault> {
    let mut seen = look_into(store, repository.clone(), eyes)?;
    let newest = seen.inventory.wal.iter().map(|range| range.to_time).max();
    let grows = newest.is_some_and(|newest| eyes.now.duration_since(newest).as_secs() < GROWS_SECONDS);
    if grows && !gaps(&seen.inventory.wal).is_empty() {
        std::thread::sleep(SETTLES_WITHIN);
        let sizes = seen.listed.iter().map(|listed| (listed.system_identifier, listed.segment_size)).collect();
        let later = wal::look(store, &repository, &sizes, eyes)?;
        seen.inventory.wal = settled(&seen.inventory.wal, later.ranges);
    }
    Ok(seen)
}

impl Seen {
    fn nothing() -> Seen {
        let inventory = StoreInventory { backups: vec![], wal: vec![], forks: vec![], used: Observed::Known(Size::default()) };
        Seen {
            repository: None,
            inventory,
            listed: vec![],
            segment_sizes: BTreeMap::new(),
            holds: Observed::Known(vec![]),
            rejected: vec![],
            doubts: vec![],
            newer: None,
            unread: vec![],
        }
    }

    /// With what else calls itself the policy's repository.
    #[must_use]
    pub fn passing_over(mut self, others: Vec<PassedOver>) -> Seen {
        self.rejected.extend(others.into_iter().map(Rejected::from));
        self
    }

    /// Nothing less than everything: whoever decides by it must not take some backups for all.
    fn whole(mut self) -> Result<Seen, SiteFault> {
        match self.unread.pop() {
            Some((_, fault)) => Err(fault.into()),
            None => Ok(self),
        }
    }

    /// For decisions: with backups that cannot be read, nobody may act as if the others were all.
    pub fn observed(self) -> Observed<StoreInventory> {
        match self.newer {
            Some(key) => Observed::unknown(format!("{key} was written by a newer seawall")),
            None => Observed::Known(self.inventory),
        }
    }
}

/// How many objects are read at once: a disk wants processors, a network wants patience.
pub fn width(store: &Store) -> usize {
    if store.url().starts_with("file:") { parallel::processors().clamp(2, 8) } else { 24 }
}
