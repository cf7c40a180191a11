//! Cron expressions of five fields: minute, hour, day of the month, month, day of the week.

use std::ops::Range;

use thiserror::Error;

use super::civil_rule::CivilRule;
use super::day_rule::{CalendarPeriod, DayRule, MonthDay, Nth, NthDay};
use super::days::DayConditions;
use super::time_of_day::TimeOfDay;
use super::times::Times;
use super::weekday::{Weekday, WeekdaySet};
use crate::units::{clipped, nearest};

/// Why a text is not a cron expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CronError {
    pub fault: CronFault,
    /// The bytes of the expression that are wrong.
    pub at: Range<usize>,
    pub message: String,
    pub hint: String,
}

/// The kinds of mistake, so that callers need not read messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CronFault {
    /// Too few or too many fields.
    Fields,
    /// A field, or part of one, that is not of the written form.
    Form,
    /// A number outside what its field holds.
    OutOfRange,
    /// A name that is not known: of a month, a day, or an `@` shortcut.
    UnknownName,
    /// Understood, but not by this program: seconds, `@reboot`, and what only other schedulers know.
    Unsupported,
    /// Well formed, but no day ever matches.
    Never,
}

pub(super) struct Parsed {
    pub rule: CivilRule,
    pub conditions: DayConditions,
    /// The days in the words of a calendar rule, when there are such words.
    pub day_rule: Option<DayRule>,
}

/// Longer than every expression that makes sense: each field listing each of its values in full.
const LIMIT: usize = 1_000;

const SHORTCUTS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A piece of the expression and the place where it begins.
#[derive(Debug, Clone, Copy)]
struct Piece<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Piece<'t> {
    fn range(self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }
    fn split(self, separator: char) -> impl Iterator<Item = Piece<'t>> {
        let mut at = self.at;
        self.text.split(separator).map(move |text| {
            let piece = Piece { text, at };
            at += text.len() + separator.len_utf8();
            piece
        })
    }
    fn split_once(self, separator: char) -> Option<(Piece<'t>, Piece<'t>)> {
        let (left, right) = self.text.split_once(separator)?;
        Some((Piece { text: left, at: self.at }, Piece { text: right, at: self.at + left.len() + separator.len_utf8() }))
    }
    fn error(self, fault: CronFault, message: impl Into<String>, hint: impl Into<String>) -> CronError {
        CronError { fault, at: self.range(), message: message.into(), hint: hint.into() }
    }
}

/// What a field may hold.
struct Field {
    name: &'static str,
    low: u8,
    high: u8,
    /// The first name stands for `low`.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", low: 0, high: 59, names: &[] };
const HOUR: Field = Field { name: "hour", low: 0, high: 23, names: &[] };
const DAY_OF_MONTH: Field = Field { name: "day of the month", low: 1, high: 31, names: &[] };
const MONTH: Field =
    Field { name: "month", low: 1, high: 12, names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"] };
/// Sunday is 0 and also 7.
const DAY_OF_WEEK: Field = Field { name: "day of the week", low: 0, high: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

pub(super) fn parse(expression: &str) -> Result<Parsed, CronError> {
    if expression.len() > LIMIT {
        let message = format!("a cron expression of {} bytes is too long", expression.len());
        let hint = format!("An expression has at most {LIMIT} bytes.");
        return Err(CronError { fault: CronFault::Form, at: 0..expression.len(), message, hint });
    }
    let whole = Piece { text: expression, at: 0 };
    let fields: Vec<Piece> = whole.split(' ').flat_map(|piece| piece.split('\t')).filter(|piece| !piece.text.is_empty()).collect();
    if let [shortcut] = fields[..]
        && shortcut.text.starts_with('@')
    {
        return parse(expand(shortcut)?);
    }
    let [minute, hour, day_of_month, month, day_of_week] = fields[..] else {
        return Err(wrong_count(whole, &fields));
    };
    let (minutes, hours) = (MINUTE.values(minute)?, HOUR.values(hour)?);
    let conditions = day_conditions(day_of_month, month, day_of_week)?;
    let days = conditions.days().ok_or_else(|| CronError {
        fault: CronFault::Never,
        at: day_of_month.at..day_of_week.range().end,
        message: format!("`{}` never fires", clipped(expression.trim())),
        hint: "No such month has such a day: change the day of the month or the month.".to_owned(),
    })?;
    let each = |bits: u64, limit: u8| (0..limit).filter(move |value| bits & (1 << value) != 0);
    let times = each(hours, 24).flat_map(|hour| each(minutes, 60).filter_map(move |minute| TimeOfDay::new(hour, minute)));
    // Each field names at least one value, so there is a time.
    let times = Times::new(times).ok_or_else(|| whole.error(CronFault::Never, "no time of day matches", "Name an hour and a minute."))?;
    Ok(Parsed { rule: CivilRule { days, times }, conditions, day_rule: in_words(&conditions) })
}

fn expand(shortcut: Piece) -> Result<&'static str, CronError> {
    let name = shortcut.text.to_ascii_lowercase();
    if let Some((_, meaning)) = SHORTCUTS.iter().find(|(known, _)| *known == name) {
        return Ok(meaning);
    }
    if name == "@reboot" {
        let hint = "A schedule needs times that can be known beforehand: write `@daily`, or an expression such as `0 2 * * *`.";
        return Err(shortcut.error(CronFault::Unsupported, "`@reboot` is not a time", hint));
    }
    let hint = match nearest(&name, SHORTCUTS.map(|(known, _)| known)) {
        Some(known) => format!("Did you mean `{known}`?"),
        None => "The shortcuts are @hourly, @daily, @weekly, @monthly and @yearly.".to_owned(),
    };
    Err(shortcut.error(CronFault::UnknownName, format!("`{}` is not a shortcut", clipped(shortcut.text)), hint))
}

fn wrong_count(whole: Piece, fields: &[Piece]) -> CronError {
    if let Some(zone) = fields.first().filter(|first| ["TZ=", "CRON_TZ="].iter().any(|key| first.text.starts_with(key))) {
        let hint = "Take it out and write `timezone:` beside `cron:`.";
        return zone.error(CronFault::Unsupported, "a cron expression does not name its time zone", hint);
    }
    let five = "Write minute, hour, day of the month, month and day of the week, for example `0 2 * * *`.";
    let at = match fields {
        // With seconds it is the first of six or seven that is too many, with years the last: nobody knows which is meant.
        [first, .., last] if matches!(fields.len(), 6 | 7) => first.at..last.range().end,
        [.., last] if fields.len() > 5 => fields[5].at..last.range().end,
        [first, .., last] => first.at..last.range().end,
        [only] => only.range(),
        [] => whole.range(),
    };
    let count = fields.len();
    let (fault, message, hint) = match count {
        0 => (CronFault::Fields, "a cron expression is empty".to_owned(), five.to_owned()),
        6 | 7 => {
            let hint = "Leave out the seconds, and the year if there is one: minute, hour, day of the month, month, day of the week.";
            (CronFault::Unsupported, format!("{count} fields: seconds are not supported"), hint.to_owned())
        }
        1 => (CronFault::Fields, "1 field where a cron expression has 5".to_owned(), five.to_owned()),
        _ => (CronFault::Fields, format!("{count} fields where a cron expression has 5"), five.to_owned()),
    };
    CronError { fault, at, message, hint }
}

fn day_conditions(day_of_month: Piece, month: Piece, day_of_week: Piece) -> Result<DayConditions, CronError> {
    let mut conditions = DayConditions { numbers: 0, weekdays: 0, ..DayConditions::ANY };
    for item in DAY_OF_MONTH.items(day_of_month)? {
        if item.text.eq_ignore_ascii_case("l") {
            conditions.last_day = true;
        } else {
            conditions.numbers |= DAY_OF_MONTH.item(item)? as u32;
        }
    }
    conditions.months = MONTH.values(month)? as u16;
    for item in DAY_OF_WEEK.items(day_of_week)? {
        weekday_item(item, &mut conditions)?;
    }
    conditions.either = !day_of_month.text.starts_with('*') && !day_of_week.text.starts_with('*');
    Ok(conditions)
}

/// `mon#1`, `friL`, or what every field knows.
fn weekday_item(item: Piece, conditions: &mut DayConditions) -> Result<(), CronError> {
    if let Some((day, nth)) = item.split_once('#') {
        let weekday = DAY_OF_WEEK.value(day)?;
        let index = match nth.text.as_bytes() {
            [digit @ b'1'..=b'5'] => usize::from(digit - b'1'),
            _ => {
                let message = format!("`{}` is not one of the weeks of a month", clipped(nth.text));
                return Err(nth.error(CronFault::OutOfRange, message, "Write a number from 1 to 5 after the `#`, for example `mon#1`."));
            }
        };
        conditions.nth_weekdays[index] |= weekday_bits(1 << weekday);
        return Ok(());
    }
    if let Some(day) = item.text.strip_suffix(['L', 'l']) {
        if day.is_empty() {
            let hint = "Write `sat` for Saturday, or `satL` for the last Saturday of the month.";
            return Err(item.error(CronFault::Form, "`L` alone is not a day of the week", hint));
        }
        conditions.last_weekdays |= weekday_bits(1 << DAY_OF_WEEK.value(Piece { text: day, at: item.at })?);
        return Ok(());
    }
    conditions.weekdays |= weekday_bits(DAY_OF_WEEK.item(item)?);
    Ok(())
}

/// From cron's counting, Sunday is 0 and 7, to Monday in bit 0.
fn weekday_bits(cron: u64) -> u8 {
    ((cron >> 1) & 0x3f) as u8 | if cron & 0b1000_0001 != 0 { 1 << 6 } else { 0 }
}

impl Field {
    /// The values of a field that knows nothing special, as bits.
    fn values(&self, field: Piece) -> Result<u64, CronError> {
        self.items(field)?.into_iter().try_fold(0, |bits, item| Ok(bits | self.item(item)?))
    }

    fn items<'t>(&self, field: Piece<'t>) -> Result<Vec<Piece<'t>>, CronError> {
        let items: Vec<Piece> = field.split(',').collect();
        if items.iter().any(|item| item.text.is_empty()) {
            let message = format!("`{}` has an empty entry", clipped(field.text));
            return Err(field.error(CronFault::Form, message, "Write one comma between two values, and none at either end."));
        }
        Ok(items)
    }

    /// `*`, a value, a range; the first and last of these also with a step.
    fn item(&self, item: Piece) -> Result<u64, CronError> {
        let (range, step) = match item.split_once('/') {
            None => (item, 1),
            Some((range, step)) => (range, self.step(step)?),
        };
        let (from, to) = if range.text == "*" {
            (self.low, if self.high == 7 { 6 } else { self.high })
        } else if let Some((from, to)) = range.split_once('-') {
            self.range(range, from, to)?
        } else {
            let value = self.value(range)?;
            if item.text.contains('/') {
                let message = format!("`{}` has a step but no range", clipped(item.text));
                let hint = format!("Say where it ends, because schedulers disagree: `{value}-{}/{step}`, or `*/{step}`.", self.high);
                return Err(item.error(CronFault::Form, message, hint));
            }
            (value, value)
        };
        Ok((from..=to).step_by(usize::from(step)).fold(0, |bits, value| bits | 1 << value))
    }

    fn range(&self, whole: Piece, from: Piece, to: Piece) -> Result<(u8, u8), CronError> {
        let (first, mut last) = (self.value(from)?, self.value(to)?);
        // `fri-sun`: as the end of a range, Sunday is the seventh day.
        if self.high == 7 && last == 0 && first > 0 && to.text.eq_ignore_ascii_case("sun") {
            last = 7;
        }
        if first <= last {
            return Ok((first, last));
        }
        let message = format!("the range `{}` runs backwards", clipped(whole.text));
        let hint = match (self.high, last) {
            (7, 0) => format!("Write Sunday as 7: `{}-7`.", from.text),
            (7, 1) => format!("Write the range and a day: `{}-sun,mon`.", from.text),
            (7, _) => format!("Write two ranges: `{}-sun,mon-{}`.", from.text, to.text),
            _ => format!("Write two ranges: `{first}-{},{}-{last}`.", self.high, self.low),
        };
        Err(whole.error(CronFault::OutOfRange, message, hint))
    }

    fn step(&self, step: Piece) -> Result<u8, CronError> {
        let width = self.high - self.low;
        let wrong = |fault, message| {
            let hint = format!("Write a number from 1 to {width} after the `/`, for example `*/2`.");
            Err(step.error(fault, message, hint))
        };
        if step.text.is_empty() || !step.text.bytes().all(|byte| byte.is_ascii_digit()) {
            return wrong(CronFault::Form, format!("`{}` is not a step", clipped(step.text)));
        }
        match step.text.parse::<u8>() {
            Ok(0) => wrong(CronFault::OutOfRange, "a step of 0 leads nowhere".to_owned()),
            Ok(count) if count <= width => Ok(count),
            _ => wrong(CronFault::OutOfRange, format!("a step of {} is wider than the {}", clipped(step.text), self.name)),
        }
    }

    fn value(&self, value: Piece) -> Result<u8, CronError> {
        let text = value.text;
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse::<u8>() {
                Ok(number) if (self.low..=self.high).contains(&number) => Ok(number),
                _ => Err(value.error(
                    CronFault::OutOfRange,
                    format!("{} {} is out of range {}-{}", self.name, clipped(text), self.low, self.high),
                    self.range_hint(),
                )),
            };
        }
        if let Some(index) = (0..).zip(self.names).find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Ok(self.low + index.0);
        }
        Err(self.not_a_value(value))
    }

    fn range_hint(&self) -> String {
        match self.name {
            "day of the week" => "Days go from 0 (Sunday) to 6 (Saturday), and 7 is Sunday too.".to_owned(),
            "day of the month" => "Days go from 1 to 31, and `L` is the last day of the month.".to_owned(),
            name => format!("Write {} {name} from {} to {}.", if name == "hour" { "an" } else { "a" }, self.low, self.high),
        }
    }

    fn not_a_value(&self, value: Piece) -> CronError {
        let message = format!("`{}` is not a {}", clipped(value.text), self.name).replace("a hour", "an hour");
        let text = value.text.to_ascii_lowercase();
        if text == "?" {
            return value.error(CronFault::Unsupported, message, "Write `*`, which here means the same.");
        }
        if text.starts_with('h') && self.names.is_empty() || text.contains('~') {
            return value.error(CronFault::Unsupported, message, "Write the value itself: a plan has to know when it will be.");
        }
        if self.name == DAY_OF_MONTH.name && text.ends_with('w') {
            return value.error(
                CronFault::Unsupported,
                message,
                "The nearest working day is not known: name the days of the week instead.",
            );
        }
        if self.name == DAY_OF_MONTH.name && text.starts_with('l') {
            return value.error(CronFault::Unsupported, message, "Write `L` alone for the last day of the month.");
        }
        let full = self.names.iter().find(|name| text.len() > 3 && text.starts_with(*name));
        if let Some(known) = full.copied().or_else(|| nearest(&text, self.names.iter().copied())) {
            return value.error(CronFault::UnknownName, message, format!("Did you mean `{known}`?"));
        }
        let fault = if self.names.is_empty() { CronFault::Form } else { CronFault::UnknownName };
        let names = match self.names {
            [first, .., last] => format!(", or a name from `{first}` to `{last}`"),
            _ => String::new(),
        };
        value.error(fault, message, format!("Write `*`, a number from {} to {}{names}, a range, a list or a step.", self.low, self.high))
    }
}

/// The calendar rule with the same days, for the simple ones.
fn in_words(conditions: &DayConditions) -> Option<DayRule> {
    let any = DayConditions::ANY;
    let conditions = &DayConditions { either: false, ..*conditions };
    let weekday = |bits: u8| WeekdaySet::from_bits(bits).iter().next().filter(|_| bits.count_ones() == 1);
    let all_months = conditions.months == any.months;
    let all_weekdays = conditions.weekdays == any.weekdays;
    let numbers_alone = DayConditions { months: any.months, numbers: any.numbers, ..*conditions } == any;
    if all_months && conditions.numbers == any.numbers {
        if *conditions == any {
            return Some(DayRule::Daily);
        }
        if (DayConditions { weekdays: any.weekdays, ..*conditions }) == any {
            return Some(DayRule::Weekdays(WeekdaySet::from_bits(conditions.weekdays)));
        }
        let nth = [Nth::First, Nth::Second, Nth::Third, Nth::Fourth, Nth::Last];
        let by_nth = [0, 1, 2, 3].map(|index| conditions.nth_weekdays[index]);
        let all = [by_nth[0], by_nth[1], by_nth[2], by_nth[3], conditions.last_weekdays];
        let found = nth.into_iter().zip(all).find(|(_, bits)| *bits != 0);
        let alone = all.iter().filter(|bits| **bits != 0).count() == 1 && conditions.weekdays == 0 && conditions.nth_weekdays[4] == 0;
        return found.filter(|_| alone).and_then(|(nth, bits)| {
            weekday(bits).map(|day: Weekday| DayRule::Nth { nth, day: NthDay::Weekday(day), of: CalendarPeriod::Month })
        });
    }
    if conditions.numbers == 0 && conditions.last_day && all_months && all_weekdays && conditions.last_weekdays == 0 {
        return Some(DayRule::MonthDay { day: MonthDay::Last, of: CalendarPeriod::Month });
    }
    if !numbers_alone || conditions.numbers.count_ones() != 1 {
        return None;
    }
    let day = conditions.numbers.trailing_zeros() as u8;
    match conditions.months.count_ones() {
        12 => Some(DayRule::MonthDay { day: MonthDay::Number(day), of: CalendarPeriod::Month }),
        1 => Some(DayRule::Date { month: conditions.months.trailing_zeros() as u8, day }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(expression: &str) -> CronError {
        parse(expression).err().unwrap_or_else(|| panic!("`{expression}` should be refused"))
    }

    #[test]
    fn a_mistake_is_shown_where_it_is() {
        let wrong = error("0 25 * * *");
        assert_eq!((wrong.to_string().as_str(), wrong.at.clone()), ("hour 25 is out of range 0-23", 2..4));
        let cases = [
            ("61 * * * *", CronFault::OutOfRange, "61"),
            ("0  2 0 * *", CronFault::OutOfRange, "0"),
            ("*/0 * * * *", CronFault::OutOfRange, "0"),
            ("*/60 * * * *", CronFault::OutOfRange, "60"),
            ("5/15 * * * *", CronFault::Form, "5/15"),
            ("0 2,,3 * * *", CronFault::Form, "2,,3"),
            ("0 5-2 * * *", CronFault::OutOfRange, "5-2"),
            ("0 2 * * fri-mon", CronFault::OutOfRange, "fri-mon"),
            ("0 2 * * monday", CronFault::UnknownName, "monday"),
            ("0 2 * jann *", CronFault::UnknownName, "jann"),
            ("0 2 ? * 1", CronFault::Unsupported, "?"),
            ("0 2 15W * *", CronFault::Unsupported, "15W"),
            ("H 2 * * *", CronFault::Unsupported, "H"),
            ("0 2 * * mon#6", CronFault::OutOfRange, "6"),
            ("0 2 * * L", CronFault::Form, "L"),
            ("@reboot", CronFault::Unsupported, "@reboot"),
            ("@dialy", CronFault::UnknownName, "@dialy"),
            ("0 0 2 * * *", CronFault::Unsupported, "0 0 2 * * *"),
            ("0 0 2 * * * 2027", CronFault::Unsupported, "0 0 2 * * * 2027"),
            ("0 2 * *", CronFault::Fields, "0 2 * *"),
            ("", CronFault::Fields, ""),
            ("0 0 30 2 *", CronFault::Never, "30 2 *"),
            ("0 0 31 4,6,9,11 *", CronFault::Never, "31 4,6,9,11 *"),
            ("0 2 * * é", CronFault::UnknownName, "é"),
            ("0 2 * * 99999999999999999999", CronFault::OutOfRange, "99999999999999999999"),
        ];
        for (expression, fault, place) in cases {
            let wrong = error(expression);
            assert_eq!((wrong.fault, &expression[wrong.at.clone()]), (fault, place), "{expression}");
            assert!(wrong.message.starts_with(|c: char| !c.is_uppercase()) && !wrong.message.ends_with('.'), "{}", wrong.message);
            assert!(wrong.hint.ends_with(['.', '?']), "{}", wrong.hint);
        }
    }

    #[test]
    fn the_same_days_in_other_words_are_the_same_rule() {
        let same = [
            ("0 2 * * 0", "0 2 * * 7"),
            ("0 2 * * fri-sun", "0 2 * * 5-7"),
            ("0 2 * * 5L", "0 2 * * friL"),
            ("0 2 * * MON#1", "0 2 * * 1#1"),
            ("0 2 * JAN,dec *", "0\t2 * 1,12 *"),
            ("@weekly", "0 0 * * sun"),
            ("@annually", "0 0 1 jan *"),
            ("*/20 * * * *", "0-59/20 * * * *"),
            ("0 2 1-31 * mon", "0 2 * * *"),
        ];
        for (one, other) in same {
            let rule = |expression| parse(expression).map(|parsed| parsed.rule);
            assert_eq!(rule(one), rule(other), "{one} and {other}");
        }
    }

    #[test]
    fn a_star_in_front_asks_for_both_days() {
        let days = |expression| parse(expression).map(|parsed| parsed.rule.days);
        assert_eq!(days("0 0 */1 * mon"), days("0 0 * * mon"));
        assert_ne!(days("0 0 1 * mon"), days("0 0 * * mon"), "either of them");
    }
}
