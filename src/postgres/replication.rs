//! What a replication connection answers besides backups.

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use super::connection::{self, Connection};
use super::fault::Fault;
use crate::units::{Lsn, Timeline};

/// Who the cluster is and where its log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemIdentity {
    pub system: u64,
    pub timeline: Timeline,
    /// Flushed, or replayed on a standby.
    pub position: Lsn,
}

/// The file that says where a timeline branched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineHistory {
    /// As `00000002.history`.
    pub name: String,
    /// As it lies in pg_wal; the reasons in it need not be UTF-8.
    pub content: Vec<u8>,
}

impl Connection {
    pub fn identify_system(&mut self) -> Result<SystemIdentity, Fault> {
        let answers = self.run("IDENTIFY_SYSTEM")?;
        let row = answers.first().ok_or_else(|| Fault::protocol("IDENTIFY_SYSTEM has no answer"))?.one()?.clone();
        Ok(SystemIdentity { system: row.parse("systemid")?, timeline: row.parse("timeline")?, position: row.parse("xlogpos")? })
    }

    /// A setting, by SHOW.
    pub fn show(&mut self, setting: &str) -> Result<String, Fault> {
        if setting.is_empty() || !setting.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.') {
            return Err(Fault::config(format!("`{}` is no name of a setting", crate::units::clipped(setting)), "Give one name."));
        }
        let answers = self.run(&format!("SHOW {setting}"))?;
        let row = answers.first().ok_or_else(|| Fault::protocol("SHOW has no answer"))?.one()?;
        Ok(row.values().first().cloned().flatten().unwrap_or_default())
    }

    /// Timeline 1 has no history, and the server says so.
    pub fn timeline_history(&mut self, timeline: Timeline) -> Result<TimelineHistory, Fault> {
        self.wire.send(|out| frontend::query(&format!("TIMELINE_HISTORY {timeline}"), out))?;
        let (mut refused, mut history) = (None, None);
        loop {
            match self.next(&mut refused)? {
                Message::DataRow(body) => {
                    let values = connection::values(&body).map_err(|error| self.garbled(&error))?;
                    let [Some(name), Some(content)] = values.as_slice() else { return Err(self.out_of_turn()) };
                    let name = String::from_utf8_lossy(name).into_owned();
                    history = Some(TimelineHistory { name, content: content.to_vec() });
                }
                Message::RowDescription(body) => drop(body.fields().count()),
                Message::CommandComplete(_) => {}
                Message::ReadyForQuery(_) => break,
                _ => return Err(self.out_of_turn()),
            }
        }
        match (refused, history) {
            (Some(fault), _) => Err(fault),
            (None, Some(history)) => Ok(history),
            (None, None) => Err(Fault::protocol("TIMELINE_HISTORY has no answer")),
        }
    }
}
