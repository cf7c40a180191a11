//! What an earlier backup has, file by file, read from its indexes as the walk comes to each: both go through the paths in the same order, so
//! neither is ever in memory as a whole.
//!
//! Where the order is not the same after all (the policy names other paths now), files are not found and are stored again.

use std::cmp::Ordering;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::atomic::Ordering as Memory;
use std::vec;

use crc_fast::CrcAlgorithm::Crc32Iscsi;
use rustix::fs::Stat;

use super::super::{Job, PipelineFault, part};
use super::read::fill;
use super::{state, walk};
use crate::format::index::{Attributes, Elsewhere, Frame, Frames, Hash, Kind, Piece};
use crate::format::member;
use crate::pipeline::Checked;
use crate::pipeline::restore::{PartSource, Source, bad_index};
use crate::units::{BackupId, Key};

/// The files of an earlier backup, in its order.
#[derive(Debug)]
pub struct Before<'b> {
    id: &'b BackupId,
    source: &'b Source<'b>,
    /// What is walked now, without the slash in front.
    tops: Vec<Vec<u8>>,
    parts: std::slice::Iter<'b, PartSource>,
    open: Option<Open>,
    /// A piece that was read and begins the next file.
    ahead: Option<(Piece, Elsewhere)>,
    /// The next file that was not asked for yet.
    head: Option<Known>,
}

/// An index that is being read.
#[derive(Debug)]
struct Open {
    number: u32,
    key: Key,
    frames: Frames<BufReader<Checked>>,
    /// The frame that the pieces are of.
    at: (u64, u32, u32),
    pieces: vec::IntoIter<Piece>,
}

/// One file as the earlier backup has it.
#[derive(Debug)]
pub(super) struct Known {
    first: Piece,
    kept: Vec<Kept>,
}

/// Where a stretch of it lies.
#[derive(Debug)]
struct Kept {
    from: u64,
    len: u32,
    skip: u32,
    hash: Option<Hash>,
    lies: Elsewhere,
}

impl<'b> Before<'b> {
    pub fn of(id: &'b BackupId, source: &'b Source<'b>, paths: &[PathBuf]) -> Before<'b> {
        let tops = paths.iter().map(|path| walk::relative(path).to_vec()).collect();
        Before { id, source, tops, parts: source.parts.iter(), open: None, ahead: None, head: None }
    }

    /// What it has under this name. To be asked in the order of the walk.
    pub(super) fn find(&mut self, path: &[u8]) -> Result<Option<Known>, PipelineFault> {
        loop {
            if self.head.is_none() {
                self.head = self.next_file()?;
            }
            let Some(head) = &self.head else { return Ok(None) };
            match self.order(head.first.path_bytes(), path) {
                Ordering::Less => self.head = None,
                Ordering::Equal => return Ok(self.head.take()),
                Ordering::Greater => return Ok(None),
            }
        }
    }

    /// As the walk goes: one path of the policy after the other, and in each directory first what is none. What lies below no path of today
    /// comes before everything: nobody will ask for it.
    fn order(&self, one: &[u8], other: &[u8]) -> Ordering {
        let top = |path: &[u8]| self.tops.iter().position(|top| is_below(path, top));
        top(one).cmp(&top(other)).then_with(|| as_walked(one, other))
    }

    fn next_file(&mut self) -> Result<Option<Known>, PipelineFault> {
        let (first, lies) = loop {
            match self.ahead.take() {
                Some((piece, lies)) if piece.kind == Kind::File && piece.from == 0 => break (piece, lies),
                _ => {
                    self.ahead = self.next_piece()?;
                    if self.ahead.is_none() {
                        return Ok(None);
                    }
                }
            }
        };
        let mut kept = vec![Kept::of(&first, lies)];
        loop {
            match self.next_piece()? {
                Some((piece, lies)) if piece.kind == Kind::File && piece.from > 0 => kept.push(Kept::of(&piece, lies)),
                next => {
                    self.ahead = next;
                    return Ok(Some(Known { first, kept }));
                }
            }
        }
    }

    fn next_piece(&mut self) -> Result<Option<(Piece, Elsewhere)>, PipelineFault> {
        loop {
            if let Some(open) = &mut self.open {
                if let Some(mut piece) = open.pieces.next() {
                    let (at, len, raw) = open.at;
                    let own = || Elsewhere { backup: self.id.clone(), part: open.number, at, len, raw };
                    let lies = piece.lies.take().map_or_else(own, |lies| *lies);
                    return Ok(Some((piece, lies)));
                }
                match open.frames.next().transpose().map_err(|error| bad_index(&open.key, error))? {
                    Some(Frame { at, len, raw, pieces }) => (open.at, open.pieces) = ((at, len, raw), pieces.into_iter()),
                    None => self.open = None,
                }
                continue;
            }
            let Some(part) = self.parts.next() else { return Ok(None) };
            let number = part::number(part.part.file_name()).unwrap_or_default();
            let frames = Frames::new(BufReader::with_capacity(256 << 10, part.open_index(self.source)?));
            self.open = Some(Open { number, key: part.index.clone(), frames, at: (0, 0, 0), pieces: Vec::new().into_iter() });
        }
    }
}

impl Kept {
    fn of(piece: &Piece, lies: Elsewhere) -> Kept {
        Kept { from: piece.from, len: piece.len, skip: piece.skip, hash: piece.hash, lies }
    }
}

impl Known {
    /// A small file that was read, as a reference to what is there already; none where that is something else. What has no content needs no
    /// other backup.
    pub(super) fn refer(&self, now: &Piece) -> Option<Piece> {
        let [kept] = self.kept.as_slice() else { return None };
        let same = now.size > 0 && self.may_be(now) && kept.len == now.len && kept.hash.is_some() && kept.hash == now.hash;
        same.then(|| Piece { skip: kept.skip, lies: Some(Box::new(kept.lies.clone())), ..now.clone() })
    }

    /// A large file, when all of it is there already. It is read up to where it differs.
    pub(super) fn refer_all(&self, file: &File, stat: &Stat, now: &Piece, job: &Job<'_>) -> Result<Option<Vec<Piece>>, PipelineFault> {
        if now.size == 0 || !self.may_be(now) {
            return Ok(None);
        }
        let (mut pieces, mut read, mut bytes) = (Vec::with_capacity(self.kept.len()), 0, Vec::new());
        for kept in &self.kept {
            if job.stop.load(Memory::Relaxed) {
                return Err(PipelineFault::Interrupted);
            }
            bytes.resize(kept.len as usize, 0);
            // Whoever copies it says what is wrong with it.
            let whole = kept.from == read
                && fill(file, now.more.as_ref().and_then(|more| more.sparse.as_ref()), kept.from, &mut bytes).unwrap_or(false);
            if !whole || kept.hash.is_none_or(|hash| hash.0 != *blake3::hash(&bytes).as_bytes()) {
                break;
            }
            read += u64::from(kept.len);
            let more = if kept.from == 0 { now.more.clone() } else { None };
            let crc = u32::try_from(crc_fast::checksum(Crc32Iscsi, &bytes)).expect("32 bits");
            let lies = Some(Box::new(kept.lies.clone()));
            pieces.push(Piece {
                from: kept.from,
                len: kept.len,
                skip: kept.skip,
                hash: kept.hash,
                crc: Some(crc),
                more,
                lies,
                ..bare(now)
            });
        }
        let stayed = rustix::fs::fstat(file).is_ok_and(|after| state(stat) == state(&after));
        if read != now.size || !stayed {
            return Ok(None);
        }
        job.progress.add(read);
        Ok(Some(pieces))
    }

    /// It is as long, and has its holes where it had them.
    fn may_be(&self, now: &Piece) -> bool {
        let sparse = |piece: &'_ Piece| piece.more.as_ref().and_then(|more| more.sparse.clone());
        // What can only be taken away by writing the file anew.
        let lost = |more: &Attributes| more.xattrs.keys().any(|name| !now.more.as_ref().is_some_and(|now| now.xattrs.contains_key(name)));
        let first = &self.first;
        first.size == now.size && sparse(first) == sparse(now) && !first.more.as_ref().is_some_and(|more| lost(more))
    }

    /// The header of the file, without content, when anything else of it has changed.
    pub(super) fn tell_touched(&self, now: &Piece, out: &mut Vec<u8>) {
        let same = self.first.mode == now.mode && self.first.mtime == now.mtime && self.first.more == now.more;
        if !same {
            let more = now.more.clone().map(|more| Box::new(Attributes { sparse: None, ..*more }));
            member::header(&Piece { size: 0, more, ..bare(now) }, out);
        }
    }
}

/// The same file, of which nothing is in it.
fn bare(of: &Piece) -> Piece {
    Piece { skip: 0, from: 0, len: 0, hash: None, crc: None, more: None, lies: None, ..of.clone() }
}

fn is_below(path: &[u8], top: &[u8]) -> bool {
    path.strip_prefix(top).is_some_and(|rest| top.is_empty() || rest.is_empty() || rest.starts_with(b"/"))
}

fn as_walked(one: &[u8], other: &[u8]) -> Ordering {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let begin = one[..same].iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let step = |path: &[u8]| {
        let rest = &path[begin..];
        let end = rest.iter().position(|byte| *byte == b'/');
        (end.is_some(), rest[..end.unwrap_or(rest.len())].to_vec())
    };
    step(one).cmp(&step(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_before_folders_and_both_by_name() {
        let walked = ["a", "ab", "b", "a/b", "a/c", "a/b/c", "a.d/x", "ab/x"];
        for (number, one) in walked.iter().enumerate() {
            for (other_number, other) in walked.iter().enumerate() {
                assert_eq!(as_walked(one.as_bytes(), other.as_bytes()), number.cmp(&other_number), "{one} {other}");
            }
        }
    }
}
