//! Windows: stretches of the day in which something is allowed to run.
//!
//! A window opens and closes when the clock on the wall first reaches or passes the time named. So one that lies wholly in
//! the hour that is left out as the clocks go forward does not open on that day, and one that reaches into the hour that
//! comes twice closes in the first of the two.

use thiserror::Error;

use super::civil_rule::DAY;
use super::day_rule::{CalendarError, DayRule};
use super::days::Days;
use super::describe;
use super::time_of_day::TimeOfDay;
use super::zone::{CYCLE, Zone};
use super::{EARLIEST, LATEST, Schedule, whole_second_before};
use crate::units::{Duration, Instant};

/// On these days, from one time to another; when the second is not later than the first, until the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    rule: DayRule,
    days: Days,
    from: TimeOfDay,
    to: TimeOfDay,
    zone: Zone,
}

/// Why days and times make no window.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(transparent)]
pub struct WindowError(#[from] pub CalendarError);

impl Window {
    pub fn new(days: DayRule, from: TimeOfDay, to: TimeOfDay, zone: Zone) -> Result<Window, WindowError> {
        Ok(Window { days: days.days()?, rule: days, from, to, zone })
    }

    pub fn days(&self) -> DayRule {
        self.rule
    }
    pub fn from(&self) -> TimeOfDay {
        self.from
    }
    pub fn to(&self) -> TimeOfDay {
        self.to
    }
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// When it opens.
    pub fn openings(&self) -> Schedule {
        Schedule::calendar(self.rule, vec![self.from], self.zone.clone()).expect("days that were read, and a time")
    }

    /// The same days and times, read on the clocks of another zone.
    #[must_use]
    pub fn on_clocks_of(&self, zone: Zone) -> Window {
        Window { zone, ..self.clone() }
    }
    pub fn crosses_midnight(&self) -> bool {
        self.to <= self.from
    }

    /// How long it is open on a day on which the clocks are not changed.
    pub fn usual_length(&self) -> Duration {
        Duration::from_secs(self.usual().unsigned_abs())
    }

    pub fn contains(&self, instant: Instant) -> bool {
        self.opening_around(instant).is_some()
    }

    /// The opening that contains `instant`: when it began, and when it ends.
    pub fn opening_around(&self, instant: Instant) -> Option<(Instant, Instant)> {
        let second = whole_second_before(instant);
        if !(EARLIEST..LATEST).contains(&second) {
            return None;
        }
        let today = (second + self.zone.stretch_at(second).offset).div_euclid(DAY);
        // The clocks may have gone back over midnight, so that a window of tomorrow's date is open already.
        (today - 2..=today + 1)
            .filter(|day| self.days.contains(*day))
            .map(|day| self.opening(day))
            .find_map(|(open, close)| if open <= second && second < close { instants(open, close) } else { None })
    }

    /// The first opening that begins strictly after `after`: when it begins, and when it ends.
    pub fn next_opening(&self, after: Instant) -> Option<(Instant, Instant)> {
        let second = whole_second_before(after).max(EARLIEST);
        if second >= LATEST {
            return None;
        }
        let mut day = (second + self.zone.stretch_at(second).offset).div_euclid(DAY) - 2;
        loop {
            day = self.days.at_or_after(day)?;
            let (open, close) = self.opening(day);
            if open > second && close > open {
                return instants(open, close);
            }
            day += 1;
        }
    }

    /// The time left until it closes, when it is open.
    pub fn room_from(&self, instant: Instant) -> Option<Duration> {
        self.opening_around(instant).map(|(_, close)| {
            let left = close.duration_since(instant);
            Duration::from_secs(u64::try_from(left.as_secs()).unwrap_or(0))
        })
    }

    /// The shortest that it is ever open in the 400 years after `from`, zero when there is a day on which it does not open.
    pub fn shortest_length(&self, from: Instant) -> Duration {
        let from = from.as_second().clamp(EARLIEST, LATEST - 2 * CYCLE);
        let end = from + CYCLE;
        let usual = self.usual();
        let offsets = self.zone.offsets_between(from, end);
        let bound = (usual - (offsets.highest - offsets.lowest)).max(0);
        let mut shortest = i64::MAX;
        let mut stretch = self.zone.stretch_at(from);
        while stretch.end < end && shortest > bound {
            stretch = self.zone.stretch_at(stretch.end);
            if stretch.change() > 0 {
                shortest = shortest.min(self.shortest_around(stretch.start + stretch.before, stretch.start + stretch.offset, from));
            }
        }
        if shortest > usual {
            shortest = self.shortest_by_day(from, end, usual);
        }
        Duration::from_secs(shortest.unsigned_abs())
    }

    /// Only going forward makes a window shorter: the openings that a left-out part of the clock, from one civil moment to
    /// another, takes something from.
    fn shortest_around(&self, begin: i64, end: i64, from: i64) -> i64 {
        let touched = |day: i64| {
            let open = day * DAY + i64::from(self.from.minute_of_day()) * 60;
            open < end && open + self.usual() > begin && self.days.contains(day)
        };
        let days = begin.div_euclid(DAY) - 1..=end.div_euclid(DAY);
        let lengths = days.filter(|day| touched(*day)).map(|day| self.opening(day)).filter(|(_, close)| *close > from);
        lengths.map(|(open, close)| close - open).min().unwrap_or(i64::MAX)
    }

    /// Opening by opening, until one of the usual length is met.
    fn shortest_by_day(&self, from: i64, end: i64, usual: i64) -> i64 {
        let mut shortest = i64::MAX;
        let mut day = from.div_euclid(DAY);
        while let Some(found) = self.days.at_or_after(day).filter(|found| found * DAY < end) {
            let (open, close) = self.opening(found);
            shortest = shortest.min(close - open);
            if shortest <= usual {
                break;
            }
            day = found + 1;
        }
        shortest
    }

    fn usual(&self) -> i64 {
        let minutes = i64::from(self.to.minute_of_day()) - i64::from(self.from.minute_of_day());
        if minutes > 0 { minutes * 60 } else { minutes * 60 + DAY }
    }

    /// Unix seconds at which the opening of a civil day begins and ends.
    fn opening(&self, day: i64) -> (i64, i64) {
        let open = day * DAY + i64::from(self.from.minute_of_day()) * 60;
        (reached(&self.zone, open), reached(&self.zone, open + self.usual()))
    }

    /// `Sunday 03:00 to 04:00 UTC`
    pub fn describe(&self) -> String {
        let next_day = if self.crosses_midnight() { " the next day" } else { "" };
        format!("{} from {} to {}{next_day} {}", describe::days(&self.rule), self.from, self.to, self.zone)
    }
}

fn instants(open: i64, close: i64) -> Option<(Instant, Instant)> {
    Some((Instant::from_second(open).ok()?, Instant::from_second(close).ok()?))
}

/// When the clock on the wall first reaches or passes a civil moment.
fn reached(zone: &Zone, moment: i64) -> i64 {
    // No offset is further than 26 hours from Greenwich, and no change moves a clock by more than about a day.
    let mut stretch = zone.stretch_at(moment - 3 * DAY);
    loop {
        let second = moment - stretch.offset;
        if second < stretch.end {
            return second.max(stretch.start);
        }
        stretch = zone.stretch_at(stretch.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Weekday, WeekdaySet};

    fn at(text: &str) -> Instant {
        text.parse().expect("an instant")
    }

    fn window(days: DayRule, from: &str, to: &str, zone: &str) -> Window {
        let time = |text: &str| text.parse().expect("a time of day");
        Window::new(days, time(from), time(to), Zone::named(zone).expect("a zone")).expect("a window")
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_opens() {
        let window = window(DayRule::Weekdays(WeekdaySet::from(Weekday::Sunday)), "22:00", "04:00", "UTC");
        assert!(!window.contains(at("2026-03-01T21:59:59Z")));
        assert!(window.contains(at("2026-03-01T22:00:00Z")));
        assert!(window.contains(at("2026-03-02T03:59:59.9Z")));
        assert!(!window.contains(at("2026-03-02T04:00:00Z")));
        assert!(!window.contains(at("2026-03-01T01:00:00Z")), "that would be Saturday's");
        assert_eq!(window.room_from(at("2026-03-02T03:00:00Z")), Some(Duration::from_hours(1)));
        assert_eq!(window.room_from(at("2026-03-02T03:59:59.5Z")), Some(Duration::ZERO));
        assert_eq!(window.describe(), "every Sunday from 22:00 to 04:00 the next day UTC");
    }

    #[test]
    fn the_hour_that_is_left_out_shortens_a_window() {
        let from = at("2026-01-01T00:00:00Z");
        let daily = |from: &str, to: &str| window(DayRule::Daily, from, to, "Europe/Oslo");
        assert_eq!(daily("01:00", "05:00").shortest_length(from), Duration::from_hours(3));
        assert_eq!(daily("02:00", "03:00").shortest_length(from), Duration::ZERO);
        assert_eq!(daily("01:00", "02:30").shortest_length(from), Duration::from_hours(1));
        assert_eq!(daily("12:00", "13:00").shortest_length(from), Duration::from_hours(1));
        let october = window(
            DayRule::Nth {
                nth: crate::schedule::Nth::Last,
                day: crate::schedule::NthDay::Weekday(Weekday::Sunday),
                of: crate::schedule::CalendarPeriod::Month,
            },
            "02:00",
            "03:00",
            "UTC",
        );
        assert_eq!(october.shortest_length(from), Duration::from_hours(1));
    }

    #[test]
    fn a_window_in_the_hour_that_is_left_out_opens_the_day_after() {
        let window = window(DayRule::Daily, "02:00", "03:00", "Europe/Oslo");
        let (open, close) = window.next_opening(at("2026-03-28T02:00:00Z")).expect("it opens again");
        assert_eq!((open, close), (at("2026-03-30T00:00:00Z"), at("2026-03-30T01:00:00Z")));
    }

    #[test]
    fn a_window_in_the_hour_that_comes_twice_opens_once() {
        let window = window(DayRule::Daily, "02:00", "02:30", "Europe/Oslo");
        let (open, close) = window.next_opening(at("2026-10-24T12:00:00Z")).expect("it opens");
        assert_eq!((open, close), (at("2026-10-25T00:00:00Z"), at("2026-10-25T00:30:00Z")));
        assert!(!window.contains(at("2026-10-25T01:00:00Z")));
    }
}
