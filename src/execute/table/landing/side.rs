//! Into a schema beside the original: the table with its indexes, constraints and defaults, and without what ties it to others.

use std::collections::BTreeSet;

use super::about::{About, Column, Kind, into_columns, sql, timescale};
use super::apart::must_be_apart;
use super::hypertable::Shape;
use super::origin::rows_of;
use super::script::statements;
use super::{Destination, Landed, Lost, Onlooker, Origin, Wanted, schemas, sequences, session, stream};
use crate::execute::backup::BackupFault;
use crate::execute::dump::child::{self, Halt};
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::plan::words::quoted as shown;
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault};

mod closed;
mod lost;
mod room;
mod ties;

/// Definitions are small.
const LARGEST: usize = 256 << 20;

/// A table on its way.
struct Mover {
    /// At the origin, where it is called as it will be.
    moved: About,
    becomes: TableName,
    original: String,
    shape: Option<Shape>,
    left_out: Vec<String>,
    /// Statements, where it comes under its own name.
    remake: Vec<String>,
}

/// All tables in one transaction of the destination.
pub fn into_schema(
    destination: &Destination,
    wanted: &Wanted,
    (schema, name): (&str, Option<&str>),
    origin: &Origin,
    remarks: &mut Vec<String>,
    onlooker: Onlooker<'_>,
) -> Result<Vec<Landed>, TableFault> {
    if destination.major < origin.major {
        let message = format!("the table is of PostgreSQL {}, and the destination is {}", origin.major, destination.major);
        return Err(TableFault::new(message, "An older server may not understand it: write it as CSV (`--csv FILE`)."));
    }
    let mut to = destination.open()?;
    let becomes = |table: &TableName| TableName { schema: schema.to_owned(), name: name.unwrap_or(&table.name).to_owned() };
    (onlooker.begins)("untying it from other tables");
    // Each in a session of its own: one that has looked at a table remembers its indexes.
    let hidden = origin.show_indexes()?;
    let mut shaping = origin.open()?;
    let plan =
        session::attended(onlooker.stop, [&mut shaping, &mut to], |[from, to]| untie(from, to, wanted, schema, &becomes, origin, remarks))?;
    drop(shaping);
    origin.hide_indexes(&hidden)?;
    let mut from = origin.open()?;
    let landed = session::attended(onlooker.stop, [&mut from, &mut to], |[from, to]| {
        (onlooker.begins)("reading its definition");
        let script = |section: &str| definitions(origin, &plan.patterns, section, onlooker).map(|text| statements(&text, schema));
        let (before, after) = (script("pre-data")?, script("post-data")?);
        to.run("begin transaction isolation level read committed read write")?;
        let landed = land(from, to, wanted, &plan, (&before, &after), remarks, onlooker).and_then(|landed| {
            session::go_on(onlooker.stop)?;
            (onlooker.begins)("committing");
            session::commit(to, "Look whether the tables are there.")?;
            Ok(landed)
        });
        if landed.is_err() && !to.is_broken() {
            let _ = to.run("rollback");
        }
        landed
    })?;
    (onlooker.begins)("analyzing");
    for table in &landed {
        if let Err(fault) = to.run(&format!("analyze {}", table.into)) {
            remarks.push(format!("{} could not be analyzed: {fault}", table.into));
        }
    }
    Ok(landed)
}

#[derive(Default)]
struct Plan {
    movers: Vec<Mover>,
    /// What `pg_dump` is told to take.
    patterns: Vec<String>,
    /// Where anything of them comes to.
    schemas: BTreeSet<String>,
    /// Tables, their partitions and sequences, as they are called there.
    relations: Vec<TableName>,
    statistics: Vec<ties::Statistics>,
}

/// At the origin, which is nobody else's: everything is changed there as it shall be at the destination.
fn untie(
    from: &mut Connection,
    to: &mut Connection,
    wanted: &Wanted,
    schema: &str,
    becomes: &dyn Fn(&TableName) -> TableName,
    origin: &Origin,
    remarks: &mut Vec<String>,
) -> Result<Plan, TableFault> {
    let is_new = from.query("select from pg_namespace where nspname = $1", &[schema])?.is_empty();
    if is_new {
        from.run(&format!("create schema {}", quoted(schema)))?;
    }
    let takes_hypertables = timescale(to)?.is_some();
    let abouts: Vec<About> = wanted.tables.iter().map(|table| origin.about(from, table)).collect::<Result<_, _>>()?;
    must_be_apart(from, &abouts)?;
    let kin: Vec<String> = abouts
        .iter()
        .filter(|about| about.kind != Kind::Hypertable)
        .map(|about| ties::kin(from, about))
        .collect::<Result<Vec<_>, _>>()?
        .concat();
    // Those have their constraints before their rows, and a foreign key would ask for rows that have not come yet.
    let becomes_hypertable = takes_hypertables && abouts.iter().any(|about| about.kind == Kind::Hypertable);
    let keeps_references = wanted.condition.is_none() && !becomes_hypertable;
    let together: &[String] = if keeps_references { &kin } else { &[] };
    let mut given = room::Given::new();
    let mut renamed: Vec<Vec<String>> = vec![Vec::new(); abouts.len()];
    for (about, renamed) in abouts.iter().zip(&mut renamed).filter(|(about, _)| becomes(&about.table) == about.table) {
        let kin = ties::kin(from, about)?;
        renamed.extend(room::make(from, to, (about, &kin), &about.table, &mut given)?);
    }
    let own: Vec<Vec<Lost>> = abouts.iter().map(|about| lost::own(from, to, about, together, origin)).collect::<Result<_, TableFault>>()?;
    let patterns: Vec<String> = if is_new { vec![format!("--schema={}", pattern(&[schema]))] } else { Vec::new() };
    let mut plan = Plan { patterns, schemas: BTreeSet::from([schema.to_owned()]), ..Plan::default() };
    for (((number, about), mut lost), mut left_out) in abouts.iter().enumerate().zip(own).zip(renamed) {
        let becomes = becomes(&about.table);
        let mut shape = None;
        let read = (about.kind == Kind::Hypertable).then(|| Shape::read(from, &about.table)).transpose()?;
        let is_itself = becomes == about.table;
        if is_itself {
            let aggregates = read.as_ref().map_or(&[] as &[String], |shape| shape.aggregates.as_slice());
            lost.extend(lost::around(from, to, about, &kin, origin, aggregates)?);
        }
        ties::make_way(from, about, &becomes, number)?;
        if let Some(read) = read {
            left_out.extend(read.left_out(&becomes, wanted.with_policies && takes_hypertables));
            if takes_hypertables {
                shape = Some(read);
            } else {
                remarks.push(format!("{} comes back as a plain table: the destination has no TimescaleDB", about.name()));
            }
            ties::untie_hypertable(from, about)?;
        } else {
            ties::untie(from, about, together)?;
        }
        let parts = ties::kin(from, about)?;
        if !is_itself {
            left_out.extend(room::make(from, to, (about, &parts), &becomes, &mut given)?);
        }
        ties::shift(from, about, &becomes)?;
        if !about.heirs.is_empty() {
            remarks.push(format!("rows of tables that inherit from {} are their own, and not among these", about.name()));
        }
        // First what the table is made of, then what is made of the table.
        let mut all_lost = ties::lacking(from, to, &about.oid, is_new.then_some(schema))?;
        all_lost.extend(lost);
        left_out.extend(all_lost.iter().map(|lost| lost.what.clone()));
        left_out.extend(about.large_objects());
        let remake = if is_itself { all_lost.into_iter().filter_map(|lost| lost.sql).collect() } else { Vec::new() };
        let moved = origin.about(from, &becomes)?;
        let pieces = room::pieces(from, &parts)?;
        plan.schemas.extend(pieces.iter().map(|piece| piece.name.schema.clone()));
        plan.relations.extend(pieces.into_iter().filter(room::Piece::is_relation).map(|piece| piece.name));
        if !is_new {
            plan.statistics.extend(ties::statistics(from, &parts)?);
        }
        plan.movers.push(Mover { becomes, original: about.name(), moved, shape, left_out, remake });
    }
    for other in plan.schemas.iter().filter(|other| *other != schema) {
        if !schemas::is_there(to, other)? {
            remarks.push(format!("the schema {}, which was not there any more, is made for parts of the table", quoted(other)));
        }
    }
    if !is_new {
        plan.patterns.extend(plan.relations.iter().map(|table| format!("--table={}", pattern(&[&table.schema, &table.name]))));
    }
    Ok(plan)
}

/// In quotes nothing is a pattern.
fn pattern(parts: &[&str]) -> String {
    parts.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(".")
}

fn definitions(origin: &Origin, patterns: &[String], section: &str, onlooker: Onlooker<'_>) -> Result<String, TableFault> {
    let programs = origin.pg_dump()?;
    let database = &origin.settings.dbname;
    let mut words = vec![format!("--dbname={}", origin.settings.dbname_argument(database)), "--no-password".to_owned()];
    let without = ["owner", "privileges", "publications", "subscriptions", "security-labels", "tablespaces"];
    words.extend(without.iter().map(|what| format!("--no-{what}")));
    words.extend([format!("--section={section}"), "--encoding=UTF8".to_owned(), "--strict-names".to_owned()]);
    words.extend(patterns.iter().cloned());
    let mut command = programs.command("pg_dump", words);
    origin.settings.environment(&origin.settings.targets[0]).apply(&mut command);
    let halt = Halt { stop: onlooker.stop, abort: Default::default(), deadline: None };
    let mut text = Vec::new();
    child::stream(command, &halt, &mut |bytes| {
        if text.len() + bytes.len() > LARGEST {
            return Err(BackupFault::refused("the definition of the table is larger than any is", ""));
        }
        text.extend_from_slice(bytes);
        Ok(())
    })?;
    String::from_utf8(text).map_err(|_| TableFault::new("the definition of the table is no UTF-8", "Write it as CSV (`--csv FILE`)."))
}

fn land(
    from: &mut Connection,
    to: &mut Connection,
    wanted: &Wanted,
    plan: &Plan,
    script: (&str, &str),
    remarks: &mut Vec<String>,
    onlooker: Onlooker<'_>,
) -> Result<Vec<Landed>, TableFault> {
    let (movers, (before, after)) = (&plan.movers, script);
    to.run(&format!("set local lock_timeout = '{}ms'", wanted.lock_timeout.as_millis()))?;
    for schema in &plan.schemas {
        schemas::make(to, schema)?;
    }
    to.run(before).map_err(undefined)?;
    // Before there are chunks, which get the rights of their table.
    remarks.extend(closed::close(from, to, &plan.relations)?);
    // `alter table only`, as it is written there, is not for hypertables: these are made of tables that have everything.
    let is_whole_before = movers.iter().any(|mover| mover.shape.is_some());
    if is_whole_before {
        to.run(after).map_err(undefined)?;
    }
    let mut landed = Vec::new();
    for (number, mover) in movers.iter().enumerate() {
        let into = sql(&mover.becomes);
        if let Some(shape) = &mover.shape {
            shape.make(to, &mover.becomes)?;
        }
        (onlooker.begins)(&format!("copying rows into {}", shown(&into)));
        let columns: Vec<&Column> = mover.moved.stored().collect();
        let list = mover.moved.stored_list();
        let query = format!("select {list} from {}", rows_of(from, &mover.moved, number, wanted.condition.as_ref())?);
        let is_binary = stream::is_binary(from, to, &columns);
        let (rows, bytes) = stream::copy(from, &query, to, &into_columns(&into, &list), is_binary, onlooker.bytes, onlooker.stop)?;
        let (left_out, remake) = (mover.left_out.clone(), mover.remake.clone());
        landed.push(Landed { table: mover.original.clone(), into, rows, bytes, added: rows, left_out, remake, ..Landed::default() });
    }
    if !is_whole_before {
        (onlooker.begins)("building indexes and constraints");
        to.run(after).map_err(undefined)?;
    }
    for statistics in &plan.statistics {
        statistics.make(to)?;
    }
    for (mover, landed) in movers.iter().zip(&mut landed) {
        if let Some(shape) = &mover.shape {
            shape.set_compression(to, &mover.becomes)?;
            landed.held_jobs = if wanted.with_policies { shape.make_jobs(to, &mover.becomes)? } else { Vec::new() };
        }
        if let Some(about) = About::read(to, &mover.becomes)? {
            // Of its own sequences, which are new: they are where their table is.
            let needs = sequences::needed(to, &about, &about.from())?;
            sequences::forward(to, &needs)?;
        }
    }
    Ok(landed)
}

/// It may name something that the destination does not have.
fn undefined(fault: Fault) -> TableFault {
    const UNDEFINED: [&str; 6] = ["3F000", "42703", "42704", "42883", "42P01", "42P02"];
    let is_undefined = fault.code().is_some_and(|code| UNDEFINED.contains(&code));
    let fault = TableFault::from(fault);
    if !is_undefined {
        return fault;
    }
    let hint = "Its definition needs something that the destination does not have. Make that there first, or write the rows as CSV (`--csv FILE`).";
    TableFault { hint: hint.to_owned(), ..fault }
}
