//! Whether the restored server would find its port taken: known before anything is fetched. The original often runs on the same machine.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;

use rustix::process::{Pid, test_kill_process};

use super::RestoreFault;
use super::plan::RestorePlan;

/// PostgreSQL's own place for sockets, and where it listens when nobody says.
const SOCKETS: &str = "/tmp";
const ADDRESSES: &str = "localhost";

pub(super) fn refuse_taken(plan: &RestorePlan) -> Result<(), RestoreFault> {
    let given = |name: &str| plan.request.set.iter().rev().find(|(set, _)| set.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    let setting = |name: &str| given(name).or_else(|| plan.chosen.private.settings.get(name).map(String::as_str));
    // What is not known of the original is for the server to find out.
    let Some(port) = setting("port").and_then(|port| port.parse().ok()) else { return Ok(()) };
    let sockets = setting("unix_socket_directories").unwrap_or(SOCKETS);
    let taken = taken_socket(sockets, port).or_else(|| taken_port(setting("listen_addresses").unwrap_or(ADDRESSES), port));
    let Some(taken) = taken else { return Ok(()) };
    let hint =
        "Stop that server, or say `--set port=NUMBER`; with an original that goes on beside the copy, the number must be another one.";
    Err(RestoreFault::new(format!("port {port} is taken, and the restored server could not be started: {taken}"), hint))
}

/// PostgreSQL leaves a file with its process's number beside each socket, and starts over it only where that one is gone.
fn taken_socket(directories: &str, port: u16) -> Option<String> {
    let directories =
        directories.split(',').map(|directory| directory.trim().trim_matches('"')).filter(|directory| directory.starts_with('/'));
    directories.into_iter().find_map(|directory| {
        let lock = Path::new(directory).join(format!(".s.PGSQL.{port}.lock"));
        let text = std::fs::read_to_string(&lock).ok()?;
        let pid = Pid::from_raw(text.lines().next()?.trim().parse().ok()?)?;
        let lives = test_kill_process(pid) != Err(rustix::io::Errno::SRCH);
        lives.then(|| format!("`{}` belongs to process {}", lock.display(), pid.as_raw_nonzero()))
    })
}

/// PostgreSQL starts when one of its addresses is free. One that is a name is left to PostgreSQL.
fn taken_port(addresses: &str, port: u16) -> Option<String> {
    let ips: Vec<IpAddr> = addresses.split(',').map(ip).collect::<Option<_>>()?;
    let taken = |ip: &IpAddr| TcpListener::bind((*ip, port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
    ips.iter().all(taken).then(|| format!("something listens on `{addresses}` there already"))
}

fn ip(address: &str) -> Option<IpAddr> {
    match address.trim() {
        "*" => Some(Ipv4Addr::UNSPECIFIED.into()),
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        other => other.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_when_every_address_is() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        for addresses in ["localhost", "127.0.0.1", "*", "127.0.0.1, localhost"] {
            assert!(taken_port(addresses, port).is_some(), "{addresses}");
        }
        for addresses in ["", "127.0.0.2", "127.0.0.1,127.0.0.2", "db-1.example.com"] {
            assert_eq!(taken_port(addresses, port), None, "{addresses}");
        }
        drop(listener);
        assert_eq!(taken_port("localhost", port), None);
    }

    #[test]
    fn a_socket_is_taken_while_its_process_lives() {
        let folder = tempfile::tempdir().expect("a folder");
        let lock = folder.path().join(".s.PGSQL.5432.lock");
        let directories = format!("/nowhere, {}", folder.path().display());
        assert_eq!(taken_socket(&directories, 5432), None);
        std::fs::write(&lock, format!("{}\n", std::process::id())).expect("written");
        assert!(taken_socket(&directories, 5432).is_some_and(|said| said.contains(".s.PGSQL.5432.lock")));
        assert_eq!(taken_socket(&directories, 5433), None);
        let mut gone = std::process::Command::new("true").spawn().expect("it starts");
        gone.wait().expect("it ends");
        std::fs::write(&lock, format!("{}\n", gone.id())).expect("written");
        assert_eq!(taken_socket(&directories, 5432), None);
    }
}
