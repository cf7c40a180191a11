//! A backup of the files, taken by whoever reads them while the server knows of it.

use std::time::Duration;

use super::connection::Connection;
use super::fault::{Fault, FaultKind};
use crate::units::{Lsn, Timeline};

/// Backup mode, for as long as this session lives. Dropping it without [`BackupSession::stop`] makes the server forget the
/// backup; nothing has to be cleaned up there.
#[derive(Debug)]
pub struct BackupSession {
    connection: Connection,
    start: StartPoint,
    from_standby: bool,
}

/// Where replay of this backup must begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartPoint {
    pub lsn: Lsn,
    pub timeline: Timeline,
}

/// What belongs to the copied files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopPoint {
    /// Replay must come at least this far.
    pub lsn: Lsn,
    /// Becomes the file `backup_label`, byte for byte. Without it the copy is not a backup.
    pub backup_label: String,
    /// Becomes the file `tablespace_map`; empty when there are none.
    pub tablespace_map: String,
}

impl BackupSession {
    /// Without `fast` the server spreads its checkpoint over minutes and is silent for that long; `patience` is how long that
    /// may be.
    pub fn start(mut connection: Connection, label: &str, fast: bool, patience: Duration) -> Result<BackupSession, Fault> {
        // Roles and databases may have limits that would end this session while the files are copied.
        connection.lift_limits()?;
        connection.run("set lock_timeout = 0")?;
        let from_standby = is_in_recovery(&mut connection)?;
        let statement = match connection.major() {
            ..15 => "select pg_start_backup($1, $2::boolean, false)::text as lsn",
            _ => "select pg_backup_start($1, $2::boolean)::text as lsn",
        };
        let started = with_silence(&mut connection, patience, |connection| {
            connection.query(statement, &[label, if fast { "true" } else { "false" }])
        })?;
        let lsn = started.one()?.parse("lsn")?;
        // The label that comes at the end says it again; a copy wants to know now which timeline's log it needs.
        let timeline =
            connection.query("select timeline_id::text as timeline from pg_control_checkpoint()", &[])?.one()?.parse("timeline")?;
        let session = BackupSession { connection, start: StartPoint { lsn, timeline }, from_standby };
        Ok(session)
    }

    pub fn start_point(&self) -> StartPoint {
        self.start
    }

    /// The server was a standby when the backup began. Then `pg_control` must be copied last.
    pub fn is_from_standby(&self) -> bool {
        self.from_standby
    }

    /// The same session, for questions on the way.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Still there, and still what it was? To be asked every now and then while files are copied: it also keeps firewalls from
    /// forgetting the connection.
    pub fn ping(&mut self) -> Result<(), Fault> {
        let in_recovery = is_in_recovery(&mut self.connection)?;
        if in_recovery == self.from_standby { Ok(()) } else { Err(promoted(&self.connection)) }
    }

    /// Ends backup mode. With `wait_for_archive` the server waits, up to `patience`, until it has archived all that the backup
    /// needs (on a standby only if `archive_mode = always`).
    pub fn stop(mut self, wait_for_archive: bool, patience: Duration) -> Result<(StopPoint, Connection), Fault> {
        self.ping()?;
        let statement = match self.connection.major() {
            ..15 => "select lsn::text, labelfile, spcmapfile from pg_stop_backup(false, $1::boolean)",
            _ => "select lsn::text, labelfile, spcmapfile from pg_backup_stop($1::boolean)",
        };
        let stopped = with_silence(&mut self.connection, patience, |connection| {
            connection.query(statement, &[if wait_for_archive { "true" } else { "false" }])
        });
        let stopped = match stopped {
            // The server refuses with this code when it was promoted in the meantime.
            Err(fault) if self.from_standby && fault.code() == Some("55000") => return Err(promoted(&self.connection)),
            stopped => stopped?,
        };
        let row = stopped.one()?;
        let stop = StopPoint {
            lsn: row.parse("lsn")?,
            backup_label: row.text("labelfile")?.to_owned(),
            tablespace_map: row.get("spcmapfile").unwrap_or_default().to_owned(),
        };
        Ok((stop, self.connection))
    }
}

fn promoted(connection: &Connection) -> Fault {
    let message = format!("{}: the standby was promoted while it was backed up; the copy is worthless", connection.wire.peer);
    // Not transient: the same backup must not be taken up again, a new one must be begun.
    Fault::new(FaultKind::Sql { code: "55000".to_owned() }, message, "Take a new backup, from the new primary or another standby.")
}

fn is_in_recovery(connection: &mut Connection) -> Result<bool, Fault> {
    connection.query("select pg_is_in_recovery() as standby", &[])?.one()?.flag("standby")
}

fn with_silence<T>(
    connection: &mut Connection,
    patience: Duration,
    ask: impl FnOnce(&mut Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let usual = connection.silence();
    connection.set_silence(patience.max(usual))?;
    let answer = ask(connection);
    // If this fails the connection is lost, and the next question says so.
    let _ = connection.set_silence(usual);
    answer
}

impl Connection {
    /// Ends the current segment of the log, so that it can be archived: to be asked of the primary, a standby cannot. An idle
    /// server that has written nothing since the last switch does nothing. Answers where the segment ended.
    pub fn switch_wal(&mut self) -> Result<Lsn, Fault> {
        self.query("select pg_switch_wal()::text as lsn", &[])?.one()?.parse("lsn")
    }

    /// Names the present moment, for recovery to come back to.
    pub fn create_restore_point(&mut self, name: &str) -> Result<Lsn, Fault> {
        self.query("select pg_create_restore_point($1)::text as lsn", &[name])?.one()?.parse("lsn")
    }
}
