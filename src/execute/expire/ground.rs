//! One store as it was seen before anything is decided: everything is listed, and what is not clear ends it here.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::clock::{AGREES, Clock, Moment, Since, moment, second};
use super::{ExpireFault, Wishes};
use crate::format::layout::{Repository, descriptor_id};
use crate::format::pin::{self, Pin};
use crate::format::tombstone::{LogMark, MAX_BYTES, Tombstone};
use crate::inventory::{Backup, BackupState, Hold, Observed, Size, StoreInventory, SystemIdentifier, Timelines};
use crate::observe::{Eyes, Seen, look_at_log, look_into, storage_classes, width};
use crate::plan::{Doomed, Expiry, ExpiryTerms, Mark, Move, MoveTerms, classes_in, expiry, keeps_in, lint_deletions, moves, window_in};
use crate::retention::{Keep, RetentionInput, TierClasses, Verdict, WalKeep, verdicts};
use crate::site::Site;
use crate::store::{Fault, Store};
use crate::units::{BackupId, Instant, Name, Timeline};
use crate::world::{clock, parallel};

#[derive(Debug)]
pub(super) struct Ground {
    pub name: Name,
    pub store: Store,
    pub repository: Repository,
    pub seen: Seen,
    /// The policy's and those that lie in the store.
    pub holds: Vec<Hold>,
    pub marks: BTreeMap<BackupId, Mark>,
    /// Whose descriptor a run that was deleting it has set aside.
    pub aside: BTreeSet<BackupId>,
    pub log_marks: BTreeMap<(SystemIdentifier, Timeline), (LogMark, Instant)>,
    /// Where the log lies, if not here: only there it is seen that timelines parted.
    pub log_elsewhere: Observed<Option<StoreInventory>>,
    pub pins: Pins,
    pub moment: Moment,
    pub looked: Since,
}

/// What is being restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::execute) struct Pins {
    pub backups: BTreeSet<BackupId>,
    /// One could not be read: it may be of any.
    pub unread: Option<String>,
}

impl Pins {
    pub(super) fn is_empty(&self) -> bool {
        self.backups.is_empty() && self.unread.is_none()
    }
}

/// Looks at a store; none where it has no repository of the policy. What is only looked at is not asked for its time.
pub(super) fn look(site: &Site<'_>, name: &Name, clock: Clock, only_look: bool) -> Result<Option<Ground>, ExpireFault> {
    let store = site.store(name)?;
    let Some(found) = site.find_repository(&store)? else { return Ok(None) };
    let repository = found.repository;
    let moment = match (only_look, clock) {
        (true, Clock::Measured) => {
            let now = clock::now();
            Moment { store: now, rules: now }
        }
        _ => moment(clock, site, &store, &repository)?,
    };
    let looked = Since::now();
    // Marks come first: what is marked and has no descriptor afterwards had lost it before, or loses it just now to another run.
    let (marks, log_marks, aside) = marks(&store, &repository)?;
    let pins = pins(&store, &repository, moment.store)?;
    let writers = site.writers()?;
    let identities = site.identities(None).unwrap_or_default();
    let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities: &identities, now: moment.store };
    let seen = look_into(&store, repository.clone(), &eyes)?;
    let placed = seen.holds.known().into_iter().flatten();
    let holds = site.policy.backup_holds.iter().chain(placed).cloned().collect();
    let log_elsewhere = log_elsewhere(site, name, moment.store);
    Ok(Some(Ground { name: name.clone(), store, repository, seen, holds, marks, aside, log_marks, log_elsewhere, pins, moment, looked }))
}

fn log_elsewhere(site: &Site<'_>, name: &Name, now: Instant) -> Observed<Option<StoreInventory>> {
    let Some(wal) = site.policy.wal.as_ref().filter(|wal| wal.store != *name && !wal.copies.contains(name)) else {
        return Observed::Known(None);
    };
    let looked = site.store(&wal.store).and_then(|store| look_at_log(site, &store, now));
    match looked {
        Ok(log) => Observed::Known(log.map(|log| {
            let used = Observed::Known(Size::new(log.bytes));
            StoreInventory { backups: Vec::new(), wal: log.ranges, forks: log.forks, used }
        })),
        Err(fault) => Observed::unknown(format!("`{}`: {}", wal.store, fault.message)),
    }
}

impl Ground {
    pub(super) fn backups(&self) -> &[Backup] {
        &self.seen.inventory.backups
    }

    /// Whether all is known that has to be known before anything may go.
    pub(super) fn must_be_clear(&self) -> Result<(), ExpireFault> {
        if let Some(key) = &self.seen.newer {
            let message = format!("{key} was written by a newer seawall, so the backups are not all known");
            return Err(ExpireFault::refused(message, "Let that one expire them."));
        }
        // It may be ours, damaged, or signed with a key that was taken out of the policy too early. What it builds on, and its log, would go.
        let backups = self.repository.prefix("backups/");
        let rejected = self
            .seen
            .rejected
            .iter()
            .find(|rejected| rejected.key.as_str().starts_with(&backups) && descriptor_id(&rejected.key).is_some());
        if let Some(rejected) = rejected {
            let message = format!("{} is not believed, and nothing is deleted beside it: {}", rejected.key, rejected.why);
            let hint =
                "If it is yours, put it back from a copy, or its key into `encryption.writers`; if somebody planted it, take it away.";
            return Err(ExpireFault::refused(message, hint));
        }
        if let Observed::Unknown { reason } = &self.seen.holds {
            let message = format!("the holds are not known, so nothing is deleted: {reason}");
            return Err(ExpireFault::refused(message, "Mend it; who takes a hold away says so himself."));
        }
        if let Observed::Unknown { reason } = &self.log_elsewhere {
            let message = format!("where the log lies cannot be seen, so what leads where is not known, and nothing is deleted: {reason}");
            return Err(ExpireFault::refused(
                message,
                "Backups of a branch that was left behind look newer than what the way back begins with.",
            ));
        }
        let latest = self.moment.rules.checked_add(AGREES).unwrap_or(Instant::MAX);
        if let Some(backup) = self.backups().iter().find(|backup| has_descriptor(backup) && backup.moment() > latest) {
            let message = format!(
                "{} ended at {}, and now it is {}: some clock is wrong, so nothing is deleted",
                backup.id,
                second(backup.moment()),
                second(self.moment.rules)
            );
            return Err(ExpireFault::refused(message, "Find out whose clock it is; a backup from a wrong future can be deleted by hand."));
        }
        Ok(())
    }

    /// Reads what the rules say of each backup.
    pub(super) fn judged<T>(&self, site: &Site<'_>, read: impl FnOnce(&[Verdict<'_>]) -> T) -> T {
        let policy = site.policy;
        let (keeps, window) = (keeps_in(policy, &self.name), window_in(policy, &self.name));
        let timelines = self.timelines();
        read(&verdicts(&self.input(self.backups(), &timelines, &keeps, window.as_ref(), site), self.moment.rules))
    }

    /// What is to be done with the backups, looked at a second time by other code.
    pub(super) fn decide(&self, site: &Site<'_>, wishes: &Wishes) -> Result<Expiry, ExpireFault> {
        let policy = site.policy;
        let (keeps, pinned) = (keeps_in(policy, &self.name), self.pinned());
        let by_all_but_copies = ExpiryTerms {
            marks: &self.marks,
            pinned: &pinned,
            awaited: &BTreeMap::new(),
            keeps: &keeps,
            grace: policy.expire.grace,
            brake: policy.expire.brake,
            acknowledged: wishes.acknowledged.contains(&self.name),
            now: self.moment.store,
        };
        let decided = self.judged(site, |judged| expiry(judged, &by_all_but_copies));
        let awaited = self.awaited(site, &decided.ripe());
        let decided = match awaited.is_empty() {
            true => decided,
            false => self.judged(site, |judged| expiry(judged, &ExpiryTerms { awaited: &awaited, ..by_all_but_copies })),
        };
        let going = || decided.delete.iter().map(|doomed| &doomed.id);
        let later = || decided.mark.iter().chain(decided.waiting.iter().map(|waiting| &waiting.doomed)).map(|doomed: &Doomed| &doomed.id);
        let holds: Vec<&Hold> = self.holds.iter().collect();
        let faults = [going().collect(), going().chain(later()).collect()]
            .iter()
            .flat_map(|doomed| lint_deletions(self.backups(), &self.seen_of_log(), &holds, doomed, self.moment.rules))
            .next();
        match faults {
            None => Ok(match &wishes.only {
                Some(only) => decided.only(only.get(&self.name).unwrap_or(&BTreeSet::new())),
                None => decided,
            }),
            Some(fault) => {
                let message = format!("two ways to decide do not agree, so nothing is deleted: {fault}");
                Err(ExpireFault::refused(message, "This is a fault of seawall; please report it with `seawall inventory`."))
            }
        }
    }

    /// What is to lie in a colder storage class, and does not yet.
    pub(super) fn moves(&self, site: &Site<'_>) -> Result<Vec<Move>, ExpireFault> {
        let classes = classes_in(site.policy, &self.name);
        if classes.is_empty() {
            return Ok(Vec::new());
        }
        let mut backups = self.backups().to_vec();
        // Only those that may move are looked at more closely.
        let candidates: BTreeSet<BackupId> = self.moves_of(&backups, site, &classes).into_iter().map(|one| one.id).collect();
        storage_classes(&self.store, &self.repository, &mut backups, &|backup| candidates.contains(&backup.id))?;
        // What lies in a class that is not known here, or has no parts, stays as it is.
        Ok(self.moves_of(&backups, site, &classes).into_iter().filter(|one| one.from.is_some()).collect())
    }

    fn moves_of(&self, backups: &[Backup], site: &Site<'_>, classes: &BTreeMap<Name, TierClasses>) -> Vec<Move> {
        let (keeps, window) = (keeps_in(site.policy, &self.name), window_in(site.policy, &self.name));
        let timelines = self.timelines();
        let judged = verdicts(&self.input(backups, &timelines, &keeps, window.as_ref(), site), self.moment.rules);
        let (marks, window) = (&self.marks, window.as_ref());
        moves(&judged, &MoveTerms { classes, marks, pinned: &self.pinned(), window, now: self.moment.rules })
    }

    fn timelines(&self) -> Timelines {
        Timelines::of(&self.seen_of_log())
    }

    fn seen_of_log(&self) -> Vec<&StoreInventory> {
        let elsewhere = self.log_elsewhere.known().and_then(Option::as_ref);
        [&self.seen.inventory].into_iter().chain(elsewhere).collect()
    }

    fn input<'i>(
        &'i self,
        backups: &'i [Backup],
        timelines: &'i Timelines,
        keeps: &'i BTreeMap<Name, Keep>,
        wal: Option<&'i WalKeep>,
        site: &Site<'_>,
    ) -> RetentionInput<'i> {
        let (backups, holds) = (Observed::Known(backups), Observed::Known(self.holds.as_slice()));
        RetentionInput { backups, timelines, keeps, holds, wal, failed_grace: site.policy.expire.grace }
    }

    /// What is being restored; everything, where that cannot be told.
    fn pinned(&self) -> Cow<'_, BTreeSet<BackupId>> {
        match self.pins.unread {
            None => Cow::Borrowed(&self.pins.backups),
            Some(_) => Cow::Owned(self.backups().iter().map(|backup| backup.id.clone()).collect()),
        }
    }

    /// Marked or set aside, and without a descriptor: a deletion that broke off, or a mark that somebody planted.
    pub(super) fn unfinished(&self) -> Vec<BackupId> {
        let there: BTreeSet<&BackupId> = self.backups().iter().filter(|backup| has_descriptor(backup)).map(|backup| &backup.id).collect();
        let began: BTreeSet<&BackupId> = self.marks.keys().chain(&self.aside).collect();
        began.into_iter().filter(|id| !there.contains(id)).cloned().collect()
    }
}

pub(super) fn has_descriptor(backup: &Backup) -> bool {
    matches!(backup.state, BackupState::Complete | BackupState::Damaged)
}

/// Of backups, of the log, and which backups have their descriptor set aside.
type Marks = (BTreeMap<BackupId, Mark>, BTreeMap<(SystemIdentifier, Timeline), (LogMark, Instant)>, BTreeSet<BackupId>);

fn marks(store: &Store, repository: &Repository) -> Result<Marks, Fault> {
    let mut listed = store.list(&repository.prefix("expiring"))?;
    let mut aside = BTreeSet::new();
    listed.retain(|meta| {
        let id: Option<BackupId> = meta.key.file_name().strip_suffix(".json").and_then(|id| id.parse().ok());
        let id = id.filter(|id| repository.set_aside(id) == meta.key);
        let is_mark = id.is_none();
        aside.extend(id);
        is_mark
    });
    let read = parallel::map_with(width(store), &listed, &|meta| match store.get(&meta.key, MAX_BYTES) {
        Ok(json) => Ok(Some(json)),
        Err(fault) if fault.is_absent() => Ok(None),
        // Too long to be ours; its name says enough.
        Err(fault) if fault.kind == crate::store::FaultKind::Damaged => Ok(Some(bytes::Bytes::new())),
        Err(fault) => Err(fault),
    });
    let (mut backups, mut log) = (BTreeMap::new(), BTreeMap::new());
    for (meta, json) in listed.iter().zip(read) {
        let Some(json) = json? else { continue };
        if let Some(id) = repository.tombstone_id(&meta.key) {
            let acknowledged = Tombstone::read(&json).is_some_and(|tombstone| tombstone.acknowledged && tombstone.backup == id);
            backups.insert(id, Mark { at: meta.modified, acknowledged });
        } else if let Some(mark) = LogMark::read(&json)
            && repository.log_mark(mark.system_identifier, mark.timeline) == meta.key
        {
            log.insert((mark.system_identifier, mark.timeline), (mark, meta.modified));
        }
    }
    Ok((backups, log, aside))
}

/// What is being restored now, by the store's clock.
pub(in crate::execute) fn pins(store: &Store, repository: &Repository, now: Instant) -> Result<Pins, Fault> {
    let mut pins = Pins::default();
    for meta in store.list(&repository.prefix("pins"))? {
        if pin::is_stale(meta.modified, now) {
            continue;
        }
        match store.get(&meta.key, pin::MAX_BYTES) {
            Ok(json) => match Pin::read(&json) {
                Some(pin) => {
                    pins.backups.insert(pin.backup);
                }
                None => pins.unread = Some(meta.key.to_string()),
            },
            Err(fault) if fault.is_absent() => {}
            Err(fault) if fault.kind == crate::store::FaultKind::Damaged => pins.unread = Some(meta.key.to_string()),
            Err(fault) => return Err(fault),
        }
    }
    Ok(pins)
}
