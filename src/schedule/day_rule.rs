//! The days on which something happens, as policies say it.

use thiserror::Error;

use super::days::{DayConditions, Days};
use super::weekday::{Weekday, WeekdaySet};

/// Which days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DayRule {
    Daily,
    Weekdays(WeekdaySet),
    /// The second Tuesday of the month, the last day of the quarter.
    Nth {
        nth: Nth,
        day: NthDay,
        of: CalendarPeriod,
    },
    /// A day of the period's first month: the 15th of the quarter is 15 January, 15 April, 15 July and 15 October. A month
    /// that has no such day is left out.
    MonthDay {
        day: MonthDay,
        of: CalendarPeriod,
    },
    /// Once a year. 29 February comes only in leap years.
    Date {
        month: u8,
        day: u8,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nth {
    First,
    Second,
    Third,
    Fourth,
    Last,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NthDay {
    Day,
    Weekday(Weekday),
}

/// Quarters begin in January, April, July and October, halves in January and July.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CalendarPeriod {
    Month,
    Quarter,
    HalfYear,
    Year,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MonthDay {
    /// From 1 to 31.
    Number(u8),
    /// The last day of the period.
    Last,
}

/// Why days and times make no schedule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CalendarError {
    #[error("no time of day is named")]
    NoTimes,
    #[error("no day of the week is named")]
    NoWeekdays,
    #[error("no month has a day {day}")]
    NoSuchDay { day: u8 },
    #[error("no {} has a day {day}", month_name(*month))]
    NoSuchDate { month: u8, day: u8 },
}

fn month_name(month: u8) -> String {
    const NAMES: [&str; 12] =
        ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
    NAMES.get(usize::from(month).wrapping_sub(1)).map_or_else(|| format!("month {month}"), ToString::to_string)
}

impl CalendarError {
    pub fn hint(&self) -> &'static str {
        match self {
            CalendarError::NoTimes => "Name at least one time, for example `03:00`.",
            CalendarError::NoWeekdays => "Name at least one day, for example `sunday`.",
            CalendarError::NoSuchDay { .. } => "Days go from 1 to 31; the last one is written `last`.",
            CalendarError::NoSuchDate { .. } => "Name a day that comes, if only in leap years, for example `01-31` or `02-29`.",
        }
    }
}

impl CalendarPeriod {
    /// The months with which it begins; bit 1 is January.
    fn first_months(self) -> u16 {
        match self {
            CalendarPeriod::Month => DayConditions::ALL_MONTHS,
            CalendarPeriod::Quarter => 1 << 1 | 1 << 4 | 1 << 7 | 1 << 10,
            CalendarPeriod::HalfYear => 1 << 1 | 1 << 7,
            CalendarPeriod::Year => 1 << 1,
        }
    }

    fn last_months(self) -> u16 {
        match self {
            CalendarPeriod::Month => DayConditions::ALL_MONTHS,
            CalendarPeriod::Quarter => 1 << 3 | 1 << 6 | 1 << 9 | 1 << 12,
            CalendarPeriod::HalfYear => 1 << 6 | 1 << 12,
            CalendarPeriod::Year => 1 << 12,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            CalendarPeriod::Month => "month",
            CalendarPeriod::Quarter => "quarter",
            CalendarPeriod::HalfYear => "half-year",
            CalendarPeriod::Year => "year",
        }
    }
}

impl Nth {
    pub fn name(self) -> &'static str {
        match self {
            Nth::First => "first",
            Nth::Second => "second",
            Nth::Third => "third",
            Nth::Fourth => "fourth",
            Nth::Last => "last",
        }
    }

    /// Counting from zero, unless it counts from the end.
    fn index(self) -> Option<usize> {
        match self {
            Nth::First => Some(0),
            Nth::Second => Some(1),
            Nth::Third => Some(2),
            Nth::Fourth => Some(3),
            Nth::Last => None,
        }
    }
}

impl DayRule {
    /// The same days, ready to be walked.
    pub(super) fn days(&self) -> Result<Days, CalendarError> {
        self.conditions().days().ok_or(match *self {
            DayRule::MonthDay { day: MonthDay::Number(day), .. } => CalendarError::NoSuchDay { day },
            DayRule::Date { month, day } => CalendarError::NoSuchDate { month, day },
            DayRule::Daily | DayRule::Weekdays(_) | DayRule::Nth { .. } | DayRule::MonthDay { .. } => CalendarError::NoWeekdays,
        })
    }

    pub(super) fn conditions(&self) -> DayConditions {
        let any = DayConditions::ANY;
        match *self {
            DayRule::Daily => any,
            DayRule::Weekdays(set) => DayConditions { weekdays: set.bits(), ..any },
            DayRule::Nth { nth, day, of } => nth_conditions(nth, day, of),
            DayRule::MonthDay { day: MonthDay::Last, of } => nth_conditions(Nth::Last, NthDay::Day, of),
            DayRule::MonthDay { day: MonthDay::Number(day), of } => DayConditions { months: of.first_months(), numbers: bit(day), ..any },
            DayRule::Date { month, day } => {
                let months = if month <= 12 { 1 << month } else { 0 };
                DayConditions { months, numbers: bit(day), ..any }
            }
        }
    }
}

fn bit(day: u8) -> u32 {
    if (1..=31).contains(&day) { 1 << day } else { 0 }
}

/// The first four of a weekday lie in the first month of any period, and the last one in its last month.
fn nth_conditions(nth: Nth, day: NthDay, of: CalendarPeriod) -> DayConditions {
    let mut conditions = DayConditions::ANY;
    conditions.months = if nth == Nth::Last { of.last_months() } else { of.first_months() };
    match (nth.index(), day) {
        (Some(index), NthDay::Day) => conditions.numbers = 2 << index,
        (None, NthDay::Day) => {
            conditions.numbers = 0;
            conditions.last_day = true;
        }
        (Some(index), NthDay::Weekday(weekday)) => {
            conditions.weekdays = 0;
            conditions.nth_weekdays[index] = weekday.bit();
        }
        (None, NthDay::Weekday(weekday)) => {
            conditions.weekdays = 0;
            conditions.last_weekdays = weekday.bit();
        }
    }
    conditions
}
