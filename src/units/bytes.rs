use std::fmt;
use std::str::FromStr;

use super::Duration;
use super::quantity::{self, Kind, QuantityError};

/// A size in bytes. `kB`, `MB`, … are powers of 1000; `KiB`, `MiB`, … are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(u64);

/// Bytes each second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

const SIZE: Kind = Kind { kind: "size", like: "500GB", units: "B, kB, MB, GB, TB, PB, KiB, MiB, GiB, TiB, PiB" };
const RATE: Kind = Kind { kind: "rate", like: "200MB/s", units: "B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s" };

/// 1024 PiB: nothing a policy says is larger.
const MAX: u64 = 1 << 60;

const UNITS: [(&str, u64); 11] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

fn total<'t>(terms: impl Iterator<Item = (u64, &'t str)>, text: &str, kind: &Kind, suffix: &str) -> Result<u64, QuantityError> {
    let mut bytes: u64 = 0;
    for (number, unit) in terms {
        let size =
            unit.strip_suffix(suffix).and_then(|name| UNITS.iter().find(|(known, _)| *known == name || (*known == "kB" && name == "KB")));
        let Some((_, size)) = size else {
            let mut error = quantity::unknown_unit(unit, kind);
            if !suffix.is_empty() && UNITS.iter().any(|(known, _)| *known == unit) {
                error.hint = format!("A rate says how much in a second: write `{}{suffix}`.", quantity::clipped(text));
            }
            if suffix.is_empty() && UNITS.iter().any(|(known, _)| known.eq_ignore_ascii_case(unit)) {
                error.hint = format!("Case matters in units: {}.", kind.units);
            }
            return Err(error);
        };
        bytes = bytes.saturating_add(number.saturating_mul(*size));
    }
    match bytes {
        0 => Err(quantity::zero(text, kind)),
        _ if bytes > MAX => Err(quantity::too_large(text, kind)),
        _ => Ok(bytes),
    }
}

impl Bytes {
    pub const ZERO: Bytes = Bytes(0);
    pub const fn new(bytes: u64) -> Self {
        Bytes(bytes)
    }
    pub const fn get(self) -> u64 {
        self.0
    }
    pub const fn saturating_add(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_add(other.0))
    }
    /// How long it takes at `rate`, rounded up to a second.
    pub fn at(self, rate: Rate) -> Duration {
        Duration::from_secs(self.0.div_ceil(rate.0.max(1)))
    }
}

impl Rate {
    pub const fn per_second(bytes: u64) -> Self {
        Rate(bytes)
    }
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Bytes {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        total(quantity::terms(text, &SIZE)?.into_iter(), text, &SIZE, "").map(Bytes)
    }
}

impl FromStr for Rate {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let terms = quantity::terms(text, &RATE)?;
        if terms.len() > 1 {
            return Err(QuantityError::new(
                super::QuantityFault::Form,
                format!("`{}` is not a rate", quantity::clipped(text)),
                "Write one number and a unit, for example `200MB/s`.",
            ));
        }
        total(terms.into_iter(), text, &RATE, "/s").map(Rate)
    }
}

/// In the largest unit that writes it exactly with fewer than six digits; otherwise in bytes.
fn write(bytes: u64, suffix: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if bytes == 0 {
        return f.pad(&format!("0B{suffix}"));
    }
    let exact = UNITS.iter().filter(|(_, size)| bytes.is_multiple_of(*size)).max_by_key(|(_, size)| *size);
    if let Some((unit, size)) = exact
        && bytes / size < 100_000
    {
        return f.pad(&format!("{}{unit}{suffix}", bytes / size));
    }
    f.pad(&format!("{bytes}B{suffix}"))
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, "", f)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, "/s", f)
    }
}

/// So many signs a figure has that a policy would say.
const SHORT: usize = 6;

impl Rate {
    /// As a policy would say it where that is short, else about how much: `80MB/s`, `50.8 MB/s`.
    pub fn told(self) -> String {
        format!("{}/s", Bytes::new(self.get()).told())
    }
}

impl Bytes {
    /// As a policy would say it where that is short, else about how much: `500GB`, `35.2 MB`.
    pub fn told(self) -> String {
        let exact = self.to_string();
        if exact.len() <= SHORT { exact } else { self.rounded() }
    }

    /// About how much, for people: `38.2 GB`.
    pub fn rounded(self) -> String {
        let decimal = UNITS.iter().filter(|(name, _)| !name.contains('i'));
        for (unit, size) in decimal {
            if self.0 >= *size && *size > 1 {
                let tenths = self.0 / (size / 10);
                return if tenths.is_multiple_of(10) || tenths >= 1_000 {
                    format!("{} {unit}", tenths / 10)
                } else {
                    format!("{}.{} {unit}", tenths / 10, tenths % 10)
                };
            }
        }
        format!("{} B", self.0)
    }
}

super::text_form!(Bytes, name: "Bytes", format: "size-with-unit",
    pattern: r"^[0-9]+ ?(B|[kK]B|[MGTP]B|[KMGTP]iB)( ?[0-9]+ ?(B|[kK]B|[MGTP]B|[KMGTP]iB))*$",
    examples: ["500GB", "64MiB"],
    about: "A size with its unit: kB, MB, GB, TB, PB are powers of 1000; KiB, MiB, GiB, TiB, PiB powers of 1024.");

super::text_form!(Rate, name: "Rate", format: "rate-with-unit",
    pattern: r"^[0-9]+ ?(B|[kK]B|[MGTP]B|[KMGTP]iB)/s$",
    examples: ["200MB/s"],
    about: "Bytes each second, with the unit: MB/s, MiB/s, GB/s, …");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::QuantityFault;
    use super::*;

    fn error<T: FromStr<Err = QuantityError> + fmt::Debug>(text: &str) -> (QuantityFault, String, String) {
        let error = text.parse::<T>().expect_err(text);
        (error.fault, error.message, error.hint)
    }

    #[test]
    fn decimal_and_binary_units_differ() {
        for (text, bytes) in [
            ("1B", 1),
            ("1kB", 1_000),
            ("1KB", 1_000),
            ("1KiB", 1_024),
            ("500GB", 500_000_000_000),
            ("64MiB", 64 << 20),
            ("2 TB", 2_000_000_000_000),
            ("1TiB 512 GiB", (1 << 40) + (512 << 30)),
            ("1024PiB", 1 << 60),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        assert_eq!("200MB/s".parse(), Ok(Rate(200_000_000)));
        assert_eq!("1 GiB/s".parse(), Ok(Rate(1 << 30)));
    }

    #[test]
    fn mistakes_in_sizes_are_named() {
        const UNITS: &str = "B, kB, MB, GB, TB, PB, KiB, MiB, GiB, TiB, PiB";
        assert_eq!(
            error::<Bytes>("500"),
            (
                QuantityFault::MissingUnit,
                "`500` has no unit".into(),
                format!("Write a number and a unit, for example `500GB` (units: {UNITS}).")
            )
        );
        assert_eq!(
            error::<Bytes>("500G"),
            (QuantityFault::UnknownUnit, "`G` is not a unit of a size".into(), format!("The units are {UNITS}, for example `500GB`."))
        );
        assert_eq!(
            error::<Bytes>("500gb"),
            (QuantityFault::UnknownUnit, "`gb` is not a unit of a size".into(), format!("Case matters in units: {UNITS}."))
        );
        assert_eq!(error::<Bytes>("5MB/s").1, "`MB/s` is not a unit of a size");
        assert_eq!(error::<Bytes>("0GB").0, QuantityFault::Zero);
        for text in ["1025PiB", "1024PiB 1B", "99999999999999999999B", "18446744073709551615PiB 1B"] {
            assert_eq!(
                error::<Bytes>(text),
                (
                    QuantityFault::TooLarge,
                    format!("`{text}` is larger than any size can be"),
                    "Write a smaller one, for example `500GB`.".into()
                )
            );
        }
    }

    #[test]
    fn mistakes_in_rates_are_named() {
        assert_eq!(
            error::<Rate>("200MB"),
            (
                QuantityFault::UnknownUnit,
                "`MB` is not a unit of a rate".into(),
                "A rate says how much in a second: write `200MB/s`.".into()
            )
        );
        assert_eq!(
            error::<Rate>("1GB/s 1MB/s"),
            (QuantityFault::Form, "`1GB/s 1MB/s` is not a rate".into(), "Write one number and a unit, for example `200MB/s`.".into())
        );
        assert_eq!(error::<Rate>("0B/s").0, QuantityFault::Zero);
        assert_eq!(error::<Rate>("9999999PB/s").0, QuantityFault::TooLarge);
    }

    #[test]
    fn it_is_written_exactly_and_shown_roughly() {
        for (bytes, written, shown) in [
            (0, "0B", "0 B"),
            (999, "999B", "999 B"),
            (1_000, "1kB", "1 kB"),
            (1_024, "1KiB", "1 kB"),
            (1_500, "1500B", "1.5 kB"),
            (38_200_000_000, "38200MB", "38.2 GB"),
            (500_000_000_000, "500GB", "500 GB"),
            (99_960_000, "99960kB", "99.9 MB"),
            (999_999_999, "999999999B", "999 MB"),
            (1 << 60, "1024PiB", "1152 PB"),
        ] {
            assert_eq!((Bytes(bytes).to_string().as_str(), Bytes(bytes).rounded().as_str()), (written, shown));
        }
        assert_eq!(Rate(200_000_000).to_string(), "200MB/s");
    }

    #[test]
    fn time_for_bytes_is_rounded_up() {
        assert_eq!(Bytes(1_001).at(Rate(1_000)), Duration::from_secs(2));
        assert_eq!(Bytes(1_000).at(Rate(1_000)), Duration::from_secs(1));
        assert_eq!(Bytes::ZERO.at(Rate(1_000)), Duration::ZERO);
        assert_eq!(Bytes(7).at(Rate(0)), Duration::from_secs(7));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(bytes in 1..=MAX) {
            prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
            prop_assert_eq!(Rate(bytes).to_string().parse(), Ok(Rate(bytes)));
        }

        #[test]
        fn multiples_of_units_read_as_the_same(count in 1..1_000u64, unit in 0..UNITS.len()) {
            let bytes = Bytes(count * UNITS[unit].1);
            prop_assert_eq!(bytes.to_string().parse(), Ok(bytes));
        }
    }

    #[test]
    fn a_figure_is_told_as_a_policy_would_say_it_where_that_is_short() {
        for (bytes, told) in
            [(500_000_000_000, "500GB"), (64 << 20, "64MiB"), (35_240_232, "35.2 MB"), (50_800_000, "50.8 MB"), (80_000_000, "80MB")]
        {
            assert_eq!(Bytes::new(bytes).told(), told);
            assert_eq!(Rate::per_second(bytes).told(), format!("{told}/s"));
        }
    }
}
