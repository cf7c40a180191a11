//! Deletes one backup. The order is what makes it safe to be stopped anywhere:
//!
//! 1. everything that could still keep it is asked once more: its mark, holds, pins, what may build on it, locks;
//! 2. its descriptor is set aside, and taken away: from here on there is no such backup, whatever else happens. That it goes is said, as by
//!    everybody who removes data, and only then everything is asked again. Whoever begins to restore it, holds it or builds on it looks
//!    for the descriptor afterwards, so one of the two sees the other. What is wanted after all gets its descriptor back, as nothing else is gone
//!    yet, unless another run said too that it goes. So does what could not be asked about;
//! 3. the hint at the latest backup, if it names this one; the signature; the data; the records of its drills, which say nothing
//!    without it (the catalog keeps what they found); the lease; what was set aside;
//! 4. the mark, last: as long as it is there, the next run knows that something is unfinished. So it does as long as something is set aside:
//!    where that was all that had happened, and the backup is wanted by then, it is put back.
//!
//! Data without a descriptor are what a broken-off backup leaves too, and the next backup clears them away after an hour
//! (`backup::lease::clear_leftovers`); both go by the same rule, so it does not matter who comes first. What is marked is left to expiry, which
//! asks what may keep it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use jiff::SignedDuration;

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
use crate::store::{Fault, Locked, Meta, Put};
use crate::units::{BackupId, Instant, Key};

/// Whoever said that data go, and is still about to remove them after so long, was killed.
const DEAD: SignedDuration = SignedDuration::from_hours(24);
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
    let json = match still_going(ground, doomed, descriptor)? {
        Ok(json) => json,
        Err(why) => return Ok(Fate::Stays(why)),
    };
    let left = Left {
        signed: store.head(&signature_of(descriptor))?.is_some(),
        objects: objects.iter().map(|meta| (meta.key.file_name().to_owned(), meta.size)).collect(),
        place: descriptor.clone(),
        json,
    };
    announce()?;
    // What another run set aside is the same.
    let aside = repository.set_aside(&doomed.id);
    store.put_new(&aside, left.json.clone())?;
    let purged = store.purge(std::slice::from_ref(descriptor))?;
    doubts.extend(purged.doubt);
    if let Some(deferred) = locked(&purged.locked) {
        left.put_back(ground, &doomed.id)?;
        return Ok(deferred);
    }
    // One that has put its descriptor back in between has taken that away.
    store.put_new(&aside, left.json.clone())?;
    let sweep = Sweep::announce(store, repository, &doomed.id);
    let ask = || match store.head(descriptor)? {
        Some(_) => Ok(Some("another run has put its descriptor back".into())),
        None => wanted_after_all(ground, doomed),
    };
    match sweep.map(|sweep| (ask(), sweep)) {
        Ok((Ok(None), sweep)) => {
            forget_latest(ground, &doomed.id)?;
            let going = (Some(signature_of(descriptor)), sweep);
            Ok(rest(ground, &doomed.id, going, &objects, left.json.len() as u64, doubts)?)
        }
        Ok((Ok(Some(why)), sweep)) => {
            sweep.call_off()?;
            left.put_back(ground, &doomed.id)?;
            Ok(Fate::Stays(why))
        }
        // What was not answered may keep it.
        Ok((Err(fault), sweep)) => Err(unanswered(fault, sweep.call_off().and_then(|()| left.put_back(ground, &doomed.id)))),
        Err(fault) => Err(unanswered(fault, left.put_back(ground, &doomed.id))),
    }
}

fn unanswered(fault: Fault, put_back: Result<(), Fault>) -> ExpireFault {
    if let Err(other) = put_back {
        tracing::warn!("a descriptor could not be put back, and the next run does it: {other}");
    }
    fault.into()
}

/// Signature, data, lease, what was said of it, mark.
fn rest(
    ground: &Ground,
    id: &BackupId,
    (signature, sweep): (Option<Key>, Sweep<'_>),
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
    sweep.end()?;
    store.withdraw(&[repository.set_aside(id)])?;
    store.withdraw(&[repository.tombstone(id)])?;
    Ok(Fate::Gone { bytes: before + objects.iter().map(|meta| meta.size).sum::<u64>(), objects: objects.len() as u64 })
}

/// Finishes what was broken off, and removes what a failed run left: objects without a descriptor that nobody is adding to.
pub(super) fn finish(ground: &Ground, id: &BackupId, announce: &Announce<'_>, doubts: &mut BTreeSet<String>) -> Result<Fate, ExpireFault> {
    let (store, repository) = (&ground.store, &ground.repository);
    let objects = store.list(&repository.prefix(&format!("data/{id}")))?;
    if objects.is_empty() && is_only_marked(ground, id)? {
        store.withdraw(&[repository.set_aside(id)])?;
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
    let aside = set_aside(ground, id)?;
    let is_spared = !objects.is_empty() && aside.is_some() && store.head(&repository.tombstone(id))?.is_none();
    if let Some(why) = may_be_wanted(ground, id)?.or_else(|| is_spared.then(|| "its mark was taken off".into())) {
        sweep.call_off()?;
        if let Some(left) = aside {
            left.put_back(ground, id)?;
        }
        return Ok(Fate::Stays(why));
    }
    Ok(rest(ground, id, (signatures.remove(id), sweep), &objects, 0, doubts)?)
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

/// A backup that has lost its descriptor, and nothing else yet.
struct Left {
    place: Key,
    json: Bytes,
    /// Its data, by name and size.
    objects: Vec<(String, u64)>,
    signed: bool,
}

impl Left {
    /// Unless another run removes the data, or has. That one asked as well, and nothing kept it. It says first that it removes them and looks
    /// then for a descriptor; here it is the other way round, so one of the two sees the other. Two that put it back, or take it away again, make sure
    /// afterwards that it is there or set aside.
    fn put_back(&self, ground: &Ground, id: &BackupId) -> Result<(), Fault> {
        let (store, aside) = (&ground.store, ground.repository.set_aside(id));
        if !self.is_left_alone(ground, id)? {
            return Ok(());
        }
        // Another run, which found the same, may be faster.
        if store.put_new(&self.place, self.json.clone())? == Put::Exists {
            store.settle(&self.place)?;
        }
        if !self.is_left_alone(ground, id)? {
            store.purge(std::slice::from_ref(&self.place))?;
            return store.put_new(&aside, self.json.clone()).map(drop);
        }
        store.withdraw(std::slice::from_ref(&aside))?;
        if store.head(&self.place)?.is_none() {
            store.put_new(&aside, self.json.clone())?;
        }
        Ok(())
    }

    /// Nobody removes anything of it, and it is as it was. Of one that was killed, what it said is not believed for ever.
    fn is_left_alone(&self, ground: &Ground, id: &BackupId) -> Result<bool, Fault> {
        let (store, repository) = (&ground.store, &ground.repository);
        let alive = |meta: &Meta| ground.moment.store.duration_since(meta.modified) < DEAD;
        if store.list(&repository.sweeps(id))?.iter().any(alive) {
            return Ok(false);
        }
        let there = store.list(&repository.prefix(&format!("data/{id}")))?;
        let sizes: HashMap<&str, u64> = there.iter().map(|meta| (meta.key.file_name(), meta.size)).collect();
        let is_whole = self.objects.iter().all(|(name, size)| sizes.get(name.as_str()) == Some(size));
        Ok(is_whole && (!self.signed || store.head(&signature_of(&self.place))?.is_some()))
    }
}

/// What a run that was killed set aside. The signature goes first of what it goes on to delete.
fn set_aside(ground: &Ground, id: &BackupId) -> Result<Option<Left>, Fault> {
    let (store, repository) = (&ground.store, &ground.repository);
    let json = match store.get(&repository.set_aside(id), MAX_BYTES) {
        Ok(json) => json,
        Err(fault) if fault.is_absent() => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let Some(descriptor) = Descriptor::from_json(&json).ok().filter(|descriptor| descriptor.id == *id) else { return Ok(None) };
    let objects = descriptor.objects.iter().map(|object| (object.name.clone(), object.size)).collect();
    Ok(Some(Left { place: repository.descriptor(descriptor.stopped, id), json, objects, signed: true }))
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
