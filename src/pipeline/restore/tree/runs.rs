//! Where the bytes of pieces lie: in their own backup's part, or, of an increment, in frames of earlier backups.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::PipelineFault;
use super::super::feed::Batch;
use super::super::parts::Source;
use crate::format::codec::{Codec, Expander};
use crate::format::index::{Elsewhere, Frame, Piece};
use crate::pipeline::RangedObject;
use crate::units::Key;

/// Expanded frames that one worker keeps: files that were changed lie between files that were not.
const KEPT_BYTES: usize = 24 << 20;

/// Pieces that follow one another in the backup and lie in one frame.
#[derive(Debug)]
pub(super) struct Run {
    pub place: Place,
    pub pieces: Vec<Piece>,
}

/// A frame, wherever it lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// In the part that the batch is of.
    Own {
        part: Key,
        at: u64,
        len: u32,
        raw: u32,
    },
    Elsewhere(Elsewhere),
}

impl Place {
    pub(super) fn len(&self) -> u32 {
        match self {
            Place::Own { len, .. } | Place::Elsewhere(Elsewhere { len, .. }) => *len,
        }
    }

    /// The part that has it.
    pub(super) fn part<'p>(&'p self, source: &'p Source<'_>) -> Result<&'p Key, PipelineFault> {
        match self {
            Place::Own { part, .. } => Ok(part),
            Place::Elsewhere(lies) => source.elsewhere(lies).map(|part| &part.part),
        }
    }

    /// What tells it from all others, in little memory.
    pub(super) fn fingerprint(&self) -> u128 {
        let mut hasher = blake3::Hasher::new();
        match self {
            Place::Own { part, at, .. } => hasher.update(&at.to_le_bytes()).update(part.as_str().as_bytes()),
            Place::Elsewhere(lies) => {
                hasher.update(&lies.at.to_le_bytes()).update(&lies.part.to_le_bytes()).update(lies.backup.as_str().as_bytes())
            }
        };
        u128::from_le_bytes(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }
}

/// The frames of a batch, each as often as the order of its pieces wants it.
pub(super) fn runs(key: &Key, frames: Vec<Frame>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for Frame { at, len, raw, pieces } in frames {
        let own = Place::Own { part: key.clone(), at, len, raw };
        for piece in pieces {
            let place = piece.lies.as_deref().map_or_else(|| own.clone(), |lies| Place::Elsewhere(lies.clone()));
            match runs.last_mut() {
                Some(run) if run.place == place => run.pieces.push(piece),
                _ => runs.push(Run { place, pieces: vec![piece] }),
            }
        }
    }
    runs
}

/// The parts of earlier backups that are open.
#[derive(Debug, Default)]
pub(super) struct Others(Mutex<HashMap<Key, Arc<RangedObject>>>);

impl Others {
    fn open(&self, source: &Source<'_>, lies: &Elsewhere) -> Result<(Key, Arc<RangedObject>), PipelineFault> {
        let part = source.elsewhere(lies)?;
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(object) = open.get(&part.part) {
            return Ok((part.part.clone(), object.clone()));
        }
        let object = Arc::new(part.open(source)?);
        open.insert(part.part.clone(), object.clone());
        Ok((part.part.clone(), object))
    }
}

/// Fetches and expands frames.
#[derive(Default)]
pub(super) struct Opener {
    sealed: Vec<u8>,
    expander: Option<(Codec, Expander)>,
    /// The one used last is the last.
    kept: Vec<(Place, Vec<u8>)>,
}

impl Opener {
    /// What the pieces of a run have, one behind the other, and in which object it lies.
    pub(super) fn open(
        &mut self,
        (source, others): (&Source<'_>, &Others),
        batch: &Batch,
        run: &Run,
        fetched: &mut dyn FnMut(u32),
    ) -> Result<Vec<u8>, PipelineFault> {
        match self.kept.iter().position(|(place, _)| *place == run.place) {
            Some(at) => self.kept[at..].rotate_left(1),
            None => {
                let plain = self.fetch((source, others), batch, &run.place)?;
                fetched(run.place.len());
                self.keep(run.place.clone(), plain);
            }
        }
        let (_, plain) = self.kept.last().expect("put there a line ago");
        let mut bytes = Vec::with_capacity(run.pieces.iter().map(|piece| piece.len as usize).sum());
        for piece in &run.pieces {
            bytes.extend_from_slice(&plain[piece.skip as usize..(piece.skip + piece.len) as usize]);
        }
        Ok(bytes)
    }

    fn keep(&mut self, place: Place, plain: Vec<u8>) {
        self.kept.push((place, plain));
        while self.kept.len() > 1 && self.kept.iter().map(|(_, plain)| plain.len()).sum::<usize>() > KEPT_BYTES {
            self.kept.remove(0);
        }
    }

    fn fetch(&mut self, (source, others): (&Source<'_>, &Others), batch: &Batch, place: &Place) -> Result<Vec<u8>, PipelineFault> {
        let (key, object, at, len, raw) = match place {
            Place::Own { at, len, raw, .. } => (batch.key.clone(), batch.part.clone(), *at, *len, *raw),
            Place::Elsewhere(lies) => {
                let (key, object) = others.open(source, lies)?;
                (key, object, lies.at, lies.len, lies.raw)
            }
        };
        let compressed = object.read(at..at + u64::from(len), &mut self.sealed)?;
        let (_, codec, _) = Codec::of_name(key.file_name());
        if self.expander.as_ref().is_none_or(|(of, _)| *of != codec) {
            self.expander = Some((codec, Expander::new(codec).map_err(|error| PipelineFault::file("zstd", error))?));
        }
        let (_, expander) = self.expander.as_mut().expect("made a line ago");
        let mut plain = vec![0; raw as usize];
        let damaged = |error: std::io::Error| PipelineFault::Damaged { key: key.to_string(), what: error.to_string() };
        expander.expand(compressed, &mut plain).map_err(damaged)?;
        Ok(plain)
    }
}
