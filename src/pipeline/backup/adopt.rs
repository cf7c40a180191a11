//! Takes over the parts of a copy that broke off.
//!
//! A part is taken over whole or not at all: when every file in it is there, and every piece of every file has the hash that the
//! part's index says. So the part is what a copy would write that was made now, whatever happened to the files in between;
//! times of change only spare the reading. Reading and hashing is a fifth of the work of a copy, and nothing is sent.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::BufReader;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::copy::Copy;
use super::cut;
use super::fill::read;
use super::listing::{Listed, Listing};
use super::pages::{self, Found};
use super::{PipelineFault, part};
use crate::format::descriptor::Object;
use crate::format::index::{Frames, Kind, Piece};
use crate::format::seal::Identities;
use crate::pipeline::Checked;
use crate::pipeline::Pace;
use crate::world::parallel;

/// A part that was complete, as it was noted when it was put.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Left {
    pub part: Object,
    pub index: Object,
}

/// What became of what was left.
#[derive(Debug, Default)]
pub struct Adopted {
    pub parts: Vec<Left>,
    /// Plain bytes of the files in them.
    pub bytes: u64,
    /// Those that are no longer what the files are.
    pub stale: Vec<Left>,
}

impl Copy<'_> {
    /// Takes over what is still right; it leaves the listing. To be called before [`Self::files`].
    pub fn adopt(&self, root: &Path, listing: &mut Listing, left: Vec<Left>, own: &Identities) -> Result<Adopted, PipelineFault> {
        let numbers = left.iter().filter_map(|left| part::number(&left.part.name));
        self.next_part.fetch_max(numbers.max().unwrap_or(0) + 1, Ordering::Relaxed);
        let looker = Looker { copy: self, root, own, known: Known::of(listing), pace: Pace::new(self.job.read_limit) };
        let right = parallel::map_with(self.job.workers, &left, &|left| looker.is_right(left));
        let mut adopted = Adopted::default();
        let mut taken = vec![false; looker.known.listing.len()];
        for (left, right) in left.into_iter().zip(right) {
            match right? {
                Some(found) => {
                    adopted.bytes += looker.take(&left, &mut taken)?;
                    self.found.join(found);
                    self.add_objects([left.part.clone(), left.index.clone()]);
                    adopted.parts.push(left);
                }
                None => adopted.stale.push(left),
            }
        }
        drop(looker);
        listing.leave_out(&taken);
        Ok(adopted)
    }
}

/// Finds files by their paths, in a few bytes for each of a million.
struct Known<'l> {
    listing: &'l Listing,
    hasher: RandomState,
    places: HashMap<u64, u32>,
}

impl<'l> Known<'l> {
    fn of(listing: &'l Listing) -> Known<'l> {
        let hasher = RandomState::new();
        let places = listing.iter().zip(0..).map(|(listed, place)| (hasher.hash_one(&listed.path), place)).collect();
        Known { listing, hasher, places }
    }

    /// Of two paths with the same hash one is not found, which costs a part.
    fn find(&self, path: &str) -> Option<(usize, Listed)> {
        let place = *self.places.get(&self.hasher.hash_one(path))? as usize;
        self.listing.get(place).filter(|listed| listed.path == path).map(|listed| (place, listed))
    }
}

struct Looker<'l> {
    copy: &'l Copy<'l>,
    root: &'l Path,
    own: &'l Identities,
    known: Known<'l>,
    pace: Pace,
}

impl Looker<'_> {
    fn frames(&self, left: &Left) -> Result<Frames<BufReader<Checked>>, PipelineFault> {
        let Object { name, size, sha256, .. } = &left.index;
        let key = (self.copy.job.key)(name);
        Ok(Frames::new(BufReader::new(Checked::open(self.copy.job.store, &key, *size, sha256, self.own)?)))
    }

    /// Is the part what the files are now? With what its pages look like, as only now the log's beginning is known. A part whose index
    /// cannot be read is not taken over.
    fn is_right(&self, left: &Left) -> Result<Option<Found>, PipelineFault> {
        let found = Found::default();
        let mut read = 0;
        let right = self.frames(left).is_ok_and(|mut frames| {
            let mut open = None;
            frames.all(|frame| {
                frame.is_ok_and(|frame| {
                    frame.pieces.iter().all(|piece| !self.is_stopped() && self.is_as_it_was(piece, &mut open, &found, &mut read))
                })
            })
        });
        if self.is_stopped() {
            return Err(PipelineFault::Interrupted);
        }
        if !right {
            // They will be read once more.
            self.copy.job.progress.read.fetch_sub(read, Ordering::Relaxed);
        }
        Ok(right.then_some(found))
    }

    fn is_stopped(&self) -> bool {
        self.copy.job.stop.load(Ordering::Relaxed)
    }

    fn is_as_it_was(&self, piece: &Piece, open: &mut Option<(String, File)>, found: &Found, so_far: &mut u64) -> bool {
        let Some((_, listed)) = self.known.find(&piece.path) else { return false };
        if listed.mode != piece.mode || listed.is_directory != (piece.kind == Kind::Directory) {
            return false;
        }
        if listed.is_directory {
            return true;
        }
        if piece.kind != Kind::File || (listed.size, listed.mtime) != (piece.size, piece.mtime) {
            return false;
        }
        if open.as_ref().is_none_or(|(path, _)| *path != piece.path) {
            *open = cut::open(self.root, &piece.path).ok().flatten().map(|file| (piece.path.clone(), file));
        }
        let Some((_, file)) = open else { return false };
        self.pace.take(piece.len.into());
        let mut bytes = vec![0; piece.len as usize];
        if !read(file, piece.from, &mut bytes).is_ok_and(|got| got == bytes.len()) {
            return false;
        }
        *so_far += u64::from(piece.len);
        self.copy.job.progress.add(piece.len.into());
        if let Some(about) = &self.copy.job.pages {
            let again = |at: u64, page: &mut [u8]| file.read_exact_at(page, at).is_ok();
            pages::look(about, found, &piece.path, Some(&again), piece.from, &mut bytes);
        }
        piece.hash.is_some_and(|hash| hash.0 == *blake3::hash(&bytes).as_bytes())
    }

    /// Writes the part's files into the manifest. Says how many bytes they have.
    fn take(&self, left: &Left, taken: &mut [bool]) -> Result<u64, PipelineFault> {
        let damaged = |what: String| PipelineFault::Damaged { key: left.index.name.clone(), what };
        let mut bytes = 0;
        for frame in self.frames(left)? {
            for piece in frame.map_err(|error| damaged(error.to_string()))?.pieces {
                let (place, _) = self.known.find(&piece.path).ok_or_else(|| damaged(format!("{} was not in it before", piece.path)))?;
                taken[place] = true;
                if piece.crc.is_some() {
                    bytes += piece.size;
                    self.copy.file_is_complete(&piece)?;
                }
            }
        }
        Ok(bytes)
    }
}
