use crate::inventory::{Kin, TableName};
use crate::postgres::{Connection, Fault};

/// Each with the hypertable that has its rows.
pub(super) const AGGREGATES: &str = "\
    select v.oid, m.oid from timescaledb_information.continuous_aggregates a \
    join pg_namespace vn on vn.nspname = a.view_schema join pg_class v on v.relnamespace = vn.oid and v.relname = a.view_name \
    join pg_namespace mn on mn.nspname = a.materialization_hypertable_schema \
    join pg_class m on m.relnamespace = mn.oid and m.relname = a.materialization_hypertable_name";
const NO_AGGREGATES: &str = "select null::oid, null::oid where false";

/// What has rows in common with a table, of any kind: the one question by which a hold on one table is found to be one on another. A continuous
/// aggregate has rows of its own and is no view of what it is made of; neither are TimescaleDB's own views.
pub fn kin(connection: &mut Connection, oid: &str) -> Result<Kin, Fault> {
    let sql = kin_query(connection, "$1")?;
    let mut kin = Kin::default();
    for row in &connection.query(&sql, &[oid])? {
        let table = TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() };
        match row.text("kind")? {
            "whole" => kin.whole.push(table),
            "part" => kin.parts.push(table),
            _ => kin.views.push(table),
        }
    }
    Ok(kin)
}

/// The question itself, of an `oid` in SQL: `schema`, `name`, and of which `kind` each is. It is asked of a database like this one.
pub fn kin_query(connection: &mut Connection, oid: &str) -> Result<String, Fault> {
    let has_aggregates = "select exists (select from pg_extension where extname = 'timescaledb') as there";
    let aggregates = if connection.query(has_aggregates, &[])?.one()?.flag("there")? { AGGREGATES } else { NO_AGGREGATES };
    Ok(format!(
        "with recursive up(id) as (select {oid}::oid union select inhparent from pg_inherits join up on inhrelid = id), \
         down(id) as ({down}), aggregates(view, inside) as ({aggregates}), \
         whole(id) as (select id from up union select view from aggregates where inside in (select id from up)), \
         reads(id) as (select id from (select id from whole union select id from down) known \
           union select v.oid from reads join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = reads.id \
             and d.classid = 'pg_rewrite'::regclass \
             join pg_rewrite r on r.oid = d.objid join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm') \
             join pg_namespace n on n.oid = v.relnamespace \
             where n.nspname not like '\\_timescaledb\\_%' and v.oid not in (select view from aggregates)) \
         select n.nspname as schema, c.relname as name, \
           case when c.oid in (select id from whole) then 'whole' when c.oid in (select id from down) then 'part' else 'view' end as kind \
         from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid in (select id from reads) order by 1, 2",
        down = family(oid)
    ))
}

/// A table, and all that are a part of it or inherit from it.
pub fn family(oid: &str) -> String {
    format!(
        "with recursive family(id) as (select {oid}::oid union select inhrelid from pg_inherits join family on inhparent = id) \
         select id from family"
    )
}
