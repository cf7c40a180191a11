//! Stopping a statement from another thread.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::conninfo::{Host, Settings, Target};
use super::fault::{Fault, FaultKind};
use super::sockets::Socket;
use super::tls;

/// Stops what a session is doing just now. It is one message over a connection of its own.
#[derive(Clone)]
pub struct Cancel {
    settings: std::sync::Arc<Settings>,
    target: Target,
    encrypted: bool,
    process: i32,
    secret: i32,
}

impl Cancel {
    pub(super) fn new(settings: std::sync::Arc<Settings>, target: Target, encrypted: bool, process: i32, secret: i32) -> Cancel {
        Cancel { settings, target, encrypted, process, secret }
    }

    /// Asks the server to stop the statement. It answers nothing to this: the statement itself fails with SQLSTATE 57014, or
    /// was done already.
    pub fn send(&self) -> Result<(), Fault> {
        const LIMIT: Duration = Duration::from_secs(10);
        let peer = format!("{} as {}", self.target, self.settings.user);
        let deadline = Instant::now() + LIMIT.min(self.settings.connect_timeout);
        let failed = |error: &io::Error| {
            Fault::new(
                FaultKind::Unreachable,
                format!("{peer}: the statement cannot be stopped: {error}"),
                "It ends when its connection does.",
            )
        };
        let mut socket = Socket::open(&self.target, deadline, None).map_err(|error| failed(&error))?;
        socket.set_silence(LIMIT).map_err(|error| failed(&error))?;
        if self.encrypted {
            socket = self.protect(socket).map_err(|error| failed(&error))?;
        }
        let mut message = BytesMut::new();
        frontend::cancel_request(self.process, self.secret, &mut message);
        socket.write_all(&message).and_then(|()| socket.flush()).map_err(|error| failed(&error))?;
        // The server hangs up once it has passed the request on.
        let _ = socket.read(&mut [0]);
        Ok(())
    }

    /// The key must not be readable on the way if the session is not.
    fn protect(&self, mut socket: Socket) -> io::Result<Socket> {
        let config = tls::config(&self.settings.tls).map_err(io::Error::other)?;
        if !self.settings.tls.direct && super::opening::ask_for_tls(&mut socket)? != b'S' {
            return Err(io::Error::other("the server does not speak TLS any more"));
        }
        match (socket, &self.target.host) {
            (Socket::Tcp(plain), Host::Tcp { name, .. }) => Ok(Socket::Tls(Box::new(tls::shake_hands(&config, name, plain)?))),
            (socket, _) => Ok(socket),
        }
    }
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cancel").field("target", &self.target).field("process", &self.process).finish_non_exhaustive()
    }
}
