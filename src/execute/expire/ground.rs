//! One store as it was seen before anything is decided: everything is listed, and what is not clear ends it here.

use std::collections::{BTreeMap, BTreeSet};

use super::clock::{AGREES, Clock, Moment, Since, moment, second};
use super::{ExpireFault, Wishes};
use crate::format::layout::{Repository, descriptor_id};
use crate::format::pin::{self, Pin};
use crate::format::tombstone::{LogMark, MAX_BYTES, Tombstone};
use crate::inventory::{Backup, BackupState, Hold, Observed, SystemIdentifier};
use crate::observe::{Eyes, Seen, look_into, width};
use crate::plan::{Doomed, Expiry, ExpiryTerms, Mark, expiry, keeps_in, lint_deletions, window_in};
use crate::retention::{RetentionInput, verdicts};
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
    pub log_marks: BTreeMap<(SystemIdentifier, Timeline), (LogMark, Instant)>,
    pub pins: Pins,
    pub moment: Moment,
    pub looked: Since,
}

/// What is being restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pins {
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
    let (marks, log_marks) = marks(&store, &repository)?;
    let pins = pins(&store, &repository, moment.store)?;
    let writers = site.writers()?;
    let identities = site.identities(None).unwrap_or_default();
    let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities: &identities, now: moment.store };
    let seen = look_into(&store, repository.clone(), &eyes)?;
    let placed = seen.holds.known().into_iter().flatten();
    let holds = site.policy.backup_holds.iter().chain(placed).cloned().collect();
    Ok(Some(Ground { name: name.clone(), store, repository, seen, holds, marks, log_marks, pins, moment, looked }))
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

    /// What is to be done with the backups, looked at a second time by other code.
    pub(super) fn decide(&self, site: &Site<'_>, wishes: &Wishes) -> Result<Expiry, ExpireFault> {
        let policy = site.policy;
        let (keeps, window) = (keeps_in(policy, &self.name), window_in(policy, &self.name));
        let input = RetentionInput {
            backups: Observed::Known(self.backups()),
            keeps: &keeps,
            holds: Observed::Known(self.holds.as_slice()),
            wal: window.as_ref(),
            failed_grace: policy.expire.grace,
        };
        let judged = verdicts(&input, self.moment.rules);
        let everything: BTreeSet<BackupId>;
        let pinned = match self.pins.unread {
            None => &self.pins.backups,
            Some(_) => {
                everything = self.backups().iter().map(|backup| backup.id.clone()).collect();
                &everything
            }
        };
        let decided = expiry(
            &judged,
            &ExpiryTerms {
                marks: &self.marks,
                pinned,
                keeps: &keeps,
                grace: policy.expire.grace,
                brake: policy.expire.brake,
                acknowledged: wishes.acknowledged,
                now: self.moment.store,
            },
        );
        let going = || decided.delete.iter().map(|doomed| &doomed.id);
        let later = || decided.mark.iter().chain(decided.waiting.iter().map(|waiting| &waiting.doomed)).map(|doomed: &Doomed| &doomed.id);
        let holds: Vec<&Hold> = self.holds.iter().collect();
        let faults = [going().collect(), going().chain(later()).collect()]
            .iter()
            .flat_map(|doomed| lint_deletions(self.backups(), &holds, doomed, self.moment.rules))
            .next();
        match faults {
            None => Ok(decided),
            Some(fault) => {
                let message = format!("two ways to decide do not agree, so nothing is deleted: {fault}");
                Err(ExpireFault::refused(message, "This is a fault of seawall; please report it with `seawall inventory`."))
            }
        }
    }

    /// Marked, and without a descriptor: a deletion that broke off, or a mark that somebody planted.
    pub(super) fn unfinished(&self) -> Vec<BackupId> {
        let there: BTreeSet<&BackupId> = self.backups().iter().filter(|backup| has_descriptor(backup)).map(|backup| &backup.id).collect();
        self.marks.keys().filter(|id| !there.contains(id)).cloned().collect()
    }
}

pub(super) fn has_descriptor(backup: &Backup) -> bool {
    matches!(backup.state, BackupState::Complete | BackupState::Damaged)
}

type Marks = (BTreeMap<BackupId, Mark>, BTreeMap<(SystemIdentifier, Timeline), (LogMark, Instant)>);

fn marks(store: &Store, repository: &Repository) -> Result<Marks, Fault> {
    let listed = store.list(&repository.prefix("expiring"))?;
    let read = parallel::map_with(width(store), &listed, &|meta| match store.get(&meta.key, MAX_BYTES) {
        Ok(json) => Ok(Some(json)),
        Err(fault) if fault.is_absent() => Ok(None),
        // Too long to be ours; its name says enough.
        Err(fault) if fault.kind == crate::store::FaultKind::Damaged => Ok(Some(bytes::Bytes::new())),
        Err(fault) => Err(fault),
    });
    let (mut backups, mut log) = Marks::default();
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
    Ok((backups, log))
}

/// What is being restored now, by the store's clock.
pub(super) fn pins(store: &Store, repository: &Repository, now: Instant) -> Result<Pins, Fault> {
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
