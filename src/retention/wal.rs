use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::verdict::{RetentionInput, Verdict, WalKeep};
use crate::inventory::{Backup, BackupState, Leads, Observed, SystemIdentifier, Timelines, WalRange};
use crate::units::{BackupId, Instant, Lsn, Period, Timeline};

/// Which write-ahead log has to stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalNeeded {
    /// All of it: what is known does not tell what could go.
    Everything(WalReason),
    /// These stretches. `window_from` is where recovery to any moment begins, if that is asked for.
    Ranges { needs: Vec<WalNeed>, window_from: Option<Instant> },
}

/// A stretch that stays, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalNeed {
    pub system_identifier: Option<SystemIdentifier>,
    pub timeline: Timeline,
    pub from: Lsn,
    pub to: WalEnd,
    pub reason: WalReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalEnd {
    /// This position of the same timeline.
    At(Lsn),
    /// The rest of the timeline, and every later timeline whole.
    Newest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalReason {
    /// A backup is consistent only with the log from its start to its stop.
    Backup(BackupId),
    /// The log that a running backup will need.
    Running(BackupId),
    /// Recovery to any moment from `from` begins with this base.
    Window {
        base: BackupId,
        from: Instant,
    },
    UnknownBackups(String),
    UnknownPosition(BackupId),
    /// The window is asked for, and there is no base to begin with: nothing tells what the next one will need.
    NoBase,
}

impl fmt::Display for WalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalReason::Backup(id) => write!(f, "backup {id} is consistent only with it"),
            WalReason::Running(id) => write!(f, "backup {id} is running"),
            WalReason::Window { base, from } => write!(f, "recovery to any moment from {from:.0} begins with {base}"),
            WalReason::UnknownBackups(reason) => write!(f, "the backups are unknown: {reason}"),
            WalReason::UnknownPosition(id) => write!(f, "backup {id} does not say what it needs"),
            WalReason::NoBase => f.write_str("there is no base backup that could tell what is no longer needed"),
        }
    }
}

impl WalNeed {
    fn touches(&self, range: &WalRange) -> bool {
        let same_cluster = match (self.system_identifier, range.system_identifier) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        same_cluster
            && match self.to {
                WalEnd::At(to) => {
                    range.timeline == self.timeline
                        && range.to_lsn > self.from
                        && range.from_lsn < to.max(Lsn(self.from.0.saturating_add(1)))
                }
                WalEnd::Newest => range.timeline > self.timeline || (range.timeline == self.timeline && range.to_lsn > self.from),
            }
    }

    pub(super) fn is_of_window(&self) -> bool {
        matches!(self.reason, WalReason::Window { .. })
    }
}

impl WalNeeded {
    /// Whether any of this stretch has to stay.
    pub fn needs(&self, range: &WalRange) -> bool {
        let WalNeeded::Ranges { needs, window_from } = self else { return true };
        let has_base = |need: &WalNeed| {
            need.is_of_window() && (need.system_identifier == range.system_identifier || range.system_identifier.is_none())
        };
        // The log of a cluster that has no base yet stays as long as the window reaches it: its first backup may be running.
        let waits_for_base = window_from.is_some_and(|from| range.to_time >= from && !needs.iter().any(has_base));
        waits_for_base || needs.iter().any(|need| need.touches(range))
    }
}

/// What of the write-ahead log stays, given what stays of the backups.
pub fn wal_needed(input: &RetentionInput<'_>, verdicts: &[Verdict<'_>], now: Instant) -> WalNeeded {
    if let Observed::Unknown { reason } = &input.backups {
        return WalNeeded::Everything(WalReason::UnknownBackups(reason.clone()));
    }
    let kept: Vec<&Verdict<'_>> = verdicts.iter().filter(|verdict| needs_wal(verdict)).collect();
    let mut needs = Vec::new();
    for verdict in &kept {
        match need_of(verdict.backup) {
            Some(need) => needs.push(need),
            None => return WalNeeded::Everything(WalReason::UnknownPosition(verdict.backup.id.clone())),
        }
    }
    let Some(wal) = input.wal else { return WalNeeded::Ranges { needs, window_from: None } };
    let bases: Vec<(usize, &Backup)> = kept.iter().filter(|verdict| verdict.good).map(|verdict| verdict.backup).enumerate().collect();
    if bases.is_empty() {
        return WalNeeded::Everything(WalReason::NoBase);
    }
    let window = window_bases(&bases, wal, input.timelines, now);
    for (_, base) in bases.iter().filter(|(at, _)| window.begins.contains(at)) {
        // Its position is known: a base without one has ended this above.
        if let (Some(timeline), Some(from)) = (base.timeline, base.start_lsn) {
            let reason = WalReason::Window { base: base.id.clone(), from: window.from };
            needs.push(WalNeed { system_identifier: base.system_identifier, timeline, from, to: WalEnd::Newest, reason });
        }
    }
    WalNeeded::Ranges { needs, window_from: Some(window.from) }
}

fn needs_wal(verdict: &Verdict<'_>) -> bool {
    verdict.backup.kind.is_physical() && verdict.backup.state != BackupState::Failed && !verdict.is_deletable()
}

fn need_of(backup: &Backup) -> Option<WalNeed> {
    let running = backup.state == BackupState::Running;
    let to = if running { WalEnd::Newest } else { WalEnd::At(backup.stop_lsn?) };
    let reason = if running { WalReason::Running(backup.id.clone()) } else { WalReason::Backup(backup.id.clone()) };
    Some(WalNeed { system_identifier: backup.system_identifier, timeline: backup.timeline?, from: backup.start_lsn?, to, reason })
}

/// The bases of the window for recovery to any moment, by the caller's positions.
#[derive(Default)]
pub(super) struct WindowBases {
    pub from: Instant,
    /// For each timeline that is lived on the newest base at or before the window's beginning that leads there. Each on its own: a base of
    /// another cluster, or of a branch that was left behind, however new, brings nothing of this one back.
    pub current: BTreeSet<usize>,
    /// The oldest base inside the window, likewise. It stays until the window has moved past it; without it, bases that
    /// tiers delete inside the window would leave none to take over, and the present one would stay with all its log for ever.
    pub next: BTreeSet<usize>,
    /// Any of these may be the current one of that timeline.
    pub perhaps: BTreeMap<usize, Timeline>,
    /// Where the log has to begin: with the current base, and without one with the oldest inside the window.
    begins: BTreeSet<usize>,
}

pub(super) fn window_bases(bases: &[(usize, &Backup)], wal: &WalKeep, timelines: &Timelines, now: Instant) -> WindowBases {
    let mut window = WindowBases { from: window_start(wal.period, &wal.zone, now), ..WindowBases::default() };
    let mut clusters: BTreeMap<Option<SystemIdentifier>, Vec<(usize, &Backup)>> = BTreeMap::new();
    for (at, base) in bases {
        clusters.entry(base.system_identifier).or_default().push((*at, base));
    }
    for (cluster, bases) in clusters {
        let mut has_current = false;
        for line in timelines.lines(cluster, window.from) {
            let led = |leads: Leads| bases.iter().copied().filter(move |(_, base)| line.leads_here(base) == leads);
            if window.begin_with(led(Leads::Surely)) {
                has_current = true;
            } else {
                window.begins.extend(led(Leads::Perhaps).map(|(at, _)| at));
                window.perhaps.extend(led(Leads::Perhaps).map(|(at, _)| (at, line.timeline)));
            }
        }
        if !has_current {
            window.begin_with(bases.iter().copied());
        }
    }
    window
}

impl WindowBases {
    /// False where none of these is as old as the window.
    fn begin_with<'b>(&mut self, bases: impl Iterator<Item = (usize, &'b Backup)>) -> bool {
        let order = |(_, base): &(usize, &Backup)| (base.moment(), base.started);
        let (before, inside): (Vec<_>, Vec<_>) = bases.partition(|(_, base)| base.moment() <= self.from);
        let current = before.into_iter().max_by_key(order).map(|(at, _)| at);
        let next = inside.into_iter().min_by_key(order).map(|(at, _)| at);
        self.current.extend(current);
        self.next.extend(next);
        self.begins.extend(current.or(next));
        current.is_some()
    }
}

/// The oldest moment of the last `period`.
///
/// It never moves back: on 29, 30 and 31 March a month ago is the end of February, not an earlier hour of its last day than
/// it was yesterday. Else the window would, for a day, ask for a base that has rightly gone.
pub fn window_start(period: Period, zone: &jiff::tz::TimeZone, now: Instant) -> Instant {
    let today = now.to_zoned(zone.clone()).date();
    let ends_of_days = (0..3).filter_map(|ago| {
        let midnight = today.checked_sub(jiff::Span::new().days(ago)).ok()?.to_zoned(zone.clone()).ok()?.timestamp();
        Some(period.before(midnight - jiff::SignedDuration::from_nanos(1), zone))
    });
    ends_of_days.fold(period.before(now, zone), Instant::max)
}
