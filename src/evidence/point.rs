//! How much would be lost if the server were lost now: what has left the host counts, not when somebody last made a backup.

use serde::{Deserialize, Serialize};

use crate::inventory::Observed;
use crate::policy::file::{Procedure, Recover};
use crate::policy::model::{Policy, Scenario};
use crate::units::{Duration, Instant, Name};

/// What was seen of the way out of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier {
    /// When the newest backup was complete that the log goes on from, or where no log is archived the newest of all; none when there is none.
    pub newest_backup: Observed<Option<Instant>>,
    /// The archived log; none where the policy has none.
    pub log: Option<Observed<LogSeen>>,
    /// Where the log in the store breaks off that goes on from the newest backup, although later log is there.
    pub broken_at: Option<Instant>,
    /// When the oldest heartbeat row was written that is newer than everything archived.
    pub canary: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogSeen {
    /// Since when the oldest log waits that is not archived; none when nothing does.
    pub waiting_since: Option<Instant>,
}

/// Everything that was committed before `at` would survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryPoint {
    pub at: Instant,
    pub lost: Duration,
    pub bound: Bound,
}

/// What keeps it from being now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Nothing: all that was written is archived.
    Nothing,
    /// The log waits to be archived.
    Log,
    /// A heartbeat row that was written since the last segment.
    Canary,
    /// The log in the store has a gap.
    Gap,
    /// No log is archived: what the newest backup holds is all.
    Backup,
    /// A second copy is behind the first one.
    Copy,
}

/// Unknown where it was not seen; none where nothing would survive.
pub fn recovery_point(frontier: &Frontier, now: Instant) -> Observed<Option<RecoveryPoint>> {
    let newest = match &frontier.newest_backup {
        Observed::Known(Some(newest)) => *newest,
        Observed::Known(None) => return Observed::Known(None),
        Observed::Unknown { reason } => return Observed::unknown(format!("the newest backup is not known: {reason}")),
    };
    let point = |at: Instant, bound: Bound| Observed::Known(Some(RecoveryPoint { at, lost: Duration::between(at, now), bound }));
    let log = match &frontier.log {
        None => return point(newest, Bound::Backup),
        Some(Observed::Unknown { reason }) => return Observed::unknown(format!("the log is not known: {reason}")),
        Some(Observed::Known(log)) => log,
    };
    let ends = [(frontier.broken_at, Bound::Gap), (log.waiting_since, Bound::Log), (frontier.canary, Bound::Canary)];
    let first = ends.into_iter().filter_map(|(at, bound)| Some((at.filter(|at| *at < now)?, bound))).min_by_key(|(at, _)| *at);
    match first {
        // The backup holds everything up to its own end, whatever became of the log before.
        Some((at, bound)) => point(at.max(newest), bound),
        None => point(now, Bound::Nothing),
    }
}

/// What a scenario promises about how much is lost, other than the policy does for everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScenarioPromise<'p> {
    pub scenario: &'p Name,
    pub promised: Duration,
    /// Only these second copies are left; empty where what the log goes to first is.
    pub copies: &'p [Name],
}

/// The promises of scenarios that what is archived can keep. What a standby, a dump or somebody else's tool would bring back is none of its business.
pub fn scenario_promises(policy: &Policy) -> Vec<ScenarioPromise<'_>> {
    let Some(wal) = &policy.wal else { return Vec::new() };
    let scenarios = policy.objectives.scenarios.iter().filter(|(_, scenario)| rolls_forward(policy, scenario));
    let promises = scenarios.filter_map(|(name, scenario)| {
        let is_first = scenario.from.is_empty() || scenario.from.contains(&wal.store);
        let copies = if is_first { &[][..] } else { scenario.from.as_slice() };
        Some(ScenarioPromise { scenario: name, promised: scenario.rpo?, copies })
    });
    promises.filter(|promise| !promise.copies.is_empty() || policy.objectives.rpo != Some(promise.promised)).collect()
}

fn rolls_forward(policy: &Policy, scenario: &Scenario) -> bool {
    let is_physical = |job: &Name| policy.backups.get(job).is_some_and(|backup| backup.method.is_physical());
    matches!(scenario.by, None | Some(Procedure::PointInTime))
        && scenario.recover != Recover::Files
        && (scenario.using.is_empty() || scenario.using.iter().any(is_physical))
}

/// The same where only second copies are left, each of them with when the oldest log was complete that it lacks: the best of them counts.
pub fn left_in_copies(point: &RecoveryPoint, copies: &[Observed<Option<Instant>>], now: Instant) -> Observed<RecoveryPoint> {
    let of = |lacks_since: &Option<Instant>| match lacks_since.filter(|since| *since < point.at) {
        Some(at) => RecoveryPoint { at, lost: Duration::between(at, now), bound: Bound::Copy },
        None => *point,
    };
    let unknown = copies.iter().find_map(|copy| match copy {
        Observed::Unknown { reason } => Some(reason.as_str()),
        Observed::Known(_) => None,
    });
    match copies.iter().filter_map(Observed::known).map(of).max_by_key(|left| left.at) {
        Some(best) => Observed::Known(best),
        None => Observed::unknown(unknown.unwrap_or("no copy of the log is kept there")),
    }
}

/// The most that was lost in a series, and when.
pub fn worst(series: &[(Instant, f64)]) -> Option<(Instant, Duration)> {
    let worst = series.iter().filter(|(_, seconds)| seconds.is_finite()).max_by(|one, other| one.1.total_cmp(&other.1))?;
    Some((worst.0, Duration::from_secs(worst.1.max(0.0) as u64)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minute: i64) -> Instant {
        Instant::from_second(1_790_000_000 + minute * 60).expect("a moment")
    }

    fn frontier(waiting: Option<i64>) -> Frontier {
        Frontier {
            newest_backup: Observed::Known(Some(at(0))),
            log: Some(Observed::Known(LogSeen { waiting_since: waiting.map(at) })),
            broken_at: None,
            canary: None,
        }
    }

    fn lost(frontier: &Frontier) -> Option<(u64, Bound)> {
        recovery_point(frontier, at(100)).known().copied().flatten().map(|point| (point.lost.as_secs() / 60, point.bound))
    }

    #[test]
    fn the_archived_log_counts_and_not_the_age_of_the_backup() {
        assert_eq!(lost(&frontier(None)), Some((0, Bound::Nothing)));
        assert_eq!(lost(&frontier(Some(97))), Some((3, Bound::Log)));
        assert_eq!(lost(&Frontier { canary: Some(at(99)), ..frontier(None) }), Some((1, Bound::Canary)));
        assert_eq!(lost(&Frontier { broken_at: Some(at(40)), ..frontier(Some(97)) }), Some((60, Bound::Gap)));
        // A gap from before the newest backup is none of its business.
        assert_eq!(lost(&Frontier { newest_backup: Observed::Known(Some(at(90))), ..frontier(Some(20)) }), Some((10, Bound::Log)));
        assert_eq!(lost(&Frontier { log: None, ..frontier(None) }), Some((100, Bound::Backup)));
    }

    #[test]
    fn unknown_is_not_nothing() {
        let nothing = Frontier { newest_backup: Observed::Known(None), ..frontier(None) };
        assert_eq!(recovery_point(&nothing, at(100)), Observed::Known(None));
        let unknown = Frontier { log: Some(Observed::unknown("the server was not asked")), ..frontier(None) };
        assert_eq!(recovery_point(&unknown, at(100)), Observed::unknown("the log is not known: the server was not asked"));
        let unknown = Frontier { newest_backup: Observed::unknown("no store"), ..frontier(None) };
        assert_eq!(recovery_point(&unknown, at(100)), Observed::unknown("the newest backup is not known: no store"));
    }

    #[test]
    fn of_second_copies_the_best_counts() {
        let point = RecoveryPoint { at: at(98), lost: Duration::from_mins(2), bound: Bound::Log };
        let left = |copies: &[Observed<Option<i64>>]| {
            let copies: Vec<_> = copies.iter().map(|copy| copy.clone().map(|since| since.map(at))).collect();
            left_in_copies(&point, &copies, at(100)).known().map(|left| (left.lost.as_secs() / 60, left.bound))
        };
        assert_eq!(left(&[Observed::Known(None)]), Some((2, Bound::Log)));
        assert_eq!(left(&[Observed::Known(Some(40))]), Some((60, Bound::Copy)));
        assert_eq!(left(&[Observed::Known(Some(40)), Observed::Known(Some(70)), Observed::unknown("away")]), Some((30, Bound::Copy)));
        // What waits on the server itself is not in the copy either.
        assert_eq!(left(&[Observed::Known(Some(99))]), Some((2, Bound::Log)));
        assert_eq!(left(&[Observed::unknown("away")]), None);
        assert_eq!(left(&[]), None);
    }

    proptest! {
        /// What waits longer loses no less, and a backup never makes it worse.
        #[test]
        fn it_is_monotone(waits in 0i64..100, longer in 0i64..100, newest in 0i64..100) {
            let with = |waits: i64, newest: i64| {
                let seen = Frontier { newest_backup: Observed::Known(Some(at(newest))), ..frontier(Some(100 - waits)) };
                lost(&seen).expect("a point").0
            };
            prop_assert!(with(waits, newest) <= with(waits + longer, newest));
            prop_assert!(with(waits, newest) <= with(waits, 0));
            prop_assert!(with(waits, newest) <= 100);
        }
    }
}
