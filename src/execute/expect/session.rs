//! A session in the copy that ends in time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant as Stopwatch};

use super::judge::said;
use crate::postgres::{Connection, Fault};

/// So much longer than the server may take is waited for its word that it took too long.
const GRACE: Duration = Duration::from_secs(10);
/// Less would be no time at all.
const LEAST: Duration = Duration::from_millis(1);

/// How long something may take, and what ends it before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit<'l> {
    pub began: Stopwatch,
    pub timeout: crate::units::Duration,
    pub stop: &'l AtomicBool,
}

impl Limit<'_> {
    fn left(&self) -> Duration {
        Duration::from_secs(self.timeout.as_secs()).saturating_sub(self.began.elapsed()).max(LEAST)
    }

    /// Nothing more is begun.
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.began.elapsed() >= Duration::from_secs(self.timeout.as_secs())
    }

    /// Why it is over, for people.
    pub fn over(&self) -> String {
        if self.stop.load(Ordering::Relaxed) { STOPPED.to_owned() } else { format!("it took longer than {}", self.timeout) }
    }

    /// What a failure means within this limit.
    pub fn told(&self, connection: &Connection, fault: &Fault) -> String {
        // Nobody else is at the copy who would cancel anything.
        if fault.code() == Some(CANCELED) {
            return self.over();
        }
        refusal(connection, fault)
    }
}

const STOPPED: &str = "it was broken off: it was asked to end";
/// SQLSTATE of a statement that was cancelled or took too long.
const CANCELED: &str = "57014";

/// What the server said, without where it is: nobody finds it there later.
pub(super) fn refusal(connection: &Connection, fault: &Fault) -> String {
    let peer = format!("{} as {}: ", connection.target(), connection.settings().user);
    said(fault.message.strip_prefix(&peer).unwrap_or(&fault.message))
}

/// Does something over a session. Its statements end with the limit, and when the drill is asked to end.
pub(super) fn within<T>(
    connection: &mut Connection,
    limit: &Limit<'_>,
    work: impl FnOnce(&mut Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let left = limit.left();
    connection.set_silence(left + GRACE)?;
    let (sql, millis) = ("select set_config('statement_timeout', $1, false)", left.as_millis().to_string());
    connection.query(sql, &[&millis])?;
    let Some(cancel) = connection.cancel_handle() else { return work(connection) };
    let (done, wait) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while wait.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                // Again and again: a request may arrive between two statements.
                if limit.stop.load(Ordering::Relaxed) && cancel.send().is_err() {
                    return;
                }
            }
        });
        let result = work(connection);
        drop(done);
        result
    })
}
