//! TimescaleDB's jobs that come with a dump. They go by today's date: one that deletes what is old would at once delete much of what was just
//! brought back.

use schemars::JsonSchema;
use serde::Serialize;

use super::act::of;
use crate::execute::restore::RestoreFault;
use crate::policy::sql_name::literal;
use crate::postgres::{Connection, Fault, Row, array};

/// Those with smaller numbers are the extension's own, and come with it.
const FIRST: i64 = 1000;

/// A job that came with the dump and does not run until somebody says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeldJob {
    /// TimescaleDB's number for it, for `alter_job`.
    pub id: i64,
    /// What it calls, and with what.
    pub does: String,
    /// The schema with TimescaleDB's functions, as SQL names it.
    pub home: String,
}

/// The jobs that a database had before.
pub(super) struct Jobs {
    table: &'static str,
    /// The schema with the extension's functions, as SQL names it.
    functions: String,
    before: Vec<i64>,
}

impl Jobs {
    pub(super) fn there(connection: &mut Connection, functions: &str) -> Result<Jobs, RestoreFault> {
        let unknown = || {
            let message = "TimescaleDB keeps its jobs where this version of Seawall does not know";
            RestoreFault::new(message, "Jobs that delete what is old would run in the restored database at once. Please report it.")
        };
        let table = home(connection).map_err(of)?.ok_or_else(unknown)?;
        let before = connection.query(&format!("select id from {table}"), &[]).map_err(of)?;
        let before = before.iter().map(|row| row.parse("id")).collect::<Result<_, _>>().map_err(of)?;
        Ok(Jobs { table, functions: functions.to_owned(), before })
    }

    /// Before any of them can begin: the extension is still told that its tables are being restored.
    pub(super) fn hold_others(self, connection: &mut Connection) -> Result<Vec<HeldJob>, RestoreFault> {
        let sql = format!(
            "update {} set scheduled = false where scheduled and id >= {FIRST} and id <> all ({}::int[]) \
             returning id, proc_schema || '.' || proc_name || coalesce(' ' || config::text, '') as does",
            self.table,
            literal(&array(&self.before))
        );
        let held = |row: &Row| Ok(HeldJob { id: row.parse("id")?, does: row.text("does")?.to_owned(), home: self.functions.clone() });
        let rows = connection.query(&sql, &[]).map_err(of)?;
        let mut held: Vec<HeldJob> = rows.iter().map(held).collect::<Result<_, _>>().map_err(of)?;
        held.sort_by_key(|job| job.id);
        Ok(held)
    }
}

/// The table that TimescaleDB keeps its jobs in, which is another one in older versions; none where the extension is not.
pub(in crate::execute) fn home(connection: &mut Connection) -> Result<Option<&'static str>, Fault> {
    for one in ["_timescaledb_catalog.bgw_job", "_timescaledb_config.bgw_job"] {
        if connection.query("select to_regclass($1) is not null as it", &[one])?.one()?.flag("it")? {
            return Ok(Some(one));
        }
    }
    Ok(None)
}

/// The statement that lets them run: all of them are of one database.
pub fn let_run(held: &[HeldJob]) -> String {
    let home = held.first().map(|job| job.home.as_str()).unwrap_or_default();
    let ids = literal(&array(held.iter().map(|job| job.id)));
    format!("select {home}.alter_job(id, scheduled => true) from unnest({ids}::int[]) id")
}
