use std::io::BufReader;
use std::sync::{Arc, Mutex, PoisonError};

use super::choice::{Choice, Take};
use super::extras::Names;
use super::{How, PartSource, PipelineFault, Source};
use crate::format::index::{BadIndex, Frame, Frames, Kind};
use crate::format::member::estimate;
use crate::pipeline::Checked;
use crate::pipeline::RangedObject;
use crate::units::Key;

/// How much compressed is read at once. Enough that a store's latency does not matter, little enough for memory.
const BATCH: u64 = 4 << 20;
/// How much it may be expanded: so that the last batches do not keep one worker busy while the others have nothing left.
const BATCH_RAW: u64 = 16 << 20;
/// A frame is at most 8 MiB of a tar and the headers of what is in it; more is nonsense that would cost memory.
const MAX_FRAME: u32 = 48 << 20;
/// A data directory has a handful of symbolic links.
const MAX_LINKS: usize = 100_000;

/// Frames that lie one after the other in one part.
#[derive(Debug)]
pub(super) struct Batch {
    pub part: Arc<RangedObject>,
    pub key: Key,
    pub frames: Vec<Frame>,
}

/// Hands the frames of all parts to the workers, in order.
#[derive(Debug)]
pub(super) struct Feed<'s> {
    source: &'s Source<'s>,
    only: Option<&'s dyn Choice>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: usize,
    open: Option<OpenPart>,
    stopped: bool,
    names: Option<Names>,
    /// None where whoever asks makes them himself.
    links: Option<Vec<(String, String)>>,
}

#[derive(Debug)]
struct OpenPart {
    part: Arc<RangedObject>,
    key: Key,
    index: Key,
    frames: Frames<BufReader<Checked>>,
    /// Read, but it did not fit into the batch before.
    ahead: Option<Frame>,
}

impl<'s> Feed<'s> {
    pub(super) fn new(source: &'s Source<'s>, how: How<'s>) -> Feed<'s> {
        let (names, links) = (how.delta.then(Names::default), Some(Vec::new()));
        Feed { source, only: how.only, state: Mutex::new(State { next: 0, open: None, stopped: false, names, links }) }
    }

    /// Whatever is there already.
    pub(super) fn all(source: &'s Source<'s>) -> Feed<'s> {
        Feed { source, only: None, state: Mutex::new(State { next: 0, open: None, stopped: false, names: None, links: None }) }
    }

    pub(super) fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
    }

    /// The next frames, or `None` when all were handed out.
    pub(super) fn next(&self) -> Result<Option<Batch>, PipelineFault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.stopped {
            if state.open.is_none() {
                let Some(part) = self.source.parts.get(state.next) else { return Ok(None) };
                state.next += 1;
                state.open = Some(OpenPart::new(part, self.source)?);
            }
            if let Some(batch) = state.batch(self.source, self.only)? {
                return Ok(Some(batch));
            }
            state.open = None;
        }
        Ok(None)
    }

    /// What was read, after all of it was: every index was found to be the one that the descriptor names.
    pub(super) fn finish(self) -> Result<(Names, Vec<(String, String)>), PipelineFault> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((state.names.unwrap_or_default(), state.links.unwrap_or_default()))
    }
}

impl State {
    fn batch(&mut self, source: &Source<'_>, only: Option<&dyn Choice>) -> Result<Option<Batch>, PipelineFault> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let mut frames: Vec<Frame> = Vec::new();
        let (mut size, mut raw) = (0, 0);
        while let Some(frame) = open.frame(source)? {
            size += u64::from(frame.len);
            // What lies elsewhere counts as if it lay here, header and all: it is in memory like everything else.
            let elsewhere = frame.pieces.iter().filter(|piece| piece.lies.is_some());
            raw += u64::from(frame.raw) + elsewhere.map(|piece| estimate(piece.path.len(), piece.len.into())).sum::<u64>();
            if !frames.is_empty() && (size > BATCH || raw > BATCH_RAW) {
                open.ahead = Some(frame);
                break;
            }
            if let Some(only) = only {
                only.pass(&frame);
            }
            for piece in &frame.pieces {
                if let Some(names) = &mut self.names {
                    names.add(&piece.path);
                }
                let is_link = piece.kind == Kind::Link && only.is_none_or(|only| only.take(piece) != Take::Nothing);
                let Some(links) = self.links.as_mut().filter(|_| is_link) else { continue };
                if links.len() == MAX_LINKS {
                    let what = format!("it names more than {MAX_LINKS} symbolic links, and no cluster has so many");
                    return Err(PipelineFault::Damaged { key: open.index.to_string(), what });
                }
                links.push((piece.path.clone(), piece.link.clone().unwrap_or_default()));
            }
            frames.push(frame);
        }
        Ok((!frames.is_empty()).then(|| Batch { part: open.part.clone(), key: open.key.clone(), frames }))
    }
}

impl OpenPart {
    fn new(part: &PartSource, source: &Source<'_>) -> Result<OpenPart, PipelineFault> {
        let frames = Frames::new(BufReader::with_capacity(256 << 10, part.open_index(source)?));
        Ok(OpenPart { part: Arc::new(part.open(source)?), key: part.part.clone(), index: part.index.clone(), frames, ahead: None })
    }

    fn frame(&mut self, source: &Source<'_>) -> Result<Option<Frame>, PipelineFault> {
        if let Some(frame) = self.ahead.take() {
            return Ok(Some(frame));
        }
        let frame = self.frames.next().transpose().map_err(|error| bad_index(&self.index, error))?;
        // What has nothing elsewhere reads all of it here.
        for lies in frame.iter().flat_map(|frame| &frame.pieces).filter_map(|piece| piece.lies.as_ref()) {
            source.elsewhere(lies)?;
            if lies.raw > MAX_FRAME || lies.len > MAX_FRAME {
                return Err(PipelineFault::Damaged { key: self.index.to_string(), what: "a frame in it is larger than any can be".into() });
            }
        }
        match frame {
            Some(frame) if frame.raw > MAX_FRAME || frame.len > MAX_FRAME => {
                Err(PipelineFault::Damaged { key: self.index.to_string(), what: "a frame in it is larger than any can be".into() })
            }
            frame => Ok(frame),
        }
    }
}

pub(in crate::pipeline) fn bad_index(key: &Key, error: BadIndex) -> PipelineFault {
    match error {
        BadIndex::Read(error) => PipelineFault::of_stream(key.as_str(), &error),
        line @ BadIndex::Line { .. } => PipelineFault::Damaged { key: key.to_string(), what: line.to_string() },
    }
}
