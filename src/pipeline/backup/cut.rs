//! Cuts what is to be copied into tasks for workers, and keeps their order. The unit of work is a chunk, not a file: so all
//! workers are busy to the end, whatever the sizes of the files are.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Advice, fadvise};

use super::PipelineFault;
use super::listing::{Listed, Listing};
use super::tree::{Entry, Large};
use crate::format::index::Piece;

/// How much of the files one frame stands for. Smaller ones compress worse, larger ones need more memory and go less well
/// through a processor's cache.
pub const CHUNK: u64 = 2 << 20;
/// How much of the files one part holds: a share of them all, so that little is done again when a backup breaks off, within these
/// bounds, so that the objects are neither tiny nor too many.
const PARTS: u64 = 32;
const SMALLEST_PART: u64 = 16 << 20;
pub const LARGEST_PART: u64 = 1 << 30;
/// Small files in one frame.
const MAX_TOGETHER: usize = 4096;

/// A file that is copied in pieces.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub listed: Listed,
    pub file: File,
}

/// What one worker does at a time.
#[derive(Debug)]
pub(super) enum Work {
    /// Whole files and directories of the listing, into one frame.
    Together(Range<usize>),
    /// A piece of a large file, into a frame of its own.
    Piece { of: Arc<OpenFile>, from: u64, len: u32 },
    /// Bytes that are in memory already: small files, or a piece of a large one.
    Given(Vec<Given>),
    /// Things beside a cluster, into one frame.
    Entries(Vec<Entry>),
    /// A piece of a large file beside a cluster, into a frame of its own.
    Stretch { of: Arc<Large>, from: u64, len: u32 },
    /// A file of which every byte lies in an earlier backup; `touched` is its header where something else of it has changed.
    Same { pieces: Vec<Piece>, touched: Vec<u8> },
    /// No file is being read, and as much as a part holds has come by since it began.
    PartIsFull,
    /// The part is complete.
    EndOfPart,
}

/// A piece of a file that is in memory, or all of it; a directory.
#[derive(Debug)]
pub(super) struct Given {
    pub listed: Arc<Listed>,
    pub from: u64,
    pub bytes: Vec<u8>,
}

/// Work with its place in the order of its lane.
#[derive(Debug)]
pub(super) struct Task {
    pub number: u64,
    pub work: Work,
}

/// The listing, shared out to lanes part by part.
#[derive(Debug)]
pub(super) struct Cutter<'l> {
    listing: &'l Listing,
    root: &'l Path,
    part: u64,
    next: Mutex<usize>,
    lanes: Vec<Mutex<Cut>>,
}

/// How far one lane has cut its part.
#[derive(Debug, Default)]
struct Cut {
    number: u64,
    rest: Range<usize>,
    large: Option<(Arc<OpenFile>, u64)>,
    in_part: bool,
}

impl<'l> Cutter<'l> {
    pub(super) fn new(listing: &'l Listing, root: &'l Path, lanes: usize) -> Cutter<'l> {
        let part = (listing.bytes / PARTS).clamp(SMALLEST_PART, LARGEST_PART);
        Cutter { listing, root, part, next: Mutex::new(0), lanes: (0..lanes).map(|_| Mutex::default()).collect() }
    }

    /// The next task of a lane, or none when there is nothing more for it.
    pub(super) fn take(&self, lane: usize) -> Result<Option<Task>, PipelineFault> {
        let mut cut = self.lanes[lane].lock().unwrap_or_else(PoisonError::into_inner);
        let Some(work) = self.work(&mut cut)? else { return Ok(None) };
        let number = cut.number;
        cut.number += 1;
        Ok(Some(Task { number, work }))
    }

    fn work(&self, cut: &mut Cut) -> Result<Option<Work>, PipelineFault> {
        loop {
            if let Some((of, from)) = cut.large.take() {
                let len = CHUNK.min(of.listed.size - from);
                if from + len < of.listed.size {
                    cut.large = Some((of.clone(), from + len));
                }
                return Ok(Some(Work::Piece { of, from, len: u32::try_from(len).expect("a chunk is small") }));
            }
            if cut.rest.is_empty() {
                if cut.in_part {
                    cut.in_part = false;
                    return Ok(Some(Work::EndOfPart));
                }
                cut.rest = self.next_part();
                if cut.rest.is_empty() {
                    return Ok(None);
                }
                cut.in_part = true;
            }
            let first = cut.rest.start;
            if self.tar_size(first) > CHUNK {
                cut.rest.start += 1;
                cut.large = self.open(first)?.map(|file| (Arc::new(file), 0));
                continue;
            }
            let together = self.together(cut.rest.clone());
            cut.rest.start = together.end;
            return Ok(Some(Work::Together(together)));
        }
    }

    fn tar_size(&self, index: usize) -> u64 {
        self.listing.get(index).map_or(0, |listed| listed.tar_size())
    }

    /// A file lies whole in one part.
    fn next_part(&self) -> Range<usize> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let from = *next;
        let mut size = 0;
        while *next < self.listing.len() && size < self.part {
            size += self.tar_size(*next);
            *next += 1;
        }
        from..*next
    }

    fn together(&self, rest: Range<usize>) -> Range<usize> {
        let mut end = rest.start;
        let mut size = 0;
        while end < rest.end && end - rest.start < MAX_TOGETHER {
            size += self.tar_size(end);
            if size > CHUNK {
                break;
            }
            end += 1;
        }
        rest.start..end
    }

    fn open(&self, index: usize) -> Result<Option<OpenFile>, PipelineFault> {
        let Some(listed) = self.listing.get(index) else { return Ok(None) };
        let file = open(self.root, &listed.path)?;
        if let Some(file) = &file {
            // The database's own pages shall stay in the system's cache, and ours need not.
            let _ = fadvise(file, 0, None, Advice::Sequential);
            let _ = fadvise(file, 0, None, Advice::NoReuse);
        }
        Ok(file.map(|file| OpenFile { listed, file }))
    }
}

/// Opens a file of the data directory; none when it was dropped since it was listed, which the log repairs.
pub(super) fn open(root: &Path, path: &str) -> Result<Option<File>, PipelineFault> {
    let full = root.join(path);
    match File::open(&full) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PipelineFault::file(format!("reading {}", full.display()), error)),
    }
}
