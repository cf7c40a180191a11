//! The stretch of time that a report covers.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use crate::units::{Instant, Period};

/// Which stretch somebody wants a report of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Up to now.
    Last(Period),
    /// Both days are in it.
    Days(Date, Date),
}

/// The stretch of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Covered {
    /// It begins here.
    pub from: Instant,
    /// Up to here, which is no longer in it.
    pub to: Instant,
}

impl Wanted {
    pub const MONTH: Wanted = Wanted::Last(Period::from_months(1));

    /// By the calendar of UTC: a fleet has one report, wherever its policies live. What lies ahead is left out.
    pub fn at(self, now: Instant) -> Result<Covered, String> {
        let midnight = |day: Date| day.to_zoned(TimeZone::UTC).map(|day| day.timestamp()).map_err(|error| error.to_string());
        let covered = match self {
            Wanted::Last(period) => Covered { from: period.before(now, &TimeZone::UTC), to: now },
            Wanted::Days(first, last) => {
                Covered { from: midnight(first)?, to: midnight(last.tomorrow().map_err(|error| error.to_string())?)?.min(now) }
            }
        };
        if covered.from < covered.to { Ok(covered) } else { Err("the stretch lies ahead: nothing has happened in it yet".to_owned()) }
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "month" => return Ok(Wanted::MONTH),
            "quarter" => return Ok(Wanted::Last(Period::from_months(3))),
            "year" => return Ok(Wanted::Last(Period::from_years(1))),
            _ => {}
        }
        let wrong = || "write `month`, `quarter`, `year`, or two days as `2026-07-01..2026-09-30`".to_owned();
        // The parser of days also takes a time, and forgets it.
        let day = |text: &str| text.parse::<Date>().ok().filter(|_| text.len() == "2026-07-01".len());
        let (first, last) = text.split_once("..").ok_or_else(wrong)?;
        let (first, last) = (day(first).ok_or_else(wrong)?, day(last).ok_or_else(wrong)?);
        if last < first {
            return Err(format!("{last} comes before {first}"));
        }
        Ok(Wanted::Days(first, last))
    }
}

impl Covered {
    pub fn seconds(&self) -> i64 {
        self.to.as_second() - self.from.as_second()
    }

    pub fn holds(&self, at: Instant) -> bool {
        self.from <= at && at < self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().expect("a moment")
    }

    #[test]
    fn a_stretch_is_read_and_ends_now() {
        let now = at("2026-11-21T08:00:00Z");
        let covered = |text: &str| text.parse::<Wanted>().and_then(|wanted| wanted.at(now));
        assert_eq!(covered("month"), Ok(Covered { from: at("2026-10-21T08:00:00Z"), to: now }));
        assert_eq!(covered("year").map(|covered| covered.from), Ok(at("2025-11-21T08:00:00Z")));
        let quarter = covered("2026-07-01..2026-09-30").expect("a quarter");
        assert_eq!((quarter.from, quarter.to), (at("2026-07-01T00:00:00Z"), at("2026-10-01T00:00:00Z")));
        assert_eq!(covered("2026-11-01..2026-11-30").map(|covered| covered.to), Ok(now));
    }

    #[test]
    fn what_is_no_stretch_says_how_one_is_written() {
        let now = at("2026-11-21T08:00:00Z");
        for wrong in ["", "week", "2026-07-01", "2026-07-01..", "2026-07-01T00:00:00..2026-09-30", "a..b"] {
            assert!(wrong.parse::<Wanted>().expect_err(wrong).contains("`month`"), "{wrong}");
        }
        assert!("2026-09-30..2026-07-01".parse::<Wanted>().expect_err("backwards").contains("before"));
        let ahead: Wanted = "2027-01-01..2027-01-31".parse().expect("read");
        assert!(ahead.at(now).expect_err("ahead").contains("ahead"));
    }
}
