//! Values that a dump of TimescaleDB does not have.
//!
//! A column that is added with a default after a chunk was compressed has its value for the chunk's rows in PostgreSQL's catalog alone. `pg_dump`
//! writes compressed rows as they lie there, and out of the dump these values come back as null: whoever restores it.

use std::collections::BTreeMap;

use crate::plan::words::counted;
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault, array};

const SUSPECTS: &str = "\
    select format('%I.%I', h.schema_name, h.table_name) as table, a.attname as column, format('%I.%I', z.schema_name, z.table_name) as compressed \
    from _timescaledb_catalog.hypertable h join _timescaledb_catalog.chunk k on k.hypertable_id = h.id \
    join _timescaledb_catalog.chunk z on z.id = k.compressed_chunk_id \
    join pg_namespace n on n.nspname = k.schema_name join pg_class c on c.relnamespace = n.oid and c.relname = k.table_name \
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and a.atthasmissing and not a.attisdropped \
    join pg_namespace zn on zn.nspname = z.schema_name join pg_class zc on zc.relnamespace = zn.oid and zc.relname = z.table_name \
    join pg_attribute za on za.attrelid = zc.oid and za.attname = a.attname and not za.attisdropped \
    where cardinality($1::oid[]) = 0 or to_regclass(format('%I.%I', h.schema_name, h.table_name))::oid = any ($1::oid[]) \
    order by 1, 2, 3";

/// Remarks on these tables of a database that has TimescaleDB, or on all of them, as of this session's snapshot, which stays. No dump fails
/// because this cannot be known.
pub(super) fn remarks(connection: &mut Connection, database: &str, tables: &[u32]) -> Result<Vec<String>, Fault> {
    connection.run("savepoint seawall_hidden")?;
    match look(connection, database, tables) {
        Err(fault) if connection.is_broken() => Err(fault),
        Err(fault) => {
            connection.run("rollback to savepoint seawall_hidden")?;
            Ok(vec![format!("whether the dump of `{database}` lacks values of columns that were added later is not known: {fault}")])
        }
        found => found,
    }
}

fn look(connection: &mut Connection, database: &str, tables: &[u32]) -> Result<Vec<String>, Fault> {
    let mut chunks: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in &connection.query(SUSPECTS, &[&array(tables)])? {
        let (table, column) = (row.text("table")?.to_owned(), row.text("column")?.to_owned());
        let sql = format!("select exists (select from {} where {} is null) as it", row.text("compressed")?, quoted(&column));
        if connection.query(&sql, &[])?.one()?.flag("it")? {
            *chunks.entry((table, column)).or_default() += 1;
        }
    }
    let remark = |((table, column), count): ((String, String), u64)| {
        format!(
            "{} of {table} in `{database}` were compressed before the column {} was added with its default, and a dump has null for it there: \
             `decompress_chunk` and `compress_chunk` them once, and dump again",
            counted(count, "chunk"),
            quoted(&column)
        )
    };
    Ok(chunks.into_iter().map(remark).collect())
}
