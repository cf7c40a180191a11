//! Puts what is wanted in its place.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::fs::{flock, linkat, mknodat, openat, renameat, renameat_with, symlinkat, unlinkat};
use rustix::io::Errno;

use super::super::feed::Feed;
use super::super::files::hash_of;
use super::super::parts::Source;
use super::super::{PipelineFault, Progress};
use super::census::Census;
use super::entry::{self, Candidate, There, real_size, sparse, stretches};
use super::place::{self, Places};
use super::runs::{Opener, Others};
use super::settle::{Of, Settler};
use super::turns::{Numbered, Turns};
use super::{Wish, fault, shown, split};
use crate::format::index::{Kind, Piece};
use crate::units::hex;

/// How the names of files begin that are not whole yet.
const BESIDE: &str = ".seawall-restoring-";
/// Of the hash of the name that it will have: what an interrupted restore left is found again by the one that goes on.
const BESIDE_BYTES: usize = 12;
/// Of a folder of which the backup says nothing: everybody may go through it.
const OPEN_TO_ALL: u32 = 0o755;
/// More say no more.
const MOST_NAMED: usize = 100;

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Put {
    pub files: u64,
    pub directories: u64,
    pub links: u64,
    pub bytes: u64,
    /// Were there as they are in the backup.
    pub same: u64,
    /// Are there and differ, and were left alone.
    pub left: u64,
    /// The first of those.
    pub named: Vec<String>,
    /// Belong to whoever restored them.
    pub not_owned: u64,
    /// Attributes and access control lists that could not be set.
    pub without_attributes: u64,
}

/// Puts all that is wanted. Everything is durable when it returns.
pub fn put(source: &Source<'_>, wish: &Wish, census: &Census, progress: &Progress) -> Result<Put, PipelineFault> {
    let (turns, others) = (Turns::new(Feed::all(source)), Others::default());
    let hands = Mutex::new(Hands::new(wish, census)?);
    std::thread::scope(|scope| {
        let (turns, hands, others) = (&turns, &hands, &others);
        for _ in 0..=wish.workers.max(1) {
            scope.spawn(move || {
                if let Err(fault) = work((source, others), turns, hands, census, progress) {
                    turns.fail(fault);
                }
            });
        }
    });
    let mut hands = hands.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ended = turns.finish();
    hands.give_up();
    ended?;
    // Making what is in a directory changes its times.
    let feed = Feed::all(source);
    while let Some(batch) = feed.next()? {
        for piece in batch.frames.iter().flat_map(|frame| &frame.pieces).filter(|piece| piece.from == 0) {
            hands.note_top(piece);
            if piece.kind == Kind::Directory {
                hands.settle_directory(piece)?;
            }
        }
    }
    feed.finish()?;
    hands.finish()
}

fn work(
    from: (&Source<'_>, &Others),
    turns: &Turns<'_>,
    hands: &Mutex<Hands<'_>>,
    census: &Census,
    progress: &Progress,
) -> Result<(), PipelineFault> {
    let mut opener = Opener::default();
    while let Some(numbered) = turns.next()? {
        if progress.cancelled.load(Ordering::Relaxed) {
            return Err(PipelineFault::Interrupted);
        }
        let opened = open(&mut opener, from, &numbered, census, progress)?;
        turns.in_turn(numbered.number, || {
            let mut hands = hands.lock().unwrap_or_else(PoisonError::into_inner);
            for (run, bytes) in numbered.runs.iter().zip(&opened) {
                let (key, mut at) = (run.place.part(from.0)?, 0);
                for piece in &run.pieces {
                    let bytes = bytes.as_ref().map(|bytes| &bytes[at..at + piece.len as usize]);
                    at += piece.len as usize;
                    hands.piece(piece, bytes, key.as_str(), progress)?;
                }
            }
            Ok(())
        })?;
        if turns.has_failed() {
            break;
        }
    }
    Ok(())
}

/// The bytes of those runs that are needed.
fn open(
    opener: &mut Opener,
    from: (&Source<'_>, &Others),
    numbered: &Numbered,
    census: &Census,
    progress: &Progress,
) -> Result<Vec<Option<Vec<u8>>>, PipelineFault> {
    let is_needed = |at: usize| census.needed.get(numbered.first_run + at).copied().unwrap_or(true);
    let mut fetched = |len: u32| Progress::add(&progress.fetched, len.into());
    let runs = numbered.runs.iter().enumerate();
    runs.map(|(at, run)| is_needed(at).then(|| opener.open(from, &numbered.batch, run, &mut fetched)).transpose()).collect()
}

/// The one that writes, in the order of the backup.
struct Hands<'h> {
    wish: &'h Wish,
    census: &'h Census,
    places: Places,
    settler: Settler,
    open: Option<Open>,
    put: Put,
    /// Directories in which nothing could be made any more; they get their rights last.
    closed: Vec<Piece>,
    /// The last thing that lies below no other, and the folders above all of those.
    top: Vec<u8>,
    above: BTreeSet<Vec<u8>>,
}

/// A file on its way.
struct Open {
    file: File,
    at: Arc<OwnedFd>,
    beside: Vec<u8>,
    path: Vec<u8>,
    first: Piece,
    /// Something is there that it will take the place of.
    replaces: bool,
}

impl<'h> Hands<'h> {
    fn new(wish: &'h Wish, census: &'h Census) -> Result<Hands<'h>, PipelineFault> {
        let of_root = |error| PipelineFault::file(format!("`{}` cannot be made", wish.root.display()), error);
        std::fs::create_dir_all(&wish.root).map_err(of_root)?;
        Ok(Hands {
            wish,
            census,
            places: Places::below(&wish.root)?,
            settler: Settler::new(wish),
            open: None,
            put: Put::default(),
            closed: Vec::new(),
            top: Vec::new(),
            above: BTreeSet::new(),
        })
    }

    fn piece(&mut self, piece: &Piece, bytes: Option<&[u8]>, key: &str, progress: &Progress) -> Result<(), PipelineFault> {
        if piece.kind == Kind::File && piece.from > 0 {
            return if self.open.is_some() { self.content(piece, bytes, key, progress) } else { Ok(()) };
        }
        let borrowed = self.census.borrowed.get(piece.path_bytes()).cloned();
        let path = match (self.wish.wants(piece).0, borrowed) {
            (true, _) => piece.path_bytes().to_vec(),
            (false, Some(other)) => other,
            (false, None) => return Ok(()),
        };
        match piece.kind {
            Kind::File => self.file(piece, path, bytes, key, progress),
            Kind::Directory => self.directory(piece),
            Kind::HardLink => self.hard_link(piece, &path),
            Kind::Link | Kind::Fifo => self.without_content(piece, &path),
        }
    }

    fn file(&mut self, piece: &Piece, path: Vec<u8>, bytes: Option<&[u8]>, key: &str, progress: &Progress) -> Result<(), PipelineFault> {
        let (parent, name) = split(&path);
        let at = self.places.make(parent)?;
        let replaces = entry::stat(&at, name, &path)?.is_some();
        if replaces {
            let is_whole = u64::from(piece.len) == piece.size;
            let same = match Candidate::of(&at, name, piece) {
                Some(candidate) if is_whole => candidate.has(piece).map_err(|error| fault(&path, error))?,
                // It was compared piece by piece: otherwise it would have been fetched.
                Some(_) => bytes.is_none(),
                None => false,
            };
            if same {
                self.put.same += 1;
                Progress::add(&progress.done, piece.size);
                return self.settle_there(&at, name, piece, &path);
            }
            if !self.wish.overwrite {
                return self.leave(&path);
            }
        }
        let beside = beside(name);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fresh(&at, &beside, &path, || openat(&at, &*beside, flags, Mode::RUSR | Mode::WUSR))?;
        // Until it has its name: so nobody takes it for what an interrupted restore left.
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(busy(&path));
        }
        self.open = Some(Open { file: File::from(file), at, beside, path, first: piece.clone(), replaces });
        self.content(piece, bytes, key, progress)
    }

    fn content(&mut self, piece: &Piece, bytes: Option<&[u8]>, key: &str, progress: &Progress) -> Result<(), PipelineFault> {
        let Some(open) = &self.open else { return Ok(()) };
        let damaged = |what: String| PipelineFault::Damaged { key: key.to_owned(), what };
        let bytes = match bytes {
            Some(bytes) => bytes,
            None if piece.len == 0 => &[],
            None => return Err(fault(&open.path, std::io::Error::other("it changed while it was restored; run it again"))),
        };
        match piece.hash {
            Some(hash) if hash == hash_of(bytes) => {}
            None if bytes.is_empty() => {}
            _ => return Err(damaged(format!("`{}` has other bytes in it than were backed up", shown(&open.path)))),
        }
        let mut rest = bytes;
        for (at, len) in stretches(sparse(&open.first), piece.from, bytes.len() as u64) {
            let (now, later) = rest.split_at(usize::try_from(len).unwrap_or(usize::MAX).min(rest.len()));
            open.file.write_all_at(now, at).map_err(|error| fault(&open.path, error))?;
            rest = later;
        }
        Progress::add(&progress.done, bytes.len() as u64);
        Progress::add(&progress.written, bytes.len() as u64);
        self.put.bytes += bytes.len() as u64;
        if piece.from + u64::from(piece.len) == piece.size { self.complete() } else { Ok(()) }
    }

    /// All of it is there: it gets what else it has, and then its name.
    fn complete(&mut self) -> Result<(), PipelineFault> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let set = open.file.set_len(real_size(&open.first)).map_err(|error| fault(&open.path, error));
        let fd: OwnedFd = open.file.into();
        let settled = set.and_then(|()| self.settler.settle(&Of::Open(&fd), &open.first, &open.path));
        // What is there may be good: it goes when its successor is on the disk. All others are made durable together, at the end.
        let durable = settled.and_then(|()| match open.replaces {
            true => rustix::fs::fsync(&fd).map_err(|error| fault(&open.path, error)),
            false => Ok(()),
        });
        let named = durable.and_then(|()| self.name(&open.at, &open.beside, split(&open.path).1, &open.path));
        match named {
            Ok(true) => self.put.files += 1,
            Ok(false) => {}
            Err(fault) => {
                let _ = unlinkat(&open.at, &*open.beside, AtFlags::empty());
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Gives what was made its name. False when something is there that is not overwritten.
    fn name(&mut self, at: &OwnedFd, beside: &[u8], name: &[u8], path: &[u8]) -> Result<bool, PipelineFault> {
        let named = if self.wish.overwrite {
            renameat(at, beside, at, name)
        } else {
            match renameat_with(at, beside, at, name, RenameFlags::NOREPLACE) {
                // Not every file system knows that.
                Err(Errno::INVAL | Errno::NOSYS) => {
                    linkat(at, beside, at, name, AtFlags::empty()).and_then(|()| unlinkat(at, beside, AtFlags::empty()))
                }
                other => other,
            }
        };
        match named {
            Ok(()) => Ok(true),
            // A directory, or something that came meanwhile.
            Err(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) => {
                let _ = unlinkat(at, beside, AtFlags::empty());
                self.leave(path)?;
                Ok(false)
            }
            Err(error) => Err(fault(path, error)),
        }
    }

    fn directory(&mut self, piece: &Piece) -> Result<(), PipelineFault> {
        let (parent, name) = split(piece.path_bytes());
        let at = self.places.make(parent)?;
        if entry::look(&at, name, piece)? == There::Other {
            return self.leave(piece.path_bytes());
        }
        self.places.make(piece.path_bytes()).map(drop)
    }

    /// Its rights and times, once nothing is made in it any more. One that was there keeps its own, unless it may be overwritten; one above
    /// what was copied keeps them always. What an interrupted restore made was not there.
    fn settle_directory(&mut self, piece: &Piece) -> Result<(), PipelineFault> {
        let path = piece.path_bytes();
        let is_above = piece.more.as_ref().is_some_and(|more| more.above);
        let overwritten = self.wish.overwrite && !is_above && self.wish.wants(piece).0;
        let mut made = self.places.take_made(path);
        if !made && !overwritten {
            // Whatever keeps us out of it is no matter of ours.
            made = matches!(self.places.find(path), Ok(Some(open)) if place::is_unfinished(&open));
            if !made {
                return Ok(());
            }
        }
        self.put.directories += u64::from(made);
        if piece.mode & 0o300 != 0o300 && !rustix::process::geteuid().is_root() {
            self.closed.push(piece.clone());
            return Ok(());
        }
        self.settle_now(piece)
    }

    /// Remembers the folders above it when it lies below nothing that came before.
    fn note_top(&mut self, piece: &Piece) {
        let path = piece.path_bytes();
        let is_below = path.strip_prefix(self.top.as_slice()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
        if is_below && !self.top.is_empty() {
            return;
        }
        self.top = path.to_vec();
        let mut parent = split(path).0;
        while !parent.is_empty() && self.above.insert(parent.to_vec()) {
            parent = split(parent).0;
        }
    }

    /// Backups of earlier versions do not know the folders above what was copied: those that were made let everybody through.
    fn open_ways(&mut self) -> Result<(), PipelineFault> {
        for path in std::mem::take(&mut self.above) {
            let made = self.places.take_made(&path);
            let found = match self.places.find(&path) {
                Err(_) if !made => continue,
                found => found?,
            };
            if let Some(open) = found.filter(|open| made || place::is_unfinished(open)) {
                rustix::fs::fchmod(&open, Mode::from_raw_mode(OPEN_TO_ALL)).map_err(|error| fault(&path, error))?;
                self.put.directories += 1;
            }
        }
        Ok(())
    }

    fn settle_now(&mut self, piece: &Piece) -> Result<(), PipelineFault> {
        match self.places.find(piece.path_bytes())? {
            Some(open) => self.settler.settle(&Of::Open(&open), piece, piece.path_bytes()),
            None => Ok(()),
        }
    }

    fn without_content(&mut self, piece: &Piece, path: &[u8]) -> Result<(), PipelineFault> {
        let (parent, name) = split(path);
        let at = self.places.make(parent)?;
        match entry::look(&at, name, piece)? {
            There::Same => {
                self.put.same += 1;
                return self.settle_there(&at, name, piece, path);
            }
            There::Other if !self.wish.overwrite => return self.leave(path),
            There::Other | There::Nothing => {}
        }
        let beside = beside(name);
        fresh(&at, &beside, path, || match piece.kind {
            Kind::Fifo => mknodat(&at, &*beside, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0),
            _ => symlinkat(piece.link_bytes(), &at, &*beside),
        })?;
        self.settler.settle(&Of::Named(&at, &beside), piece, path)?;
        self.put.links += u64::from(self.name(&at, &beside, name, path)?);
        Ok(())
    }

    fn hard_link(&mut self, piece: &Piece, path: &[u8]) -> Result<(), PipelineFault> {
        let to = self.census.borrowed.get(piece.link_bytes()).map_or(piece.link_bytes(), Vec::as_slice);
        if to == path {
            return Ok(());
        }
        let (parent, name) = split(path);
        let at = self.places.make(parent)?;
        let (there, first) = split(to);
        let from = self.places.find(there)?.ok_or_else(|| fault(path, Errno::NOENT))?;
        let target = entry::stat(&from, first, to)?.ok_or_else(|| fault(path, Errno::NOENT))?;
        if let Some(stat) = entry::stat(&at, name, path)? {
            if (stat.st_dev, stat.st_ino) == (target.st_dev, target.st_ino) {
                self.put.same += 1;
                return Ok(());
            }
            if !self.wish.overwrite {
                return self.leave(path);
            }
        }
        let beside = beside(name);
        fresh(&at, &beside, path, || linkat(&from, first, &at, &*beside, AtFlags::empty()))?;
        self.put.links += u64::from(self.name(&at, &beside, name, path)?);
        Ok(())
    }

    /// What is there is as in the backup but for rights and times; these are put right only where that is wanted.
    fn settle_there(&mut self, at: &OwnedFd, name: &[u8], piece: &Piece, path: &[u8]) -> Result<(), PipelineFault> {
        if !self.wish.overwrite {
            return Ok(());
        }
        if piece.kind != Kind::File {
            return self.settler.settle(&Of::Named(at, name), piece, path);
        }
        let open = openat(at, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
        self.settler.settle(&Of::Open(&open.map_err(|error| fault(path, error))?), piece, path)
    }

    fn leave(&mut self, path: &[u8]) -> Result<(), PipelineFault> {
        self.put.left += 1;
        if self.put.named.len() < MOST_NAMED {
            self.put.named.push(shown(path));
        }
        Ok(())
    }

    /// What is not whole does not stay.
    fn give_up(&mut self) {
        if let Some(open) = self.open.take() {
            let _ = unlinkat(&open.at, &*open.beside, AtFlags::empty());
        }
    }

    fn finish(mut self) -> Result<Put, PipelineFault> {
        self.open_ways()?;
        let mut closed = std::mem::take(&mut self.closed);
        // What lies deeper first: afterwards there is no way to it.
        closed.sort_by_key(|piece| std::cmp::Reverse(piece.path_bytes().iter().filter(|byte| **byte == b'/').count()));
        closed.iter().try_for_each(|piece| self.settle_now(piece))?;
        self.places.sync()?;
        self.put.not_owned = self.settler.not_owned;
        self.put.without_attributes = self.settler.without_attributes;
        Ok(self.put)
    }
}

fn beside(name: &[u8]) -> Vec<u8> {
    format!("{BESIDE}{}", hex(&blake3::hash(name).as_bytes()[..BESIDE_BYTES])).into_bytes()
}

/// Makes something under a name of its own, in the place of what an interrupted restore left there.
fn fresh<T>(at: &OwnedFd, beside: &[u8], path: &[u8], make: impl Fn() -> rustix::io::Result<T>) -> Result<T, PipelineFault> {
    let made = match make() {
        Err(Errno::EXIST) => {
            clear(at, beside, path)?;
            make()
        }
        other => other,
    };
    made.map_err(|error| fault(path, error))
}

fn clear(at: &OwnedFd, beside: &[u8], path: &[u8]) -> Result<(), PipelineFault> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if let Ok(left) = openat(at, beside, flags, Mode::empty())
        && flock(&left, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    {
        return Err(busy(path));
    }
    match unlinkat(at, beside, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(fault(path, error)),
    }
}

fn busy(path: &[u8]) -> PipelineFault {
    fault(path, std::io::Error::other("another restore is at it"))
}
