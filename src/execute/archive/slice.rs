//! Which stretch of time moves next: the oldest that is old enough.

use std::collections::BTreeSet;

use super::table::Table;
use crate::policy::sql_name::literal;
use crate::postgres::{Connection, array};
use crate::site::SiteFault;

/// From so many rows on they are not counted, but reckoned by what the server knows of the column: counting takes a quarter of the time that
/// exporting them does.
const MANY: u64 = 100_000;

/// A stretch of time, its end left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slice {
    pub from: String,
    pub to: String,
}

impl Slice {
    /// The next one after `after`; none where nothing is left to move. Of a plain table none reaches beyond one of the `bounds`.
    pub(super) fn next(
        connection: &mut Connection,
        table: &Table,
        after: Option<&str>,
        most: u64,
        bounds: &BTreeSet<String>,
    ) -> Result<Option<Slice>, SiteFault> {
        if table.hypertable.is_some() {
            return Slice::of_chunks(connection, table, after);
        }
        match Slice::of_rows(connection, table, after, most)? {
            Some(slice) if !bounds.is_empty() => slice.cut(connection, table, bounds).map(Some),
            slice => Ok(slice),
        }
    }

    /// Where another extent begins or ends, so does this one: then their rows can be held against each other by their number.
    fn cut(self, connection: &mut Connection, table: &Table, bounds: &BTreeSet<String>) -> Result<Slice, SiteFault> {
        let time = table.time.sql();
        let bounds: Vec<&str> = bounds.iter().map(String::as_str).collect();
        let sql = format!(
            "select bound from unnest($1::text[]) bound where bound::{time} > $2::text::{time} and bound::{time} < $3::text::{time} \
             order by bound::{time} limit 1"
        );
        let rows = connection.query(&sql, &[&array(&bounds), &self.from, &self.to])?;
        let bound = rows.iter().next().and_then(|row| row.get("bound")).map(str::to_owned);
        Ok(Slice { to: bound.unwrap_or(self.to), from: self.from })
    }

    fn of_rows(connection: &mut Connection, table: &Table, after: Option<&str>, most: u64) -> Result<Option<Slice>, SiteFault> {
        let (column, time) = (&table.column.1, table.time.sql());
        let condition = table.condition(after.unwrap_or("-infinity"), &table.cutoff);
        let first = format!("select min({column})::text as first from {} where {condition}", table.name);
        let Some(from) = connection.query(&first, &[])?.one()?.get("first").map(str::to_owned) else { return Ok(None) };
        if most >= MANY
            && let Some(to) = Slice::reckoned(connection, table, &from, most)?
        {
            return Ok(Some(Slice { from, to }));
        }
        // Rows of one moment stay together.
        let last = format!(
            "select {column}::text as last from {} where {condition} and {column} > {}::{time} order by {column} offset {most} limit 1",
            table.name,
            literal(&from)
        );
        let to = connection.query(&last, &[])?.iter().next().and_then(|row| row.get("last")).map(str::to_owned);
        Ok(Some(Slice { from, to: to.unwrap_or_else(|| table.cutoff.clone()) }))
    }

    /// Where about so many rows end, by the last `ANALYZE`. None where that says too little: about the rows of partitions, or where few
    /// moments have most of the rows.
    fn reckoned(connection: &mut Connection, table: &Table, from: &str, most: u64) -> Result<Option<String>, SiteFault> {
        let time = table.time.sql();
        let sql = format!(
            "with known as (select s.histogram_bounds::text::{time}[] as bounds, \
             c.reltuples * (1 - s.null_frac) / (array_length(s.histogram_bounds::text::{time}[], 1) - 1) as each \
             from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname \
             where n.nspname = {} and c.relname = {} and s.attname = {} and not s.inherited \
             and coalesce((select sum(f) from unnest(s.most_common_freqs) f), 0) < 0.05), \
             ends as (select bound, place from known, unnest(bounds) with ordinality as b (bound, place) \
             where each > 0 and each <= {most} and bound > {}::{time}) \
             select least(bound, {}::{time})::text as last from ends order by place \
             offset (select floor({most} / each)::bigint - 1 from known where each > 0 and each <= {most}) limit 1",
            literal(&table.schema),
            literal(&table.table),
            literal(&table.column.0),
            literal(from),
            literal(&table.cutoff)
        );
        Ok(connection.query(&sql, &[])?.iter().next().and_then(|row| row.get("last")).map(str::to_owned))
    }

    /// All chunks of one stretch of time, where it has rows that may go.
    fn of_chunks(connection: &mut Connection, table: &Table, after: Option<&str>) -> Result<Option<Slice>, SiteFault> {
        let time = table.time.sql();
        let sql = format!(
            "select distinct range_start::{time}::text as first, range_end::{time}::text as last, range_start \
             from timescaledb_information.chunks where hypertable_schema = {} and hypertable_name = {} \
             and range_end::{time} <= {}::{time} and range_start::{time} >= {}::{time} order by range_start",
            literal(&table.schema),
            literal(&table.table),
            literal(&table.cutoff),
            literal(after.unwrap_or("-infinity"))
        );
        for row in connection.query(&sql, &[])?.iter() {
            let slice = Slice { from: row.text("first")?.to_owned(), to: row.text("last")?.to_owned() };
            let condition = table.condition(&slice.from, &slice.to);
            let some = format!("select exists (select from {} where {condition}) as some", table.name);
            if connection.query(&some, &[])?.one()?.flag("some")? {
                return Ok(Some(slice));
            }
        }
        Ok(None)
    }
}
