//! Deletes what the policy lets go. This is where backups are lost if something is wrong, so the order of a run is written down:
//!
//! 1. Each store is looked at when its turn comes, so that one that is slow lets no other wait for ever. What cannot be seen is unknown, and
//!    nothing goes on the strength of an unknown.
//! 2. The clocks of this host, the store and the database must agree.
//! 3. What no rule wants is marked (a tombstone, `expiring/<backup>.json`). What is marked and wanted again loses its mark.
//! 4. What a copy of the store wants and does not have, or may not have, waits for that (`copies`).
//! 5. What has been marked for `expire.grace`, and is *still* not wanted by a decision made anew, is deleted: children before parents, chains side by side, each
//!    in the order that `backups` describes, each asked about once more right before. That it is about to go is on record before anything of it
//!    does: a run that is killed leaves no deletion of which nobody knows, at most the record of one that was not begun.
//! 6. Then, when every store of the policy was seen a moment ago, the log that nothing which is still there needs, and that no copy waits for (`log`).
//! 7. What only longer tiers still keep is moved to their storage classes (`moves`).
//!
//! Two runs at once, or one that slept for an hour in the middle, do no harm: marks are put once and only start a clock, all that is decided is
//! decided from what lies there now, deleting twice is deleting once, and what is unfinished has its mark still. So there is no lease here;
//! whoever runs jobs keeps them apart to spare the work.

mod backups;
mod clock;
mod copies;
mod fault;
mod ground;
mod log;
mod moves;
mod outcome;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

pub use clock::Clock;
pub(in crate::execute) use clock::{moment, moment_of};
pub use fault::ExpireFault;
pub(in crate::execute) use ground::pins;
pub use outcome::{Braked, Deed, Done, Expired, Failed, What};

use backups::{Fate, LOOK_AGES};
use ground::Ground;
use log::Log;

use crate::execute::backup::sweep;
use crate::format::tombstone::{FORMAT, Marker, Tombstone};
use crate::inventory::{Backup, Hold, Observed, StoreInventory};
use crate::observe::width;
use crate::plan::{Doomed, Expiry, Move, Waiting, WhyWaiting, log_awaited, log_needs};
use crate::retention::{Action, UndecidedReason, Verdict};
use crate::site::Site;
use crate::units::{BackupId, Instant, Name};
use crate::world::parallel;

/// What somebody wishes of a run.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// These stores; all of the policy's where none is named.
    pub stores: Vec<Name>,
    /// In these stores as many may go at once as the rules let go: their brake was acknowledged.
    pub acknowledged: BTreeSet<Name>,
    /// What may go, where somebody has reviewed that; otherwise whatever no rule wants.
    pub only: Option<Reviewed>,
    pub clock: Clock,
}

/// What a reviewed plan says will go, of each store. It is no order: what is wanted by now stays.
pub type Reviewed = BTreeMap<Name, BTreeSet<BackupId>>;

impl Default for Wishes {
    fn default() -> Self {
        Wishes { stores: Vec::new(), acknowledged: BTreeSet::new(), only: None, clock: Clock::Measured }
    }
}

/// Those who watch, and those who may stop it.
#[derive(Clone, Copy)]
pub struct Onlooker<'o> {
    /// Hears of each mark right before it is put, of each deletion right before and when it is done, and of all else when it is done, for those
    /// who must not forget it even if the run is killed a moment later. False: it could not be noted, and what is not done yet is not done.
    pub deed: &'o (dyn Fn(Done, &Deed) -> bool + Sync),
    pub stop: &'o AtomicBool,
}

impl std::fmt::Debug for Onlooker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onlooker").finish_non_exhaustive()
    }
}

impl Onlooker<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// It is about to be done, and that is on record.
    fn announce(&self, done: Done, deed: &Deed) -> Result<(), ExpireFault> {
        if (self.deed)(done, deed) {
            return Ok(());
        }
        let what = if done == Done::Marked { "marked" } else { "deleted" };
        let message = format!("that {} is {what} cannot be recorded, so it is not", deed.what);
        Err(ExpireFault::refused(message, "See to the catalog first."))
    }
}

/// What would be done in one store; nothing where it has no repository of the policy.
#[derive(Debug)]
pub struct Planned {
    pub store: Name,
    pub decided: Result<Option<Expiry>, ExpireFault>,
    /// What would be moved to a colder storage class; nothing while the brake is on.
    pub moves: Vec<Move>,
}

/// What was seen so long ago is looked at anew before any log is deleted by it.
const FRESH: Duration = Duration::from_secs(60);

/// Every store of the policy as it was seen: nothing where it has no repository.
type Grounds = BTreeMap<Name, Result<Option<Ground>, ExpireFault>>;

/// Marks what the rules let go, and deletes what was marked long enough. Fails as a whole only before anything was done.
pub fn expire(site: &Site<'_>, wishes: &Wishes, onlooker: Onlooker<'_>) -> Result<Expired, ExpireFault> {
    let asked = asked(site, wishes)?;
    let mut grounds = Grounds::new();
    let mut expired = Expired::default();
    let mut gone: BTreeMap<Name, BTreeSet<BackupId>> = BTreeMap::new();
    let mut free: Vec<Name> = Vec::new();
    for name in &asked {
        if onlooker.is_stopped() {
            expired.failed.push(Failed { store: name.clone(), fault: ExpireFault::Interrupted });
            return Ok(expired);
        }
        grounds.insert(name.clone(), ground::look(site, name, wishes.clock, false));
        let Some(Ok(Some(ground))) = grounds.get(name) else {
            if let Some(Err(fault)) = grounds.get(name) {
                expired.failed.push(Failed { store: name.clone(), fault: fault.clone() });
            }
            continue;
        };
        let mut run = Run { site, wishes, onlooker, ground, marker: marker(site), expired: &mut expired, gone: BTreeSet::new() };
        let done = run.backups();
        let deleted = std::mem::take(&mut run.gone);
        gone.insert(name.clone(), deleted);
        match done {
            Ok(true) => free.push(name.clone()),
            Ok(false) => {}
            Err(ExpireFault::Interrupted) => {
                expired.failed.push(Failed { store: name.clone(), fault: ExpireFault::Interrupted });
                return Ok(expired);
            }
            Err(fault) => expired.failed.push(Failed { store: name.clone(), fault }),
        }
    }
    if wishes.only.is_some() {
        expired.remarks.push("no log is deleted, and nothing moves to a colder class: the next ordinary run does that".to_owned());
        return Ok(expired);
    }
    for name in &free {
        see_all(site, wishes, &asked, &mut grounds);
        forget(&mut grounds, &gone);
        if let Err(fault) = log_of(site, onlooker, name, &grounds, &mut expired) {
            expired.failed.push(Failed { store: name.clone(), fault });
        }
    }
    for name in &free {
        let Some(Ok(Some(ground))) = grounds.get(name) else { continue };
        let mut run = Run { site, wishes, onlooker, ground, marker: marker(site), expired: &mut expired, gone: BTreeSet::new() };
        if let Err(fault) = run.moves() {
            expired.failed.push(Failed { store: name.clone(), fault });
        }
    }
    Ok(expired)
}

/// What [`expire`] would do with the backups of each store, decided in the same way; nothing is touched.
pub fn plan(site: &Site<'_>, wishes: &Wishes) -> Result<Vec<Planned>, ExpireFault> {
    let asked = asked(site, wishes)?;
    let look = |name: &Name| {
        let Some(ground) = ground::look(site, name, wishes.clock, true)? else { return Ok((None, Vec::new())) };
        ground.must_be_clear()?;
        let decided = ground.decide(site, wishes)?;
        let moves = if decided.braked.is_some() { Vec::new() } else { ground.moves(site)? };
        Ok((Some(decided), moves))
    };
    let planned = parallel::map_with(asked.len().min(8), &asked, &look);
    let planned = asked.into_iter().zip(planned).map(|(store, looked)| match looked {
        Ok((decided, moves)) => Planned { store, decided: Ok(decided), moves },
        Err(fault) => Planned { store, decided: Err(fault), moves: Vec::new() },
    });
    Ok(planned.collect())
}

fn asked(site: &Site<'_>, wishes: &Wishes) -> Result<Vec<Name>, ExpireFault> {
    let known = &site.policy.stores;
    if let Some(unknown) = wishes.stores.iter().find(|name| !known.contains_key(*name)) {
        let names: Vec<&str> = known.keys().map(Name::as_str).collect();
        return Err(ExpireFault::refused(format!("the policy has no store `{unknown}`"), format!("It has: {}.", names.join(", "))));
    }
    Ok(if wishes.stores.is_empty() { known.keys().cloned().collect() } else { wishes.stores.clone() })
}

/// All of them, also those that nobody asked for: the log of one may be needed by backups in another. What was seen a moment ago is not looked
/// at again; what could not be seen is.
fn see_all(site: &Site<'_>, wishes: &Wishes, asked: &[Name], grounds: &mut Grounds) {
    let is_fresh = |name: &Name| matches!(grounds.get(name), Some(Ok(Some(ground))) if !ground.looked.is_longer_than(FRESH));
    let names: Vec<&Name> = site.policy.stores.keys().filter(|name| !is_fresh(name)).collect();
    let looked = parallel::map_with(names.len().clamp(1, 8), &names, &|name| ground::look(site, name, wishes.clock, !asked.contains(name)));
    grounds.extend(names.into_iter().cloned().zip(looked));
}

pub(in crate::execute) fn marker(site: &Site<'_>) -> Marker {
    Marker {
        host: site.host().to_owned(),
        policy: site.policy.name.to_string(),
        digest: site.policy.digest.clone(),
        commit: site.commit().map(str::to_owned),
    }
}

/// What was deleted needs no log any more.
fn forget(grounds: &mut Grounds, gone: &BTreeMap<Name, BTreeSet<BackupId>>) {
    for (name, ids) in gone {
        if let Some(Ok(Some(ground))) = grounds.get_mut(name) {
            ground.seen.inventory.backups.retain(|backup| !ids.contains(&backup.id));
        }
    }
}

/// What became of a backup, by its place in the decision.
struct Ended {
    at: usize,
    fate: Fate,
    doubts: BTreeSet<String>,
}

/// Backups that build on each other, in the order in which they go, with their places in the decision.
fn chains(doomed: &[Doomed]) -> Vec<Vec<(usize, &Doomed)>> {
    let places: BTreeMap<&BackupId, usize> = doomed.iter().enumerate().map(|(at, doomed)| (&doomed.id, at)).collect();
    let parent = |at: usize| doomed[at].parent.as_ref().and_then(|parent| places.get(parent).copied());
    let mut chains: BTreeMap<usize, Vec<(usize, &Doomed)>> = BTreeMap::new();
    for (at, one) in doomed.iter().enumerate() {
        // Parents stand behind their children, so this comes to an end.
        let base = std::iter::successors(Some(at), |at| parent(*at).filter(|parent| parent > at)).last().unwrap_or(at);
        chains.entry(base).or_default().push((at, one));
    }
    chains.into_values().collect()
}

/// A run over the backups of one store.
struct Run<'r> {
    site: &'r Site<'r>,
    wishes: &'r Wishes,
    onlooker: Onlooker<'r>,
    ground: &'r Ground,
    marker: Marker,
    expired: &'r mut Expired,
    gone: BTreeSet<BackupId>,
}

impl Run<'_> {
    /// False when the brake is on: then the log stays too.
    fn backups(&mut self) -> Result<bool, ExpireFault> {
        self.ground.must_be_clear()?;
        let decided = self.ground.decide(self.site, self.wishes)?;
        self.held_against_the_plan(&decided);
        self.doubted();
        self.unmark(&decided)?;
        for Waiting { doomed, why } in &decided.waiting {
            let deed = self.deed(doomed, format!("{}: {why}", doomed.reason), why.until());
            self.expired.waiting.push(deed);
        }
        if let Some(brake) = decided.braked {
            self.expired.braked.push(Braked { store: self.ground.name.clone(), brake });
            return Ok(false);
        }
        self.mark(&decided.mark)?;
        // Whatever goes wrong from here on, nobody has to be asked any more.
        self.expired.unbraked.insert(self.ground.name.clone());
        self.delete(&decided.delete)?;
        self.finish(&decided.leftovers)?;
        Ok(true)
    }

    /// What the reviewed plan names and does not go is told with its reason. (What waits is told anyway.)
    fn held_against_the_plan(&mut self, decided: &Expiry) {
        let Some(named) = self.wishes.only.as_ref().and_then(|only| only.get(&self.ground.name)) else { return };
        let going = decided.mark.iter().chain(&decided.delete).chain(&decided.leftovers);
        let told: BTreeSet<&BackupId> =
            going.chain(decided.waiting.iter().map(|waiting| &waiting.doomed)).map(|doomed| &doomed.id).collect();
        let remarks = self.ground.judged(self.site, |verdicts| {
            let why = |id: &BackupId| match verdicts.iter().find(|verdict| verdict.backup.id == *id) {
                Some(verdict) => format!("stays: {}", verdict.action),
                None => "is not there any more".to_owned(),
            };
            let said = |id: &BackupId| format!("`{}`: the plan names {id}, which {}", self.ground.name, why(id));
            named.iter().filter(|id| !told.contains(id)).map(said).collect::<Vec<_>>()
        });
        self.expired.remarks.extend(remarks);
    }

    /// What stays because nobody can say that nothing begins with it.
    fn doubted(&mut self) {
        let is_doubt = |verdict: &&Verdict<'_>| matches!(verdict.action, Action::Undecided(UndecidedReason::UnknownFork { .. }));
        let doubted = self.ground.judged(self.site, |verdicts| {
            let mut doubted = verdicts.iter().filter(is_doubt);
            doubted.next().map(|first| (first.backup.id.clone(), first.action.to_string(), doubted.count()))
        });
        let Some((id, why, more)) = doubted else { return };
        let others = if more > 0 { format!(", and {more} more likewise") } else { String::new() };
        self.expired.remarks.push(format!("`{}`: {id} is {why}{others}", self.ground.name));
    }

    fn unmark(&mut self, decided: &Expiry) -> Result<(), ExpireFault> {
        for spared in &decided.unmark {
            self.may_go_on()?;
            self.ground.store.withdraw(&[self.ground.repository.tombstone(&spared.id)])?;
            let what = What::Backup { id: spared.id.clone(), job: spared.job.clone() };
            let store = self.ground.name.clone();
            let deed = Deed { store, what, reason: spared.reason.clone(), bytes: 0, objects: 0, until: None, storage_class: None };
            let _ = (self.onlooker.deed)(Done::Unmarked, &deed);
            self.expired.unmarked.push(deed);
        }
        Ok(())
    }

    fn mark(&mut self, doomed: &[Doomed]) -> Result<(), ExpireFault> {
        for doomed in doomed {
            self.may_go_on()?;
            let tombstone = Tombstone {
                format: FORMAT,
                backup: doomed.id.clone(),
                reason: doomed.reason.clone(),
                by: self.marker.clone(),
                acknowledged: self.wishes.acknowledged.contains(&self.ground.name),
            };
            let until = self.ground.moment.store.checked_add(self.site.policy.expire.grace.to_signed()).ok();
            let deed = self.deed(doomed, doomed.reason.clone(), until);
            self.onlooker.announce(Done::Marked, &deed)?;
            // One that is there already began its time earlier: another run put it.
            self.ground.store.put_new(&self.ground.repository.tombstone(&doomed.id), Bytes::from(tombstone.to_json()))?;
            self.expired.marked.push(deed);
        }
        Ok(())
    }

    /// What builds on each other goes one after the other; the rest side by side. What became of each is told as soon as it has, and kept in the
    /// order of the decision.
    fn delete(&mut self, doomed: &[Doomed]) -> Result<(), ExpireFault> {
        let chains = chains(doomed);
        // What fails for one, as a record that is away, would fail for the next thousand.
        let (run, failed) = (&*self, AtomicBool::new(false));
        let gone = parallel::map_with(width(&run.ground.store).min(8), &chains, &|chain| run.delete_chain(chain, &failed));
        let (mut fates, mut fault) = (BTreeMap::new(), None);
        for (ended, broke) in gone {
            fates.extend(ended.into_iter().map(|ended| (ended.at, ended)));
            fault = fault.or(broke);
        }
        for Ended { at, fate, doubts } in fates.into_values() {
            let doomed = &doomed[at];
            doubts.into_iter().for_each(|doubt| self.expired.doubt(Some(doubt), self.ground));
            if matches!(fate, Fate::Gone { .. }) {
                self.gone.insert(doomed.id.clone());
            }
            self.keep(What::Backup { id: doomed.id.clone(), job: doomed.job.clone() }, &doomed.reason, doomed.bytes, fate);
        }
        fault.map_or(Ok(()), Err)
    }

    fn delete_chain(&self, chain: &[(usize, &Doomed)], failed: &AtomicBool) -> (Vec<Ended>, Option<ExpireFault>) {
        // What stays after all keeps what it builds on.
        let mut keeps: BTreeMap<&BackupId, &BackupId> = BTreeMap::new();
        let mut ended = Vec::new();
        for (at, doomed) in chain.iter().take_while(|_| !failed.load(Ordering::Relaxed)) {
            let mut doubts = BTreeSet::new();
            let deed = self.deed(doomed, doomed.reason.clone(), None);
            let announce = || self.onlooker.announce(Done::Deleting, &deed);
            let fate = match keeps.get(&doomed.id) {
                Some(child) => Ok(Fate::Stays(WhyWaiting::Child((*child).clone()).to_string())),
                // Before anything is asked of the store, which would be asked in vain for each of thousands.
                None if self.ground.looked.is_longer_than(LOOK_AGES) => Ok(Fate::Stays("everything was listed too long ago".into())),
                None => self.may_go_on().and_then(|()| backups::delete(self.ground, doomed, &announce, &mut doubts)),
            };
            let fate = match fate {
                Ok(fate) => fate,
                Err(fault) => {
                    failed.store(true, Ordering::Relaxed);
                    return (ended, Some(fault));
                }
            };
            let what = What::Backup { id: doomed.id.clone(), job: doomed.job.clone() };
            match &fate {
                Fate::Gone { bytes, objects } => self.tell(&what, &doomed.reason, *bytes, *objects),
                Fate::Deferred { .. } | Fate::Stays(_) | Fate::WasGone => {
                    keeps.extend(doomed.parent.as_ref().map(|parent| (parent, &doomed.id)))
                }
            }
            ended.push(Ended { at: *at, fate, doubts });
        }
        (ended, None)
    }

    /// Deletions that broke off, and what failed runs left.
    fn finish(&mut self, leftovers: &[Doomed]) -> Result<(), ExpireFault> {
        sweep::tidy(&self.ground.store, &self.ground.repository)?;
        let named = self.wishes.only.as_ref().map(|only| only.get(&self.ground.name));
        let is_named = |id: &BackupId| named.is_none_or(|named| named.is_some_and(|named| named.contains(id)));
        let mut unfinished = self.ground.unfinished();
        unfinished.retain(is_named);
        let broken_off = unfinished.iter().map(|id| (id, "its deletion was broken off"));
        let failed = leftovers.iter().filter(|doomed| !unfinished.contains(&doomed.id)).map(|doomed| (&doomed.id, doomed.reason.as_str()));
        for (id, reason) in broken_off.chain(failed).collect::<Vec<_>>() {
            self.may_go_on()?;
            let mut doubts = BTreeSet::new();
            let what = What::Leftovers { id: id.clone() };
            let deed = Deed {
                store: self.ground.name.clone(),
                what,
                reason: reason.to_owned(),
                bytes: 0,
                objects: 0,
                until: None,
                storage_class: None,
            };
            let fate = backups::finish(self.ground, id, &|| self.onlooker.announce(Done::Deleting, &deed), &mut doubts)?;
            doubts.into_iter().for_each(|doubt| self.expired.doubt(Some(doubt), self.ground));
            let what = What::Leftovers { id: id.clone() };
            if let Fate::Gone { bytes, objects } = &fate {
                self.tell(&what, reason, *bytes, *objects);
            }
            self.keep(what, reason, 0, fate);
        }
        Ok(())
    }

    /// It is gone.
    fn tell(&self, what: &What, reason: &str, bytes: u64, objects: u64) {
        let (store, what, reason) = (self.ground.name.clone(), what.clone(), reason.to_owned());
        let _ = (self.onlooker.deed)(Done::Deleted, &Deed { store, what, reason, bytes, objects, until: None, storage_class: None });
    }

    fn keep(&mut self, what: What, reason: &str, listed_bytes: u64, fate: Fate) {
        let store = self.ground.name.clone();
        let deed = |reason: String, bytes, objects, until| Deed { store, what, reason, bytes, objects, until, storage_class: None };
        match fate {
            Fate::Gone { bytes, objects } => {
                self.expired.bytes += bytes;
                self.expired.deleted.push(deed(reason.to_owned(), bytes, objects, None));
            }
            Fate::Deferred { why, until } => self.expired.deferred.push(deed(format!("{reason}; {why}"), listed_bytes, 0, until)),
            Fate::Stays(why) => self.expired.waiting.push(deed(format!("{reason}; {why}"), listed_bytes, 0, None)),
            Fate::WasGone => {}
        }
    }

    fn deed(&self, doomed: &Doomed, reason: String, until: Option<Instant>) -> Deed {
        let what = What::Backup { id: doomed.id.clone(), job: doomed.job.clone() };
        Deed { store: self.ground.name.clone(), what, reason, bytes: doomed.bytes, objects: 0, until, storage_class: None }
    }

    fn may_go_on(&self) -> Result<(), ExpireFault> {
        if self.onlooker.is_stopped() { Err(ExpireFault::Interrupted) } else { Ok(()) }
    }
}

impl Expired {
    /// Once for each store.
    fn doubt(&mut self, doubt: Option<String>, ground: &Ground) {
        let Some(doubt) = doubt else { return };
        let remark = format!("`{}`: {doubt}", ground.name);
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}

/// The log of one store.
fn log_of(site: &Site<'_>, onlooker: Onlooker<'_>, name: &Name, grounds: &Grounds, expired: &mut Expired) -> Result<(), ExpireFault> {
    let Some(Ok(Some(ground))) = grounds.get(name) else { return Ok(()) };
    let stores: BTreeMap<Name, Observed<&StoreInventory>> =
        grounds.iter().filter_map(|(name, seen)| Some((name.clone(), observed(site, name, seen)?))).collect();
    let needs = log_needs(site.policy, name, &stores, ground.moment.rules);
    let why = match (needs.everything(), restoring(grounds)) {
        (_, Some(why)) => Some(why),
        (Some(reason), None) => Some(reason.to_string()),
        (None, None) => None,
    };
    if let Some(why) = why {
        if !ground.seen.inventory.wal.is_empty() {
            expired.remarks.push(format!("`{name}`: no log is deleted: {why}"));
        }
        return Ok(());
    }
    let awaited = log_awaited(site.policy, name, &stores, &placed(grounds), ground.moment.rules);
    let marker = marker(site);
    let all: Vec<&Backup> = stores.values().filter_map(Observed::known).flat_map(|seen| &seen.backups).collect();
    for (cluster, size) in &ground.seen.segment_sizes {
        let (policy, marker) = (site.policy, &marker);
        let grounds = grounds.values().filter_map(|seen| seen.as_ref().ok()?.as_ref()).collect();
        let log = Log {
            ground,
            cluster: *cluster,
            size: *size,
            needs: &needs,
            awaited: &awaited,
            backups: &all,
            policy,
            marker,
            onlooker,
            grounds,
        };
        log.expire(expired)?;
    }
    Ok(())
}

/// What was placed at run time, wherever that was.
fn placed(grounds: &Grounds) -> Observed<Vec<Hold>> {
    let mut all = Vec::new();
    for ground in grounds.values().filter_map(|seen| seen.as_ref().ok()?.as_ref()) {
        match &ground.seen.holds {
            Observed::Known(holds) => all.extend(holds.iter().cloned()),
            Observed::Unknown { reason } => return Observed::unknown(reason.clone()),
        }
    }
    Observed::Known(all)
}

/// None for a store that is known to have nothing of the policy.
fn observed<'g>(site: &Site<'_>, name: &Name, seen: &'g Result<Option<Ground>, ExpireFault>) -> Option<Observed<&'g StoreInventory>> {
    match seen {
        // Where backups are to lie and none does, a disk may not be mounted, or a name may be wrong.
        Ok(None) if is_base(site, name) => Some(Observed::unknown("backups belong there, and nothing lies there")),
        Ok(None) => None,
        Ok(Some(ground)) => Some(match ground.must_be_clear() {
            Ok(()) => Observed::Known(&ground.seen.inventory),
            Err(fault) => Observed::unknown(fault.to_string()),
        }),
        Err(fault) => Some(Observed::unknown(fault.to_string())),
    }
}

/// The policy puts backups there first that need the log.
fn is_base(site: &Site<'_>, name: &Name) -> bool {
    site.policy.backups.values().any(|backup| backup.method.runs_in_this_version() && backup.store.as_ref() == Some(name))
}

/// A restore reads the log from where its backup begins, from whichever store has it.
fn restoring(grounds: &Grounds) -> Option<String> {
    let pinned = grounds.iter().find(|(_, seen)| matches!(seen, Ok(Some(ground)) if !ground.pins.is_empty()));
    pinned.map(|(name, _)| format!("a backup in `{name}` is being restored"))
}
