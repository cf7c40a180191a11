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

    /// The same length, however it is written: a day counts as 24 hours, and a month as no number of days.
    pub fn is_as_long_as(self, other: Period) -> bool {
        let seconds = |one: Period| u64::from(one.days) * 86_400 + u64::from(one.seconds);
        self.months == other.months && seconds(self) == seconds(other)
    }

    /// On every day of the calendar, however either is written.
    pub fn is_surely_shorter(self, other: Period) -> bool {
        !self.is_as_long_as(other) && !other.may_be_shorter(self)
    }

    /// On some day of the calendar it reaches less far than `other`: a month has 28 days or 31, a year 365 or 366.
    pub fn may_be_shorter(self, other: Period) -> bool {
        let both = self.months.min(other.months);
        let rest = |period: Period| u64::from(period.days) * 86_400 + u64::from(period.seconds);
        shortest(self.months - both) * 86_400 + rest(self) < longest(other.months - both) * 86_400 + rest(other)
    }

    /// The length with average months, for ordering and estimates only.
    pub fn approximate(self) -> super::Duration {
        const SECONDS_PER_MONTH: u64 = 2_629_746; // 365.2425 days / 12
        super::Duration::from_secs(u64::from(self.months) * SECONDS_PER_MONTH + u64::from(self.days) * 86_400 + u64::from(self.seconds))
    }
}

/// The fewest days that so many months in a row have.
fn shortest(months: u32) -> u64 {
    const OF_A_YEAR: [u64; 12] = [0, 28, 59, 89, 120, 150, 181, 212, 242, 273, 303, 334];
    // Eight years lie around 2100 without a 29 February.
    let years = u64::from(months / 12);
    years * 365 + years / 8 + OF_A_YEAR[months as usize % 12]
}

/// The most days that so many months in a row have.
fn longest(months: u32) -> u64 {
    const OF_A_YEAR: [u64; 12] = [0, 31, 62, 92, 123, 153, 184, 215, 245, 276, 306, 337];
    let years = u64::from(months / 12);
    years * 365 + years.div_ceil(4) + OF_A_YEAR[months as usize % 12]
}

/// One after the other.
impl std::ops::Add for Period {
    type Output = Period;
    fn add(self, other: Period) -> Period {
        Period {
            months: self.months.saturating_add(other.months),
            days: self.days.saturating_add(other.days),
            seconds: self.seconds.saturating_add(other.seconds),
        }
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
            *total = total.saturating_add(number.saturating_mul(each));
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

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZoneDatabase;
    use proptest::prelude::*;

    use super::super::QuantityFault;
    use super::*;

    fn period(text: &str) -> Period {
        text.parse().expect(text)
    }

    fn moment(text: &str) -> Instant {
        text.parse().expect(text)
    }

    #[test]
    fn calendar_units_stay_calendar_units() {
        assert_eq!(period("12 weeks"), Period::from_days(84));
        assert_eq!(period("1y 6mo"), Period::from_months(18));
        assert_eq!(period("7y"), Period::from_years(7));
        assert_eq!(period("2 years"), Period::from_months(24));
        assert_eq!(period("90m"), Period { months: 0, days: 0, seconds: 5_400 });
        assert_ne!(period("1mo"), period("30d"));
        assert_ne!(period("1y"), period("365d"));
        assert_ne!(period("1d"), period("24h"));
    }

    #[test]
    fn what_is_shorter_on_some_day_may_be_shorter() {
        for (one, other) in
            [("1mo", "31d"), ("30d", "1mo"), ("365d", "1y"), ("59d", "2mo"), ("1y", "366d"), ("12mo", "1y 1d"), ("1h", "2h")]
        {
            assert!(period(one).may_be_shorter(period(other)), "{one} {other}");
        }
        for (one, other) in
            [("1mo", "28d"), ("31d", "1mo"), ("1y", "365d"), ("366d", "1y"), ("1y", "12mo"), ("24h", "1d"), ("13mo", "1y 28d")]
        {
            assert!(!period(one).may_be_shorter(period(other)), "{one} {other}");
        }
        assert_eq!(period("1y 2d") + period("2mo 3d 4h"), period("14mo 5d 4h"));
    }

    #[test]
    fn what_is_surely_shorter_is_so_however_it_is_written() {
        let is = |one: &str, other: &str| period(one).is_surely_shorter(period(other));
        assert!(is("7d", "720h") && is("1d", "48h") && is("48h", "3d") && is("27d", "1mo") && is("11mo", "1y") && is("364d", "1y"));
        assert!(!is("720h", "7d") && !is("48h", "1d") && !is("24h", "1d") && !is("30d", "1mo") && !is("31d", "1mo") && !is("1y", "365d"));
    }

    #[test]
    fn the_shortest_and_the_longest_months_are_those_of_the_calendar() {
        for months in 1..=30 {
            let length = |day: i32| {
                let from = jiff::civil::date(2022, 1, 1) + jiff::Span::new().days(day);
                let to = from + jiff::Span::new().months(months);
                u64::try_from((to - from).get_days()).expect("forward")
            };
            let lengths: Vec<u64> = (0..3 * 1_461).map(length).collect();
            let of = u32::try_from(months).expect("few");
            assert!(lengths.iter().all(|days| (shortest(of)..=longest(of)).contains(days)), "{months}");
            assert_eq!(lengths.iter().max(), Some(&longest(of)), "{months}");
            assert_eq!(lengths.iter().min(), Some(&shortest(of)), "{months}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| {
            let error = text.parse::<Period>().expect_err(text);
            (error.fault, error.message, error.hint)
        };
        assert_eq!(
            error("30"),
            (
                QuantityFault::MissingUnit,
                "`30` has no unit".into(),
                "Write a number and a unit, for example `30d` (units: m (minutes), h, d, w, mo (months), y).".into()
            )
        );
        assert_eq!(
            error("3q"),
            (
                QuantityFault::UnknownUnit,
                "`q` is not a unit of a period".into(),
                "The units are m (minutes), h, d, w, mo (months), y, for example `30d`.".into()
            )
        );
        assert_eq!(error("0d 0y").0, QuantityFault::Zero);
        assert_eq!(error("-1y").1, "`-1y` is negative");
        for text in ["12001mo", "1001y", "365001d", "999999999999999999999y", "18446744073709551615y 18446744073709551615d", "240001h"] {
            assert_eq!(
                error(text),
                (
                    QuantityFault::TooLarge,
                    format!("`{text}` is larger than any period can be"),
                    "Write a smaller one, for example `30d`.".into()
                )
            );
        }
        for text in ["1000y", "365000d", "240000h"] {
            assert!(text.parse::<Period>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_day_that_the_shorter_month_lacks_becomes_its_last_day() {
        for (length, now, before) in [
            ("7y", "2028-02-29T12:00:00Z", "2021-02-28T12:00:00Z"),
            ("4y", "2028-02-29T12:00:00Z", "2024-02-29T12:00:00Z"),
            ("1mo", "2026-03-31T00:00:00Z", "2026-02-28T00:00:00Z"),
            ("1mo", "2028-03-31T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("1mo", "2026-07-31T00:00:00Z", "2026-06-30T00:00:00Z"),
            ("1y", "2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
            // Months first, then days: 31 March, 28 February, 27 February.
            ("1mo 1d", "2026-03-31T00:00:00Z", "2026-02-27T00:00:00Z"),
        ] {
            assert_eq!(period(length).before(moment(now), &TimeZone::UTC), moment(before), "{length} before {now}");
        }
        for (length, then, after) in [
            ("1mo", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"),
            ("1y", "2028-02-29T00:00:00Z", "2029-02-28T00:00:00Z"),
            ("2mo", "2026-12-31T00:00:00Z", "2027-02-28T00:00:00Z"),
        ] {
            assert_eq!(period(length).after(moment(then), &TimeZone::UTC), moment(after), "{length} after {then}");
        }
    }

    #[test]
    fn a_day_is_as_long_as_the_calendar_makes_it() {
        let oslo = TimeZoneDatabase::bundled().get("Europe/Oslo").expect("Oslo is bundled");
        // The clocks go forward on 29 March 2026, so that day has 23 hours, and go back on 25 October, so that one has 25.
        assert_eq!(period("1d").after(moment("2026-03-28T12:00:00+01:00"), &oslo), moment("2026-03-29T12:00:00+02:00"));
        assert_eq!(period("24h").after(moment("2026-03-28T12:00:00+01:00"), &oslo), moment("2026-03-29T13:00:00+02:00"));
        assert_eq!(period("1d").before(moment("2026-10-25T12:00:00+01:00"), &oslo), moment("2026-10-24T12:00:00+02:00"));
        assert_eq!(period("24h").before(moment("2026-10-25T12:00:00+01:00"), &oslo), moment("2026-10-24T13:00:00+02:00"));
    }

    #[test]
    fn it_saturates_where_time_ends() {
        assert_eq!(Period::from_years(1_000).before(Instant::MIN, &TimeZone::UTC), Instant::MIN);
        assert_eq!(Period::from_years(1_000).after(Instant::MAX, &TimeZone::UTC), Instant::MAX);
    }

    #[test]
    fn lengths_are_ordered_about_right() {
        let ordered = ["90m", "1d", "1w", "30d", "1mo", "31d", "12w", "1y", "366d", "7y"].map(period);
        assert!(ordered.is_sorted());
        assert_eq!(period("12mo").cmp(&period("1y")), std::cmp::Ordering::Equal);
    }

    #[test]
    fn it_is_written_as_people_would() {
        for (text, written) in [
            ("84d", "12w"),
            ("7d", "7d"),
            ("30d", "30d"),
            ("18mo", "1y 6mo"),
            ("90m", "1h 30m"),
            ("1y 2mo 3d 4h 5m 6s", "1y 2mo 3d 4h 5m 6s"),
        ] {
            assert_eq!(period(text).to_string(), written);
        }
        assert_eq!(Period::default().to_string(), "0d");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(months in 0..=12_000u32, days in 0..=365_000u32, seconds in 0..=864_000_000u32) {
            let period = Period { months, days, seconds };
            prop_assume!(period != Period::default());
            prop_assert_eq!(period.to_string().parse(), Ok(period));
        }

        #[test]
        fn before_and_after_never_panic(period in (0..=12_000u32, 0..=365_000u32, 0..=864_000_000u32), second in any::<i64>()) {
            let period = Period { months: period.0, days: period.1, seconds: period.2 };
            let second = second.rem_euclid(Instant::MAX.as_second() - Instant::MIN.as_second()) + Instant::MIN.as_second();
            let now = Instant::from_second(second).expect("between the first and the last");
            prop_assert!(period.before(now, &TimeZone::UTC) <= now);
            prop_assert!(period.after(now, &TimeZone::UTC) >= now);
        }
    }
}
