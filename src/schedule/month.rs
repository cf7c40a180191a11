//! Walking the Gregorian calendar month by month. Days are counted from 1970-01-01.

use jiff::tz::Offset;

use crate::units::Instant;

/// 0001-01-01 and 9998-12-31: what lies outside is not on this calendar.
pub(super) const FIRST_DAY: i64 = -719_162;
pub(super) const LAST_DAY: i64 = 2_932_531;

/// One month of one year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Month {
    pub year: i16,
    /// 1 is January.
    pub number: u8,
    /// The day number of its first day.
    pub first: i64,
}

/// Monday is 0. The first of January 1970 was a Thursday.
pub(super) fn weekday(day: i64) -> u32 {
    (day + 3).rem_euclid(7) as u32
}

impl Month {
    /// The month of a day between [`FIRST_DAY`] and [`LAST_DAY`].
    pub(super) fn containing(day: i64) -> Month {
        let day = day.clamp(FIRST_DAY, LAST_DAY);
        let midnight = Instant::from_second(day * 86_400).unwrap_or(Instant::UNIX_EPOCH);
        let date = Offset::UTC.to_datetime(midnight).date();
        Month { year: date.year(), number: date.month() as u8, first: day + 1 - i64::from(date.day()) }
    }

    pub(super) fn length(self) -> u32 {
        match self.number {
            2 if is_leap(self.year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    pub(super) fn next(self) -> Month {
        let first = self.first + i64::from(self.length());
        match self.number {
            12 => Month { year: self.year + 1, number: 1, first },
            number => Month { year: self.year, number: number + 1, first },
        }
    }

    pub(super) fn before(self) -> Month {
        let mut month = match self.number {
            1 => Month { year: self.year - 1, number: 12, first: 0 },
            number => Month { year: self.year, number: number - 1, first: 0 },
        };
        month.first = self.first - i64::from(month.length());
        month
    }
}

pub(super) fn is_leap(year: i16) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walking_by_months_meets_every_first_of_the_month() {
        let mut month = Month::containing(FIRST_DAY);
        while month.first < LAST_DAY - 31 {
            let next = month.next();
            assert_eq!(next.before(), month);
            month = next;
            if month.number == 3 {
                assert_eq!(Month::containing(month.first), month);
                assert_eq!(Month::containing(month.first - 1), month.before());
            }
        }
        assert_eq!((month.year, month.number), (9998, 12));
    }
}
