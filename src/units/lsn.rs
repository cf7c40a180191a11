use std::fmt;
use std::num::{NonZeroU32, ParseIntError};
use std::str::FromStr;

use thiserror::Error;

/// A position in the write-ahead log, as PostgreSQL writes it: `16/B374D848`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a position in the write-ahead log; PostgreSQL writes one as `16/B374D848`")]
pub struct LsnError(String);

impl FromStr for Lsn {
    type Err = LsnError;
    fn from_str(text: &str) -> Result<Self, LsnError> {
        let half = |part: &str| {
            let hex = (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
            hex.then(|| u64::from_str_radix(part, 16).ok()).flatten()
        };
        let (high, low) = text
            .split_once('/')
            .and_then(|(high, low)| Some((half(high)?, half(low)?)))
            .ok_or_else(|| LsnError(super::quantity::clipped(text)))?;
        Ok(Lsn(high << 32 | low))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// A branch of a cluster's history; counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[schemars(transparent)]
pub struct Timeline(pub NonZeroU32);

impl Timeline {
    pub const FIRST: Timeline = Timeline(NonZeroU32::MIN);
}

impl FromStr for Timeline {
    type Err = ParseIntError;
    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Timeline)
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

super::text_form!(Lsn, name: "Lsn", format: "lsn",
    pattern: r"^[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$",
    examples: ["16/B374D848"],
    about: "A position in the write-ahead log, as PostgreSQL writes it.");
