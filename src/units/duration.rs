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
const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

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
            seconds = seconds.saturating_add(number.saturating_mul(each));
        }
        match seconds {
            0 => Err(quantity::zero(text, &KIND)),
            _ if seconds > Duration::MAX.seconds => Err(quantity::too_large(text, &KIND)),
            _ => Ok(Duration { seconds }),
        }
    }
}

/// The exact spelling that people use: `90m` is written `1h 30m`, up to two days stay hours (`25h`, not `1d 1h`), and `0s`
/// stands for nothing at all.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: u64 = 86_400;
        let in_days = self.seconds >= 3 * DAY || (self.seconds >= 2 * DAY && self.seconds.is_multiple_of(DAY));
        let mut parts = Vec::new();
        let mut rest = self.seconds;
        for (size, unit) in UNITS.into_iter().filter(|(size, _)| in_days || *size < DAY) {
            if rest >= size {
                parts.push(format!("{}{unit}", rest / size));
                rest %= size;
            }
        }
        f.pad(&if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::QuantityFault;
    use super::*;

    fn error(text: &str) -> (QuantityFault, String, String) {
        let error = text.parse::<Duration>().expect_err(text);
        (error.fault, error.message, error.hint)
    }

    #[test]
    fn every_unit_has_its_spellings() {
        for (spellings, each) in [
            (["s", "sec", "secs", "second", "seconds"].as_slice(), 1),
            (&["m", "min", "mins", "minute", "minutes"], 60),
            (&["h", "hour", "hours"], 3_600),
            (&["d", "day", "days"], 86_400),
            (&["w", "week", "weeks"], 604_800),
        ] {
            for unit in spellings {
                assert_eq!(format!("3{unit}").parse(), Ok(Duration::from_secs(3 * each)), "{unit}");
                assert_eq!(format!("3 {unit}").parse(), Ok(Duration::from_secs(3 * each)), "{unit}");
            }
        }
        assert_eq!("1h30m".parse(), Ok(Duration::from_mins(90)));
        assert_eq!("1h 30m".parse(), Ok(Duration::from_mins(90)));
        assert_eq!("0h 5m".parse(), Ok(Duration::from_mins(5)));
    }

    #[test]
    fn mistakes_are_named() {
        let many = "Write a number and a unit, for example `15m` (units: s, m, h, d, w).".to_owned();
        assert_eq!(error("15"), (QuantityFault::MissingUnit, "`15` has no unit".into(), many.clone()));
        assert_eq!(error("soon"), (QuantityFault::Form, "`soon` is not a duration".into(), many));
        assert_eq!(
            error("15 fortnights"),
            (
                QuantityFault::UnknownUnit,
                "`fortnights` is not a unit of a duration".into(),
                "The units are s, m, h, d, w, for example `15m`.".into()
            )
        );
        for (text, unit) in [("1y", "y"), ("2 months", "months"), ("1mo", "mo")] {
            assert_eq!(
                error(text),
                (
                    QuantityFault::UnknownUnit,
                    format!("`{unit}` is not a unit of a duration"),
                    "Months and years differ in length, so this exact duration is written in days, for example `365d`.".into()
                )
            );
        }
        assert_eq!(
            error("0s"),
            (QuantityFault::Zero, "`0s` is zero".into(), "Write a duration greater than zero, or leave the key out.".into())
        );
    }

    #[test]
    fn a_thousand_years_are_the_limit() {
        assert_eq!("365000d".parse(), Ok(Duration::MAX));
        for text in ["365000d 1s", "365001d", "18446744073709551615s", "99999999999999999999w", "18446744073709551615s 1s"] {
            assert_eq!(
                error(text),
                (
                    QuantityFault::TooLarge,
                    format!("`{text}` is larger than any duration can be"),
                    "Write a smaller one, for example `15m`.".into()
                )
            );
        }
    }

    #[test]
    fn a_unit_is_judged_before_a_size() {
        assert_eq!(error("99999999999999999999s 1x").0, QuantityFault::UnknownUnit);
    }

    #[test]
    fn it_is_written_as_people_would() {
        for (seconds, written) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (5_400, "1h 30m"),
            (90_061, "25h 1m 1s"),
            (172_800, "2d"),
            (604_800, "7d"),
            (8 * 86_400, "8d"),
            (14 * 86_400, "14d"),
        ] {
            assert_eq!(Duration::from_secs(seconds).to_string(), written);
        }
        assert_eq!(format!("{:>6}|", Duration::from_mins(5)), "    5m|");
    }

    #[test]
    fn time_never_runs_backwards() {
        let (early, late) = (super::super::Instant::UNIX_EPOCH, "1970-01-01T00:01:00Z".parse().expect("a moment"));
        assert_eq!(Duration::between(early, late), Duration::from_mins(1));
        assert_eq!(Duration::between(late, early), Duration::ZERO);
        assert_eq!(Duration::from_secs(1) - Duration::from_secs(2), Duration::ZERO);
        assert_eq!(Duration::from_secs(u64::MAX) + Duration::from_secs(1), Duration::from_secs(u64::MAX));
        assert_eq!(Duration::from_secs(u64::MAX) * 2, Duration::from_secs(u64::MAX));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(seconds in 1..=Duration::MAX.as_secs()) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
