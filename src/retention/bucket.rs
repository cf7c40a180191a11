use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::TierKind;
use crate::units::Instant;

/// A stretch of the calendar of which one backup is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    pub tier: TierKind,
    /// A day in it.
    pub date: Date,
    /// For an hourly one, the hour of that day.
    pub hour: i8,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.tier.bucket_word())?;
        let (year, month) = (self.date.year(), self.date.month());
        match self.tier {
            TierKind::Hourly => write!(f, "{} {:02}h", self.date, self.hour),
            TierKind::Daily => write!(f, "{}", self.date),
            TierKind::Weekly => {
                let week = self.date.iso_week_date();
                write!(f, "{}-W{:02}", week.year(), week.week())
            }
            TierKind::Monthly => write!(f, "{year}-{month:02}"),
            TierKind::Quarterly => write!(f, "{year}-Q{}", quarter(month) + 1),
            TierKind::Yearly => write!(f, "{year}"),
        }
    }
}

const fn quarter(month: i8) -> i8 {
    (month - 1) / 3
}

/// A moment on a calendar, from which each bucket's number follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local {
    date: Date,
    hour: i8,
    days: i64,
    hours: i64,
}

impl Local {
    pub(super) fn of(moment: Instant, zone: &TimeZone) -> Local {
        let offset = zone.to_offset(moment);
        let civil = offset.to_datetime(moment);
        let offset_seconds = i64::from(offset.seconds());
        Local {
            date: civil.date(),
            hour: civil.hour(),
            days: (moment.as_second() + offset_seconds).div_euclid(86_400),
            // Elapsed hours, aligned to the clock: so the hour that autumn repeats is two, and the numbers never go back.
            hours: (moment.as_second() + offset_seconds.rem_euclid(3_600)).div_euclid(3_600),
        }
    }

    /// Grows from one bucket of this tier to the next.
    pub(super) fn number(self, tier: TierKind) -> i64 {
        let (year, month) = (i64::from(self.date.year()), self.date.month());
        match tier {
            TierKind::Hourly => self.hours,
            TierKind::Daily => self.days,
            // 1 January 1970 was a Thursday: three days after a Monday.
            TierKind::Weekly => (self.days + 3).div_euclid(7),
            TierKind::Monthly => year * 12 + i64::from(month) - 1,
            TierKind::Quarterly => year * 4 + i64::from(quarter(month)),
            TierKind::Yearly => year,
        }
    }

    pub(super) fn bucket(self, tier: TierKind) -> Bucket {
        Bucket { tier, date: self.date, hour: self.hour }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str, zone: &str) -> Local {
        Local::of(text.parse().expect("a moment"), &jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("a zone"))
    }

    #[test]
    fn weeks_begin_on_monday_and_have_their_own_year() {
        let (sunday, monday) = (local("2027-01-03T12:00:00Z", "UTC"), local("2027-01-04T00:00:00Z", "UTC"));
        assert_eq!(sunday.bucket(TierKind::Weekly).to_string(), "week 2026-W53");
        assert_eq!(monday.bucket(TierKind::Weekly).to_string(), "week 2027-W01");
        assert_eq!(sunday.number(TierKind::Weekly) + 1, monday.number(TierKind::Weekly));
    }

    #[test]
    fn the_repeated_hour_of_autumn_is_two_buckets_of_one_day() {
        let (first, second) = (local("2026-10-25T00:30:00Z", "Europe/Berlin"), local("2026-10-25T01:30:00Z", "Europe/Berlin"));
        assert_eq!(first.bucket(TierKind::Hourly).to_string(), "hour 2026-10-25 02h");
        assert_eq!(first.number(TierKind::Hourly) + 1, second.number(TierKind::Hourly));
        assert_eq!(first.number(TierKind::Daily), second.number(TierKind::Daily));
    }

    #[test]
    fn a_day_is_the_zone_s_day() {
        let evening = "2026-12-31T23:30:00Z";
        assert_eq!(local(evening, "UTC").bucket(TierKind::Yearly).to_string(), "year 2026");
        assert_eq!(local(evening, "Asia/Kolkata").bucket(TierKind::Quarterly).to_string(), "quarter 2027-Q1");
    }
}
