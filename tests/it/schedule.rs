//! Schedules, judged by looking at every minute, by `systemd-analyze calendar`, and by croniter.

mod croniter;
mod crontabs;
mod gaps;
mod naive;
mod rules;
mod systemd;
mod timers;
mod windows;

use jiff::Timestamp;
use proptest::prelude::*;
use seawall::schedule::{CronFault, Schedule, Zone};

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn cron(expression: &str, zone: &str) -> Schedule {
    Schedule::cron(expression, Zone::named(zone).expect("a zone")).expect("a cron expression")
}

fn next(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
    schedule.firings(at(from), Timestamp::MAX).take(count).map(|firing| firing.to_string()).collect()
}

#[test]
fn a_time_that_is_left_out_fires_when_the_old_clock_would_have_shown_it() {
    let found = next(&cron("30 2 * * *", "Europe/Oslo"), "2026-03-28T12:00:00Z", 2);
    assert_eq!(found, ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]);
}

#[test]
fn a_time_that_comes_twice_fires_at_the_first() {
    let found = next(&cron("30 2 * * *", "Europe/Oslo"), "2026-10-24T12:00:00Z", 2);
    assert_eq!(found, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
}

#[test]
fn a_rule_for_every_hour_follows_real_time() {
    let found = next(&cron("*/30 * * * *", "Europe/Oslo"), "2026-10-25T00:00:00Z", 5);
    assert_eq!(
        found,
        ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"]
    );
    let found = next(&cron("*/30 * * * *", "Europe/Oslo"), "2026-03-29T00:30:00Z", 3);
    assert_eq!(found, ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]);
}

#[test]
fn two_times_that_fall_together_fire_once() {
    let found = next(&cron("30 2,3 * * *", "Europe/Oslo"), "2026-03-28T12:00:00Z", 3);
    assert_eq!(found, ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-30T01:30:00Z"]);
}

#[test]
fn a_day_that_a_country_left_out_is_made_up_for_on_the_next() {
    let found = next(&cron("0 3 * * *", "Pacific/Apia"), "2011-12-29T00:00:00Z", 3);
    assert_eq!(found, ["2011-12-29T13:00:00Z", "2011-12-30T13:00:00Z", "2011-12-31T13:00:00Z"]);
}

#[test]
fn the_calendar_has_two_ends() {
    let schedule = cron("0 0 29 2 mon", "UTC");
    assert_eq!(schedule.next_after(Timestamp::MAX), None);
    assert_eq!(schedule.previous_before(Timestamp::MIN), None);
    assert!(schedule.next_after(Timestamp::MIN).is_some());
    assert!(schedule.previous_before(Timestamp::MAX).is_some());
    for zone in ["Europe/Oslo", "Pacific/Kiritimati"] {
        for expression in ["0 0 * * *", "* * * * *", "0 0 29 2 *"] {
            let schedule = cron(expression, zone);
            for instant in [Timestamp::MIN, Timestamp::MAX] {
                schedule.next_after(instant);
                schedule.previous_before(instant);
                assert!(!schedule.longest_gap(instant).length.is_zero());
                assert!(!schedule.shortest_gap(instant).length.is_zero());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_text_is_an_expression_or_an_error_in_its_place(text in prop_oneof![
        ".{0,40}",
        "[0-9*,/#Lla-z@? -]{0,30}",
        "([0-9*]{1,3}[-/,#L]?[0-9a-z]{0,3} ){4}[0-9*]{1,2}[-/,#L]?[0-9a-z]{0,3}",
    ]) {
        match Schedule::cron(&text, Zone::utc()) {
            Ok(schedule) => {
                let from = at("2026-01-01T00:00:00Z");
                prop_assert!(schedule.next_after(from).is_some());
                prop_assert!(!schedule.describe().is_empty());
                prop_assert!(schedule.longest_gap(from).length >= schedule.shortest_gap(from).length);
            }
            Err(error) => {
                prop_assert!(text.get(error.at.clone()).is_some(), "{error:?}");
                prop_assert!(!error.hint.is_empty());
                prop_assert!(error.fault != CronFault::Never || text.split_whitespace().count() == 5);
            }
        }
    }
}

#[test]
fn a_long_expression_is_refused_at_once() {
    assert!(Schedule::cron(&"*/1,".repeat(1_000_000), Zone::utc()).is_err());
    assert!(Schedule::cron(&" ".repeat(1_000_000), Zone::utc()).is_err());
}
