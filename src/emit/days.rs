//! Days as systemd's calendar writes them: `Mon..Fri *-*-*`, `Sun *-*~07/1`, `*-01,04,07,10-01`.

use std::collections::BTreeSet;

use super::component::{Clocks, numbers, runs};
use crate::schedule::{DayConditions, Weekday};

/// Days in systemd's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Days {
    /// They are named together by these.
    pub lines: Vec<String>,
    /// The lines name no other days.
    pub exact: bool,
}

/// The days that meet the conditions.
pub(super) fn days(conditions: &DayConditions) -> Days {
    let any = DayConditions { months: conditions.months, either: false, ..DayConditions::ANY };
    let alternatives: Vec<DayConditions> = match conditions.either {
        false => {
            by_number(conditions).into_iter().flat_map(|number| by_weekday(conditions).map(move |weekday| both(number, weekday))).collect()
        }
        true => by_number(conditions)
            .into_iter()
            .map(|number| both(number, any))
            .chain(by_weekday(conditions).map(|weekday| both(any, weekday)))
            .collect(),
    };
    let mut written = Days { lines: Vec::new(), exact: true };
    for one in alternatives.into_iter().filter(DayConditions::can_be_met) {
        let (line, exact) = line(&one);
        written.exact &= exact;
        if !written.lines.contains(&line) {
            written.lines.push(line);
        }
    }
    written
}

/// What stands for the day of the month, in parts that systemd has words for.
fn by_number(conditions: &DayConditions) -> Vec<DayConditions> {
    let none = DayConditions { numbers: 0, last_day: false, ..*conditions };
    let numbers = DayConditions { numbers: conditions.numbers, ..none };
    let last = DayConditions { last_day: true, ..none };
    match (conditions.numbers, conditions.last_day) {
        (0, _) => vec![last],
        (DayConditions::ALL_NUMBERS, _) | (_, false) => vec![numbers],
        (_, true) => vec![numbers, last],
    }
}

/// The same for the day of the week.
fn by_weekday(conditions: &DayConditions) -> impl Iterator<Item = DayConditions> {
    let none = DayConditions { weekdays: 0, nth_weekdays: [0; 5], last_weekdays: 0, ..*conditions };
    let plain = DayConditions { weekdays: conditions.weekdays, ..none };
    let all = conditions.weekdays == DayConditions::ALL_WEEKDAYS;
    let nth = (0..5).map(move |index| {
        let mut nth = none;
        nth.nth_weekdays[index] = none_if(all, conditions.nth_weekdays[index]);
        nth
    });
    let last = DayConditions { last_weekdays: none_if(all, conditions.last_weekdays), ..none };
    let named = |one: &DayConditions| one.weekdays != 0 || one.nth_weekdays != [0; 5] || one.last_weekdays != 0;
    std::iter::once(plain).chain(nth).chain([last]).filter(named).collect::<Vec<_>>().into_iter()
}

fn none_if(all: bool, weekdays: u8) -> u8 {
    if all { 0 } else { weekdays }
}

fn both(number: DayConditions, weekday: DayConditions) -> DayConditions {
    DayConditions { numbers: number.numbers, last_day: number.last_day, either: false, ..weekday }
}

/// One line, and whether it names no other days. Where days are counted from the end of the month, systemd takes no numbers beside it.
fn line(one: &DayConditions) -> (String, bool) {
    let months = numbers(&bits(u32::from(one.months)), 1, 12, Clocks::Local);
    let nth = one.nth_weekdays.iter().position(|weekdays| *weekdays != 0);
    let (weekdays, in_week) = match nth {
        Some(nth) => (one.nth_weekdays[nth], (0x7f_u64 << (7 * nth + 1)) as u32),
        None => (one.weekdays | one.last_weekdays, DayConditions::ALL_NUMBERS),
    };
    let counted = one.numbers & in_week;
    let (day, exact) = match () {
        // The last day of a month lies in the last seven.
        () if one.last_day => ("~01".to_owned(), nth.is_none()),
        () if one.last_weekdays != 0 => ("~07/1".to_owned(), one.numbers == DayConditions::ALL_NUMBERS),
        () if counted == DayConditions::ALL_NUMBERS => ("-*".to_owned(), true),
        () => (format!("-{}", runs(&bits(counted).into_iter().collect::<Vec<_>>(), |day| format!("{day:02}"))), true),
    };
    (format!("{}*-{months}{day}", prefix(weekdays)), exact)
}

/// `Mon..Fri `, or nothing for all of them.
pub(super) fn prefix(weekdays: u8) -> String {
    if weekdays & DayConditions::ALL_WEEKDAYS == DayConditions::ALL_WEEKDAYS {
        return String::new();
    }
    let days: Vec<u32> = bits(u32::from(weekdays)).into_iter().collect();
    format!("{} ", runs(&days, |day| Weekday::ALL.get(day as usize).map_or("", |day| &day.name()[..3]).to_owned()))
}

fn bits(set: u32) -> BTreeSet<u32> {
    (0..32).filter(|bit| set & (1 << bit) != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{CalendarPeriod, DayRule, MonthDay, Nth, NthDay, Pattern, Schedule, TimeOfDay, Zone};
    use crate::units::Instant;

    fn of(schedule: &Schedule) -> Vec<String> {
        match schedule.pattern(Instant::UNIX_EPOCH) {
            Pattern::Civil { days: conditions, .. } => {
                let days = days(&conditions);
                let about = if days.exact { "" } else { "about " };
                days.lines.iter().map(|line| format!("{about}{line}")).collect()
            }
            pattern => panic!("{pattern:?}"),
        }
    }

    fn cron(expression: &str) -> Vec<String> {
        of(&Schedule::cron(expression, Zone::utc()).expect("an expression"))
    }

    fn calendar(rule: DayRule) -> Vec<String> {
        let time = TimeOfDay::new(2, 0).expect("a time");
        of(&Schedule::calendar(rule, vec![time], Zone::utc()).expect("a rule"))
    }

    #[test]
    fn calendar_rules_have_words() {
        let nth = |nth, day, of| DayRule::Nth { nth, day: NthDay::Weekday(day), of };
        assert_eq!(calendar(DayRule::Daily), ["*-*-*"]);
        assert_eq!(calendar(nth(Nth::Last, Weekday::Sunday, CalendarPeriod::Month)), ["Sun *-*~07/1"]);
        assert_eq!(calendar(nth(Nth::First, Weekday::Monday, CalendarPeriod::Quarter)), ["Mon *-01,04,07,10-01..07"]);
        assert_eq!(calendar(nth(Nth::Last, Weekday::Friday, CalendarPeriod::HalfYear)), ["Fri *-06,12~07/1"]);
        assert_eq!(calendar(DayRule::MonthDay { day: MonthDay::Last, of: CalendarPeriod::Month }), ["*-*~01"]);
        assert_eq!(calendar(DayRule::Date { month: 2, day: 29 }), ["*-02-29"]);
    }

    #[test]
    fn both_day_fields_of_cron_are_two_lines() {
        assert_eq!(cron("0 4 1 * mon"), ["*-*-01", "Mon *-*-*"]);
        assert_eq!(cron("0 4 */2 * mon"), ["Mon *-*-01,03,05,07,09,11,13,15,17,19,21,23,25,27,29,31"]);
        assert_eq!(cron("0 4 1,L * *"), ["*-*-01", "*-*~01"]);
        assert_eq!(cron("0 4 * * 1-5"), ["Mon..Fri *-*-*"]);
        assert_eq!(cron("0 4 * 2-4 mon#5"), ["Mon *-02..04-29..31"]);
        assert_eq!(cron("0 4 30 2 mon"), ["Mon *-02-*"]);
    }

    #[test]
    fn what_has_no_words_is_said_more_broadly() {
        assert_eq!(cron("0 4 */2 * friL"), ["about Fri *-*~07/1"]);
    }
}
