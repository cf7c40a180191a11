use std::collections::HashSet;
use std::fmt;

use thiserror::Error;

use super::{Backup, BackupKind, BackupState, Broken, Chains, ClusterInventory, Hold, Inventory, Observed, StoreInventory, WalRange};
use crate::units::{BackupId, Name};

/// Something that an inventory says and that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where in the file: `clusters.pricing-agent.stores.main.backups[17]`.
    pub place: String,
    pub kind: ProblemKind,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProblemKind {
    #[error("there is another backup with the id {0} in this store")]
    DuplicateId(BackupId),
    #[error("backup {0} stopped before it started")]
    StopsBeforeStart(BackupId),
    #[error("backup {0} is complete but has no stop time")]
    CompleteWithoutStop(BackupId),
    #[error("backup {0} is running but has a stop time")]
    RunningWithStop(BackupId),
    #[error("incremental backup {0} names no parent")]
    IncrementalWithoutParent(BackupId),
    #[error("backup {0} names a parent but is not incremental")]
    ParentWithoutNeed(BackupId),
    #[error("backup {0} builds on itself")]
    CircularParents(BackupId),
    #[error("backup {0} stops at a lower position in the write-ahead log than it starts")]
    LsnBackwards(BackupId),
    #[error("the range ends at or before its beginning")]
    EmptyWalRange,
    #[error("the range's last moment is before its first")]
    WalTimeBackwards,
    #[error("a timeline cannot leave one that is newer than itself")]
    ForkBackwards,
    #[error("two holds are called {0}")]
    DuplicateHold(Name),
    #[error("hold {0} selects from a moment that is after the one it selects to")]
    HoldBackwards(Name),
    #[error("the text is longer than {limit} bytes")]
    TextTooLong { limit: usize },
}

/// What people wrote into labels and reasons; more than this is no text but an accident.
const MAX_TEXT: usize = 4_096;

/// Everything about an inventory that contradicts itself, in the order of the file.
pub(super) fn problems(inventory: &Inventory) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, cluster) in &inventory.clusters {
        check_cluster(&format!("clusters.{name}"), cluster, &mut found);
    }
    found
}

fn check_cluster(place: &str, cluster: &ClusterInventory, found: &mut Vec<Problem>) {
    for (name, store) in &cluster.stores {
        if let Observed::Known(store) = store {
            check_store(&format!("{place}.stores.{name}"), store, found);
        }
    }
    if let Observed::Known(holds) = &cluster.holds {
        check_holds(&format!("{place}.holds"), holds, found);
    }
}

fn check_store(place: &str, store: &StoreInventory, found: &mut Vec<Problem>) {
    let mut ids = HashSet::with_capacity(store.backups.len());
    let chains = Chains::of(&store.backups);
    for (at, backup) in store.backups.iter().enumerate() {
        let mut problem = |kind| found.push(Problem { place: format!("{place}.backups[{at}]"), kind });
        if !ids.insert(backup.id.as_str()) {
            problem(ProblemKind::DuplicateId(backup.id.clone()));
        }
        if matches!(chains.broken(at), Some(Broken::Circle(_))) {
            problem(ProblemKind::CircularParents(backup.id.clone()));
        }
        check_backup(backup, &mut problem);
    }
    for (at, range) in store.wal.iter().enumerate() {
        check_range(range, &mut |kind| found.push(Problem { place: format!("{place}.wal[{at}]"), kind }));
    }
    for (at, fork) in store.forks.iter().enumerate() {
        if fork.parent >= fork.timeline {
            found.push(Problem { place: format!("{place}.forks[{at}]"), kind: ProblemKind::ForkBackwards });
        }
    }
}

fn check_backup(backup: &Backup, problem: &mut impl FnMut(ProblemKind)) {
    let id = || backup.id.clone();
    match (backup.state, backup.stopped) {
        (_, Some(stopped)) if stopped < backup.started => problem(ProblemKind::StopsBeforeStart(id())),
        (BackupState::Complete | BackupState::Damaged, None) => problem(ProblemKind::CompleteWithoutStop(id())),
        (BackupState::Running, Some(_)) => problem(ProblemKind::RunningWithStop(id())),
        _ => {}
    }
    match (backup.kind, &backup.parent) {
        (BackupKind::Incremental, None) => problem(ProblemKind::IncrementalWithoutParent(id())),
        (BackupKind::Incremental, Some(_)) | (_, None) => {}
        (_, Some(_)) => problem(ProblemKind::ParentWithoutNeed(id())),
    }
    if matches!((backup.start_lsn, backup.stop_lsn), (Some(start), Some(stop)) if stop < start) {
        problem(ProblemKind::LsnBackwards(id()));
    }
    if backup.label.as_ref().is_some_and(|label| label.len() > MAX_TEXT) {
        problem(ProblemKind::TextTooLong { limit: MAX_TEXT });
    }
}

fn check_range(range: &WalRange, problem: &mut impl FnMut(ProblemKind)) {
    if range.to_lsn <= range.from_lsn {
        problem(ProblemKind::EmptyWalRange);
    }
    if range.to_time < range.from_time {
        problem(ProblemKind::WalTimeBackwards);
    }
}

fn check_holds(place: &str, holds: &[Hold], found: &mut Vec<Problem>) {
    let mut names = HashSet::new();
    for (at, hold) in holds.iter().enumerate() {
        let mut problem = |kind| found.push(Problem { place: format!("{place}[{at}]"), kind });
        if !names.insert(&hold.name) {
            problem(ProblemKind::DuplicateHold(hold.name.clone()));
        }
        if matches!((hold.selects.from, hold.selects.to), (Some(from), Some(to)) if to < from) {
            problem(ProblemKind::HoldBackwards(hold.name.clone()));
        }
        if hold.reason.len() > MAX_TEXT {
            problem(ProblemKind::TextTooLong { limit: MAX_TEXT });
        }
    }
}
