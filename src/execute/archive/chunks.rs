//! Chunks of a hypertable, as a whole.

use std::collections::BTreeSet;

use super::table::Table;
use crate::policy::sql_name::literal;
use crate::postgres::{Connection, Fault, Row};

/// How the rows of a stretch of time leave their table.
pub(super) enum Going {
    /// Of a plain table, row by row.
    Rows,
    /// With these chunks, of which nothing has to stay.
    Chunks(BTreeSet<String>),
    /// Out of these chunks, of which something stays: held rows, or rows of another time (chunks can be merged, in one partition of space and not
    /// in another). Or TimescaleDB drops none of them, because a foreign key leads to their table, whichever rows it is about.
    Parts(BTreeSet<String>),
}

/// The chunks there are locked, so that they can be read and not changed.
pub(super) fn going(connection: &mut Connection, table: &Table, from: &str, to: &str) -> Result<Going, Fault> {
    if table.hypertable.is_none() {
        return Ok(Going::Rows);
    }
    let (chunks, are_inside) = overlapping(connection, table, from, to)?;
    for chunk in &chunks {
        connection.run(&format!("lock table {chunk} in exclusive mode"))?;
    }
    if chunks.is_empty() || !are_inside || !referring(connection, table)?.is_empty() {
        return Ok(Going::Parts(chunks));
    }
    if table.holds.is_empty() {
        return Ok(Going::Chunks(chunks));
    }
    let (column, time) = (&table.column.1, table.time.sql());
    let held: Vec<String> = table.holds.iter().map(|hold| format!("({hold}) is not true")).collect();
    let sql = format!(
        "select exists (select from {} where {column} >= {}::{time} and {column} < {}::{time} and ({})) as held",
        table.name,
        literal(from),
        literal(to),
        held.join(" or ")
    );
    let is_held = connection.query(&sql, &[])?.one()?.flag("held")?;
    Ok(if is_held { Going::Parts(chunks) } else { Going::Chunks(chunks) })
}

/// Tables whose foreign keys lead here, and let nothing go that their rows need.
pub(super) fn referring(connection: &mut Connection, table: &Table) -> Result<Vec<String>, Fault> {
    let mut by: Vec<String> = references(connection, table)?.into_iter().map(|(by, _)| by).collect();
    by.dedup();
    Ok(by)
}

/// The same, each with its constraint.
pub(super) fn references(connection: &mut Connection, table: &Table) -> Result<Vec<(String, String)>, Fault> {
    let sql = "select distinct conrelid::regclass::text as by, conname as name from pg_constraint \
               where contype = 'f' and confdeltype in ('a', 'r') and conparentid = 0 \
                 and confrelid in (select $1::oid union all select relid from pg_partition_tree($1::oid)) order by 1, 2";
    let one = |row: &Row| Ok((row.text("by")?.to_owned(), row.text("name")?.to_owned()));
    connection.query(sql, &[&table.oid])?.iter().map(one).collect()
}

/// The chunks that have to do with a stretch of time, and whether all lie inside it.
fn overlapping(connection: &mut Connection, table: &Table, from: &str, to: &str) -> Result<(BTreeSet<String>, bool), Fault> {
    let time = table.time.sql();
    let (first, last) = (format!("{}::{time}", literal(from)), format!("{}::{time}", literal(to)));
    let sql = format!(
        "select format('%I.%I', chunk_schema, chunk_name) as chunk, range_start::{time} >= {first} and range_end::{time} <= {last} as inside \
         from timescaledb_information.chunks where hypertable_schema = {} and hypertable_name = {} \
         and range_start::{time} < {last} and range_end::{time} > {first} order by 1",
        literal(&table.schema),
        literal(&table.table)
    );
    let (mut chunks, mut are_inside) = (BTreeSet::new(), true);
    for row in connection.query(&sql, &[])?.iter() {
        are_inside &= row.flag("inside")?;
        chunks.insert(row.text("chunk")?.to_owned());
    }
    Ok((chunks, are_inside))
}

/// Deletes rows out of locked chunks, and says how many are gone; none where others came with a new chunk, or some stayed that should not.
/// Not with `returning`, by which TimescaleDB 2.23 meets rows it has decompressed just now and fails; and not by the number it tells, which leaves
/// out what lay in whole compressed batches.
pub(super) fn delete_parts(
    connection: &mut Connection,
    table: &Table,
    (from, to): (&str, &str),
    condition: &str,
    chunks: &BTreeSet<String>,
) -> Result<Option<u64>, Fault> {
    let (column, time, name) = (&table.column.1, table.time.sql(), &table.name);
    let stretch = format!("{column} >= {}::{time} and {column} < {}::{time}", literal(from), literal(to));
    let count = |connection: &mut Connection, which: &str| -> Result<u64, Fault> {
        connection.query(&format!("select count(*)::text as rows from {name} where {which}"), &[])?.one()?.parse("rows")
    };
    let before = count(connection, &stretch)?;
    connection.run(&format!("delete from {name} where {condition}"))?;
    let (after, left) = (count(connection, &stretch)?, count(connection, condition)?);
    let is_same = left == 0 && overlapping(connection, table, from, to)?.0 == *chunks;
    Ok(before.checked_sub(after).filter(|_| is_same))
}

/// Drops all chunks of a stretch of time, once nobody reads them, and says which they were. Those of a continuous aggregate go by its own name only.
pub(super) fn drop_all(connection: &mut Connection, table: &Table, from: &str, to: &str) -> Result<BTreeSet<String>, Fault> {
    let time = table.time.sql();
    let sql = format!(
        "select drop_chunks({}::regclass, older_than => {}::{time}, newer_than => {}::{time})::text as chunk",
        literal(table.known_as()),
        literal(to),
        literal(from)
    );
    let rows = connection.query(&sql, &[])?;
    rows.iter().map(|row| row.text("chunk").map(str::to_owned)).collect()
}
