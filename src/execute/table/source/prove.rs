//! Whether what the server has of the tables is what they were: every file that they lie in was fetched, or was made by the log from its
//! first page on, and the log missed nothing in them.

use std::collections::BTreeSet;

use super::catalogs::Seen;
use super::relations::TIMESCALE;
use super::{Fault, TableName, Wanted};
use crate::format::relation_file::parse;
use crate::format::system::LARGE_OBJECTS;
use crate::plan::words::{joined, quoted};
use crate::policy::sql_name::literal;
use crate::postgres::{self, Connection, array};
use crate::units::nearest;

/// All that a table's rows may lie in, as the server has it.
const FAMILY: &str = "
    with recursive
    tree(oid) as (
        select pg_catalog.unnest($1::pg_catalog.oid[])
        union select i.inhrelid from pg_catalog.pg_inherits i join tree t on t.oid = i.inhparent),
    indexes(oid) as (
        select i.indexrelid from pg_catalog.pg_index i join tree t on t.oid = i.indrelid),
    toast(oid) as (
        select c.reltoastrelid from pg_catalog.pg_class c join tree t on t.oid = c.oid where c.reltoastrelid <> 0),
    beside(oid) as (
        select i.indexrelid from pg_catalog.pg_index i join toast t on t.oid = i.indrelid
        union select d.objid from pg_catalog.pg_depend d join tree t on t.oid = d.refobjid
            join pg_catalog.pg_sequence s on s.seqrelid = d.objid
            where d.classid = 1259 and d.refclassid = 1259 and d.refobjsubid <> 0 and d.deptype in ('a', 'i'))
    select c.oid::text as oid, n.nspname || '.' || c.relname as name, c.relkind::text as kind, c.relpersistence::text as persistence,
        pg_catalog.pg_relation_filenode(c.oid)::text as node, c.oid in (select oid from indexes) as is_index
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.oid in (select oid from tree union select oid from toast union select oid from beside union select oid from indexes)
        and c.relkind in ('r', 'p', 'm', 't', 'S', 'i', 'f')";

/// A hypertable's chunks, compressed or not.
const CHUNKS: &str = "
    with own as (
        select k.* from _timescaledb_catalog.chunk k join _timescaledb_catalog.hypertable h on h.id = k.hypertable_id
        where h.schema_name = $1 and h.table_name = $2),
    names as (
        select schema_name, table_name from own
        union select z.schema_name, z.table_name from own join _timescaledb_catalog.chunk z on z.id = own.compressed_chunk_id)
    select c.oid::text as oid from names join pg_catalog.pg_namespace n on n.nspname = names.schema_name
        join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = names.table_name";

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// Files that were there only in their size.
    pub missing: BTreeSet<u32>,
    /// Indexes of the tables, by their numbers, that are there only in their size.
    pub hidden: Vec<String>,
    pub flaws: Vec<String>,
    /// The tables, or parts of them, whose rows no backup has.
    pub unlogged: Vec<String>,
}

/// A server at the moment, and what it was made of.
#[derive(Debug)]
pub(super) struct Case<'c> {
    pub seen: &'c Seen,
    /// Files that were fetched.
    pub fetched: &'c BTreeSet<u32>,
    /// Of whose pages the log spoke that were not there.
    pub invalid: &'c BTreeSet<String>,
    /// The moment, for people.
    pub moment: &'c str,
    /// The backup, for people.
    pub backup: &'c str,
}

impl Case<'_> {
    pub(super) fn prove(&self, connection: &mut Connection, wanted: &Wanted) -> Result<Proof, Fault> {
        let timescale = !connection.query("select 1 from pg_catalog.pg_extension where extname = 'timescaledb'", &[])?.is_empty();
        let mut proof = Proof::default();
        let mut nodes = self.system(connection)?;
        nodes.extend(beside(connection, wanted)?);
        for table in &wanted.tables {
            let oids = self.oids(connection, table, timescale)?;
            let family = array(&oids);
            let mut unlogged = Vec::new();
            for row in connection.query(FAMILY, &[&family])?.iter() {
                let node = row.parse_if::<u32>("node")?;
                // Nothing is read by one of a table's own indexes, as nothing is written into one.
                if row.flag("is_index")? {
                    proof.hidden.extend(node.filter(|node| self.is_hollow(*node)).map(|_| row.text("oid").map(str::to_owned)).transpose()?);
                    continue;
                }
                nodes.extend(node);
                if row.text("persistence")? == "u" && matches!(row.text("kind")?, "r" | "m") {
                    unlogged.push(row.text("name")?.to_owned());
                }
            }
            if !unlogged.is_empty() {
                let names = joined(unlogged.iter().map(quoted));
                proof.flaws.push(format!("{names} is unlogged: no backup has its rows, and after a recovery it is empty"));
                proof.unlogged.extend(unlogged);
            }
        }
        proof.missing = nodes.iter().copied().filter(|node| self.is_hollow(*node)).collect();
        self.must_be_whole(&nodes)?;
        Ok(proof)
    }

    /// It had bytes in the backup that were not fetched.
    fn is_hollow(&self, node: u32) -> bool {
        !self.fetched.contains(&node) && self.seen.listing.nodes.get(&node).is_some_and(|bytes| *bytes > 0)
    }

    /// The log speaks of a page that a whole relation does not have: a full restore would end there.
    fn must_be_whole(&self, nodes: &BTreeSet<u32>) -> Result<(), Fault> {
        let ours = |path: &&String| {
            path.starts_with("global/")
                || parse(path).is_some_and(|file| {
                    Some(file.database) == self.seen.databases.wanted
                        && !self.is_hollow(file.node)
                        && (nodes.contains(&file.node) || self.fetched.contains(&file.node))
                })
        };
        match self.invalid.iter().find(ours) {
            Some(path) => Err(Fault::new(
                format!("the log speaks of pages that `{path}` does not have, and that file was fetched whole"),
                "A full restore of this backup would end here too. Another backup may serve, with `--backup ID`.",
            )),
            None => Ok(()),
        }
    }

    /// Files of the catalogs as they are now.
    fn system(&self, connection: &mut Connection) -> Result<BTreeSet<u32>, Fault> {
        let schemas = TIMESCALE.map(literal).join(", ");
        let sql = format!(
            "select pg_catalog.pg_relation_filenode(c.oid)::text as node from pg_catalog.pg_class c \
             where not c.relisshared and c.relkind in ('r', 'i', 't', 'S', 'm') and ((c.oid < 16384 and c.oid not in (2613, 2683)) \
             or c.relnamespace in (select oid from pg_catalog.pg_namespace where nspname in ({schemas})))"
        );
        let mut nodes = BTreeSet::new();
        for row in connection.query(&sql, &[])?.iter() {
            nodes.extend(row.parse_if::<u32>("node")?);
        }
        Ok(nodes)
    }

    /// A table, and what else belongs to it without being below it.
    fn oids(&self, connection: &mut Connection, table: &TableName, timescale: bool) -> Result<Vec<String>, Fault> {
        let sql = "select c.oid::text as oid, c.relkind::text as kind from pg_catalog.pg_class c \
                   join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2";
        let rows = connection.query(sql, &[&table.schema, &table.name])?;
        let Some(row) = rows.iter().next() else { return Err(self.gone(connection, table)?) };
        let other = match row.text("kind")? {
            "r" | "p" | "m" | "S" => None,
            "v" => Some("a view: it has no rows of its own"),
            "f" => Some("a foreign table: its rows are on another server"),
            "i" | "I" => Some("an index"),
            _ => Some("not a table"),
        };
        if let Some(what) = other {
            return Err(Fault::new(format!("{} is {what}", quoted(table)), "Name the tables that its rows come from."));
        }
        let mut oids = vec![row.text("oid")?.to_owned()];
        if timescale {
            for row in connection.query(CHUNKS, &[&table.schema, &table.name])?.iter() {
                oids.push(row.text("oid")?.to_owned());
            }
        }
        Ok(oids)
    }

    /// The table is not there at the moment; what is known of it.
    fn gone(&self, connection: &mut Connection, table: &TableName) -> Result<Fault, postgres::Fault> {
        let there = self.seen.catalog.called(&table.schema, &table.name);
        let (shown, moment, backup) = (quoted(table), self.moment, self.backup);
        if there.is_empty() {
            let what = format!("{shown} is not there at {moment}, and was not when backup {backup} was taken");
            let near = self.near(connection, table)?.map_or_else(String::new, |near| format!(" Did you mean {}?", quoted(near)));
            return Ok(Fault::new(what, format!("Check its name, or choose another moment.{near}")));
        }
        let sql = "select n.nspname || '.' || c.relname as name from pg_catalog.pg_class c \
                   join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = any($1::pg_catalog.oid[])";
        let renamed = connection.query(sql, &[&array(&there)])?;
        if let Some(row) = renamed.iter().next() {
            let now = row.text("name")?;
            return Ok(Fault::new(
                format!("{shown} has another name at {moment}: it is {}", quoted(now)),
                format!("Ask for {}, or choose an earlier moment.", quoted(now)),
            ));
        }
        Ok(Fault::new(
            format!("{shown} is not there at {moment}: it was dropped after backup {backup} had begun, and before that moment"),
            "Choose a moment before it was dropped.",
        ))
    }

    fn near(&self, connection: &mut Connection, table: &TableName) -> Result<Option<TableName>, postgres::Fault> {
        let sql = "select c.relname as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                   where n.nspname = $1 and c.relkind in ('r', 'p', 'm')";
        let rows = connection.query(sql, &[&table.schema])?;
        let names: Vec<&str> = rows.iter().filter_map(|row| row.get("name")).collect();
        let near = nearest(&table.name, names);
        Ok(near.map(|name| TableName { schema: table.schema.clone(), name: name.to_owned() }))
    }
}

/// Files of what is wanted besides tables.
fn beside(connection: &mut Connection, wanted: &Wanted) -> Result<BTreeSet<u32>, postgres::Fault> {
    let sequences = "relkind = 'S' and relpersistence <> 't'".to_owned();
    let large = format!("oid in ({}, {})", LARGE_OBJECTS[0], LARGE_OBJECTS[1]);
    let mut nodes = BTreeSet::new();
    for (_, which) in [(wanted.sequences, sequences), (wanted.large_objects, large)].into_iter().filter(|(is_wanted, _)| *is_wanted) {
        let sql = format!("select pg_catalog.pg_relation_filenode(oid)::text as node from pg_catalog.pg_class where {which}");
        for row in connection.query(&sql, &[])?.iter() {
            nodes.extend(row.parse_if::<u32>("node")?);
        }
    }
    Ok(nodes)
}

/// Makes the server blind for indexes: it would open each while it plans, and write into each, and they are holes. They stay as they are
/// defined.
pub(super) fn hide(connection: &mut Connection, indexes: &[String]) -> Result<(), postgres::Fault> {
    if indexes.is_empty() {
        return Ok(());
    }
    let sql = "update pg_catalog.pg_index set indislive = false where indexrelid = any($1::pg_catalog.oid[])";
    connection.query(sql, &[&array(indexes)]).map(drop)
}

/// What was prepared and is neither committed nor rolled back holds its locks, and its rows are nobody's yet: at this moment it had not
/// happened.
pub(super) fn roll_back_prepared(connection: &mut Connection) -> Result<Option<String>, postgres::Fault> {
    let rows = connection.query("select gid from pg_catalog.pg_prepared_xacts where database = pg_catalog.current_database()", &[])?;
    let names: Vec<&str> = rows.iter().filter_map(|row| row.get("gid")).collect();
    for name in &names {
        connection.run(&format!("rollback prepared {}", literal(name)))?;
    }
    let shown = joined(names.iter().map(quoted));
    Ok((!names.is_empty()).then(|| format!("prepared transactions that were open at that moment are not in it: {shown}")))
}
