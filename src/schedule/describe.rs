//! Schedules in words.

use super::civil_rule::CivilRule;
use super::day_rule::{CalendarPeriod, DayRule, MonthDay, NthDay};
use super::weekday::WeekdaySet;
use super::{Rule, Schedule, Wording};

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

/// More times than these are not read out one by one.
const MOST_TIMES: usize = 4;

impl Schedule {
    /// `every Sunday at 03:00 Europe/Oslo`
    pub fn describe(&self) -> String {
        let zone = &self.zone;
        match (&self.rule, &self.wording) {
            (Rule::Interval(step), _) => interval(*step),
            (Rule::Civil(rule), Wording::Cron { expression, days: known, .. }) => match (known, regular(rule)) {
                (Some(DayRule::Daily), Some(words)) => format!("{words} {zone}"),
                (Some(rule_of_days), _) if self.times().is_some_and(|times| times.len() <= MOST_TIMES) => {
                    format!("{} at {} {zone}", days(rule_of_days), times(rule))
                }
                _ => format!("cron \"{expression}\" {zone}"),
            },
            (Rule::Civil(rule), Wording::Calendar(rule_of_days)) => format!("{} at {} {zone}", days(rule_of_days), times(rule)),
            (Rule::Civil(rule), Wording::Interval) => times(rule),
        }
    }
}

fn interval(seconds: i64) -> String {
    let (count, unit) = match seconds {
        seconds if seconds % 3_600 == 0 => (seconds / 3_600, "hour"),
        seconds if seconds % 60 == 0 => (seconds / 60, "minute"),
        seconds => (seconds, "second"),
    };
    if count == 1 { format!("every {unit}") } else { format!("every {count} {unit}s") }
}

/// Minutes that divide the hour evenly, in each hour of the day.
fn regular(rule: &CivilRule) -> Option<String> {
    let times: Vec<_> = rule.times.iter().map(super::TimeOfDay::minute_of_day).collect();
    if !rule.times.every_hour || times.len() % 24 != 0 {
        return None;
    }
    let (first, step) = (times[0], 60 / (times.len() / 24) as u16);
    let even = step > 0 && (0..).zip(&times).all(|(index, time)| *time == first + index * step);
    let past = if first == 0 { String::new() } else { format!(", from {first} past the hour") };
    even.then(|| format!("{}{past}", interval(i64::from(step) * 60)))
}

fn times(rule: &CivilRule) -> String {
    join(rule.times.iter().map(|time| time.to_string()).collect())
}

/// `a`, `a and b`, `a, b and c`
fn join(mut words: Vec<String>) -> String {
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} and {last}", words.join(", ")),
        Some(last) => last,
        None => String::new(),
    }
}

pub(super) fn days(rule: &DayRule) -> String {
    match *rule {
        DayRule::Daily => "every day".to_owned(),
        DayRule::Weekdays(set) => weekdays(set),
        DayRule::Nth { nth, day, of } => {
            let day = match day {
                NthDay::Day => "day",
                NthDay::Weekday(weekday) => weekday.name(),
            };
            format!("{} {day} of every {}", nth.name(), of.name())
        }
        DayRule::MonthDay { day: MonthDay::Last, of } => format!("last day of every {}", of.name()),
        DayRule::MonthDay { day: MonthDay::Number(day), of: CalendarPeriod::Month } => format!("day {day} of every month"),
        DayRule::MonthDay { day: MonthDay::Number(day), of } => format!("day {day} of the first month of every {}", of.name()),
        DayRule::Date { month, day } => {
            format!("every {day} {}", MONTHS.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or_default())
        }
    }
}

fn weekdays(set: WeekdaySet) -> String {
    match set {
        WeekdaySet::ALL => "every day".to_owned(),
        WeekdaySet::WORKING => "Monday to Friday".to_owned(),
        set => format!("every {}", join(set.iter().map(|day| day.name().to_owned()).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn cron(expression: &str) -> String {
        Schedule::cron(expression, Zone::utc()).expect("a cron expression").describe()
    }

    #[test]
    fn simple_expressions_are_put_in_words() {
        assert_eq!(cron("0 2 * * *"), "every day at 02:00 UTC");
        assert_eq!(cron("*/15 * * * *"), "every 15 minutes UTC");
        assert_eq!(cron("5 * * * *"), "every hour, from 5 past the hour UTC");
        assert_eq!(cron("30 3 * * 1-5"), "Monday to Friday at 03:30 UTC");
        assert_eq!(cron("0 4 * * mon#1"), "first Monday of every month at 04:00 UTC");
        assert_eq!(cron("0 4 * * friL"), "last Friday of every month at 04:00 UTC");
        assert_eq!(cron("0 4 L * *"), "last day of every month at 04:00 UTC");
        assert_eq!(cron("0 4 29 2 *"), "every 29 February at 04:00 UTC");
        assert_eq!(cron("0 4 1 * mon"), "cron \"0 4 1 * mon\" UTC");
        assert_eq!(cron("*/7 2-5 * * *"), "cron \"*/7 2-5 * * *\" UTC");
    }

    #[test]
    fn calendar_rules_and_intervals_read_like_sentences() {
        let zone = Zone::named("Europe/Oslo").expect("a zone");
        let at = |text: &str| text.parse::<TimeOfDay>().expect("a time");
        let rule = DayRule::Nth { nth: Nth::First, day: NthDay::Weekday(Weekday::Monday), of: CalendarPeriod::Quarter };
        let schedule = Schedule::calendar(rule, vec![at("04:00")], zone.clone()).expect("a schedule");
        assert_eq!(schedule.describe(), "first Monday of every quarter at 04:00 Europe/Oslo");
        let rule = DayRule::Weekdays([Weekday::Thursday, Weekday::Sunday].into_iter().collect());
        let schedule = Schedule::calendar(rule, vec![at("20:00"), at("04:00")], zone.clone()).expect("a schedule");
        assert_eq!(schedule.describe(), "every Thursday and Sunday at 04:00 and 20:00 Europe/Oslo");
        let every = |text: &str| Schedule::every(text.parse().expect("a duration"), zone.clone()).map(|schedule| schedule.describe());
        assert_eq!(every("15m"), Ok("every 15 minutes".to_owned()));
        assert_eq!(every("1h"), Ok("every hour".to_owned()));
        assert_eq!(every("25h"), Err(IntervalError::TooLong(Duration::from_hours(25))));
    }
}
