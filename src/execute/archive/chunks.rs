//! Chunks of a hypertable, as a whole.

use std::collections::BTreeSet;

use super::table::Table;
use crate::policy::sql_name::literal;
use crate::postgres::{Connection, Fault};

/// The chunks of a stretch of time, locked so that they can be read and not changed, where nothing of them has to stay. None of a plain table, and where a chunk reaches beyond that stretch
/// (chunks can be merged, in one partition of space and not in another): then its rows are deleted one by one.
pub(super) fn whole(connection: &mut Connection, table: &Table, from: &str, to: &str) -> Result<Option<BTreeSet<String>>, Fault> {
    if table.hypertable.is_none() {
        return Ok(None);
    }
    let time = table.time.sql();
    let (first, last) = (format!("{}::{time}", literal(from)), format!("{}::{time}", literal(to)));
    let sql = format!(
        "select format('%I.%I', chunk_schema, chunk_name) as chunk, range_start::{time} >= {first} and range_end::{time} <= {last} as inside \
         from timescaledb_information.chunks where hypertable_schema = {} and hypertable_name = {} \
         and range_start::{time} < {last} and range_end::{time} > {first} order by 1",
        literal(&table.schema),
        literal(&table.table)
    );
    let rows = connection.query(&sql, &[])?;
    for row in rows.iter() {
        if !row.flag("inside")? {
            return Ok(None);
        }
    }
    let chunks = rows.iter().map(|row| row.text("chunk").map(str::to_owned)).collect::<Result<BTreeSet<_>, _>>()?;
    if chunks.is_empty() {
        return Ok(None);
    }
    for chunk in &chunks {
        connection.run(&format!("lock table {chunk} in exclusive mode"))?;
    }
    if table.holds.is_empty() {
        return Ok(Some(chunks));
    }
    let column = &table.column.1;
    let held: Vec<String> = table.holds.iter().map(|hold| format!("({hold}) is not true")).collect();
    let sql = format!(
        "select exists (select from {} where {column} >= {}::{time} and {column} < {}::{time} and ({})) as held",
        table.name,
        literal(from),
        literal(to),
        held.join(" or ")
    );
    let held = connection.query(&sql, &[])?.one()?.flag("held")?;
    Ok((!held).then_some(chunks))
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
