//! A schedule in the words of systemd (`OnCalendar=`).
//!
//! systemd has no words for some schedules, and does otherwise than Seawall where the clocks are changed: it leaves out a local time
//! that does not exist, and takes one of two that look alike. So the times that are touched by a change of the clocks get lines of their
//! own, in UTC; and where there are no words at all, the lines say *more often*, never less.

use std::collections::{BTreeMap, BTreeSet};

use super::component::{self, Clocks, alike, numbers};
use super::days::{self, Days};
use crate::schedule::{DayConditions, Pattern, Schedule, TimeOfDay, Zone};
use crate::units::{Duration, Instant};

/// A schedule in systemd's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// One for each `OnCalendar=`; together they fire whenever the schedule does.
    pub lines: Vec<String>,
    /// Further ones, for the times at which the clocks are changed.
    pub at_clock_changes: Vec<String>,
    pub claim: Claim,
}

/// How the lines and the schedule compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// They fire at the same moments, but that the lines may fire once more where the clocks are changed.
    Exact,
    /// The lines fire at all moments of the schedule, and at others.
    MoreOften,
    /// The lines fire every minute; the schedule in between.
    EveryMinute,
}

/// The changes of the clocks before this do not matter to any timer: 2026-01-01.
const FROM: Instant = Instant::constant(1_767_225_600, 0);
/// More lines than this nobody reads.
const MOST_LINES: usize = 16;

/// A schedule in systemd's words.
pub fn calendar(schedule: &Schedule) -> Calendar {
    match schedule.pattern(FROM) {
        Pattern::Interval(every) => interval(every),
        Pattern::Daily(times) => civil(&days::days(&DayConditions::ANY), &times, &Zone::utc()),
        Pattern::Civil { days: conditions, times } => {
            let written = civil(&days::days(&conditions), &times, schedule.zone());
            Calendar { at_clock_changes: at_clock_changes(schedule), ..written }
        }
    }
}

fn civil(days: &Days, times: &[TimeOfDay], zone: &Zone) -> Calendar {
    let clocks = if *zone == Zone::utc() { Clocks::Utc } else { Clocks::Local };
    let lines = crossed(&days.lines, &component::times(&seconds(times), clocks), zone);
    if lines.len() <= MOST_LINES {
        let claim = if days.exact { Claim::Exact } else { Claim::MoreOften };
        return Calendar { lines, at_clock_changes: Vec::new(), claim };
    }
    // Every hour that is named, at every minute that is named: one line for each kind of day.
    let number = |of: fn(&TimeOfDay) -> u8, high| numbers(&times.iter().map(|time| u32::from(of(time))).collect(), 0, high, clocks);
    let time = format!("{}:{}:00", number(|time| time.hour(), 23), number(|time| time.minute(), 59));
    Calendar { lines: crossed(&days.lines, &[time], zone), at_clock_changes: Vec::new(), claim: Claim::MoreOften }
}

fn crossed(days: &[String], times: &[String], zone: &Zone) -> Vec<String> {
    days.iter().flat_map(|day| times.iter().map(move |time| format!("{day} {time} {zone}"))).collect()
}

fn seconds(times: &[TimeOfDay]) -> BTreeSet<u32> {
    times.iter().map(|time| u32::from(time.hour()) * 3_600 + u32::from(time.minute()) * 60).collect()
}

fn in_utc(seconds: &BTreeSet<u32>, claim: Claim) -> Calendar {
    let lines = component::times(seconds, Clocks::Utc).iter().map(|time| format!("*-*-* {time} UTC")).collect();
    Calendar { lines, at_clock_changes: Vec::new(), claim }
}

const DAY: u64 = 86_400;

/// An interval that divides the day fires at the same times of each; others are part of one that does.
fn interval(every: Duration) -> Calendar {
    let times = |step: u64| (0..DAY).step_by(step as usize).map(|second| second as u32).collect::<BTreeSet<u32>>();
    let step = every.as_secs().max(1);
    let common = greatest_common_divisor(step, DAY);
    let minute = || in_utc(&times(60), Claim::EveryMinute);
    let written = match common {
        step_of_day if step_of_day == step => in_utc(&times(step), Claim::Exact),
        part if part % 60 == 0 => in_utc(&times(part), Claim::MoreOften),
        _ => return minute(),
    };
    if written.lines.len() > MOST_LINES { minute() } else { written }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// A day of the year by its month and weekday (Monday is 0), and the days of the month on which it was found.
type When = (u32, u8, u32, u32);

/// The firings that systemd leaves out or takes for others, in UTC.
fn at_clock_changes(schedule: &Schedule) -> Vec<String> {
    // By weekday, second of the day and month: the first and the last day of the month.
    let mut found: BTreeMap<(u8, u32, u32), (u32, u32)> = BTreeMap::new();
    for firing in schedule.firings_at_clock_changes(FROM) {
        let at = jiff::tz::Offset::UTC.to_datetime(firing);
        let (weekday, month, day) = (at.weekday().to_monday_zero_offset() as u8, at.month() as u32, at.day() as u32);
        let second = firing.as_second().rem_euclid(DAY as i64) as u32;
        let days = found.entry((weekday, second, month)).or_insert((day, day));
        *days = (days.0.min(day), days.1.max(day));
    }
    let mut by_day: BTreeMap<When, BTreeSet<u32>> = BTreeMap::new();
    for ((weekday, second, month), (first, last)) in &found {
        by_day.entry((*month, *weekday, *first, *last)).or_default().insert(*second);
    }
    let lines: Vec<String> = alike(by_day).into_iter().flat_map(|(seconds, days)| lines_of(&seconds, &days)).collect();
    if lines.len() <= MOST_LINES {
        return lines;
    }
    // Where the clocks follow the moon there is no short way to say when.
    let seconds: BTreeSet<u32> = found.keys().map(|(_, second, _)| *second).collect();
    let weekdays = found.keys().fold(0, |set, (weekday, ..)| set | 1 << weekday);
    component::times(&seconds, Clocks::Utc).iter().map(|time| format!("{}*-*-* {time} UTC", days::prefix(weekdays))).collect()
}

fn lines_of(seconds: &BTreeSet<u32>, days: &BTreeSet<When>) -> Vec<String> {
    let mut months: BTreeMap<(u8, u32, u32), BTreeSet<u32>> = BTreeMap::new();
    for (month, weekday, first, last) in days {
        months.entry((*weekday, *first, *last)).or_default().insert(*month);
    }
    let line = |((weekday, first, last), months): (&(u8, u32, u32), &BTreeSet<u32>)| {
        let range: Vec<u32> = (*first..=*last).collect();
        let day = component::runs(&range, |day| format!("{day:02}"));
        format!("{}*-{}-{day}", days::prefix(1 << weekday), numbers(months, 1, 12, Clocks::Local))
    };
    let days: Vec<String> = months.iter().map(line).collect();
    crossed(&days, &component::times(seconds, Clocks::Utc), &Zone::utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::named(name).expect("a zone")
    }

    fn cron(expression: &str, in_zone: &str) -> Calendar {
        calendar(&Schedule::cron(expression, zone(in_zone)).expect("an expression"))
    }

    fn every(text: &str) -> Calendar {
        calendar(&Schedule::every(text.parse().expect("a duration"), Zone::utc()).expect("an interval"))
    }

    #[test]
    fn a_time_that_clocks_leave_out_or_double_has_its_own_lines() {
        let daily = cron("30 2 * * *", "Europe/Oslo");
        assert_eq!(daily.lines, ["*-*-* 02:30:00 Europe/Oslo"]);
        assert_eq!(daily.at_clock_changes, ["Sun *-10-25..31 00:30:00 UTC", "Sun *-03-25..31 01:30:00 UTC"]);
        assert_eq!(daily.claim, Claim::Exact);
        // Neither side of the change, and never on such a day.
        assert_eq!(cron("30 4 * * *", "Europe/Oslo").at_clock_changes, [""; 0]);
        assert_eq!(cron("30 2 * * mon", "Europe/Oslo").at_clock_changes, [""; 0]);
        assert_eq!(cron("30 2 * * *", "UTC").at_clock_changes, [""; 0]);
    }

    #[test]
    fn what_follows_real_time_is_said_in_utc() {
        let quarters = cron("*/15 * * * *", "Europe/Oslo");
        assert_eq!((quarters.lines, quarters.at_clock_changes), (vec!["*-*-* *:00/15:00 UTC".to_owned()], vec![]));
        assert_eq!(cron("0 * * * *", "Asia/Kolkata").lines, ["*-*-* *:30:00 UTC"]);
        // Lord Howe moves its clocks by half an hour.
        assert_eq!(cron("0 * * * *", "Australia/Lord_Howe").lines, ["*-*-* *:00:00 Australia/Lord_Howe"]);
    }

    #[test]
    fn intervals_that_do_not_divide_the_day_are_part_of_one_that_does() {
        assert_eq!((every("15m").lines, every("15m").claim), (vec!["*-*-* *:00/15:00 UTC".to_owned()], Claim::Exact));
        assert_eq!((every("7h").lines, every("7h").claim), (vec!["*-*-* *:00:00 UTC".to_owned()], Claim::MoreOften));
        assert_eq!((every("61s").lines, every("61s").claim), (vec!["*-*-* *:*:00 UTC".to_owned()], Claim::EveryMinute));
        assert_eq!(every("1d").lines, ["*-*-* 00:00:00 UTC"]);
    }

    #[test]
    fn many_times_without_a_rhythm_are_said_more_broadly() {
        let times = (0..40u8).filter_map(|index| TimeOfDay::new(index % 24, index % 8 * 7 + index / 8)).collect();
        let schedule = Schedule::calendar(crate::schedule::DayRule::Daily, times, Zone::utc()).expect("a schedule");
        let written = calendar(&schedule);
        assert_eq!((written.lines.len(), written.claim), (1, Claim::MoreOften));
    }
}
