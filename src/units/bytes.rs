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
            if suffix.is_empty() && UNITS.iter().any(|(known, _)| known.eq_ignore_ascii_case(unit)) {
                error.hint = format!("Case matters in units: {}.", kind.units);
            }
            return Err(error);
        };
        bytes = number
            .checked_mul(*size)
            .and_then(|more| bytes.checked_add(more))
            .filter(|&all| all <= 1 << 60)
            .ok_or_else(|| quantity::too_large(text, kind))?;
    }
    if bytes == 0 { Err(quantity::zero(text, kind)) } else { Ok(bytes) }
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

/// The largest unit that writes it exactly; otherwise three significant digits of the decimal unit below it, marked `~`.
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

impl Bytes {
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
