//! Sockets, each with a limit on how long it may be silent.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{self as sys, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use super::conninfo::{Host, Keepalive, Target};

pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

impl Socket {
    /// `None` for a name means all addresses that it has, in their order.
    pub(super) fn open(target: &Target, deadline: Instant, keepalive: Option<&Keepalive>) -> io::Result<Socket> {
        match &target.host {
            Host::Socket(directory) => open_unix(directory, target.port, deadline).map(Socket::Unix),
            Host::Tcp { address: Some(address), .. } => {
                open_tcp(&[SocketAddr::new(*address, target.port)], deadline, keepalive).map(Socket::Tcp)
            }
            Host::Tcp { name, address: None } => open_tcp(&addresses(name, target.port, deadline)?, deadline, keepalive).map(Socket::Tcp),
        }
    }

    /// How long one read or write may take.
    pub(super) fn set_silence(&self, silence: Duration) -> io::Result<()> {
        // Zero would mean for ever.
        let silence = Some(silence.max(Duration::from_millis(1)));
        match self {
            Socket::Unix(socket) => socket.set_read_timeout(silence).and_then(|()| socket.set_write_timeout(silence)),
            Socket::Tcp(socket) => socket.set_read_timeout(silence).and_then(|()| socket.set_write_timeout(silence)),
            Socket::Tls(socket) => socket.sock.set_read_timeout(silence).and_then(|()| socket.sock.set_write_timeout(silence)),
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Socket::Tls(_))
    }

    /// Nobody between here and the server can read along.
    pub(super) fn is_private(&self) -> bool {
        matches!(self, Socket::Tls(_) | Socket::Unix(_))
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(socket) => socket.read(into),
            Socket::Tcp(socket) => socket.read(into),
            Socket::Tls(socket) => socket.read(into),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(socket) => socket.write(from),
            Socket::Tcp(socket) => socket.write(from),
            Socket::Tls(socket) => socket.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Socket::Unix(socket) => socket.flush(),
            Socket::Tcp(socket) => socket.flush(),
            Socket::Tls(socket) => socket.flush(),
        }
    }
}

pub(super) fn remaining(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Connecting waits when the server's queue is full, and a stopped server's queue stays full: so the limit is set before.
fn open_unix(directory: &Path, port: u16, deadline: Instant) -> io::Result<UnixStream> {
    let path = directory.join(format!(".s.PGSQL.{port}"));
    let address = match path.as_os_str().as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddrUnix::new_abstract_name(name)?,
        None => SocketAddrUnix::new(&path)?,
    };
    let socket = sys::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(remaining(deadline)?))?;
    sys::connect(&socket, &address)?;
    Ok(UnixStream::from(socket))
}

/// Each address gets an equal share of what is left, so that a dead first one leaves time for the second.
fn open_tcp(addresses: &[SocketAddr], deadline: Instant, keepalive: Option<&Keepalive>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (index, address) in addresses.iter().enumerate() {
        let share = remaining(deadline)? / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                keep_alive(&socket, keepalive)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn keep_alive(socket: &TcpStream, keepalive: Option<&Keepalive>) -> io::Result<()> {
    let Some(keepalive) = keepalive else { return Ok(()) };
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, keepalive.idle)?;
    sockopt::set_tcp_keepintvl(socket, keepalive.interval)?;
    sockopt::set_tcp_keepcnt(socket, keepalive.count)?;
    if let Some(limit) = keepalive.user_timeout {
        sockopt::set_tcp_user_timeout(socket, u32::try_from(limit.as_millis()).unwrap_or(u32::MAX))?;
    }
    Ok(())
}

/// The resolver cannot be told when to stop, so it is asked in a thread that may be left behind.
fn addresses(name: &str, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let wanted = (name.to_owned(), port);
    thread::Builder::new().name("resolve".into()).spawn(move || {
        // Nobody may be listening any more.
        let _ = sender.send(wanted.to_socket_addrs().map(Iterator::collect));
    })?;
    receiver.recv_timeout(remaining(deadline)?).map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the name is not resolved in time"))?
}
