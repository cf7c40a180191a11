//! Deletes one backup. The order is what makes it safe to be stopped anywhere:
//!
//! 1. everything that could still keep it is asked once more: its mark, holds, pins, what may build on it, locks;
//! 2. the descriptor: from here on there is no such backup, whatever else happens. What may build on it is asked again, and all the rest
//!    too when long time passed since the last question (a machine that was put to sleep); what is wanted after all gets its descriptor
//!    back: nothing else is gone yet. So does what could not be asked about;
//! 3. the hint at the latest backup, if it names this one; the signature; the data; the records of its drills, which say nothing
//!    without it (the catalog keeps what they found); the lease;
//! 4. the mark, last: as long as it is there, the next run knows that something is unfinished.
//!
//! Data without a descriptor are what a broken-off backup leaves too, and the next backup clears them away after an hour
//! (`backup::lease::clear_leftovers`); both go by the same rule, so it does not matter who comes first. What is marked is left to expiry, which
//! asks what may keep it.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant as Stopwatch};

use bytes::Bytes;

use super::ExpireFault;
use super::clock::second;
use super::ground::{Ground, pins};
use crate::execute::backup::Latest;
use crate::execute::backup::lease::{committed, is_abandoned};
use crate::execute::backup::sweep::Sweep;
use crate::format::descriptor::{Descriptor, MAX_BYTES};
use crate::format::layout::{descriptor_id, signature_of};
use crate::inventory::{Hold, Observed};
use crate::observe::{holds, holds_since};
use crate::plan::Doomed;
use crate::store::{Fault, Locked, Meta, Put, Store};
use crate::units::{BackupId, Instant, Key};

/// What was asked so long ago is asked again before it counts.
const QUESTION_AGES: Duration = Duration::from_secs(2);
/// What is looked at is decided by for so long; then the run ends, and the next one looks again.
pub(super) const LOOK_AGES: Duration = Duration::from_secs(15 * 60);
/// So many objects are deleted with one call.
pub(super) const AT_ONCE: usize = 1000;

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Gone {
        bytes: u64,
        objects: u64,
    },
    Deferred {
        why: String,
        until: Option<Instant>,
    },
    /// Something keeps it after all.
    Stays(String),
    /// Only its mark was there.
    WasGone,
}

/// Says that something is about to go; it stays where that cannot be said.
pub(super) type Announce<'a> = dyn Fn() -> Result<(), ExpireFault> + 'a;

/// Deletes a backup that has a descriptor.
pub(super) fn delete(
    ground: &Ground,
    doomed: &Doomed,
    announce: &Announce<'_>,
    doubts: &mut BTreeSet<String>,
) -> Result<Fate, ExpireFault> {
    let (store, repository) = (&ground.store, &ground.repository);
    let Some(listed) = ground.seen.listed.iter().find(|listed| listed.id == doomed.id) else {
        return Ok(Fate::Stays("its descriptor is not the one that was listed".into()));
    };
    let descriptor = &listed.key;
    let objects = store.list(&repository.prefix(&format!("data/{}", doomed.id)))?;
    let whole: Vec<Key> =
        [descriptor.clone(), signature_of(descriptor)].into_iter().chain(objects.iter().map(|meta| meta.key.clone())).collect();
    // Of what is locked nothing goes: a backup whose data cannot be deleted is better left whole.
    if let Some(deferred) = locked(&store.locks(&whole)?) {
        return Ok(deferred);
    }
    let asked = Stopwatch::now();
    let json = match still_going(ground, doomed, descriptor)? {
        Ok(json) => json,
        Err(why) => return Ok(Fate::Stays(why)),
    };
    announce()?;
    match unmake(ground, doomed, descriptor, asked, doubts) {
        Ok(None) => {}
        Ok(Some(kept)) => {
            put_back(store, descriptor, json)?;
            return Ok(kept);
        }
        // What was not answered may keep it.
        Err(fault) => {
            if let Err(other) = put_back(store, descriptor, json) {
                tracing::warn!("the descriptor {descriptor} could not be put back, and the next run decides about what is left: {other}");
            }
            return Err(fault.into());
        }
    }
    forget_latest(ground, &doomed.id)?;
    Ok(rest(ground, &doomed.id, (Some(signature_of(descriptor)), None), &objects, json.len() as u64, doubts)?)
}

/// Takes the descriptor away, and asks again what may keep the backup. Gives what does.
fn unmake(
    ground: &Ground,
    doomed: &Doomed,
    descriptor: &Key,
    asked: Stopwatch,
    doubts: &mut BTreeSet<String>,
) -> Result<Option<Fate>, Fault> {
    let purged = ground.store.purge(std::slice::from_ref(descriptor))?;
    doubts.extend(purged.doubt);
    if let Some(deferred) = locked(&purged.locked) {
        return Ok(Some(deferred));
    }
    // Whoever completes what builds on it looks for it afterwards, and so do we: one of the two sees the other.
    let asks_all = asked.elapsed() > QUESTION_AGES;
    let wanted = if asks_all { wanted_after_all(ground, doomed)? } else { new_child(ground, &doomed.id)? };
    Ok(wanted.map(Fate::Stays))
}

/// Signature, data, lease, what was said of it, mark.
fn rest(
    ground: &Ground,
    id: &BackupId,
    (signature, sweep): (Option<Key>, Option<Sweep<'_>>),
    objects: &[Meta],
    before: u64,
    doubts: &mut BTreeSet<String>,
) -> Result<Fate, Fault> {
    let (store, repository) = (&ground.store, &ground.repository);
    // First the signature, which is found only as long as there are data without a descriptor.
    let drills = store.list(&repository.drills_prefix(id))?;
    let keys: Vec<Key> = signature.into_iter().chain(objects.iter().chain(&drills).map(|meta| meta.key.clone())).collect();
    for keys in keys.chunks(AT_ONCE) {
        let purged = store.purge(keys)?;
        doubts.extend(purged.doubt);
        if let Some(deferred) = locked(&purged.locked) {
            return Ok(deferred);
        }
    }
    store.withdraw(&[repository.backup_lease(id)])?;
    sweep.map_or(Ok(()), Sweep::end)?;
    store.withdraw(&[repository.tombstone(id)])?;
    Ok(Fate::Gone { bytes: before + objects.iter().map(|meta| meta.size).sum::<u64>(), objects: objects.len() as u64 })
}

/// Finishes what was broken off, and removes what a failed run left: objects without a descriptor that nobody is adding to.
pub(super) fn finish(ground: &Ground, id: &BackupId, announce: &Announce<'_>, doubts: &mut BTreeSet<String>) -> Result<Fate, ExpireFault> {
    let (store, repository) = (&ground.store, &ground.repository);
    let objects = store.list(&repository.prefix(&format!("data/{id}")))?;
    if objects.is_empty() && is_only_marked(ground, id)? {
        store.withdraw(&[repository.tombstone(id)])?;
        return Ok(Fate::WasGone);
    }
    let is_alive = || -> Result<bool, Fault> {
        let lease = store.head(&repository.backup_lease(id))?;
        Ok(!is_abandoned(lease.as_ref(), &objects, ground.moment.store))
    };
    if !objects.is_empty() {
        if is_alive()? {
            return Ok(Fate::Stays("somebody may be adding to it".into()));
        }
        if ground.pins.backups.contains(id) || ground.pins.unread.is_some() {
            return Ok(Fate::Stays("it is being restored".into()));
        }
    }
    if !objects.is_empty() {
        // The record may be slow, so what follows is asked after it.
        announce()?;
        if is_alive()? {
            return Ok(Fate::Stays("somebody adds to it again".into()));
        }
    }
    if let Some(deferred) = locked(&store.locks(&objects.iter().map(|meta| meta.key.clone()).collect::<Vec<_>>())?) {
        return Ok(deferred);
    }
    let sweep = Sweep::announce(store, repository, id)?;
    // Listed after its objects, and after it was said that they go: whoever committed it in between is seen here.
    let (complete, mut signatures) = committed(store, repository)?;
    if complete.contains(id) {
        sweep.call_off()?;
        return Ok(Fate::Stays("it has a descriptor now".into()));
    }
    let pins = pins(store, repository, ground.moment.store)?;
    if !objects.is_empty() && (pins.backups.contains(id) || pins.unread.is_some()) {
        sweep.call_off()?;
        return Ok(Fate::Stays("it is being restored, or copied to here".into()));
    }
    if let Some(why) = may_be_wanted(ground, id)? {
        sweep.call_off()?;
        return Ok(Fate::Stays(why));
    }
    Ok(rest(ground, id, (signatures.remove(id), Some(sweep)), &objects, 0, doubts)?)
}

/// All else that was of it is gone.
fn is_only_marked(ground: &Ground, id: &BackupId) -> Result<bool, Fault> {
    let (store, repository) = (&ground.store, &ground.repository);
    if store.head(&repository.backup_lease(id))?.is_some() || !store.list(&repository.drills_prefix(id))?.is_empty() {
        return Ok(false);
    }
    let (complete, signatures) = committed(store, repository)?;
    Ok(!complete.contains(id) && !signatures.contains_key(id))
}

/// What has come since it was marked and may keep it. Its descriptor was taken away by a run that could not ask to the end; of which job it was
/// nobody can say any more, so a hold that names no backups may be about this one.
fn may_be_wanted(ground: &Ground, id: &BackupId) -> Result<Option<String>, Fault> {
    let Some(mark) = ground.marks.get(id) else { return Ok(None) };
    if let Some(child) = ground.backups().iter().find(|backup| backup.parent.as_ref() == Some(id)) {
        return Ok(Some(format!("{} builds on it", child.id)));
    }
    let placed = match holds_since(&ground.store, &ground.repository, mark.at)? {
        Observed::Unknown { reason } => return Ok(Some(format!("the holds are not known any more: {reason}"))),
        Observed::Known(placed) => placed,
    };
    let is_active = |hold: &&Hold| hold.is_active(ground.moment.rules);
    let may_mean_it = |hold: &&Hold| hold.selects.backups.is_empty() || hold.selects.backups.contains(id);
    let names_it = |hold: &&Hold| hold.selects.backups.contains(id);
    let since = placed.iter().filter(is_active).find(may_mean_it);
    if let Some(hold) = since.or_else(|| ground.holds.iter().filter(is_active).find(names_it)) {
        return Ok(Some(format!("the hold `{}` may be about it, which has no descriptor any more", hold.name)));
    }
    new_child(ground, id)
}

/// Its descriptor, when nothing keeps the backup; otherwise what does.
fn still_going(ground: &Ground, doomed: &Doomed, descriptor: &Key) -> Result<Result<Bytes, String>, Fault> {
    if let Some(why) = wanted_after_all(ground, doomed)? {
        return Ok(Err(why));
    }
    match ground.store.get(descriptor, MAX_BYTES) {
        Ok(json) => Ok(Ok(json)),
        Err(fault) if fault.is_absent() => Ok(Err("another run has deleted it".into())),
        Err(fault) => Err(fault),
    }
}

/// What has come since everything was listed, and keeps it.
fn wanted_after_all(ground: &Ground, doomed: &Doomed) -> Result<Option<String>, Fault> {
    let (store, repository) = (&ground.store, &ground.repository);
    let mark = store.head(&repository.tombstone(&doomed.id))?;
    let seen = ground.marks.get(&doomed.id).map(|mark| mark.at.as_second());
    // To the second: a list may say more than that, and a look at one object not.
    if mark.map(|meta| meta.modified.as_second()) != seen {
        return Ok(Some("its mark was taken off, or put anew".into()));
    }
    match holds(store, repository)? {
        Observed::Unknown { reason } => return Ok(Some(format!("the holds are not known any more: {reason}"))),
        Observed::Known(placed) if ground.seen.holds.known() != Some(&placed) => {
            return Ok(Some("the holds were changed meanwhile".into()));
        }
        Observed::Known(_) => {}
    }
    let pins = pins(store, repository, ground.moment.store)?;
    if pins.backups.contains(&doomed.id) || pins.unread.is_some() {
        return Ok(Some("it is being restored".into()));
    }
    if ground.looked.is_longer_than(LOOK_AGES) {
        return Ok(Some("everything was listed too long ago".into()));
    }
    new_child(ground, &doomed.id)
}

/// A backup that was completed meanwhile and builds on it. A copy has the name that the original has, so it may come before any that was seen.
pub(super) fn new_child(ground: &Ground, id: &BackupId) -> Result<Option<String>, Fault> {
    let seen: HashSet<&Key> = ground.seen.listed.iter().map(|listed| &listed.key).collect();
    let mut new = Vec::new();
    ground.store.list_each(&ground.repository.prefix("backups"), &mut |meta| {
        new.extend(descriptor_id(&meta.key).filter(|_| !seen.contains(&meta.key)).map(|id| (id, meta.key)));
        ControlFlow::Continue(())
    })?;
    for (child, key) in new {
        match ground.store.get(&key, MAX_BYTES).map(|json| Descriptor::from_json(&json)) {
            Ok(Ok(descriptor)) if descriptor.parent.as_ref() != Some(id) => {}
            Err(fault) if fault.is_absent() => {}
            Err(fault) if fault.kind != crate::store::FaultKind::Damaged => return Err(fault),
            _ => return Ok(Some(format!("{child} was completed meanwhile, and may build on it"))),
        }
    }
    Ok(None)
}

/// Nothing but the descriptor is gone yet.
fn put_back(store: &Store, descriptor: &Key, json: Bytes) -> Result<(), Fault> {
    match store.put_new(descriptor, json)? {
        Put::Created => Ok(()),
        // Another run, which found the same, was faster.
        Put::Exists => store.settle(descriptor),
    }
}

/// The newest good backup is never deleted, so a hint that names this one is old. Without a hint the descriptors are asked.
fn forget_latest(ground: &Ground, id: &BackupId) -> Result<(), Fault> {
    let hints = ground.store.list(&ground.repository.prefix("hints"))?.into_iter().map(|meta| meta.key);
    let names = |key: &Key| match ground.store.get(key, 64 << 10) {
        Ok(json) => serde_json::from_slice::<Latest>(&json).is_ok_and(|latest| latest.id == *id),
        Err(_) => false,
    };
    let old: Vec<Key> = hints.filter(names).collect();
    if old.is_empty() { Ok(()) } else { ground.store.delete(&old) }
}

/// The longest of these locks.
pub(super) fn locked(locks: &[Locked]) -> Option<Fate> {
    let longest = locks.iter().max_by_key(|lock| (lock.legal_hold, lock.until))?;
    let key = &longest.key;
    let (why, until) = match (longest.legal_hold, longest.until) {
        (true, _) => (format!("{key} is under a legal hold of the store"), None),
        (false, Some(until)) => (format!("{key} is locked until {}", second(until)), Some(until)),
        (false, None) => (format!("{key} is locked"), None),
    };
    Some(Fate::Deferred { why, until })
}
