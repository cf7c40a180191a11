//! What must be true of a restored copy, looked at one after the other. `judge` decides and knows no server; everything else only asks.

mod amcheck;
mod canary;
mod constraints;
mod judge;
mod question;
mod recorded;
mod session;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant as Stopwatch;

use amcheck::Reads;
use judge::Verdict;
use session::Limit;

use crate::format::descriptor::Private;
use crate::inventory::Expected;
use crate::policy::file::Check;
use crate::policy::model::{Drill, Expectation, Expecting};
use crate::postgres::{Connection, Fault};
use crate::units::{Duration, Instant, Name};

pub use canary::{Owed, canary, canary_written};
pub(in crate::execute) use question::{begin, single};

/// Only catalogs are read.
const AS_RECORDED: Duration = Duration::from_secs(120);
/// All of a table is.
const COUNTING: Duration = Duration::from_hours(24);

/// A restored copy whose server runs, and may be written to.
pub struct Copy<'c> {
    /// A session in one of its databases, as its superuser.
    pub connect: &'c (dyn Fn(&str) -> Result<Connection, Fault> + Sync),
    /// The moment that was recovered to: the target, or the last transaction that came back.
    pub recovered_to: Instant,
    /// What the backup recorded of the original.
    pub private: &'c Private,
    /// Set from outside when the drill is to end.
    pub stop: &'c AtomicBool,
}

impl std::fmt::Debug for Copy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copy").field("recovered_to", &self.recovered_to).finish_non_exhaustive()
    }
}

/// All expectations of a drill, in the order of their names; none is left out because another one is not met.
pub fn examine(drill: &Drill, copy: &Copy<'_>) -> Vec<Expected> {
    drill.expectations.iter().map(|(name, expectation)| one(name, expectation, copy)).collect()
}

/// Whether the extensions, hypertables and jobs are there that the backup wrote down; of what it wrote nothing down nothing is said.
pub fn as_recorded(copy: &Copy<'_>) -> Vec<Expected> {
    let has_timescale = copy.private.recorded.values().any(|recorded| recorded.timescale.is_some());
    let all = [
        ("extensions", Check::Extensions, !copy.private.extensions.is_empty()),
        ("hypertables", Check::Hypertables, has_timescale),
        ("jobs", Check::Jobs, has_timescale),
    ];
    let expectation = |check| Expectation { what: Expecting::Check { check, database: None }, timeout: AS_RECORDED };
    let recorded = all.into_iter().filter(|(_, _, is_recorded)| *is_recorded);
    recorded.map(|(name, check, _)| one(&name.parse().expect("a name"), &expectation(check), copy)).collect()
}

/// How many rows a table has in the copy. `table` is as SQL reads it.
pub fn count_rows(copy: &Copy<'_>, database: &str, table: &str) -> Result<u64, String> {
    let limit = Limit { began: Stopwatch::now(), timeout: COUNTING, stop: copy.stop };
    let mut connection = (copy.connect)(database).map_err(|fault| judge::said(&fault.message))?;
    let counted = session::within(&mut connection, &limit, |connection| {
        begin(connection)?;
        connection.query(&format!("select count(*) as n from {table}"), &[])?.one()?.parse("n")
    });
    counted.map_err(|fault| limit.told(&connection, &fault))
}

fn one(name: &Name, expectation: &Expectation, copy: &Copy<'_>) -> Expected {
    let began = Stopwatch::now();
    let limit = Limit { began, timeout: expectation.timeout, stop: copy.stop };
    let verdict = match &expectation.what {
        _ if copy.stop.load(Ordering::Relaxed) => Verdict::failed("it was not looked at: it was asked to end"),
        Expecting::Query { sql, database, comparison } => question::ask(copy, database, sql, comparison, &limit),
        Expecting::Check { check, database } => {
            let looked = databases(copy, database.as_deref()).and_then(|databases| look(copy, *check, &databases, &limit));
            looked.unwrap_or_else(Verdict::failed)
        }
    };
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Expected { name: name.clone(), met: verdict.met, says: verdict.says, millis }
}

fn look(copy: &Copy<'_>, check: Check, databases: &[String], limit: &Limit<'_>) -> Result<Verdict, String> {
    match check {
        Check::ConstraintsValid => constraints::look(copy, databases, limit),
        Check::IndexesValid => amcheck::look(copy, databases, Reads::Indexes, limit),
        Check::Amcheck => amcheck::look(copy, databases, Reads::TablesAndIndexes, limit),
        Check::Hypertables => recorded::hypertables(copy, databases, limit),
        Check::Jobs => recorded::jobs(copy, databases, limit),
        Check::Extensions => recorded::extensions(copy, databases, limit),
        Check::RowCounts => recorded::row_counts(copy, databases, limit),
    }
}

/// The database that is meant, or all that can be entered.
fn databases(copy: &Copy<'_>, only: Option<&str>) -> Result<Vec<String>, String> {
    const ALL: &str = "select datname from pg_catalog.pg_database where datallowconn order by datname";
    if let Some(only) = only {
        return Ok(vec![only.to_owned()]);
    }
    let ask = || -> Result<Vec<String>, Fault> {
        let rows = (copy.connect)("postgres").or_else(|_| (copy.connect)("template1"))?.query(ALL, &[])?;
        rows.iter().map(|row| Ok(row.text("datname")?.to_owned())).collect()
    };
    ask().map_err(|fault| judge::said(&fault.message))
}

/// In each of these databases, one after the other; `ask` gets a session that ends in time.
fn everywhere<T>(
    copy: &Copy<'_>,
    databases: &[String],
    limit: &Limit<'_>,
    mut ask: impl FnMut(&str, &mut Connection) -> Result<T, Fault>,
) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    for database in databases {
        if limit.is_over() {
            return Err(limit.over());
        }
        let mut connection = (copy.connect)(database).map_err(|fault| judge::said(&fault.message))?;
        let answer = session::within(&mut connection, limit, |connection| {
            // Nobody's own functions and operators answer for PostgreSQL's.
            connection.run("set search_path = pg_catalog, pg_temp; set row_security = off")?;
            ask(database, connection)
        });
        all.push(answer.map_err(|fault| format!("{}: {}", crate::plan::words::quoted(database), limit.told(&connection, &fault)))?);
    }
    Ok(all)
}
