use std::fmt;
use std::ops::{Add, Mul, Sub};
use std::str::FromStr;

use super::quantity::{self, Kind, QuantityError};

/// An exact length of time, in seconds: an objective, a timeout, a delay. A day is 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration {
    seconds: u64,
}

const KIND: Kind = Kind { kind: "duration", like: "15m", units: "s, m, h, d, w" };
const UNITS: [(u64, &str); 5] = [(604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

impl Duration {
    pub const ZERO: Duration = Duration { seconds: 0 };
    /// A thousand years: nothing a policy says is longer.
    pub const MAX: Duration = Duration { seconds: 1_000 * 365 * 86_400 };

    pub const fn from_secs(seconds: u64) -> Self {
        Duration { seconds }
    }
    pub const fn from_mins(minutes: u64) -> Self {
        Duration { seconds: minutes * 60 }
    }
    pub const fn from_hours(hours: u64) -> Self {
        Duration { seconds: hours * 3_600 }
    }
    pub const fn from_days(days: u64) -> Self {
        Duration { seconds: days * 86_400 }
    }
    pub const fn as_secs(self) -> u64 {
        self.seconds
    }
    pub const fn is_zero(self) -> bool {
        self.seconds == 0
    }
    pub const fn saturating_sub(self, other: Duration) -> Duration {
        Duration { seconds: self.seconds.saturating_sub(other.seconds) }
    }
    /// From `earlier` to `later`; zero when they are the other way round.
    pub fn between(earlier: super::Instant, later: super::Instant) -> Duration {
        Duration { seconds: u64::try_from(later.as_second() - earlier.as_second()).unwrap_or(0) }
    }
    pub fn to_signed(self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_secs(i64::try_from(self.seconds).unwrap_or(i64::MAX))
    }
}

impl FromStr for Duration {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let mut seconds: u64 = 0;
        for (number, unit) in quantity::terms(text, &KIND)? {
            let each = match unit {
                "s" | "sec" | "secs" | "second" | "seconds" => 1,
                "m" | "min" | "mins" | "minute" | "minutes" => 60,
                "h" | "hour" | "hours" => 3_600,
                "d" | "day" | "days" => 86_400,
                "w" | "week" | "weeks" => 604_800,
                "mo" | "month" | "months" | "y" | "year" | "years" => {
                    let mut error = quantity::unknown_unit(unit, &KIND);
                    error.hint = "Months and years differ in length, so this exact duration is written in days, for example `365d`.".into();
                    return Err(error);
                }
                _ => return Err(quantity::unknown_unit(unit, &KIND)),
            };
            seconds = number
                .checked_mul(each)
                .and_then(|more| seconds.checked_add(more))
                .filter(|&all| all <= Duration::MAX.seconds)
                .ok_or_else(|| quantity::too_large(text, &KIND))?;
        }
        if seconds == 0 { Err(quantity::zero(text, &KIND)) } else { Ok(Duration { seconds }) }
    }
}

/// The shortest exact spelling: `90m` is written `1h 30m`, and `0s` stands for nothing at all.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seconds == 0 {
            return f.pad("0s");
        }
        let mut text = String::new();
        let mut rest = self.seconds;
        for (size, unit) in UNITS {
            // Weeks only when nothing else is left over: `8d` reads better than `1w 1d`.
            if size == 604_800 && !rest.is_multiple_of(size) {
                continue;
            }
            if rest >= size {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(&format!("{}{unit}", rest / size));
                rest %= size;
            }
        }
        f.pad(&text)
    }
}

impl Add for Duration {
    type Output = Duration;
    fn add(self, other: Duration) -> Duration {
        Duration { seconds: self.seconds.saturating_add(other.seconds) }
    }
}
impl Sub for Duration {
    type Output = Duration;
    fn sub(self, other: Duration) -> Duration {
        self.saturating_sub(other)
    }
}
impl Mul<u64> for Duration {
    type Output = Duration;
    fn mul(self, factor: u64) -> Duration {
        Duration { seconds: self.seconds.saturating_mul(factor) }
    }
}
impl std::iter::Sum for Duration {
    fn sum<I: Iterator<Item = Duration>>(all: I) -> Duration {
        all.fold(Duration::ZERO, |sum, each| sum + each)
    }
}

super::text_form!(Duration, name: "Duration", format: "duration-with-unit",
    pattern: r"^[0-9]+ ?(s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?)( ?[0-9]+ ?(s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?))*$",
    examples: ["15m", "4h", "1h 30m"],
    about: "An exact length of time with its unit: s, m, h, d (24 hours), w.");
