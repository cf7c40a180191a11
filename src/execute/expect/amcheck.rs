//! Every index is marked valid, every b-tree says what its table says, and every row of a table can be read and is whole: with the functions of
//! PostgreSQL's own `amcheck`, which `pg_amcheck` calls too. Asked over sessions of ours, so that it needs no program and works on 13, which has none
//! and knows indexes only.

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
/// What is neither a partition's parent nor kept by another method, with what is too long for its rows.
const TABLES: &str = "select c.oid, coalesce(o.nspname, n.nspname) as schema, coalesce(o.relname, c.relname) as name, c.relkind = 't' as is_toast \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_am a on a.oid = c.relam \
    left join (select t.reltoastrelid, t.relname, s.nspname from pg_class t join pg_namespace s on s.oid = t.relnamespace where t.reltoastrelid <> 0) o \
    on o.reltoastrelid = c.oid where c.relkind in ('r', 'm', 't') and c.relpersistence = 'p' and a.amname = 'heap' order by c.relpages desc, c.oid";
/// The first that can read tables.
const READS_TABLES: u32 = 14;
/// Where its functions are, and whether it could be there.
const AMCHECK: &str = "select (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'amcheck') as schema, \
    exists (select from pg_available_extensions where name = 'amcheck') as available";
const OWN_SCHEMA: &str = "seawall_drill";
/// As many sessions of a copy read at once.
const AT_ONCE: usize = 4;

/// What is looked at beside the marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    Indexes,
    TablesAndIndexes,
}

/// An index or a table, and the statement that reads it.
struct Relation {
    name: String,
    sql: String,
}

/// What is read in one database.
#[derive(Default)]
struct Found {
    indexes: Vec<Relation>,
    tables: Vec<Relation>,
    /// Indexes of kinds that nobody can read.
    others: usize,
}

pub(super) fn look(copy: &Copy<'_>, databases: &[String], reads: Reads, limit: &Limit<'_>) -> Result<Verdict, String> {
    let (mut wrong, mut indexes, mut tables, mut others, mut too_old) = (Vec::new(), 0, 0, 0, None);
    let all = everywhere(copy, databases, limit, |database, connection| {
        for row in &connection.query(INVALID, &[])? {
            wrong.push(format!("{} is not valid", name(database, row)?));
        }
        let major = connection.major();
        too_old = too_old.or((reads == Reads::TablesAndIndexes && major < READS_TABLES).then_some(major));
        let Some(schema) = amcheck(connection)? else {
            wrong.push(format!("`amcheck` is not installed here, so the {} of {} were not read", reads.says(), quoted(database)));
            return Ok((database.to_owned(), Found::default()));
        };
        Ok((database.to_owned(), find(database, connection, &sql_name::quoted(&schema), reads)?))
    })?;
    for (database, found) in all {
        indexes += found.indexes.len();
        tables += found.tables.len();
        others += found.others;
        // The tables first: an index says nothing new of a table that cannot be read.
        let both: Vec<Relation> = found.tables.into_iter().chain(found.indexes).collect();
        wrong.extend(read(copy, &database, &both, limit)?);
    }
    let read = tally(indexes, "index").replace("indexs", "indexes");
    let mut well =
        if tables > 0 { format!("{} and {read} read and right", tally(tables, "table")) } else { format!("{read} read and right") };
    if others > 0 {
        well.push_str(&format!("; {others} of kinds that `amcheck` does not know only marked valid"));
    }
    if let Some(major) = too_old {
        well.push_str(&format!("; no table was read: that of PostgreSQL {major} knows indexes only"));
    }
    Ok(all_well(well, &wrong))
}

impl Reads {
    fn says(self) -> &'static str {
        match self {
            Reads::Indexes => "indexes",
            Reads::TablesAndIndexes => "tables and indexes",
        }
    }
}

fn find(database: &str, connection: &mut Connection, schema: &str, reads: Reads) -> Result<Found, Fault> {
    let (mut found, major) = (Found::default(), connection.major());
    for row in &connection.query(INDEXES, &[])? {
        match function(row.text("method")?, major) {
            None => found.others += 1,
            Some((function, more)) => {
                let sql = format!("select {schema}.{function}({}::regclass{more})", row.text("oid")?);
                found.indexes.push(Relation { name: name(database, row)?, sql });
            }
        }
    }
    if reads == Reads::Indexes || major < READS_TABLES {
        return Ok(found);
    }
    for row in &connection.query(TABLES, &[])? {
        let is_toast = row.flag("is_toast")?;
        // As `pg_amcheck` asks; but of each table the first page with a fault is enough.
        let sql = format!(
            "select blkno, offnum, msg from {schema}.verify_heapam(relation => {}::regclass, on_error_stop => true, check_toast => {}) limit 1",
            row.text("oid")?,
            !is_toast
        );
        let of = if is_toast { "long values of " } else { "" };
        found.tables.push(Relation { name: format!("{of}{}", name(database, row)?), sql });
    }
    Ok(found)
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
fn read(copy: &Copy<'_>, database: &str, relations: &[Relation], limit: &Limit<'_>) -> Result<Vec<String>, String> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let sessions: Vec<usize> = (0..AT_ONCE.min(parallel::processors()).min(relations.len())).collect();
    let one = |_: &usize| -> Result<(), String> {
        let mut connection = (copy.connect)(database).map_err(|fault| judge::said(&fault.message))?;
        while let Some(relation) = relations.get(next.fetch_add(1, Ordering::Relaxed)) {
            if limit.is_over() {
                return Err(limit.over());
            }
            let read = session::within(&mut connection, limit, |connection| fault_in(connection, &relation.sql));
            let says = match read {
                Ok(None) => continue,
                Ok(Some(says)) => says,
                Err(fault) => limit.told(&connection, &fault),
            };
            if connection.is_broken() || limit.is_over() {
                return Err(format!("{}: {says}", relation.name));
            }
            wrong.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{}: {says}", relation.name));
        }
        Ok(())
    };
    parallel::map_with(sessions.len(), &sessions, &one).into_iter().collect::<Result<Vec<()>, String>>()?;
    Ok(wrong.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What a table's reader has found, by its place. That of an index says nothing, or fails.
fn fault_in(connection: &mut Connection, sql: &str) -> Result<Option<String>, Fault> {
    let rows = connection.query(sql, &[])?;
    let Some(row) = rows.iter().next().filter(|row| row.get("msg").is_some()) else { return Ok(None) };
    let item = row.get("offnum").map(|item| format!(", item {item}")).unwrap_or_default();
    Ok(Some(format!("block {}{item}: {}", row.text("blkno")?, judge::said(row.text("msg")?))))
}
