//! The tables of a dump are locked before its snapshot is taken, and stay so until its last piece is written.
//!
//! TRUNCATE and whatever else gives a table a new file do not keep the old rows for older snapshots: to these the table is empty, and nothing says
//! so. `pg_dump` has its locks only for as long as one piece takes, and gets them after the snapshot. With locks that are older than the
//! snapshot nothing of the kind can come between.

use std::collections::HashSet;
use std::time::Duration;

use super::choice;
use crate::execute::backup::BackupFault;
use crate::policy::file::Logical;
use crate::postgres::{Connection, Fault};
use crate::site::SiteFault;

/// `lock_not_available`
const BUSY: &str = "55P03";
/// So many tables in one statement.
const AT_ONCE: usize = 500;

/// `pg_dump` locks these, and says what it thinks of those that the role may not read.
const ALL: &str = "\
    select c.oid::text as oid, pg_catalog.format('%I.%I', n.nspname, c.relname) as name \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname !~ '^(pg_|information_schema$)' \
      and pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select') order by c.oid";
/// A table and what has its rows.
const TREE: &str = "\
    with recursive tree as ( \
        select pg_catalog.to_regclass($1)::oid as oid union select i.inhrelid from pg_catalog.pg_inherits i join tree t on i.inhparent = t.oid) \
    select c.oid::text as oid, pg_catalog.format('%I.%I', n.nspname, c.relname) as name from tree t join pg_catalog.pg_class c on c.oid = t.oid \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') order by t.oid";
const IS_HYPERTABLE: &str = "\
    select exists (select from _timescaledb_catalog.hypertable h join pg_catalog.pg_namespace n on n.nspname = h.schema_name \
        join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = h.table_name \
        where c.oid = pg_catalog.to_regclass($1)) as it";
const HAS_CHUNKS: &str = "select pg_catalog.to_regclass('_timescaledb_catalog.chunk') is not null as has";
/// Where the rows of a compressed chunk are; nothing for another table.
const COMPRESSED: &str = "\
    select c.oid::text as oid, pg_catalog.format('%I.%I', n.nspname, c.relname) as name \
    from _timescaledb_catalog.chunk k join _timescaledb_catalog.chunk z on z.id = k.compressed_chunk_id \
    join pg_catalog.pg_namespace n on n.nspname = z.schema_name join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = z.table_name \
    where pg_catalog.format('%I.%I', k.schema_name, k.table_name) = $1";
/// Those that have another file now than the snapshot knows, or none any more. The function sees what is, and the query what was.
const CHANGED: &str = "\
    select c.oid::text as oid, pg_catalog.format('%I.%I', n.nspname, c.relname) as name \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'm') and c.relpersistence <> 't' and c.relfilenode <> 0 \
      and c.relfilenode is distinct from pg_catalog.pg_relation_filenode(c.oid) order by 2";

/// Which tables are locked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'w> {
    All,
    /// All that nobody is changing.
    Idle,
    /// Those that the patterns of a policy choose.
    Chosen(&'w Logical),
    /// These, as the policy names them, with what has their rows.
    Named(&'w [String]),
    /// The same for `pg_dump`: where one of them is a hypertable, the definitions of everything are dumped with it.
    Defined(&'w [String]),
}

/// A table that can be locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lockable {
    pub oid: u32,
    /// As SQL reads it.
    pub name: String,
}

impl Which<'_> {
    pub(super) fn list(self, connection: &mut Connection) -> Result<Vec<Lockable>, BackupFault> {
        match self {
            Which::All | Which::Idle => Ok(lockable(connection, ALL, &[])?),
            Which::Chosen(options) => {
                let all = lockable(connection, ALL, &[])?;
                if has_chunks(connection)? { Ok(all) } else { choice::chosen(connection, options, all) }
            }
            Which::Defined(names) if has_hypertable(connection, names)? => Which::All.list(connection),
            Which::Named(names) | Which::Defined(names) => Ok(named(connection, names)?),
        }
    }
}

fn has_chunks(connection: &mut Connection) -> Result<bool, Fault> {
    connection.query(HAS_CHUNKS, &[])?.one()?.flag("has")
}

fn has_hypertable(connection: &mut Connection, names: &[String]) -> Result<bool, Fault> {
    if has_chunks(connection)? {
        for name in names {
            if connection.query(IS_HYPERTABLE, &[name])?.one()?.flag("it")? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn named(connection: &mut Connection, names: &[String]) -> Result<Vec<Lockable>, Fault> {
    let mut all = Vec::new();
    for name in names {
        all.extend(lockable(connection, TREE, &[name])?);
    }
    if has_chunks(connection)? {
        for part in all.clone() {
            all.extend(lockable(connection, COMPRESSED, &[&part.name])?);
        }
    }
    Ok(all)
}

fn lockable(connection: &mut Connection, sql: &str, parameters: &[&str]) -> Result<Vec<Lockable>, Fault> {
    let rows = connection.query(sql, parameters)?;
    rows.iter().map(|row| Ok(Lockable { oid: row.parse("oid")?, name: row.text("name")?.to_owned() })).collect()
}

/// Locks of this transaction.
#[derive(Debug, Default)]
pub(super) struct Locks {
    oids: HashSet<u32>,
}

impl Locks {
    pub(super) fn has(&self, oid: u32) -> bool {
        self.oids.contains(&oid)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.oids.iter().copied()
    }

    /// Locks what is not locked, and gives that. Each is waited for as long as `lock_timeout` says; without one, not at all, and left as it is.
    pub(super) fn add(
        &mut self,
        connection: &mut Connection,
        tables: Vec<Lockable>,
        lock_timeout: Option<Duration>,
    ) -> Result<Vec<u32>, BackupFault> {
        // Who waits here lets whoever comes next wait behind him.
        let patience = lock_timeout.map_or("0".to_owned(), |patience| format!("{}ms", patience.as_millis()));
        connection.run(&format!("set local lock_timeout = '{patience}'"))?;
        let word = if lock_timeout.is_some() { "" } else { " nowait" };
        let tables: Vec<Lockable> = tables.into_iter().filter(|table| !self.has(table.oid)).collect();
        let mut added = Vec::new();
        for some in tables.chunks(AT_ONCE) {
            let Err(fault) = lock(connection, some, word) else {
                added.extend(some.iter().map(|table| table.oid));
                continue;
            };
            // It has been waited for: now it is asked which one it was.
            let word = if fault.code() == Some(BUSY) { " nowait" } else { word };
            for one in some {
                match lock(connection, std::slice::from_ref(one), word) {
                    Ok(()) => added.push(one.oid),
                    Err(fault) if is_nothing(&fault, lock_timeout.is_none()) => {}
                    Err(fault) => return Err(refused(one, fault)),
                }
            }
        }
        self.oids.extend(&added);
        Ok(added)
    }
}

/// All or none. What is around it goes on.
fn lock(connection: &mut Connection, tables: &[Lockable], word: &str) -> Result<(), Fault> {
    // What has its rows is in the list by itself.
    let names: Vec<String> = tables.iter().map(|table| format!("only {}", table.name)).collect();
    let sql = format!("lock table {} in access share mode{word}", names.join(", "));
    let locked = connection.run(&format!("savepoint seawall_locks; {sql}; release savepoint seawall_locks"));
    if locked.is_err() && !connection.is_broken() {
        connection.run("rollback to savepoint seawall_locks; release savepoint seawall_locks")?;
    }
    locked.map(drop)
}

/// It is gone, or may not be read any more, which `pg_dump` says if it matters; or somebody is changing it.
fn is_nothing(fault: &Fault, or_busy: bool) -> bool {
    const GONE: [&str; 4] = ["42P01", "3F000", "42501", "42809"];
    fault.code().is_some_and(|code| GONE.contains(&code) || (or_busy && code == BUSY))
}

fn refused(table: &Lockable, fault: Fault) -> BackupFault {
    if fault.code() != Some(BUSY) {
        return fault.into();
    }
    let hint = "Somebody changes this table's definition; it is tried again. `logical.lock_timeout` says how long is waited.";
    let message = format!("LOCK TABLE {}: {}", table.name, fault.message);
    SiteFault { transient: true, ..SiteFault::new(message, hint) }.into()
}

/// What the snapshot saw of these tables is what was there: a second net, for what could not be locked before.
pub(super) fn must_be_unchanged(connection: &mut Connection, oids: &HashSet<u32>) -> Result<(), BackupFault> {
    let changed = lockable(connection, CHANGED, &[])?;
    let Some(table) = changed.iter().find(|table| oids.contains(&table.oid)) else { return Ok(()) };
    let message = format!("{} was emptied or rewritten while it was dumped: rows that the snapshot should see are gone", table.name);
    let hint = "It is tried again. TRUNCATE and an ALTER TABLE that rewrites keep no rows for those who are still reading: run them at another time.";
    Err(SiteFault { transient: true, ..SiteFault::new(message, hint) }.into())
}
