//! A session with a server.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{DataRowBody, ErrorFields, Field, Message, RowDescriptionBody};
use postgres_protocol::message::frontend;

use super::cancel::Cancel;
use super::conninfo::{Settings, Target};
use super::fault::{Fault, FaultKind};
use super::rows::{Row, Rows};
use super::said::read_fields;
use super::wire::Wire;

/// All rows of one answer together.
const LARGEST_ANSWER: usize = 256 << 20;
const MOST_NOTICES: usize = 1000;

/// What the session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Sql,
    /// The replication protocol: no SQL but SHOW.
    Replication,
}

/// Something the server said on the side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub severity: String,
    pub code: String,
    pub message: String,
}

/// A session. Dropping it ends it.
pub struct Connection {
    pub(super) wire: Wire,
    pub(super) settings: Arc<Settings>,
    pub(super) mode: Mode,
    pub(super) target: Target,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) notices: VecDeque<Notice>,
    pub(super) key: Option<(i32, i32)>,
    pub(super) version: u32,
}

/// A column of a statement's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub name: String,
    pub type_oid: u32,
    /// What `format_type` takes beside it.
    pub type_modifier: i32,
}

impl Connection {
    /// An ordinary session.
    pub fn connect(settings: &Settings) -> Result<Connection, Fault> {
        Connection::open(settings, Mode::Sql)
    }

    /// A session of the replication protocol.
    pub fn replicate(settings: &Settings) -> Result<Connection, Fault> {
        Connection::open(settings, Mode::Replication)
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Which of the targets this is.
    pub fn target(&self) -> &Target {
        &self.target
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// As `150020`.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// As `15`.
    pub fn major(&self) -> u32 {
        self.version / 10_000
    }

    pub fn is_encrypted(&self) -> bool {
        self.wire.socket().is_tls()
    }

    /// What the server reports of itself, as `TimeZone`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// What was said on the side since the last time.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.drain(..).collect()
    }

    /// How long the server may say nothing. A checkpoint or waiting for the archive is such a silence.
    pub fn set_silence(&mut self, silence: Duration) -> Result<(), Fault> {
        self.wire.set_silence(silence)
    }

    pub fn silence(&self) -> Duration {
        self.wire.silence()
    }

    /// No limit that the server, the database or the role has set ends this session, or what it does, for being long. How long it waits for a
    /// lock stays as it is.
    pub fn lift_limits(&mut self) -> Result<(), Fault> {
        let since = [
            (0, "statement_timeout"),
            (0, "idle_in_transaction_session_timeout"),
            (14, "idle_session_timeout"),
            (17, "transaction_timeout"),
        ];
        let known = since.iter().filter(|(major, _)| self.major() >= *major);
        let sql: String = known.map(|(_, name)| format!("set {name} = 0;")).collect();
        self.run(&sql).map(drop)
    }

    /// Nothing can be asked over it any more.
    pub fn is_broken(&self) -> bool {
        self.wire.is_broken()
    }

    /// Something that another thread can stop this session's statement with.
    pub fn cancel_handle(&self) -> Option<Cancel> {
        let (process, secret) = self.key?;
        Some(Cancel::new(self.settings.clone(), self.target.clone(), self.is_encrypted(), process, secret))
    }

    /// Statements as they stand, several with `;` between. One answer for each.
    pub fn run(&mut self, sql: &str) -> Result<Vec<Rows>, Fault> {
        self.wire.send(|out| frontend::query(sql, out))?;
        self.answers()
    }

    /// One statement. Parameters are sent as text beside it, never put into it.
    pub fn query(&mut self, sql: &str, parameters: &[&str]) -> Result<Rows, Fault> {
        let parameters: Vec<Option<&str>> = parameters.iter().copied().map(Some).collect();
        self.query_or_null(sql, &parameters)
    }

    /// The same, where a parameter may be null.
    pub fn query_or_null(&mut self, sql: &str, parameters: &[Option<&str>]) -> Result<Rows, Fault> {
        if self.mode == Mode::Replication {
            // It has no other way of asking.
            return Ok(self.run(sql)?.pop().unwrap_or_default());
        }
        let bind = |out: &mut BytesMut| {
            let text = |value: &Option<&str>, out: &mut BytesMut| {
                let Some(value) = value else { return Ok(IsNull::Yes) };
                out.extend_from_slice(value.as_bytes());
                Ok(IsNull::No)
            };
            frontend::bind("", "", [], parameters, text, [0], out).map_err(|error| match error {
                frontend::BindError::Serialization(error) => error,
                frontend::BindError::Conversion(error) => io::Error::other(error),
            })
        };
        self.wire.send(|out| {
            frontend::parse("", sql, [], out)?;
            bind(out)?;
            frontend::describe(b'P', "", out)?;
            frontend::execute("", 0, out)?;
            frontend::sync(out);
            Ok(())
        })?;
        Ok(self.answers()?.pop().unwrap_or_default())
    }

    /// The columns that one statement would give, without running it.
    pub fn describe(&mut self, sql: &str) -> Result<Vec<Described>, Fault> {
        self.wire.send(|out| {
            frontend::parse("", sql, [], out)?;
            frontend::describe(b'S', "", out)?;
            frontend::sync(out);
            Ok(())
        })?;
        let (mut columns, mut refused) = (Vec::new(), None);
        loop {
            match self.next(&mut refused)? {
                Message::RowDescription(body) => {
                    let of = |field: Field<'_>| Described {
                        name: field.name().to_owned(),
                        type_oid: field.type_oid(),
                        type_modifier: field.type_modifier(),
                    };
                    let fields: Result<Vec<_>, _> = body.fields().map(|field| Ok(of(field))).collect();
                    columns = fields.map_err(|error| self.garbled(&error))?;
                }
                Message::ParseComplete | Message::ParameterDescription(_) | Message::NoData => {}
                Message::ReadyForQuery(_) => return refused.map_or(Ok(columns), Err),
                _ => return Err(self.out_of_turn()),
            }
        }
    }

    /// Is the other side still there?
    pub fn ping(&mut self) -> Result<(), Fault> {
        let question = match self.mode {
            Mode::Sql => "select 1",
            Mode::Replication => "IDENTIFY_SYSTEM",
        };
        self.run(question).map(|_| ())
    }

    /// Everything up to the server's next "ready". What it refuses is told after that, so that the session can go on.
    fn answers(&mut self) -> Result<Vec<Rows>, Fault> {
        let mut answers = Vec::new();
        let mut open: Option<Rows> = None;
        let mut refused = None;
        let mut size = 0;
        loop {
            match self.next(&mut refused)? {
                Message::RowDescription(body) => {
                    open = Some(Rows { columns: self.columns(&body)?, ..Rows::default() });
                }
                Message::DataRow(body) => {
                    size += body.buffer().len();
                    if size > LARGEST_ANSWER {
                        self.wire.give_up();
                        return Err(Fault::protocol(format!("{}: the answer is larger than {} MiB", self.wire.peer, LARGEST_ANSWER >> 20)));
                    }
                    let Some(rows) = &mut open else { return Err(self.out_of_turn()) };
                    let values = values(&body).map_err(|error| self.garbled(&error))?;
                    let values = values.into_iter().map(|value| value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())).collect();
                    rows.rows.push(Row { columns: Arc::clone(&rows.columns), values });
                }
                Message::CommandComplete(body) => {
                    let tag = body.tag().map_err(|error| self.garbled(&error))?.to_owned();
                    answers.push(Rows { tag, ..open.take().unwrap_or_default() });
                }
                Message::EmptyQueryResponse => answers.push(Rows::default()),
                Message::ParseComplete | Message::BindComplete | Message::NoData => {}
                Message::ReadyForQuery(_) => return refused.map_or(Ok(answers), Err),
                _ => return Err(self.out_of_turn()),
            }
        }
    }

    /// The next message that is an answer. What the server says on the side is kept; the first error goes into `refused`.
    /// If the server hangs up after an error, the error says why.
    pub(super) fn next(&mut self, refused: &mut Option<Fault>) -> Result<Message, Fault> {
        loop {
            match self.wire.receive() {
                Ok(Message::ErrorResponse(body)) => {
                    let fault = self.refusal(body.fields())?;
                    refused.get_or_insert(fault);
                }
                Ok(Message::NoticeResponse(body)) => self.note(body.fields())?,
                Ok(Message::ParameterStatus(body)) => {
                    let name = body.name().map_err(|error| self.garbled(&error))?.to_owned();
                    let value = body.value().unwrap_or_default().to_owned();
                    self.parameters.insert(name, value);
                }
                Ok(Message::NotificationResponse(_)) => {}
                Ok(message) => return Ok(message),
                Err(fault) => return Err(hung_up(fault, refused.take())),
            }
        }
    }

    fn columns(&mut self, body: &RowDescriptionBody) -> Result<Arc<[String]>, Fault> {
        let names: Result<Vec<_>, _> = body.fields().map(|field| Ok(field.name().to_owned())).collect();
        names.map(Arc::from).map_err(|error| self.garbled(&error))
    }

    pub(super) fn refusal(&mut self, fields: ErrorFields<'_>) -> Result<Fault, Fault> {
        let said = read_fields(fields).map_err(|error| self.garbled(&error))?;
        Ok(said.fault(&self.wire.peer))
    }

    pub(super) fn note(&mut self, fields: ErrorFields<'_>) -> Result<(), Fault> {
        let said = read_fields(fields).map_err(|error| self.garbled(&error))?;
        // The newest are worth most.
        if self.notices.len() == MOST_NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(Notice { severity: said.severity, code: said.code, message: said.message });
        Ok(())
    }

    pub(super) fn garbled(&mut self, error: &io::Error) -> Fault {
        self.wire.give_up();
        Fault::protocol(format!("{}: an answer cannot be read: {error}", self.wire.peer))
    }

    pub(super) fn out_of_turn(&mut self) -> Fault {
        self.wire.give_up();
        Fault::protocol(format!("{}: the server sent something that does not belong there", self.wire.peer))
    }
}

pub(super) fn values(body: &DataRowBody) -> io::Result<Vec<Option<Bytes>>> {
    let all = body.buffer_bytes();
    body.ranges().map(|range| Ok(range.map(|range| all.slice(range)))).collect()
}

/// An unfinished answer, or an error and then silence: what the server said explains it better than the socket does.
pub(super) fn hung_up(fault: Fault, refused: Option<Fault>) -> Fault {
    match refused {
        Some(said) if fault.kind == FaultKind::Lost => Fault { kind: FaultKind::Lost, message: said.message, hint: fault.hint },
        _ => fault,
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.wire.is_broken() {
            // A courtesy: the server notices a closed socket too, and says so in its log.
            let _ = self.wire.set_silence(Duration::from_secs(1));
            let _ = self.wire.send(|out| {
                frontend::terminate(out);
                Ok(())
            });
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.wire.peer).field("mode", &self.mode).finish_non_exhaustive()
    }
}
