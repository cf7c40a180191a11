//! What a backup notes of itself on its host, so that the next one can go on where it broke off:
//! `<state>/policies/<policy>/backups/<job>.unfinished`.
//!
//! The first line says which backup it is and under which terms it was begun, each further line names a part that is complete and
//! durable, with its hashes. Nothing that lies in the store is believed for being there: the hashes come from this file, which only this
//! host's account can write. Whoever holds the lock on the file is the process that takes the backup; so when a lock can be
//! had, the process before is certainly dead, and its lease need not be waited for.
//!
//! The file is emptied before the descriptor is put. From then on nobody adds to what that descriptor names, even if the store
//! should say much later that it has it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::pipeline::backup::Left;
use crate::units::BackupId;
use crate::world::files;

const FORMAT: u32 = 1;
/// Of a petabyte in parts.
const LIMIT: u64 = 1 << 30;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Beginning {
    format: u32,
    backup: BackupId,
    /// Stands for all that must be the same for a part to be used: store, cluster, recipients, compression, program.
    terms: String,
    repository: String,
}

/// A backup that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfinished {
    pub backup: BackupId,
    pub repository: String,
    /// Of parts that were put under other terms nothing is said.
    pub parts: Vec<Left>,
}

/// Held for as long as a backup is taken.
#[derive(Debug)]
pub(super) struct Journal(Mutex<File>);

impl Journal {
    /// The job's journal and what it says, if nobody else on this host is taking a backup by this job.
    pub(super) fn open(policy_state: &Path, job: &str, terms: &str) -> io::Result<Option<(Journal, Option<Unfinished>)>> {
        let folder = policy_state.join("backups");
        files::make_folders(&folder)?;
        let path = folder.join(format!("{job}.unfinished"));
        let mut file = files::open_or_make(&path, OpenOptions::new().read(true).write(true))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        let mut text = Vec::new();
        (&mut file).take(LIMIT).read_to_end(&mut text)?;
        let unfinished = read(&text, terms);
        Ok(Some((Journal(Mutex::new(file)), unfinished)))
    }

    /// Begins anew, with what was taken over.
    pub(super) fn begin(&self, backup: &BackupId, repository: &str, terms: &str, parts: &[Left]) -> io::Result<()> {
        let beginning = Beginning { format: FORMAT, backup: backup.clone(), terms: terms.to_owned(), repository: repository.to_owned() };
        let mut text = line(&beginning);
        parts.iter().for_each(|part| text.extend(line(part)));
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&text)
    }

    /// What cannot be noted is only done again.
    pub(super) fn note(&self, part: &Left) {
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line(part));
    }

    /// Nothing may be added to this backup any more.
    pub(super) fn end(&self) -> io::Result<()> {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the descriptor is put, also if the machine ends.
        file.set_len(0).and_then(|()| file.sync_all())
    }

    /// What was noted of this run.
    pub(super) fn parts(&self, terms: &str) -> Vec<Left> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::new();
        let got = file.seek(SeekFrom::Start(0)).and_then(|_| (&mut *file).take(LIMIT).read_to_end(&mut text));
        got.ok().and_then(|_| read(&text, terms)).map(|unfinished| unfinished.parts).unwrap_or_default()
    }
}

fn line(of: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(of).expect("names and numbers");
    line.push(b'\n');
    line
}

/// Up to the first line that is not whole: the machine may have gone down while it was written.
fn read(text: &[u8], terms: &str) -> Option<Unfinished> {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let Beginning { format, backup, terms: then, repository } = serde_json::from_slice(lines.next()?).ok()?;
    let usable = format == FORMAT && then == terms;
    let parts = if usable { lines.map_while(|line| serde_json::from_slice(line).ok()).collect() } else { Vec::new() };
    Some(Unfinished { backup, repository, parts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::descriptor::{Object, ObjectKind};

    fn left(number: u32) -> Left {
        let object = |name: &str, is| Object { name: format!("part-{number:05}.{name}"), is, size: 7, sha256: "aa".into(), plain_size: 9 };
        Left { part: object("tar", ObjectKind::Part), index: object("index", ObjectKind::Index) }
    }

    #[test]
    fn the_next_run_reads_what_the_last_one_noted() {
        let folder = tempfile::tempdir().expect("a folder");
        let id: BackupId = "20261121T020000Z-00000001".parse().expect("an id");
        let open = |terms: &str| Journal::open(folder.path(), "nightly", terms).expect("a file");
        let (journal, before) = open("x").expect("nobody has it");
        assert_eq!(before, None);
        journal.begin(&id, "shop-1", "x", &[left(1)]).expect("written");
        journal.note(&left(2));
        assert!(open("x").is_none(), "one at a time");
        assert_eq!(journal.parts("x"), [left(1), left(2)]);
        journal.0.lock().expect("it").write_all(b"{\"part\":{\"na").expect("written");
        drop(journal);

        let (journal, unfinished) = open("x").expect("the process ended");
        let expected = Unfinished { backup: id.clone(), repository: "shop-1".into(), parts: vec![left(1), left(2)] };
        assert_eq!(unfinished, Some(expected.clone()), "half a line is none");
        drop(journal);
        let (journal, unfinished) = open("y").expect("the process ended");
        assert_eq!(unfinished, Some(Unfinished { parts: Vec::new(), ..expected }), "other terms");
        journal.end().expect("emptied");
        drop(journal);
        assert_eq!(open("x").expect("the process ended").1, None);
    }
}
