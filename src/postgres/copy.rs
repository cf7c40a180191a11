//! COPY: rows out of a server and into one, as a stream.

use bytes::Bytes;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use super::connection::{Connection, hung_up};
use super::fault::Fault;

/// Rows on their way out. Dropped before [`CopyOut::piece`] has said that there are no more, it breaks the connection off, and the server
/// rolls its transaction back.
#[derive(Debug)]
pub struct CopyOut<'c> {
    connection: &'c mut Connection,
    refused: Option<Fault>,
    rows: u64,
    finished: bool,
}

/// Rows on their way in. Dropped before [`CopyIn::finish`], the connection breaks off and nothing of it stays.
#[derive(Debug)]
pub struct CopyIn<'c> {
    connection: &'c mut Connection,
    pending: Vec<u8>,
    finished: bool,
}

/// As much is collected before it is sent.
const SENT_AT_ONCE: usize = 256 << 10;

impl Connection {
    /// `sql` is a `COPY … TO STDOUT`.
    pub fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>, Fault> {
        self.wire.send(|out| frontend::query(sql, out))?;
        let mut refused = None;
        match self.next(&mut refused)? {
            Message::CopyOutResponse(_) => Ok(CopyOut { connection: self, refused, rows: 0, finished: false }),
            Message::ReadyForQuery(_) => Err(refused.unwrap_or_else(|| self.out_of_turn())),
            _ => Err(self.out_of_turn()),
        }
    }

    /// `sql` is a `COPY … FROM STDIN`.
    pub fn copy_in(&mut self, sql: &str) -> Result<CopyIn<'_>, Fault> {
        self.wire.send(|out| frontend::query(sql, out))?;
        let mut refused = None;
        match self.next(&mut refused)? {
            Message::CopyInResponse(_) => Ok(CopyIn { connection: self, pending: Vec::new(), finished: false }),
            Message::ReadyForQuery(_) => Err(refused.unwrap_or_else(|| self.out_of_turn())),
            _ => Err(self.out_of_turn()),
        }
    }
}

impl CopyOut<'_> {
    /// The next piece; none after the last one.
    pub fn piece(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.finished {
            return Ok(None);
        }
        loop {
            match self.connection.next(&mut self.refused)? {
                Message::CopyData(body) => return Ok(Some(body.into_bytes())),
                Message::CopyDone => {}
                Message::CommandComplete(body) => {
                    let tag = body.tag().map_err(|error| self.connection.garbled(&error))?;
                    self.rows = tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0);
                }
                Message::ReadyForQuery(_) => {
                    self.finished = true;
                    return self.refused.take().map_or(Ok(None), Err);
                }
                _ => return Err(self.connection.out_of_turn()),
            }
        }
    }

    /// Adds what has come to `rows`, whose ends are those of rows; false after the last one.
    pub fn add_to(&mut self, rows: &mut Vec<u8>) -> Result<bool, Fault> {
        if !self.finished && self.connection.wire.receive_copied(rows).map_err(|fault| hung_up(fault, self.refused.take()))? {
            return Ok(true);
        }
        // Something is said on the side, or this is the end.
        let piece = self.piece()?;
        rows.extend_from_slice(piece.as_deref().unwrap_or_default());
        Ok(piece.is_some())
    }

    /// How many rows there were, as the server counts them. Known at the end.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Drop for CopyOut<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.wire.give_up();
        }
    }
}

impl CopyIn<'_> {
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() < SENT_AT_ONCE { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = &self.pending;
        self.connection.wire.send(|out| {
            frontend::CopyData::new(pending.as_slice())?.write(out);
            Ok(())
        })?;
        self.pending.clear();
        Ok(())
    }

    /// How many rows the server took.
    pub fn finish(mut self) -> Result<u64, Fault> {
        self.flush()?;
        self.connection.wire.send(|out| {
            frontend::copy_done(out);
            Ok(())
        })?;
        let (mut refused, mut rows) = (None, 0);
        loop {
            match self.connection.next(&mut refused)? {
                Message::CommandComplete(body) => {
                    let tag = body.tag().map_err(|error| self.connection.garbled(&error))?;
                    rows = tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0);
                }
                Message::ReadyForQuery(_) => {
                    self.finished = true;
                    return refused.map_or(Ok(rows), Err);
                }
                _ => return Err(self.connection.out_of_turn()),
            }
        }
    }
}

impl Drop for CopyIn<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.wire.give_up();
        }
    }
}
