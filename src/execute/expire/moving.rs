//! What a run notes on its host of the objects that it moves: `<state>/policies/<policy>/moves/<store>.<word>`, a line each.
//!
//! In a bucket that keeps versions the object that was copied lies beside its copy until it is deleted by its own name. A run that is killed in
//! between never says which one that was, and the next one must not guess: an older version may be somebody's way back. So it is noted before it
//! is copied. Whoever holds the lock on the file is at it; so when a lock can be had, the run is certainly dead.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::execute::id::random_word;
use crate::store::{Fault, Store};
use crate::units::{Key, Name, StorageClass};

/// Of a backup with a million parts.
const LIMIT: u64 = 1 << 30;

/// An object, as it is before it is copied.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    key: String,
    version: String,
    class: StorageClass,
}

/// The notes of this run, and those of others about the same store.
#[derive(Debug)]
pub(super) struct Moving {
    folder: PathBuf,
    store: String,
    own: Mutex<Option<(PathBuf, File)>>,
}

impl Moving {
    pub(super) fn new(policy_state: &Path, store: &Name) -> Moving {
        Moving { folder: policy_state.join("moves"), store: store.to_string(), own: Mutex::default() }
    }

    /// What cannot be noted is moved all the same: at worst it leaves a version until the backup goes.
    pub(super) fn note(&self, store: &Store, key: &Key, class: StorageClass) -> Result<(), Fault> {
        if let Some(version) = store.version(key)? {
            let note = Note { key: key.to_string(), version, class };
            if let Err(error) = self.write(&note) {
                tracing::debug!("what is moved is not noted below {}: {error}", self.folder.display());
            }
        }
        Ok(())
    }

    fn write(&self, note: &Note) -> io::Result<()> {
        let mut line = serde_json::to_vec(note).expect("texts");
        line.push(b'\n');
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, file) = match &mut *own {
            Some(own) => own,
            none => none.insert(self.begin()?),
        };
        file.write_all(&line)?;
        file.sync_data()
    }

    fn begin(&self) -> io::Result<(PathBuf, File)> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let word = random_word().map_err(|fault| io::Error::other(fault.message))?;
        let path = self.folder.join(format!("{}.{word}", self.store));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        file.try_lock().map_err(io::Error::other)?;
        Ok((path, file))
    }

    /// All that was noted is done.
    pub(super) fn end(&self) {
        if let Some((path, _)) = self.own.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = fs::remove_file(path);
        }
    }

    /// What earlier runs have left that did not come to their end. Of one that is at it nothing is touched, and what cannot be done now is done by
    /// the next one.
    pub(super) fn finish_others(&self, store: &Store) {
        let found = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let of_store = format!("{}.", self.store);
        for path in found.filter(|entry| entry.file_name().to_string_lossy().starts_with(&of_store)).map(|entry| entry.path()) {
            let Ok(mut file) = OpenOptions::new().read(true).write(true).open(&path) else { continue };
            if file.try_lock().is_err() {
                continue;
            }
            let mut text = Vec::new();
            let is_read = (&mut file).take(LIMIT).read_to_end(&mut text).is_ok();
            // None is passed over because of another.
            let left = read(&text).iter().filter(|note| !finished(store, note)).count();
            if is_read && left == 0 {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

fn finished(store: &Store, note: &Note) -> bool {
    let Ok(key) = Key::new(note.key.clone()) else { return true };
    store.finish_move(&key, &note.version, note.class).unwrap_or_else(|fault| {
        tracing::debug!("what a broken-off move left of {key} stays for now: {fault}");
        false
    })
}

/// Up to the first line that is not whole.
fn read(text: &[u8]) -> Vec<Note> {
    let lines = text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    lines.map_while(|line| serde_json::from_slice(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_run_noted_can_be_read_and_what_a_living_one_notes_is_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let store: Name = "main".parse().expect("a name");
        let moving = Moving::new(folder.path(), &store);
        let note = |version: &str| Note { key: "r/data/x/part".into(), version: version.into(), class: StorageClass::Glacier };
        moving.write(&note("v1")).expect("written");
        moving.write(&note("v2")).expect("written");
        let path = moving.own.lock().expect("it").as_ref().expect("a file").0.clone();
        assert!(File::open(&path).expect("it").try_lock().is_err());
        let mut text = fs::read(&path).expect("two lines");
        text.extend(b"{\"key\":\"r/da");
        assert_eq!(read(&text), [note("v1"), note("v2")]);
        moving.end();
        assert!(!path.exists());
        moving.write(&note("v3")).expect("written");
        drop(moving);
        assert_eq!(fs::read_dir(folder.path().join("moves")).expect("it").count(), 1);
    }
}
