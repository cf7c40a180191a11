//! What the change does to the backups that exist: the same rules that expiry follows, once with the old policy and once
//! with the new one.

use std::collections::BTreeMap;

use super::change::Direction;
use super::comparison::Comparison;
use super::consequence::{Consequence, Existing, ExistingBackup};
use super::inventory::existing_backup;
use super::jobs::place_of;
use crate::inventory::{Hold, Observed, StoreInventory, Timelines};
use crate::plan::{Awaited, awaited_by_any, keeps_in, minute, window_in};
use crate::policy::model::Policy;
use crate::policy::path::PolicyPath;
use crate::recovery::reach_back;
use crate::retention::{Action, KeepReason, RetentionInput, Verdict, verdicts, window_start};
use crate::units::{BackupId, Instant, Name};

/// What becomes deletable in one store.
#[derive(Default)]
struct Losses {
    /// By job: the rules do not want it any longer.
    by_rules: BTreeMap<Name, Vec<ExistingBackup>>,
    /// By hold: only the hold protected it.
    by_hold: BTreeMap<Name, Vec<ExistingBackup>>,
}

impl Comparison<'_> {
    pub fn retention_of_existing(&mut self) {
        let mut by_hold: BTreeMap<Name, Vec<ExistingBackup>> = BTreeMap::new();
        let mut known = Vec::new();
        let moved: Vec<&Name> = self.old.stores.keys().filter(|name| !self.is_same_place(name)).collect();
        for name in self.old.stores.keys().filter(|name| !moved.contains(name)) {
            let Ok(there) = self.world.store(name) else { continue };
            known.push(name.clone());
            let losses = self.losses(name, there);
            for (hold, backups) in losses.by_hold {
                by_hold.entry(hold).or_default().extend(backups);
            }
            for (job, backups) in losses.by_rules {
                self.become_deletable(&job, name, Existing::known(backups));
            }
        }
        // What lies in a store that is pointed elsewhere is out of sight, which is another finding.
        let keeps = std::mem::take(&mut self.changed_keeps).into_iter().filter(|(_, store, _, _)| !moved.contains(&store));
        for (job, store, path, direction) in keeps {
            self.rule_alone(&job, &store, path, direction, known.contains(&store));
        }
        self.released_holds(by_hold);
    }

    fn is_same_place(&self, store: &Name) -> bool {
        let place = |policy: &Policy| policy.stores.get(store).map(|store| store.kind.url());
        place(self.old) == place(self.new)
    }

    /// What the rule alone says where nothing could be listed, or nothing is touched today.
    fn rule_alone(&mut self, job: &Name, store: &Name, path: PolicyPath, direction: Direction, is_known: bool) {
        if direction == Direction::Tightened {
            return;
        }
        if !is_known {
            let reason = self.world.store(store).err().unwrap_or_default();
            self.become_deletable(job, store, Existing::unknown(reason));
            return;
        }
        if self.consequences.iter().any(|each| each.code.0 == 903 && each.path == path) {
            return;
        }
        let message = format!("no existing backup of `{job}` in `{store}` becomes deletable today; they will be sooner than before");
        self.warn(Consequence::warning(903, path, message));
    }

    fn become_deletable(&mut self, job: &Name, store: &Name, existing: Existing) {
        let at = self.new.backups.get(job).and_then(|backup| place_of(backup, job, store)).map(|(_, path)| path);
        let path = at.unwrap_or_else(|| super::meaning::element("backups", job));
        let mut message = match &existing {
            Existing::Known { .. } => format!("existing backups of `{job}` in `{store}` become deletable"),
            Existing::Unknown { .. } => format!("existing backups of `{job}` in `{store}` may become deletable"),
        };
        if self.world.holds_are_unknown() {
            message.push_str("; the holds placed at run time are unknown and may still keep some");
        }
        let consequence = Consequence::destructive(903, path, message)
            .hint("Keep them longer, place a hold on those that must stay, or acknowledge SW0903.");
        self.warn(consequence.existing(existing));
    }

    fn losses(&self, store: &Name, there: &StoreInventory) -> Losses {
        let placed = self.world.placed_holds();
        let released = self.released();
        let old_holds: Vec<Hold> = self.old.backup_holds.iter().chain(placed).cloned().collect();
        // One that was shortened until tomorrow stands today, and is as good as gone.
        let lasting = self.new.backup_holds.iter().filter(|hold| !self.only_defers(hold, &released));
        let new_holds: Vec<Hold> = lasting.chain(placed).cloned().collect();
        let timelines = self.world.timelines();
        let before = judged(self.old, store, there, &timelines, &old_holds, self.world.now);
        let after = judged(self.new, store, there, &timelines, &new_holds, self.world.now);
        let (waited, waits) = (self.awaited(self.old, store, there), self.awaited(self.new, store, there));
        let waited_only = |id: &BackupId| waited.get(id).filter(|_| !waits.contains_key(id));
        let stayed = |before: &Verdict<'_>| !before.is_deletable() || waited_only(&before.backup.id).is_some();
        let gone: Vec<usize> = (0..after.len()).filter(|&at| after[at].is_deletable() && before.get(at).is_some_and(stayed)).collect();
        let mut losses = Losses::default();
        if gone.is_empty() {
            return losses;
        }
        let mut all_holds = new_holds.clone();
        all_holds.extend(released.iter().cloned());
        let still_held =
            if released.is_empty() { Vec::new() } else { judged(self.new, store, there, &timelines, &all_holds, self.world.now) };
        for at in gone {
            let (was, is) = (&before[at].action, &after[at].action);
            let was = match waited_only(&after[at].backup.id).filter(|_| before[at].is_deletable()) {
                Some(awaited) => awaited.why(),
                None => words(was),
            };
            let backup = existing_backup(after[at].backup, store, was, words(is));
            match still_held.get(at).map(|verdict| &verdict.action) {
                Some(Action::Keep(reasons)) => {
                    let hold = reasons.iter().find_map(|reason| match reason {
                        KeepReason::Held { hold, .. } => Some(hold.clone()),
                        _ => None,
                    });
                    // One that a held backup builds on is lost with the hold as well.
                    let hold = hold.or_else(|| released.first().map(|hold| hold.name.clone()));
                    losses.by_hold.entry(hold.unwrap_or_else(|| backup.job.clone())).or_default().push(backup);
                }
                _ => losses.by_rules.entry(backup.job.clone()).or_default().push(backup),
            }
        }
        losses
    }

    /// What of a store a copy is to have first.
    fn awaited(&self, policy: &Policy, store: &Name, there: &StoreInventory) -> BTreeMap<BackupId, Awaited> {
        let Some(inventory) = self.world.inventory else { return BTreeMap::new() };
        awaited_by_any(policy, store, there, &inventory.stores, &inventory.holds, self.world.now)
    }

    /// It is not as it was, and ends before a hold that is released: what that one protected goes when this one ends.
    fn only_defers(&self, hold: &Hold, released: &[Hold]) -> bool {
        let sooner = |other: &Hold| hold.until.is_some_and(|until| other.until.is_none_or(|other| until < other));
        !self.old.backup_holds.contains(hold) && released.iter().any(sooner)
    }

    /// The old policy's holds that stand today and that the new one does not have as they were.
    pub fn released(&self) -> Vec<Hold> {
        let stands = |hold: &&Hold| hold.is_active(self.world.now);
        let kept = |hold: &Hold| self.new.backup_holds.iter().any(|other| covers(other, hold));
        self.old.backup_holds.iter().filter(stands).filter(|hold| !kept(hold)).cloned().collect()
    }

    // ---- the window --------------------------------------------------------------------------------------------------

    pub fn window(&mut self) {
        let Some(old) = &self.old.wal else { return };
        let Some(new) = &self.new.wal else { return };
        let stores = |wal: &crate::policy::model::Wal| -> Vec<Name> { std::iter::once(&wal.store).chain(&wal.copies).cloned().collect() };
        let remaining: Vec<Name> = stores(old).into_iter().filter(|store| stores(new).contains(store)).collect();
        let path = PolicyPath::from(["wal", "keep"]);
        let zone = (self.old.zone.time_zone(), self.new.zone.time_zone());
        let (from_old, from_new) = (window_start(old.keep, zone.0, self.world.now), window_start(new.keep, zone.1, self.world.now));
        // February is as much a part of the calendar as today is.
        if from_new <= from_old && !new.keep.may_be_shorter(old.keep) {
            return;
        }
        for store in remaining {
            let hint = "Keep the log longer, or acknowledge SW0904.";
            match self.world.store(&store) {
                Err(reason) => {
                    let message = format!("recovery to any moment in `{store}` goes back {} instead of {}", new.keep, old.keep);
                    self.warn(Consequence::destructive(904, path.clone(), message).hint(hint).existing(Existing::unknown(reason)));
                }
                Ok(there) => {
                    let cluster = self.world.inventory.and_then(|inventory| inventory.system_identifier.known().copied());
                    let since = reach_back(there, cluster).any_moment_since();
                    let consequence = window_lost(&store, since, from_old, from_new, path.clone());
                    self.warn(if consequence.destructive { consequence.hint(hint) } else { consequence });
                }
            }
        }
    }
}

/// From when to when recovery to any moment gets shorter today.
fn window_lost(store: &Name, since: Option<Instant>, from_old: Instant, from_new: Instant, path: PolicyPath) -> Consequence {
    let Some(since) = since else {
        let message = format!("recovery to any moment goes back less far in `{store}`; today no moment can be recovered there");
        return Consequence::warning(904, path, message);
    };
    let (before, after) = (since.max(from_old), since.max(from_new));
    if after <= before {
        let message = format!("recovery to any moment in `{store}` loses nothing today: it begins at {}", minute(before));
        return Consequence::warning(904, path, message);
    }
    let message = format!("recovery to any moment in `{store}` begins at {} instead of {}", minute(after), minute(before));
    Consequence::destructive(904, path, message)
}

/// Whatever the one hold protects, the other protects as long.
pub fn covers(other: &Hold, hold: &Hold) -> bool {
    let (wide, narrow) = (&other.selects, &hold.selects);
    fn all<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
        wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|each| wide.contains(each)))
    }
    let longer = match (other.until, hold.until) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(other), Some(until)) => other >= until,
    };
    longer
        && all(&wide.backups, &narrow.backups)
        && all(&wide.jobs, &narrow.jobs)
        && all(&wide.labels, &narrow.labels)
        && wide.from.is_none_or(|from| narrow.from.is_some_and(|narrow| narrow >= from))
        && wide.to.is_none_or(|to| narrow.to.is_some_and(|narrow| narrow <= to))
}

fn judged<'i>(
    policy: &Policy,
    store: &Name,
    there: &'i StoreInventory,
    timelines: &Timelines,
    holds: &[Hold],
    now: Instant,
) -> Vec<Verdict<'i>> {
    let keeps = keeps_in(policy, store);
    let window = window_in(policy, store);
    let input = RetentionInput {
        backups: Observed::Known(there.backups.as_slice()),
        timelines,
        // What is lost is worked out as if the unknown holds held nothing; the finding says so.
        holds: Observed::Known(holds),
        keeps: &keeps,
        wal: window.as_ref(),
        failed_grace: policy.expire.grace,
    };
    // The verdicts live as long as the input's shortest borrow; what they are about lives longer.
    let judged = verdicts(&input, now);
    judged.into_iter().zip(&there.backups).map(|(verdict, backup)| Verdict { backup, good: verdict.good, action: verdict.action }).collect()
}

fn words(action: &Action) -> String {
    match action {
        Action::Keep(reasons) => reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        Action::Delete(reason) => reason.to_string(),
        Action::Undecided(reason) => reason.to_string(),
    }
}
