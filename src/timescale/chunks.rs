//! All chunks of all tables, in two questions.

use std::collections::HashMap;

use crate::inventory::{Chunk, ChunkRange, Size, TableName, TimescaleState};
use crate::postgres::{Connection, Fault, Row, Rows};
use crate::units::Instant;

/// The planner takes the views for small, and would look into the catalog once for each chunk.
const PLANNER: &str = "set local enable_nestloop = off; set local work_mem = '64MB'";

/// What a chunk takes is what PostgreSQL last counted of its pages, those of its indexes and those of its large values: nobody has to ask
/// the disk. Of a compressed chunk TimescaleDB wrote down what it came to.
const CHUNKS: &str = "\
    with indexes as materialized ( \
        select i.indrelid as oid, sum(greatest(c.relpages, 0)) as pages from pg_catalog.pg_index i \
        join pg_catalog.pg_class c on c.oid = i.indexrelid group by 1), \
    counted as materialized ( \
        select c.oid, n.nspname, c.relname, \
               case when c.reltuples >= 0 and c.relpages > 0 then \
                 (c.relpages + coalesce(p.pages, 0) + coalesce(greatest(t.relpages, 0), 0)) \
                 * pg_catalog.current_setting('block_size')::bigint end as bytes \
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace left join indexes p on p.oid = c.oid \
        left join pg_catalog.pg_class t on t.oid = c.reltoastrelid and t.relkind = 't' \
        where c.relkind in ('r', 'f')), \
    compressed as materialized ( \
        select k.schema_name, k.table_name, z.compressed_heap_size + z.compressed_toast_size + z.compressed_index_size as bytes \
        from _timescaledb_catalog.compression_chunk_size z join _timescaledb_catalog.chunk k on k.id = z.chunk_id) \
    select c.hypertable_schema, c.hypertable_name, c.chunk_schema, c.chunk_name, c.is_compressed, p.oid, \
           case when isfinite(c.range_start) then (extract(epoch from c.range_start) * 1000000)::bigint end as from_micros, \
           case when isfinite(c.range_end) then (extract(epoch from c.range_end) * 1000000)::bigint end as to_micros, \
           c.range_start_integer, c.range_end_integer, \
           (case when c.is_compressed then z.bytes else p.bytes end)::bigint as bytes \
    from timescaledb_information.chunks c \
    left join counted p on p.relname = c.chunk_name and p.nspname = c.chunk_schema \
    left join compressed z on z.schema_name = c.chunk_schema and z.table_name = c.chunk_name \
    order by c.hypertable_schema, c.hypertable_name, c.range_start nulls first, c.range_start_integer, c.chunk_name";

/// Of so many chunks that were never counted the disk is asked, for which it needs a tenth of a millisecond each.
const MOST_ASKED: usize = 2_000;
const ASK: &str = "select c.oid, pg_catalog.pg_total_relation_size(c.oid) as bytes from pg_catalog.pg_class c where c.oid = any($1::oid[])";

/// Puts the chunks where they belong.
pub(super) fn fill(connection: &mut Connection, state: &mut TimescaleState) -> Result<(), Fault> {
    connection.run(PLANNER)?;
    let rows = connection.query(CHUNKS, &[])?;
    let asked = ask(connection, &rows)?;
    let mut places: HashMap<TableName, &mut Vec<Chunk>> = HashMap::new();
    places.extend(state.hypertables.iter_mut().map(|table| (table.table.clone(), &mut table.chunks)));
    places.extend(state.continuous_aggregates.iter_mut().map(|one| (one.materialized.clone(), &mut one.chunks)));
    for row in &rows {
        let table = super::tables::name(row, "hypertable_schema", "hypertable_name")?;
        if let Some(chunks) = places.get_mut(&table) {
            chunks.push(chunk(row, &asked)?);
        }
    }
    Ok(())
}

/// The sizes of chunks that were never counted: young ones, and all of them after an upgrade.
fn ask(connection: &mut Connection, rows: &Rows) -> Result<HashMap<String, u64>, Fault> {
    let never = rows.iter().filter(|row| row.get("bytes").is_none()).filter_map(|row| row.get("oid"));
    let never: Vec<&str> = never.take(MOST_ASKED).collect();
    if never.is_empty() {
        return Ok(HashMap::new());
    }
    let sizes = connection.query(ASK, &[&format!("{{{}}}", never.join(","))])?;
    let mut all = HashMap::new();
    for row in &sizes {
        // One that is gone meanwhile has none.
        if let Some(bytes) = row.parse_if("bytes")? {
            all.insert(row.text("oid")?.to_owned(), bytes);
        }
    }
    Ok(all)
}

fn chunk(row: &Row, asked: &HashMap<String, u64>) -> Result<Chunk, Fault> {
    let moment = |name| Ok::<_, Fault>(row.parse_if::<i64>(name)?.and_then(|micros| Instant::from_microsecond(micros).ok()));
    let range = match row.parse_if("range_start_integer")? {
        Some(from) => ChunkRange::Number { from, to: row.parse("range_end_integer")? },
        None => ChunkRange::Time { from: moment("from_micros")?, to: moment("to_micros")? },
    };
    Ok(Chunk {
        table: super::tables::name(row, "chunk_schema", "chunk_name")?,
        range,
        bytes: row.parse_if("bytes")?.or_else(|| asked.get(row.get("oid")?).copied()).map(Size::new),
        compressed: row.flag("is_compressed")?,
    })
}
