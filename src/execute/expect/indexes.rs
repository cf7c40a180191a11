//! Every index is marked valid, and every b-tree says what its table says: with the functions of PostgreSQL's own `amcheck`, which
//! `pg_amcheck` calls too. Asked over sessions of ours, so that it needs no program and works on 13, which has none.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::judge::{self, Verdict, all_well, tally};
use super::session::{self, Limit};
use super::{Copy, everywhere};
use crate::plan::words::quoted;
use crate::policy::sql_name;
use crate::postgres::{Connection, Fault, Row};
use crate::world::parallel;

const INVALID: &str = "select n.nspname as schema, i.relname as name from pg_index x join pg_class i on i.oid = x.indexrelid \
    join pg_namespace n on n.oid = i.relnamespace where not (x.indisvalid and x.indisready and x.indislive) order by 1, 2";
/// The largest first: they decide how long it takes.
const INDEXES: &str = "select i.oid, n.nspname as schema, i.relname as name, a.amname as method from pg_index x \
    join pg_class i on i.oid = x.indexrelid join pg_namespace n on n.oid = i.relnamespace join pg_am a on a.oid = i.relam \
    where i.relkind = 'i' and i.relpersistence = 'p' and x.indisvalid and x.indisready order by i.relpages desc, i.oid";
/// Where its functions are, and whether it could be there.
const AMCHECK: &str = "select (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'amcheck') as schema, \
    exists (select from pg_available_extensions where name = 'amcheck') as available";
const OWN_SCHEMA: &str = "seawall_drill";
/// As many sessions of a copy read at once.
const AT_ONCE: usize = 4;

struct Index {
    oid: String,
    name: String,
    method: String,
}

pub(super) fn look(copy: &Copy<'_>, databases: &[String], limit: &Limit<'_>) -> Result<Verdict, String> {
    let (mut wrong, mut looked, mut others) = (Vec::new(), 0, 0);
    let all = everywhere(copy, databases, limit, |database, connection| {
        for row in &connection.query(INVALID, &[])? {
            wrong.push(format!("{} is not valid", name(database, row)?));
        }
        let schema = amcheck(connection)?;
        let indexes = connection.query(INDEXES, &[])?;
        let indexes = indexes
            .iter()
            .map(|row| Ok(Index { oid: row.text("oid")?.to_owned(), name: name(database, row)?, method: row.text("method")?.to_owned() }));
        Ok((database.to_owned(), schema, indexes.collect::<Result<Vec<_>, Fault>>()?, connection.major()))
    })?;
    for (database, schema, indexes, major) in &all {
        let Some(schema) = schema else {
            wrong.push(format!("`amcheck` is not installed here, so the indexes of {} were not read", quoted(database)));
            continue;
        };
        let (known, unknown): (Vec<&Index>, Vec<&Index>) = indexes.iter().partition(|index| function(&index.method, *major).is_some());
        looked += known.len();
        others += unknown.len();
        wrong.extend(read(copy, database, schema, &known, *major, limit)?);
    }
    let mut well = format!("{} read and right", tally(looked, "index"));
    if others > 0 {
        well.push_str(&format!("; {others} of kinds that `amcheck` does not know only marked valid"));
    }
    Ok(all_well(well.replace("indexs", "indexes"), &wrong))
}

fn name(database: &str, row: &Row) -> Result<String, Fault> {
    Ok(quoted(format!("{database}: {}.{}", row.text("schema")?, row.text("name")?)))
}

/// The schema of its functions; brought into the copy where it is not there. None where this server has none.
fn amcheck(connection: &mut Connection) -> Result<Option<String>, Fault> {
    let rows = connection.query(AMCHECK, &[])?;
    let row = rows.one()?;
    if let Some(schema) = row.get("schema") {
        return Ok(Some(schema.to_owned()));
    }
    if !row.flag("available")? {
        return Ok(None);
    }
    connection.run(&format!("create schema if not exists {OWN_SCHEMA}; create extension amcheck schema {OWN_SCHEMA}"))?;
    Ok(Some(OWN_SCHEMA.to_owned()))
}

/// What reads an index of this kind, whole and against its table.
fn function(method: &str, major: u32) -> Option<(&'static str, &'static str)> {
    match method {
        "btree" => Some(("bt_index_check", ", true")),
        "gin" if major >= 18 => Some(("gin_index_check", "")),
        _ => None,
    }
}

/// Reads them over a few sessions; what is wrong with one is told and keeps none of the others from being read.
fn read(copy: &Copy<'_>, database: &str, schema: &str, indexes: &[&Index], major: u32, limit: &Limit<'_>) -> Result<Vec<String>, String> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let sessions: Vec<usize> = (0..AT_ONCE.min(parallel::processors()).min(indexes.len())).collect();
    let one = |_: &usize| -> Result<(), String> {
        let mut connection = (copy.connect)(database).map_err(|fault| judge::said(&fault.message))?;
        while let Some(index) = indexes.get(next.fetch_add(1, Ordering::Relaxed)) {
            if limit.is_over() {
                return Err(limit.over());
            }
            let Some((function, more)) = function(&index.method, major) else { continue };
            let sql = format!("select {}.{function}({}::regclass{more})", sql_name::quoted(schema), index.oid);
            let read = session::within(&mut connection, limit, |connection| connection.run(&sql));
            let Err(fault) = read else { continue };
            let says = limit.told(&connection, &fault);
            if connection.is_broken() || limit.is_over() {
                return Err(format!("{}: {says}", index.name));
            }
            wrong.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{}: {says}", index.name));
        }
        Ok(())
    };
    parallel::map_with(sessions.len(), &sessions, &one).into_iter().collect::<Result<Vec<()>, String>>()?;
    Ok(wrong.into_inner().unwrap_or_else(PoisonError::into_inner))
}
