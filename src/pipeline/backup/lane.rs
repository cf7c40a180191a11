//! A lane: one part at a time, and the frames of several workers put into it in the order in which they were cut.
//!
//! Whoever brings the frame whose turn it is writes, and goes on with those that wait behind it; the others leave theirs and
//! go back to work. The worker with the next number never waits for anybody, so nobody waits for ever.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crc_fast::CrcAlgorithm::Crc32Iscsi;

use super::PipelineFault;
use super::copy::Shared;
use super::cut::LARGEST_PART;
use super::fill::Filled;
use super::part::PartWriter;
use crate::format::index::{Kind, Piece};

#[derive(Debug)]
pub(super) enum Done {
    Frame(Filled),
    PartIsFull,
    EndOfPart,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    order: Mutex<Order>,
    changed: Condvar,
    /// Used only by the one who writes.
    writer: Mutex<Writer>,
}

#[derive(Debug, Default)]
struct Order {
    next: u64,
    waiting: BTreeMap<u64, Done>,
    writing: bool,
    /// Buffers to be used again.
    free: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Writer {
    part: Option<PartWriter>,
    /// CRC-32C of the current file so far.
    crc: u32,
}

impl Lane {
    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer for a frame.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.order().free.pop().unwrap_or_default()
    }

    /// Somebody failed: nobody shall wait any longer.
    pub(super) fn wake(&self) {
        // Whoever is about to wait holds this lock.
        let _order = self.order();
        self.changed.notify_all();
    }

    pub(super) fn deposit(&self, number: u64, done: Done, shared: &Shared<'_>) -> Result<(), PipelineFault> {
        let mut order = self.order();
        while order.waiting.len() >= shared.most_waiting && number != order.next && !shared.is_stopped() {
            order = self.changed.wait(order).unwrap_or_else(PoisonError::into_inner);
        }
        if shared.is_stopped() {
            return Ok(());
        }
        order.waiting.insert(number, done);
        if order.writing {
            return Ok(());
        }
        order.writing = true;
        loop {
            let next = order.next;
            let Some(done) = order.waiting.remove(&next) else { break };
            order.next += 1;
            drop(order);
            self.changed.notify_all();
            let buffer = self.write(done, shared)?;
            order = self.order();
            if order.free.len() < shared.most_waiting {
                order.free.extend(buffer);
            }
        }
        order.writing = false;
        Ok(())
    }

    fn write(&self, done: Done, shared: &Shared<'_>) -> Result<Option<Vec<u8>>, PipelineFault> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            // What lies in earlier backups takes no room in it.
            Done::PartIsFull if writer.part.as_ref().is_some_and(|part| part.raw() < LARGEST_PART / 2) => Ok(None),
            Done::PartIsFull | Done::EndOfPart => {
                if let Some(part) = writer.part.take() {
                    drop(writer);
                    shared.finish_part(part)?;
                }
                Ok(None)
            }
            // All its files are gone.
            Done::Frame(filled) if filled.pieces.is_empty() => Ok(Some(filled.frame)),
            Done::Frame(mut filled) => {
                for piece in &mut filled.pieces {
                    writer.complete(piece, shared)?;
                }
                shared.tell(&filled)?;
                if writer.part.is_none() {
                    writer.part = Some(shared.begin_part()?);
                }
                let part = writer.part.as_mut().expect("it was made a line ago");
                part.append(filled, shared.job.progress).map(Some)
            }
        }
    }
}

impl Writer {
    /// Pieces come in the order in which they lie in their file; the last one says the checksum of all.
    fn complete(&mut self, piece: &mut Piece, shared: &Shared<'_>) -> Result<(), PipelineFault> {
        let Some(crc) = piece.crc.take().filter(|_| piece.kind == Kind::File) else { return Ok(()) };
        self.crc = match piece.from {
            0 => crc,
            _ => {
                let both = crc_fast::checksum_combine(Crc32Iscsi, self.crc.into(), crc.into(), piece.len.into());
                u32::try_from(both).expect("32 bits")
            }
        };
        if piece.from + u64::from(piece.len) == piece.size {
            piece.crc = Some(self.crc);
            shared.file_is_complete(piece)?;
        }
        Ok(())
    }
}
