//! The longest and the shortest time between two firings, exactly.
//!
//! Within a stretch of constant offset a gap is what the civil rule says, and its extremes are found day by day or month by
//! month. Where the clocks change, the gaps that touch the change are looked at one by one. The search covers a whole cycle
//! of the Gregorian calendar, 400 years, and ends early when no change of the clocks can improve on what was found.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::Date;

use super::Schedule;
use super::civil_gap::{Best, Extreme};
use super::days::Days;
use super::firing::Clockwork;
use super::zone::{CYCLE, Stretch, greatest_common_divisor};
use crate::units::{Duration, Instant};

/// A time between two firings that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub length: Duration,
    pub from: Instant,
    pub to: Instant,
    /// Why the rule leaves a gap of this length, leaving the clocks aside.
    pub cause: GapCause,
    /// The gap on a clock that is never changed.
    pub usual: Duration,
    /// The change of the clocks that makes `length` differ from `usual`.
    pub clocks: Option<ClockChange>,
}

/// Why the rule itself leaves a gap of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCause {
    /// All gaps are alike.
    Regular,
    /// The rule names days or times that lie unevenly: Monday to Friday leaves the weekend.
    Uneven,
    /// Months and years are not equally long.
    MonthLength,
    /// A yearly date, and a 29 February in between; or the 29 February itself.
    LeapYear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockChange {
    pub at: Instant,
    /// The local date on which it happens.
    pub date: Date,
    /// By how much the clocks go forward, or back when negative.
    pub by: SignedDuration,
}

impl ClockChange {
    pub fn is_forward(&self) -> bool {
        self.by.is_positive()
    }
}

/// Instants this far out are taken for the end of the calendar: no cycle follows.
const LATEST_START: i64 = 253_370_764_800 - CYCLE - 30 * 366 * 86_400;

impl Schedule {
    /// The longest gap that is not over at `from`, looking 400 years ahead.
    pub fn longest_gap(&self, from: Instant) -> Gap {
        self.extreme_gap(from, Extreme::Longest)
    }

    /// The shortest gap that is not over at `from`, looking 400 years ahead.
    pub fn shortest_gap(&self, from: Instant) -> Gap {
        self.extreme_gap(from, Extreme::Shortest)
    }

    fn extreme_gap(&self, from: Instant, extreme: Extreme) -> Gap {
        let from = from.as_second().clamp(super::EARLIEST, LATEST_START);
        match self.clockwork() {
            Ok(clockwork) => Search::new(clockwork, extreme, from).run(from),
            Err(step) => {
                let begin = from.div_euclid(step) * step;
                let length = Duration::from_secs(step.unsigned_abs());
                let (from, to) = (instant(begin), instant(begin + step));
                Gap { length, from, to, cause: GapCause::Regular, usual: length, clocks: None }
            }
        }
    }
}

fn instant(second: i64) -> Instant {
    Instant::from_second(second).unwrap_or(if second < 0 { Instant::MIN } else { Instant::MAX })
}

struct Search<'s> {
    clockwork: Clockwork<'s>,
    best: Best,
    /// No gap is better than this.
    bound: i64,
    limit: i64,
}

impl<'s> Search<'s> {
    fn new(clockwork: Clockwork<'s>, extreme: Extreme, from: i64) -> Search<'s> {
        let Clockwork { rule, zone } = clockwork;
        let limit = from + CYCLE;
        let offsets = zone.offsets_between(from - 400 * 86_400, limit);
        let usual = rule.extreme_ever(extreme);
        let follows_real_time = rule.days == Days::Week(0x7f) && rule.times.repeat_after(offsets.step);
        let bound = match extreme {
            _ if follows_real_time && rule.times.every_hour => usual,
            Extreme::Longest => usual + offsets.highest - offsets.lowest,
            // All firings lie on a grid, whatever the clocks do.
            Extreme::Shortest => (usual - (offsets.highest - offsets.lowest)).max(grid(clockwork, offsets.step)),
        };
        Search { clockwork, best: Best { extreme, pair: None }, bound, limit }
    }

    fn run(mut self, from: i64) -> Gap {
        let begin = self.clockwork.before(from + 1).or_else(|| self.clockwork.at_or_after(from));
        // A rule that is parsed has days that match, and `from` was clamped to where they still come.
        let mut last = begin.unwrap_or(from);
        let mut stretch = self.clockwork.zone.stretch_at(last);
        loop {
            last = self.change(last, &stretch);
            last = self.plain(last, &stretch);
            let done = self.best.pair.is_some() && self.best.extreme.at_least_as_good(self.best.length(), self.bound);
            if done || stretch.end >= self.limit {
                return self.gap(last);
            }
            stretch = self.clockwork.zone.stretch_at(stretch.end);
        }
    }

    /// The hour, or so, after the clocks went forward: what was left out mingles with what they show.
    fn change(&mut self, last: i64, stretch: &Stretch) -> i64 {
        let end = stretch.start.saturating_add(stretch.change()).min(stretch.end);
        if stretch.change() <= 0 || last >= end {
            return last;
        }
        let mut last = last;
        // Gaps inside are shorter than the change itself.
        if self.best.extreme == Extreme::Longest && self.best.length() >= stretch.change() && last < stretch.start {
            if let Some(firing) = self.clockwork.at_or_after(stretch.start).filter(|firing| *firing < end) {
                self.best.consider(last, firing);
                last = self.clockwork.before(end).unwrap_or(firing);
            }
            return last;
        }
        while let Some(firing) = self.clockwork.at_or_after(last + 1).filter(|firing| *firing < end) {
            self.best.consider(last, firing);
            last = firing;
        }
        last
    }

    /// The rest of the stretch, in which the clock shows each moment once and in order.
    fn plain(&mut self, last: i64, stretch: &Stretch) -> i64 {
        let rule = self.clockwork.rule;
        let offset = stretch.offset;
        let begin = (last + 1 + offset).max(self.clockwork.plain_from(stretch));
        let begin = begin.max(stretch.start.saturating_add(stretch.change().max(0)).saturating_add(offset));
        let end = stretch.end.min(self.limit) + offset;
        let Some(first) = rule.at_or_after(begin).filter(|moment| *moment < end) else { return last };
        self.best.consider(last, first - offset);
        let Some(final_moment) = rule.before(end).filter(|moment| *moment >= first) else { return last };
        rule.extreme_between(first, final_moment, offset, &mut self.best);
        final_moment - offset
    }

    fn gap(&self, last: i64) -> Gap {
        let (from, to) = self.best.pair.unwrap_or((last, last));
        let moment = self.clockwork.moment_of(from);
        let usual = self.clockwork.rule.at_or_after(moment + 1).map_or(to - from, |next| next - moment);
        let clocks = if usual == to - from { None } else { self.responsible_change(from, to, usual) };
        Gap {
            length: Duration::from_secs((to - from).unsigned_abs()),
            from: instant(from),
            to: instant(to),
            cause: self.cause(usual),
            usual: Duration::from_secs(usual.unsigned_abs()),
            clocks,
        }
    }

    fn responsible_change(&self, from: i64, to: i64, usual: i64) -> Option<ClockChange> {
        let zone = self.clockwork.zone;
        let mut stretch = zone.stretch_at(to);
        // Going back makes gaps longer, going forward shorter; the last such change up to the end of the gap is named.
        while stretch.start != i64::MIN && stretch.start > from - 2 * 86_400 {
            if (stretch.change() < 0) == (to - from > usual) {
                let at = instant(stretch.start);
                let date = zone.wall_clock(instant(stretch.start - 1)).date();
                return Some(ClockChange { at, date, by: SignedDuration::from_secs(stretch.change()) });
            }
            stretch = zone.stretch_at(stretch.start - 1);
        }
        None
    }

    fn cause(&self, usual: i64) -> GapCause {
        let rule = self.clockwork.rule;
        if rule.is_regular() {
            return GapCause::Regular;
        }
        match &rule.days {
            Days::Months(days) if usual >= 86_400 && days.is_yearly_date() => GapCause::LeapYear,
            Days::Months(days) if usual >= 86_400 && days.is_even() => GapCause::MonthLength,
            _ => GapCause::Uneven,
        }
    }
}

/// All firings are multiples of this apart.
fn grid(clockwork: Clockwork<'_>, step: i64) -> i64 {
    let times = &clockwork.rule.times;
    times.iter().fold(greatest_common_divisor(86_400, step), |grid, time| {
        greatest_common_divisor(grid, i64::from(time.minute_of_day()) * 60 - times.first())
    })
}

/// `31d (months differ in length); 1h more because the clocks go back on 2027-10-31`
impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let odd = Duration::from_secs(self.length.as_secs().abs_diff(self.usual.as_secs()));
        let why = match self.cause {
            GapCause::Regular => "",
            GapCause::Uneven => " (the firings lie unevenly)",
            GapCause::MonthLength => " (months differ in length)",
            GapCause::LeapYear => " (leap years)",
        };
        let Some(change) = self.clocks else { return write!(f, "{}{why}", self.length) };
        let (more, way) = if change.is_forward() { ("less", "forward") } else { ("more", "back") };
        if i128::from(odd.as_secs()) == change.by.as_millis().abs() / 1_000 {
            write!(f, "{}{why}; {odd} {more} when the clocks go {way} on {}", self.usual, change.date)
        } else {
            write!(f, "{} when the clocks go {way} on {}", self.length, change.date)
        }
    }
}
