//! How many chunks, from when to when, and how large.

use std::fmt;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use crate::inventory::{Chunk, ChunkRange, Size};
use crate::plan::words::counted;
use crate::units::{Bytes, Instant};

/// A month's chunk is at least this long.
const MONTH: jiff::SignedDuration = jiff::SignedDuration::from_hours(27 * 24);

/// Chunks together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Amount {
    /// How many.
    pub chunks: usize,
    /// Where the oldest begins, where that is known.
    pub from: Option<Instant>,
    /// Where the newest ends.
    pub to: Option<Instant>,
    /// About how much room they take, as far as it was counted.
    pub bytes: Size,
    /// Of so many it was never counted.
    pub uncounted: usize,
    /// Months are exact enough for people.
    #[serde(skip)]
    by_month: bool,
}

impl Amount {
    pub fn of<'c>(chunks: impl IntoIterator<Item = &'c Chunk>) -> Amount {
        let mut sum = Amount { chunks: 0, from: None, to: None, bytes: Size::default(), uncounted: 0, by_month: true };
        for chunk in chunks {
            sum.chunks += 1;
            match chunk.bytes {
                Some(bytes) => sum.bytes = Size(sum.bytes.bytes().saturating_add(bytes.bytes())),
                None => sum.uncounted += 1,
            }
            let ChunkRange::Time { from, to } = chunk.range else { continue };
            sum.from = match (sum.from, from) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            sum.to = sum.to.max(to);
            sum.by_month &= from.zip(to).is_some_and(|(from, to)| to.duration_since(from) >= MONTH);
        }
        sum
    }

    pub fn is_nothing(&self) -> bool {
        self.chunks == 0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = if self.by_month { "%Y-%m" } else { "%Y-%m-%d" };
        let day = |at: Instant| at.to_zoned(TimeZone::UTC).strftime(form).to_string();
        f.write_str(&counted(self.chunks, "chunk"))?;
        // The end of a chunk is the first moment that is not in it.
        let last = self.to.and_then(|to| to.checked_sub(jiff::SignedDuration::from_micros(1)).ok());
        match (self.from.map(day), last.map(day)) {
            (Some(from), Some(to)) if from == to => write!(f, ", {from}")?,
            (Some(from), Some(to)) => write!(f, ", {from} to {to}")?,
            (None, Some(to)) => write!(f, ", up to {to}")?,
            (_, None) => {}
        }
        if self.bytes.bytes() > Bytes::ZERO {
            let least = if self.uncounted > 0 { "at least " } else { "" };
            write!(f, ", {least}{}", self.bytes.bytes().rounded())?;
        }
        Ok(())
    }
}
