use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SystemIdentifier;
use crate::units::{Instant, Lsn, Timeline};

/// An unbroken stretch of the write-ahead log of one timeline that lies in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WalRange {
    /// The cluster that wrote it. Absent where the store holds the log of one cluster only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"7301234567890123456")]
    pub system_identifier: Option<SystemIdentifier>,
    /// The timeline it belongs to.
    #[schemars(example = 1)]
    pub timeline: Timeline,
    /// The first position in it.
    #[schemars(example = &"16/B0000000")]
    pub from_lsn: Lsn,
    /// The first position that is no longer in it.
    #[schemars(example = &"17/2A000000")]
    pub to_lsn: Lsn,
    /// When its first record was written.
    #[schemars(example = &"2026-11-01T00:00:00Z")]
    pub from_time: Instant,
    /// Up to which moment it holds everything that was committed.
    #[schemars(example = &"2026-11-21T08:15:00Z")]
    pub to_time: Instant,
}

/// Where a timeline left the one before it, as its `.history` file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fork {
    /// The cluster. Absent where the store holds the log of one cluster only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"7301234567890123456")]
    pub system_identifier: Option<SystemIdentifier>,
    /// The new timeline.
    #[schemars(example = 2)]
    pub timeline: Timeline,
    /// The timeline that it left.
    #[schemars(example = 1)]
    pub parent: Timeline,
    /// The position at which it left.
    #[schemars(example = &"17/2A0000A0")]
    pub at_lsn: Lsn,
    /// The last moment that both have in common, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-11-21T08:10:00Z")]
    pub at_time: Option<Instant>,
}

/// Where a stretch of a timeline ends and a later one begins. Stretches that touch have nothing between them.
pub fn gaps<'r>(ranges: impl IntoIterator<Item = &'r WalRange>) -> Vec<(&'r WalRange, &'r WalRange)> {
    let mut ranges: Vec<&WalRange> = ranges.into_iter().collect();
    ranges.sort_by_key(|range| (range.system_identifier, range.timeline, range.from_lsn));
    let line = |range: &WalRange| (range.system_identifier, range.timeline);
    let pairs = ranges.windows(2).map(|pair| (pair[0], pair[1]));
    pairs.filter(|(before, after)| line(before) == line(after) && before.to_lsn < after.from_lsn).collect()
}

/// What a second look says of what the first one saw. Segments are shipped side by side, so beside a busy archiver one of them is often there
/// before the one in front of it: what the first look missed is there now, or it is a gap. What has come since is left out: it
/// may have such holes of its own.
pub fn settled(first: &[WalRange], second: Vec<WalRange>) -> Vec<WalRange> {
    let ended = |range: &WalRange| {
        let same = first.iter().filter(|old| (old.system_identifier, old.timeline) == (range.system_identifier, range.timeline));
        same.map(|old| old.to_lsn).max()
    };
    second.into_iter().filter(|range| ended(range).is_some_and(|end| range.from_lsn < end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(timeline: u32, from: u64, to: u64) -> WalRange {
        let timeline = timeline.to_string().parse().expect("a timeline");
        let at = Instant::UNIX_EPOCH;
        WalRange { system_identifier: None, timeline, from_lsn: Lsn(from), to_lsn: Lsn(to), from_time: at, to_time: at }
    }

    #[test]
    fn a_gap_is_one_that_stays() {
        let first = [range(1, 0, 30), range(1, 30, 35), range(2, 30, 50), range(2, 60, 70)];
        assert_eq!(gaps(&first), [(&first[2], &first[3])]);
        // It was on its way, and there is a new hole behind what was seen.
        let second = vec![range(1, 0, 30), range(1, 30, 35), range(2, 30, 90), range(2, 100, 110), range(3, 90, 95)];
        let now = settled(&first, second);
        assert_eq!(now, [range(1, 0, 30), range(1, 30, 35), range(2, 30, 90)]);
        assert!(gaps(&now).is_empty());
        // It stays.
        let now = settled(&first, vec![range(2, 30, 50), range(2, 60, 80)]);
        assert_eq!(gaps(&now).len(), 1);
    }
}
