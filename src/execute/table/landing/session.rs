//! A session in which names and values are written the same way on every server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::execute::table::{TableFault, Why};
use crate::postgres::{Connection, FaultKind, Settings};

/// A statement may look at a whole table, or build an index, before it says anything.
const SILENCE: Duration = Duration::from_secs(24 * 3600);
const LOOK: Duration = Duration::from_millis(100);
/// A statement that begins just after it was asked to end is asked again.
const AGAIN: u32 = 10;

/// With an empty search path every name comes with its schema, and nothing in `public` is taken for something of the system's.
pub(in crate::execute) const WORDS: &str = "set search_path = ''; set datestyle = 'ISO, MDY'; set intervalstyle = 'postgres'; set timezone = 'UTC'; \
    set extra_float_digits = 1; set bytea_output = 'hex'; set lc_monetary = 'C'; set xmloption = 'content'; \
    set standard_conforming_strings = on; set row_security = off; \
    set client_min_messages = 'warning'";

pub(in crate::execute) fn open(settings: &Settings) -> Result<Connection, TableFault> {
    let mut connection = Connection::connect(settings)?;
    connection.set_silence(SILENCE)?;
    connection.lift_limits()?;
    connection.run(WORDS)?;
    if is_of_bytes(&connection) {
        // Whatever bytes there are pass as they are: as UTF-8, not all of them would.
        connection.run("set client_encoding = 'SQL_ASCII'")?;
    }
    Ok(connection)
}

/// Its database has no encoding.
pub(super) fn is_of_bytes(connection: &Connection) -> bool {
    connection.parameter("server_encoding") == Some("SQL_ASCII")
}

/// The same at the destination, where others work: no lock is waited for longer than somebody said, not even by a look.
pub(super) fn open_there(settings: &Settings, lock_timeout: Duration) -> Result<Connection, TableFault> {
    let mut connection = open(settings)?;
    connection.run(&format!("set lock_timeout = '{}ms'", lock_timeout.as_millis()))?;
    Ok(connection)
}

/// Ends a transaction well. Whatever ends otherwise than by the server's own refusal may have been committed.
pub(super) fn commit(connection: &mut Connection, look: &str) -> Result<(), TableFault> {
    // By these a server, or a pooler before it, says that it does not know itself.
    const NOT_KNOWN: [&str; 2] = ["08007", "40003"];
    let answers = connection.run("commit").map_err(|fault| match &fault.kind {
        FaultKind::Sql { code } if !NOT_KNOWN.contains(&code.as_str()) => fault.into(),
        _ => TableFault::unknown(format!("{}; whether it was committed is not known", fault.message), look),
    })?;
    match answers.last() {
        Some(answer) if answer.tag == "COMMIT" => Ok(()),
        _ => Err(TableFault::new("the server took the transaction back", "Nothing was changed. Its log says why.")),
    }
}

/// Does the work. When it is to stop, the statements of these sessions are ended, and it fails with that.
pub(in crate::execute) fn attended<T, const N: usize>(
    stop: &AtomicBool,
    connections: [&mut Connection; N],
    work: impl FnOnce([&mut Connection; N]) -> Result<T, TableFault>,
) -> Result<T, TableFault> {
    let handles: Vec<_> = connections.iter().filter_map(|connection| connection.cancel_handle()).collect();
    thread::scope(|scope| {
        let (done, over) = mpsc::channel::<()>();
        scope.spawn(move || {
            let mut looks = 0_u32;
            while over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if stop.load(Ordering::Relaxed) {
                    if looks.is_multiple_of(AGAIN) {
                        handles.iter().for_each(|handle| _ = handle.send());
                    }
                    looks += 1;
                }
            }
        });
        let worked = go_on(stop).and_then(|()| work(connections));
        drop(done);
        match worked {
            Err(fault) if !matches!(fault.why, Why::Stale | Why::Unknown) && stop.load(Ordering::Relaxed) => Err(TableFault::stopped()),
            other => other,
        }
    })
}

pub(in crate::execute) fn go_on(stop: &AtomicBool) -> Result<(), TableFault> {
    if stop.load(Ordering::Relaxed) { Err(TableFault::stopped()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody may ask for the end while it is committed: what is not known then stays so.
    #[test]
    fn asking_for_the_end_makes_nothing_known() {
        let ended = |fault: TableFault| {
            let stop = AtomicBool::new(false);
            let worked = attended(&stop, [], |_| {
                stop.store(true, Ordering::Relaxed);
                Err::<(), TableFault>(fault)
            });
            worked.expect_err("it failed").why
        };
        assert_eq!(ended(TableFault::unknown("the connection was lost", "")), Why::Unknown);
        assert_eq!(ended(TableFault::stale("it has changed", "")), Why::Stale);
        assert_eq!(ended(TableFault::new("canceling statement due to user request", "")), Why::Stopped);
        assert_eq!(attended(&AtomicBool::new(true), [], |_| Ok(())).expect_err("it was asked before").why, Why::Stopped);
    }
}
