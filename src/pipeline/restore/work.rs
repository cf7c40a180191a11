use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::choice::{Choice, Take};
use super::feed::{Batch, Feed};
use super::files::{Files, hash_of};
use super::ground::Ground;
use super::{How, PipelineFault, Progress};
use crate::format::codec::{Codec, Expander};
use crate::format::index::{Frame, Kind};
use crate::world::direct::Room;

/// What one worker does until there are no frames left. Its buffers are made once.
pub(super) fn work(feed: &Feed<'_>, ground: &Ground, how: How<'_>, progress: &Progress) -> Result<(), PipelineFault> {
    let mut worker =
        Worker { files: Files::new(ground, how), only: how.only, progress, fetched: Vec::new(), expanded: Room::default(), expander: None };
    while let Some(batch) = feed.next()? {
        if progress.cancelled.load(Ordering::Relaxed) {
            return Err(PipelineFault::Interrupted);
        }
        Progress::add(&progress.frames, batch.frames.len() as u64);
        for run in worker.wanted(&batch, how)? {
            worker.run(&batch, &batch.frames[run])?;
        }
    }
    worker.files.finish()
}

struct Worker<'w> {
    files: Files<'w>,
    only: Option<&'w dyn Choice>,
    progress: &'w Progress,
    fetched: Vec<u8>,
    expanded: Room,
    expander: Option<(Codec, Expander)>,
}

impl Worker<'_> {
    /// Which frames are needed, as runs that lie together.
    fn wanted(&mut self, batch: &Batch, how: How<'_>) -> Result<Vec<Range<usize>>, PipelineFault> {
        if !how.delta && how.only.is_none() {
            return Ok(std::iter::once(0..batch.frames.len()).collect());
        }
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (at, frame) in batch.frames.iter().enumerate() {
            if self.leaves(frame)? || (how.delta && self.has(frame)?) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end == at => run.end += 1,
                _ => runs.push(at..at + 1),
            }
        }
        Ok(runs)
    }

    /// Whether nothing of what a frame holds is wanted; what does without its bytes is then made.
    fn leaves(&mut self, frame: &Frame) -> Result<bool, PipelineFault> {
        let Some(only) = self.only else { return Ok(false) };
        if frame.pieces.iter().any(|piece| piece.len > 0 && only.take(piece) == Take::Whole) {
            return Ok(false);
        }
        for piece in &frame.pieces {
            match only.take(piece) {
                Take::Whole => _ = self.files.put(piece, &[])?,
                Take::Hollow => self.files.hollow(piece)?,
                Take::Nothing => {}
            }
        }
        Ok(true)
    }

    /// Whether all of a frame's pieces are in their places.
    fn has(&mut self, frame: &Frame) -> Result<bool, PipelineFault> {
        for piece in &frame.pieces {
            if piece.kind == Kind::Directory {
                self.files.put(piece, &[])?;
            } else if !self.files.has(piece)? {
                return Ok(false);
            }
        }
        Progress::add(&self.progress.done, frame.pieces.iter().map(|piece| u64::from(piece.len)).sum());
        Ok(true)
    }

    fn run(&mut self, batch: &Batch, frames: &[Frame]) -> Result<(), PipelineFault> {
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(()) };
        let range = first.at..last.at + u64::from(last.len);
        Progress::add(&self.progress.fetched, range.end - range.start);
        Progress::add(&self.progress.frames_fetched, frames.len() as u64);
        let mut buffer = std::mem::take(&mut self.fetched);
        let began = Instant::now();
        let (bytes, waited) = batch.part.read_timed(range, &mut buffer)?;
        Progress::spend(&self.progress.fetching, waited);
        Progress::spend(&self.progress.opening, began.elapsed().saturating_sub(waited));
        let mut rest = bytes;
        for frame in frames {
            let (compressed, after) = rest.split_at_checked(frame.len as usize).ok_or_else(|| damaged(batch, "it is too short"))?;
            rest = after;
            self.frame(batch, frame, compressed)?;
        }
        self.fetched = buffer;
        Ok(())
    }

    fn frame(&mut self, batch: &Batch, frame: &Frame, compressed: &[u8]) -> Result<(), PipelineFault> {
        let (began, mut writing) = (Instant::now(), Duration::ZERO);
        let (_, codec, _) = Codec::of_name(batch.key.file_name());
        if self.expander.as_ref().is_none_or(|(of, _)| *of != codec) {
            self.expander = Some((codec, Expander::new(codec).map_err(|error| PipelineFault::file("zstd", error))?));
        }
        let (_, expander) = self.expander.as_mut().expect("made a line ago");
        let largest = frame.pieces.iter().max_by_key(|piece| piece.len);
        let expanded = self.expanded.of(frame.raw as usize, largest.map_or(0, |piece| piece.skip as usize));
        expander.expand(compressed, expanded).map_err(|error| damaged(batch, &error.to_string()))?;
        for piece in &frame.pieces {
            match self.only.map_or(Take::Whole, |only| only.take(piece)) {
                Take::Whole => {}
                Take::Hollow => {
                    self.files.hollow(piece)?;
                    continue;
                }
                Take::Nothing => continue,
            }
            // That it lies within the frame was checked when the index was read.
            let bytes = &expanded[piece.skip as usize..piece.skip as usize + piece.len as usize];
            let cached = match piece.hash {
                Some(hash) if hash != hash_of(bytes) => {
                    return Err(damaged(batch, &format!("`{}` has other bytes in it than were backed up", piece.path)));
                }
                None if !bytes.is_empty() => {
                    return Err(damaged(batch, &format!("nothing says what the bytes of `{}` must be", piece.path)));
                }
                _ => {
                    let began = Instant::now();
                    let cached = self.files.put(piece, bytes)?;
                    writing += began.elapsed();
                    cached
                }
            };
            Progress::add(&self.progress.done, bytes.len() as u64);
            Progress::add(&self.progress.written, bytes.len() as u64);
            Progress::add(&self.progress.cached, cached as u64);
        }
        Progress::spend(&self.progress.writing, writing);
        Progress::spend(&self.progress.opening, began.elapsed().saturating_sub(writing));
        Ok(())
    }
}

fn damaged(batch: &Batch, what: &str) -> PipelineFault {
    PipelineFault::Damaged { key: batch.key.to_string(), what: what.to_owned() }
}
