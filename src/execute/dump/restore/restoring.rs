//! TimescaleDB while its tables come back: it is told so before, and told that it is over whatever happens.

use super::act::of;
use super::jobs::{HeldJob, Jobs};
use crate::execute::restore::RestoreFault;
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::Connection;
use crate::timescale;

/// In a session: it is told nothing, and does nothing. So rows and definitions are those that a dump has, chunk by chunk.
pub(in crate::execute) const OFF: &str = "set timescaledb.restoring = on";
/// It is told of what happens to its tables, and answers for them.
pub(in crate::execute) const ON: &str = "set timescaledb.restoring = off";

/// In the dump's version, where it lay. It loads itself into new sessions only.
pub(in crate::execute) fn make_extension(connection: &mut Connection, into: &str, version: &str, home: &str) -> Result<(), RestoreFault> {
    let sql = format!("create extension if not exists timescaledb with schema {} version {}", quoted(home), literal(version));
    connection.run(&sql).map_err(of)?;
    let sql = "select extversion as version from pg_catalog.pg_extension where extname = 'timescaledb'";
    let installed = connection.query(sql, &[]).and_then(|rows| rows.one()?.text("version").map(str::to_owned)).map_err(of)?;
    if installed != *version {
        let message = format!("the dump is of TimescaleDB {version}, and `{into}` has {installed}");
        return Err(RestoreFault::new(message, "Restore into a new database with `--create`, and update the extension there."));
    }
    let lies = timescale::schema(connection).map_err(of)?;
    if lies != home {
        let message = format!("the dump has TimescaleDB in the schema `{home}`, and `{into}` has it in `{lies}`");
        return Err(RestoreFault::new(message, "Restore into a new database with `--create`."));
    }
    Ok(())
}

/// Does the work meanwhile. Says which jobs came with it and do not run (`jobs_run`: all of them do); and how the end of the mode went.
pub(in crate::execute) fn during<F: From<RestoreFault>>(
    open: &dyn Fn() -> Result<Connection, RestoreFault>,
    home: &str,
    jobs_run: bool,
    work: impl FnOnce() -> Result<(), F>,
) -> (Result<Vec<HeldJob>, F>, Result<(), RestoreFault>) {
    let restored = begin(open, home).map_err(F::from).and_then(|jobs| {
        let brought = work();
        // Also when only some came: the database may be one that stays. Nothing keeps a session alive that was silent for hours.
        let held = if jobs_run { Ok(Vec::new()) } else { open().and_then(|mut connection| jobs.hold_others(&mut connection)) };
        brought.and(held.map_err(F::from))
    });
    // Also when that failed, and when nobody knows whether it began: until then the database's own jobs and its checks are off.
    let ended = open().and_then(|mut connection| connection.run(&end(home)).map(drop).map_err(of));
    (restored, ended)
}

fn begin(open: &dyn Fn() -> Result<Connection, RestoreFault>, home: &str) -> Result<Jobs, RestoreFault> {
    let functions = quoted(home);
    let mut connection = open()?;
    let jobs = Jobs::there(&mut connection, &functions)?;
    connection.run(&format!("select {functions}.timescaledb_pre_restore()")).map_err(of)?;
    Ok(jobs)
}

/// The statement that ends it.
pub(in crate::execute) fn end(home: &str) -> String {
    format!("select {}.timescaledb_post_restore()", quoted(home))
}

/// TimescaleDB stops its jobs in a database that gets another name, and what runs them may have found it being restored, and ended. By then all is
/// restored, so what goes wrong here is only told.
pub(in crate::execute) fn wake_jobs(opened: Result<Connection, RestoreFault>, database: &str) {
    const WAKE: &str = "do $$ begin perform _timescaledb_functions.start_background_workers(); \
        exception when undefined_function or invalid_schema_name then perform _timescaledb_internal.start_background_workers(); end $$";
    let woken = opened.and_then(|mut connection| connection.run(WAKE).map(drop).map_err(of));
    if let Err(fault) = woken {
        tracing::warn!("TimescaleDB's jobs of `{database}` run after the server's next start: {fault}");
    }
}
