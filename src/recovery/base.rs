use std::fmt;

use super::missing::Missing;
use super::target::{Aim, Target};
use crate::inventory::{Backup, Chains, History, StoreInventory, SystemIdentifier};
use crate::units::{BackupId, Instant, Lsn, Timeline};

/// Why this base backup and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseReason {
    pub why: Why,
    /// Newer ones before the target that do not lead there: the newest twenty of them.
    pub skipped: Vec<Skipped>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It ends last before the target, so least has to be replayed.
    NewestBeforeTarget,
    /// The target is at the end of the log, or its place is found only while replaying. A transaction or restore point from
    /// before this backup is not found that way: its time has to be named.
    NewestOfAll,
    /// It was asked for.
    Named,
}

/// A newer base, and what keeps it from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub backup: BackupId,
    pub because: Missing,
}

impl fmt::Display for BaseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            Why::NewestBeforeTarget => "the newest backup that ends before the target",
            Why::NewestOfAll => "the newest backup",
            Why::Named => "the backup that was asked for",
        })?;
        if !self.skipped.is_empty() {
            f.write_str(" and leads there")?;
        }
        for skipped in &self.skipped {
            write!(f, "; not {}: {}", skipped.backup, skipped.because)?;
        }
        Ok(())
    }
}

/// A base backup whose place in the log is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base<'a> {
    pub at: usize,
    pub backup: &'a Backup,
    pub timeline: Timeline,
    pub start: Lsn,
    pub stop: Lsn,
}

impl Base<'_> {
    pub(super) fn moment(&self) -> Instant {
        self.backup.moment()
    }

    /// Consistent at or before the target.
    fn is_before(&self, target: &Target) -> bool {
        match target {
            Target::Time(time) => self.moment() <= *time,
            Target::Lsn(lsn) => self.stop <= *lsn,
            Target::Immediate(Some(id)) => self.backup.id == *id,
            Target::Latest | Target::Immediate(None) | Target::Xid(_) | Target::Named(_) => true,
        }
    }
}

/// The whole physical backups of a cluster, the newest last. Order is that of stop times.
pub(super) fn bases<'a>(store: &'a StoreInventory, chains: &Chains<'a>, cluster: Option<SystemIdentifier>) -> Vec<Base<'a>> {
    let of_cluster = |backup: &Backup| cluster.is_none() || backup.system_identifier == cluster;
    let mut bases: Vec<Base<'a>> = store
        .backups
        .iter()
        .enumerate()
        .filter(|(at, backup)| backup.kind.is_physical() && chains.is_whole(*at) && of_cluster(backup))
        .filter_map(|(at, backup)| Some(Base { at, backup, timeline: backup.timeline?, start: backup.start_lsn?, stop: backup.stop_lsn? }))
        .collect();
    bases.sort_by_key(|base| (base.moment(), base.stop));
    bases
}

/// The cluster that is meant when none is named: that of the newest good base.
pub(super) fn newest_cluster(store: &StoreInventory, chains: &Chains<'_>) -> Option<SystemIdentifier> {
    let good = |(at, backup): &(usize, &Backup)| backup.kind.is_physical() && chains.is_whole(*at);
    store.backups.iter().enumerate().filter(good).max_by_key(|(_, backup)| backup.moment()).and_then(|(_, backup)| backup.system_identifier)
}

/// The bases that could lead to the target, the newest first, or why there is none.
pub(super) fn candidates<'a>(bases: &[Base<'a>], aim: &Aim, timeline: Timeline, history: &History) -> Result<Vec<Base<'a>>, Missing> {
    if bases.is_empty() {
        return Err(Missing::NoBase);
    }
    let on_history: Vec<Base<'a>> = bases.iter().copied().filter(|base| history.contains(base.timeline, base.stop)).collect();
    let Some(oldest) = on_history.first() else { return Err(Missing::NoBaseOnTimeline { timeline }) };
    let before: Vec<Base<'a>> = on_history.iter().rev().copied().filter(|base| base.is_before(&aim.target)).collect();
    if before.is_empty() {
        let (oldest, oldest_at) = (oldest.backup.id.clone(), oldest.moment());
        return Err(Missing::BaseBefore { target: aim.target.to_string(), oldest, oldest_at });
    }
    Ok(before)
}
