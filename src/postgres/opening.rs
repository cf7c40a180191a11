//! How a session begins: which server, encrypted or not, and the introduction.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use super::auth::Login;
use super::connection::{Connection, Mode};
use super::conninfo::{Attributes, Host, Settings, SslMode, Target};
use super::fault::{Fault, FaultKind};
use super::rows::Rows;
use super::sockets::Socket;
use super::tls;
use super::wire::Wire;

/// How long a server may be silent before it counts as gone, unless something else is said.
const SILENCE: Duration = Duration::from_secs(60);

impl Connection {
    /// The first target that answers and will do.
    pub fn open(settings: &Settings, mode: Mode) -> Result<Connection, Fault> {
        let settings = Arc::new(settings.clone());
        let tls = match settings.tls.mode {
            SslMode::Disable => None,
            // Sockets of the machine are never encrypted: no certificate is needed, and none is read.
            _ if settings.targets.iter().all(|target| matches!(target.host, Host::Socket(_))) => None,
            _ => Some(tls::config(&settings.tls)?),
        };
        let rounds: &[Attributes] = match settings.attributes {
            Attributes::PreferStandby => &[Attributes::Standby, Attributes::Any],
            ref one => std::slice::from_ref(one),
        };
        let mut faults = Vec::new();
        for wanted in rounds {
            for target in &settings.targets {
                let opened = open_target(&settings, target, mode, tls.as_ref());
                match opened.and_then(|mut connection| connection.require(*wanted).map(|()| connection)) {
                    Ok(connection) => return Ok(connection),
                    Err(fault) => faults.push(fault),
                }
            }
        }
        Err(together(faults))
    }
}

/// While connecting, some codes say more than that a statement failed.
fn at_the_door(mut fault: Fault) -> Fault {
    let kind = match fault.code() {
        Some(code) if code.starts_with("28") => Some(FaultKind::Denied),
        Some(code) if code.starts_with("57P") || code.starts_with("53") => Some(FaultKind::Refused),
        _ => None,
    };
    fault.kind = kind.unwrap_or(fault.kind);
    fault
}

/// Several targets failed: the one that will not mend itself decides what kind it is.
fn together(mut faults: Vec<Fault>) -> Fault {
    let Some(index) = faults.iter().position(|fault| !fault.is_transient()).or(faults.len().checked_sub(1)) else {
        return Fault::config("the connection string names no host", "Name one.");
    };
    let messages: Vec<String> = faults.iter().map(|fault| fault.message.clone()).collect();
    let mut fault = faults.swap_remove(index);
    fault.message = messages.join("; ");
    fault
}

type TlsConfig = Arc<rustls::ClientConfig>;

/// One target, encrypted and not as `sslmode` allows.
fn open_target(settings: &Arc<Settings>, target: &Target, mode: Mode, tls: Option<&TlsConfig>) -> Result<Connection, Fault> {
    let is_socket = matches!(target.host, Host::Socket(_));
    let deadline = Instant::now() + settings.connect_timeout;
    let attempt = |tls: Option<&TlsConfig>, plain_will_do: bool| Attempt { settings, target, mode, tls, plain_will_do, deadline }.open();
    let (first, second) = match (tls, settings.tls.mode) {
        _ if is_socket => (attempt(None, true), None),
        (None, _) => (attempt(None, true), None),
        (Some(tls), SslMode::Allow) => (attempt(None, true), Some((Some(tls), false))),
        (Some(tls), SslMode::Prefer) => (attempt(Some(tls), true), Some((None, true))),
        (Some(tls), _) => (attempt(Some(tls), false), None),
    };
    match (first, second) {
        // The door was shut before anybody asked who we are: pg_hba.conf may want the other kind.
        (Err(Turned { fault, at_the_door: true }), Some((tls, plain_will_do))) => {
            attempt(tls, plain_will_do).map_err(|turned| if turned.at_the_door { fault } else { turned.fault })
        }
        (opened, _) => opened.map_err(|turned| turned.fault),
    }
}

struct Turned {
    fault: Fault,
    /// Nothing had been asked for yet: another kind of connection may be let in.
    at_the_door: bool,
}

struct Attempt<'a> {
    settings: &'a Arc<Settings>,
    target: &'a Target,
    mode: Mode,
    tls: Option<&'a TlsConfig>,
    plain_will_do: bool,
    deadline: Instant,
}

impl Attempt<'_> {
    fn open(&self) -> Result<Connection, Turned> {
        let final_ = |fault| Turned { fault, at_the_door: false };
        let socket =
            Socket::open(self.target, self.deadline, self.settings.keepalive.as_ref()).map_err(|error| final_(self.unreachable(&error)))?;
        let (socket, encrypted) = self.protect(socket)?;
        let wire = Wire::new(socket, SILENCE, self.deadline, self.peer());
        let mut connection = Connection {
            wire,
            settings: Arc::clone(self.settings),
            mode: self.mode,
            target: self.target.clone(),
            parameters: BTreeMap::new(),
            notices: VecDeque::new(),
            key: None,
            version: 0,
        };
        let mut asked = false;
        let started = self.start(&mut connection, &mut asked);
        // Trying again unencrypted makes no difference if this was not encrypted.
        let other_kind = encrypted || self.settings.tls.mode == SslMode::Allow;
        started.map_err(|fault| Turned { at_the_door: !asked && other_kind && fault.kind == FaultKind::Denied, fault })?;
        Ok(connection)
    }

    fn peer(&self) -> String {
        format!("{} as {}", self.target, self.settings.user)
    }

    fn unreachable(&self, error: &io::Error) -> Fault {
        let what = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "nobody answered in time".to_owned(),
            io::ErrorKind::NotFound if matches!(self.target.host, Host::Socket(_)) => "there is no such socket".to_owned(),
            _ => error.to_string(),
        };
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => FaultKind::Denied,
            _ => FaultKind::Unreachable,
        };
        let hint = "Check that PostgreSQL runs, listens there (`listen_addresses`, `port`, `unix_socket_directories`), and that nothing is between.";
        Fault::new(kind, format!("{}: the server cannot be reached: {what}", self.peer()), hint)
    }

    /// Puts TLS around the socket if it is wanted and can be had.
    fn protect(&self, mut socket: Socket) -> Result<(Socket, bool), Turned> {
        let Some(config) = self.tls else { return Ok((socket, false)) };
        let turned = |fault| Turned { fault, at_the_door: self.plain_will_do };
        let lost = |error: &io::Error| Turned { fault: super::wire::io_fault(error, &self.peer()), at_the_door: false };
        super::sockets::remaining(self.deadline).and_then(|left| socket.set_silence(left)).map_err(|error| lost(&error))?;
        if !self.settings.tls.direct {
            match ask_for_tls(&mut socket).map_err(|error| lost(&error))? {
                b'S' => {}
                b'N' if self.plain_will_do => return Ok((socket, false)),
                b'N' => {
                    let message = format!("{}: the server does not speak TLS, and `sslmode` asks for it", self.peer());
                    let fault = Fault::new(FaultKind::Denied, message, "Set `ssl = on` at the server.");
                    return Err(Turned { fault, at_the_door: false });
                }
                _ => {
                    let message = format!("{}: the server cannot take a connection now", self.peer());
                    return Err(Turned { fault: Fault::new(FaultKind::Refused, message, "Look at the server's log."), at_the_door: false });
                }
            }
        }
        let (Socket::Tcp(plain), Host::Tcp { name, .. }) = (socket, &self.target.host) else {
            unreachable!("only TCP is protected");
        };
        let protected = tls::shake_hands(config, name, plain).map_err(|error| turned(tls::fault(&error, &self.peer())))?;
        Ok((Socket::Tls(Box::new(protected)), true))
    }

    /// PostgreSQL does not know where we have a wrong word from.
    fn explained(&self, mut fault: Fault) -> Fault {
        let said_by = &self.settings.said_by;
        match (fault.code(), &said_by.password) {
            (Some("28P01"), Some(place)) => {
                fault.hint = format!("The password came from {place}, and the server does not take it for this user.");
            }
            (Some("3D000"), _) => fault.hint.clone_from(&said_by.database),
            _ => {}
        }
        fault
    }

    /// Introduces us and waits until the server is ready.
    fn start(&self, connection: &mut Connection, asked: &mut bool) -> Result<(), Fault> {
        let settings = self.settings;
        let mut startup = vec![
            ("user", settings.user.as_str()),
            ("database", settings.dbname.as_str()),
            ("application_name", settings.application_name.as_str()),
            ("client_encoding", "UTF8"),
        ];
        if let Some(options) = &settings.options {
            startup.push(("options", options));
        }
        if self.mode == Mode::Replication {
            startup.push(("replication", "true"));
        }
        connection.wire.send(|out| frontend::startup_message(startup, out))?;
        let from_file = match self.mode {
            Mode::Sql => &self.target.password,
            Mode::Replication => &self.target.replication_password,
        };
        let password = settings.password.as_ref().or(from_file.as_ref());
        let mut login = Login::new(&settings.user, password, settings.channel_binding);
        let mut let_in = false;
        loop {
            let mut refused = None;
            let message = connection.next_at_the_door(&mut refused)?;
            if let Some(fault) = refused {
                return Err(at_the_door(self.explained(fault)));
            }
            match message {
                Some(Message::BackendKeyData(body)) if let_in => connection.key = Some((body.process_id(), body.secret_key())),
                Some(Message::ReadyForQuery(_)) if let_in => break,
                Some(request) if !let_in => {
                    *asked = true;
                    let_in = login.answer(request, &mut connection.wire)?;
                }
                _ => return Err(connection.out_of_turn()),
            }
        }
        connection.version = version(connection.parameter("server_version").unwrap_or_default());
        if connection.version < 130_000 {
            let said = connection.parameter("server_version").unwrap_or("none").to_owned();
            let message = format!("{}: version {} of PostgreSQL is not supported", connection.wire.peer, crate::units::clipped(&said));
            return Err(Fault::config(message, "Seawall works with PostgreSQL 13 to 18."));
        }
        connection.wire.end_deadline()
    }
}

impl Connection {
    /// Is this one of the servers that will do?
    fn require(&mut self, wanted: Attributes) -> Result<(), Fault> {
        let will_do = match wanted {
            Attributes::Any | Attributes::PreferStandby => true,
            Attributes::ReadWrite => !self.is_read_only()?,
            Attributes::ReadOnly => self.is_read_only()?,
            Attributes::Primary => !self.is_standby()?,
            Attributes::Standby => self.is_standby()?,
        };
        if will_do {
            return Ok(());
        }
        let message = format!("{}: the server is not as `target_session_attrs` wants it", self.wire.peer);
        Err(Fault::new(FaultKind::Refused, message, "Look which of the hosts is the primary now."))
    }

    fn is_read_only(&mut self) -> Result<bool, Fault> {
        // In capitals: the replication protocol has no others.
        let rows = self.run("SHOW transaction_read_only")?;
        Ok(rows.first().map(Rows::one).transpose()?.and_then(|row| row.get("transaction_read_only")) == Some("on"))
    }

    fn is_standby(&mut self) -> Result<bool, Fault> {
        match (self.parameter("in_hot_standby"), self.mode) {
            (Some(reported), _) => Ok(reported == "on"),
            // A walsender of version 13 can be asked nothing closer.
            (None, Mode::Replication) => self.is_read_only(),
            (None, Mode::Sql) => self.query("select pg_is_in_recovery() as standby", &[])?.one()?.flag("standby"),
        }
    }

    /// Before the server is ready it hangs up after an error; there is nothing to wait for.
    fn next_at_the_door(&mut self, refused: &mut Option<Fault>) -> Result<Option<Message>, Fault> {
        loop {
            match self.wire.receive()? {
                Message::ErrorResponse(body) => {
                    *refused = Some(self.refusal(body.fields())?);
                    return Ok(None);
                }
                Message::NoticeResponse(body) => self.note(body.fields())?,
                Message::ParameterStatus(body) => {
                    let name = body.name().map_err(|error| self.garbled(&error))?.to_owned();
                    self.parameters.insert(name, body.value().unwrap_or_default().to_owned());
                }
                message => return Ok(Some(message)),
            }
        }
    }
}

/// One byte: whatever else came with it was not encrypted, and must not be taken for something that was.
pub(super) fn ask_for_tls(socket: &mut Socket) -> io::Result<u8> {
    let mut question = BytesMut::new();
    frontend::ssl_request(&mut question);
    socket.write_all(&question)?;
    let mut answer = [0];
    socket.read_exact(&mut answer)?;
    Ok(answer[0])
}

/// `15.20 (Debian 15.20-0+deb12u1)` is 150020, `18beta1` is 180000.
fn version(text: &str) -> u32 {
    let number = |text: &str| -> u32 {
        let digits = text.find(|c: char| !c.is_ascii_digit()).map_or(text, |end| &text[..end]);
        digits.parse().unwrap_or(0)
    };
    let (major, minor) = text.split_once('.').unwrap_or((text, ""));
    number(major).saturating_mul(10_000).saturating_add(number(minor))
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_numbers() {
        for (text, number) in
            [("15.20 (Debian 15.20-0+deb12u1)", 150_020), ("18beta1", 180_000), ("13.0", 130_000), ("", 0), ("9.6.24", 90_006)]
        {
            assert_eq!(super::version(text), number, "{text}");
        }
    }
}
