//! What a private server says of its database: every definition, the values of all sequences, and how each table's rows are read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Rows;
use crate::execute::backup::BackupFault;
use crate::execute::dump::child::{self, Halt};
use crate::execute::dump::described;
use crate::execute::dump::programs::Programs;
use crate::execute::table::TableFault;
use crate::execute::table::landing::session;
use crate::execute::table::source::Held;
use crate::execute::tiers::catalog::{self, Catalog};
use crate::format::contents::Database;
use crate::format::dump::{Item, Walk};
use crate::format::globals::MAX_BYTES;
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::{Connection, Settings};

/// Definitions are small.
const LARGEST: u64 = 256 << 20;

pub(super) struct Around {
    pub database: Database,
    /// As `pg_dump` writes it, up to the first row.
    pub head: Vec<u8>,
    pub catalog: Catalog,
    /// Empty where nobody wants them.
    pub globals: Vec<u8>,
    pub sequences: Vec<String>,
    pub rows: BTreeMap<(String, String), Rows>,
    pub unlogged: Vec<String>,
    pub large_objects: u64,
}

/// Generated columns come by themselves.
const TABLES: &str = "\
    select c.oid::text as oid, n.nspname as schema, c.relname as name, (c.relpersistence = 'u')::text as unlogged, \
        coalesce((select '(' || string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum) || ')' from pg_catalog.pg_attribute a \
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''), '') as columns \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and c.relpersistence <> 't'";
/// What extensions have said of tables and sequences of theirs.
const CONFIGURED: &str = "\
    select o.oid::text as oid, o.condition from pg_catalog.pg_extension e \
    cross join lateral rows from (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) as o(oid, condition) where o.oid is not null";
const OF_TIMESCALE: &str = "\
    select n.nspname as schema, c.relname as name from pg_catalog.pg_extension e \
    cross join lateral pg_catalog.unnest(e.extconfig) it join pg_catalog.pg_class c on c.oid = it \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where e.extname = 'timescaledb' and c.relkind = 'r' order by 1, 2";
const SEQUENCES: &str = "\
    select c.oid::text as oid, n.nspname as schema, c.relname as name from pg_catalog.pg_class c \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'S' and c.relpersistence <> 't' order by 2, 3";
const LARGE: &str = "select count(*) as n from pg_catalog.pg_largeobject_metadata";

impl Around {
    pub(super) fn of(server: &Held, programs: &Programs, with_globals: bool, halt: &Halt<'_>) -> Result<Around, TableFault> {
        let origin = server.settings(&server.database)?;
        let whole = run(programs, &origin, "pg_dump", &words(&origin, &["--section=pre-data", "--section=post-data"]), LARGEST, halt)?;
        let unread = |what: &dyn std::fmt::Display| TableFault::new(format!("what pg_dump writes of the definitions: {what}"), "");
        let head = Walk::new(whole.as_slice()).map_err(|stopped| unread(&stopped))?.head().to_vec();
        let items = Item::all(&head).map_err(|bad| unread(&bad))?;
        let globals = if with_globals {
            // No other database is there to be entered, whatever is usual.
            let words = ["--globals-only".to_owned(), "--no-password".to_owned(), format!("--database={}", origin.dbname)];
            run(programs, &origin, "pg_dumpall", &words, MAX_BYTES, halt)?
        } else {
            Vec::new()
        };
        let mut connection = session::open(&origin)?;
        let configured = configured(&mut connection)?;
        let catalog = timescale(&mut connection, &items, &|more| {
            let more: Vec<&str> = more.iter().map(String::as_str).collect();
            run(programs, &origin, "pg_dump", &words(&origin, &more), LARGEST, halt)
        })?;
        let large_objects = connection.query(LARGE, &[])?.one()?.parse("n")?;
        let (rows, unlogged) = rows(&mut connection, &items, &configured)?;
        Ok(Around {
            database: Database { large_objects, ..described(&origin, &server.database)? },
            sequences: sequences(&mut connection, &items, &configured)?,
            head,
            catalog,
            globals,
            rows,
            unlogged,
            large_objects,
        })
    }
}

/// TimescaleDB's own rows, as `pg_dump` writes them: what leads to others of them comes behind those.
fn timescale(
    connection: &mut Connection,
    items: &[Item],
    dump: &dyn Fn(Vec<String>) -> Result<Vec<u8>, TableFault>,
) -> Result<Catalog, TableFault> {
    let tables = connection.query(OF_TIMESCALE, &[])?;
    if tables.is_empty() {
        return Ok(Catalog::new());
    }
    let mut more = vec!["--section=data".to_owned()];
    for row in &tables {
        more.push(format!("--table={}.{}", quoted(row.text("schema")?), quoted(row.text("name")?)));
    }
    let unread = |what: &dyn std::fmt::Display| TableFault::new(format!("what pg_dump writes of TimescaleDB's tables: {what}"), "");
    let tables = items.iter().filter(|item| item.kind == "TABLE");
    let defined = tables.map(|item| (item.schema.as_str(), item.name.as_str())).collect();
    let whole = dump(more)?;
    let mut walk = Walk::new(whole.as_slice()).map_err(|stopped| unread(&stopped))?;
    catalog::read(&mut walk, &defined).map_err(|stopped| unread(&stopped))
}

/// As dumps are made; what is on this server is nobody else's.
pub(super) fn words(origin: &Settings, more: &[&str]) -> Vec<String> {
    let mut words =
        vec!["--format=custom".to_owned(), "--compress=0".to_owned(), "--no-password".to_owned(), format!("--dbname={}", dbname(origin))];
    words.extend(more.iter().map(|word| (*word).to_owned()));
    words
}

fn dbname(origin: &Settings) -> String {
    origin.dbname_argument(&origin.dbname)
}

fn run(programs: &Programs, origin: &Settings, program: &str, words: &[String], most: u64, halt: &Halt<'_>) -> Result<Vec<u8>, TableFault> {
    let mut command = programs.command(program, words);
    origin.environment(&origin.targets[0]).apply(&mut command);
    let mut all = Vec::new();
    child::stream(command, halt, &mut |bytes| {
        if (all.len() + bytes.len()) as u64 > most {
            return Err(BackupFault::refused("the definitions are larger than any are", ""));
        }
        all.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(all)
}

fn configured(connection: &mut Connection) -> Result<HashMap<u32, Option<String>>, TableFault> {
    let rows = connection.query(CONFIGURED, &[])?;
    let one = |row: &crate::postgres::Row| {
        Ok((row.parse("oid")?, row.get("condition").filter(|condition| !condition.is_empty()).map(str::to_owned)))
    };
    rows.iter().map(one).collect()
}

type Known = BTreeMap<(String, String), Rows>;

/// Of those that are defined in the dump, and of an extension's own.
fn rows(
    connection: &mut Connection,
    items: &[Item],
    configured: &HashMap<u32, Option<String>>,
) -> Result<(Known, Vec<String>), TableFault> {
    let defined: BTreeSet<u32> = items.iter().filter(|item| item.kind == "TABLE").map(|item| item.oid).collect();
    let (mut known, mut unlogged) = (Known::new(), Vec::new());
    for row in connection.query(TABLES, &[])?.iter() {
        let oid = row.parse("oid")?;
        if !defined.contains(&oid) && !configured.contains_key(&oid) {
            continue;
        }
        let (schema, name) = (row.text("schema")?.to_owned(), row.text("name")?.to_owned());
        if row.flag("unlogged")? {
            unlogged.push(format!("{schema}.{name}"));
        }
        let condition = configured.get(&oid).cloned().flatten();
        known.insert((schema, name), Rows { oid, columns: row.text("columns")?.to_owned(), condition });
    }
    Ok((known, unlogged))
}

fn sequences(connection: &mut Connection, items: &[Item], configured: &HashMap<u32, Option<String>>) -> Result<Vec<String>, TableFault> {
    let defined: BTreeSet<u32> = items.iter().filter(|item| item.kind == "SEQUENCE").map(|item| item.oid).collect();
    let mut all = Vec::new();
    for row in connection.query(SEQUENCES, &[])?.iter() {
        let oid = row.parse("oid")?;
        if !defined.contains(&oid) && !configured.contains_key(&oid) {
            continue;
        }
        let named = format!("{}.{}", quoted(row.text("schema")?), quoted(row.text("name")?));
        let values = connection.query(&format!("select last_value::text as value, is_called::text as is_called from {named}"), &[])?;
        let value = values.one()?;
        all.push(format!("select pg_catalog.setval({}, {}, {})", literal(&named), value.text("value")?, value.text("is_called")?));
    }
    Ok(all)
}
