//! Writing: whole under a name nobody reads, then under its own.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Pid, test_kill_process};

use super::flush::Flusher;
use super::{INCOMING, Local, PIECE_SIZE};
use crate::store::{Fault, FaultKind, Key, Put};

/// Nobody writes to an object for that long without adding a byte to it.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// A directory can be deleted (as empty) between its making and its use, by another host that expires.
const ATTEMPTS: usize = 8;

impl Local {
    /// A new file that nobody sees yet.
    fn incoming(&self) -> io::Result<(File, PathBuf)> {
        let directory = self.root.join(INCOMING);
        make_directories(&directory)?;
        self.swept.call_once(|| sweep(&directory));
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
        self.keep_pace(body.len());
        let (mut file, path) = self.incoming()?;
        let written = file.write_all(body).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map(|()| path)
    }

    /// Gives a synced file its name if nothing has it. The file is gone from where it was, whatever happened.
    fn link_new(&self, from: &Path, key: &Key) -> io::Result<Put> {
        let named = self.in_its_directory(key, |to| link(from, to));
        let _ = fs::remove_file(from);
        named
    }

    /// Does it in the object's directory, made if need be, and makes the new name durable.
    fn in_its_directory(&self, key: &Key, mut act: impl FnMut(&Path) -> io::Result<Put>) -> io::Result<Put> {
        let to = self.path(key);
        let parent = to.parent().unwrap_or(&self.root);
        let mut attempt = 0;
        loop {
            make_directories(parent)?;
            attempt += 1;
            match act(&to).and_then(|put| File::open(parent)?.sync_all().map(|()| put)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {}
                done => return done,
            }
        }
    }

    pub(in crate::store) fn put_new(&self, key: &Key, body: &[u8]) -> Result<Put, Fault> {
        self.written(body).and_then(|path| self.link_new(&path, key)).map_err(|error| self.fault(&error, format_args!("writing {key}")))
    }

    pub(in crate::store) fn replace(&self, key: &Key, body: &[u8]) -> Result<(), Fault> {
        let put = || {
            let beside = self.written(body)?;
            let named = self.in_its_directory(key, |to| fs::rename(&beside, to).map(|()| Put::Created));
            if named.is_err() {
                let _ = fs::remove_file(&beside);
            }
            named.map(drop)
        };
        put().map_err(|error| self.fault(&error, format_args!("writing {key}")))
    }

    pub(in crate::store) fn upload(self: &Arc<Self>, key: &Key) -> Result<LocalUpload, Fault> {
        let (file, path) = self.incoming().map_err(|error| self.fault(&error, format_args!("writing {key}")))?;
        Ok(LocalUpload { store: self.clone(), file: Arc::new(file), path: Some(path), key: key.clone(), flusher: Flusher::default() })
    }

    pub(in crate::store) fn delete(&self, keys: &[Key]) -> Result<(), Fault> {
        self.must_be_there()?;
        for key in keys {
            let path = self.path(key);
            match fs::remove_file(&path) {
                Ok(()) => self.remove_empty_above(&path),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(self.fault(&error, format_args!("deleting {key}"))),
            }
        }
        Ok(())
    }

    /// A folder is only as long there as something is in it: as in every other store.
    fn remove_empty_above(&self, path: &Path) {
        for directory in path.ancestors().skip(1).take_while(|directory| **directory != self.root) {
            if fs::remove_dir(directory).is_err() {
                break;
            }
        }
    }
}

fn link(from: &Path, to: &Path) -> io::Result<Put> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(Put::Created),
        // Over a network the answer to a first attempt may have been lost: then it is our own file that is there.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(if same_file(from, to) { Put::Created } else { Put::Exists }),
        // File systems without hard links.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
            match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
                Ok(()) => Ok(Put::Created),
                Err(rustix::io::Errno::EXIST) => Ok(Put::Exists),
                Err(_) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Removes what crashed processes left: untouched for a day, and its process is not on this machine any more.
fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let untouched = entry.metadata().and_then(|about| about.modified()).ok();
        let untouched = untouched.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.split('-').next()).and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
        let gone = process.is_none_or(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH));
        if untouched.is_some_and(|age| age > ABANDONED) && gone {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn random() -> u32 {
    getrandom::u32().unwrap_or_else(|_| std::process::id())
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
pub(in crate::store) struct LocalUpload {
    store: Arc<Local>,
    file: Arc<File>,
    /// Until it has its name.
    path: Option<PathBuf>,
    key: Key,
    flusher: Flusher,
}

impl LocalUpload {
    fn fault(&self, error: &io::Error) -> Fault {
        self.store.fault(error, format_args!("writing {}", self.key))
    }

    pub(in crate::store) fn put(&mut self, index: u32, piece: &[u8]) -> Result<(), Fault> {
        self.store.keep_pace(piece.len());
        let at = u64::from(index) * PIECE_SIZE as u64;
        self.file.write_all_at(piece, at).map_err(|error| self.fault(&error))?;
        self.flusher.wrote(&self.file, piece.len()).map_err(|error| self.fault(&error))
    }

    pub(in crate::store) fn finish(mut self) -> Result<(), Fault> {
        self.flusher.finish(&self.file).map_err(|error| self.fault(&error))?;
        let Some(path) = self.path.take() else { return Ok(()) };
        match self.store.link_new(&path, &self.key).map_err(|error| self.fault(&error))? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_dead_left_a_day_ago_is_swept() {
        let directory = tempfile::tempdir().expect("a directory");
        let mine = format!("{}-0-0", std::process::id());
        // No process has this id: the kernel's largest is 2^22.
        for (name, hours) in [("4194305-1-a", 25), ("4194305-2-b", 23), (&*mine, 25), ("stray", 25)] {
            let file = File::create(directory.path().join(name)).expect("made");
            file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).expect("set");
        }
        sweep(directory.path());
        let listed = fs::read_dir(directory.path()).expect("read").flatten();
        let mut left: Vec<_> = listed.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        left.sort();
        let mut expected = ["4194305-2-b".to_owned(), mine];
        expected.sort();
        assert_eq!(left, expected);
    }
}
