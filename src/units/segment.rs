use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use super::{Lsn, Timeline};

/// How long a segment of the write-ahead log is. A property of the cluster since its `initdb`, never assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentSize(u32);

impl SegmentSize {
    /// A power of two from 1 MiB to 1 GiB, as PostgreSQL allows.
    pub fn new(bytes: u64) -> Option<SegmentSize> {
        let good = bytes.is_power_of_two() && (1 << 20..=1 << 30).contains(&bytes);
        u32::try_from(bytes).ok().filter(|_| good).map(SegmentSize)
    }

    pub fn bytes(self) -> u64 {
        self.0.into()
    }

    /// How many segments one "log" (the middle part of a segment's name) has.
    fn per_log(self) -> u64 {
        0x1_0000_0000 / u64::from(self.0)
    }
}

/// One segment of the write-ahead log, by its name: `000000010000000A000000FE`. What positions it holds depends on the
/// segment size, so that is asked for where it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    pub timeline: Timeline,
    pub log: u32,
    pub part: u32,
}

impl Segment {
    /// The segment that holds a position.
    pub fn of(timeline: Timeline, lsn: Lsn, size: SegmentSize) -> Segment {
        Segment::numbered(timeline, lsn.0 / size.bytes(), size)
    }

    /// The segment that holds the byte before a position: where a backup ends.
    pub fn before(timeline: Timeline, lsn: Lsn, size: SegmentSize) -> Segment {
        Segment::of(timeline, Lsn(lsn.0.saturating_sub(1)), size)
    }

    fn numbered(timeline: Timeline, number: u64, size: SegmentSize) -> Segment {
        let low = |value: u64| u32::try_from(value & 0xFFFF_FFFF).unwrap_or(u32::MAX);
        Segment { timeline, log: low(number / size.per_log()), part: low(number % size.per_log()) }
    }

    pub fn number(self, size: SegmentSize) -> u64 {
        u64::from(self.log) * size.per_log() + u64::from(self.part)
    }

    /// The first position in it.
    pub fn start(self, size: SegmentSize) -> Lsn {
        Lsn(self.number(size) * size.bytes())
    }

    /// The first position after it.
    pub fn end(self, size: SegmentSize) -> Lsn {
        Lsn((self.number(size) + 1) * size.bytes())
    }

    /// The one after it on the same timeline.
    pub fn next(self, size: SegmentSize) -> Segment {
        Segment::numbered(self.timeline, self.number(size) + 1, size)
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}{:08X}{:08X}", self.timeline.0, self.log, self.part)
    }
}

/// A text that PostgreSQL would not give to a file of its log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a file of the write-ahead log")]
pub struct NotAWalFile(String);

impl FromStr for Segment {
    type Err = NotAWalFile;
    fn from_str(text: &str) -> Result<Self, NotAWalFile> {
        let hex = |part: Option<&str>| part.filter(|part| is_hex(part)).and_then(|part| u32::from_str_radix(part, 16).ok());
        let whole = (text.len() == 24).then_some(text);
        let part = |range: std::ops::Range<usize>| hex(whole.and_then(|text| text.get(range)));
        match (part(0..8).and_then(NonZeroU32::new), part(8..16), part(16..24)) {
            (Some(timeline), Some(log), Some(part)) => Ok(Segment { timeline: Timeline(timeline), log, part }),
            _ => Err(NotAWalFile(super::clipped(text).to_string())),
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
}

/// What PostgreSQL hands to `archive_command` and asks of `restore_command`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WalFile {
    /// `000000010000000A000000FE`
    Segment(Segment),
    /// `00000002.history`
    History(Timeline),
    /// `000000010000000A000000FE.00000028.backup`
    BackupLabel(Segment, u32),
    /// `000000010000000A000000FE.partial`: the last one of a timeline that ended in the middle of it.
    Partial(Segment),
}

impl fmt::Display for WalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalFile::Segment(segment) => segment.fmt(f),
            WalFile::History(timeline) => write!(f, "{:08X}.history", timeline.0),
            WalFile::BackupLabel(segment, offset) => write!(f, "{segment}.{offset:08X}.backup"),
            WalFile::Partial(segment) => write!(f, "{segment}.partial"),
        }
    }
}

impl FromStr for WalFile {
    type Err = NotAWalFile;
    fn from_str(text: &str) -> Result<Self, NotAWalFile> {
        let wrong = || NotAWalFile(super::clipped(text).to_string());
        let number = |part: &str| (part.len() == 8 && is_hex(part)).then(|| u32::from_str_radix(part, 16).ok()).flatten();
        let mut parts = text.split('.');
        match (parts.next().unwrap_or_default(), parts.next(), parts.next(), parts.next()) {
            (segment, None, None, None) => segment.parse().map(WalFile::Segment),
            (timeline, Some("history"), None, None) => {
                number(timeline).and_then(NonZeroU32::new).map(|timeline| WalFile::History(Timeline(timeline))).ok_or_else(wrong)
            }
            (segment, Some("partial"), None, None) => segment.parse().map(WalFile::Partial),
            (segment, Some(offset), Some("backup"), None) => Ok(WalFile::BackupLabel(segment.parse()?, number(offset).ok_or_else(wrong)?)),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(mib: u64) -> SegmentSize {
        SegmentSize::new(mib << 20).expect("a size that PostgreSQL allows")
    }

    #[test]
    fn the_name_depends_on_the_size() {
        for (mib, lsn, name) in [
            (16, "16/B374D848", "0000000300000016000000B3"),
            (1, "16/B374D848", "000000030000001600000B37"),
            (64, "16/B374D848", "00000003000000160000002C"),
            (1024, "16/B374D848", "000000030000001600000002"),
            (16, "0/FFFFFFFF", "0000000300000000000000FF"),
            (16, "1/0", "000000030000000100000000"),
        ] {
            let segment = Segment::of("3".parse().expect("a timeline"), lsn.parse().expect("a position"), size(mib));
            assert_eq!(segment.to_string(), name);
            assert_eq!(name.parse(), Ok(segment));
        }
        let end = Segment::before(Timeline::FIRST, "1/0".parse().expect("a position"), size(16));
        assert_eq!(end.to_string(), "0000000100000000000000FF");
        assert_eq!(end.next(size(16)).to_string(), "000000010000000100000000");
        assert_eq!(SegmentSize::new(3 << 20), None);
        assert_eq!(SegmentSize::new(2 << 30), None);
    }

    #[test]
    fn the_four_kinds_of_files() {
        for name in
            ["000000010000000A000000FE", "00000002.history", "000000010000000A000000FE.00000028.backup", "000000010000000A000000FE.partial"]
        {
            assert_eq!(name.parse::<WalFile>().expect(name).to_string(), name);
        }
        for name in [
            "",
            "archive_status",
            "00000000.history",
            "000000010000000a000000fe",
            "000000010000000A000000FE.",
            "x.history",
            "00000002.history.x",
        ] {
            assert!(name.parse::<WalFile>().is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_position_lies_in_its_segment(lsn: u64, power in 20u32..=30) {
            let size = SegmentSize::new(1 << power).expect("allowed");
            let lsn = Lsn(lsn >> 1);
            let segment = Segment::of(Timeline::FIRST, lsn, size);
            prop_assert!(segment.start(size) <= lsn && lsn < segment.end(size));
            prop_assert_eq!(segment.next(size).start(size), segment.end(size));
        }
    }
}
