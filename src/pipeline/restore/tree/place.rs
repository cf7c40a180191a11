//! Directories below a root, reached step by step.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fchmod, fstat, mkdirat, openat};
use rustix::io::Errno;

use super::super::PipelineFault;
use super::{fault, settle};

/// Directories on the way that are kept open.
const KEPT: usize = 64;

/// The rights of a directory that was made and has not got its own yet: its owner's alone, with a bit that means nothing where only he may
/// go in. So a restore that goes on after `kill -9` knows what the last one had made and not come back to.
const UNFINISHED: Mode = Mode::RWXU.union(Mode::SVTX);

/// Directories below a root.
#[derive(Debug)]
pub(super) struct Places {
    root: Arc<OwnedFd>,
    /// Those on the way to the one that was asked for last, by their names.
    way: Vec<(Box<[u8]>, Arc<OwnedFd>)>,
    /// The one that was asked for last.
    last: Option<(Box<[u8]>, Arc<OwnedFd>)>,
    /// Made by us, and without their own rights still.
    made: HashSet<u128>,
    /// A directory of each file system that was gone through.
    disks: HashMap<u64, Arc<OwnedFd>>,
}

impl Places {
    pub(super) fn below(root: &Path) -> Result<Places, PipelineFault> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::open(root, flags, Mode::empty());
        let open = open.map_err(|error| PipelineFault::file(format!("`{}` cannot be opened", root.display()), error.into()))?;
        let mut places = Places { root: Arc::new(open), way: Vec::new(), last: None, made: HashSet::new(), disks: HashMap::new() };
        places.note_disk(&places.root.clone());
        Ok(places)
    }

    /// All that was written below the root is durable, also where other file systems are mounted there.
    pub(super) fn sync(&self) -> Result<(), PipelineFault> {
        self.disks.values().try_for_each(|open| rustix::fs::syncfs(open).map_err(|error| fault(b"", error)))
    }

    fn note_disk(&mut self, open: &Arc<OwnedFd>) {
        if let Ok(stat) = fstat(open) {
            self.disks.entry(stat.st_dev).or_insert_with(|| open.clone());
        }
    }

    /// A directory that is there; none when it is not, or something on the way is no directory.
    pub(super) fn find(&mut self, path: &[u8]) -> Result<Option<Arc<OwnedFd>>, PipelineFault> {
        self.go(path, false)
    }

    /// A directory, made with all on the way where it is missing. Until it has its rights it is its owner's alone.
    pub(super) fn make(&mut self, path: &[u8]) -> Result<Arc<OwnedFd>, PipelineFault> {
        let made = self.go(path, true)?;
        made.ok_or_else(|| fault(path, std::io::Error::other("something on the way is no directory")))
    }

    /// Whether it was made by us and has not got its own rights; from now on it has.
    pub(super) fn take_made(&mut self, path: &[u8]) -> bool {
        self.made.remove(&fingerprint(path))
    }

    fn go(&mut self, path: &[u8], make: bool) -> Result<Option<Arc<OwnedFd>>, PipelineFault> {
        if let Some((_, open)) = self.last.as_ref().filter(|(last, _)| **last == *path) {
            return Ok(Some(open.clone()));
        }
        let steps: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|step| !step.is_empty()).collect();
        let shared = self.way.iter().zip(&steps).take_while(|((name, _), step)| **name == ***step).count();
        self.way.truncate(shared);
        let mut at = self.way.last().map_or_else(|| self.root.clone(), |(_, open)| open.clone());
        let mut so_far = steps[..shared].join(&b'/');
        for step in &steps[shared..] {
            if !so_far.is_empty() {
                so_far.push(b'/');
            }
            so_far.extend_from_slice(step);
            let Some(open) = self.step(&at, step, &so_far, make)? else { return Ok(None) };
            at = Arc::new(open);
            self.note_disk(&at);
            if self.way.len() < KEPT {
                self.way.push(((*step).into(), at.clone()));
            }
        }
        self.last = Some((path.into(), at.clone()));
        Ok(Some(at))
    }

    fn step(&mut self, at: &OwnedFd, name: &[u8], path: &[u8], make: bool) -> Result<Option<OwnedFd>, PipelineFault> {
        let open = || openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        match open() {
            Ok(open) => Ok(Some(open)),
            Err(Errno::NOENT) if make => {
                let made = match mkdirat(at, name, UNFINISHED) {
                    Ok(()) => self.made.insert(fingerprint(path)),
                    Err(Errno::EXIST) => false,
                    Err(error) => return Err(fault(path, error)),
                };
                let open = open().map_err(|error| fault(path, error))?;
                if made {
                    close(&open).map_err(|error| fault(path, error))?;
                }
                Ok(Some(open))
            }
            Err(Errno::NOENT) => Ok(None),
            // A link or a file.
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(fault(path, error)),
        }
    }
}

/// What a new directory has from the one above it, a list of its own among that, is nothing that the backup knows of.
fn close(open: &OwnedFd) -> rustix::io::Result<()> {
    settle::without_lists(open)?;
    match fchmod(open, UNFINISHED) {
        // There are file systems that have no rights.
        Err(Errno::PERM | Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// Whether an interrupted restore has made it and not come back to it.
pub(super) fn is_unfinished(open: &OwnedFd) -> bool {
    fstat(open).is_ok_and(|stat| Mode::from_raw_mode(stat.st_mode) == UNFINISHED)
}

/// Sixteen bytes for each directory, however long its path is.
fn fingerprint(path: &[u8]) -> u128 {
    u128::from_le_bytes(*blake3::hash(path).as_bytes().first_chunk().expect("a hash has 32 bytes"))
}
