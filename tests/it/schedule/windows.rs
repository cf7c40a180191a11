//! Windows, against reading the clock minute by minute.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;
use seawall::schedule::{DayRule, TimeOfDay, Window, Zone};

use super::at;
use super::naive::beginning;
use super::rules::{self, ZONES};

/// The first minute in which the clock shows this moment or a later one.
fn reached(zone: &TimeZone, date: Date, time: TimeOfDay) -> Timestamp {
    let moment = date.at(time.hour() as i8, time.minute() as i8, 0, 0);
    let mut instant = TimeZone::UTC.to_timestamp(moment).expect("an instant") - SignedDuration::from_hours(16);
    let at_day = |instant: Timestamp| zone.to_datetime(instant);
    while at_day(instant) >= moment {
        instant -= SignedDuration::from_hours(12);
    }
    while at_day(instant) < moment {
        instant += SignedDuration::from_mins(1);
    }
    instant
}

fn openings(rule: &DayRule, from: TimeOfDay, to: TimeOfDay, zone: &TimeZone, begin: Timestamp, days: i64) -> Vec<(Timestamp, Timestamp)> {
    let first = zone.to_datetime(begin).date() - 2.days();
    let closing = |date: Date| if to <= from { date + 1.day() } else { date };
    let dates = first.series(1.day()).take(usize::try_from(days + 4).expect("a few days"));
    let dates = dates.filter(|date| rules::day_rule_matches(rule, *date));
    dates.map(|date| (reached(zone, date, from), reached(zone, closing(date), to))).filter(|(open, close)| open < close).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_window_is_open_when_the_clock_says_so(
        (zone, begin) in prop::sample::select(ZONES.to_vec()).prop_flat_map(|zone| (Just(zone), beginning(zone))),
        rule in rules::weekly(), from in rules::time(), to in rules::time(),
    ) {
        const DAYS: i64 = 5;
        let window = Window::new(rule, from, to, Zone::named(zone).expect("a zone")).expect("a window");
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("a zone");
        let expected = openings(&rule, from, to, &zone, begin, DAYS);
        let end = begin + SignedDuration::from_hours(24 * DAYS);
        let mut instant = begin;
        while instant < end {
            let inside = expected.iter().copied().find(|(open, close)| *open <= instant && instant < *close);
            prop_assert_eq!(window.opening_around(instant), inside, "{} at {}", window.describe(), instant);
            prop_assert_eq!(window.contains(instant), inside.is_some());
            let next = expected.iter().copied().find(|(open, _)| *open > instant);
            if let Some(next) = next {
                prop_assert_eq!(window.next_opening(instant), Some(next), "{} after {}", window.describe(), instant);
            }
            instant += SignedDuration::from_secs(977);
        }
    }

    #[test]
    fn no_opening_is_shorter_than_said(
        rule in prop_oneof![rules::weekly(), rules::day_rule()], from in rules::time(), to in rules::time(),
        zone in prop::sample::select(vec!["UTC", "Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "America/Santiago"]),
    ) {
        let Ok(window) = Window::new(rule, from, to, Zone::named(zone).expect("a zone")) else { return Ok(()) };
        let begin = at("2027-01-01T00:00:00Z");
        let shortest = window.shortest_length(begin);
        let mut instant = begin;
        for _ in 0..500 {
            let Some((open, close)) = window.next_opening(instant) else { break };
            prop_assert!(close.as_second() - open.as_second() >= shortest.as_secs() as i64, "{} {}", window.describe(), open);
            instant = open;
        }
        prop_assert!(shortest <= window.usual_length() + seawall::units::Duration::from_hours(1));
    }
}
