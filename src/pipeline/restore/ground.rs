use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::PipelineFault;
use crate::format::index::is_inside;

/// What makes a data directory one that can be started.
pub const PG_CONTROL: &str = "global/pg_control";
/// Its name while the rest is written.
const UNARMED: &str = "global/pg_control.seawall";
/// What an earlier cluster in the directory had.
const FORMER: &str = "global/pg_control.before-restore";

/// To whom everything belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Where a backup's files go.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The data directory.
    pub root: PathBuf,
    /// The directories of the tablespaces, by their numbers.
    pub tablespaces: BTreeMap<u32, PathBuf>,
    /// Only root gives files away; everybody else owns what he writes.
    pub owner: Option<Owner>,
}

/// What a path of the backup means here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spot {
    At(PathBuf),
    /// A tablespace's link in `pg_tblspc`: made from where the tablespace is now, not from where it was.
    TablespaceLink,
}

/// File systems that are written to.
#[derive(Debug, Default)]
pub(super) struct Disks(Vec<(u64, PathBuf, File)>);

impl Disks {
    fn hold(&mut self, ground: &Ground) -> Result<(), PipelineFault> {
        for directory in ground.directories().filter(|directory| directory.exists()) {
            let open = File::open(&directory).map_err(file_fault(&directory))?;
            let device = open.metadata().map_err(file_fault(&directory))?.dev();
            if self.0.iter().all(|(held, ..)| *held != device) {
                self.0.push((device, directory, open));
            }
        }
        Ok(())
    }

    /// Those too that came while it was written.
    pub(super) fn sync(mut self, ground: &Ground) -> Result<(), PipelineFault> {
        self.hold(ground)?;
        self.0.iter().try_for_each(|(_, directory, open)| rustix::fs::syncfs(open).map_err(|error| file_fault(directory)(error.into())))
    }
}

fn file_fault(path: &Path) -> impl Fn(io::Error) -> PipelineFault {
    let path = path.display().to_string();
    move |error| PipelineFault::file(format!("`{path}` cannot be written"), error)
}

impl Ground {
    pub(super) fn spot(&self, path: &str) -> Spot {
        // The index's reader has refused what leads out already; this holds for whoever calls without it.
        assert!(is_inside(path), "paths are checked when the index is read");
        if path == PG_CONTROL {
            return Spot::At(self.root.join(UNARMED));
        }
        if let Some(below) = path.strip_prefix("pg_tblspc/") {
            let (oid, rest) = below.split_once('/').map_or((below, None), |(oid, rest)| (oid, Some(rest)));
            if let Some(directory) = oid.parse().ok().and_then(|oid: u32| self.tablespaces.get(&oid)) {
                return rest.map_or(Spot::TablespaceLink, |rest| Spot::At(directory.join(rest)));
            }
        }
        Spot::At(self.root.join(path))
    }

    /// From here on the directory cannot be started, also after the machine's end. True where it could be until now.
    pub fn disarm(&self) -> Result<bool, PipelineFault> {
        let control = self.root.join(PG_CONTROL);
        match fs::rename(&control, self.root.join(FORMER)) {
            Ok(()) => sync_directory(&self.root.join("global")).map(|()| true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(false),
            Err(error) => Err(file_fault(&control)(error)),
        }
    }

    /// Takes that back, as long as nothing was changed: what was there is whole.
    pub fn rearm(&self) -> Result<(), PipelineFault> {
        let control = self.root.join(PG_CONTROL);
        fs::rename(self.root.join(FORMER), &control).map_err(file_fault(&control))?;
        sync_directory(&self.root.join("global"))
    }

    /// The file systems that will be written to, each once, held open from before the first byte: of what goes wrong while the kernel
    /// writes behind our back, only descriptors that were open then are told, whoever else syncs meanwhile.
    pub(super) fn hold(&self) -> Result<Disks, PipelineFault> {
        let mut disks = Disks::default();
        disks.hold(self)?;
        Ok(disks)
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> {
        [self.root.clone(), self.root.join("pg_wal")].into_iter().chain(self.tablespaces.values().cloned())
    }

    /// Gives `pg_control` its name. Everything else is durable.
    pub(super) fn arm(&self) -> Result<(), PipelineFault> {
        let (unarmed, control) = (self.root.join(UNARMED), self.root.join(PG_CONTROL));
        match fs::remove_file(self.root.join(FORMER)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(file_fault(&control)(error)),
            _ => {}
        }
        fs::rename(&unarmed, &control).map_err(file_fault(&control))?;
        sync_directory(&self.root.join("global"))
    }

    /// Directories down to this one, where they are missing.
    pub fn make_directory(&self, path: &Path) -> Result<(), PipelineFault> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => self.give(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let parent = path.parent().ok_or_else(|| file_fault(path)(error))?;
                self.make_directory(parent)?;
                match DirBuilder::new().mode(0o700).create(path) {
                    Ok(()) => self.give(path),
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                    Err(error) => Err(file_fault(path)(error)),
                }
            }
            Err(error) => Err(file_fault(path)(error)),
        }
    }

    /// Makes a path belong to whom it should.
    pub fn give(&self, path: &Path) -> Result<(), PipelineFault> {
        match self.owner {
            Some(Owner { uid, gid }) => std::os::unix::fs::lchown(path, Some(uid), Some(gid)).map_err(file_fault(path)),
            None => Ok(()),
        }
    }

    /// A symbolic link that the backup brought along.
    pub(super) fn link(&self, path: &str, target: &str) -> Result<(), PipelineFault> {
        let Spot::At(at) = self.spot(path) else { return Ok(()) };
        self.make_link(&at, Path::new(target))
    }

    pub fn make_link(&self, at: &Path, target: &Path) -> Result<(), PipelineFault> {
        if fs::read_link(at).is_ok_and(|there| there == target) {
            return Ok(());
        }
        if let Some(parent) = at.parent() {
            self.make_directory(parent)?;
        }
        let made = match symlink(target, at) {
            // A link to elsewhere, or an empty directory: what holds anything is not removed for a link.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let removed = if at.is_symlink() { fs::remove_file(at) } else { fs::remove_dir(at) };
                removed.and_then(|()| symlink(target, at))
            }
            other => other,
        };
        made.map_err(file_fault(at))?;
        self.give(at)
    }
}

pub(super) fn sync_directory(path: &Path) -> Result<(), PipelineFault> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(file_fault(path))
}
