//! What a worker does with one thing below the paths.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crc_fast::CrcAlgorithm::Crc32Iscsi;
use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;

use super::super::PipelineFault;
use super::super::fill::{Filler, read};
use super::attributes::{self, Of};
use super::{Entry, Large, fault, holes, kind, open_in, piece, size, spelled, state};
use crate::format::index::{Attributes, Hash, Kind, Piece, Sparse};
use crate::format::member;
use crate::format::tarball::padding;

/// A small file that changes while it is read is read again, after so long.
const AGAIN: [Duration; 3] = [Duration::ZERO, Duration::from_millis(20), Duration::from_millis(200)];
/// What was small when it was listed is read no further than this.
const MOST: u64 = 4 << 20;
/// The longest value that a link has.
const LONGEST_LINK: usize = 4096;

impl Filler<'_> {
    /// One thing with its header; nothing when it is gone or cannot be read.
    pub(in crate::pipeline::backup) fn entry(&mut self, entry: &Entry) -> Result<Option<Piece>, PipelineFault> {
        if let Some(to) = &entry.link_to {
            let more = Attributes { uid: entry.stat.st_uid, gid: entry.stat.st_gid, ..Attributes::default() };
            return Ok(Some(self.without_content(linked(piece(&entry.path, Kind::HardLink, &entry.stat, more), to))));
        }
        let kind = match kind(&entry.stat) {
            FileType::Directory => Kind::Directory,
            FileType::Symlink => return self.symlink(entry),
            FileType::Fifo => Kind::Fifo,
            _ => return self.file(entry),
        };
        let read = if entry.above { attributes::above } else { attributes::read };
        let more = read(self.ground.tree, &entry.path, &entry.stat, &Of::entry(entry));
        Ok(Some(self.without_content(piece(&entry.path, kind, &entry.stat, more))))
    }

    fn symlink(&mut self, entry: &Entry) -> Result<Option<Piece>, PipelineFault> {
        let to = match rustix::fs::readlinkat(&*entry.at, &*entry.name, Vec::with_capacity(LONGEST_LINK)) {
            Ok(to) => to.into_bytes(),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => {
                self.ground.tree.unread(&entry.path, io::Error::from(error));
                return Ok(None);
            }
        };
        let more = attributes::read(self.ground.tree, &entry.path, &entry.stat, &Of::entry(entry));
        Ok(Some(self.without_content(linked(piece(&entry.path, Kind::Link, &entry.stat, more), &to))))
    }

    fn without_content(&mut self, mut piece: Piece) -> Piece {
        member::header(&piece, &mut self.tar);
        piece.skip = u32::try_from(self.tar.len()).expect("within a frame");
        piece
    }

    fn file(&mut self, entry: &Entry) -> Result<Option<Piece>, PipelineFault> {
        let begin = self.tar.len();
        let mut last = None;
        for pause in AGAIN {
            std::thread::sleep(pause);
            self.tar.truncate(begin);
            match self.try_file(entry) {
                Ok((piece, true)) => return Ok(Some(self.as_before(entry, begin, piece))),
                Ok((piece, false)) => last = Some(piece),
                Err(why) => {
                    self.tar.truncate(begin);
                    if let Some(why) = why {
                        self.ground.tree.unread(&entry.path, why);
                    }
                    return Ok(None);
                }
            }
        }
        self.ground.tree.changed(&entry.path, "it changed each time it was read");
        Ok(last.map(|piece| self.as_before(entry, begin, piece)))
    }

    /// What an earlier backup has is not stored again.
    fn as_before(&mut self, entry: &Entry, begin: usize, piece: Piece) -> Piece {
        let Some(known) = &entry.before else { return piece };
        match known.refer(&piece) {
            Some(referring) => {
                self.tar.truncate(begin);
                known.tell_touched(&referring, &mut self.touched);
                referring
            }
            None => piece,
        }
    }

    /// The file, and whether it stayed the same meanwhile. No reason for one that is gone.
    fn try_file(&mut self, entry: &Entry) -> Result<(Piece, bool), Option<io::Error>> {
        let why = |error: Errno| (error != Errno::NOENT).then(|| io::Error::from(error));
        let open = open_in(&entry.at, &entry.name, OFlags::empty()).map_err(why)?;
        let stat = rustix::fs::fstat(&open).map_err(why)?;
        if kind(&stat) != FileType::RegularFile {
            return Err(Some(io::Error::other("it became something else while it was read")));
        }
        let real = size(&stat).min(MOST);
        // Blocks of 512 bytes, whatever the file system's own are.
        let may_have_holes = u64::try_from(stat.st_blocks).unwrap_or_default() * 512 < real;
        let sparse = if may_have_holes { holes::map(&open, real).map_err(Some)? } else { None };
        let stored = sparse.as_ref().map_or(real, |sparse| sparse.data.iter().map(|(_, len)| len).sum());
        let mut more = attributes::read(self.ground.tree, &entry.path, &stat, &Of::Open(&open));
        more.sparse = sparse;
        let mut piece = Piece { size: stored, ..piece(&entry.path, Kind::File, &stat, more) };
        self.ground.pace.take(stored);
        member::header(&piece, &mut self.tar);
        let skip = self.tar.len();
        let len = usize::try_from(stored).expect("it is small");
        self.tar.resize(skip + len, 0);
        let file = File::from(open);
        let whole = fill(&file, piece.more.as_ref().and_then(|more| more.sparse.as_ref()), 0, &mut self.tar[skip..]).map_err(Some)?;
        let after = rustix::fs::fstat(&file).map_err(why)?;
        let same = whole && state(&stat) == state(&after) && real == size(&stat);
        self.finish(&mut piece, skip);
        Ok((piece, same))
    }

    /// A stretch of a large file. What it promised in its header is kept: what cannot be read is zeros, and noted.
    pub(in crate::pipeline::backup) fn stretch(&mut self, of: &Large, from: u64, len: u32) -> Result<Piece, PipelineFault> {
        let shared = self.ground.tree;
        let tell = |how: &dyn Fn(&[u8])| {
            if !of.told.swap(true, Ordering::Relaxed) {
                how(&of.path);
            }
        };
        self.ground.pace.take(len.into());
        let more = if from == 0 { of.more.clone() } else { Attributes::default() };
        let mut piece = Piece { size: of.stored, from, ..piece(&of.path, Kind::File, &of.stat, more) };
        if from == 0 {
            member::header(&piece, &mut self.tar);
        } else {
            piece.more = None;
        }
        let skip = self.tar.len();
        self.tar.resize(skip + len as usize, 0);
        match fill(&of.file, of.more.sparse.as_ref(), from, &mut self.tar[skip..]) {
            Ok(true) => {}
            Ok(false) => tell(&|path| shared.changed(path, "it became shorter while it was read")),
            Err(error) => tell(&|path| shared.unread(path, format_args!("from byte {from} of it on: {error}"))),
        }
        let after: Stat = rustix::fs::fstat(of.file.as_fd()).map_err(|error| fault(&of.path, "reading", error))?;
        if state(&of.stat) != state(&after) {
            tell(&|path| shared.changed(path, "it changed while it was read"));
        }
        self.finish(&mut piece, skip);
        Ok(piece)
    }

    /// Hashes what lies behind the header, and fills the last block.
    fn finish(&mut self, piece: &mut Piece, skip: usize) {
        let bytes = &self.tar[skip..];
        piece.len = u32::try_from(bytes.len()).expect("within a frame");
        piece.skip = u32::try_from(skip).expect("within a frame");
        piece.hash = Some(Hash(*blake3::hash(bytes).as_bytes()));
        piece.crc = Some(u32::try_from(crc_fast::checksum(Crc32Iscsi, bytes)).expect("32 bits"));
        self.ground.progress.add(piece.len.into());
        if piece.from + u64::from(piece.len) == piece.size {
            self.tar.resize(self.tar.len() + padding(piece.size), 0);
        }
    }
}

fn linked(mut piece: Piece, to: &[u8]) -> Piece {
    let (text, raw) = spelled(to);
    piece.link = Some(text);
    if let Some(more) = &mut piece.more {
        more.link = raw;
    }
    piece
}

/// Reads what is stored of a file from there on; false when the file ends before.
pub(super) fn fill(file: &File, sparse: Option<&Sparse>, from: u64, into: &mut [u8]) -> io::Result<bool> {
    let mut rest = into;
    let mut whole = true;
    for (at, len) in holes::of_stored(sparse, from, rest.len() as u64) {
        let (now, later) = rest.split_at_mut(usize::try_from(len).expect("within a frame"));
        whole &= read(file, at, now)? == now.len();
        rest = later;
    }
    Ok(whole)
}
