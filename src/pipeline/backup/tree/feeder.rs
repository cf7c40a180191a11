//! Cuts what the walk finds into tasks, as it comes.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::super::PipelineFault;
use super::super::cut::{CHUNK, LARGEST_PART, Task, Work};
use super::{Entry, Large, size};
use crate::format::index::Piece;
use crate::format::member::estimate;

/// Small things in one frame.
const MOST_TOGETHER: usize = 4096;
/// Stretches in one frame of the index, which have their bytes elsewhere: whoever restores them has all of them in memory.
const MOST_STRETCHES: usize = 8;
/// Files that this process may have open, where nobody says; and how many of them are for something else.
const USUAL_FILES: u64 = 1024;

pub(super) struct Feeder<'f> {
    sender: SyncSender<Task>,
    stop: &'f AtomicBool,
    number: u64,
    together: Vec<Entry>,
    together_size: u64,
    /// Directories that are open for what is together.
    places: usize,
    most_places: usize,
    in_part: u64,
}

impl<'f> Feeder<'f> {
    /// `tasks` may be on their way at a time.
    pub(super) fn new(sender: SyncSender<Task>, stop: &'f AtomicBool, tasks: usize) -> Feeder<'f> {
        let most_places = usize::try_from(allowed_files() / 2).unwrap_or(usize::MAX) / tasks.max(1);
        let most_places = most_places.clamp(4, 256);
        Feeder { sender, stop, number: 0, together: Vec::new(), together_size: 0, places: 0, most_places, in_part: 0 }
    }

    pub(super) fn entry(&mut self, entry: Entry) -> Result<(), PipelineFault> {
        let is_file = entry.link_to.is_none() && super::kind(&entry.stat).is_file();
        let takes = estimate(entry.path.len(), if is_file { size(&entry.stat) } else { 0 });
        let is_new_place = self.together.last().is_none_or(|last| !Arc::<OwnedFd>::ptr_eq(&last.at, &entry.at));
        let is_full = self.together.len() >= MOST_TOGETHER || self.places + usize::from(is_new_place) > self.most_places;
        if is_full || self.together_size + takes > CHUNK {
            self.flush()?;
        }
        self.places += usize::from(is_new_place || self.together.is_empty());
        self.together_size += takes;
        self.in_part += takes;
        self.together.push(entry);
        self.end_part_if_full()
    }

    pub(super) fn large(&mut self, of: Large) -> Result<(), PipelineFault> {
        self.flush()?;
        let of = Arc::new(of);
        let mut from = 0;
        loop {
            let len = CHUNK.min(of.stored - from);
            let narrow = u32::try_from(len).expect("a chunk is small");
            self.send(Work::Stretch { of: of.clone(), from, len: narrow })?;
            from += len;
            self.in_part += len;
            if from >= of.stored {
                return self.end_part_if_full();
            }
        }
    }

    /// A file that an earlier backup has.
    pub(super) fn same(&mut self, pieces: Vec<Piece>, mut touched: Vec<u8>) -> Result<(), PipelineFault> {
        self.flush()?;
        let mut rest = pieces.into_iter();
        loop {
            let pieces: Vec<Piece> = rest.by_ref().take(MOST_STRETCHES).collect();
            if pieces.is_empty() {
                return Ok(());
            }
            self.send(Work::Same { pieces, touched: std::mem::take(&mut touched) })?;
        }
    }

    pub(super) fn finish(mut self) -> Result<(), PipelineFault> {
        self.flush()?;
        self.send(Work::EndOfPart)
    }

    /// A file lies whole in one part.
    fn end_part_if_full(&mut self) -> Result<(), PipelineFault> {
        if self.in_part < LARGEST_PART {
            return Ok(());
        }
        self.in_part = 0;
        self.flush()?;
        self.send(Work::PartIsFull)
    }

    fn flush(&mut self) -> Result<(), PipelineFault> {
        (self.together_size, self.places) = (0, 0);
        match std::mem::take(&mut self.together) {
            together if together.is_empty() => Ok(()),
            together => self.send(Work::Entries(together)),
        }
    }

    fn send(&mut self, work: Work) -> Result<(), PipelineFault> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(PipelineFault::Interrupted);
        }
        let task = Task { number: self.number, work };
        self.number += 1;
        // Nobody takes it any more: why is told by the workers.
        self.sender.send(task).map_err(|_| PipelineFault::Interrupted)
    }
}

/// As many as this process may be given.
fn allowed_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.or(limit.current);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: limit.maximum });
    let now = if raised.is_ok() { wanted } else { limit.current };
    now.unwrap_or(USUAL_FILES * 64)
}
