//! Messages in and out of a socket.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::backend::{Header, Message};

use super::fault::{Fault, FaultKind};
use super::sockets::{self, Socket};

/// The largest message that is taken. COPY data comes in pieces of some kilobytes; the longest value that we ask for is a
/// backup's list of tablespaces.
const LARGEST: usize = 64 << 20;
const READ: usize = 64 << 10;

pub(super) struct Wire {
    socket: Socket,
    inbox: BytesMut,
    outbox: BytesMut,
    silence: Duration,
    /// While connecting: the whole of it must be over by then.
    deadline: Option<Instant>,
    /// Host, port and user, for messages.
    pub(super) peer: String,
    /// Why nothing more can come of it.
    broken: bool,
}

impl Wire {
    pub(super) fn new(socket: Socket, silence: Duration, deadline: Instant, peer: String) -> Wire {
        Wire { socket, inbox: BytesMut::new(), outbox: BytesMut::new(), silence, deadline: Some(deadline), peer, broken: false }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Connected: from now on each silence counts for itself.
    pub(super) fn end_deadline(&mut self) -> Result<(), Fault> {
        self.deadline = None;
        self.set_silence(self.silence)
    }

    pub(super) fn set_silence(&mut self, silence: Duration) -> Result<(), Fault> {
        self.silence = silence;
        self.socket.set_silence(silence).map_err(|error| io_fault(&error, &self.peer))
    }

    pub(super) fn silence(&self) -> Duration {
        self.silence
    }

    /// Sends what `write` puts together.
    pub(super) fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<(), Fault> {
        self.check()?;
        self.outbox.clear();
        write(&mut self.outbox).map_err(|error| {
            // Zero bytes and messages beyond two gigabytes.
            Fault::config(format!("{}: this cannot be sent: {error}", self.peer), "Take zero bytes out of statements and parameters.")
        })?;
        let sent = self.socket.write_all(&self.outbox).and_then(|()| self.socket.flush());
        self.outbox.clear();
        sent.map_err(|error| self.broke(&error))
    }

    /// The next message, whatever it is.
    pub(super) fn receive(&mut self) -> Result<Message, Fault> {
        self.check()?;
        loop {
            let header = Header::parse(&self.inbox).map_err(|error| self.garbled(&error))?;
            if header.is_some_and(|header| usize::try_from(header.len()).is_ok_and(|length| length > LARGEST)) {
                self.broken = true;
                return Err(Fault::protocol(format!("{}: a message of more than {} MiB was announced", self.peer, LARGEST >> 20)));
            }
            if let Some(message) = Message::parse(&mut self.inbox).map_err(|error| self.garbled(&error))? {
                return Ok(message);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Fault> {
        if let Some(deadline) = self.deadline {
            let left = sockets::remaining(deadline).and_then(|left| self.socket.set_silence(left.min(self.silence)));
            left.map_err(|error| self.broke(&error))?;
        }
        let length = self.inbox.len();
        self.inbox.resize(length + READ, 0);
        let read = loop {
            match self.socket.read(&mut self.inbox[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.inbox.truncate(length + read.as_ref().map_or(0, |read| *read));
        match read {
            Ok(0) => Err(self.broke(&io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(error) => Err(self.broke(&error)),
        }
    }

    /// Nothing that comes now can be told apart from an answer to something earlier.
    pub(super) fn give_up(&mut self) {
        self.broken = true;
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    fn check(&self) -> Result<(), Fault> {
        if !self.broken {
            return Ok(());
        }
        let message = format!("{}: the connection was given up earlier", self.peer);
        Err(Fault::new(FaultKind::Lost, message, "Connect again."))
    }

    fn broke(&mut self, error: &io::Error) -> Fault {
        self.broken = true;
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let message = format!("{}: the server has been silent for {}", self.peer, seconds(self.silence));
                Fault::new(FaultKind::Timeout, message, "Look whether the server or the way to it is overloaded, or allow more time.")
            }
            _ => io_fault(error, &self.peer),
        }
    }

    fn garbled(&mut self, error: &io::Error) -> Fault {
        self.broken = true;
        Fault::protocol(format!("{}: what was answered is not PostgreSQL's protocol: {error}", self.peer))
    }
}

/// What a socket says once it is connected.
pub(super) fn io_fault(error: &io::Error, peer: &str) -> Fault {
    const HINT: &str = "The server's log says whether it was stopped, crashed, or closed this connection; otherwise look at the network.";
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Fault::new(
            FaultKind::Timeout,
            format!("{peer}: the server did not answer in time"),
            "Look whether the server or the way to it is overloaded.",
        ),
        io::ErrorKind::UnexpectedEof => Fault::new(FaultKind::Lost, format!("{peer}: the server closed the connection"), HINT),
        _ => Fault::new(FaultKind::Lost, format!("{peer}: the connection broke: {error}"), HINT),
    }
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) { format!("{} ms", duration.as_millis()) } else { format!("{} s", duration.as_secs()) }
}
