//! What a worker does with a task: read, look at the pages, hash, put into tar form, compress. One pass over the bytes, in
//! buffers that it owns.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crc_fast::CrcAlgorithm::Crc32Iscsi;

use super::cut::{self, CHUNK, Work};
use super::listing::{Listed, Listing};
use super::pages::{self, Found, Pages};
use super::{Again, PipelineFault, Progress, tree};
use crate::format::codec::{Codec, Compressor};
use crate::format::index::{Hash, Kind, Piece};
use crate::format::tarball::{Owner, header, padding};
use crate::pipeline::Pace;

/// A frame, ready to be put into its part.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub frame: Vec<u8>,
    pub raw: u32,
    /// Each with the CRC-32C of its own bytes.
    pub pieces: Vec<Piece>,
    /// Headers of files of which only something beside the content has changed.
    pub touched: Vec<u8>,
}

/// What all workers share for reading.
pub(super) struct Ground<'g> {
    pub root: &'g Path,
    pub listing: &'g Listing,
    pub owner: Owner,
    pub pages: Option<Pages>,
    pub again: Option<Again<'g>>,
    pub found: &'g Found,
    pub tree: &'g tree::Shared,
    pub pace: &'g Pace,
    pub progress: &'g Progress,
}

impl std::fmt::Debug for Ground<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground").field("root", &self.root).field("pages", &self.pages).finish_non_exhaustive()
    }
}

/// A worker's own.
#[derive(Debug)]
pub(super) struct Filler<'g> {
    pub(super) ground: &'g Ground<'g>,
    compressor: Compressor,
    pub(super) tar: Vec<u8>,
    pub(super) touched: Vec<u8>,
}

impl<'g> Filler<'g> {
    pub(super) fn new(ground: &'g Ground<'g>, codec: Codec) -> Result<Filler<'g>, PipelineFault> {
        let compressor = Compressor::new(codec).map_err(|error| PipelineFault::file("compressing", error))?;
        Ok(Filler { ground, compressor, tar: Vec::with_capacity(cut::CHUNK as usize + 4096), touched: Vec::new() })
    }

    /// Does the work; `frame` is a buffer to be used again. Nothing comes out when all its files are gone.
    pub(super) fn fill(&mut self, work: &Work, frame: Vec<u8>) -> Result<Filled, PipelineFault> {
        self.tar.clear();
        let mut pieces = Vec::new();
        match work {
            Work::Together(range) => {
                for index in range.clone() {
                    let listed = self.ground.listing.get(index).expect("tasks are cut from the listing");
                    pieces.extend(self.whole(&listed)?);
                }
            }
            Work::Piece { of, from, len } => pieces.push(self.piece(&of.listed, &of.file, *from, *len as usize)?),
            Work::Given(all) => pieces.extend(all.iter().map(|given| self.given(&given.listed, given.from, &given.bytes))),
            Work::Entries(entries) => {
                for entry in entries {
                    pieces.extend(self.entry(entry)?);
                }
            }
            Work::Stretch { of, from, len } => pieces.push(self.stretch(of, *from, *len)?),
            Work::Same { pieces: same, touched } => {
                pieces.extend_from_slice(same);
                self.touched.extend_from_slice(touched);
            }
            Work::PartIsFull | Work::EndOfPart => {}
        }
        let touched = std::mem::take(&mut self.touched);
        let mut filled = Filled { frame, raw: u32::try_from(self.tar.len()).expect("a chunk is small"), pieces, touched };
        if self.tar.is_empty() {
            filled.frame.clear();
            return Ok(filled);
        }
        self.compressor.frame(&self.tar, &mut filled.frame).map_err(|error| PipelineFault::file("compressing", error))?;
        Ok(filled)
    }

    fn whole(&mut self, listed: &Listed) -> Result<Option<Piece>, PipelineFault> {
        if listed.is_directory {
            return Ok(Some(self.given(listed, 0, &[])));
        }
        let Some(file) = cut::open(self.ground.root, &listed.path)? else { return Ok(None) };
        // It may be another file by now: settings are replaced by new ones, and no log repairs what would be cut off or filled up.
        let about = file.metadata().map_err(|error| unread(self.ground, &listed.path, error))?;
        let now = Listed { size: about.len(), mtime: about.mtime(), mode: about.mode() & 0o7777, ..listed.clone() };
        let listed = if now.tar_size() <= CHUNK { &now } else { listed };
        self.piece(listed, &file, 0, usize::try_from(listed.size).expect("it fits into a chunk")).map(Some)
    }

    fn piece(&mut self, listed: &Listed, file: &File, from: u64, len: usize) -> Result<Piece, PipelineFault> {
        self.ground.pace.take(len as u64);
        let skip = self.begin(listed, from);
        self.tar.resize(skip + len, 0);
        let bytes = &mut self.tar[skip..];
        let ground = self.ground;
        let got = read(file, from, bytes).map_err(|error| unread(ground, &listed.path, error))?;
        // Cut off since it was listed: the log knows, and the size that the header promised is kept.
        bytes[got..].fill(0);
        if let Some(pages) = &self.ground.pages {
            let again = |at: u64, page: &mut [u8]| file.read_exact_at(page, at).is_ok();
            pages::look(pages, self.ground.found, &listed.path, Some(&again), from, bytes);
        }
        Ok(self.end(listed, from, skip))
    }

    fn given(&mut self, listed: &Listed, from: u64, given: &[u8]) -> Piece {
        let skip = self.begin(listed, from);
        self.tar.extend_from_slice(given);
        if let Some(pages) = &self.ground.pages {
            let again = self.ground.again.map(|again| move |at: u64, page: &mut [u8]| again(&listed.path, at, page));
            let again = again.as_ref().map(|again| again as &dyn Fn(u64, &mut [u8]) -> bool);
            pages::look(pages, self.ground.found, &listed.path, again, from, &mut self.tar[skip..]);
        }
        self.end(listed, from, skip)
    }

    fn begin(&mut self, listed: &Listed, from: u64) -> usize {
        if from == 0 {
            header(&listed.path, listed.what(), listed.mode, listed.mtime, self.ground.owner, &mut self.tar);
        }
        self.tar.len()
    }

    fn end(&mut self, listed: &Listed, from: u64, skip: usize) -> Piece {
        let bytes = &self.tar[skip..];
        let len = bytes.len() as u64;
        let (hash, crc) = if listed.is_directory {
            (None, None)
        } else {
            let crc = u32::try_from(crc_fast::checksum(Crc32Iscsi, bytes)).expect("32 bits");
            (Some(Hash(*blake3::hash(bytes).as_bytes())), Some(crc))
        };
        if from + len == listed.size {
            self.tar.resize(self.tar.len() + padding(listed.size), 0);
        }
        self.ground.progress.add(len);
        let narrow = |number: u64| u32::try_from(number).expect("within a frame");
        Piece {
            path: listed.path.clone(),
            kind: if listed.is_directory { Kind::Directory } else { Kind::File },
            skip: narrow(skip as u64),
            from,
            len: narrow(len),
            hash,
            size: listed.size,
            mode: listed.mode,
            mtime: listed.mtime,
            crc,
            link: None,
            more: None,
            lies: None,
        }
    }
}

fn unread(ground: &Ground<'_>, path: &str, error: io::Error) -> PipelineFault {
    PipelineFault::file(format!("reading {}", ground.root.join(path).display()), error)
}

/// Reads until the buffer is full or the file ends.
pub(super) fn read(file: &File, from: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < into.len() {
        match file.read_at(&mut into[got..], from + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
