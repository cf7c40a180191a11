use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::ground::{Ground, Spot};
use super::{How, Owner, PipelineFault};
use crate::format::index::{Hash, Kind, Piece};
use crate::world::direct::DirectFile;

/// Files that a worker keeps open: a large file's pieces come one after the other, small files come once.
const OPEN_FILES: usize = 8;
/// Files for which room is made before they are written.
const LARGE: u64 = 1 << 20;
const MODES: u32 = 0o7777;

/// The files that one worker has open.
#[derive(Debug)]
pub(super) struct Files<'g> {
    ground: &'g Ground,
    how: How<'g>,
    /// The one used last is the last.
    open: Vec<Open>,
    local: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    path: String,
    file: DirectFile,
    mtime: i64,
    written: bool,
}

impl Open {
    /// Whoever has written to a file sets its time when done with it: so the last one sets it last.
    fn close(self) -> io::Result<()> {
        if self.written { set_mtime(self.file.file(), self.mtime) } else { Ok(()) }
    }
}

impl<'g> Files<'g> {
    pub(super) fn new(ground: &'g Ground, how: How<'g>) -> Files<'g> {
        Files { ground, how, open: Vec::with_capacity(OPEN_FILES), local: Vec::new() }
    }

    /// Whether this piece is there already, byte for byte. What is not content (length, mode, times) is put right on the way.
    pub(super) fn has(&mut self, piece: &Piece) -> Result<bool, PipelineFault> {
        if piece.kind != Kind::File {
            return Ok(piece.kind == Kind::Link);
        }
        let Spot::At(path) = self.ground.spot(&piece.path) else { return Ok(true) };
        if !self.open.iter().any(|open| open.path == piece.path) && !path.is_file() {
            return Ok(false);
        }
        let mut local = std::mem::take(&mut self.local);
        let file = self.file(piece)?;
        local.resize(piece.len as usize, 0);
        let same = match file.file.read_exact_at(&mut local, piece.from) {
            Ok(()) => piece.hash.is_none_or(|hash| hash == hash_of(&local)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(fault(&path, error)),
        };
        self.local = local;
        Ok(same)
    }

    /// Puts a piece in its place. Its hash was found right. Says how many bytes went into the system's cache.
    pub(super) fn put(&mut self, piece: &Piece, bytes: &[u8]) -> Result<usize, PipelineFault> {
        let Spot::At(path) = self.ground.spot(&piece.path) else { return Ok(0) };
        match piece.kind {
            // Made when all files are written.
            Kind::Link => Ok(0),
            Kind::HardLink | Kind::Fifo => {
                Err(fault(&path, std::io::Error::other("no cluster has such a thing; `seawall restore --files` brings back files")))
            }
            Kind::Directory => self.directory(piece, &path).map(|()| 0),
            Kind::File => {
                let open = self.file(piece)?;
                open.written = true;
                open.file.write_all_at(bytes, piece.from).map_err(|error| fault(&path, error))
            }
        }
    }

    /// Makes a file of this piece's that has its size and nothing in it; once, with its first piece.
    pub(super) fn hollow(&mut self, piece: &Piece) -> Result<(), PipelineFault> {
        let Spot::At(path) = self.ground.spot(&piece.path) else { return Ok(()) };
        match piece.kind {
            Kind::Link | Kind::HardLink | Kind::Fifo => Ok(()),
            Kind::Directory => self.directory(piece, &path),
            Kind::File if piece.from > 0 => Ok(()),
            Kind::File => {
                let empty = Piece { size: 0, ..piece.clone() };
                self.opened(&path, &empty)?.set_len(piece.size).map_err(|error| fault(&path, error))
            }
        }
    }

    /// Nothing more is to be written.
    pub(super) fn finish(mut self) -> Result<(), PipelineFault> {
        (0..self.open.len()).rev().try_for_each(|at| self.close(at))
    }

    fn close(&mut self, at: usize) -> Result<(), PipelineFault> {
        let open = self.open.remove(at);
        let path = self.ground.root.join(&open.path);
        open.close().map_err(|error| fault(&path, error))
    }

    fn directory(&self, piece: &Piece, path: &Path) -> Result<(), PipelineFault> {
        self.ground.make_directory(path)?;
        let about = path.metadata().map_err(|error| fault(path, error))?;
        if about.mode() & MODES != piece.mode & MODES {
            rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(piece.mode & MODES)).map_err(|error| fault(path, error.into()))?;
        }
        Ok(())
    }

    fn file(&mut self, piece: &Piece) -> Result<&mut Open, PipelineFault> {
        if let Some(at) = self.open.iter().position(|open| open.path == piece.path) {
            let used = self.open.remove(at);
            self.open.push(used);
        } else {
            let Spot::At(path) = self.ground.spot(&piece.path) else { unreachable!("asked for by the caller") };
            let file = self.opened(&path, piece)?;
            if self.open.len() == OPEN_FILES {
                self.close(0)?;
            }
            self.open.push(Open { path: piece.path.clone(), file: DirectFile::new(file), mtime: piece.mtime, written: false });
        }
        Ok(self.open.last_mut().expect("one was just put there"))
    }

    fn opened(&self, path: &Path, piece: &Piece) -> Result<File, PipelineFault> {
        let open = || {
            let mut options = OpenOptions::new();
            // Never through a link: what is written is what lies here.
            options.read(self.how.delta).write(true).create(true).truncate(false).mode(piece.mode & MODES);
            options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()).open(path)
        };
        let file = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.ground.make_directory(path.parent().unwrap_or(Path::new("/")))?;
                open()
            }
            Err(error) if path.is_symlink() => {
                std::fs::remove_file(path).map_err(|_| fault(path, error))?;
                open()
            }
            other => other,
        };
        let file = file.map_err(|error| fault(path, error))?;
        self.set_right(&file, piece).map_err(|error| fault(path, error))?;
        Ok(file)
    }

    /// Length, mode, owner and time, where they differ.
    fn set_right(&self, file: &File, piece: &Piece) -> io::Result<()> {
        let about = file.metadata()?;
        if about.len() > piece.size {
            file.set_len(piece.size)?;
        } else if about.len() < piece.size && piece.size >= LARGE {
            // In one place on the disk, though several write it. Where that cannot be done it grows as it is written.
            let _ = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, piece.size);
        }
        if about.mode() & MODES != piece.mode & MODES {
            rustix::fs::fchmod(file, rustix::fs::Mode::from_raw_mode(piece.mode & MODES))?;
        }
        if let Some(Owner { uid, gid }) = self.ground.owner.filter(|owner| (owner.uid, owner.gid) != (about.uid(), about.gid())) {
            std::os::unix::fs::fchown(file, Some(uid), Some(gid))?;
        }
        if self.how.delta && about.mtime() != piece.mtime {
            set_mtime(file, piece.mtime)?;
        }
        Ok(())
    }
}

pub(super) fn hash_of(bytes: &[u8]) -> Hash {
    Hash(*blake3::hash(bytes).as_bytes())
}

fn set_mtime(file: &File, seconds: i64) -> io::Result<()> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds >= 0 { SystemTime::UNIX_EPOCH.checked_add(distance) } else { SystemTime::UNIX_EPOCH.checked_sub(distance) };
    time.map_or(Ok(()), |time| file.set_modified(time))
}

fn fault(path: &Path, error: io::Error) -> PipelineFault {
    let path: PathBuf = path.to_owned();
    PipelineFault::file(format!("`{}` cannot be written", path.display()), error)
}
