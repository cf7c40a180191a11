//! Records of the write-ahead log, as far as it takes to know which tablespaces it makes and which of its moments have a name.
//!
//! Replay makes a tablespace at the path that it had on the original. Next to the original that is the original's own directory, and older
//! versions of PostgreSQL empty it first.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use crate::units::SegmentSize;

/// A resource manager, and what its record says.
type Kind = (u8, u8);
const CREATE_TABLESPACE: Kind = (5, 0x00);
const RESTORE_POINT: Kind = (0, 0x70);
const INFO: u8 = 0xF0;
const PAGE_HEADER: usize = 24;
const LONG_PAGE_HEADER: usize = 40;
const CONTINUES: u16 = 0x0001;
const RECORD_HEADER: usize = 24;
/// Where a record's own data follow, with a length of one byte or of four.
const SHORT: u8 = 255;
const LONG: u8 = 254;
/// A record of a tablespace has a number and a path; one of a restore point a time and a name.
const LONGEST: usize = 16 << 10;
/// So much is held of a segment, never all of it.
const AT_ONCE: usize = 256 << 10;
/// The time before a restore point's name.
const TIME: usize = 8;

/// The paths at which this segment makes tablespaces. None stands for one whose record goes on in the next segment.
pub fn tablespaces(segment: impl Read) -> io::Result<Vec<Option<String>>> {
    Ok(records(segment, CREATE_TABLESPACE)?.into_iter().map(|(body, _)| made(&body?)).collect())
}

/// A moment that somebody gave a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestorePoint {
    pub name: String,
    /// Where its record ends, as the server tells it: bytes from the beginning of the first segment.
    pub end: u64,
}

/// Those in segments that follow one another. One whose record began before the first is passed over, as is one that goes on behind the last.
pub fn restore_points(segments: &[u8]) -> Vec<RestorePoint> {
    let point = |(body, end): (Option<Vec<u8>>, usize)| Some(RestorePoint { name: named(&body?)?, end: end as u64 });
    // Memory is always read.
    records(segments, RESTORE_POINT).unwrap_or_default().into_iter().filter_map(point).collect()
}

/// The bodies of all records of one kind, and where each ends. None where it goes on behind these segments.
fn records(segments: impl Read, kind: Kind) -> io::Result<Vec<(Option<Vec<u8>>, usize)>> {
    let mut all = Vec::new();
    let Some(mut reader) = Reader::new(segments)? else { return Ok(all) };
    while reader.begin()? {
        let mut header = [0; RECORD_HEADER];
        match reader.read(&mut header)? {
            Taken::All => {}
            Taken::Broken => continue,
            Taken::End => break,
        }
        let total = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        // Behind the last record there are zeros.
        let Some(rest) = total.checked_sub(RECORD_HEADER) else { break };
        if (header[17], header[16] & INFO) != kind {
            match reader.skip(rest)? {
                Taken::End => break,
                Taken::All | Taken::Broken => continue,
            }
        }
        let mut body = vec![0; rest.min(LONGEST)];
        match reader.read(&mut body)? {
            Taken::All => all.push((Some(body), reader.at.next_multiple_of(8))),
            Taken::Broken => {}
            Taken::End => {
                all.push((None, reader.at));
                break;
            }
        }
    }
    Ok(all)
}

/// A number, and a path up to a zero.
fn made(body: &[u8]) -> Option<String> {
    text(own(body)?.get(4..)?)
}

fn named(body: &[u8]) -> Option<String> {
    text(own(body)?.get(TIME..)?)
}

/// What the record itself says, behind its length.
fn own(body: &[u8]) -> Option<&[u8]> {
    match *body.first()? {
        SHORT => body.get(2..),
        LONG => body.get(5..),
        _ => None,
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    All,
    /// The page after it does not go on with this record: the server died in it, and began anew there.
    Broken,
    End,
}

/// Bytes of records, without what pages begin with.
struct Reader<R> {
    segments: BufReader<R>,
    size: usize,
    page: usize,
    magic: [u8; 2],
    at: usize,
}

impl<R: Read> Reader<R> {
    fn new(from: R) -> io::Result<Option<Reader<R>>> {
        let mut segments = BufReader::with_capacity(AT_ONCE, from);
        let mut head = [0; LONG_PAGE_HEADER];
        if !fill(&mut segments, &mut head)? {
            return Ok(None);
        }
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (size, page) = (number(32), number(36) as usize);
        if SegmentSize::new(u64::from(size)).is_none() || !page.is_power_of_two() || !(1024..=65536).contains(&page) {
            return Ok(None);
        }
        let mut reader = Reader { segments, size: size as usize, page, magic: [head[0], head[1]], at: LONG_PAGE_HEADER };
        // The end of a record that began in the segment before, and it may be all there is.
        let is_all = goes_on(&head) && reader.skip(number(16) as usize)? == Taken::End;
        Ok((!is_all).then_some(reader))
    }

    /// Goes to where the next record may begin: they lie at multiples of eight.
    fn begin(&mut self) -> io::Result<bool> {
        let between = self.at.next_multiple_of(8) - self.at;
        Ok(self.skip(between)? == Taken::All && (!self.at.is_multiple_of(self.page) || self.enter()?.is_some()))
    }

    /// Passes the header of the page that begins here, and tells whether a record goes on in it. None where nothing was written.
    fn enter(&mut self) -> io::Result<Option<bool>> {
        let mut head = [0; LONG_PAGE_HEADER];
        let length = if self.at.is_multiple_of(self.size) { LONG_PAGE_HEADER } else { PAGE_HEADER };
        if !fill(&mut self.segments, &mut head[..length])? || head[..2] != self.magic {
            return Ok(None);
        }
        self.at += length;
        Ok(Some(goes_on(&head)))
    }

    fn read(&mut self, mut into: &mut [u8]) -> io::Result<Taken> {
        self.walk(into.len(), &mut |bytes| {
            let (now, later) = std::mem::take(&mut into).split_at_mut(bytes.len());
            now.copy_from_slice(bytes);
            into = later;
        })
    }

    fn skip(&mut self, length: usize) -> io::Result<Taken> {
        self.walk(length, &mut |_| {})
    }

    fn walk(&mut self, mut length: usize, each: &mut dyn FnMut(&[u8])) -> io::Result<Taken> {
        while length > 0 {
            if self.at.is_multiple_of(self.page) {
                match self.enter()? {
                    Some(true) => {}
                    Some(false) => return Ok(Taken::Broken),
                    None => return Ok(Taken::End),
                }
            }
            let left = self.page - self.at % self.page;
            let held = match self.segments.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                held => held?,
            };
            let taken = left.min(length).min(held.len());
            if taken == 0 {
                return Ok(Taken::End);
            }
            each(&held[..taken]);
            self.segments.consume(taken);
            self.at += taken;
            length -= taken;
        }
        Ok(Taken::All)
    }
}

fn goes_on(head: &[u8; LONG_PAGE_HEADER]) -> bool {
    u16::from_le_bytes([head[2], head[3]]) & CONTINUES != 0
}

/// False where all ends before.
fn fill(from: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(into) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 8192;
    const SEGMENT: usize = 1 << 20;

    /// A segment with these records, one after the other, as a server lays them.
    fn segment(records: &[Vec<u8>]) -> Vec<u8> {
        let mut made = Vec::new();
        let head = |made: &mut Vec<u8>, goes_on: bool| {
            let long = made.len().is_multiple_of(SEGMENT);
            let flags = u16::from(goes_on) | if long { 2 } else { 0 };
            made.extend([0x10, 0xD1]);
            made.extend(flags.to_le_bytes());
            made.extend([0; 20]);
            if long {
                made.extend([0; 8]);
                made.extend((SEGMENT as u32).to_le_bytes());
                made.extend((PAGE as u32).to_le_bytes());
            }
        };
        head(&mut made, false);
        for record in records {
            made.resize(made.len().next_multiple_of(8), 0);
            if made.len() % PAGE == 0 {
                head(&mut made, false);
            }
            for byte in record {
                if made.len() % PAGE == 0 {
                    head(&mut made, true);
                }
                made.push(*byte);
            }
        }
        made
    }

    fn record((manager, info): Kind, body: &[u8]) -> Vec<u8> {
        let mut record = ((RECORD_HEADER + body.len()) as u32).to_le_bytes().to_vec();
        record.extend([0; 12]);
        record.extend([info, manager, 0, 0, 0, 0, 0, 0]);
        record.extend(body);
        record
    }

    fn create(path: &str) -> Vec<u8> {
        let data = [&16_400u32.to_le_bytes()[..], path.as_bytes(), &[0]].concat();
        record(CREATE_TABLESPACE, &[&[SHORT, data.len() as u8][..], &data].concat())
    }

    /// Read as it comes, or in pieces that end anywhere: the same.
    fn found(log: &[u8]) -> Vec<Option<String>> {
        struct Pieces<'l>(&'l [u8]);
        impl Read for Pieces<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let length = into.len().min(4099);
                self.0.read(&mut into[..length])
            }
        }
        let whole = tablespaces(log).expect("memory is read");
        assert_eq!(tablespaces(Pieces(log)).expect("memory is read"), whole);
        whole
    }

    fn whole(mut made: Vec<u8>) -> Vec<u8> {
        made.resize(SEGMENT, 0);
        made
    }

    #[test]
    fn tablespaces_are_found_wherever_their_records_lie() {
        for before in (0..9000).step_by(7).map(|length| record((10, 0), &vec![1; length])) {
            let log = whole(segment(&[before, create("/srv/fast"), record((5, 0x10), &[SHORT, 4, 0, 0, 0, 0]), create("/srv/ü b")]));
            let made = |path: &str| Some(path.to_owned());
            assert_eq!(found(&log), [made("/srv/fast"), made("/srv/ü b")]);
        }
    }

    #[test]
    fn one_that_goes_on_in_the_next_segment_is_not_passed_over() {
        let path = "x".repeat(200);
        let made = segment(&[record((10, 0), &vec![1; SEGMENT * 9 / 10]), record((10, 0), &[1; 90]), create(&path)]);
        let cut = &made[..made.len() - 20];
        assert_eq!(found(cut), [None]);
        assert_eq!(found(&made), [Some(path)]);
    }

    fn point(name: &str) -> Vec<u8> {
        let data = [&[7; TIME][..], name.as_bytes(), &[0; 64][name.len()..]].concat();
        record(RESTORE_POINT, &[&[SHORT, data.len() as u8][..], &data].concat())
    }

    /// Wherever it lies, also where its record goes on in the next segment: its end is where the next record may begin.
    #[test]
    fn restore_points_are_found_by_their_names() {
        // What one segment holds of records.
        let room = SEGMENT - LONG_PAGE_HEADER - (SEGMENT / PAGE - 1) * PAGE_HEADER;
        for left in (0..400).step_by(8) {
            let (filler, next) = (record((10, 0), &vec![1; room - RECORD_HEADER - left]), record((0, 0x60), &[1; 40]));
            let log = segment(&[filler, point("before-42"), next, point("after")]);
            let found = restore_points(&log);
            assert_eq!(found.iter().map(|point| point.name.as_str()).collect::<Vec<_>>(), ["before-42", "after"], "{left}");
            let end = usize::try_from(found[0].end).expect("a length");
            assert!(restore_points(&log[..end.min(log.len())]).iter().any(|point| point.name == "before-42"), "{left}");
            assert!(restore_points(&log[..end - 16]).is_empty(), "{left}");
        }
    }

    #[test]
    fn what_is_no_log_has_none() {
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[0; 8192]), []);
        let mut wild: Vec<u8> = (0..SEGMENT as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 9) as u8).collect();
        wild[32..36].copy_from_slice(&(SEGMENT as u32).to_le_bytes());
        wild[36..40].copy_from_slice(&(PAGE as u32).to_le_bytes());
        found(&wild);
    }
}
