//! A part and its index, as they grow.

use super::super::{ObjectWriter, PipelineFault};
use super::fill::Filled;
use super::text::{TextWriter, object};
use super::{Job, Progress};
use crate::format::codec::Compressor;
use crate::format::descriptor::{Object, ObjectKind};
use crate::format::index::Frame;
use crate::format::tarball;

#[derive(Debug)]
pub(super) struct PartWriter {
    part: ObjectWriter,
    index: TextWriter,
    raw: u64,
}

/// The number of a part, by the name of its object.
pub(in crate::pipeline) fn number(name: &str) -> Option<u32> {
    name.strip_prefix("part-")?.split('.').next()?.parse().ok()
}

impl PartWriter {
    pub(super) fn begin(job: &Job<'_>, number: u32) -> Result<PartWriter, PipelineFault> {
        let name = |what: &str, end: &str| format!("part-{number:05}.{what}{end}");
        let end = job.codec.extension(job.data_lock.envelope());
        let part = ObjectWriter::new(job.store, &(job.key)(&name("tar", &end)), job.data_lock)?;
        let end = job.codec.extension(job.index_lock.envelope());
        let index = TextWriter::new(job.store, &(job.key)(&name("index", &end)), job.index_lock, job.codec)?;
        Ok(PartWriter { part, index, raw: 0 })
    }

    /// Bytes of its tar so far.
    pub(super) fn raw(&self) -> u64 {
        self.raw
    }

    /// Puts the next frame; its pieces are as the index shall have them.
    pub(super) fn append(&mut self, filled: Filled, progress: &Progress) -> Result<Vec<u8>, PipelineFault> {
        let at = self.part.position();
        let len = u32::try_from(filled.frame.len()).expect("a frame is small");
        self.part.write(&filled.frame)?;
        self.raw += u64::from(filled.raw);
        progress.add_stored(len.into());
        Frame { at, len, raw: filled.raw, pieces: filled.pieces }.write(&mut self.index.text);
        self.index.line_is_complete()?;
        Ok(filled.frame)
    }

    /// Ends the tar. Durable when it returns: the part first, so that an index never speaks of a part that is not there.
    pub(super) fn finish(mut self, job: &Job<'_>) -> Result<[Object; 2], PipelineFault> {
        let mut compressor = Compressor::new(job.codec).map_err(|error| PipelineFault::file("compressing", error))?;
        let mut end = Filled { raw: tarball::END.len() as u32, ..Filled::default() };
        compressor.frame(&tarball::END, &mut end.frame).map_err(|error| PipelineFault::file("compressing", error))?;
        self.append(end, job.progress)?;
        let name = self.part.key().file_name().to_owned();
        let written = self.part.finish()?;
        let part = object(name, ObjectKind::Part, &written, self.raw);
        Ok([part, self.index.finish(ObjectKind::Index)?])
    }
}
