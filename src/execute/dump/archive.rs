//! One archive: out of `pg_dump`, looked at, and into the store.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::atomic::Ordering;

use super::pieces::Piece;
use super::programs::Programs;
use super::snapshot::Snapshot;
use super::{Made, Run, child, object};
use crate::execute::backup::BackupFault;
use crate::format::contents::Archive;
use crate::format::descriptor::ObjectKind;
use crate::format::dump::{BadDump, Reader};
use crate::pipeline::{Shelf, StreamWriter};
use crate::site::SiteFault;

/// The first lines tell how many entries there are.
const MOST_LISTED: u64 = 64 << 10;

impl Run<'_> {
    pub(super) fn archive(&self, snapshot: &Snapshot, database: &str, piece: &Piece) -> Result<Made, BackupFault> {
        let made = self.try_archive(snapshot, database, piece);
        if made.is_err() {
            self.halt.abort.store(true, Ordering::Relaxed);
        }
        made
    }

    fn try_archive(&self, snapshot: &Snapshot, database: &str, piece: &Piece) -> Result<Made, BackupFault> {
        let name = format!("{}.pgdump{}", piece.name, self.order.codec.extension(self.data_lock.envelope()));
        let shelf = Shelf { store: self.store, lock: self.data_lock, codec: self.order.codec };
        let mut writer = StreamWriter::new(&shelf, &self.repository.data(self.id, &name))?;
        let mut reader = Reader::default();
        let own = self.order.arguments(self.settings.dbname_argument(database), &snapshot.id);
        let arguments = own.into_iter().map(OsString::from).chain(piece.arguments.iter().map(|word| snapshot.word(word)));
        let mut command = self.programs()?.command("pg_dump", arguments);
        self.environment.apply(&mut command);
        child::stream(command, self.halt, &mut |bytes| {
            reader.push(bytes).map_err(|bad| not_whole(database, &bad))?;
            self.onlooker.progress.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            writer.push(bytes)?;
            self.pace.take_if(bytes.len() as u64, &|| self.halt.check())
        })
        .map_err(|fault| of_database(database, fault))?;
        // PostgreSQL's own program reads what it has to read at a restore, before the object is there.
        let listed = list(self.programs()?, reader.head())?;
        let whole = reader.finish().map_err(|bad| not_whole(database, &bad))?;
        if listed != whole.about.entries {
            let message =
                format!("`pg_restore --list` finds {listed} entries in the dump of `{database}`, and {} were written", whole.about.entries);
            return Err(BackupFault::refused(message, "Something between pg_dump and here changes what passes through it."));
        }
        let written = writer.finish()?;
        self.onlooker.progress.stored.fetch_add(written.object.size, Ordering::Relaxed);
        let archive = Archive { object: name.clone(), holds: piece.holds, entries: listed, rows: whole.rows.values().sum() };
        Ok(Made { object: object(name, ObjectKind::Dump, &written), archive, whole })
    }
}

fn not_whole(database: &str, bad: &BadDump) -> BackupFault {
    BackupFault::refused(format!("what pg_dump writes of `{database}` is no whole dump: {bad}"), "Does `pg_dump` itself work there?")
}

pub(super) fn of_database(database: &str, fault: BackupFault) -> BackupFault {
    match fault {
        BackupFault::Site(fault) => SiteFault { message: format!("`{database}`: {}", fault.message), ..fault }.into(),
        other => other,
    }
}

/// How many entries `pg_restore --list` finds.
pub(in crate::execute) fn list(programs: &Programs, head: &[u8]) -> Result<u64, BackupFault> {
    let listed = listing(programs, head, &[], MOST_LISTED)?;
    let entries = listed.lines().find_map(|line| line.trim_start_matches([';', ' ']).strip_prefix("TOC Entries: "));
    entries.and_then(|number| number.trim().parse().ok()).ok_or_else(|| fault("does not say how many entries there are".into()))
}

/// All lines of what these words choose.
pub(in crate::execute) fn listed(programs: &Programs, head: &[u8], choice: &[OsString]) -> Result<String, BackupFault> {
    listing(programs, head, choice, u64::MAX)
}

fn fault(what: String) -> BackupFault {
    BackupFault::refused(format!("`pg_restore --list` {what}"), "Does `pg_restore` belong to the same installation?")
}

fn listing(programs: &Programs, head: &[u8], choice: &[OsString], most: u64) -> Result<String, BackupFault> {
    let mut command = programs.command("pg_restore", std::iter::once("--list".into()).chain(choice.iter().cloned()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| fault(format!("cannot be started: {error}")))?;
    let (mut to, mut from) = (child.stdin.take().expect("it is piped"), child.stdout.take().expect("it is piped"));
    let mut said = child.stderr.take().expect("it is piped");
    let listed = std::thread::scope(|scope| {
        // It ends before the last byte when it has seen enough.
        scope.spawn(move || drop(to.write_all(head)));
        let words = scope.spawn(move || {
            let mut words = String::new();
            let _ = said.by_ref().take(MOST_LISTED).read_to_string(&mut words);
            words
        });
        let mut listed = Vec::new();
        let read = from.by_ref().take(most).read_to_end(&mut listed).and_then(|_| std::io::copy(&mut from, &mut std::io::sink()));
        (read.map(|_| String::from_utf8_lossy(&listed).into_owned()), words.join().unwrap_or_default())
    });
    let ended = child.wait().map_err(|error| fault(format!("cannot be waited for: {error}")))?;
    let (listed, words) = (listed.0.map_err(|error| fault(format!("cannot be read: {error}")))?, listed.1);
    if !ended.success() {
        return Err(fault(format!("cannot read this dump: {}", child::shown(&words))));
    }
    Ok(listed)
}
