//! Sessions in a database that is to get another name, be copied, or go: the server does none of that while somebody is in it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::target::{SESSIONS_OF, Session, sessions};
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault};

const LOOK: Duration = Duration::from_millis(50);
/// Of the one that was made for this: nobody has anything to do there but us. By its name, which it loses: whoever comes for the new one stays.
const END_IN_MADE: &str = "\
    select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity \
    where datname = $1 and pid <> pg_catalog.pg_backend_pid() and backend_type in ('client backend', 'walsender') \
        and backend_start < pg_catalog.statement_timestamp()";

/// Whom it concerns.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::execute) struct Who<'w> {
    /// The database that was made for a restore, by its name.
    pub made: Option<&'w str>,
    /// One that was there, by its number.
    pub old: Option<&'w str>,
}

/// Ends whoever is there, and whoever comes back, until the work is done. Gives who was in the one that was there before.
pub(in crate::execute) fn while_ending<T>(
    who: Who<'_>,
    mut connection: Connection,
    work: impl FnOnce() -> T,
) -> (T, Result<Vec<Session>, Fault>) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let ending = scope.spawn(|| until(&done, who, &mut connection));
        let worked = work();
        done.store(true, Ordering::Relaxed);
        (worked, ending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn until(done: &AtomicBool, who: Who<'_>, connection: &mut Connection) -> Result<Vec<Session>, Fault> {
    let mut ended: Vec<Session> = Vec::new();
    while !done.load(Ordering::Relaxed) {
        if let Some(made) = who.made
            && let Err(fault) = connection.query(END_IN_MADE, &[made])
        {
            // It may be a superuser's; then what is to be done says who is there.
            tracing::info!("whoever is in `{made}` cannot be sent away: {}", fault.message);
        }
        let there = who.old.map(|old| connection.query(SESSIONS_OF, &[old]).and_then(|rows| sessions(&rows))).transpose()?;
        for session in there.into_iter().flatten() {
            connection.query("select pg_catalog.pg_terminate_backend($1::int)", &[&session.pid.to_string()])?;
            if !ended.iter().any(|known| known.pid == session.pid) {
                ended.push(session);
            }
        }
        thread::sleep(LOOK);
    }
    Ok(ended)
}

/// Whoever is in it is sent away.
pub(in crate::execute) fn drop_made(made: &str, ender: Connection, connection: &mut Connection) -> Result<(), Fault> {
    let who = Who { made: Some(made), ..Who::default() };
    let (dropped, _) = while_ending(who, ender, || connection.run(&format!("drop database {}", quoted(made))).map(drop));
    dropped
}
