//! Where replay really ended, and whether that is where the log that was found ends. PostgreSQL takes a record that it cannot read for
//! the end of all log, says so in passing, and opens the server; what was committed after it would be missing without a word.

use crate::recovery::WalStretch;
use crate::units::{Lsn, Segment, SegmentSize, Timeline};

/// How PostgreSQL says that a record or a page of the log is not one.
const BAD: &[&str] = &[
    "in record at ",
    "invalid record ",
    "record with invalid ",
    "record with incorrect prev-link",
    "record length ",
    "invalid resource manager ID",
    "invalid block_id",
    "out-of-order block_id",
    "BKPBLOCK_",
    "BKPIMAGE_",
    "no contrecord flag",
    "contrecord is requested",
    "invalid contrecord",
    "invalid magic number",
    "invalid info bits",
    "unexpected pageaddr",
    "out-of-sequence timeline ID",
    "WAL file is from different database system",
];
/// Of these, what a segment says that was saved from a dead server before it was full: its rest is empty, or of its earlier life.
const UNWRITTEN: &[&str] = &["invalid record length", "invalid magic number 0000", "unexpected pageaddr"];

/// What the server's log says of replay's end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// Where the last record begins that was replayed.
    pub last: Option<Lsn>,
    /// The last segment that was restored on the planned timeline, or one that came of it since.
    restored: Option<Segment>,
    bad: Option<Bad>,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bad {
    said: String,
    at: Option<Lsn>,
    is_unwritten: bool,
}

impl Ending {
    pub fn read(text: &str, timeline: Timeline, size: SegmentSize) -> Ending {
        let restored =
            text.lines().filter_map(|line| line.split_once("restored log file \"")?.1.split('"').next()?.parse::<Segment>().ok());
        // What a later timeline begins with holds the end of this one.
        let restored = restored.filter(|segment| segment.timeline >= timeline).max();
        let done = text.rfind("redo done at ").and_then(|at| position(&text[at..]));
        let bad = text.lines().rev().find_map(|line| {
            let said = line.split_once("LOG:")?.1.trim();
            let is_bad = BAD.iter().any(|words| said.contains(words));
            let at = || last_position(said).or_else(|| Some(Lsn(segment_of(said)?.start(size).0 + offset(said))));
            is_bad.then(|| Bad { said: said.to_owned(), at: at(), is_unwritten: UNWRITTEN.iter().any(|words| said.contains(words)) })
        });
        // One that was met and passed, because another copy of it was right, ended nothing.
        let bad = bad.filter(|bad| bad.at.is_none_or(|at| done.is_none_or(|done| done < at)));
        Ending { last: done, restored, bad }
    }

    /// Why this is not the end of what was to be replayed.
    pub fn falls_short(&self, end: &WalStretch, size: SegmentSize) -> Option<String> {
        let last = Segment::before(end.timeline, end.to, size);
        let is_in_last = self.last.is_some_and(|at| at >= last.start(size));
        let was_read = self.restored.is_some_and(|segment| segment >= last);
        // A record may begin before the last segment and end in it; one that is bad may too.
        let broke_before = self.bad.as_ref().and_then(|bad| bad.at).is_some_and(|at| at < last.start(size));
        if was_read && (is_in_last || !broke_before) {
            return None;
        }
        Some(self.describe(end, size))
    }

    /// The same where PostgreSQL itself refused: in the last segment too, only log that was never written may end it.
    pub fn falls_short_of_target(&self, end: &WalStretch, size: SegmentSize) -> Option<String> {
        let broke = self.bad.as_ref().is_some_and(|bad| !bad.is_unwritten && bad.at.is_none_or(|at| at < end.to));
        self.falls_short(end, size).or_else(|| broke.then(|| self.describe(end, size)))
    }

    /// What ended replay, when it was not that there is no more log.
    pub fn ended_by(&self) -> Option<&str> {
        self.bad.as_ref().map(|bad| bad.said.as_str())
    }

    fn describe(&self, end: &WalStretch, size: SegmentSize) -> String {
        let ended = self.last.map_or_else(|| "before its first record".to_owned(), |at| format!("after the record at {at}"));
        let mut text = format!("replay ended {ended}, and the archived log goes on to {} on timeline {}", end.to, end.timeline);
        if let Some(bad) = &self.bad {
            let held = bad.at.map(|at| Segment::of(end.timeline, at, size)).or(self.restored);
            let held = held.map(|segment| format!(" in segment {segment}")).unwrap_or_default();
            text.push_str(&format!("; the record after it{held} cannot be read: {}", bad.said));
        } else if let Some(segment) = self.restored {
            text.push_str(&format!("; the last segment that was read is {segment}"));
        }
        text
    }
}

fn is_of_position(c: char) -> bool {
    c.is_ascii_hexdigit() || c == '/'
}

/// The first position in a text.
fn position(text: &str) -> Option<Lsn> {
    text.split(|c: char| !is_of_position(c)).find_map(|word| word.parse().ok())
}

/// The last one: what comes before it is what was found there.
fn last_position(text: &str) -> Option<Lsn> {
    text.rsplit(|c: char| !is_of_position(c)).find_map(|word| word.parse().ok())
}

fn segment_of(text: &str) -> Option<Segment> {
    text.split(|c: char| !c.is_ascii_hexdigit()).find_map(|word| word.parse().ok())
}

/// Of a page, in its segment.
fn offset(text: &str) -> u64 {
    text.rsplit_once("offset ").and_then(|(_, number)| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// How replay of segments 2 to 9, of 1 MB each, ended.
    fn ended(log: &str) -> (Option<String>, Option<String>) {
        let size = SegmentSize::new(MIB).expect("a size");
        let end = WalStretch { timeline: Timeline::FIRST, from: Lsn(2 * MIB), to: Lsn(10 * MIB) };
        let ending = Ending::read(log, Timeline::FIRST, size);
        (ending.falls_short(&end, size), ending.falls_short_of_target(&end, size))
    }

    fn restored(number: u32) -> String {
        format!("2026-11-21 10:00:00 UTC [7] LOG:  restored log file \"00000001000000000000000{number}\" from archive\n")
    }

    #[test]
    fn a_record_in_the_middle_is_not_the_end() {
        let log = restored(5)
            + "LOG:  incorrect resource manager data checksum in record at 0/500148\nLOG:  redo done at 0/500120 system usage: CPU\n";
        let (plain, targeted) = ended(&log);
        let said = plain.expect("it is short");
        assert!(said.contains("0/500120") && said.contains("000000010000000000000005") && said.contains("checksum"), "{said}");
        assert_eq!(targeted, Some(said));
        // Of an older version, at the beginning of a page; and one whose other half lies in the last segment, which was read for it.
        let page = restored(5)
            + "LOG:  invalid magic number 0000 in log segment 000000010000000000000005, offset 0\nLOG:  redo done at 0/4FFF00\n";
        assert!(ended(&page).0.is_some_and(|said| said.contains("segment 000000010000000000000005")));
        let page = page.replace("offset 0", "offset 524288").replace("0/4FFF00", "0/57FF90");
        assert!(ended(&page).0.is_some_and(|said| said.contains("invalid magic number")));
        let halves = restored(9) + "LOG:  incorrect resource manager data checksum in record at 0/8FFFF0\nLOG:  redo done at 0/8FFF00\n";
        assert!(ended(&halves).0.is_some());
        assert!(ended(&(restored(5) + "LOG:  redo done at 0/5FFFF0\n")).0.is_some());
        assert!(ended("").0.is_some());
    }

    #[test]
    fn the_last_segment_is_the_end() {
        assert_eq!(ended(&(restored(9) + "LOG:  redo done at 0/9000A0\n")), (None, None));
        // Its last record began in the segment before.
        assert_eq!(ended(&(restored(9) + "LOG:  redo done at 0/8FFFF0\n")), (None, None));
        let saved = restored(9) + "LOG:  invalid record length at 0/900AA8: wanted 24, got 0\nLOG:  redo done at 0/900A70\n";
        assert_eq!(ended(&saved), (None, None));
        // With a target that was not met, only a segment that ends may end it.
        let torn = restored(9) + "LOG:  incorrect resource manager data checksum in record at 0/900AA8\nLOG:  redo done at 0/900A70\n";
        assert!(matches!(ended(&torn), (None, Some(_))));
        let passed = "LOG:  incorrect resource manager data checksum in record at 0/500148\n".to_owned()
            + &restored(9)
            + "LOG:  redo done at 0/9000A0\n";
        assert_eq!(ended(&passed), (None, None));
    }

    #[test]
    fn an_older_timeline_leads_nowhere_and_a_newer_one_goes_on() {
        let size = SegmentSize::new(MIB).expect("a size");
        let second: Timeline = "2".parse().expect("a timeline");
        let end = WalStretch { timeline: second, from: Lsn(2 * MIB), to: Lsn(10 * MIB) };
        let log = restored(9) + "LOG:  redo done at 0/9000A0\n";
        assert!(Ending::read(&log, second, size).falls_short(&end, size).is_some());
        assert_eq!(ended(&log.replace("\"00000001", "\"00000002")), (None, None));
    }
}
