//! Messages in and out of a socket.

use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use postgres_protocol::message::backend::{Header, Message};

use super::fault::{Fault, FaultKind};
use super::sockets::{self, Socket};

/// The largest message that is taken. COPY data comes in pieces of some kilobytes; the longest value that we ask for is a
/// backup's list of tablespaces.
const LARGEST: usize = 64 << 20;
const READ: usize = 64 << 10;
/// So much has come of a copy before anybody takes his time.
const MUCH: usize = 1 << 20;
/// Less than a socket's buffer takes to fill.
const NAP: Duration = Duration::from_micros(300);
const COPY_DATA: u8 = b'd';

pub(super) struct Wire {
    socket: Socket,
    inbox: BytesMut,
    /// What a read fills, made once: to clear as much before each one would cost more than what comes, which is mostly 8 KiB.
    landing: Box<[u8]>,
    outbox: BytesMut,
    silence: Duration,
    /// While connecting: the whole of it must be over by then.
    deadline: Option<Instant>,
    /// Host, port and user, for messages.
    pub(super) peer: String,
    /// Why nothing more can come of it.
    broken: bool,
    /// Of COPY data: with the last read, and since the last statement.
    came: usize,
    copied: usize,
}

impl Wire {
    pub(super) fn new(socket: Socket, silence: Duration, deadline: Instant, peer: String) -> Wire {
        let (inbox, outbox, landing) = (BytesMut::new(), BytesMut::new(), vec![0; READ].into_boxed_slice());
        Wire { socket, inbox, landing, outbox, silence, deadline: Some(deadline), peer, broken: false, came: 0, copied: 0 }
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
        self.copied = 0;
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
            self.check_announced()?;
            if let Some(message) = Message::parse(&mut self.inbox).map_err(|error| self.garbled(&error))? {
                return Ok(message);
            }
            self.fill()?;
        }
    }

    /// Adds what the COPY data holds that has come, all of its whole messages at once, and waits for the first. False where something else comes next.
    pub(super) fn receive_copied(&mut self, into: &mut Vec<u8>) -> Result<bool, Fault> {
        self.check()?;
        loop {
            let taken = take_copied(&self.inbox, into);
            if taken > 0 {
                self.inbox.advance(taken);
                return Ok(true);
            }
            if self.inbox.first().is_some_and(|tag| *tag != COPY_DATA) {
                return Ok(false);
            }
            self.check_announced()?;
            self.let_more_come();
            let before = self.inbox.len();
            self.fill()?;
            self.came = self.inbox.len() - before;
            self.copied += self.came;
        }
    }

    /// A server on the same machine hands over 8 KiB at a time, and would wake us for each of them. Of a copy that is large, some are awaited together.
    fn let_more_come(&self) {
        if self.copied > MUCH && self.came < READ && matches!(self.socket, Socket::Unix(_)) {
            thread::sleep(NAP);
        }
    }

    fn check_announced(&mut self) -> Result<(), Fault> {
        let header = Header::parse(&self.inbox).map_err(|error| self.garbled(&error))?;
        if header.is_some_and(|header| usize::try_from(header.len()).is_ok_and(|length| length > LARGEST)) {
            self.broken = true;
            return Err(Fault::protocol(format!("{}: a message of more than {} MiB was announced", self.peer, LARGEST >> 20)));
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), Fault> {
        if let Some(deadline) = self.deadline {
            let left = sockets::remaining(deadline).and_then(|left| self.socket.set_silence(left.min(self.silence)));
            left.map_err(|error| self.broke(&error))?;
        }
        let read = loop {
            match self.socket.read(&mut self.landing) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => Err(self.broke(&io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => {
                self.inbox.extend_from_slice(&self.landing[..read]);
                Ok(())
            }
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

/// How many bytes the whole messages of COPY data at the beginning take. Rows come one by one, and each as a message of its own would cost more than
/// the row.
fn take_copied(inbox: &[u8], into: &mut Vec<u8>) -> usize {
    let mut taken = 0;
    while let [COPY_DATA, a, b, c, d, rest @ ..] = &inbox[taken..] {
        // The length counts itself.
        let length = u32::from_be_bytes([*a, *b, *c, *d]).checked_sub(4).and_then(|length| usize::try_from(length).ok());
        let Some(body) = length.and_then(|length| rest.get(..length)) else { break };
        into.extend_from_slice(body);
        taken += 5 + body.len();
    }
    taken
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_messages_of_copied_data_are_taken_and_nothing_behind_them() {
        let rows = b"d\0\0\0\x081,2\nd\0\0\0\x04d\0\0\0\x063\n";
        let taken = |inbox: &[u8]| {
            let mut into = Vec::new();
            (take_copied(inbox, &mut into), into)
        };
        assert_eq!(taken(rows), (rows.len(), b"1,2\n3\n".to_vec()));
        for rest in [&b"c\0\0\0\x04"[..], b"d\0\0\0\x09abc", b"d\0\0", b"d\0\0\0\x01", b""] {
            assert_eq!(taken(&[rows, rest].concat()), (rows.len(), b"1,2\n3\n".to_vec()), "{rest:?}");
            assert_eq!(taken(rest), (0, Vec::new()));
        }
    }
}
