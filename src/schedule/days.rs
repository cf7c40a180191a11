//! Which days a rule matches, in the form that is quick to walk: a week, or the days of a month as bits.

use super::civil_gap::Extreme;
use super::month::{FIRST_DAY, LAST_DAY, Month, weekday};

/// A non-empty set of civil days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Days {
    /// The same days every week; bit 0 is Monday.
    Week(u8),
    Months(Box<MonthDays>),
}

/// The days of each month. They depend only on which month it is, its length, and the weekday it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MonthDays {
    /// Bit 1 is January.
    months: u16,
    /// By length (28 to 31) and first weekday; bit 0 is the first of the month.
    shapes: [[u32; 7]; 4],
    /// The longest and the shortest step between matching days, in each shape.
    steps: [[(u8, u8); 7]; 4],
}

/// The conditions on a day, before they are worked out. Its month has to match, and its number and its weekday as
/// [`DayConditions::either`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayConditions {
    /// Bit 1 is January.
    pub months: u16,
    /// Bit 1 is the first of the month.
    pub numbers: u32,
    /// The last day of the month, beside those of `numbers`.
    pub last_day: bool,
    /// Bit 0 is Monday.
    pub weekdays: u8,
    /// The first, second, … such weekday of the month.
    pub nth_weekdays: [u8; 5],
    pub last_weekdays: u8,
    /// A day that meets either the numbers or the weekdays matches; otherwise it has to meet both.
    pub either: bool,
}

impl DayConditions {
    pub const ALL_MONTHS: u16 = 0x1ffe;
    pub const ALL_NUMBERS: u32 = 0xffff_fffe;

    pub const ALL_WEEKDAYS: u8 = 0x7f;

    /// Every day.
    pub const ANY: DayConditions = DayConditions {
        months: Self::ALL_MONTHS,
        numbers: Self::ALL_NUMBERS,
        last_day: false,
        weekdays: Self::ALL_WEEKDAYS,
        nth_weekdays: [0; 5],
        last_weekdays: 0,
        either: false,
    };

    /// Some day meets them.
    pub fn can_be_met(&self) -> bool {
        self.days().is_some()
    }

    /// The matching days of a month of this length that begins with this weekday.
    fn in_month(&self, length: u32, first: u32) -> u32 {
        let all = ((1u64 << length) - 1) as u32;
        let by_number = (self.numbers >> 1) & all | if self.last_day { 1 << (length - 1) } else { 0 };
        let mut by_weekday = repeated(self.weekdays, first) & all;
        for (nth, weekdays) in self.nth_weekdays.iter().enumerate() {
            by_weekday |= repeated(*weekdays, first) & (0x7f << (7 * nth)) as u32 & all;
        }
        by_weekday |= repeated(self.last_weekdays, first) & (0x7f << (length - 7)) & all;
        if self.either { by_number | by_weekday } else { by_number & by_weekday }
    }

    /// The days that meet the conditions, or nothing when no day ever does.
    pub(super) fn days(&self) -> Option<Days> {
        let mut shapes = [[0; 7]; 4];
        for (length, by_first) in (28..).zip(&mut shapes) {
            for (first, shape) in (0..).zip(by_first) {
                *shape = self.in_month(length, first);
            }
        }
        let steps = shapes.map(|by_first| by_first.map(steps));
        let days = MonthDays { months: self.months & Self::ALL_MONTHS, shapes, steps };
        // In 400 years February ends with a 29th on every day of the week, so each shape of a month comes up.
        let possible = (1..=12).any(|month| days.includes(month) && lengths(month).any(|length| shapes[length] != [0; 7]));
        possible.then(|| days.week().map_or_else(|| Days::Months(Box::new(days)), Days::Week))
    }
}

/// The longest and the shortest step between the days of a month; with fewer than two of them, none is worth looking at.
fn steps(matching: u32) -> (u8, u8) {
    let (mut rest, mut longest, mut shortest) = (matching, 0, u8::MAX);
    while rest.count_ones() > 1 {
        let day = rest.trailing_zeros();
        rest &= rest - 1;
        let step = (rest.trailing_zeros() - day) as u8;
        (longest, shortest) = (longest.max(step), shortest.min(step));
    }
    (longest, shortest)
}

/// Indexes of [`MonthDays::shapes`] that a month can have.
fn lengths(month: u8) -> std::ops::RangeInclusive<usize> {
    match month {
        2 => 0..=1,
        4 | 6 | 9 | 11 => 2..=2,
        _ => 3..=3,
    }
}

/// Weekdays as the days of a month that begins with the weekday `first`.
fn repeated(weekdays: u8, first: u32) -> u32 {
    let week = u64::from(weekdays & 0x7f);
    let week = ((week | week << 7) >> first) & 0x7f;
    (week | week << 7 | week << 14 | week << 21 | week << 28) as u32
}

impl MonthDays {
    fn includes(&self, month: u8) -> bool {
        self.months & (1 << month) != 0
    }

    /// The matching days, bit 0 for the first of the month.
    pub(super) fn of(&self, month: Month) -> u32 {
        if !self.includes(month.number) {
            return 0;
        }
        self.shapes[month.length() as usize - 28][weekday(month.first) as usize]
    }

    /// The extreme step between the matching days of a month.
    pub(super) fn step_in(&self, month: Month, extreme: Extreme) -> i64 {
        let (longest, shortest) = self.steps[month.length() as usize - 28][weekday(month.first) as usize];
        i64::from(if extreme == Extreme::Longest { longest } else { shortest })
    }

    /// The weekdays, when nothing but the weekday matters.
    fn week(&self) -> Option<u8> {
        let week = (self.shapes[3][0] & 0x7f) as u8;
        let same = |length: u32, first: u32, shape: u32| shape == repeated(week, first) & ((1u64 << length) - 1) as u32;
        let weekly =
            (28..).zip(&self.shapes).all(|(length, by_first)| (0..).zip(by_first).all(|(first, shape)| same(length, first, *shape)));
        (self.months == DayConditions::ALL_MONTHS && weekly).then_some(week)
    }

    /// One month of the year, and at most one day in it, found by its number alone.
    pub(super) fn is_yearly_date(&self) -> bool {
        self.months.count_ones() == 1
            && self.is_single()
            && self.shapes.iter().all(|by_first| by_first.iter().all(|shape| *shape == by_first[0]))
    }

    /// At most one day in each month.
    fn is_single(&self) -> bool {
        self.shapes.iter().flatten().all(|shape| shape.count_ones() <= 1)
    }

    /// One day in each of some months that lie equally far apart: only the calendar makes the distances differ.
    pub(super) fn is_even(&self) -> bool {
        let months = (self.months >> 1) & 0xfff;
        let count = months.count_ones();
        let step = 12 / count.max(1);
        self.is_single() && 12 % count.max(1) == 0 && ((months << step | months >> (12 - step)) & 0xfff) == months
    }
}

impl Days {
    /// The first matching day that is not before `day`.
    pub(super) fn at_or_after(&self, day: i64) -> Option<i64> {
        let day = day.max(FIRST_DAY);
        let found = match self {
            Days::Week(week) => {
                let ahead = (u16::from(*week) | u16::from(*week) << 7) >> weekday(day);
                day + i64::from(ahead.trailing_zeros())
            }
            Days::Months(days) => {
                let mut month = Month::containing(day);
                let mut matching = days.of(month) & (u32::MAX << (day - month.first).min(31));
                while matching == 0 {
                    month = month.next();
                    if month.first > LAST_DAY {
                        return None;
                    }
                    matching = days.of(month);
                }
                month.first + i64::from(matching.trailing_zeros())
            }
        };
        (found <= LAST_DAY).then_some(found)
    }

    /// The last matching day that is not after `day`.
    pub(super) fn at_or_before(&self, day: i64) -> Option<i64> {
        let day = day.min(LAST_DAY);
        if day < FIRST_DAY {
            return None;
        }
        let found = match self {
            Days::Week(week) => {
                let behind = ((u32::from(*week) | u32::from(*week) << 7) >> (weekday(day) + 1)) & 0x7f;
                day - i64::from(behind.leading_zeros().saturating_sub(25))
            }
            Days::Months(days) => {
                let mut month = Month::containing(day);
                let mut matching = days.of(month) & (u32::MAX >> (31 - (day - month.first).min(31)));
                while matching == 0 {
                    month = month.before();
                    if month.first < FIRST_DAY {
                        return None;
                    }
                    matching = days.of(month);
                }
                month.first + i64::from(31 - matching.leading_zeros())
            }
        };
        (found >= FIRST_DAY).then_some(found)
    }

    pub(super) fn contains(&self, day: i64) -> bool {
        self.at_or_after(day) == Some(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(conditions: DayConditions) -> Days {
        conditions.days().expect("the conditions can be met")
    }

    #[test]
    fn both_directions_agree_with_looking_at_each_day() {
        let some = [
            DayConditions { weekdays: 0b100_0001, ..DayConditions::ANY },
            DayConditions { numbers: 1 << 31, ..DayConditions::ANY },
            DayConditions { numbers: 0, last_day: true, months: 1 << 2, ..DayConditions::ANY },
            DayConditions { weekdays: 0, last_weekdays: 1, ..DayConditions::ANY },
            DayConditions { weekdays: 0, nth_weekdays: [0, 0, 0, 0, 2], ..DayConditions::ANY },
        ];
        for days in some.map(days) {
            for start in 0..1_500 {
                let next = (start..).find(|day| days.contains(*day));
                assert_eq!(days.at_or_after(start), next, "{days:?} from {start}");
                let last = (-1_000..=start).rev().find(|day| days.contains(*day));
                assert_eq!(days.at_or_before(start), last, "{days:?} back from {start}");
            }
        }
    }

    #[test]
    fn conditions_that_come_down_to_weekdays_are_a_week() {
        assert_eq!(days(DayConditions::ANY), Days::Week(0x7f));
        assert_eq!(days(DayConditions { weekdays: 1, either: true, ..DayConditions::ANY }), Days::Week(0x7f));
        assert!(matches!(days(DayConditions { months: 2, ..DayConditions::ANY }), Days::Months(_)));
    }

    #[test]
    fn the_thirtieth_of_february_never_comes() {
        assert_eq!(DayConditions { months: 1 << 2, numbers: 1 << 30, ..DayConditions::ANY }.days(), None);
        assert!(DayConditions { months: 1 << 2, numbers: 1 << 29, ..DayConditions::ANY }.days().is_some());
        assert!(DayConditions { months: 1 << 2, weekdays: 0, nth_weekdays: [0, 0, 0, 0, 1], ..DayConditions::ANY }.days().is_some());
    }
}
