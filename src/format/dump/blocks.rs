//! The data of a dump: blocks of chunks, one block for each table and one for large objects.

use std::collections::{BTreeMap, BTreeSet};

use super::BadDump;

pub(super) const DATA: u8 = 1;
const LARGE_OBJECTS: u8 = 3;
/// What `pg_dump` writes behind a table's last row.
const TAIL: &[u8; 5] = b"\\.\n\n\n";
const LINES_OF_TAIL: u64 = 3;

#[derive(Debug)]
pub(super) struct Blocks {
    int_size: usize,
    promised: BTreeSet<i64>,
    rows: BTreeMap<i64, u64>,
    large_objects: u64,
    at: At,
    /// A number that has come in part.
    pending: Vec<u8>,
    block: Block,
    bytes: u64,
}

/// All that was in the blocks.
#[derive(Debug)]
pub(super) struct Came {
    /// By entry.
    pub rows: BTreeMap<i64, u64>,
    pub large_objects: u64,
    pub missing: BTreeSet<i64>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Kind,
    Id,
    /// Of a large object; 0 ends the block.
    LargeObject,
    /// Of a chunk; 0 ends what it belongs to.
    Length,
    Chunk(u64),
}

#[derive(Debug, Default)]
struct Block {
    is_table: bool,
    id: i64,
    lines: u64,
    /// The last bytes.
    tail: [u8; 5],
}

impl Blocks {
    pub(super) fn new(int_size: usize, promised: BTreeSet<i64>, bytes: u64) -> Blocks {
        let (rows, pending) = (BTreeMap::new(), Vec::new());
        Blocks { int_size, promised, rows, large_objects: 0, at: At::Kind, pending, block: Block::default(), bytes }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), BadDump> {
        while !bytes.is_empty() {
            let used = match self.at {
                At::Kind => self.kind(bytes[0])?,
                At::Chunk(left) => self.chunk(bytes, left),
                At::Id | At::LargeObject | At::Length => self.number(bytes)?,
            };
            self.bytes += used as u64;
            bytes = &bytes[used..];
        }
        Ok(())
    }

    fn kind(&mut self, kind: u8) -> Result<usize, BadDump> {
        if kind != DATA && kind != LARGE_OBJECTS {
            return Err(BadDump::Block(kind, self.bytes));
        }
        self.block = Block { is_table: kind == DATA, ..Block::default() };
        self.at = At::Id;
        Ok(1)
    }

    fn chunk(&mut self, bytes: &[u8], left: u64) -> usize {
        let length = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if self.block.is_table {
            self.block.see(&bytes[..length]);
        }
        let left = left - length as u64;
        self.at = if left == 0 { At::Length } else { At::Chunk(left) };
        length
    }

    fn number(&mut self, bytes: &[u8]) -> Result<usize, BadDump> {
        let whole = 1 + self.int_size;
        let used = (whole - self.pending.len()).min(bytes.len());
        self.pending.extend_from_slice(&bytes[..used]);
        if self.pending.len() == whole {
            let number = int(&self.pending).unwrap_or(-1);
            self.pending.clear();
            self.take(number)?;
        }
        Ok(used)
    }

    fn take(&mut self, number: i64) -> Result<(), BadDump> {
        self.at = match (self.at, number) {
            (At::Id, id) => {
                if !self.promised.remove(&id) {
                    return Err(BadDump::Stranger(id));
                }
                self.block.id = id;
                if self.block.is_table { At::Length } else { At::LargeObject }
            }
            (At::LargeObject, 0) => At::Kind,
            (At::LargeObject, _) => {
                self.large_objects += 1;
                At::Length
            }
            (_, 0) if self.block.is_table => {
                let rows = self.block.rows().ok_or(BadDump::Tail(self.block.id))?;
                self.rows.insert(self.block.id, rows);
                At::Kind
            }
            (_, 0) => At::LargeObject,
            (_, length) => At::Chunk(u64::try_from(length).map_err(|_| BadDump::Block(0, self.bytes))?),
        };
        Ok(())
    }

    pub(super) fn finish(self, bytes: u64) -> Result<Came, BadDump> {
        if self.at != At::Kind {
            return Err(BadDump::CutShort(bytes));
        }
        Ok(Came { rows: self.rows, large_objects: self.large_objects, missing: self.promised })
    }
}

impl Block {
    fn see(&mut self, bytes: &[u8]) {
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let keep = self.tail.len();
        if bytes.len() >= keep {
            self.tail.copy_from_slice(&bytes[bytes.len() - keep..]);
        } else {
            self.tail.rotate_left(bytes.len());
            self.tail[keep - bytes.len()..].copy_from_slice(bytes);
        }
    }

    /// Each row is one line: a line's end within a value is written as `\n`.
    fn rows(&self) -> Option<u64> {
        if &self.tail == TAIL { self.lines.checked_sub(LINES_OF_TAIL) } else { None }
    }
}

/// A sign, then the bytes from the lowest on.
pub(super) fn int(bytes: &[u8]) -> Option<i64> {
    let (sign, digits) = bytes.split_first()?;
    let number = digits.iter().rev().try_fold(0i64, |number, byte| number.checked_mul(256)?.checked_add(i64::from(*byte)))?;
    Some(if *sign == 0 { number } else { -number })
}
