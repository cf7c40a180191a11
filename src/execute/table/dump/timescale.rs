//! Hypertables in a dump: their rows lie in chunks, and which chunks those are is rows of TimescaleDB's own catalog.
//!
//! So that catalog comes back whole, which is small, into the very version that was dumped; then the chunks of what is wanted, compressed or
//! not. Of every other hypertable the chunks are there and empty.

use std::collections::BTreeMap;
use std::path::Path;

use crate::execute::extensions;
use crate::execute::table::TableFault;
use crate::execute::table::landing::about;
use crate::execute::table::source::TableName;
use crate::format::contents::Database;
use crate::format::descriptor::Private;
use crate::plan::words::{counted, quoted as shown};
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::{Connection, Row};
use crate::timescale;

pub(super) const NAME: &str = "timescaledb";
/// Where it has what it knows; the second one in older versions.
const HOMES: [&str; 2] = ["_timescaledb_catalog", "_timescaledb_config"];

/// The version that the private server loads; none where the database has none, or where it is not needed and not here.
pub(super) fn version(
    (bin, major): (&Path, u32),
    database: &Database,
    wanted: &[TableName],
    rows: &[Option<u64>],
) -> Result<Option<String>, TableFault> {
    let Some(version) = database.extensions.get(NAME) else { return Ok(None) };
    let needs = BTreeMap::from([(database.name.clone(), BTreeMap::from([(NAME.to_owned(), version.clone())]))]);
    let lacking = match extensions::must_be_here(bin, major, &Private { extensions: needs, ..Private::default() }) {
        Ok(()) => return Ok(Some(version.clone())),
        Err(lacking) => lacking,
    };
    // A hypertable has no rows of its own.
    match wanted.iter().zip(rows).find(|(_, rows)| rows.is_none_or(|rows| rows == 0)) {
        None => Ok(None),
        Some((table, _)) => {
            let message = format!("{}, and {} may be a hypertable: it has no rows of its own", lacking.message, about::sql(table));
            Err(TableFault::new(message, format!("{} Or name an installation that has it with `--programs DIR`.", lacking.hint)))
        }
    }
}

/// What the server has to be started with.
pub(super) fn settings(version: Option<&String>) -> Vec<(String, String)> {
    let all = [("shared_preload_libraries", NAME), ("timescaledb.telemetry_level", "off"), ("timescaledb.max_background_workers", "0")];
    version.iter().flat_map(|_| all).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Makes the extension where it lay, and says that its tables are about to come. It loads itself into new sessions only.
pub(super) fn begin(open: &dyn Fn() -> Result<Connection, TableFault>, version: &str, home: &str) -> Result<(), TableFault> {
    let home = quoted(home);
    let mut connection = open()?;
    connection.run(&format!("create schema if not exists {home}"))?;
    connection.run(&format!("create extension if not exists {NAME} with schema {home} version {}", literal(version)))?;
    let mut connection = open()?;
    connection.run(&format!("select {home}.timescaledb_pre_restore()"))?;
    Ok(())
}

/// From here on hypertables are read as such. Jobs do not run: this server has no workers.
pub(super) fn end(open: &dyn Fn() -> Result<Connection, TableFault>) -> Result<(), TableFault> {
    let mut connection = open()?;
    let home = home(&mut connection)?;
    connection.run(&format!("select {home}.timescaledb_post_restore()"))?;
    Ok(())
}

fn home(connection: &mut Connection) -> Result<String, TableFault> {
    Ok(quoted(&timescale::schema(connection)?))
}

/// A line of the archive's list that is of TimescaleDB's own catalog: `TABLE DATA _timescaledb_catalog chunk postgres`.
pub(super) fn is_of_catalog(entry: &str) -> bool {
    ["TABLE DATA", "SEQUENCE SET"].iter().any(|kind| HOMES.iter().any(|home| entry.starts_with(&format!("{kind} {home} "))))
}

/// Where a hypertable's rows lie. Nothing for any other table.
pub(super) fn chunks(connection: &mut Connection, table: &TableName, dumped: &Database) -> Result<Vec<TableName>, TableFault> {
    // What some versions have a column for, others do not know.
    const CHUNKS: &str = "\
        with own as ( \
          select k.* from _timescaledb_catalog.chunk k join _timescaledb_catalog.hypertable h on h.id = k.hypertable_id \
          where h.schema_name = $1 and h.table_name = $2 and not coalesce((to_jsonb(k) ->> 'dropped')::boolean, false)) \
        select schema_name as schema, table_name as name, coalesce((to_jsonb(own) ->> 'osm_chunk')::boolean, false) as away from own \
        union all select k.schema_name, k.table_name, false from own join _timescaledb_catalog.chunk k on k.id = own.compressed_chunk_id \
        order by 1, 2";
    let rows = connection.query(CHUNKS, &[&table.schema, &table.name])?;
    let mut all = Vec::new();
    for row in &rows {
        let chunk = TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() };
        if row.flag("away")? {
            let message = format!("rows of {} lie in tiered storage, and a dump does not have those", about::sql(table));
            return Err(TableFault::new(message, "Read them where they lie: they are not lost with the database."));
        }
        if !dumped.tables.iter().any(|known| known.schema == chunk.schema && known.name == chunk.name) {
            let message = format!("the dump has no rows of {}, a chunk of {}", about::sql(&chunk), about::sql(table));
            return Err(TableFault::new(message, "Nothing was changed. `seawall verify` says whether the dump is whole."));
        }
        all.push(chunk);
    }
    Ok(all)
}

/// A column that was added with a default after chunks were compressed has its value for their rows in PostgreSQL's catalog only, and no dump
/// has that. They read as null now.
pub(super) fn unsure(connection: &mut Connection, table: &TableName) -> Result<Vec<String>, TableFault> {
    const COLUMNS: &str = "\
        select a.attname as name, pg_get_expr(d.adbin, d.adrelid) as value from pg_attribute a \
        join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
        where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''";
    const COMPRESSED: &str = "\
        select format('%I.%I', z.schema_name, z.table_name) as name from _timescaledb_catalog.hypertable h \
        join _timescaledb_catalog.chunk k on k.hypertable_id = h.id join _timescaledb_catalog.chunk z on z.id = k.compressed_chunk_id \
        where h.schema_name = $1 and h.table_name = $2 order by 1";
    const HAS: &str = "select exists (select from pg_attribute where attrelid = $1::regclass and attname = $2 and not attisdropped) as it";
    let names: Vec<String> = (connection.query(COMPRESSED, &[&table.schema, &table.name])?.iter())
        .map(|row: &Row| row.text("name").map(str::to_owned))
        .collect::<Result<_, _>>()?;
    let mut flaws = Vec::new();
    for row in &connection.query(COLUMNS, &[&about::sql(table)])? {
        let (column, value) = (row.text("name")?, row.text("value")?);
        let mut count = 0_u64;
        for chunk in &names {
            let is_there = connection.query(HAS, &[chunk, column])?.one()?.flag("it")?;
            let sql = format!("select exists (select from {chunk} where {} is null) as it", quoted(column));
            count += u64::from(is_there && connection.query(&sql, &[])?.one()?.flag("it")?);
        }
        if count > 0 {
            flaws.push(format!(
                "{} of {} that {} compressed before {} was added may have null in it where the original had its default {}: a dump does not have that",
                counted(count, "chunk"),
                about::sql(table),
                if count == 1 { "was" } else { "were" },
                shown(column),
                shown(value),
            ));
        }
    }
    Ok(flaws)
}
