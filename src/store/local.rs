//! A directory as a store.
//!
//! The order in which bytes become durable: write under `.incoming`, sync the file, link or rename it to its name, sync the
//! directory (and those above it that are new). A crash leaves at most something in `.incoming`, which nobody reads.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::{Fault, FaultKind, Key, Meta, Put};
use crate::units::Instant;

pub(super) const PIECE_SIZE: usize = 4 << 20;
const INCOMING: &str = ".incoming";

#[derive(Debug)]
pub(super) struct Local {
    root: PathBuf,
    next: AtomicU64,
}

impl Local {
    pub(super) fn open(path: &Path) -> Result<Local, Fault> {
        if !path.is_absolute() {
            let message = format!("the path of a local store must be absolute: `{}`", path.display());
            return Err(Fault::new(FaultKind::Config, message, "Write it from the root on: `/srv/backups`."));
        }
        Ok(Local { root: path.to_owned(), next: AtomicU64::new(0) })
    }

    pub(super) fn url(&self) -> String {
        format!("file://{}", self.root.display())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn fault(&self, error: &io::Error, what: impl std::fmt::Display) -> Fault {
        Fault::of_io(error, &format!("{what} in {}", self.url()))
    }

    /// A new file that nobody sees yet.
    fn incoming(&self) -> io::Result<(File, PathBuf)> {
        let directory = self.root.join(INCOMING);
        make_directories(&directory)?;
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!("{}-{number}-{:08x}", std::process::id(), random()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn written(&self, body: &[u8]) -> io::Result<PathBuf> {
        let (mut file, path) = self.incoming()?;
        let written = file.write_all(body).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map(|()| path)
    }

    /// Gives a synced file its name if nothing has it.
    fn link_new(&self, from: &Path, key: &Key) -> io::Result<Put> {
        let to = self.path(key);
        let parent = to.parent().unwrap_or(&self.root);
        make_directories(parent)?;
        let linked = fs::hard_link(from, &to);
        let _ = fs::remove_file(from);
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Put::Exists),
            Err(error) => return Err(error),
        }
        File::open(parent)?.sync_all()?;
        Ok(Put::Created)
    }

    pub(super) fn put_new(&self, key: &Key, body: &[u8]) -> Result<Put, Fault> {
        self.written(body).and_then(|path| self.link_new(&path, key)).map_err(|error| self.fault(&error, format_args!("writing {key}")))
    }

    pub(super) fn replace(&self, key: &Key, body: &[u8]) -> Result<(), Fault> {
        let put = || {
            let beside = self.written(body)?;
            let to = self.path(key);
            let parent = to.parent().unwrap_or(&self.root);
            make_directories(parent)?;
            fs::rename(&beside, &to)?;
            File::open(parent)?.sync_all()
        };
        put().map_err(|error| self.fault(&error, format_args!("writing {key}")))
    }

    pub(super) fn upload(self: &Arc<Self>, key: &Key) -> Result<LocalUpload, Fault> {
        let (file, path) = self.incoming().map_err(|error| self.fault(&error, format_args!("writing {key}")))?;
        Ok(LocalUpload { store: self.clone(), file, path: Some(path), key: key.clone() })
    }

    /// Absent only when the store itself is there: an unmounted disk is not an empty one.
    fn absent_or(&self, error: &io::Error, what: impl std::fmt::Display) -> Fault {
        if error.kind() == io::ErrorKind::NotFound && !self.root.is_dir() {
            let message = format!("the directory of the store is not there: {}", self.url());
            return Fault::new(
                FaultKind::NoStore,
                message,
                "Is the disk mounted? Seawall makes it at the first backup, never when reading.",
            );
        }
        self.fault(error, what)
    }

    pub(super) fn file(&self, key: &Key) -> Result<File, Fault> {
        File::open(self.path(key)).map_err(|error| self.absent_or(&error, format_args!("reading {key}")))
    }

    pub(super) fn head(&self, key: &Key) -> Result<Option<Meta>, Fault> {
        match fs::metadata(self.path(key)) {
            Ok(about) if about.is_file() => Ok(Some(meta(key.clone(), &about))),
            Ok(_) => Ok(None),
            Err(error) => match self.absent_or(&error, format_args!("looking at {key}")) {
                fault if fault.is_absent() => Ok(None),
                fault => Err(fault),
            },
        }
    }

    pub(super) fn get(&self, key: &Key, limit: usize) -> Result<Bytes, Fault> {
        let mut bytes = Vec::new();
        let file = self.file(key)?;
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|error| self.fault(&error, format_args!("reading {key}")))?;
        if bytes.len() > limit {
            let message = format!("{key} in {} has more than {limit} bytes", self.url());
            return Err(Fault::new(FaultKind::Damaged, message, "It is not what its name says."));
        }
        Ok(bytes.into())
    }

    pub(super) fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Fault> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        self.file(key)?.read_exact_at(&mut bytes, range.start).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::new(
                FaultKind::Damaged,
                format!("{key} in {} ends before byte {}", self.url(), range.end),
                "The object is cut short.",
            ),
            _ => self.fault(&error, format_args!("reading {key}")),
        })?;
        Ok(bytes.into())
    }

    pub(super) fn list_after(&self, prefix: &str, after: Option<&Key>, each: &mut dyn FnMut(Meta) -> ControlFlow<()>) -> Result<(), Fault> {
        let start = self.root.join(prefix);
        match fs::metadata(&start) {
            Ok(_) => {}
            Err(error) => match self.absent_or(&error, "listing") {
                fault if fault.is_absent() => return Ok(()),
                fault => return Err(fault),
            },
        }
        self.walk(&start, each).map(|_| ()).map_err(|error| self.fault(&error, format_args!("listing {prefix}")))
    }

    fn walk(&self, directory: &Path, each: &mut dyn FnMut(Meta) -> ControlFlow<()>) -> io::Result<ControlFlow<()>> {
        let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
                    continue;
                }
                if self.walk(&path, each)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            } else if let Some(key) = self.key_of(&path) {
                match entry.metadata() {
                    Ok(about) if each(meta(key, &about)).is_break() => return Ok(ControlFlow::Break(())),
                    Ok(_) => {}
                    // Deleted since the directory was read.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn key_of(&self, path: &Path) -> Option<Key> {
        path.strip_prefix(&self.root).ok()?.to_str().and_then(|text| Key::new(text).ok())
    }

    pub(super) fn folders(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let list = || {
            let mut names = Vec::new();
            for entry in fs::read_dir(self.root.join(prefix))? {
                let entry = entry?;
                if entry.file_type()?.is_dir()
                    && let Ok(name) = entry.file_name().into_string()
                    && !name.starts_with('.')
                {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        };
        list().or_else(|error: io::Error| match self.absent_or(&error, format_args!("listing {prefix}")) {
            fault if fault.is_absent() => Ok(Vec::new()),
            fault => Err(fault),
        })
    }

    pub(super) fn delete(&self, keys: &[Key]) -> Result<(), Fault> {
        for key in keys {
            match fs::remove_file(self.path(key)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.fault(&error, format_args!("deleting {key}"))),
            }
        }
        Ok(())
    }
}

fn random() -> u32 {
    getrandom::u32().unwrap_or_else(|_| std::process::id())
}

fn meta(key: Key, about: &fs::Metadata) -> Meta {
    let modified = about.modified().ok().and_then(|time| Instant::try_from(time).ok()).unwrap_or(Instant::UNIX_EPOCH);
    Meta { key, size: about.len(), modified, frozen: false }
}

/// Makes a directory and those above it that are missing, 0700 each, and makes the new names durable.
fn make_directories(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directories(parent)?;
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => File::open(parent)?.sync_all()?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[derive(Debug)]
pub(super) struct LocalUpload {
    store: Arc<Local>,
    file: File,
    /// Until it has its name.
    path: Option<PathBuf>,
    key: Key,
}

impl LocalUpload {
    pub(super) fn put(&mut self, index: u32, piece: &[u8]) -> Result<(), Fault> {
        let at = u64::from(index) * PIECE_SIZE as u64;
        self.file.write_all_at(piece, at).map_err(|error| self.store.fault(&error, format_args!("writing {}", self.key)))
    }

    pub(super) fn finish(mut self) -> Result<(), Fault> {
        let fault = |store: &Local, key: &Key, error: &io::Error| store.fault(error, format_args!("writing {key}"));
        self.file.sync_all().map_err(|error| fault(&self.store, &self.key, &error))?;
        let Some(path) = self.path.take() else { return Ok(()) };
        match self.store.link_new(&path, &self.key).map_err(|error| fault(&self.store, &self.key, &error))? {
            Put::Created => Ok(()),
            Put::Exists => {
                let message = format!("{} in {} is there already", self.key, self.store.url());
                Err(Fault::new(FaultKind::Other, message, "Two runs chose the same name; run it again."))
            }
        }
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}
