//! BASE_BACKUP: the server reads its files itself and sends them as tar archives.

use std::collections::VecDeque;
use std::fmt::Write;

use bytes::{Buf, Bytes};
use postgres_protocol::message::backend::{CopyDataBody, Message};
use postgres_protocol::message::frontend;

use super::backup::StartPoint;
use super::connection::{self, Connection, Mode};
use super::fault::Fault;
use super::server::Tablespace;
use crate::units::{Lsn, Timeline};

/// What is asked for. WAL is never included: it comes from the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseBackupOptions {
    pub label: String,
    /// A checkpoint at once instead of one spread over minutes.
    pub fast: bool,
    /// The server waits until what the backup needs is archived.
    pub wait_for_archive: bool,
    pub manifest: bool,
    /// As `SHA256` or `CRC32C`; without it the server's default.
    pub manifest_checksums: Option<String>,
    pub verify_checksums: bool,
    /// Kilobytes per second.
    pub max_rate: Option<u32>,
}

impl Default for BaseBackupOptions {
    fn default() -> Self {
        BaseBackupOptions {
            label: "seawall".to_owned(),
            fast: true,
            wait_for_archive: false,
            manifest: true,
            manifest_checksums: None,
            verify_checksums: true,
            max_rate: None,
        }
    }
}

/// One archive: the cluster's directory, or one tablespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// As `base.tar` or `16401.tar`.
    pub name: String,
    /// Nothing for the cluster's own directory.
    pub tablespace: Option<Tablespace>,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// All data up to the next of these belongs to this archive.
    Archive(Archive),
    /// A piece of a complete tar archive, with its end mark.
    Data(Bytes),
    /// A piece of `backup_manifest`.
    Manifest(Bytes),
    /// So many bytes of the current archive are done.
    Progress(u64),
}

/// Where the backup ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndPoint {
    pub lsn: Lsn,
    pub timeline: Timeline,
}

/// A backup that is being sent. What is not asked for waits at the server: no more than one message is held here.
///
/// Dropped before [`BaseBackup::finish`], it breaks the connection off, and the server gives up the backup.
#[derive(Debug)]
pub struct BaseBackup<'c> {
    connection: &'c mut Connection,
    refused: Option<Fault>,
    start: StartPoint,
    tablespaces: Vec<Tablespace>,
    total: u64,
    /// Before version 15 each archive is a copy of its own, in this order, and nothing in the stream says which.
    ahead: VecDeque<Option<Archive>>,
    multiplexed: bool,
    part: Part,
    end: Option<EndPoint>,
    finished: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Between,
    Archive,
    Manifest,
}

impl Connection {
    /// Begins a backup over a replication connection. The checkpoint and the sizes of files come first: allow for that silence.
    pub fn base_backup(&mut self, options: &BaseBackupOptions) -> Result<BaseBackup<'_>, Fault> {
        if self.mode() != Mode::Replication {
            return Err(Fault::config("BASE_BACKUP needs a replication connection", "Open one with `Connection::replicate`."));
        }
        let command = command(options, self.major());
        self.wire.send(|out| frontend::query(&command, out))?;
        let mut refused = None;
        let start = self.position(&mut refused)?;
        let (tablespaces, total) = self.tablespace_list(&mut refused)?;
        let multiplexed = self.major() >= 15;
        let ahead = if multiplexed { VecDeque::new() } else { archives_ahead(&tablespaces, options.manifest) };
        let tablespaces = tablespaces.into_iter().flatten().collect();
        let start = StartPoint { lsn: start.lsn, timeline: start.timeline };
        Ok(BaseBackup {
            connection: self,
            refused,
            start,
            tablespaces,
            total,
            ahead,
            multiplexed,
            part: Part::Between,
            end: None,
            finished: false,
        })
    }

    /// One row of a position and a timeline.
    fn position(&mut self, refused: &mut Option<Fault>) -> Result<EndPoint, Fault> {
        let rows = self.rows_of_text(refused)?;
        match rows.as_slice() {
            [row] => read_position(row).ok_or_else(|| self.out_of_turn()),
            _ => Err(self.out_of_turn()),
        }
    }

    /// The cluster's own directory is among them as the one without an oid. And how much it is in all, about.
    fn tablespace_list(&mut self, refused: &mut Option<Fault>) -> Result<(Vec<Option<Tablespace>>, u64), Fault> {
        let rows = self.rows_of_text(refused)?;
        let kilobytes = |row: &Vec<Option<String>>| row.get(2)?.as_deref()?.parse::<u64>().ok();
        let total = rows.iter().filter_map(kilobytes).fold(0, u64::saturating_add).saturating_mul(1024);
        let read = |row: &Vec<Option<String>>| match row.as_slice() {
            [None, ..] => Some(None),
            [Some(oid), Some(path), ..] => Some(Some(Tablespace { oid: oid.parse().ok()?, path: path.clone() })),
            _ => None,
        };
        let list = rows.iter().map(read).collect::<Option<_>>().ok_or_else(|| self.out_of_turn())?;
        Ok((list, total))
    }

    /// The rows of one result, up to the message that ends it.
    fn rows_of_text(&mut self, refused: &mut Option<Fault>) -> Result<Vec<Vec<Option<String>>>, Fault> {
        let mut rows = Vec::new();
        loop {
            match self.next(refused)? {
                Message::RowDescription(_) if rows.is_empty() => {}
                Message::DataRow(body) => {
                    let values = connection::values(&body).map_err(|error| self.garbled(&error))?;
                    rows.push(values.into_iter().map(|value| value.map(|v| String::from_utf8_lossy(&v).into_owned())).collect());
                }
                Message::CommandComplete(_) => return Ok(rows),
                Message::ReadyForQuery(_) => return Err(refused.take().unwrap_or_else(|| self.out_of_turn())),
                _ => return Err(self.out_of_turn()),
            }
        }
    }
}

fn read_position(row: &[Option<String>]) -> Option<EndPoint> {
    match row {
        [Some(lsn), Some(timeline), ..] => Some(EndPoint { lsn: lsn.parse().ok()?, timeline: timeline.parse().ok()? }),
        _ => None,
    }
}

/// The list's order is the order of the copies; the manifest is last and has no archive.
fn archives_ahead(tablespaces: &[Option<Tablespace>], manifest: bool) -> VecDeque<Option<Archive>> {
    let archive = |tablespace: &Option<Tablespace>| {
        let name = tablespace.as_ref().map_or("base.tar".to_owned(), |tablespace| format!("{}.tar", tablespace.oid));
        Some(Archive { name, tablespace: tablespace.clone() })
    };
    tablespaces.iter().map(archive).chain(manifest.then_some(None)).collect()
}

impl BaseBackup<'_> {
    pub fn start_point(&self) -> StartPoint {
        self.start
    }

    /// Bytes of all files when the backup began, as the server has added them up.
    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn tablespaces(&self) -> &[Tablespace] {
        &self.tablespaces
    }

    /// The next piece; nothing once all archives and the manifest are complete.
    #[expect(clippy::should_implement_trait, reason = "it can fail, and what it lends must not outlive the backup")]
    pub fn next(&mut self) -> Result<Option<Piece>, Fault> {
        while !self.finished {
            match self.connection.next(&mut self.refused)? {
                Message::CopyOutResponse(_) if self.part == Part::Between => {
                    if let Some(piece) = self.begin_copy()? {
                        return Ok(Some(piece));
                    }
                }
                Message::CopyData(body) => {
                    if let Some(piece) = self.read(body)? {
                        return Ok(Some(piece));
                    }
                }
                Message::CopyDone => {
                    let ended = std::mem::replace(&mut self.part, Part::Between);
                    if ended == Part::Archive && !self.multiplexed {
                        return Ok(Some(Piece::Data(Bytes::from_static(&END_OF_TAR))));
                    }
                }
                Message::RowDescription(_) | Message::CommandComplete(_) => {}
                Message::DataRow(body) => {
                    let values = connection::values(&body).map_err(|error| self.connection.garbled(&error))?;
                    let row: Vec<_> = values.into_iter().map(|value| value.map(|v| String::from_utf8_lossy(&v).into_owned())).collect();
                    self.end = Some(read_position(&row).ok_or_else(|| self.connection.out_of_turn())?);
                }
                Message::ReadyForQuery(_) => {
                    self.finished = true;
                    if let Some(fault) = self.refused.take() {
                        return Err(fault);
                    }
                }
                _ => return Err(self.connection.out_of_turn()),
            }
        }
        Ok(None)
    }

    /// Reads what is left, which by now should be nothing, and says where the backup ends.
    pub fn finish(mut self) -> Result<EndPoint, Fault> {
        while self.next()?.is_some() {}
        self.end.ok_or_else(|| Fault::protocol("the backup ended without saying where"))
    }

    fn begin_copy(&mut self) -> Result<Option<Piece>, Fault> {
        if self.multiplexed {
            return Ok(None);
        }
        match self.ahead.pop_front() {
            Some(Some(archive)) => {
                self.part = Part::Archive;
                Ok(Some(Piece::Archive(archive)))
            }
            Some(None) => {
                self.part = Part::Manifest;
                Ok(None)
            }
            None => Err(self.connection.out_of_turn()),
        }
    }

    fn read(&mut self, body: CopyDataBody) -> Result<Option<Piece>, Fault> {
        let mut bytes = body.into_bytes();
        if !self.multiplexed {
            return self.data(bytes);
        }
        if bytes.is_empty() {
            return Err(self.connection.out_of_turn());
        }
        match bytes.get_u8() {
            b'd' => self.data(bytes),
            b'p' if bytes.len() == 8 => Ok(Some(Piece::Progress(bytes.get_u64()))),
            b'm' => {
                self.part = Part::Manifest;
                Ok(None)
            }
            b'n' => {
                self.part = Part::Archive;
                self.announced(&bytes).map(|archive| Some(Piece::Archive(archive)))
            }
            _ => Err(self.connection.out_of_turn()),
        }
    }

    fn data(&mut self, bytes: Bytes) -> Result<Option<Piece>, Fault> {
        match self.part {
            Part::Archive => Ok(Some(Piece::Data(bytes))),
            Part::Manifest => Ok(Some(Piece::Manifest(bytes))),
            Part::Between => Err(self.connection.out_of_turn()),
        }
    }

    /// Two strings: the archive's name, and the path of its tablespace if it is one.
    fn announced(&mut self, bytes: &[u8]) -> Result<Archive, Fault> {
        let mut strings = bytes.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned());
        let (Some(name), Some(path)) = (strings.next(), strings.next()) else { return Err(self.connection.out_of_turn()) };
        if path.is_empty() {
            return Ok(Archive { name, tablespace: None });
        }
        let oid = name.split_once('.').and_then(|(oid, _)| oid.parse().ok()).ok_or_else(|| self.connection.out_of_turn())?;
        Ok(Archive { name, tablespace: Some(Tablespace { oid, path }) })
    }
}

impl Drop for BaseBackup<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.wire.give_up();
        }
    }
}

/// Servers before version 15 leave it to the client.
static END_OF_TAR: [u8; 1024] = [0; 1024];

fn command(options: &BaseBackupOptions, major: u32) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let mut words = vec![format!("LABEL {}", quoted(&options.label)), "PROGRESS".to_owned(), "TABLESPACE_MAP".to_owned()];
    let modern = major >= 15;
    let either = |new: &str, old: &str| if modern { new.to_owned() } else { old.to_owned() };
    if options.fast {
        words.push(either("CHECKPOINT 'fast'", "FAST"));
    }
    if !options.wait_for_archive {
        words.push(either("WAIT false", "NOWAIT"));
    }
    words.push(format!("MANIFEST {}", if options.manifest { "'yes'" } else { "'no'" }));
    if let Some(algorithm) = options.manifest_checksums.as_deref().filter(|_| options.manifest) {
        words.push(format!("MANIFEST_CHECKSUMS {}", quoted(algorithm)));
    }
    if !options.verify_checksums {
        words.push(either("VERIFY_CHECKSUMS false", "NOVERIFY_CHECKSUMS"));
    }
    if let Some(rate) = options.max_rate {
        words.push(format!("MAX_RATE {rate}"));
    }
    let mut command = "BASE_BACKUP ".to_owned();
    let list = if modern { format!("({})", words.join(", ")) } else { words.join(" ") };
    command.write_str(&list).expect("a string takes all that is written");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_written_for_the_version() {
        let options = BaseBackupOptions {
            label: "it's".into(),
            manifest_checksums: Some("SHA256".into()),
            verify_checksums: false,
            ..BaseBackupOptions::default()
        };
        assert_eq!(
            command(&options, 14),
            "BASE_BACKUP LABEL 'it''s' PROGRESS TABLESPACE_MAP FAST NOWAIT MANIFEST 'yes' MANIFEST_CHECKSUMS 'SHA256' NOVERIFY_CHECKSUMS"
        );
        assert_eq!(
            command(&options, 15),
            "BASE_BACKUP (LABEL 'it''s', PROGRESS, TABLESPACE_MAP, CHECKPOINT 'fast', WAIT false, MANIFEST 'yes', \
             MANIFEST_CHECKSUMS 'SHA256', VERIFY_CHECKSUMS false)"
        );
    }
}
