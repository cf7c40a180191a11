//! The copy against what the backup wrote down of the original when it ended.

use super::judge::{self, Verdict, all_well, tally};
use super::session::Limit;
use super::{Copy, everywhere};
use crate::format::recorded::{Recorded, RecordedHypertable, RecordedTimescale, TableRows};
use crate::inventory::{Compression, Dimension, TableName, Timescale, TimescaleState};
use crate::plan::words::quoted;
use crate::policy::sql_name;
use crate::postgres::{Connection, Fault};
use crate::timescale;
use crate::units::Decimal;

/// From so many recorded rows on, a sample of the pages says enough.
const SAMPLED_FROM: u64 = 20_000_000;
/// As many rows a sample has about.
const SAMPLE: u64 = 2_000_000;

const NOTHING_RECORDED: &str =
    "the backup recorded nothing of this: it was taken by an earlier version of Seawall, or the database could not be looked at then";

/// What was recorded of these databases; it fails where nothing was.
fn recorded<'c>(copy: &'c Copy<'_>, databases: &[String]) -> Result<Vec<(&'c String, &'c Recorded)>, String> {
    let of: Vec<_> = copy.private.recorded.iter().filter(|(name, _)| databases.contains(name)).collect();
    if of.is_empty() { Err(NOTHING_RECORDED.to_owned()) } else { Ok(of) }
}

fn names(of: &[(&String, &Recorded)]) -> Vec<String> {
    of.iter().map(|(name, _)| (*name).clone()).collect()
}

/// Databases that were recorded and are not there any more.
fn gone(copy: &Copy<'_>, databases: &[String]) -> Vec<String> {
    let recorded = copy.private.recorded.keys().filter(|name| !databases.contains(name));
    recorded.map(|name| format!("the database {} is not there", quoted(name))).collect()
}

pub(super) fn extensions(copy: &Copy<'_>, databases: &[String], limit: &Limit<'_>) -> Result<Verdict, String> {
    const SQL: &str = "select extname as name, extversion as version from pg_extension";
    let recorded = &copy.private.extensions;
    if !databases.iter().any(|database| recorded.contains_key(database)) {
        return Err(NOTHING_RECORDED.to_owned());
    }
    let known: Vec<String> = databases.iter().filter(|database| recorded.contains_key(*database)).cloned().collect();
    let (mut wrong, mut count) = (Vec::new(), 0);
    everywhere(copy, &known, limit, |database, connection| {
        let rows = connection.query(SQL, &[])?;
        for (name, version) in recorded.get(database).into_iter().flatten() {
            count += 1;
            let found = rows.iter().find(|row| row.get("name") == Some(name)).and_then(|row| row.get("version"));
            if found != Some(version) {
                let found = found.map_or_else(|| "is not there".to_owned(), |found| format!("is {}", quoted(found)));
                wrong.push(format!("{} of {} {found}, and {} was recorded", quoted(name), quoted(database), quoted(version)));
            }
        }
        Ok(())
    })?;
    Ok(all_well(format!("{} as recorded", tally(count, "extension")), &wrong))
}

pub(super) fn hypertables(copy: &Copy<'_>, databases: &[String], limit: &Limit<'_>) -> Result<Verdict, String> {
    let (mut tables, mut chunks, mut recorded_chunks) = (0, 0, 0);
    let wrong = timescale(copy, databases, limit, |recorded, theirs, state, server| {
        let since = copy.recovered_to.duration_since(recorded.at);
        let mut wrong = Vec::new();
        for one in &theirs.hypertables {
            let name = full(&one.table);
            let Some(found) = state.chunks_of(&one.table) else {
                wrong.push(format!("the hypertable {} is not there", quoted(&name)));
                continue;
            };
            tables += 1;
            chunks += found.len() as u64;
            recorded_chunks += one.chunks;
            let may_be_gone = judge::chunks_that_may_be_gone(one.every, one.partitions, one.chunks, since);
            if (found.len() as u64).saturating_add(may_be_gone) < one.chunks {
                wrong.push(format!("{} has {}, and {} were recorded", quoted(&name), tally(found.len(), "chunk"), one.chunks));
            }
            wrong.extend(defined(one, theirs, state, server).map(|what| format!("{} {what}", quoted(&name))));
        }
        wrong
    })?;
    let (tables, found) = (tally(tables, "hypertable"), judge::counted_beside(chunks, recorded_chunks, "chunk"));
    Ok(all_well(format!("{tables} with {found}"), &wrong))
}

/// What is not as it was defined. A definition is compared by its words, which are the same only where the same versions write them.
fn defined(one: &RecordedHypertable, theirs: &RecordedTimescale, state: &TimescaleState, server: u32) -> Option<&'static str> {
    let hypertable = state.hypertables.iter().find(|found| found.table == one.table);
    let aggregate = state.continuous_aggregates.iter().find(|found| found.view == one.table);
    let is_same_version =
        theirs.versions.as_ref().is_some_and(|versions| versions.extension == state.version && versions.server / 10_000 == server / 10_000);
    if let Some(found) = hypertable.filter(|found| !one.dimensions.is_empty() && found.dimensions != one.dimensions) {
        let by = |dimensions: &[Dimension]| dimensions.iter().map(|one| one.column.clone()).collect::<Vec<_>>();
        return Some(match by(&found.dimensions) == by(&one.dimensions) {
            true => "is divided into other chunks than was recorded",
            false => "is divided by other columns than was recorded",
        });
    }
    // Where nobody chose columns, the extension may do so later.
    let is_other = |recorded: &Compression, found: &Compression| {
        (!recorded.segment_by.is_empty() && recorded.segment_by != found.segment_by)
            || (!recorded.order_by.is_empty() && recorded.order_by != found.order_by)
    };
    match (&one.compression, hypertable.and_then(|found| found.compression.as_ref())) {
        (Some(_), None) => return Some("is not compressed, and it was recorded that it is"),
        (Some(recorded), Some(found)) if is_other(recorded, found) => return Some("is compressed otherwise than was recorded"),
        _ => {}
    }
    let made = one.made.as_ref().filter(|_| is_same_version)?;
    aggregate.filter(|found| found.definition != made.definition).map(|_| "selects something else than was recorded")
}

pub(super) fn jobs(copy: &Copy<'_>, databases: &[String], limit: &Limit<'_>) -> Result<Verdict, String> {
    let mut count = 0;
    let wrong = timescale(copy, databases, limit, |_, theirs, state, _| {
        let mut wrong = Vec::new();
        for job in &theirs.jobs {
            count += 1;
            let of = job.of.as_ref().map(|of| format!(" for {}", quoted(full(of)))).unwrap_or_default();
            let what = format!("the job {} {}{of}", job.id, quoted(&job.procedure));
            match state.jobs.iter().find(|one| one.id == job.id && one.procedure == job.procedure && one.of == job.of) {
                None => wrong.push(format!("{what} is not there")),
                Some(found) if found.scheduled != job.scheduled => {
                    let word = |scheduled| if scheduled { "runs" } else { "is paused" };
                    wrong.push(format!("{what} {}, and it was recorded that it {}", word(found.scheduled), word(job.scheduled)));
                }
                Some(_) => {}
            }
        }
        wrong
    })?;
    Ok(all_well(format!("{} as recorded", tally(count, "job")), &wrong))
}

fn full(table: &TableName) -> String {
    format!("{}.{}", table.schema, table.name)
}

/// Each database with TimescaleDB, as it was recorded and as it is.
fn timescale(
    copy: &Copy<'_>,
    databases: &[String],
    limit: &Limit<'_>,
    mut compare: impl FnMut(&Recorded, &RecordedTimescale, &TimescaleState, u32) -> Vec<String>,
) -> Result<Vec<String>, String> {
    let mut of = recorded(copy, databases)?;
    of.retain(|(_, recorded)| recorded.timescale.is_some());
    if of.is_empty() {
        return Err("by what the backup recorded, none of these databases has TimescaleDB".to_owned());
    }
    let mut wrong = Vec::new();
    everywhere(copy, &names(&of), limit, |database, connection| {
        let seen = timescale::observe(connection)?;
        let recorded = of.iter().find(|(name, _)| *name == database).map(|(_, recorded)| *recorded);
        let Some((recorded, theirs)) = recorded.and_then(|recorded| Some((recorded, recorded.timescale.as_ref()?))) else { return Ok(()) };
        match seen {
            Timescale::Absent => wrong.push(format!("TimescaleDB is not in {}", quoted(database))),
            Timescale::Installed(state) => wrong.extend(compare(recorded, theirs, &state, connection.version())),
        }
        Ok(())
    })?;
    Ok(wrong)
}

pub(super) fn row_counts(copy: &Copy<'_>, databases: &[String], limit: &Limit<'_>) -> Result<Verdict, String> {
    let of = recorded(copy, databases)?;
    let (mut wrong, mut tables, mut rows) = (Vec::new(), 0, 0_u64);
    let is_all = databases.len() > 1;
    if is_all {
        wrong.extend(gone(copy, databases));
    }
    everywhere(copy, &names(&of), limit, |database, connection| {
        let Some((_, recorded)) = of.iter().find(|(name, _)| *name == database) else { return Ok(()) };
        for one in &recorded.tables {
            let name = format!("{database}: {}", full(&one.table));
            tables += 1;
            match count(connection, one)? {
                Some(found) => {
                    rows = rows.saturating_add(found);
                    wrong.extend(judge::rows_lost(&name, one.rows, found));
                }
                None => wrong.push(format!("{} is not there", quoted(name))),
            }
        }
        Ok(())
    })?;
    let well = format!("{} with {} rows, as about recorded", tally(tables, "table"), Decimal::from(rows));
    Ok(all_well(well, &wrong))
}

/// How many rows a table has; of a large one by a sample of its pages. None where there is no such table.
fn count(connection: &mut Connection, recorded: &TableRows) -> Result<Option<u64>, Fault> {
    const ABOUT: &str = "select c.relkind in ('r', 'p') and not exists (select from pg_inherits i where i.inhparent = c.oid and c.relkind = 'r') as plain \
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2";
    let table = &recorded.table;
    let about = connection.query(ABOUT, &[&table.schema, &table.name])?;
    let Some(about) = about.iter().next() else { return Ok(None) };
    let name = format!("{}.{}", sql_name::quoted(&table.schema), sql_name::quoted(&table.name));
    // What inherits, as hypertables do, is read whole: a sample knows nothing of how its parts are kept.
    if recorded.rows < SAMPLED_FROM || !about.flag("plain")? {
        return Ok(Some(connection.query(&format!("select count(*) as count from {name}"), &[])?.one()?.parse("count")?));
    }
    let percent = SAMPLE as f64 * 100.0 / recorded.rows as f64;
    let sql = format!("select count(*) as count from {name} tablesample system ({percent:.6})");
    let found: f64 = connection.query(&sql, &[])?.one()?.parse("count")?;
    Ok(Some((found * 100.0 / percent) as u64))
}
