use std::io::Read as _;

use super::invalid;
use crate::format::history;
use crate::format::stamp::Stamp;
use crate::pipeline::{PipelineFault, open_object};
use crate::store::Meta;
use crate::units::{Segment, SegmentSize, WalFile};
use crate::verify::Ground;
use crate::verify::backup::unread;

/// The smallest page that PostgreSQL can be built with, and the largest.
const PAGE_SIZES: std::ops::RangeInclusive<usize> = 1024..=65_536;

/// A file of the log, opened: its plain bytes are those of the stamp, and a segment's pages follow one another.
pub(in crate::verify) fn wal(ground: &Ground<'_>, meta: &Meta, stamp: &Stamp) {
    if let Err(fault) = look(ground, meta, stamp) {
        unread(ground, &meta.key, &fault, None);
    }
}

fn look(ground: &Ground<'_>, meta: &Meta, stamp: &Stamp) -> Result<(), PipelineFault> {
    let stream = |error: std::io::Error| PipelineFault::of_stream(meta.key.as_str(), &error);
    let mut reader = open_object(ground.store, &meta.key, meta.size, ground.identities)?;
    let mut hasher = blake3::Hasher::new();
    let mut pages = Pages::of(stamp);
    let (mut size, mut text) = (0u64, Vec::new());
    let mut buffer = vec![0; 64 << 10];
    loop {
        // Whole pages at once, as far as there are any.
        let mut got = 0;
        while got < buffer.len() {
            match reader.read(&mut buffer[got..]).map_err(stream)? {
                0 => break,
                more => got += more,
            }
        }
        if got == 0 {
            break;
        }
        hasher.update(&buffer[..got]);
        size += got as u64;
        match &mut pages {
            Some(pages) => pages.look(&buffer[..got]).map_err(|what| stream(invalid(what)))?,
            None if text.len() < history::MAX_BYTES => text.extend_from_slice(&buffer[..got]),
            None => return Err(stream(invalid("it is too long for what it is"))),
        }
    }
    if size != stamp.size || hasher.finalize().as_bytes() != &stamp.content {
        return Err(stream(invalid("what it holds is not what its stamp says")));
    }
    if let WalFile::History(_) = stamp.file {
        let text = String::from_utf8_lossy(&text);
        history::parse(&text).map_err(|error| stream(invalid(error.to_string())))?;
    }
    Ok(())
}

/// The headers of a segment's pages.
struct Pages<'s> {
    stamp: &'s Stamp,
    segment: Segment,
    size: SegmentSize,
    /// As the first page says.
    page: usize,
    magic: u16,
    timeline: u32,
    at: u64,
    /// After a switch the rest is empty; in an unfinished segment it may be anything.
    ended: bool,
}

impl Pages<'_> {
    fn of(stamp: &Stamp) -> Option<Pages<'_>> {
        let segment = match stamp.file {
            WalFile::Segment(segment) | WalFile::Partial(segment) => segment,
            WalFile::History(_) | WalFile::BackupLabel(..) => return None,
        };
        let size = SegmentSize::new(stamp.size)?;
        Some(Pages { stamp, segment, size, page: 0, magic: 0, timeline: 0, at: 0, ended: false })
    }

    fn look(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.at == 0 {
            self.first(bytes)?;
        }
        let partial = matches!(self.stamp.file, WalFile::Partial(_));
        for page in bytes.chunks(self.page) {
            if !self.ended {
                self.ended = page.iter().all(|byte| *byte == 0);
            } else if !partial && page.iter().any(|byte| *byte != 0) {
                return Err(format!("the page at {} follows an empty one", self.at));
            }
            if !self.ended {
                match self.header(page) {
                    Err(_) if partial => self.ended = true,
                    other => other?,
                }
            }
            self.at += page.len() as u64;
        }
        Ok(())
    }

    /// The first page says whose log it is.
    fn first(&mut self, bytes: &[u8]) -> Result<(), String> {
        let u32_at = |at: usize| number(bytes, at, 4).and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
        self.magic = u16::try_from(number(bytes, 0, 2).unwrap_or_default()).unwrap_or_default();
        self.page = u32_at(36) as usize;
        if self.magic >> 8 != 0xD1 && self.magic >> 8 != 0xD0 {
            return Err("it does not begin like a segment of the log".into());
        }
        if number(bytes, 24, 8) != Some(self.stamp.system_identifier.0) {
            return Err("its first page belongs to another cluster".into());
        }
        if u64::from(u32_at(32)) != self.size.bytes() || !PAGE_SIZES.contains(&self.page) || !self.page.is_power_of_two() {
            return Err("its first page tells other sizes than the stamp".into());
        }
        Ok(())
    }

    fn header(&mut self, page: &[u8]) -> Result<(), String> {
        let magic = number(page, 0, 2).unwrap_or_default();
        let timeline = u32::try_from(number(page, 4, 4).unwrap_or_default()).unwrap_or_default();
        let address = number(page, 8, 8).unwrap_or_default();
        let expected = self.segment.start(self.size).0 + self.at;
        if magic != u64::from(self.magic) {
            return Err(format!("the page at {} does not begin like one", self.at));
        }
        if address != expected {
            return Err(format!("the page at {} belongs to another place in the log", self.at));
        }
        // The first segment of a timeline begins with pages of the one that it left.
        if timeline < self.timeline || timeline > self.segment.timeline.0.get() {
            return Err(format!("the page at {} belongs to timeline {timeline}", self.at));
        }
        self.timeline = timeline;
        Ok(())
    }
}

/// PostgreSQL's own order of bytes, which is that of the machine; all that we run on have the lowest first.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let mut number = [0; 8];
    number[..length].copy_from_slice(bytes.get(at..at + length)?);
    Some(u64::from_le_bytes(number))
}
