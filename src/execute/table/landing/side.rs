//! Into a schema beside the original: the table with its indexes, constraints and defaults, and without what ties it to others.

use super::about::{About, Column, Kind, joined_columns, sql, timescale};
use super::hypertable::Shape;
use super::origin::rows_of;
use super::script::statements;
use super::{Destination, Landed, Lost, Onlooker, Origin, Wanted, sequences, session, stream};
use crate::execute::backup::BackupFault;
use crate::execute::dump::child::{self, Halt};
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::plan::words::quoted as shown;
use crate::policy::sql_name::quoted;
use crate::postgres::Connection;

mod lost;
mod ties;

/// Definitions are small.
const LARGEST: usize = 256 << 20;

/// A table on its way.
struct Mover {
    /// What is read.
    reads: About,
    /// Of what it becomes.
    columns: Vec<Column>,
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
        let landed = land(from, to, wanted, (schema, &plan.movers), (&before, &after), onlooker).and_then(|landed| {
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

struct Plan {
    movers: Vec<Mover>,
    /// What `pg_dump` is told to take.
    patterns: Vec<String>,
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
    let own: Vec<Vec<Lost>> = abouts.iter().map(|about| lost::own(from, to, about, together, origin)).collect::<Result<_, TableFault>>()?;
    let mut movers = Vec::new();
    let mut patterns: Vec<String> = if is_new { vec![format!("--schema={}", pattern(&[schema]))] } else { Vec::new() };
    for ((number, original), mut lost) in abouts.iter().enumerate().zip(own) {
        let becomes = becomes(&original.table);
        let mut left_out = Vec::new();
        let mut shape = None;
        let read = (original.kind == Kind::Hypertable).then(|| Shape::read(from, &original.table)).transpose()?;
        let is_itself = becomes == original.table;
        if is_itself {
            let aggregates = read.as_ref().map_or(&[] as &[String], |shape| shape.aggregates.as_slice());
            lost.extend(lost::around(from, to, original, &kin, origin, aggregates)?);
        }
        left_out.extend(lost.iter().map(|lost| lost.what.clone()));
        let remake = if is_itself { lost.into_iter().filter_map(|lost| lost.sql).collect() } else { Vec::new() };
        let about = &ties::make_way(from, original, &becomes, number)?;
        let oid = if let Some(read) = read {
            left_out.extend(read.left_out(&becomes, wanted.with_policies && takes_hypertables));
            if takes_hypertables {
                shape = Some(read);
            } else {
                remarks.push(format!("{} comes back as a plain table: the destination has no TimescaleDB", original.name()));
            }
            ties::like(from, about, &becomes)?
        } else {
            ties::untie(from, about, together)?;
            ties::shift(from, about, &becomes)?;
            about.oid.clone()
        };
        if !about.heirs.is_empty() {
            remarks.push(format!("rows of tables that inherit from {} are their own, and not among these", original.name()));
        }
        left_out.extend(ties::lacking(from, to, &oid, is_new.then_some(schema))?);
        left_out.extend(original.large_objects());
        let moved = origin.about(from, &becomes)?;
        // A hypertable's rows are where they were; all others' moved with their table.
        let reads = if about.kind == Kind::Hypertable { about.clone() } else { moved.clone() };
        if !is_new {
            patterns.extend(ties::names(from, &oid)?.iter().map(|table| format!("--table={}", pattern(&[&table.schema, &table.name]))));
        }
        movers.push(Mover { reads, columns: moved.columns, becomes, original: original.name(), shape, left_out, remake });
    }
    Ok(Plan { movers, patterns })
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
    (schema, movers): (&str, &[Mover]),
    (before, after): (&str, &str),
    onlooker: Onlooker<'_>,
) -> Result<Vec<Landed>, TableFault> {
    to.run(&format!("set local lock_timeout = '{}ms'", wanted.lock_timeout.as_millis()))?;
    to.run(&format!("create schema if not exists {}", quoted(schema)))?;
    to.run(before).map_err(|fault| undefined(fault.into()))?;
    // `alter table only`, as it is written there, is not for hypertables: these are made of tables that have everything.
    let is_whole_before = movers.iter().any(|mover| mover.shape.is_some());
    if is_whole_before {
        to.run(after).map_err(|fault| undefined(fault.into()))?;
    }
    let mut landed = Vec::new();
    for (number, mover) in movers.iter().enumerate() {
        let into = sql(&mover.becomes);
        if let Some(shape) = &mover.shape {
            shape.make(to, &mover.becomes)?;
        }
        (onlooker.begins)(&format!("copying rows into {}", shown(&into)));
        let columns: Vec<&Column> = mover.columns.iter().filter(|column| !column.is_generated).collect();
        let list = joined_columns(columns.iter().map(|column| quoted(&column.name)));
        let query = format!("select {list} from {}", rows_of(from, &mover.reads, number, wanted.condition.as_ref())?);
        let is_binary = stream::is_binary(from, to, &columns);
        let (rows, bytes) = stream::copy(from, &query, to, &format!("{into} ({list})"), is_binary, onlooker.bytes, onlooker.stop)?;
        let (left_out, remake) = (mover.left_out.clone(), mover.remake.clone());
        landed.push(Landed { table: mover.original.clone(), into, rows, bytes, added: rows, left_out, remake, ..Landed::default() });
    }
    if !is_whole_before {
        (onlooker.begins)("building indexes and constraints");
        to.run(after).map_err(|fault| undefined(fault.into()))?;
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

/// It names something that the destination does not have.
fn undefined(fault: TableFault) -> TableFault {
    let hint = "Its definition needs something that the destination does not have. Make that there first, or write the rows as CSV (`--csv FILE`).";
    TableFault { hint: hint.to_owned(), ..fault }
}
