//! Files beside a database on their way into parts: walked as a stream, read by several workers, with all that a file system knows of them.
//!
//! Nothing is opened by its path: each step goes from an open directory to a name in it and follows no link. So nobody who may rename
//! things below a path makes a backup read what lies elsewhere.

mod attributes;
mod before;
mod feeder;
mod holes;
mod names;
mod read;
mod walk;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ignore::gitignore::Gitignore;
use rustix::fs::Stat;

pub use before::Before;
pub(super) use walk::walk;

use super::PipelineFault;
use crate::format::index::{Attributes, Kind};
use crate::format::notes::{Named, Note};
use crate::world::accounts::Accounts;
use before::Known;

/// What is to be copied.
#[derive(Debug)]
pub struct Tree {
    /// Absolute, without links on the way; none lies below another.
    pub paths: Vec<PathBuf>,
    /// What is left out of what lies below them.
    pub exclude: Gitignore,
    /// Directories that are no part of it, each with the reason.
    pub without: Vec<(PathBuf, String)>,
}

/// What was found on the way that is not in the backup as it should be.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub unread: Named,
    pub changed: Named,
    pub left_out: Named,
}

/// What the walk and the workers share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    found: Mutex<Found>,
    accounts: Accounts,
}

impl Shared {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unread(&self, path: &[u8], why: impl ToString) {
        self.found().unread.add(note(path, why));
    }

    fn changed(&self, path: &[u8], why: impl ToString) {
        self.found().changed.add(note(path, why));
    }

    fn left_out(&self, path: &[u8], why: impl ToString) {
        self.found().left_out.add(note(path, why));
    }

    pub(super) fn finish(self) -> Found {
        let mut found = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        for named in [&mut found.unread, &mut found.changed, &mut found.left_out] {
            named.files.sort();
        }
        found
    }
}

fn note(path: &[u8], why: impl ToString) -> Note {
    Note { path: format!("/{}", String::from_utf8_lossy(path)), why: why.to_string() }
}

/// One thing that is small enough to be read at once, or has no content.
#[derive(Debug)]
pub(super) struct Entry {
    /// The directory that it lies in; itself, where the name is empty.
    at: Arc<OwnedFd>,
    name: Box<[u8]>,
    /// Without the slash in front.
    path: Box<[u8]>,
    stat: Stat,
    /// Another name of this file.
    link_to: Option<Box<[u8]>>,
    /// A folder above a path, without what else is in it.
    above: bool,
    /// What the backup before has under this name.
    before: Option<Box<Known>>,
}

/// A file that is read in stretches.
#[derive(Debug)]
pub(super) struct Large {
    file: File,
    path: Box<[u8]>,
    stat: Stat,
    more: Attributes,
    /// Bytes that are stored of it.
    stored: u64,
    told: AtomicBool,
}

/// The time and size of a file by which a change is noticed.
fn state(stat: &Stat) -> impl PartialEq + use<> {
    (stat.st_size, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec)
}

fn kind(stat: &Stat) -> rustix::fs::FileType {
    rustix::fs::FileType::from_raw_mode(stat.st_mode)
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// A path as text, and its bytes where the text does not say them.
fn spelled(path: &[u8]) -> (String, Option<crate::format::index::Bytes>) {
    match std::str::from_utf8(path) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(path).into_owned(), Some(crate::format::index::Bytes(path.to_vec()))),
    }
}

/// A piece of a file, before its bytes are known.
fn piece(path: &[u8], kind: Kind, stat: &Stat, mut more: Attributes) -> crate::format::index::Piece {
    let (text, raw) = spelled(path);
    more.path = raw;
    crate::format::index::Piece {
        path: text,
        kind,
        skip: 0,
        from: 0,
        len: 0,
        hash: None,
        size: 0,
        mode: stat.st_mode & 0o7777,
        mtime: stat.st_mtime,
        crc: None,
        link: None,
        more: Some(Box::new(more)),
        lies: None,
    }
}

/// Opens a directory or a file in a directory; a link is none.
fn open_in(at: &OwnedFd, name: &[u8], flags: rustix::fs::OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, openat};
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    // Whoever may not leave the time of the last access alone reads all the same.
    match openat(at, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(rustix::io::Errno::PERM) => openat(at, name, flags, Mode::empty()),
        other => other,
    }
}

fn fault(path: &[u8], what: &str, error: impl Into<std::io::Error>) -> PipelineFault {
    PipelineFault::file(format!("{what} /{}", String::from_utf8_lossy(path)), error.into())
}
