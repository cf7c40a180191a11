//! Goes through the paths, directory by directory, and hands over what it finds while it goes on.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;

use super::super::cut::CHUNK;
use super::super::{Job, PipelineFault};
use super::attributes::{self, Of};
use super::before::{Before, Known};
use super::feeder::Feeder;
use super::names::Names;
use super::{Entry, Large, Shared, Tree, fault, holes, kind, open_in, size};
use crate::format::index::{Kind, Piece};
use crate::format::member::estimate;

/// Directories above the current one that are kept open; further ones are opened again on the way back.
const KEPT: usize = 64;

/// File systems that show the kernel's state, by their numbers in Linux.
const NO_FILES: [(i64, &str); 21] = [
    (0x9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    (0x27_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0x1cd1, "devpts"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0x6165_676c, "pstore"),
    (0xde5e_81e4, "efivarfs"),
    (0xcafe_4a11, "bpf"),
    (0x6265_6570, "configfs"),
    (0x1980_0202, "mqueue"),
    (0x9584_58f6, "hugetlbfs"),
    (0x6573_5543, "fusectl"),
    (0x4249_4e4d, "binfmt_misc"),
    (0x187, "autofs"),
    (0x6e73_6673, "nsfs"),
    (0xf97c_ff8c, "selinuxfs"),
    (0x6759_6969, "rpc_pipefs"),
    (0x6e66_7364, "nfsd"),
];

/// Finds everything below the paths and feeds it to the workers.
pub(in crate::pipeline::backup) fn walk(
    tree: &Tree,
    shared: &Shared,
    before: Option<Before<'_>>,
    sender: std::sync::mpsc::SyncSender<super::super::cut::Task>,
    job: &Job<'_>,
    tasks: usize,
) -> Result<(), PipelineFault> {
    let out = Feeder::new(sender, job.stop, tasks);
    let mut walk =
        Walk { tree, shared, before, job, out, path: Vec::new(), levels: Vec::new(), linked: HashMap::new(), above: HashSet::new() };
    tree.paths.iter().try_for_each(|path| walk.top(path))?;
    walk.out.finish()
}

struct Walk<'w> {
    tree: &'w Tree,
    shared: &'w Shared,
    before: Option<Before<'w>>,
    job: &'w Job<'w>,
    out: Feeder<'w>,
    /// Of the current directory, without the slash in front.
    path: Vec<u8>,
    levels: Vec<Level>,
    /// Files with several names, by their numbers: under which name each is in the backup.
    linked: HashMap<(u64, u64), Box<[u8]>>,
    /// Folders above the paths that were handed over.
    above: HashSet<PathBuf>,
}

/// A directory that the walk is in.
struct Level {
    name: Box<[u8]>,
    /// None when too many below it are open.
    open: Option<Arc<OwnedFd>>,
    id: (u64, u64),
    path: usize,
    below: Names,
    next: usize,
}

fn id(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

impl Walk<'_> {
    fn top(&mut self, path: &Path) -> Result<(), PipelineFault> {
        let (at, name, stat) = found(path).map_err(|error| fault(relative(path), "reading", error))?;
        self.ways_to(path)?;
        self.path = relative(path).to_vec();
        if kind(&stat) != FileType::Directory {
            return self.leaf(&at, name, &stat);
        }
        self.enter(&at, name, &stat, None)?;
        while let Some(level) = self.levels.last_mut() {
            let number = level.next;
            level.next += 1;
            let (length, Some(name)) = (level.path, level.below.get(number).map(Box::<[u8]>::from)) else {
                self.levels.pop();
                continue;
            };
            let Some(at) = self.open_again()? else { continue };
            self.step(length, &name);
            match rustix::fs::statat(&*at, &*name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if kind(&stat) == FileType::Directory => {
                    let parent = self.levels.last().map(|level| level.id.0);
                    self.enter(&at, &name, &stat, parent)?;
                }
                // It was a directory a moment ago.
                Ok(stat) => self.leaf(&at, &name, &stat)?,
                Err(Errno::NOENT) => {}
                Err(error) => self.shared.unread(&self.path, std::io::Error::from(error)),
            }
        }
        Ok(())
    }

    /// The folders that lead to a path, so that whoever restores it where they are missing makes them as they were, for everybody who goes
    /// through them.
    fn ways_to(&mut self, path: &Path) -> Result<(), PipelineFault> {
        let mut above: Vec<&Path> = path.ancestors().skip(1).filter(|folder| folder.parent().is_some()).collect();
        above.reverse();
        for folder in above {
            if !self.above.insert(folder.to_owned()) {
                continue;
            }
            // The path was reached through it: what went wrong is gone again.
            let Ok((at, name, stat)) = found(folder) else { continue };
            if kind(&stat) == FileType::Directory {
                let path = relative(folder).into();
                self.out.entry(Entry { at, name: name.into(), path, stat, link_to: None, above: true, before: None })?;
            }
        }
        Ok(())
    }

    /// The current path becomes that of a name in the directory whose path is so long.
    fn step(&mut self, length: usize, name: &[u8]) {
        self.path.truncate(length);
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
    }

    fn absolute(&self) -> Vec<u8> {
        [b"/", self.path.as_slice()].concat()
    }

    /// The current path is a directory: it is handed over, with all in it that is none, and becomes a level.
    fn enter(&mut self, at: &Arc<OwnedFd>, name: &[u8], stat: &Stat, parent: Option<u64>) -> Result<(), PipelineFault> {
        let absolute = self.absolute();
        if let Some((_, why)) = self.tree.without.iter().find(|(path, _)| path.as_os_str().as_bytes() == absolute) {
            self.shared.left_out(&self.path, why);
            return Ok(());
        }
        let open = match open_in(at, name, OFlags::DIRECTORY) {
            Ok(open) => Arc::new(open),
            Err(Errno::NOENT) if parent.is_some() => return Ok(()),
            Err(error) => {
                self.shared.unread(&self.path, std::io::Error::from(error));
                return self.hand_over(at, name, stat);
            }
        };
        let stat = rustix::fs::fstat(&*open).map_err(|error| fault(&self.path, "reading", error))?;
        self.hand_over(&open, b"", &stat)?;
        if parent != Some(stat.st_dev)
            && let Some(kind) = no_files(&open)
        {
            self.shared.left_out(&self.path, format_args!("what is in it: a file system of the kind {kind} holds no files"));
            return Ok(());
        }
        let names = match names(&open) {
            Ok(names) => names,
            Err(error) => {
                self.shared.unread(&self.path, std::io::Error::from(error));
                return Ok(());
            }
        };
        let length = self.path.len();
        let mut below = Names::default();
        for name in names.iter() {
            self.step(length, name);
            match rustix::fs::statat(&*open, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => {
                    let is_directory = kind(&stat) == FileType::Directory;
                    match is_directory {
                        _ if self.is_excluded(is_directory) => {}
                        // As many fit as there were.
                        true => drop(below.push(name)),
                        false => self.leaf(&open, name, &stat)?,
                    }
                }
                Err(Errno::NOENT) => {}
                Err(error) => self.shared.unread(&self.path, std::io::Error::from(error)),
            }
        }
        self.path.truncate(length);
        self.levels.push(Level { name: name.into(), open: Some(open), id: id(&stat), path: length, below, next: 0 });
        let far = self.levels.len().checked_sub(KEPT + 1);
        // The first of all stays: the way back begins there.
        if let Some(far) = far.filter(|far| *far > 0) {
            self.levels[far].open = None;
        }
        Ok(())
    }

    fn is_excluded(&self, is_directory: bool) -> bool {
        let absolute = self.absolute();
        self.tree.exclude.matched(Path::new(std::ffi::OsStr::from_bytes(&absolute)), is_directory).is_ignore()
    }

    /// The current level's directory. When it was closed, the way there is gone again and must lead to the same one.
    fn open_again(&mut self) -> Result<Option<Arc<OwnedFd>>, PipelineFault> {
        let last = self.levels.len() - 1;
        if let Some(open) = &self.levels[last].open {
            return Ok(Some(open.clone()));
        }
        let from = (0..last).rev().find(|number| self.levels[*number].open.is_some()).expect("the first stays open");
        let mut at = self.levels[from].open.clone().expect("it was found a line ago");
        for number in from + 1..=last {
            let level = &self.levels[number];
            let opened = open_in(&at, &level.name, OFlags::DIRECTORY).and_then(|open| Ok((rustix::fs::fstat(&open)?, open)));
            match opened {
                Ok((stat, open)) if id(&stat) == level.id => at = Arc::new(open),
                _ => {
                    let length = self.levels[last].path;
                    self.path.truncate(length);
                    self.shared.unread(&self.path, "the rest of it: it was moved while it was read");
                    self.levels[last].below = Names::default();
                    return Ok(None);
                }
            }
            if number + KEPT > last {
                self.levels[number].open = Some(at.clone());
            }
        }
        Ok(Some(at))
    }

    /// The current path is something that is no directory.
    fn leaf(&mut self, at: &Arc<OwnedFd>, name: &[u8], stat: &Stat) -> Result<(), PipelineFault> {
        match kind(stat) {
            FileType::RegularFile => {
                if stat.st_nlink > 1 {
                    self.linked(at, name, stat)
                } else if estimate(self.path.len(), size(stat)) > CHUNK {
                    self.large(at, name).map(drop)
                } else {
                    self.hand_over(at, name, stat)
                }
            }
            FileType::Symlink | FileType::Fifo | FileType::Directory => self.hand_over(at, name, stat),
            FileType::Socket => {
                self.shared.left_out(&self.path, "it is a socket");
                Ok(())
            }
            _ => {
                self.shared.left_out(&self.path, "it is a device");
                Ok(())
            }
        }
    }

    /// One of several names of a file. The first has the content, which must be there for the others: so it is opened before they are told.
    fn linked(&mut self, at: &Arc<OwnedFd>, name: &[u8], stat: &Stat) -> Result<(), PipelineFault> {
        if let Some(first) = self.linked.get(&id(stat)).cloned() {
            let path = self.path.as_slice().into();
            return self.out.entry(Entry {
                at: at.clone(),
                name: Box::default(),
                path,
                stat: *stat,
                link_to: Some(first),
                above: false,
                before: None,
            });
        }
        if self.large(at, name)? {
            self.linked.insert(id(stat), self.path.as_slice().into());
        }
        Ok(())
    }

    fn hand_over(&mut self, at: &Arc<OwnedFd>, name: &[u8], stat: &Stat) -> Result<(), PipelineFault> {
        if self.path.is_empty() {
            // The root itself is there wherever files are restored.
            return Ok(());
        }
        let before = if kind(stat) == FileType::RegularFile { self.known()?.map(Box::new) } else { None };
        let path = self.path.as_slice().into();
        self.out.entry(Entry { at: at.clone(), name: name.into(), path, stat: *stat, link_to: None, above: false, before })
    }

    /// A file that is read in stretches from now on; whether it could be opened.
    fn large(&mut self, at: &Arc<OwnedFd>, name: &[u8]) -> Result<bool, PipelineFault> {
        let opened = open_in(at, name, OFlags::empty()).and_then(|open| Ok((rustix::fs::fstat(&open)?, open)));
        let (stat, open) = match opened {
            Ok((stat, open)) if kind(&stat) == FileType::RegularFile => (stat, open),
            Ok(_) => return self.unread("it became something else while it was read"),
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return self.unread(std::io::Error::from(error)),
        };
        let more = attributes::read(self.shared, &self.path, &stat, &Of::Open(&open));
        let sparse = match holes::map(&open, size(&stat)) {
            Ok(sparse) => sparse,
            Err(error) => return self.unread(error),
        };
        let stored = sparse.as_ref().map_or(size(&stat), |sparse| sparse.data.iter().map(|(_, len)| len).sum());
        let more = crate::format::index::Attributes { sparse, ..more };
        let told = AtomicBool::new(false);
        let file = File::from(open);
        if let Some(known) = self.known()? {
            let now = super::piece(&self.path, Kind::File, &stat, more.clone());
            let now = Piece { size: stored, ..now };
            if let Some(pieces) = known.refer_all(&file, &stat, &now, self.job)? {
                let mut touched = Vec::new();
                known.tell_touched(&now, &mut touched);
                self.out.same(pieces, touched)?;
                return Ok(true);
            }
        }
        self.out.large(Large { file, path: self.path.as_slice().into(), stat, more, stored, told })?;
        Ok(true)
    }

    /// What the backup before has of the current path.
    fn known(&mut self) -> Result<Option<Known>, PipelineFault> {
        self.before.as_mut().map_or(Ok(None), |before| before.find(&self.path))
    }

    fn unread(&mut self, why: impl ToString) -> Result<bool, PipelineFault> {
        self.shared.unread(&self.path, why);
        Ok(false)
    }
}

/// Without the slash in front.
pub(super) fn relative(path: &Path) -> &[u8] {
    let bytes = path.as_os_str().as_bytes();
    bytes.strip_prefix(b"/").unwrap_or(bytes)
}

/// The directory that a path lies in, its name there, and what it is.
fn found(path: &Path) -> rustix::io::Result<(Arc<OwnedFd>, &[u8], Stat)> {
    let parent = path.parent().unwrap_or(path);
    let at = rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    let name = path.file_name().map_or(&b"."[..], std::os::unix::ffi::OsStrExt::as_bytes);
    let stat = rustix::fs::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((Arc::new(at), name, stat))
}

fn names(open: &OwnedFd) -> rustix::io::Result<Names> {
    let mut names = Names::default();
    for entry in Dir::read_from(open)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." && !names.push(name) {
            return Err(Errno::NOMEM);
        }
    }
    names.sort();
    Ok(names)
}

/// The name of a file system that shows no files.
fn no_files(open: &OwnedFd) -> Option<&'static str> {
    let kind = rustix::fs::fstatfs(open).ok()?.f_type;
    NO_FILES.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}
