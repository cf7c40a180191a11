//! Gaps, against going through all firings one by one.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use seawall::schedule::{GapCause, Schedule};

use super::naive::beginning;
use super::rules::{self, Rule, ZONES};
use super::{at, cron};

/// The longest and the shortest gap in so many days, by enumeration.
fn enumerated(schedule: &Schedule, from: Timestamp, days: i64) -> (u64, u64) {
    let end = from + SignedDuration::from_hours(24 * days);
    let first = schedule.previous_before(from + SignedDuration::from_nanos(1)).expect("it fired before");
    let (mut longest, mut shortest, mut last) = (0, u64::MAX, first);
    while last < end {
        let next = schedule.next_after(last).expect("it fires again");
        let gap = (next.as_second() - last.as_second()) as u64;
        (longest, shortest, last) = (longest.max(gap), shortest.min(gap), next);
    }
    (longest, shortest)
}

const CYCLE_DAYS: i64 = 146_097;

fn with_zone(rule: impl Strategy<Value = Rule>) -> impl Strategy<Value = (Rule, &'static str, Timestamp)> {
    (rule, prop::sample::select(ZONES.to_vec())).prop_flat_map(|(rule, zone)| (Just(rule), Just(zone), beginning(zone)))
}

fn check(rule: &Rule, zone: &str, from: Timestamp, days: i64) -> Result<(), TestCaseError> {
    let Some(schedule) = rule.schedule(zone) else { return Ok(()) };
    let (longest, shortest) = (schedule.longest_gap(from), schedule.shortest_gap(from));
    let expected = enumerated(&schedule, from, days);
    prop_assert_eq!(
        (longest.length.as_secs(), shortest.length.as_secs()),
        expected,
        "{} from {}\n{}\n{}",
        schedule.describe(),
        from,
        longest,
        shortest
    );
    for gap in [longest, shortest] {
        prop_assert_eq!(schedule.next_after(gap.from), Some(gap.to));
        prop_assert!(schedule.fires_at(gap.from) && gap.to > from);
        prop_assert_eq!((gap.to.as_second() - gap.from.as_second()) as u64, gap.length.as_secs());
        prop_assert_eq!(gap.clocks.is_none(), gap.usual == gap.length, "{}", gap);
    }
    Ok(())
}

/// Rules that name few days, so that 400 years can be gone through.
fn rare() -> impl Strategy<Value = Rule> {
    prop_oneof![rules::rare_cron_rule(), rules::calendar_rule()].prop_filter("few firings", |rule| {
        let day = jiff::civil::date(2027, 1, 1);
        day.series(jiff::ToSpan::days(1_i64)).take(365).filter(|date| rule.matches_day(*date)).count() < 60
    })
}

/// Rules for days of the week: whatever can happen happens within a few years, if the zone has settled.
fn weekly() -> impl Strategy<Value = Rule> {
    let times = prop_oneof![prop::collection::vec(rules::time(), 1..4), prop::collection::vec(rules::time(), 20..60)];
    (rules::weekly(), times).prop_map(|(days, times)| Rule::Calendar { days, times })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn gaps_of_rare_rules_are_those_of_400_years((rule, zone, from) in with_zone(rare())) {
        check(&rule, zone, from, CYCLE_DAYS)?;
    }

    #[test]
    fn gaps_of_weekly_rules_are_those_of_twelve_years(
        rule in weekly(),
        zone in prop::sample::select(vec!["UTC", "Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
        from in beginning("Europe/Oslo").prop_map(|from| from.max(at("2027-01-01T00:00:00Z"))),
    ) {
        check(&rule, zone, from, 12 * 366)?;
    }

    #[test]
    fn no_gap_is_longer_or_shorter_than_said((rule, zone, from) in with_zone(rules::rule())) {
        if let Some(schedule) = rule.schedule(zone) {
            let (longest, shortest) = enumerated(&schedule, from, 500);
            prop_assert!(schedule.longest_gap(from).length.as_secs() >= longest);
            prop_assert!(schedule.shortest_gap(from).length.as_secs() <= shortest);
        }
    }
}

#[test]
fn all_rules_of_many_times_a_day_in_twelve_years() {
    for expression in ["* * * * *", "*/5 * * * *", "*/7 * * * *", "*/5 1-5 * * *", "50,10 2,3 * * *", "*/40 0-22 * * 0"] {
        for zone in ["Europe/Oslo", "Australia/Lord_Howe"] {
            let (schedule, from) = (cron(expression, zone), at("2027-01-01T00:00:00Z"));
            let days = if expression.starts_with("* ") { 400 } else { 12 * 366 };
            let found = (schedule.longest_gap(from).length.as_secs(), schedule.shortest_gap(from).length.as_secs());
            assert_eq!(found, enumerated(&schedule, from, days), "{expression} {zone}");
        }
    }
}

#[test]
fn the_reasons_are_given() {
    let from = at("2027-01-01T00:00:00Z");
    let said = |expression: &str, zone: &str| cron(expression, zone).longest_gap(from).to_string();
    assert_eq!(said("0 2 * * *", "UTC"), "24h");
    assert_eq!(said("0 2 * * *", "Europe/Oslo"), "24h; 1h more when the clocks go back on 2027-10-31");
    assert_eq!(said("0 2 1 * *", "UTC"), "31d (months differ in length)");
    assert_eq!(said("0 2 1 * *", "Europe/Oslo"), "31d (months differ in length); 1h more when the clocks go back on 2027-10-31");
    assert_eq!(said("0 2 * * 1-5", "UTC"), "3d (the firings lie unevenly)");
    assert_eq!(said("0 0 29 2 *", "UTC"), "2921d (leap years)");
    assert_eq!(said("0 0 1 1 *", "UTC"), "366d (leap years)");
    assert_eq!(said("*/15 * * * *", "Europe/Oslo"), "15m");
    assert_eq!(cron("0 2 * * *", "Europe/Oslo").shortest_gap(from).to_string(), "24h; 1h less when the clocks go forward on 2027-03-28");
    assert_eq!(cron("30 2 * * *", "Europe/Oslo").shortest_gap(from).to_string(), "24h; 1h less when the clocks go forward on 2027-03-28");
    assert_eq!(cron("0 0 29 2 *", "UTC").longest_gap(from).cause, GapCause::LeapYear);
}
