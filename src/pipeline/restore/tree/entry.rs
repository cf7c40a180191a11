//! What there is at a place, held against what the backup has for it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::super::PipelineFault;
use super::super::files::hash_of;
use super::fault;
use crate::format::index::{Kind, Piece, Sparse};

/// What lies at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
    Nothing,
    /// What the backup has.
    Same,
    Other,
}

pub(super) fn stat(at: &OwnedFd, name: &[u8], path: &[u8]) -> Result<Option<Stat>, PipelineFault> {
    match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(fault(path, error)),
    }
}

/// Of what has no content.
pub(super) fn look(at: &OwnedFd, name: &[u8], piece: &Piece) -> Result<There, PipelineFault> {
    let Some(stat) = stat(at, name, piece.path_bytes())? else { return Ok(There::Nothing) };
    let same = match (piece.kind, FileType::from_raw_mode(stat.st_mode)) {
        (Kind::Directory, FileType::Directory) | (Kind::Fifo, FileType::Fifo) => true,
        (Kind::Link, FileType::Symlink) => readlinkat(at, name, Vec::new()).is_ok_and(|to| to.as_bytes() == piece.link_bytes()),
        _ => false,
    };
    Ok(if same { There::Same } else { There::Other })
}

/// The size that a restored file shows.
pub(super) fn real_size(piece: &Piece) -> u64 {
    sparse(piece).map_or(piece.size, |sparse| sparse.size)
}

pub(super) fn sparse(piece: &Piece) -> Option<&Sparse> {
    piece.more.as_ref().and_then(|more| more.sparse.as_ref())
}

/// A file that is there and may be the one in the backup: as long, and where it has holes also as old, because what is in them is not
/// compared.
#[derive(Debug)]
pub(super) struct Candidate {
    file: File,
    sparse: Option<Sparse>,
}

impl Candidate {
    /// By the first piece. None for what cannot be it.
    pub(super) fn of(at: &OwnedFd, name: &[u8], piece: &Piece) -> Option<Candidate> {
        Candidate::open(at, name, piece).ok().flatten()
    }

    /// The same, where why it cannot be opened matters.
    pub(super) fn open(at: &OwnedFd, name: &[u8], piece: &Piece) -> rustix::io::Result<Option<Candidate>> {
        let open = openat(at, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
        let stat = rustix::fs::fstat(&open)?;
        let nanos = piece.more.as_ref().map_or(0, |more| more.nanos);
        let same_time = stat.st_mtime == piece.mtime && u32::try_from(stat.st_mtime_nsec).is_ok_and(|there| there == nanos);
        let fits = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && u64::try_from(stat.st_size).is_ok_and(|size| size == real_size(piece))
            && (sparse(piece).is_none() || same_time);
        Ok(fits.then(|| Candidate { file: File::from(open), sparse: sparse(piece).cloned() }))
    }

    /// Whether these bytes are what the backup has there.
    pub(super) fn has(&self, piece: &Piece) -> io::Result<bool> {
        let mut bytes = vec![0; piece.len as usize];
        let mut rest = &mut bytes[..];
        for (at, len) in stretches(self.sparse.as_ref(), piece.from, piece.len.into()) {
            let (now, later) = rest.split_at_mut(usize::try_from(len).unwrap_or(usize::MAX));
            match self.file.read_exact_at(now, at) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error),
            }
            rest = later;
        }
        Ok(piece.hash.is_none_or(|hash| hash == hash_of(&bytes)))
    }
}

/// Where in the file the bytes lie that are stored from there on.
pub(super) fn stretches(sparse: Option<&Sparse>, from: u64, len: u64) -> Vec<(u64, u64)> {
    match sparse {
        Some(sparse) => sparse.places_of(from, len),
        None => vec![(from, len)],
    }
}
