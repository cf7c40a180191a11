//! Whether a run of a `files` job is a full one, and what it builds on where it is not.

use std::fmt;

use super::make::minute;
use crate::inventory::{Backup, BackupKind, BackupState, Broken, Chains, SystemIdentifier};
use crate::units::{BackupId, Duration, Instant, Name};

/// A schedule fires a little earlier or later than the last time: what is due within so much of its span is due.
const SHARE: u64 = 20;
const AT_MOST: Duration = Duration::from_hours(1);

/// What the next backup of a `files` job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    Full(WhyFull),
    /// What has changed since `parent`, at the end of the chain that began with `full`.
    Increment {
        parent: BackupId,
        full: BackupId,
        began: Instant,
    },
}

/// Why it is a full one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyFull {
    /// The policy has no `full_every`.
    Always,
    /// There is no complete one in the store.
    First,
    /// The last full one is old enough.
    Due { full: BackupId, began: Instant },
    /// The newest cannot be built on.
    Broken { newest: BackupId, why: Broken },
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Basis::Increment { parent, full, began } => {
                write!(f, "an increment: what has changed since {parent}; the last full one, {full}, began {}", minute(*began))
            }
            Basis::Full(WhyFull::Always) => f.write_str("a full one: the policy says no `full_every`"),
            Basis::Full(WhyFull::First) => f.write_str("a full one: the store has no complete one yet"),
            Basis::Full(WhyFull::Due { full, began }) => write!(f, "a full one: the last, {full}, began {}", minute(*began)),
            Basis::Full(WhyFull::Broken { newest, why }) => write!(f, "a full one: {newest} cannot be built on: {why}"),
        }
    }
}

/// By what lies in the store that the job writes to. `cluster`: the one it stands beside, where that is known.
pub fn basis(job: &Name, full_every: Option<Duration>, backups: &[Backup], cluster: Option<SystemIdentifier>, now: Instant) -> Basis {
    let Some(every) = full_every else { return Basis::Full(WhyFull::Always) };
    let is_one = |backup: &&Backup| {
        let of_job = backup.job == *job && backup.kind == BackupKind::Files && backup.state == BackupState::Complete;
        of_job && backup.moment() <= now && cluster.is_none_or(|cluster| backup.system_identifier == Some(cluster))
    };
    let Some(newest) = backups.iter().filter(is_one).max_by_key(|backup| (backup.moment(), &backup.id)) else {
        return Basis::Full(WhyFull::First);
    };
    let chains = Chains::of(backups);
    let at = chains.position(&newest.id);
    let Some(links) = at.and_then(|at| chains.links(at)) else {
        let why = at.and_then(|at| chains.broken(at)).unwrap_or_else(|| Broken::ParentNotComplete(newest.id.clone()));
        return Basis::Full(WhyFull::Broken { newest: newest.id.clone(), why });
    };
    let full = links.first().copied().unwrap_or(newest);
    if full_is_due(full.started, every, now) {
        return Basis::Full(WhyFull::Due { full: full.id.clone(), began: full.started });
    }
    Basis::Increment { parent: newest.id.clone(), full: full.id.clone(), began: full.started }
}

/// The last full one, which began then, is old enough for another.
pub(super) fn full_is_due(began: Instant, every: Duration, now: Instant) -> bool {
    let early = Duration::from_secs(every.as_secs() / SHARE).min(AT_MOST);
    Duration::between(began, now) + early >= every
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Name;

    fn at(hours: u64) -> Instant {
        "2026-11-01T05:00:00Z".parse::<Instant>().expect("a moment") + Duration::from_hours(hours).to_signed()
    }

    fn backup(id: &str, parent: Option<&str>, hours: u64) -> Backup {
        let name = |text: &str| text.parse().expect("an id");
        Backup {
            id: name(id),
            job: "system".parse().expect("a name"),
            kind: BackupKind::Files,
            state: BackupState::Complete,
            parent: parent.map(name),
            started: at(hours),
            stopped: Some(at(hours)),
            size: None,
            stored_size: None,
            label: None,
            keep: None,
            system_identifier: None,
            timeline: None,
            start_lsn: None,
            stop_lsn: None,
            verified_at: None,
            carries_log: false,
            storage_class: None,
            scope: None,
        }
    }

    fn said(backups: &[Backup], hours: u64) -> String {
        let job: Name = "system".parse().expect("a name");
        match basis(&job, Some(Duration::from_days(7)), backups, None, at(hours)) {
            Basis::Increment { parent, full, .. } => format!("{parent} of {full}"),
            Basis::Full(WhyFull::Due { full, .. }) => format!("due after {full}"),
            Basis::Full(WhyFull::Broken { newest, .. }) => format!("broken at {newest}"),
            Basis::Full(why) => format!("{why:?}"),
        }
    }

    #[test]
    fn an_increment_builds_on_the_newest_complete_one_of_its_job() {
        let mut backups = vec![backup("a", None, 0), backup("b", Some("a"), 24), backup("c", Some("b"), 48)];
        assert_eq!(said(&[], 0), "First");
        assert_eq!(said(&backups, 72), "c of a");
        // A little early, as schedules are.
        assert_eq!(said(&backups, 166), "c of a");
        assert_eq!(said(&backups, 167), "due after a");
        // What lacks files is nothing to build on, and what lies in the future neither.
        backups[2].state = BackupState::Damaged;
        assert_eq!(said(&backups, 72), "b of a");
        assert_eq!(said(&backups, 12), "a of a");
        backups[2] = backup("c", Some("gone"), 48);
        assert_eq!(said(&backups, 72), "broken at c");
        backups[2].job = "other".parse().expect("a name");
        assert_eq!(said(&backups, 72), "b of a");
        let job: Name = "system".parse().expect("a name");
        assert_eq!(basis(&job, None, &backups, None, at(72)), Basis::Full(WhyFull::Always));
    }
}
