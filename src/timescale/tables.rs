//! Hypertables and continuous aggregates, without their chunks.

use std::collections::BTreeMap;

use super::jobs::age;
use crate::inventory::{Aggregate, Compression, Dimension, DimensionKind, Hypertable, OrderBy, TableName, View};
use crate::postgres::{Connection, Fault, Row};

pub(super) fn name(row: &Row, schema: &str, table: &str) -> Result<TableName, Fault> {
    Ok(TableName { schema: row.text(schema)?.to_owned(), name: row.text(table)?.to_owned() })
}

/// The parts of an interval, exactly, as three columns.
pub(super) fn interval(expression: &str, prefix: &str) -> String {
    format!(
        "(extract(year from {expression}) * 12 + extract(month from {expression}))::bigint as {prefix}_months, \
         extract(day from {expression})::bigint as {prefix}_days, \
         (extract(hour from {expression}) * 3600 + extract(minute from {expression}) * 60 + extract(second from {expression}))::numeric \
           as {prefix}_seconds, ({expression})::text as {prefix}_text"
    )
}

pub(super) fn hypertables(connection: &mut Connection) -> Result<Vec<Hypertable>, Fault> {
    let mut compression = compression(connection)?;
    let rows = connection.query(
        &format!(
            "select h.hypertable_schema, h.hypertable_name, h.compression_enabled, d.column_name, d.column_type::text as column_type, \
             d.dimension_type, d.integer_interval, d.num_partitions, {} \
             from timescaledb_information.hypertables h \
             join timescaledb_information.dimensions d using (hypertable_schema, hypertable_name) \
             order by h.hypertable_schema, h.hypertable_name, d.dimension_number",
            interval("d.time_interval", "every")
        ),
        &[],
    )?;
    let mut tables: Vec<Hypertable> = Vec::new();
    for row in &rows {
        let table = name(row, "hypertable_schema", "hypertable_name")?;
        let by = match (row.text("dimension_type")?, row.get("integer_interval")) {
            ("Time", Some(_)) => DimensionKind::Number { every: row.parse("integer_interval")? },
            ("Time", None) => DimensionKind::Time { every: age(row, "every")? },
            _ => DimensionKind::Space { partitions: row.parse("num_partitions")? },
        };
        let dimension = Dimension { column: row.text("column_name")?.to_owned(), column_type: row.text("column_type")?.to_owned(), by };
        match tables.last_mut().filter(|last| last.table == table) {
            Some(last) => last.dimensions.push(dimension),
            None => {
                let compression =
                    if row.flag("compression_enabled")? { Some(compression.remove(&table).unwrap_or_default()) } else { None };
                tables.push(Hypertable { table, dimensions: vec![dimension], compression, chunks: Vec::new() });
            }
        }
    }
    Ok(tables)
}

fn compression(connection: &mut Connection) -> Result<BTreeMap<TableName, Compression>, Fault> {
    let rows = connection.query(
        "select hypertable_schema, hypertable_name, attname, segmentby_column_index is not null as segments, \
         coalesce(not orderby_asc, false) as descending, coalesce(orderby_nullsfirst, false) as nulls_first \
         from timescaledb_information.compression_settings \
         order by hypertable_schema, hypertable_name, segmentby_column_index, orderby_column_index",
        &[],
    )?;
    let mut all: BTreeMap<TableName, Compression> = BTreeMap::new();
    for row in &rows {
        let settings = all.entry(name(row, "hypertable_schema", "hypertable_name")?).or_default();
        let column = row.text("attname")?.to_owned();
        if row.flag("segments")? {
            settings.segment_by.push(column);
        } else {
            settings.order_by.push(OrderBy { column, descending: row.flag("descending")?, nulls_first: row.flag("nulls_first")? });
        }
    }
    Ok(all)
}

pub(super) fn aggregates(connection: &mut Connection) -> Result<Vec<Aggregate>, Fault> {
    let rows = connection.query(
        "select view_schema, view_name, hypertable_schema, hypertable_name, materialization_hypertable_schema, \
         materialization_hypertable_name, view_definition \
         from timescaledb_information.continuous_aggregates order by view_schema, view_name",
        &[],
    )?;
    let one = |row: &Row| {
        Ok(Aggregate {
            view: name(row, "view_schema", "view_name")?,
            of: name(row, "hypertable_schema", "hypertable_name")?,
            materialized: name(row, "materialization_hypertable_schema", "materialization_hypertable_name")?,
            definition: row.get("view_definition").unwrap_or_default().trim().to_owned(),
            chunks: Vec::new(),
        })
    };
    rows.iter().map(one).collect()
}

/// What reads a table by way of a continuous aggregate reads that, and not the table.
const VIEWS: &str = "\
    with recursive aggregates(id, view_schema, view_name) as ( \
        select v.oid, a.view_schema, a.view_name from timescaledb_information.continuous_aggregates a \
        join pg_namespace n on n.nspname = a.view_schema join pg_class v on v.relnamespace = n.oid and v.relname = a.view_name), \
    reads(id, of_schema, of_name) as ( \
        select c.oid, h.hypertable_schema, h.hypertable_name from timescaledb_information.hypertables h \
        join pg_namespace n on n.nspname = h.hypertable_schema join pg_class c on c.relnamespace = n.oid and c.relname = h.hypertable_name \
        union select id, view_schema, view_name from aggregates \
        union select v.oid, reads.of_schema, reads.of_name from reads \
        join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = reads.id and d.classid = 'pg_rewrite'::regclass \
        join pg_rewrite r on r.oid = d.objid join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm') \
        join pg_namespace n on n.oid = v.relnamespace \
        where n.nspname not like '\\_timescaledb\\_%' and v.oid not in (select id from aggregates)) \
    select n.nspname as view_schema, v.relname as view_name, reads.of_schema, reads.of_name \
    from reads join pg_class v on v.oid = reads.id join pg_namespace n on n.oid = v.relnamespace \
    where v.relkind in ('v', 'm') and v.oid not in (select id from aggregates) order by 1, 2, 3, 4";

pub(super) fn views(connection: &mut Connection) -> Result<Vec<View>, Fault> {
    let mut views: Vec<View> = Vec::new();
    for row in &connection.query(VIEWS, &[])? {
        let (view, of) = (name(row, "view_schema", "view_name")?, name(row, "of_schema", "of_name")?);
        match views.last_mut().filter(|last| last.view == view) {
            Some(last) => last.reads.push(of),
            None => views.push(View { view, reads: vec![of] }),
        }
    }
    Ok(views)
}
