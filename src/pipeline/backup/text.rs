//! An object of lines (an index, a manifest) that is compressed and put as it grows.

use super::super::{Lock, ObjectWriter, PipelineFault};
use crate::format::codec::{Codec, Compressor};
use crate::format::descriptor::{Object, ObjectKind};
use crate::store::Store;
use crate::units::Key;
use crate::units::hex;

/// One frame's worth.
const FRAME: usize = 512 << 10;

#[derive(Debug)]
pub(super) struct TextWriter {
    writer: ObjectWriter,
    compressor: Compressor,
    frame: Vec<u8>,
    pub text: Vec<u8>,
    plain: u64,
}

impl TextWriter {
    pub(super) fn new(store: &Store, key: &Key, lock: &Lock, codec: Codec) -> Result<TextWriter, PipelineFault> {
        let compressor = Compressor::new(codec).map_err(|error| PipelineFault::file("compressing", error))?;
        let writer = ObjectWriter::new(store, key, lock)?;
        Ok(TextWriter { writer, compressor, frame: Vec::new(), text: Vec::new(), plain: 0 })
    }

    /// To be called after each line that was appended to `text`.
    pub(super) fn line_is_complete(&mut self) -> Result<(), PipelineFault> {
        if self.text.len() >= FRAME { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), PipelineFault> {
        self.compressor.frame(&self.text, &mut self.frame).map_err(|error| PipelineFault::file("compressing", error))?;
        self.plain += self.text.len() as u64;
        self.text.clear();
        self.writer.write(&self.frame)
    }

    pub(super) fn finish(mut self, is: ObjectKind) -> Result<Object, PipelineFault> {
        self.flush()?;
        let name = self.writer.key().file_name().to_owned();
        let written = self.writer.finish()?;
        Ok(object(name, is, &written, self.plain))
    }
}

/// What a descriptor says of an object that was put.
pub(super) fn object(name: String, is: ObjectKind, written: &super::super::Written, plain_size: u64) -> Object {
    Object { name, is, size: written.size, sha256: hex(&written.sha256), plain_size }
}
