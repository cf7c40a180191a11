//! Writing: whole under a name nobody reads, then under its own.

use std::cell::RefCell;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Pid, test_kill_process};

use super::writing::Writing;
use super::{INCOMING, Local, PIECE_SIZE};
use crate::store::{Fault, FaultKind, Key, Put};
use crate::world::direct::{DirectFile, Room};
use crate::world::files;

/// What nobody holds any more and was not written to for so long is left of a process that died.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// A directory can be deleted (as empty) between its making and its use, by another host that expires.
const ATTEMPTS: usize = 8;

thread_local! {
    /// What is put in one piece is copied through this.
    static ROOM: RefCell<Room> = RefCell::default();
}

impl Local {
    /// A new file that nobody sees yet. It is locked while it is open, so that no other host takes it for one of the dead.
    fn incoming(&self) -> io::Result<(File, PathBuf)> {
        let directory = self.root.join(INCOMING);
        self.make_folders(&directory)?;
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!("{}-{number}-{:08x}", std::process::id(), random()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    if let Err(error) = files::give(&file, &self.root) {
                        let _ = fs::remove_file(&path);
                        return Err(error);
                    }
                    // Where the file system knows no locks, the process's number and the time must do.
                    let _ = file.try_lock();
                    // This file is of the store's own time; this host's clock may be another.
                    self.swept.call_once(|| sweep(&directory, file.metadata().and_then(|about| about.modified())));
                    return Ok((file, path));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The file stays open, and so locked, until it has its name.
    fn written(&self, body: &[u8]) -> io::Result<(File, PathBuf)> {
        self.keep_pace(body.len());
        let (file, path) = self.incoming()?;
        let mut file = DirectFile::new(file);
        let written = ROOM.with_borrow_mut(|room| file.write_copied_at(body, 0, room)).and_then(|()| file.file().sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map(|()| (file.into_file(), path))
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
            attempt += 1;
            // Whoever deletes the last object of a folder takes the folder away, also one that was made just now.
            let done = self.make_folders(parent).and_then(|()| act(&to)).and_then(|put| File::open(parent)?.sync_all().map(|()| put));
            match done {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {}
                done => return done,
            }
        }
    }

    pub(in crate::store) fn put_new(&self, key: &Key, body: &[u8]) -> Result<Put, Fault> {
        self.written(body)
            .and_then(|(_held, path)| self.link_new(&path, key))
            .map_err(|error| self.fault(&error, format_args!("writing {key}")))
    }

    pub(in crate::store) fn replace(&self, key: &Key, body: &[u8]) -> Result<(), Fault> {
        let put = || {
            let (_held, beside) = self.written(body)?;
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
        Ok(LocalUpload { store: self.clone(), file: Writing::new(file), path: Some(path), key: key.clone() })
    }

    pub(in crate::store) fn settle(&self, key: &Key) -> Result<(), Fault> {
        let path = self.path(key);
        let folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root));
        let mut synced = folders.map(|folder| File::open(folder)?.sync_all());
        synced.try_for_each(|synced| synced).map_err(|error| self.fault(&error, format_args!("making {key} durable")))
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

    /// Deletes them, and makes it durable: a name that came back after a crash would lead to what is gone.
    pub(in crate::store) fn purge(&self, keys: &[Key]) -> Result<(), Fault> {
        self.delete(keys)?;
        let mut folders: Vec<PathBuf> = keys.iter().filter_map(|key| self.path(key).parent().map(Path::to_owned)).collect();
        folders.dedup();
        for folder in folders {
            // One that became empty is gone; then it is the name of that which counts, in the nearest one that is left.
            let left = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(&self.root);
            match File::open(left).and_then(|folder| folder.sync_all()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.fault(&error, format_args!("deleting below {}", folder.display())));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes a folder and those above it that are missing, 0700 each; their names are durable then. Of one that is there, somebody may have
    /// made the name a moment ago and not have come to make it durable: so each is looked after once.
    fn make_folders(&self, path: &Path) -> io::Result<()> {
        let there = || fs::metadata(path).ok().filter(fs::Metadata::is_dir).map(|about| (about.dev(), about.ino()));
        let known = |folder| self.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(&folder);
        if there().is_some_and(|folder| path == self.root || known(folder)) {
            return Ok(());
        }
        let Some(parent) = path.parent() else { return Ok(()) };
        self.make_folders(parent)?;
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
            // What is not the account's that archives would be in its way: it goes again.
            Ok(()) => files::give_folder(path, parent).inspect_err(|_| drop(fs::remove_dir(path)))?,
        }
        File::open(parent)?.sync_all()?;
        if let Some(folder) = there() {
            self.durable.lock().unwrap_or_else(PoisonError::into_inner).insert(folder);
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

/// Removes what crashed processes left: untouched for a day by the store's clock, and nobody holds it. A lock is seen from other hosts
/// and containers too, over NFS as well; a process's number only here.
fn sweep(directory: &Path, now: io::Result<SystemTime>) {
    let (Ok(entries), Ok(now)) = (fs::read_dir(directory), now) else { return };
    for entry in entries.flatten() {
        let untouched = entry.metadata().and_then(|about| about.modified()).ok();
        let abandoned = untouched.and_then(|modified| now.duration_since(modified).ok()).is_some_and(|age| age > ABANDONED);
        if abandoned && !is_held(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// When in doubt, it is.
fn is_held(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let process = name.and_then(|name| name.split('-').next()).and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    let runs_here = process.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH));
    let Ok(file) = OpenOptions::new().write(true).open(path) else { return true };
    runs_here || matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

fn random() -> u32 {
    getrandom::u32().unwrap_or_else(|_| std::process::id())
}

#[derive(Debug)]
pub(in crate::store) struct LocalUpload {
    store: Arc<Local>,
    file: Writing,
    /// Until it has its name.
    path: Option<PathBuf>,
    key: Key,
}

impl LocalUpload {
    fn fault(&self, error: &io::Error) -> Fault {
        self.store.fault(error, format_args!("writing {}", self.key))
    }

    pub(in crate::store) fn put(&mut self, index: u32, piece: Bytes) -> Result<(), Fault> {
        self.store.keep_pace(piece.len());
        let at = u64::from(index) * PIECE_SIZE as u64;
        let is_large = piece.len() == PIECE_SIZE;
        self.file.write(piece, at, is_large).map_err(|error| self.fault(&error))
    }

    pub(in crate::store) fn finish(mut self) -> Result<(), Fault> {
        self.file.finish().map_err(|error| self.fault(&error))?;
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

    /// No process has this id: the kernel's largest is 2^22.
    const ELSEWHERE: &str = "4194305";

    fn aged(path: &Path, hours: u64) -> File {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).expect("a file");
        file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).expect("set");
        file
    }

    fn left(directory: &Path) -> Vec<String> {
        let listed = fs::read_dir(directory).expect("read").flatten();
        let mut left: Vec<_> = listed.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        left.sort();
        left
    }

    #[test]
    fn only_what_the_dead_left_a_day_ago_is_swept() {
        let directory = tempfile::tempdir().expect("a directory");
        let mine = format!("{}-0-0", std::process::id());
        let held = format!("{ELSEWHERE}-3-c");
        for (name, hours) in [(&*format!("{ELSEWHERE}-1-a"), 25), (&*format!("{ELSEWHERE}-2-b"), 23), (&*mine, 25), ("stray", 25)] {
            aged(&directory.path().join(name), hours);
        }
        // A process of another host, or in another container: this one sees its lock and not its number.
        let holder = aged(&directory.path().join(&held), 25);
        holder.try_lock().expect("a lock");
        sweep(directory.path(), Ok(SystemTime::now()));
        let mut expected = [format!("{ELSEWHERE}-2-b"), mine, held];
        expected.sort();
        assert_eq!(left(directory.path()), expected);
    }

    #[test]
    fn what_is_being_written_is_held_until_it_has_its_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Local::open(directory.path(), None).expect("a store"));
        let upload = store.upload(&Key::new("a").expect("a key")).expect("begun");
        let (_file, path) = store.written(b"small").expect("written");
        let paths = [upload.path.clone().expect("not named yet"), path];
        for path in &paths {
            let elsewhere = path.with_file_name(format!("{ELSEWHERE}-{}", path.file_name().expect("a name").to_string_lossy()));
            fs::rename(path, &elsewhere).expect("renamed");
            aged(&elsewhere, 48);
        }
        let incoming = directory.path().join(INCOMING);
        sweep(&incoming, Ok(SystemTime::now()));
        assert_eq!(left(&incoming).len(), 2);
        drop(upload);
        sweep(&incoming, Ok(SystemTime::now()));
        assert_eq!(left(&incoming).len(), 1);
    }

    #[test]
    fn the_store_s_own_clock_says_how_old_something_is() {
        let directory = tempfile::tempdir().expect("a directory");
        aged(&directory.path().join(format!("{ELSEWHERE}-1-a")), 48);
        sweep(directory.path(), Ok(SystemTime::now() - Duration::from_secs(30 * 3600)));
        assert_eq!(left(directory.path()).len(), 1);
    }
}
