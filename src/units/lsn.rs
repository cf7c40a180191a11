use std::fmt;
use std::num::{NonZeroU32, ParseIntError};
use std::str::FromStr;

use thiserror::Error;

/// A position in the write-ahead log, as PostgreSQL writes it: `16/B374D848`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_position_is_two_halves() {
        assert_eq!("16/B374D848".parse(), Ok(Lsn(0x16_B374_D848)));
        assert_eq!("0/0".parse(), Ok(Lsn(0)));
        assert_eq!("ffffffff/FFFFFFFF".parse(), Ok(Lsn(u64::MAX)));
        // Not the text decides what is later: 9/0 is before 10/0.
        assert!("9/0".parse::<Lsn>().expect("it is one") < "10/0".parse().expect("it is one"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "/", "16", "16/", "/16", "+1/0", "0x1/0", "1/2/3", "123456789/0", "G/0", "1 /0", "１/0"] {
            let error = text.parse::<Lsn>().expect_err(text);
            assert_eq!(
                error.to_string(),
                format!("`{text}` is not a position in the write-ahead log; PostgreSQL writes one as `16/B374D848`")
            );
        }
    }

    #[test]
    fn timelines_count_from_one() {
        assert_eq!("1".parse(), Ok(Timeline::FIRST));
        assert_eq!(Timeline::FIRST.to_string(), "1");
        for text in ["0", "", "-1", "4294967296", "1.0"] {
            assert!(text.parse::<Timeline>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(position in any::<u64>()) {
            prop_assert_eq!(Lsn(position).to_string().parse(), Ok(Lsn(position)));
        }
    }
}
