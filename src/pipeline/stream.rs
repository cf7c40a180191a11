//! What another program writes, on its way into a store: compressed, encrypted and put by a thread of its own while the next comes.

use std::sync::mpsc::Receiver;

use bytes::Bytes;

use super::lane::{FRAME, Lane, Piece, compressing};
use super::{ObjectWriter, PipelineFault, Shelf, Written};
use crate::format::codec::Compressor;
use crate::units::Key;

/// Dropped before [`StreamWriter::finish`], nothing of it stays.
#[derive(Debug)]
pub struct StreamWriter {
    frame: Vec<u8>,
    size: u64,
    lane: Lane<Written>,
}

/// What was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    pub object: Written,
    /// Before compression.
    pub size: u64,
}

impl StreamWriter {
    pub fn new(shelf: &Shelf<'_>, key: &Key) -> Result<StreamWriter, PipelineFault> {
        let writer = ObjectWriter::new(shelf.store, key, shelf.lock)?;
        let compressor = Compressor::new(shelf.codec).map_err(compressing)?;
        let lane = Lane::begin(move |given| put(writer, compressor, given))?;
        Ok(StreamWriter { frame: Vec::with_capacity(FRAME), size: 0, lane })
    }

    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), PipelineFault> {
        self.size += bytes.len() as u64;
        while self.frame.len() + bytes.len() >= FRAME {
            let (now, later) = bytes.split_at(FRAME - self.frame.len());
            self.frame.extend_from_slice(now);
            self.send_frame()?;
            bytes = later;
        }
        self.frame.extend_from_slice(bytes);
        Ok(())
    }

    fn send_frame(&mut self) -> Result<(), PipelineFault> {
        let frame = Bytes::from(std::mem::replace(&mut self.frame, Vec::with_capacity(FRAME)));
        self.lane.send(Piece::Frame(frame))
    }

    /// Durable when it returns.
    pub fn finish(mut self) -> Result<Streamed, PipelineFault> {
        if !self.frame.is_empty() {
            self.send_frame()?;
        }
        Ok(Streamed { object: self.lane.finish()?, size: self.size })
    }
}

fn put(mut writer: ObjectWriter, mut compressor: Compressor, given: &Receiver<Piece>) -> Result<Option<Written>, PipelineFault> {
    let mut frame = Vec::new();
    loop {
        match given.recv() {
            Ok(Piece::Frame(plain)) => {
                compressor.frame(&plain, &mut frame).map_err(compressing)?;
                writer.write(&frame)?;
            }
            Ok(Piece::End) => return writer.finish().map(Some),
            Err(_) => return Ok(None),
        }
    }
}
