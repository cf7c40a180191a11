//! Takes apart the tar that a PostgreSQL server sends, as it comes: files are cut into chunks for workers, and nothing waits for
//! the end of anything.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::PipelineFault;
use super::cut::{CHUNK, Given, LARGEST_PART, Task, Work};
use super::listing::Listed;
use crate::format::tarball::{BLOCK, padding};

/// The other end of what workers take.
#[derive(Debug)]
pub struct Intake {
    sender: SyncSender<Task>,
    number: u64,
    /// Put in front of all names of the current archive.
    prefix: String,
    expected: Expected,
    buffer: Vec<u8>,
    /// Small files on their way into one frame.
    together: Vec<Given>,
    together_size: u64,
    in_part: u64,
}

#[derive(Debug)]
enum Expected {
    Header,
    /// The file's content from here on.
    Content {
        listed: Arc<Listed>,
        from: u64,
    },
    Padding(usize),
}

impl Intake {
    pub(super) fn new(sender: SyncSender<Task>) -> Intake {
        Intake {
            sender,
            number: 0,
            prefix: String::new(),
            expected: Expected::Header,
            buffer: Vec::new(),
            together: Vec::new(),
            together_size: 0,
            in_part: 0,
        }
    }

    /// Another archive begins: the cluster's own directory, or a tablespace, which goes to `pg_tblspc/<oid>`.
    pub fn begin(&mut self, tablespace: Option<u32>) -> Result<(), PipelineFault> {
        self.prefix = tablespace.map_or_else(String::new, |oid| format!("pg_tblspc/{oid}/"));
        self.expected = Expected::Header;
        self.buffer.clear();
        if let Some(oid) = tablespace {
            let path = format!("pg_tblspc/{oid}");
            self.whole(Listed { path, size: 0, mtime: 0, mode: 0o700, is_directory: true }, Vec::new())?;
        }
        Ok(())
    }

    /// The next bytes of the current archive.
    pub fn data(&mut self, mut bytes: &[u8]) -> Result<(), PipelineFault> {
        while !bytes.is_empty() {
            match mem::replace(&mut self.expected, Expected::Header) {
                Expected::Padding(left) => {
                    let now = left.min(bytes.len());
                    bytes = &bytes[now..];
                    if now < left {
                        self.expected = Expected::Padding(left - now);
                    }
                }
                Expected::Header => {
                    bytes = self.collect(bytes, BLOCK);
                    if self.buffer.len() == BLOCK {
                        let block = mem::take(&mut self.buffer);
                        self.header(&block)?;
                    }
                }
                Expected::Content { listed, from } => bytes = self.content(bytes, listed, from)?,
            }
        }
        Ok(())
    }

    fn collect<'b>(&mut self, bytes: &'b [u8], up_to: usize) -> &'b [u8] {
        let now = (up_to - self.buffer.len()).min(bytes.len());
        self.buffer.extend_from_slice(&bytes[..now]);
        &bytes[now..]
    }

    fn header(&mut self, block: &[u8]) -> Result<(), PipelineFault> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let bad = |what: String| PipelineFault::Damaged { key: "the server's archive".into(), what };
        let header = tar::Header::from_byte_slice(block);
        let unreadable = |error: std::io::Error| bad(error.to_string());
        let name = String::from_utf8(header.path_bytes().into_owned()).map_err(|error| bad(error.to_string()))?;
        let name = name.trim_start_matches("./").trim_end_matches('/');
        if name.is_empty() || name == "." {
            return Ok(());
        }
        let path = format!("{}{name}", self.prefix);
        if !crate::format::index::is_inside(&path) {
            return Err(bad(format!("`{path}` leads out of the data directory")));
        }
        let kind = header.entry_type();
        let size = if kind.is_file() { header.size().map_err(unreadable)? } else { 0 };
        let mtime = header.mtime().map_err(unreadable)?.try_into().unwrap_or(i64::MAX);
        let listed = Listed { path, size, mtime, mode: header.mode().map_err(unreadable)? & 0o7777, is_directory: kind.is_dir() };
        match (kind, size) {
            // Tablespaces are directories to us, and what a link leads to comes in an archive of its own.
            (tar::EntryType::Symlink, _) => Ok(()),
            (tar::EntryType::Directory, _) | (tar::EntryType::Regular, 0) => self.whole(listed, Vec::new()),
            (tar::EntryType::Regular, _) => {
                self.expected = Expected::Content { listed: Arc::new(listed), from: 0 };
                Ok(())
            }
            (other, _) => Err(bad(format!("`{}` is of a kind ({other:?}) that no cluster has", listed.path))),
        }
    }

    fn content<'b>(&mut self, bytes: &'b [u8], listed: Arc<Listed>, from: u64) -> Result<&'b [u8], PipelineFault> {
        let wanted = usize::try_from(CHUNK.min(listed.size - from)).expect("a chunk is small");
        let rest = self.collect(bytes, wanted);
        if self.buffer.len() < wanted {
            self.expected = Expected::Content { listed, from };
            return Ok(rest);
        }
        let chunk = mem::take(&mut self.buffer);
        let next = from + wanted as u64;
        if next < listed.size {
            self.expected = Expected::Content { listed: listed.clone(), from: next };
        } else {
            self.expected = Expected::Padding(padding(listed.size));
        }
        if listed.tar_size() <= CHUNK {
            self.whole_shared(listed, chunk)?;
        } else {
            self.flush()?;
            self.in_part += wanted as u64;
            self.send(Work::Given(vec![Given { listed, from, bytes: chunk }]))?;
            self.buffer.reserve(CHUNK as usize);
        }
        if matches!(self.expected, Expected::Padding(_)) { self.end_part_if_full() } else { Ok(()) }?;
        // A file whose size is whole blocks has no padding, and the next byte is a header's.
        if matches!(self.expected, Expected::Padding(0)) {
            self.expected = Expected::Header;
        }
        Ok(rest)
    }

    fn whole(&mut self, listed: Listed, bytes: Vec<u8>) -> Result<(), PipelineFault> {
        self.whole_shared(Arc::new(listed), bytes)
    }

    fn whole_shared(&mut self, listed: Arc<Listed>, bytes: Vec<u8>) -> Result<(), PipelineFault> {
        let size = listed.tar_size();
        if self.together_size + size > CHUNK {
            self.flush()?;
        }
        self.together_size += size;
        self.in_part += size;
        self.together.push(Given { listed, from: 0, bytes });
        Ok(())
    }

    fn flush(&mut self) -> Result<(), PipelineFault> {
        self.together_size = 0;
        match mem::take(&mut self.together) {
            together if together.is_empty() => Ok(()),
            together => self.send(Work::Given(together)),
        }
    }

    fn end_part_if_full(&mut self) -> Result<(), PipelineFault> {
        if self.in_part < LARGEST_PART {
            return Ok(());
        }
        self.in_part = 0;
        self.flush()?;
        self.send(Work::EndOfPart)
    }

    pub(super) fn finish(&mut self) -> Result<(), PipelineFault> {
        if !matches!(self.expected, Expected::Header) || !self.buffer.is_empty() {
            return Err(PipelineFault::Damaged { key: "the server's archive".into(), what: "it ends in the middle of a file".into() });
        }
        self.flush()?;
        self.send(Work::EndOfPart)
    }

    fn send(&mut self, work: Work) -> Result<(), PipelineFault> {
        let task = Task { number: self.number, work };
        self.number += 1;
        // Nobody takes it any more: why is told by the workers.
        self.sender.send(task).map_err(|_| PipelineFault::Interrupted)
    }
}
