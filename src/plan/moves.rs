//! Which backups belong in a colder storage class, and why. Decided from verdicts; nothing is touched here.
//!
//! Only what stands alone moves: nothing builds on it, it builds on nothing, recovery to any moment does not begin with it, nobody reads
//! it, and nothing but tiers of the calendar keeps it. And only ever to what is colder.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Mark, words::joined};
use crate::inventory::{Backup, BackupKind, BackupState};
use crate::retention::{Action, KeepReason, TierClasses, TierKind, Verdict, WalKeep, window_start};
use crate::units::{BackupId, Instant, Name, StorageClass};

/// By what it is decided, beside the verdicts.
#[derive(Debug)]
pub struct MoveTerms<'a> {
    /// Of each job, the classes of its tiers in this store.
    pub classes: &'a BTreeMap<Name, TierClasses>,
    /// Of each backup that is marked as expired: it goes soon, or is wanted again and decided on by the next run.
    pub marks: &'a BTreeMap<BackupId, Mark>,
    /// What is being restored.
    pub pinned: &'a BTreeSet<BackupId>,
    /// The window for recovery to any moment, where this store has the log.
    pub window: Option<&'a WalKeep>,
    pub now: Instant,
}

/// A backup whose data belong in a colder class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    pub id: BackupId,
    pub job: Name,
    /// Where its warmest data lie, if that was looked at.
    pub from: Option<StorageClass>,
    pub to: StorageClass,
    pub reason: String,
    /// As its descriptor says it.
    pub bytes: u64,
}

/// What is to move in one store. A backup of which it is known that it lies there already, or colder, is not among them.
pub fn moves(verdicts: &[Verdict<'_>], terms: &MoveTerms<'_>) -> Vec<Move> {
    let parents: HashSet<&BackupId> = verdicts.iter().filter_map(|verdict| verdict.backup.parent.as_ref()).collect();
    let opens = terms.window.map(|window| window_start(window.period, &window.zone, terms.now));
    let stands_alone = |backup: &Backup| backup.parent.is_none() && backup.kind != BackupKind::Incremental && !parents.contains(&backup.id);
    // Each of them may be the one that recovery begins with.
    let in_window = |backup: &Backup| backup.kind.is_physical() && opens.is_some_and(|opens| backup.moment() >= opens);
    let in_use = |id: &BackupId| terms.marks.contains_key(id) || terms.pinned.contains(id);
    let movable = verdicts.iter().filter(|verdict| {
        let backup = verdict.backup;
        verdict.good && backup.state == BackupState::Complete && stands_alone(backup) && !in_window(backup) && !in_use(&backup.id)
    });
    movable.filter_map(|verdict| to_move(verdict, terms.classes.get(&verdict.backup.job)?)).collect()
}

fn to_move(verdict: &Verdict<'_>, classes: &TierClasses) -> Option<Move> {
    let backup = verdict.backup;
    let tiers = only_tiers(&verdict.action)?;
    let shortest = tiers.first()?;
    let (_, &to) = classes.range(..=*shortest).next_back()?;
    // Out of an archive a colder one is reached only by thawing first, which is dearer than staying.
    let is_there = |from: StorageClass| !to.is_colder_than(from) || from.needs_thaw();
    if backup.storage_class.is_some_and(is_there) {
        return None;
    }
    let verb = if tiers.len() == 1 { "keeps" } else { "keep" };
    let reason = format!("only {} still {verb} it", joined(tiers.iter().map(|tier| format!("`keep.{tier}`"))));
    let bytes = backup.stored_size.map_or(0, |size| size.bytes().get());
    Some(Move { id: backup.id.clone(), job: backup.job.clone(), from: backup.storage_class, to, reason, bytes })
}

/// The tiers that keep it, shortest first; nothing where anything else does too.
fn only_tiers(action: &Action) -> Option<BTreeSet<TierKind>> {
    let Action::Keep(reasons) = action else { return None };
    reasons
        .iter()
        .map(|reason| match reason {
            KeepReason::TierCount { bucket, .. } | KeepReason::TierFor { bucket, .. } => Some(bucket.tier),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
#[path = "moves_tests.rs"]
mod tests;
