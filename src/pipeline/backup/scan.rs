//! Looks through a data directory: which files there are, and which of them are copied.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::PipelineFault;
use super::leave_out::{is_database, is_emptied, is_left_out, is_tablespace, is_temporary, relation_file, stays_in_emptied, unlogged};
use super::listing::{About, Listing, TooMany};
use crate::format::control;
use crate::format::tarball::Owner;

/// Directories are not nested deeper than this; more of them is a circle.
const MAX_DEPTH: usize = 32;

/// Lists what is to be copied. `global/pg_control` is not in the list: it is copied last, by itself.
pub fn scan(root: &Path) -> Result<Listing, PipelineFault> {
    let at = |error: io::Error| PipelineFault::file(format!("reading the data directory {}", root.display()), error);
    let about = std::fs::metadata(root).map_err(at)?;
    let version = std::fs::read_to_string(root.join("PG_VERSION")).map_err(at)?;
    let own = format!("PG_{}_", version.trim());
    let mut scan = Scan { root, own, listing: Listing::of(Owner { uid: about.uid(), gid: about.gid() }) };
    scan.directory("", 0)?;
    scan.listing.put_in_order();
    Ok(scan.listing)
}

/// The names in one directory, one behind the other: a million strings would take more memory than everything else.
#[derive(Default)]
struct Names {
    text: String,
    places: Vec<(u32, u8)>,
}

impl Names {
    fn push(&mut self, name: &str) -> Result<(), TooMany> {
        let from = u32::try_from(self.text.len()).map_err(|_| TooMany)?;
        self.places.push((from, u8::try_from(name.len()).map_err(|_| TooMany)?));
        self.text.push_str(name);
        Ok(())
    }

    fn at(text: &str, (from, len): (u32, u8)) -> &str {
        &text[from as usize..from as usize + usize::from(len)]
    }

    fn sort(&mut self) {
        let text = &self.text;
        self.places.sort_unstable_by_key(|place| Names::at(text, *place));
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| Names::at(&self.text, *place))
    }
}

struct Scan<'r> {
    root: &'r Path,
    /// How this major version's directory in a tablespace begins: clusters of several versions may share one.
    own: String,
    listing: Listing,
}

impl Scan<'_> {
    fn fault(&self, path: &str, error: impl Into<io::Error>) -> PipelineFault {
        PipelineFault::file(format!("reading {}", self.root.join(path).display()), error.into())
    }

    fn too_many(&self, _: TooMany) -> PipelineFault {
        self.fault("", io::Error::other("there are more files than can be listed"))
    }

    fn directory(&mut self, path: &str, depth: usize) -> Result<(), PipelineFault> {
        if depth > MAX_DEPTH {
            return Err(self.fault(path, io::Error::other("the directories go too deep: is there a circle of links?")));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = match rustix::fs::open(self.root.join(path), flags, Mode::empty()) {
            Ok(handle) => handle,
            // Dropped while we look: a database, a temporary directory.
            Err(Errno::NOENT) if depth > 0 => return Ok(()),
            Err(error) => return Err(self.fault(path, error)),
        };
        let names = self.names(path, &handle)?;
        let unlogged = if is_database(path) { unlogged(names.iter()) } else { HashSet::new() };
        let number = self.listing.directory(path).map_err(|many| self.too_many(many))?;
        let mut below = Vec::new();
        for name in names.iter() {
            if is_left_out(path, name) || is_of_the_moment(path, name, &unlogged) || (is_tablespace(path) && !name.starts_with(&self.own)) {
                continue;
            }
            let full = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            if is_emptied(path) && !stays_in_emptied(&full) {
                continue;
            }
            let Some(about) = self.about(&full, name, &handle)? else { continue };
            if full == control::PATH {
                continue;
            }
            self.listing.push(number, name, about).map_err(|many| self.too_many(many))?;
            if about.is_directory {
                below.push(full);
            }
        }
        drop(handle);
        below.iter().try_for_each(|path| self.directory(path, depth + 1))
    }

    /// In the order of the names, so that two backups of the same files look alike.
    fn names(&mut self, path: &str, handle: &impl std::os::fd::AsFd) -> Result<Names, PipelineFault> {
        let mut names = Names::default();
        for entry in Dir::read_from(handle).map_err(|error| self.fault(path, error))? {
            let entry = entry.map_err(|error| self.fault(path, error))?;
            match entry.file_name().to_str() {
                Ok("." | "..") => {}
                Ok(name) => names.push(name).map_err(|many| self.too_many(many))?,
                Err(_) => {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    self.listing.remarks.push(format!("`{path}/{name}` is left out: its name is not UTF-8"));
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// Links are followed: a tablespace and a symlinked `pg_wal` are directories to a copy, a linked file is its content.
    fn about(&mut self, path: &str, name: &str, handle: &impl std::os::fd::AsFd) -> Result<Option<About>, PipelineFault> {
        let mut stat = match rustix::fs::statat(handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.fault(path, error)),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink {
            stat = match rustix::fs::statat(handle, name, AtFlags::empty()) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => {
                    self.listing.remarks.push(format!("`{path}` is left out: the link leads nowhere"));
                    return Ok(None);
                }
                Err(error) => return Err(self.fault(path, error)),
            };
            if !is_expected_link(path, FileType::from_raw_mode(stat.st_mode)) {
                self.listing.remarks.push(format!("`{path}` is left out: it is a link to a directory that is no part of the cluster"));
                return Ok(None);
            }
        }
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Some(found(&stat, false)),
            FileType::Directory => Some(found(&stat, true)),
            FileType::Socket => None,
            _ => {
                self.listing.remarks.push(format!("`{path}` is left out: it is no file"));
                None
            }
        })
    }
}

fn found(stat: &Stat, is_directory: bool) -> About {
    About {
        size: if is_directory { 0 } else { u64::try_from(stat.st_size).unwrap_or_default() },
        mtime: stat.st_mtime,
        mode: stat.st_mode,
        is_directory,
    }
}

/// A linked file is copied as what it is; a linked directory only where it holds what a cluster cannot do without. A `log`
/// that lies elsewhere stays there.
fn is_expected_link(path: &str, target: FileType) -> bool {
    let top = path.split('/').next().unwrap_or_default();
    target == FileType::RegularFile || top == "base" || top == "global" || top.starts_with("pg_")
}

/// Gone after a crash, so no part of a copy: temporary relations, and all but the beginnings of those that are not logged.
fn is_of_the_moment(directory: &str, name: &str, unlogged: &HashSet<&str>) -> bool {
    is_database(directory)
        && (is_temporary(name) || relation_file(name).is_some_and(|file| file.fork != Some("init") && unlogged.contains(file.number)))
}
