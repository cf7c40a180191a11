use std::fs;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use super::feed::bad_index;
use super::ground::{Ground, PG_CONTROL, sync_directory};
use super::{PipelineFault, Source};
use crate::format::index::Frames;

/// The names of a backup's files, as numbers: eight bytes for each of a million.
#[derive(Debug, Default)]
pub struct Names {
    numbers: Vec<u64>,
    sorted: bool,
}

/// The keyed hash's key differs in every process, so that nobody can prepare a name that collides.
fn number(path: &str) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    static STATE: std::sync::LazyLock<RandomState> = std::sync::LazyLock::new(RandomState::new);
    STATE.hash_one(path)
}

impl Names {
    pub(super) fn add(&mut self, path: &str) {
        let number = number(path);
        // A large file comes in many pieces, one after the other.
        if self.numbers.last() != Some(&number) {
            self.numbers.push(number);
            self.sorted = false;
        }
    }

    /// All names in the indexes of a backup.
    pub fn read(source: &Source<'_>) -> Result<Names, PipelineFault> {
        let mut names = Names::default();
        for part in &source.parts {
            for frame in Frames::new(BufReader::with_capacity(256 << 10, part.open_index(source)?)) {
                for piece in frame.map_err(|error| bad_index(&part.index, error))?.pieces {
                    names.add(&piece.path);
                }
            }
        }
        names.sort();
        Ok(names)
    }

    fn sort(&mut self) {
        if !self.sorted {
            self.numbers.sort_unstable();
            self.numbers.dedup();
            self.sorted = true;
        }
    }

    fn has(&self, path: &str) -> bool {
        self.numbers.binary_search(&number(path)).is_ok()
    }
}

/// What lies in the directory and not in the backup.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Extras {
    pub files: u64,
    pub bytes: u64,
    /// The first of them.
    pub first: Vec<PathBuf>,
    /// Segments of the write-ahead log among them that were never archived.
    pub unarchived: Vec<String>,
}

const FIRST: usize = 20;
/// Deeper than any data directory.
const MAX_DEPTH: usize = 32;

impl Extras {
    /// Looks, and changes nothing.
    pub fn find(ground: &Ground, mut names: Names) -> Result<Extras, PipelineFault> {
        names.sort();
        walk(ground, &names, false)
    }

    /// Removes them. Every index was found right before.
    pub fn remove(ground: &Ground, mut names: Names) -> Result<Extras, PipelineFault> {
        names.sort();
        walk(ground, &names, true)
    }
}

fn walk(ground: &Ground, names: &Names, remove: bool) -> Result<Extras, PipelineFault> {
    let mut walk = Walk { names, remove, extras: Extras::default() };
    walk.directory(&ground.root, "", 0)?;
    for (oid, directory) in &ground.tablespaces {
        // Beside what this version keeps there, a tablespace's directory may belong to others.
        for entry in list(directory)? {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("pg_tblspc/{oid}/{name}");
            if name.starts_with("PG_") && names.has(&path) {
                walk.directory(&entry.path(), &path, 0)?;
            }
        }
    }
    Ok(walk.extras)
}

struct Walk<'w> {
    names: &'w Names,
    remove: bool,
    extras: Extras,
}

/// What belongs to the file system, where a disk of its own is mounted: only root may look into it.
fn is_of_file_system(path: &str) -> bool {
    matches!(path, "lost+found" | "pg_wal/lost+found")
}

/// What a restore itself puts there.
fn is_ours(path: &str) -> bool {
    matches!(path, "seawall.restoring" | "pg_wal" | "backup_manifest" | "pg_tblspc")
        || path == PG_CONTROL
        || path.starts_with("global/pg_control.")
}

fn list(directory: &Path) -> Result<Vec<fs::DirEntry>, PipelineFault> {
    match fs::read_dir(directory).and_then(Iterator::collect) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|error| PipelineFault::file(format!("`{}` cannot be read", directory.display()), error)),
    }
}

impl Walk<'_> {
    fn directory(&mut self, directory: &Path, below: &str, depth: usize) -> Result<(), PipelineFault> {
        let mut removed = false;
        for entry in list(directory)? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = if below.is_empty() { name.to_string() } else { format!("{below}/{name}") };
            if is_of_file_system(&path) {
                continue;
            }
            let kind = entry.file_type().map_err(|error| fault(&entry.path(), error))?;
            // The log lies behind a link where it has a disk of its own.
            let is_directory = kind.is_dir() || (path == "pg_wal" && entry.path().is_dir());
            if is_directory && depth < MAX_DEPTH {
                self.directory(&entry.path(), &path, depth + 1)?;
            }
            let known = self.names.has(&path) || is_ours(&path);
            if known || (is_directory && path == "pg_wal/archive_status") || (kind.is_symlink() && below == "pg_tblspc") {
                continue;
            }
            removed |= self.extra(&entry.path(), &path, is_directory)?;
        }
        if removed { sync_directory(directory) } else { Ok(()) }
    }

    fn extra(&mut self, at: &Path, path: &str, is_directory: bool) -> Result<bool, PipelineFault> {
        if !is_directory {
            self.extras.files += 1;
            self.extras.bytes += at.symlink_metadata().map_or(0, |about| about.len());
            if let Some(name) = path.strip_prefix("pg_wal/archive_status/").and_then(|name| name.strip_suffix(".ready")) {
                self.extras.unarchived.push(name.to_owned());
            }
            if self.extras.first.len() < FIRST {
                self.extras.first.push(at.to_owned());
            }
        }
        if !self.remove {
            return Ok(false);
        }
        let removed = if is_directory { fs::remove_dir(at) } else { fs::remove_file(at) };
        match removed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
            // What was fetched ahead for the server that ran here clears itself away.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(fault(at, error)),
        }
    }
}

fn fault(at: &Path, error: std::io::Error) -> PipelineFault {
    PipelineFault::file(format!("`{}` cannot be removed", at.display()), error)
}
