//! What a schedule is made of, for those who say it in another scheduler's words.

use std::collections::BTreeSet;

use super::days::{DayConditions, Days};
use super::firing::Clockwork;
use super::time_of_day::TimeOfDay;
use super::{Rule, Schedule, Wording};
use crate::units::{Duration, Instant};

/// What a schedule is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// Counted from the beginning of 1970 in UTC.
    Interval(Duration),
    /// On these days at these times, on the clocks of the schedule's zone.
    Civil { days: DayConditions, times: Vec<TimeOfDay> },
    /// At these times of every day, on a clock in UTC: the clocks of the schedule's zone make no difference.
    Daily(Vec<TimeOfDay>),
}

const MINUTES: i64 = 1_440;

impl Schedule {
    /// What the schedule is made of, from `from` on.
    pub fn pattern(&self, from: Instant) -> Pattern {
        let rule = match &self.rule {
            Rule::Interval(step) => return Pattern::Interval(Duration::from_secs(step.unsigned_abs())),
            Rule::Civil(rule) => rule,
        };
        let times: Vec<TimeOfDay> = rule.times.iter().collect();
        let follows_real_time = rule.days == Days::Week(DayConditions::ALL_WEEKDAYS) && rule.times.every_hour;
        match self.in_utc(&times, from).filter(|_| follows_real_time) {
            Some(times) => Pattern::Daily(times),
            None => Pattern::Civil { days: self.conditions(), times },
        }
    }

    /// From `from` on, the firings that lie where the clocks are changed: at a local time that is left out, or that comes twice. The
    /// list ends with the table of changes, which has long been repeating itself by then.
    pub fn firings_at_clock_changes(&self, from: Instant) -> Vec<Instant> {
        let Ok(clockwork) = self.clockwork() else { return Vec::new() };
        self.zone.changes_since(from.as_second()).flat_map(|change| shifted(clockwork, change.at, change.by)).collect()
    }

    fn conditions(&self) -> DayConditions {
        match &self.wording {
            Wording::Calendar(days) => days.conditions(),
            Wording::Cron { conditions, .. } => *conditions,
            Wording::Interval => DayConditions::ANY,
        }
    }

    /// The same times on a clock in UTC, if those are the same whatever offset the zone has.
    fn in_utc(&self, times: &[TimeOfDay], from: Instant) -> Option<Vec<TimeOfDay>> {
        let in_utc = |offset: i64| -> Option<BTreeSet<TimeOfDay>> {
            let moved = |time: &TimeOfDay| {
                TimeOfDay::from_minute_of_day((i64::from(time.minute_of_day()) - offset / 60).rem_euclid(MINUTES) as u16)
            };
            (offset % 60 == 0).then(|| times.iter().map(moved).collect())
        };
        let first = self.zone.stretch_at(from.as_second()).offset;
        let same = in_utc(first)?;
        let mut later = self.zone.changes_since(from.as_second()).map(|change| change.offset);
        later.all(|offset| in_utc(offset).as_ref() == Some(&same)).then(|| same.into_iter().collect())
    }
}

/// The firings that one change of the clocks, `by` so many seconds at the second `at`, leaves out or doubles.
fn shifted(clockwork: Clockwork<'_>, at: i64, by: i64) -> impl Iterator<Item = Instant> {
    // Forward: what the old clock would have shown in the time that is left out. Back: the time that is shown twice, both times.
    let (begin, end) = if by > 0 { (at, at + by) } else { (at + by, at - by) };
    let left_out = move |firing: i64| {
        let stretch = clockwork.zone.stretch_at(firing);
        by < 0 || clockwork.rule.contains(firing + stretch.before)
    };
    let next = move |after: i64| clockwork.at_or_after(after).filter(|firing| *firing < end);
    let firings = std::iter::successors(next(begin), move |last| next(last + 1));
    firings.filter(move |firing| left_out(*firing)).filter_map(|second| Instant::from_second(second).ok())
}
