//! Several hosts in one connection string, tried in their order.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use secrecy::SecretString;

use super::super::fault::Fault;

/// Where a server may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A directory of Unix sockets; one that begins with `@` is in the abstract name space.
    Socket(PathBuf),
    /// `address` is where, `name` is who: certificates and password files go by the name.
    Tcp { name: String, address: Option<IpAddr> },
}

/// One server to try.
#[derive(Debug, Clone)]
pub struct Target {
    pub host: Host,
    pub port: u16,
    /// From the password file, which may have another for each host.
    pub(in super::super) password: Option<SecretString>,
    /// The same for a replication connection, which the file calls a database named `replication`.
    pub(in super::super) replication_password: Option<SecretString>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Socket(directory) => write!(f, "{}/.s.PGSQL.{}", directory.display(), self.port),
            Host::Tcp { name, .. } if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Host::Tcp { name, .. } => write!(f, "{name}:{}", self.port),
        }
    }
}

/// Hosts, addresses and ports, matched up as libpq does.
pub(super) fn targets(host: &str, hostaddr: &str, port: &str, sockets: &str) -> Result<Vec<Target>, Fault> {
    const MOST: usize = 64;
    let list = |text: &str| -> Vec<String> { text.split(',').map(|part| part.trim().to_owned()).collect() };
    let (hosts, addresses, ports) = (list(host), list(hostaddr), list(port));
    let count = if hostaddr.is_empty() { hosts.len() } else { addresses.len() };
    if !host.is_empty() && hosts.len() != count {
        let counts = format!("{} hosts and {count} addresses", hosts.len());
        return Err(Fault::config(format!("host and hostaddr do not match: {counts}"), "Give as many of one as of the other."));
    }
    if ports.len() != 1 && ports.len() != count {
        let counts = format!("{} ports for {count} hosts", ports.len());
        return Err(Fault::config(format!("host and port do not match: {counts}"), "Give one port, or one for each host."));
    }
    if count > MOST {
        return Err(Fault::config(format!("the connection string names more than {MOST} hosts"), "Name fewer."));
    }
    let at = |list: &[String], index: usize| list.get(index).or(list.first()).cloned().unwrap_or_default();
    (0..count)
        .map(|index| {
            let name = if host.is_empty() { String::new() } else { at(&hosts, index) };
            let address = if hostaddr.is_empty() { String::new() } else { at(&addresses, index) };
            let port = self::port(&at(&ports, index), index)?;
            let host = self::host(name, &address, sockets)?;
            Ok(Target { host, port, password: None, replication_password: None })
        })
        .collect()
}

fn host(name: String, address: &str, sockets: &str) -> Result<Host, Fault> {
    if !address.is_empty() {
        let parsed = address.parse().map_err(|_| {
            Fault::config(format!("hostaddr `{}` is no IP address", crate::units::clipped(address)), "Use `host` for a name.")
        })?;
        return Ok(Host::Tcp { name: if name.is_empty() { address.to_owned() } else { name }, address: Some(parsed) });
    }
    Ok(match name {
        name if name.is_empty() => Host::Socket(PathBuf::from(sockets)),
        name if name.starts_with(['/', '@']) => Host::Socket(PathBuf::from(name)),
        name => Host::Tcp { address: name.parse().ok(), name },
    })
}

/// What is no port is not repeated: after a password with a `/` in it, a piece of it stands here.
fn port(text: &str, index: usize) -> Result<u16, Fault> {
    const DEFAULT: u16 = 5432;
    if text.is_empty() {
        return Ok(DEFAULT);
    }
    text.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
        Fault::config(
            format!("port {} of the connection string is none", index + 1),
            "A port is a number from 1 to 65535; PostgreSQL's is 5432. In a URI a password's `/`, `@` and `:` are written %2F, %40 and %3A.",
        )
    })
}
