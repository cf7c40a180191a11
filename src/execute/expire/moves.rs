//! Moves the data of backups into colder storage classes. Only the parts move, which hold nearly all of it: descriptor, signature, indexes and
//! manifest stay where they can be read at once, so a restore from an archive is planned in seconds.
//!
//! Nothing here can lose anything, so there is one phase. Each backup is asked about once more right before: is it marked, held, read, built
//! on? Then its objects are listed, and those that do not lie in the class yet are moved, each for itself. Which have been moved is what the
//! list says: a run that is killed anywhere is gone on with by the next, two runs at once do the same thing twice, and nothing needs a mark.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use super::backups::{Fate, locked, new_child};
use super::ground::{Ground, pins};
use super::{Deed, Done, ExpireFault, Onlooker, Run, What};
use crate::format::layout::is_part;
use crate::inventory::Observed;
use crate::observe::holds;
use crate::plan::Move;
use crate::store::{Fault, Meta, Moved};
use crate::units::{BackupId, Key};
use crate::world::parallel;

/// Objects of one backup that are moved at the same time: the service does the work.
const AT_ONCE: usize = 8;

/// What became of the objects of one backup.
#[derive(Debug, Default)]
struct Tally {
    objects: u64,
    bytes: u64,
    /// What stays behind in a bucket that keeps versions, and why.
    left: BTreeSet<String>,
    deferred: Option<Fate>,
    in_use: bool,
    /// Somebody stopped it before its end.
    broken_off: bool,
    fault: Option<Fault>,
}

impl Run<'_> {
    /// All that the rules want to lie colder.
    pub(super) fn moves(&mut self) -> Result<(), ExpireFault> {
        for one in self.ground.moves(self.site)? {
            self.may_go_on()?;
            if let Some(why) = in_use(self.ground, &one.id)? {
                let deed = moving(self.ground, &one, format!("{}; {why}", one.reason));
                self.expired.waiting.push(deed);
                continue;
            }
            let objects = warm_parts(self.ground, &one)?;
            let keys: Vec<Key> = objects.iter().map(|meta| meta.key.clone()).collect();
            // Under a lock an object can only be doubled, not moved.
            let tally = match locked(&self.ground.store.locks(&keys)?) {
                Some(deferred) => Tally { deferred: Some(deferred), ..Tally::default() },
                None => move_all(self.ground, &one, &objects, self.onlooker),
            };
            self.note_move(&one, tally)?;
        }
        Ok(())
    }

    fn note_move(&mut self, one: &Move, tally: Tally) -> Result<(), ExpireFault> {
        for left in tally.left {
            self.expired.doubt(Some(left), self.ground);
        }
        if tally.objects > 0 {
            // Also what was broken off: it was done, and the next run does the rest.
            let deed = Deed { bytes: tally.bytes, objects: tally.objects, ..moving(self.ground, one, one.reason.clone()) };
            (self.onlooker.deed)(Done::Moved, &deed);
            self.expired.moved.push(deed);
        }
        if let Some(Fate::Deferred { why, until }) = tally.deferred {
            let deed = Deed { until, ..moving(self.ground, one, format!("{}; {why}", one.reason)) };
            self.expired.deferred.push(deed);
        }
        if tally.in_use {
            let deed = moving(self.ground, one, format!("{}; it is being restored", one.reason));
            self.expired.waiting.push(deed);
        }
        match tally.fault {
            Some(fault) => Err(fault.into()),
            None if tally.broken_off => Err(ExpireFault::Interrupted),
            None => Ok(()),
        }
    }
}

fn moving(ground: &Ground, one: &Move, reason: String) -> Deed {
    let what = What::Backup { id: one.id.clone(), job: one.job.clone() };
    Deed { store: ground.name.clone(), what, reason, bytes: one.bytes, objects: 0, until: None, storage_class: Some(one.to) }
}

/// What has come since everything was listed, and keeps the backup where it is.
fn in_use(ground: &Ground, id: &BackupId) -> Result<Option<String>, Fault> {
    let (store, repository) = (&ground.store, &ground.repository);
    if store.head(&repository.tombstone(id))?.is_some() {
        return Ok(Some("it was marked meanwhile".into()));
    }
    match holds(store, repository)? {
        Observed::Known(placed) if ground.seen.holds.known() == Some(&placed) => {}
        _ => return Ok(Some("the holds were changed meanwhile".into())),
    }
    if is_read(ground, id)? {
        return Ok(Some("it is being restored".into()));
    }
    new_child(ground, id)
}

fn is_read(ground: &Ground, id: &BackupId) -> Result<bool, Fault> {
    let pins = pins(&ground.store, &ground.repository, ground.moment.store)?;
    Ok(pins.backups.contains(id) || pins.unread.is_some())
}

/// Its parts that do not lie there yet.
fn warm_parts(ground: &Ground, one: &Move) -> Result<Vec<Meta>, Fault> {
    let objects = ground.store.list(&ground.repository.prefix(&format!("data/{}", one.id)))?;
    let is_warm = |meta: &Meta| meta.class.is_some_and(|class| one.to.is_colder_than(class) && !class.needs_thaw());
    Ok(objects.into_iter().filter(|meta| is_part(&meta.key) && is_warm(meta)).collect())
}

fn move_all(ground: &Ground, one: &Move, objects: &[Meta], onlooker: Onlooker<'_>) -> Tally {
    let tally: Mutex<Tally> = Mutex::default();
    let with = |change: &dyn Fn(&mut Tally)| change(&mut tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let is_over = || {
        let tally = tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tally.in_use || tally.fault.is_some() || tally.deferred.is_some()
    };
    parallel::map_with(AT_ONCE, objects, &|meta: &Meta| {
        if onlooker.stop.load(Ordering::Relaxed) {
            return with(&|tally| tally.broken_off = true);
        }
        if is_over() {
            return;
        }
        // Where it could not be read any more, a restore that has begun since would stop in the middle.
        let moved = match one.to.needs_thaw().then(|| is_read(ground, &one.id)) {
            Some(Err(fault)) => Err(fault),
            Some(Ok(true)) => return with(&|tally| tally.in_use = true),
            Some(Ok(false)) | None => ground.store.move_to(&meta.key, one.to),
        };
        match moved {
            Ok(Moved::Done { left }) => with(&|tally| {
                tally.objects += 1;
                tally.bytes += meta.size;
                tally.left.extend(left.clone());
            }),
            Ok(Moved::Already) => {}
            Ok(Moved::Locked(lock)) => with(&|tally| tally.deferred = locked(std::slice::from_ref(&lock))),
            Err(fault) => with(&|tally| tally.fault = Some(fault.clone())),
        }
    });
    tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}
