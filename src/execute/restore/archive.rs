//! What of a backup lies in an archive class: found before anything is touched, requested on demand, all of it at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::RestoreFault;
use super::plan::RestorePlan;
use crate::format::descriptor::Descriptor;
use crate::format::layout::Repository;
use crate::inventory::{Hold, Selection};
use crate::observe::width;
use crate::pipeline::restore::object_key;
use crate::plan::words::{joined, span};
use crate::site::SiteFault;
use crate::store::{self, Meta, Store, Thaw};
use crate::units::{BackupId, Duration, Haste, Instant, Key, Name, StorageClass};
use crate::world::parallel;

/// Objects in an archive class, by how they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archived {
    /// Nobody has asked for them.
    pub asleep: Vec<Key>,
    pub asleep_bytes: u64,
    /// Asked for, and on their way.
    pub underway: Vec<Key>,
    pub underway_bytes: u64,
    /// They were asked for and can be read now.
    pub ready: usize,
    pub ready_bytes: u64,
    /// Of those that cannot be read now.
    pub classes: BTreeMap<StorageClass, usize>,
}

impl Archived {
    fn add(&mut self, other: Archived) {
        self.asleep.extend(other.asleep);
        self.asleep_bytes += other.asleep_bytes;
        self.underway.extend(other.underway);
        self.underway_bytes += other.underway_bytes;
        self.ready += other.ready;
        self.ready_bytes += other.ready_bytes;
        for (class, count) in other.classes {
            *self.classes.entry(class).or_default() += count;
        }
    }

    /// Everything can be read now.
    pub fn is_readable(&self) -> bool {
        self.asleep.is_empty() && self.underway.is_empty()
    }

    /// How many there are, readable or not.
    pub fn count(&self) -> usize {
        self.asleep.len() + self.underway.len() + self.ready
    }

    /// Until all can be read when they are asked for now; nothing where one of the classes does not know that haste.
    pub fn within(&self, haste: Haste) -> Option<Duration> {
        self.classes.keys().map(|class| class.thaws_within(haste)).try_fold(Duration::ZERO, |longest, within| Some(longest.max(within?)))
    }

    /// How long a request takes, for each speed that there is.
    pub fn times(&self) -> String {
        let each = Haste::ALL.into_iter().filter_map(|haste| Some(format!("{haste} within {}", span(self.within(haste)?))));
        each.collect::<Vec<_>>().join(", ")
    }

    /// Until when it can be read at least, if it is asked for now and for so many days.
    pub(in crate::execute) fn readable_until(&self, days: u32, haste: Haste, now: Instant) -> Result<Instant, SiteFault> {
        let Some(within) = self.within(haste) else {
            let known: Vec<&str> = Haste::ALL.into_iter().filter(|haste| self.within(*haste).is_some()).map(Haste::as_str).collect();
            let hint = format!("Ask with `--thaw-speed` {}.", known.join(" or "));
            return Err(SiteFault::new(format!("nothing in {} can be requested as `{haste}`", joined(self.classes.keys())), hint));
        };
        let days = Duration::from_days(u64::from(days));
        let until = now.checked_add(within.to_signed()).and_then(|ready| ready.checked_add(days.to_signed()));
        Ok(until.unwrap_or(Instant::MAX))
    }

    /// Asks the store for everything that is asleep. Asked for again it is no fault.
    pub(in crate::execute) fn request(&self, store: &Store, days: u32, haste: Haste) -> Result<(), store::Fault> {
        let asked = parallel::map_with(width(store), &self.asleep, &|key| store.thaw(key, days, haste));
        // All are tried, whatever becomes of one: each that is on its way shortens the wait.
        asked.into_iter().collect()
    }
}

/// A backup of which something cannot be read now, and where it lies.
#[derive(Debug, Clone)]
pub struct Asleep {
    pub store_name: Name,
    store: Store,
    repository: Repository,
    pub backup: BackupId,
    pub archived: Archived,
}

impl PartialEq for Asleep {
    fn eq(&self, other: &Asleep) -> bool {
        (&self.store_name, &self.backup, &self.archived) == (&other.store_name, &other.backup, &other.archived)
    }
}

impl Eq for Asleep {}

impl From<&RestorePlan> for Asleep {
    fn from(plan: &RestorePlan) -> Asleep {
        let chosen = &plan.chosen;
        Asleep {
            store_name: chosen.store_name.clone(),
            store: chosen.store.clone(),
            repository: chosen.repository.clone(),
            backup: chosen.descriptor.id.clone(),
            archived: plan.archived.clone(),
        }
    }
}

impl From<Asleep> for RestoreFault {
    fn from(asleep: Asleep) -> RestoreFault {
        let message = format!("backup {} lies in an archive class and cannot be read now", asleep.backup);
        let hint = "Take one that is not archived (`--backup ID`), or another store (`--store NAME`).";
        RestoreFault { asleep: Some(Arc::new(asleep)), ..RestoreFault::new(message, hint) }
    }
}

/// Before the first of its objects is read: all of them and of what it builds on can be, or it is known what has to be asked for.
pub(in crate::execute) fn must_be_awake(
    (store_name, store): (&Name, &Store),
    repository: &Repository,
    descriptor: &Descriptor,
    ancestors: &[Descriptor],
) -> Result<(), RestoreFault> {
    let mut archived = Archived::default();
    for link in std::iter::once(descriptor).chain(ancestors) {
        let listed = store.list(&repository.prefix(&format!("data/{}", link.id)))?;
        let there = listed.into_iter().map(|meta| (meta.key.to_string(), meta)).collect();
        archived.add(inspect(store, repository, link, &there)?);
    }
    if archived.is_readable() {
        return Ok(());
    }
    let asleep = Asleep {
        store_name: store_name.clone(),
        store: store.clone(),
        repository: repository.clone(),
        backup: descriptor.id.clone(),
        archived,
    };
    Err(asleep.into())
}

/// What of these lies in an archive class. It keeps its class while it is thawed: only the store knows whether it can be read.
pub(super) fn inspect(
    store: &Store,
    repository: &Repository,
    descriptor: &Descriptor,
    there: &HashMap<String, Meta>,
) -> Result<Archived, RestoreFault> {
    let mut frozen: Vec<&Meta> = Vec::new();
    for object in &descriptor.objects {
        let key = object_key(repository, descriptor, object)?;
        frozen.extend(there.get(key.as_str()).filter(|meta| meta.frozen));
    }
    Ok(how_they_stand(store, &frozen)?)
}

/// Of objects that the store says are frozen.
pub(in crate::execute) fn how_they_stand(store: &Store, frozen: &[&Meta]) -> Result<Archived, store::Fault> {
    let states = parallel::map_with(width(store), frozen, &|meta| store.thaw_state(&meta.key));
    let mut archived = Archived::default();
    for (meta, state) in frozen.iter().zip(states) {
        match state? {
            Some(Thaw::Readable) => {
                archived.ready += 1;
                archived.ready_bytes += meta.size;
                continue;
            }
            Some(Thaw::Underway) => {
                archived.underway.push(meta.key.clone());
                archived.underway_bytes += meta.size;
            }
            Some(Thaw::Frozen) | None => {
                archived.asleep.push(meta.key.clone());
                archived.asleep_bytes += meta.size;
            }
        }
        if let Some(class) = meta.class {
            *archived.classes.entry(class).or_default() += 1;
        }
    }
    Ok(archived)
}

/// Asks the store for everything that lies in an archive class. Asked for again it is no fault. Before that, the backup is put under a hold
/// until it may be asleep again: nobody shall delete it meanwhile, or move it back where a store brings it out for good. Gives why there
/// is no hold, for whoever may not write there.
pub fn thaw(asleep: &Asleep, days: u32, haste: Haste, now: Instant) -> Result<Option<String>, RestoreFault> {
    let Asleep { store, repository, backup, archived, .. } = asleep;
    let held = hold(store, repository, backup, archived.readable_until(days, haste, now)?);
    archived.request(store, days, haste)?;
    Ok(held.err().map(|fault| fault.message))
}

fn hold(store: &Store, repository: &Repository, id: &BackupId, until: Instant) -> Result<(), store::Fault> {
    let words: Vec<String> = id.as_str().to_ascii_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect();
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let name: Name =
        format!("thaw-{}", words.join("-")).chars().take(63).collect::<String>().trim_end_matches('-').parse().expect("a name");
    let reason = format!("{id} was requested from an archive class, to be restored");
    let hold =
        Hold { reason, until: Some(until), passing: true, selects: Selection { backups: vec![id.clone()], ..Selection::default() }, name };
    let json = serde_json::to_vec_pretty(&hold).expect("texts and moments");
    store.replace(&repository.hold(&hold.name), Bytes::from(json))
}

/// How many of these can be read now.
pub fn readable(asleep: &Asleep) -> Result<usize, RestoreFault> {
    let asked: Vec<&Key> = asleep.archived.asleep.iter().chain(&asleep.archived.underway).collect();
    let states = parallel::map_with(width(&asleep.store), &asked, &|key| asleep.store.thaw_state(key));
    let mut ready = 0;
    for state in states {
        match state? {
            // One that is out of the archive for good is readable like any other.
            Some(Thaw::Readable) => ready += 1,
            Some(Thaw::Underway | Thaw::Frozen) => {}
            None => return Err(RestoreFault::new("objects of the backup were deleted while they were waited for", "")),
        }
    }
    Ok(ready)
}
