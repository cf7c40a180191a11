//! Firings found by looking at every minute of every day.

use std::collections::BTreeSet;

use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

use super::rules::{self, Rule, ZONES};

/// The firings of a rule from `from` to `to`.
pub(super) fn firings(rule: &Rule, zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let every_hour = (0..24).all(|hour| (0..60).any(|minute| rule.matches_time(hour, minute)));
    let mut found = BTreeSet::new();
    let mut date = from.to_zoned(zone.clone()).date() - 2.days();
    let last = to.to_zoned(zone.clone()).date() + 2.days();
    while date <= last {
        if rule.matches_day(date) {
            for (hour, minute) in (0..24).flat_map(|hour| (0..60).map(move |minute| (hour, minute))) {
                if !rule.matches_time(hour, minute) {
                    continue;
                }
                let local = date.at(hour, minute, 0, 0);
                match zone.to_ambiguous_timestamp(local).offset() {
                    AmbiguousOffset::Unambiguous { offset } => found.extend(offset.to_timestamp(local).ok()),
                    AmbiguousOffset::Gap { before, .. } => found.extend(before.to_timestamp(local).ok()),
                    AmbiguousOffset::Fold { before, after } => {
                        found.extend(before.to_timestamp(local).ok());
                        if every_hour {
                            found.extend(after.to_timestamp(local).ok());
                        }
                    }
                }
            }
        }
        date = date.tomorrow().expect("the test stays inside the calendar");
    }
    found.range(from..to).copied().collect()
}

/// Some instant between 1990 and 2190, often shortly before the clocks are changed.
pub(super) fn beginning(zone: &'static str) -> impl Strategy<Value = Timestamp> {
    (631_152_000i64..6_900_000_000, any::<bool>(), 0i64..200_000).prop_map(move |(second, at_change, before)| {
        let zone = TimeZone::get(zone).or_else(|_| jiff::tz::TimeZoneDatabase::bundled().get(zone)).expect("a zone");
        let instant = Timestamp::from_second(second).expect("an instant");
        let change = zone.following(instant).next().map(|change| change.timestamp());
        let near = change.filter(|_| at_change).map_or(instant, |change| change - SignedDuration::from_secs(before));
        Timestamp::from_second(near.as_second()).expect("an instant")
    })
}

fn case() -> impl Strategy<Value = (Rule, &'static str, Timestamp, i64, Vec<u32>)> {
    prop::sample::select(ZONES.to_vec()).prop_flat_map(|zone| {
        let days = prop_oneof![6 => 1..5i64, 1 => 20..420i64];
        (rules::rule(), Just(zone), beginning(zone), days, prop::collection::vec(any::<u32>(), 6))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_200))]

    #[test]
    fn firings_are_those_that_looking_at_every_minute_finds((rule, name, from, days, probes) in case()) {
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(name).expect("a zone");
        let Some(schedule) = rule.schedule(name) else { return Ok(()) };
        let to = from + SignedDuration::from_hours(24 * days);
        let expected = firings(&rule, &zone, from, to);
        let found: Vec<_> = schedule.firings(from, to).collect();
        prop_assert_eq!(&found, &expected, "{:?} in {}", rule.cron_text(), name);
        // Backwards, too.
        let back: Vec<_> = std::iter::successors(schedule.previous_before(to), |last| schedule.previous_before(*last))
            .take_while(|firing| *firing >= from)
            .collect();
        prop_assert!(back.iter().rev().eq(expected.iter()), "backwards {:?} in {}", rule.cron_text(), name);
        for probe in probes {
            let span = to.as_millisecond() - from.as_millisecond();
            let instant = Timestamp::from_millisecond(from.as_millisecond() + i64::from(probe) * 7_919 % span).expect("an instant");
            let after = expected.iter().copied().find(|firing| *firing > instant);
            let before = expected.iter().copied().rev().find(|firing| *firing < instant);
            prop_assert_eq!(schedule.next_after(instant).filter(|firing| *firing < to), after);
            prop_assert_eq!(schedule.previous_before(instant).filter(|firing| *firing >= from), before);
        }
    }
}
