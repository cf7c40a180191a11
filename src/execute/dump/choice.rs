//! Which tables of a database a job's patterns choose. The server is asked as `pg_dump` asks it, so both choose the same: what is locked before
//! the snapshot is what is in the dump.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::locks::Lockable;
use super::snapshot::Named;
use crate::execute::backup::BackupFault;
use crate::policy::file::{Logical, Unmatched};
use crate::policy::pattern::Pattern;
use crate::policy::sql_name::literal;
use crate::postgres::{Connection, Fault, array};

/// What `pg_dump` calls a table.
const TABLES: &str = "\
    select c.oid::text as oid, c.relnamespace::text as home, n.nspname as schema, c.relname as name, c.relkind::text as kind \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'S', 'v', 'm', 'f', 'p') and c.relpersistence <> 't'";
const SCHEMAS: &str = "select n.oid::text as oid, n.nspname as schema from pg_catalog.pg_namespace n";
/// What has the rows of these tables.
const PARTS: &str = "\
    with recursive tree as ( \
        select unnest($1::oid[]) as oid union select i.inhrelid from pg_catalog.pg_inherits i join tree t on i.inhparent = t.oid) \
    select c.oid::text as oid, n.nspname as schema, c.relname as name from tree t join pg_catalog.pg_class c on c.oid = t.oid \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where not c.oid = any ($1::oid[]) order by 2, 3";

/// What is chosen, as of one moment.
#[derive(Debug, Default)]
pub(super) struct Choice {
    only_schemas: Option<HashSet<u32>>,
    out_schemas: HashSet<u32>,
    only_tables: Option<HashSet<u32>>,
    out_tables: HashSet<u32>,
    /// What has rows of its own and is chosen by a pattern of `tables`: tables and sequences.
    pub roots: BTreeSet<u32>,
    /// What has rows of chosen tables, and fits no pattern itself.
    pub parts: Vec<Named>,
    /// Where chosen tables lie: `pg_dump` leaves the schemas themselves out then.
    pub homes: BTreeSet<String>,
    /// Patterns that fit nothing, by their keys.
    pub unmatched: Vec<(&'static str, String)>,
}

/// Of what a pattern fits, as much as is needed of it.
struct Fitting {
    oid: u32,
    schema: String,
    is_table: bool,
    is_sequence: bool,
}

impl Choice {
    pub(super) fn of(connection: &mut Connection, options: &Logical) -> Result<Choice, BackupFault> {
        let mut choice = Choice::default();
        let only = |fitting: Vec<Fitting>| fitting.into_iter().map(|one| one.oid).collect::<HashSet<u32>>();
        if !options.schemas.is_empty() {
            let fitting = choice.fitting(connection, "schemas", &options.schemas)?;
            must_be_of_people("schemas", &fitting)?;
            choice.only_schemas = Some(only(fitting));
        }
        if !options.tables.is_empty() {
            let fitting = choice.fitting(connection, "tables", &options.tables)?;
            must_be_of_people("tables", &fitting)?;
            choice.homes = fitting.iter().map(|one| one.schema.clone()).collect();
            choice.roots = fitting.iter().filter(|one| one.is_table || one.is_sequence).map(|one| one.oid).collect();
            let tables = fitting.iter().filter(|one| one.is_table).map(|one| one.oid).collect();
            choice.add_parts(connection, tables)?;
            choice.only_tables.get_or_insert_default().extend(only(fitting));
        }
        choice.out_schemas = only(choice.fitting(connection, "exclude_schemas", &options.exclude_schemas)?);
        choice.out_tables = only(choice.fitting(connection, "exclude_tables", &options.exclude_tables)?);
        choice.roots.retain(|oid| !choice.out_tables.contains(oid));
        choice.fitting(connection, "exclude_table_data", &options.exclude_table_data)?;
        Ok(choice)
    }

    /// A partitioned table without its partitions would come back without a row.
    fn add_parts(&mut self, connection: &mut Connection, tables: Vec<u32>) -> Result<(), Fault> {
        for row in &connection.query(PARTS, &[&array(tables)])? {
            let part = Named { schema: row.text("schema")?.into(), name: row.text("name")?.into(), bytes: 0 };
            self.only_tables.get_or_insert_default().insert(row.parse("oid")?);
            self.homes.insert(part.schema.clone());
            self.parts.push(part);
        }
        Ok(())
    }

    fn fitting(&mut self, connection: &mut Connection, key: &'static str, patterns: &[String]) -> Result<Vec<Fitting>, BackupFault> {
        let mut all = Vec::new();
        for text in patterns {
            let of_schemas = key.ends_with("schemas");
            let sql = if of_schemas { schemas(&Pattern::read(text)) } else { tables(&Pattern::read(text)) };
            let rows = connection.query(&sql, &[]).map_err(|fault| unreadable(key, text, fault))?;
            if rows.iter().next().is_none() {
                self.unmatched.push((key, text.clone()));
            }
            for row in &rows {
                let kind = if of_schemas { "" } else { row.text("kind")? };
                let (is_table, is_sequence) = (["r", "p"].contains(&kind), kind == "S");
                all.push(Fitting { oid: row.parse("oid")?, schema: row.text("schema")?.to_owned(), is_table, is_sequence });
            }
        }
        Ok(all)
    }

    /// As `pg_dump` decides it.
    fn has(&self, oid: u32, home: u32) -> bool {
        let by_schema = || self.only_schemas.as_ref().is_none_or(|only| only.contains(&home)) && !self.out_schemas.contains(&home);
        let is_in = self.only_tables.as_ref().map_or_else(by_schema, |only| only.contains(&oid));
        is_in && !self.out_tables.contains(&oid)
    }

    /// Patterns that should fit something, and do not. One that leaves something out may fit nothing, as for `pg_dump` too.
    pub(super) fn must_fit(&self, options: &Logical, job: &str, database: &str) -> Result<Vec<String>, BackupFault> {
        let mut remarks = Vec::new();
        for (key, text) in &self.unmatched {
            let fits = format!("`{text}` of `backups.{job}.logical.{key}` fits nothing in the database `{database}`");
            let chooses = ["schemas", "tables"].contains(key);
            if chooses && options.unmatched != Some(Unmatched::Allow) {
                let hint = "Names are read as in SQL: in lower case, unless they stand in double quotes. `unmatched: allow` passes over such a pattern.";
                return Err(BackupFault::refused(fits, hint));
            }
            remarks.push(if chooses { fits } else { format!("{fits}: nothing is left out by it") });
        }
        let is_nothing = |only: &Option<HashSet<u32>>| only.as_ref().is_some_and(HashSet::is_empty);
        if is_nothing(&self.only_schemas) || is_nothing(&self.only_tables) {
            let message = format!("nothing in the database `{database}` fits `schemas` or `tables` of `backups.{job}.logical`");
            return Err(BackupFault::refused(message, "Take it out of the job's `databases`, or correct the patterns."));
        }
        Ok(remarks)
    }
}

/// The chosen of these, each with the schema that it lies in.
pub(super) fn chosen(connection: &mut Connection, options: &Logical, all: Vec<Lockable>) -> Result<Vec<Lockable>, BackupFault> {
    let choice = Choice::of(connection, options)?;
    let mut homes: HashMap<u32, u32> = HashMap::new();
    for row in &connection.query(TABLES, &[])? {
        homes.insert(row.parse("oid")?, row.parse("home")?);
    }
    Ok(all.into_iter().filter(|table| homes.get(&table.oid).is_some_and(|home| choice.has(table.oid, *home))).collect())
}

fn fits(column: &str, expression: &str) -> String {
    format!("{column} operator(pg_catalog.~) {} collate pg_catalog.default", literal(expression))
}

fn tables(pattern: &Pattern) -> String {
    let home = match &pattern.schema {
        Some(schema) => fits("n.nspname", &schema.expression()),
        None => "pg_catalog.pg_table_is_visible(c.oid)".to_owned(),
    };
    format!("{TABLES} and {} and {home}", fits("c.relname", &pattern.name.expression()))
}

fn schemas(pattern: &Pattern) -> String {
    format!("{SCHEMAS} where {}", fits("n.nspname", &pattern.name.expression()))
}

/// `*` alone would have PostgreSQL's own tables dumped, which no server takes back.
fn must_be_of_people(key: &str, fitting: &[Fitting]) -> Result<(), BackupFault> {
    let is_own = |schema: &str| schema.starts_with("pg_") || schema == "information_schema";
    let Some(own) = fitting.iter().find(|one| is_own(&one.schema)) else { return Ok(()) };
    let message = format!("a pattern of `{key}` fits what is PostgreSQL's own, in the schema `{}`", own.schema);
    Err(BackupFault::refused(message, "Write the schema too, `public.*`; a dump of everything needs no pattern."))
}

fn unreadable(key: &str, text: &str, fault: Fault) -> BackupFault {
    if fault.code() == Some("2201B") {
        let message = format!("`{text}` of `{key}` is no pattern: {}", fault.message);
        return BackupFault::refused(
            message,
            "What is neither `*` nor `?` is a regular expression of PostgreSQL's; in double quotes it is itself.",
        );
    }
    fault.into()
}
