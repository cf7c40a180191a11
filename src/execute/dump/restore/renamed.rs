//! What a database is called, where the answer to giving it another name was lost: its number stays.

use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use super::Plan;
use super::act::of;
use crate::execute::restore::RestoreFault;
use crate::postgres::Connection;

const LOOK: Duration = Duration::from_millis(50);
/// A commit may wait for a standby.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database, and the session that gives it another name.
#[derive(Debug)]
pub(super) struct Renamed {
    pub oid: String,
    pid: String,
}

impl Renamed {
    pub(super) fn by(connection: &mut Connection, database: &str) -> Result<Renamed, RestoreFault> {
        let sql = "select oid::text as oid, pg_catalog.pg_backend_pid()::text as pid from pg_catalog.pg_database where datname = $1";
        let rows = connection.query(sql, &[database]).map_err(of)?;
        let gone = || RestoreFault::new(format!("the database `{database}` is gone"), "Say `--create` to make it.");
        let row = rows.iter().next().ok_or_else(gone)?;
        let text = |name: &str| row.text(name).map(str::to_owned).map_err(of);
        Ok(Renamed { oid: text("oid")?, pid: text("pid")? })
    }

    /// Its name when that session is over: what the server was told last it may still be doing.
    pub(super) fn name(&self, plan: &Plan, session: Connection) -> Result<String, RestoreFault> {
        drop(session);
        let mut connection = plan.maintenance()?;
        let began = Stopwatch::now();
        let at_it = "select exists (select from pg_catalog.pg_stat_activity where pid = $1::int) as at_it";
        while connection.query(at_it, &[&self.pid]).and_then(|rows| rows.one()?.flag("at_it")).map_err(of)? {
            if began.elapsed() > PATIENCE {
                return Err(RestoreFault::new(format!("the server is still at it, in session {}", self.pid), ""));
            }
            thread::sleep(LOOK);
        }
        let sql = "select datname as name from pg_catalog.pg_database where oid = $1::oid";
        connection.query(sql, &[&self.oid]).and_then(|rows| Ok(rows.one()?.text("name")?.to_owned())).map_err(of)
    }

    /// Where even that cannot be found out.
    pub(super) fn unknown(&self, fault: &RestoreFault, why: &RestoreFault, done: &str, hint: &str) -> RestoreFault {
        let message = format!("{fault}; whether it has its name all the same is not known: {why}");
        let look = format!("select datname from pg_database where oid = {}", self.oid);
        RestoreFault::new(message, format!("`{look};` says it: with `{done}` everything is done. Otherwise: {hint}"))
    }
}
