//! The same firings as `systemd-analyze calendar`.
//!
//! Left out are firings within an hour of a change of the clocks, where the two differ on purpose (docs/schedules.md).

use std::process::Command;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use seawall::schedule::{CalendarPeriod, DayRule, MonthDay, Nth, NthDay, Schedule, Weekday};

use super::rules::{self, Rule};

const ITERATIONS: usize = 12;

fn short(day: Weekday) -> &'static str {
    &day.name()[..3]
}

/// systemd's words for the days.
fn days(rule: &DayRule) -> Option<String> {
    let first = |of| match of {
        CalendarPeriod::Month => "*",
        CalendarPeriod::Quarter => "01,04,07,10",
        CalendarPeriod::HalfYear => "01,07",
        CalendarPeriod::Year => "01",
    };
    let last = |of| match of {
        CalendarPeriod::Month => "*",
        CalendarPeriod::Quarter => "03,06,09,12",
        CalendarPeriod::HalfYear => "06,12",
        CalendarPeriod::Year => "12",
    };
    Some(match *rule {
        DayRule::Daily => "*-*-*".to_owned(),
        DayRule::Weekdays(set) => format!("{} *-*-*", set.iter().map(short).collect::<Vec<_>>().join(",")),
        DayRule::Nth { nth: Nth::Last, day: NthDay::Day, of } | DayRule::MonthDay { day: MonthDay::Last, of } => {
            format!("*-{}~01", last(of))
        }
        DayRule::Nth { nth: Nth::Last, day: NthDay::Weekday(day), of } => format!("{} *-{}~07/1", short(day), last(of)),
        DayRule::Nth { nth, day: NthDay::Day, of } => format!("*-{}-{:02}", first(of), nth as u8 + 1),
        DayRule::Nth { nth, day: NthDay::Weekday(day), of } => {
            format!("{} *-{}-{:02}..{:02}", short(day), first(of), nth as u8 * 7 + 1, nth as u8 * 7 + 7)
        }
        DayRule::MonthDay { day: MonthDay::Number(day), of } => format!("*-{}-{day:02}", first(of)),
        DayRule::Date { month, day } => format!("*-{month:02}-{day:02}"),
    })
}

fn iterations(expression: &str, base: Timestamp) -> Vec<Timestamp> {
    let base = TimeZone::UTC.to_datetime(base).strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let output = Command::new("systemd-analyze")
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .args(["calendar", &format!("--iterations={ITERATIONS}"), &format!("--base-time={base}"), expression])
        .output()
        .expect("systemd-analyze (package systemd) is installed");
    assert!(output.status.success(), "{expression}: {}", String::from_utf8_lossy(&output.stderr));
    let elapse = |line: &str| {
        let (head, rest) = line.trim().split_once(": ")?;
        let time = (head == "Next elapse" || head.starts_with("Iter")).then(|| rest.trim().strip_suffix(" UTC"))??;
        let (_, time) = time.split_once(' ')?;
        Some(TimeZone::UTC.to_timestamp(time.parse::<DateTime>().ok()?).expect("an instant"))
    };
    String::from_utf8_lossy(&output.stdout).lines().filter_map(elapse).collect()
}

/// Far enough from any change of the clocks for everyone to agree on the time.
pub(super) fn is_plain(zone: &TimeZone, instant: Timestamp) -> bool {
    let near = SignedDuration::from_mins(61);
    zone.to_offset(instant - near) == zone.to_offset(instant + near)
}

pub(super) fn compare(schedule: &Schedule, zone: &TimeZone, base: Timestamp, theirs: &[Timestamp]) -> Result<(), TestCaseError> {
    let Some(last) = theirs.last() else { return Ok(()) };
    let ours = schedule.firings(base + SignedDuration::from_secs(1), *last + SignedDuration::from_secs(1));
    let ours: Vec<_> = ours.filter(|firing| is_plain(zone, *firing)).collect();
    let theirs: Vec<_> = theirs.iter().copied().filter(|firing| is_plain(zone, *firing)).collect();
    prop_assert_eq!(ours, theirs, "{} from {}", schedule.describe(), base);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn firings_agree_with_systemd(
        rule in rules::day_rule(),
        times in prop::collection::vec(rules::time(), 1..=1),
        zone in prop::sample::select(vec!["UTC", "Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Auckland"]),
        base in 1_262_304_000i64..2_100_000_000,
    ) {
        let Some(schedule) = (Rule::Calendar { days: rule, times: times.clone() }).schedule(zone) else { return Ok(()) };
        let base = Timestamp::from_second(base).expect("an instant");
        let expression = format!("{} {}:00 {zone}", days(&rule).expect("systemd has words for it"), times[0]);
        let theirs = iterations(&expression, base);
        prop_assert!(!theirs.is_empty(), "{expression} says nothing");
        compare(&schedule, &jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("a zone"), base, &theirs)?;
    }
}
