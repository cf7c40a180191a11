//! A thread that compresses and puts what another one gives it.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::PipelineFault;

/// As much becomes one frame.
pub(super) const FRAME: usize = 4 << 20;
/// So many wait to be compressed.
const WAITING: usize = 2;

pub(super) fn compressing(error: io::Error) -> PipelineFault {
    PipelineFault::file("compressing", error)
}

#[derive(Debug)]
pub(super) enum Piece {
    Frame(Bytes),
    End,
}

/// A thread that is given pieces. Dropped before its end, what it has put so far goes with it.
#[derive(Debug)]
pub(super) struct Lane<T> {
    pieces: Option<SyncSender<Piece>>,
    worker: Option<JoinHandle<Result<Option<T>, PipelineFault>>>,
}

impl<T: Send + 'static> Lane<T> {
    pub(super) fn begin(
        work: impl FnOnce(&Receiver<Piece>) -> Result<Option<T>, PipelineFault> + Send + 'static,
    ) -> Result<Lane<T>, PipelineFault> {
        let (pieces, given) = sync_channel(WAITING);
        let worker = thread::Builder::new().name("rows".into()).spawn(move || work(&given));
        let worker = worker.map_err(|error| PipelineFault::file("a thread", error))?;
        Ok(Lane { pieces: Some(pieces), worker: Some(worker) })
    }

    pub(super) fn send(&mut self, piece: Piece) -> Result<(), PipelineFault> {
        match self.pieces.as_ref().map(|pieces| pieces.send(piece)) {
            Some(Ok(())) => Ok(()),
            // The other side has ended, which it only does over a fault.
            Some(Err(_)) | None => Err(self.join().err().unwrap_or(PipelineFault::Interrupted)),
        }
    }

    /// Nothing more comes: the thread does what is left while the caller does something else. Said once or twice, it is the same.
    pub(super) fn end(&mut self) -> Result<(), PipelineFault> {
        if self.pieces.is_some() {
            self.send(Piece::End)?;
            self.pieces = None;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<T, PipelineFault> {
        self.end()?;
        self.join()?.ok_or(PipelineFault::Interrupted)
    }
}

impl<T> Lane<T> {
    fn join(&mut self) -> Result<Option<T>, PipelineFault> {
        self.pieces = None;
        let Some(worker) = self.worker.take() else { return Err(PipelineFault::Interrupted) };
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = self.join();
        }
    }
}
