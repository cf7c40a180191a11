//! How much would be lost if the server were lost now: what has left the host counts, not when somebody last made a backup.

use serde::{Deserialize, Serialize};

use crate::inventory::Observed;
use crate::units::{Duration, Instant};

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
