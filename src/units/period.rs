use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;

use super::Instant;
use super::quantity::{self, Kind, QuantityError};

/// A length of time on the calendar: how long something is kept. A month is not 30 days, a year is not 365.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Period {
    months: u32,
    days: u32,
    seconds: u32,
}

const KIND: Kind = Kind { kind: "period", like: "30d", units: "m (minutes), h, d, w, mo (months), y" };
const MAX_MONTHS: u64 = 12_000;
const MAX_DAYS: u64 = 365_000;
const MAX_SECONDS: u64 = 86_400 * 10_000;

impl Period {
    pub const fn from_days(days: u32) -> Self {
        Period { months: 0, days, seconds: 0 }
    }
    pub const fn from_hours(hours: u32) -> Self {
        Period { months: 0, days: 0, seconds: hours * 3_600 }
    }
    pub const fn from_months(months: u32) -> Self {
        Period { months, days: 0, seconds: 0 }
    }
    pub const fn from_years(years: u32) -> Self {
        Period { months: years * 12, days: 0, seconds: 0 }
    }

    /// Of so many months, days and seconds.
    pub(crate) const fn of(months: u32, days: u32, seconds: u32) -> Self {
        Period { months, days, seconds }
    }
    /// Its months, days and seconds.
    pub(crate) const fn parts(self) -> (u32, u32, u32) {
        (self.months, self.days, self.seconds)
    }

    fn span(self) -> jiff::Span {
        // In bounds by construction: the limits above are far inside jiff's.
        jiff::Span::new().months(self.months).days(self.days).seconds(self.seconds)
    }

    /// The moment this long before `now`, by the calendar of `zone`. A day that the shorter month lacks becomes its last
    /// day: `7y` before 29 February 2028 is 28 February 2021. Saturates at the beginning of representable time.
    pub fn before(self, now: Instant, zone: &TimeZone) -> Instant {
        now.to_zoned(zone.clone()).checked_sub(self.span()).map_or(Instant::MIN, |then| then.timestamp())
    }

    /// The moment this long after `then`; as [`Period::before`], the other way.
    pub fn after(self, then: Instant, zone: &TimeZone) -> Instant {
        then.to_zoned(zone.clone()).checked_add(self.span()).map_or(Instant::MAX, |until| until.timestamp())
    }

    /// The length with average months, for ordering and estimates only.
    pub fn approximate(self) -> super::Duration {
        const SECONDS_PER_MONTH: u64 = 2_629_746; // 365.2425 days / 12
        super::Duration::from_secs(u64::from(self.months) * SECONDS_PER_MONTH + u64::from(self.days) * 86_400 + u64::from(self.seconds))
    }
}

impl FromStr for Period {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (mut months, mut days, mut seconds) = (0u64, 0u64, 0u64);
        for (number, unit) in quantity::terms(text, &KIND)? {
            let (total, each) = match unit {
                "s" | "sec" | "secs" | "second" | "seconds" => (&mut seconds, 1),
                "m" | "min" | "mins" | "minute" | "minutes" => (&mut seconds, 60),
                "h" | "hour" | "hours" => (&mut seconds, 3_600),
                "d" | "day" | "days" => (&mut days, 1),
                "w" | "week" | "weeks" => (&mut days, 7),
                "mo" | "month" | "months" => (&mut months, 1),
                "y" | "year" | "years" => (&mut months, 12),
                _ => return Err(quantity::unknown_unit(unit, &KIND)),
            };
            *total = number.checked_mul(each).and_then(|more| total.checked_add(more)).ok_or_else(|| quantity::too_large(text, &KIND))?;
        }
        if months > MAX_MONTHS || days > MAX_DAYS || seconds > MAX_SECONDS {
            return Err(quantity::too_large(text, &KIND));
        }
        if months + days + seconds == 0 {
            return Err(quantity::zero(text, &KIND));
        }
        let narrow = |value: u64| u32::try_from(value).map_err(|_| quantity::too_large(text, &KIND));
        Ok(Period { months: narrow(months)?, days: narrow(days)?, seconds: narrow(seconds)? })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut push = |count: u32, unit: &str| {
            if count > 0 {
                parts.push(format!("{count}{unit}"));
            }
        };
        push(self.months / 12, "y");
        push(self.months % 12, "mo");
        if self.days.is_multiple_of(7) && self.days >= 28 {
            push(self.days / 7, "w");
        } else {
            push(self.days, "d");
        }
        push(self.seconds / 3_600, "h");
        push(self.seconds % 3_600 / 60, "m");
        push(self.seconds % 60, "s");
        if parts.is_empty() { f.pad("0d") } else { f.pad(&parts.join(" ")) }
    }
}

impl PartialOrd for Period {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Period {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.approximate().cmp(&other.approximate()).then((self.months, self.days, self.seconds).cmp(&(
            other.months,
            other.days,
            other.seconds,
        )))
    }
}

super::text_form!(Period, name: "Period", format: "calendar-period",
    pattern: r"^[0-9]+ ?(s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?|mo|months?|y|years?)( ?[0-9]+ ?(s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?|mo|months?|y|years?))*$",
    examples: ["30d", "12 weeks", "7y"],
    about: "A length of time on the calendar with its unit: m (minutes), h, d, w, mo (months), y. A month is not 30 days.");
