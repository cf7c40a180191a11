//! When things happen: cron expressions, calendar rules, intervals and windows, in time zones.
//!
//! One engine serves every kind of schedule: a rule is *which civil days* × *which times of day*, or else an interval. The
//! same engine gives the next firing, the previous one, and the longest and the shortest gap.
//!
//! # Where the clocks are changed
//! * Clocks go **forward**: a local time that does not exist on that day fires as if the clocks had not been changed yet:
//!   02:30 fires when they show 03:30.
//! * Clocks go **back**: a local time that comes twice fires once, at the first of the two.
//! * A rule that names **every hour** of the day (`0 * * * *`, `*/15 * * * *`) follows real time: it fires in both of the
//!   hours that look alike.
//! * There are never two firings at one instant.
//! * An interval (`every 15 minutes`) counts from the beginning of 1970 in UTC and knows nothing of clocks.
//!
//! # Cron
//! Five fields; names, ranges, steps, lists; `L` (the last day), `friL` or `5L` (the last Friday), `mon#1` (the first Monday);
//! `@hourly` to `@yearly`. When neither the day of the month nor the day of the week begins with `*`, a day that matches
//! *either* of them fires, as in Vixie's cron. Otherwise a day has to match both.
//!
//! # Bounds
//! The calendar ends with the year 9998; from there on nothing fires. Gaps are judged over 400 years, after which the
//! calendar repeats. Time zones come from the database compiled into the program, never from the machine.

mod civil_gap;
mod civil_rule;
mod cron;
mod day_rule;
mod days;
mod describe;
mod expected;
mod firing;
mod gap;
mod month;
mod pattern;
mod time_of_day;
mod times;
mod weekday;
mod window;
mod zone;

use thiserror::Error;

pub use cron::{CronError, CronFault};
pub use day_rule::{CalendarError, CalendarPeriod, DayRule, MonthDay, Nth, NthDay};
pub use days::DayConditions;
pub use expected::Patience;
pub use gap::{ClockChange, Gap, GapCause};
pub use pattern::Pattern;
pub use time_of_day::{TimeOfDay, TimeOfDayError};
pub use weekday::{Weekday, WeekdayError, WeekdaySet};
pub use window::{Window, WindowError};
pub use zone::{Zone, ZoneError};

use crate::units::{Duration, Instant};
use civil_rule::CivilRule;
use firing::Clockwork;
use times::Times;

/// When something happens, again and again. It always does: a rule that never fires is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    rule: Rule,
    zone: Zone,
    wording: Wording,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Civil(CivilRule),
    /// Seconds from one firing to the next.
    Interval(i64),
}

/// How the schedule was written, for describing it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wording {
    Interval,
    Calendar(DayRule),
    Cron { expression: String, conditions: DayConditions, days: Option<DayRule> },
}

/// Why a length of time makes no interval.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IntervalError {
    #[error("an interval of {0} is shorter than a minute")]
    TooShort(Duration),
    #[error("an interval of {0} is longer than a day")]
    TooLong(Duration),
}

impl IntervalError {
    pub fn hint(&self) -> &'static str {
        match self {
            IntervalError::TooShort(_) => "Write at least `1m`.",
            IntervalError::TooLong(_) => "Name the days and the time instead, for example Sundays at 03:00.",
        }
    }
}

/// Beyond these nothing fires, with some days to spare for time zones.
const EARLIEST: i64 = (month::FIRST_DAY + 3) * 86_400;
const LATEST: i64 = (month::LAST_DAY - 3) * 86_400;

impl Schedule {
    /// A cron expression of five fields, read on the clocks of `zone`.
    pub fn cron(expression: &str, zone: Zone) -> Result<Schedule, CronError> {
        let parsed = cron::parse(expression)?;
        let wording = Wording::Cron { expression: expression.trim().to_owned(), conditions: parsed.conditions, days: parsed.day_rule };
        Ok(Schedule { rule: Rule::Civil(parsed.rule), zone, wording })
    }

    /// Every so often, counted from the beginning of 1970 in UTC. The zone only serves [`Schedule::wall_clock`].
    pub fn every(interval: Duration, zone: Zone) -> Result<Schedule, IntervalError> {
        match interval.as_secs() {
            ..60 => Err(IntervalError::TooShort(interval)),
            seconds @ 60..=86_400 => Ok(Schedule { rule: Rule::Interval(seconds as i64), zone, wording: Wording::Interval }),
            _ => Err(IntervalError::TooLong(interval)),
        }
    }

    /// On these days at these times, read on the clocks of `zone`.
    pub fn calendar(days: DayRule, times: Vec<TimeOfDay>, zone: Zone) -> Result<Schedule, CalendarError> {
        let times = Times::new(times).ok_or(CalendarError::NoTimes)?;
        let rule = CivilRule { days: days.days()?, times };
        Ok(Schedule { rule: Rule::Civil(rule), zone, wording: Wording::Calendar(days) })
    }

    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The same rule, read on the clocks of another zone.
    #[must_use]
    pub fn on_clocks_of(&self, zone: Zone) -> Schedule {
        Schedule { zone, ..self.clone() }
    }

    /// The first firing strictly after `instant`.
    pub fn next_after(&self, instant: Instant) -> Option<Instant> {
        let second = whole_second_before(instant);
        if second >= LATEST {
            return None;
        }
        let next = match self.clockwork() {
            Ok(clockwork) => clockwork.at_or_after(second.max(EARLIEST) + 1)?,
            Err(step) => (second.max(EARLIEST).div_euclid(step) + 1) * step,
        };
        Instant::from_second(next).ok()
    }

    /// The last firing strictly before `instant`.
    pub fn previous_before(&self, instant: Instant) -> Option<Instant> {
        let second = whole_second_after(instant);
        if second <= EARLIEST {
            return None;
        }
        let previous = match self.clockwork() {
            Ok(clockwork) => clockwork.before(second.min(LATEST))?,
            Err(step) => (second.min(LATEST) - 1).div_euclid(step) * step,
        };
        Instant::from_second(previous).ok()
    }

    /// The firings from `from` to `to`: at `from` is in, at `to` is out.
    pub fn firings(&self, from: Instant, to: Instant) -> impl Iterator<Item = Instant> + '_ {
        let first = if self.fires_at(from) { Some(from) } else { self.next_after(from) };
        std::iter::successors(first, |last| self.next_after(*last)).take_while(move |firing| *firing < to)
    }

    pub fn fires_at(&self, instant: Instant) -> bool {
        instant.subsec_nanosecond() == 0
            && Instant::from_second(instant.as_second() - 1).is_ok_and(|before| self.next_after(before) == Some(instant))
    }

    /// It fires at the same moments as `other`, however either is worded. An interval is the same in every zone.
    pub fn is_same_as(&self, other: &Schedule) -> bool {
        self.rule == other.rule && (matches!(self.rule, Rule::Interval(_)) || self.zone == other.zone)
    }

    /// What the clock on the wall shows in this schedule's zone.
    pub fn wall_clock(&self, instant: Instant) -> jiff::civil::DateTime {
        self.zone.wall_clock(instant)
    }

    /// It may fire more than once on a day.
    pub fn is_subdaily(&self) -> bool {
        match &self.rule {
            Rule::Civil(rule) => rule.times.first() != rule.times.last(),
            Rule::Interval(step) => *step < 86_400,
        }
    }

    /// The times of day at which it fires, in order, unless it is an interval.
    pub fn times(&self) -> Option<Vec<TimeOfDay>> {
        match &self.rule {
            Rule::Civil(rule) => Some(rule.times.iter().collect()),
            Rule::Interval(_) => None,
        }
    }

    fn clockwork(&self) -> Result<Clockwork<'_>, i64> {
        match &self.rule {
            Rule::Civil(rule) => Ok(Clockwork { rule, zone: &self.zone }),
            Rule::Interval(step) => Err(*step),
        }
    }
}

fn whole_second_before(instant: Instant) -> i64 {
    instant.as_second() - i64::from(instant.subsec_nanosecond() < 0)
}

fn whole_second_after(instant: Instant) -> i64 {
    instant.as_second() + i64::from(instant.subsec_nanosecond() > 0)
}
