//! What `seawall emit systemd` writes for a schedule fires whenever the schedule does, as `systemd-analyze calendar` reads it; also on the
//! days on which the clocks are changed.

use std::collections::BTreeSet;
use std::process::Command;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use seawall::emit::calendar::{Claim, calendar};
use seawall::schedule::{Schedule, Zone};
use seawall::units::Duration;

use super::rules;
use super::systemd::is_plain;

const ITERATIONS: usize = 40;

/// Zones whose rules have long been the same in every version of the database.
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Oslo",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Auckland",
];

/// The firings of each line after `base`, all lines asked about at once.
fn firings(lines: &[String], base: Timestamp) -> Vec<Vec<Timestamp>> {
    if lines.is_empty() {
        return Vec::new();
    }
    let base = TimeZone::UTC.to_datetime(base).strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let output = Command::new("systemd-analyze")
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .args(["calendar", &format!("--iterations={ITERATIONS}"), &format!("--base-time={base}")])
        .args(lines)
        .output()
        .expect("systemd-analyze (package systemd) is installed");
    assert!(output.status.success(), "{lines:?}: {}", String::from_utf8_lossy(&output.stderr));
    let mut found: Vec<Vec<Timestamp>> = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((head, rest)) = line.trim().split_once(": ") else { continue };
        if head == "Normalized form" {
            found.push(Vec::new());
        }
        if head != "Next elapse" && !head.starts_with("Iter") {
            continue;
        }
        let Some((_, time)) = rest.trim().strip_suffix(" UTC").and_then(|time| time.split_once(' ')) else { continue };
        let at = TimeZone::UTC.to_timestamp(time.parse::<DateTime>().expect("a time")).expect("an instant");
        found.last_mut().expect("a form comes first").push(at);
    }
    assert_eq!(found.len(), lines.len(), "{lines:?}");
    found
}

/// Some instant from 2026 to 2060, often shortly before the clocks are changed.
fn beginning() -> impl Strategy<Value = (&'static str, Timestamp)> {
    (prop::sample::select(ZONES.to_vec()), 1_767_312_000i64..2_840_000_000, any::<bool>(), 0i64..200_000).prop_map(
        |(name, second, at_change, before)| {
            let zone = TimeZoneDatabase::bundled().get(name).expect("a zone");
            let instant = Timestamp::from_second(second).expect("an instant");
            let change = zone.following(instant).next().map(|change| change.timestamp());
            let near = change.filter(|_| at_change).map_or(instant, |change| change - SignedDuration::from_secs(before));
            (name, Timestamp::from_second(near.as_second()).expect("an instant"))
        },
    )
}

fn check(schedule: &Schedule, zone: &TimeZone, base: Timestamp) -> Result<(), TestCaseError> {
    let written = calendar(schedule);
    let (main, at_changes) = (firings(&written.lines, base), firings(&written.at_clock_changes, base));
    let ends = main.iter().chain(&at_changes).filter(|firings| firings.len() == ITERATIONS).filter_map(|firings| firings.last().copied());
    let Some(end) = ends.min() else { return Ok(()) };
    let ours: BTreeSet<Timestamp> = schedule.firings(base + SignedDuration::from_secs(1), end + SignedDuration::from_secs(1)).collect();
    let until_end = |lists: &[Vec<Timestamp>]| lists.iter().flatten().copied().filter(|at| *at <= end).collect::<BTreeSet<Timestamp>>();
    let (main, at_changes) = (until_end(&main), until_end(&at_changes));
    if written.claim == Claim::EveryMinute {
        let floor = |at: &Timestamp| Timestamp::from_second(at.as_second().div_euclid(60) * 60).expect("an instant");
        prop_assert!(ours.iter().all(|at| main.contains(&floor(at)) || floor(at) <= base));
        return Ok(());
    }
    let missed: Vec<_> = ours.iter().filter(|at| !main.contains(at) && !at_changes.contains(at)).collect();
    prop_assert!(missed.is_empty(), "{} is missed at {missed:?} by {written:?}, from {base}", schedule.describe());
    if written.claim == Claim::Exact {
        let more: Vec<_> = main.iter().filter(|at| is_plain(zone, **at) && !ours.contains(at)).collect();
        prop_assert!(more.is_empty(), "{} is no match at {more:?} for {written:?}, from {base}", schedule.describe());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn a_timer_fires_whenever_its_schedule_does(rule in rules::rule(), (name, base) in beginning()) {
        let Some(schedule) = rule.schedule(name) else { return Ok(()) };
        check(&schedule, &TimeZoneDatabase::bundled().get(name).expect("a zone"), base)?;
    }

    #[test]
    fn so_does_one_for_an_interval(
        seconds in prop_oneof![4 => (1u64..1_440).prop_map(|minutes| minutes * 60), 1 => 60u64..86_400, 2 => prop::sample::select(vec![60u64, 90, 300, 900, 3_600, 5_400, 21_600, 25_200, 86_400])],
        base in 1_767_312_000i64..2_840_000_000,
    ) {
        let schedule = Schedule::every(Duration::from_secs(seconds), Zone::utc()).expect("an interval");
        check(&schedule, &TimeZone::UTC, Timestamp::from_second(base).expect("an instant"))?;
    }
}

/// The rules that policies are made of are said exactly.
#[test]
fn what_people_write_is_said_exactly() {
    let cron = |expression: &str| Schedule::cron(expression, Zone::named("Europe/Oslo").expect("a zone")).expect("an expression");
    let base: Timestamp = "2026-01-02T00:00:00Z".parse().expect("an instant");
    let zone = TimeZoneDatabase::bundled().get("Europe/Oslo").expect("a zone");
    for expression in [
        "0 2 * * *",
        "30 2 * * *",
        "*/15 * * * *",
        "0 3 * * 0",
        "0 4 * * 0L",
        "0 4 * * mon#1",
        "0 4 L * *",
        "0 5 1 1 *",
        "0 4 1 * mon",
        "0 9 29 2 *",
    ] {
        let schedule = cron(expression);
        assert_eq!(calendar(&schedule).claim, Claim::Exact, "{expression}");
        check(&schedule, &zone, base).unwrap_or_else(|error| panic!("{expression}: {error}"));
    }
}
