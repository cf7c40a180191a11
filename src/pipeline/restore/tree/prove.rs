//! Whether what was put is what the backup has: each thing is read from the disk again and held against the index.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::super::PipelineFault;
use super::super::feed::Feed;
use super::super::parts::Source;
use super::entry::{self, Candidate, There, sparse};
use super::place::Places;
use super::settle::{Of, Settler};
use super::{Wish, fault, shown, split};
use crate::format::index::{Attributes, Kind, Piece};

/// More say no more.
const MOST_NAMED: usize = 100;
/// All that a change of rights can change.
const RIGHTS: u32 = 0o7777;
/// Who runs with the rights of a file's owner or group.
const SET_ID: u32 = 0o6000;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Files, directories, links and pipes.
    pub entries: u64,
    /// Of their contents, as read from the disk.
    pub bytes: u64,
    /// Not as in the backup.
    pub differing: u64,
    /// The first of those, each with what differs.
    pub named: Vec<String>,
    /// Closed to this account by their own rights, so that nobody has looked.
    pub closed: u64,
}

/// Of everything that is wanted. Attributes and access control lists only where all of them could be set.
pub fn prove(source: &Source<'_>, wish: &Wish, attributes: bool, stop: &AtomicBool) -> Result<Proof, PipelineFault> {
    let feed = Feed::all(source);
    let places = Places::below(&wish.root)?;
    let mut look = Look { wish, attributes, places, settler: Settler::new(wish), current: None, proof: Proof::default() };
    while let Some(batch) = feed.next()? {
        if stop.load(Ordering::Relaxed) {
            return Err(PipelineFault::Interrupted);
        }
        for piece in batch.frames.iter().flat_map(|frame| &frame.pieces) {
            look.piece(piece)?;
        }
    }
    feed.finish()?;
    Ok(look.proof)
}

struct Look<'l> {
    wish: &'l Wish,
    attributes: bool,
    places: Places,
    settler: Settler,
    /// The file whose pieces are coming; none once something of it differs.
    current: Option<Candidate>,
    proof: Proof,
}

impl Look<'_> {
    fn piece(&mut self, piece: &Piece) -> Result<(), PipelineFault> {
        if piece.kind == Kind::File && piece.from > 0 {
            return self.content(piece);
        }
        self.current = None;
        if !self.wish.wants(piece).0 {
            return Ok(());
        }
        self.proof.entries += 1;
        let path = piece.path_bytes();
        match self.thing(piece) {
            Ok(None) if piece.kind == Kind::File => self.content(piece),
            Ok(None) => Ok(()),
            Ok(Some(differs)) => {
                self.differs(path, &differs);
                Ok(())
            }
            // Its own rights keep everybody out but root; what was put there was held against its hash before.
            Err(Unseen::Closed) => {
                self.proof.closed += 1;
                Ok(())
            }
            Err(Unseen::Fault(fault)) => Err(fault),
        }
    }

    /// Everything but the content: what differs.
    fn thing(&mut self, piece: &Piece) -> Result<Option<String>, Unseen> {
        let path = piece.path_bytes();
        let (parent, name) = split(path);
        let Some(at) = self.find(parent)? else { return Ok(Some("it is not there".into())) };
        let Some(stat) = entry::stat(&at, name, path)? else { return Ok(Some("it is not there".into())) };
        if piece.kind == Kind::HardLink {
            return self.same_file(piece, &stat);
        }
        let of_its_kind = match (piece.kind, FileType::from_raw_mode(stat.st_mode)) {
            (Kind::Directory, FileType::Directory) | (Kind::File, FileType::RegularFile) | (Kind::Fifo, FileType::Fifo) => true,
            (Kind::Link, FileType::Symlink) => entry::look(&at, name, piece)? == There::Same,
            _ => false,
        };
        if !of_its_kind {
            return Ok(Some(if piece.kind == Kind::Link { "it leads elsewhere".into() } else { "it is something else".into() }));
        }
        if let Some(differs) = self.about(piece, &stat) {
            return Ok(Some(differs));
        }
        if self.attributes && self.lacks_attributes(&Of::Named(&at, name), piece) {
            return Ok(Some("its access control list or its extended attributes".into()));
        }
        if piece.kind == Kind::File {
            match Candidate::open(&at, name, piece) {
                Ok(candidate) => self.current = candidate,
                Err(Errno::ACCESS) => return Err(Unseen::Closed),
                Err(error) => return Err(Unseen::Fault(fault(path, error))),
            }
            if self.current.is_none() {
                return Ok(Some("its size, or where it has holes".into()));
            }
        }
        Ok(None)
    }

    /// Whose it is, who may do what with it, and of when it is.
    fn about(&self, piece: &Piece, stat: &Stat) -> Option<String> {
        let fallback = Attributes::default();
        let more = piece.more.as_deref().unwrap_or(&fallback);
        let (uid, gid) = self.settler.owners(more);
        let is_owned = (stat.st_uid, stat.st_gid) == (uid, gid);
        if !is_owned && self.settler.is_root() {
            return Some(format!("it belongs to {}:{} instead of {uid}:{gid}", stat.st_uid, stat.st_gid));
        }
        let wanted = if is_owned { piece.mode } else { piece.mode & !SET_ID } & RIGHTS;
        if piece.kind != Kind::Link && stat.st_mode & RIGHTS != wanted {
            return Some(format!("its rights are {:04o} instead of {wanted:04o}", stat.st_mode & RIGHTS));
        }
        let is_of_then = stat.st_mtime == piece.mtime && u32::try_from(stat.st_mtime_nsec).is_ok_and(|nanos| nanos == more.nanos);
        (!is_of_then).then(|| "its time".to_owned())
    }

    fn lacks_attributes(&self, of: &Of<'_>, piece: &Piece) -> bool {
        piece.more.as_deref().is_some_and(|more| !self.settler.has_attributes(of, more))
    }

    fn same_file(&mut self, piece: &Piece, stat: &Stat) -> Result<Option<String>, Unseen> {
        let (parent, first) = split(piece.link_bytes());
        let target = match self.find(parent)? {
            Some(at) => entry::stat(&at, first, piece.link_bytes())?,
            None => None,
        };
        let is_same = target.is_some_and(|target| (target.st_dev, target.st_ino) == (stat.st_dev, stat.st_ino));
        Ok((!is_same).then(|| format!("it is not the same file as {}", shown(piece.link_bytes()))))
    }

    fn find(&mut self, parent: &[u8]) -> Result<Option<std::sync::Arc<OwnedFd>>, Unseen> {
        match self.places.find(parent) {
            Err(PipelineFault::File { error, .. }) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(Unseen::Closed),
            other => Ok(other?),
        }
    }

    fn content(&mut self, piece: &Piece) -> Result<(), PipelineFault> {
        let Some(candidate) = &self.current else { return Ok(()) };
        self.proof.bytes += u64::from(piece.len);
        if !candidate.has(piece).map_err(|error| fault(piece.path_bytes(), error))? {
            self.current = None;
            let what = if sparse(piece).is_some() { "its content, or where it has holes" } else { "its content" };
            self.differs(piece.path_bytes(), what);
        }
        Ok(())
    }

    fn differs(&mut self, path: &[u8], what: &str) {
        self.proof.differing += 1;
        if self.proof.named.len() < MOST_NAMED {
            self.proof.named.push(format!("{}: {what}", shown(path)));
        }
    }
}

/// Why something could not be looked at.
enum Unseen {
    Closed,
    Fault(PipelineFault),
}

impl From<PipelineFault> for Unseen {
    fn from(fault: PipelineFault) -> Unseen {
        Unseen::Fault(fault)
    }
}
