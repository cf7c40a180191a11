//! All chunks of all tables, in a few questions.

use std::collections::HashMap;

use crate::inventory::{Chunk, ChunkRange, Size, TableName, TimescaleState};
use crate::postgres::{Connection, Fault, Row, Rows, array};
use crate::units::Instant;

/// The planner takes the views for small, and would look into the catalog once for each chunk.
const PLANNER: &str = "set local enable_nestloop = off; set local work_mem = '64MB'";

/// Which stretch of a dimension is whose. In newer versions each belongs to one chunk; before, chunks of one stretch shared it.
const OWN_SLICES: &str = "_timescaledb_catalog.dimension_slice";
const SHARED_SLICES: &str = "(select c.chunk_id, s.dimension_id, s.range_start, s.range_end from _timescaledb_catalog.chunk_constraint c \
    join _timescaledb_catalog.dimension_slice s on s.id = c.dimension_slice_id)";
const HAS_OWN_SLICES: &str = "select exists (select from pg_catalog.pg_attribute where attname = 'chunk_id' \
    and attrelid = pg_catalog.to_regclass('_timescaledb_catalog.dimension_slice')) as it";

/// As `timescaledb_information.chunks` has them, for which each chunk would be looked up by its name twice, and its times be reckoned from numbers
/// to numbers.
///
/// What a chunk takes is what PostgreSQL last counted of its pages, those of its indexes and those of its large values: nobody has to ask
/// the disk. Of a compressed chunk TimescaleDB wrote down what it came to.
fn chunks(slices: &str) -> String {
    format!(
        "with pages as materialized ( \
            select p.oid, sum(p.pages) as pages from ( \
                select i.indrelid as oid, greatest(c.relpages, 0) as pages from pg_catalog.pg_index i \
                join pg_catalog.pg_class c on c.oid = i.indexrelid \
                union all select c.oid, greatest(l.relpages, 0) from pg_catalog.pg_class l \
                join pg_catalog.pg_class c on c.reltoastrelid = l.oid where l.relkind = 't') p group by 1), \
        tables as materialized ( \
            select distinct on (h.id) h.id, h.schema_name, h.table_name, d.id as dimension, \
                   d.column_type::pg_catalog.regtype::text in ('timestamp without time zone', 'timestamp with time zone', 'date', 'uuid') as by_time \
            from _timescaledb_catalog.hypertable h join _timescaledb_catalog.dimension d on d.hypertable_id = h.id \
            where h.compression_state <> 2 order by h.id, d.id) \
        select t.schema_name as hypertable_schema, t.table_name as hypertable_name, k.schema_name as chunk_schema, k.table_name as chunk_name, \
               k.status & 1 = 1 as is_compressed, c.oid, t.by_time, s.range_start, s.range_end, \
               (case when k.status & 1 = 1 then z.compressed_heap_size + z.compressed_toast_size + z.compressed_index_size \
                 when c.reltuples >= 0 and c.relpages > 0 then \
                   (c.relpages + coalesce(p.pages, 0)) * pg_catalog.current_setting('block_size')::bigint end)::bigint as bytes \
        from tables t join _timescaledb_catalog.chunk k on k.hypertable_id = t.id and not k.osm_chunk \
        join {slices} s on s.chunk_id = k.id and s.dimension_id = t.dimension \
        join pg_catalog.pg_namespace n on n.nspname = k.schema_name \
        join pg_catalog.pg_class c on c.relname = k.table_name and c.relnamespace = n.oid and c.relkind in ('r', 'f') \
        left join pages p on p.oid = c.oid \
        left join _timescaledb_catalog.compression_chunk_size z on z.chunk_id = k.id"
    )
}

/// Of so many chunks that were never counted the disk is asked, for which it needs a tenth of a millisecond each.
const MOST_ASKED: usize = 2_000;
const ASK: &str = "select c.oid, pg_catalog.pg_total_relation_size(c.oid) as bytes from pg_catalog.pg_class c where c.oid = any($1::oid[])";

/// Puts the chunks where they belong.
pub(super) fn fill(connection: &mut Connection, state: &mut TimescaleState) -> Result<(), Fault> {
    connection.run(PLANNER)?;
    let has_own = connection.query(HAS_OWN_SLICES, &[])?.one()?.flag("it")?;
    let rows = connection.query(&chunks(if has_own { OWN_SLICES } else { SHARED_SLICES }), &[])?;
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
    // The server would carry all of them through one sort more.
    places.into_values().for_each(|chunks| chunks.sort_by(|one, other| (begins(one), &one.table).cmp(&(begins(other), &other.table))));
    Ok(())
}

/// The sizes of chunks that were never counted: young ones, and all of them after an upgrade.
fn ask(connection: &mut Connection, rows: &Rows) -> Result<HashMap<String, u64>, Fault> {
    let never = rows.iter().filter(|row| row.get("bytes").is_none()).filter_map(|row| row.get("oid"));
    let never: Vec<&str> = never.take(MOST_ASKED).collect();
    if never.is_empty() {
        return Ok(HashMap::new());
    }
    let sizes = connection.query(ASK, &[&array(&never)])?;
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
    let (from, to) = (row.parse("range_start")?, row.parse("range_end")?);
    // The first and the last number stand for no end at all.
    let moment = |micros: i64| if [i64::MIN, i64::MAX].contains(&micros) { None } else { Instant::from_microsecond(micros).ok() };
    let range =
        if row.flag("by_time")? { ChunkRange::Time { from: moment(from), to: moment(to) } } else { ChunkRange::Number { from, to } };
    Ok(Chunk {
        table: super::tables::name(row, "chunk_schema", "chunk_name")?,
        range,
        bytes: row.parse_if("bytes")?.or_else(|| asked.get(row.get("oid")?).copied()).map(Size::new),
        compressed: row.flag("is_compressed")?,
    })
}

/// What has no beginning comes first.
fn begins(chunk: &Chunk) -> (Option<Instant>, Option<i64>) {
    match chunk.range {
        ChunkRange::Time { from, .. } => (from, None),
        ChunkRange::Number { from, .. } => (None, Some(from)),
    }
}
