//! What a query finds.

use super::Copy;
use super::judge::{self, Verdict};
use super::session::{Limit, within};
use crate::format::recorded::Gave;
use crate::policy::file::Value;
use crate::policy::model::Comparison;
use crate::postgres::{Connection, Fault, Rows};
use crate::units::Instant;

/// Nobody needs to know how many more there are.
const COUNTED_TO: u64 = 1_000;

pub(super) fn ask(copy: &Copy<'_>, database: &str, sql: &str, comparison: &Comparison, limit: &Limit<'_>) -> Verdict {
    let mut connection = match (copy.connect)(database) {
        Ok(connection) => connection,
        Err(fault) => return Verdict::failed(judge::said(&fault.message)),
    };
    let judged = within(&mut connection, limit, |connection| {
        begin(connection)?;
        let verdict = match comparison {
            Comparison::NoRows | Comparison::SomeRows => rows(connection, sql, comparison)?,
            Comparison::Rows(wanted) => exactly(connection, sql, wanted)?,
            _ => match single(&connection.query(sql, &[])?) {
                Ok(found) => value(copy, connection, (database, sql), comparison, &found)?,
                Err(says) => Verdict::failed(says),
            },
        };
        Ok(verdict)
    });
    // The transaction ends with its session.
    judged.unwrap_or_else(|fault| Verdict::failed(limit.told(&connection, &fault)))
}

/// Nothing that a query does stays, and values are written in one way.
pub(in crate::execute) fn begin(connection: &mut Connection) -> Result<(), Fault> {
    connection
        .run("set datestyle = 'ISO, MDY'; set client_encoding = 'UTF8'; set row_security = off; set default_transaction_read_only = on")?;
    connection.run("begin isolation level repeatable read read only").map(|_| ())
}

/// A value, and the name of its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::execute) struct Found {
    pub value: Option<String>,
    column: String,
}

/// The only value of an answer, or why there is none.
pub(in crate::execute) fn single(rows: &Rows) -> Result<Found, String> {
    let [column] = rows.columns() else {
        return Err(format!("one value was expected, and {} came", judge::tally(rows.columns().len(), "column")));
    };
    match rows.len() {
        1 => {}
        0 => return Err("one value was expected, and no row came".to_owned()),
        many => return Err(format!("one value was expected, and {} came", judge::tally(many, "row"))),
    }
    let value = rows.iter().next().and_then(|row| row.values().first().cloned().flatten());
    Ok(Found { value, column: column.clone() })
}

fn value(
    copy: &Copy<'_>,
    connection: &mut Connection,
    asked: (&str, &str),
    comparison: &Comparison,
    found: &Found,
) -> Result<Verdict, Fault> {
    let (text, unit) = (found.value.as_deref(), judge::unit_of(&found.column));
    Ok(match comparison {
        Comparison::Is(wanted) => judge::is(wanted, text),
        Comparison::Range { least, most } => judge::range(least.as_ref(), most.as_ref(), text, unit),
        Comparison::NewerThan(age) => match text {
            None => Verdict::failed(format!("null, a time at most {age} old expected")),
            Some(text) => match moment(connection, text)? {
                Some(moment) => judge::newer_than(*age, moment, copy.recovered_to),
                None => Verdict::failed(format!("{} is no time, one at most {age} old expected", judge::shown(Some(text)))),
            },
        },
        Comparison::LikeSource(tolerance) => {
            let answer = copy.private.answers.iter().find(|answer| (answer.database.as_str(), answer.sql.as_str()) == asked);
            match answer.map(|answer| &answer.gave) {
                Some(Gave::Value(recorded)) => judge::like_source(*tolerance, text, Some(recorded), unit),
                Some(Gave::Null) => judge::like_source(*tolerance, text, None, unit),
                Some(Gave::Nothing(why)) => Verdict::failed(format!(
                    "{}, and the original gave no answer when the backup ended: {}",
                    judge::shown(text),
                    judge::said(why)
                )),
                None => Verdict::failed(format!(
                    "{}, and the backup has no answer of the original: it was taken before this was asked",
                    judge::shown(text)
                )),
            }
        }
        // They are more than one value.
        Comparison::NoRows | Comparison::SomeRows | Comparison::Rows(_) => Verdict::failed("rows have no value"),
    })
}

/// The server reads it: what has no zone is meant as its own `TimeZone` says.
fn moment(connection: &mut Connection, text: &str) -> Result<Option<Instant>, Fault> {
    const SQL: &str = "select (pg_catalog.date_part('epoch', case when pg_catalog.isfinite(t) then t end) * 1000000)::bigint as micros \
         from (select $1::timestamptz as t) t";
    match connection.query(SQL, &[text]) {
        Ok(rows) => Ok(rows.one()?.parse_if::<i64>("micros")?.and_then(|micros| Instant::from_microsecond(micros).ok())),
        // It is not a time, which is an answer.
        Err(fault) if fault.code().is_some_and(|code| code.starts_with("22")) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Of more than those that are wanted only the first is read.
fn exactly(connection: &mut Connection, sql: &str, wanted: &[Vec<Value>]) -> Result<Verdict, Fault> {
    connection.query(&format!("declare seawall no scroll cursor for {sql}"), &[])?;
    let found = connection.query(&format!("fetch {} from seawall", wanted.len() + 1), &[])?;
    let found: Vec<Vec<Option<&str>>> = found.iter().map(|row| row.values().iter().map(Option::as_deref).collect()).collect();
    Ok(judge::rows(wanted, &found))
}

/// Counted on the server: there may be millions of them.
fn rows(connection: &mut Connection, sql: &str, comparison: &Comparison) -> Result<Verdict, Fault> {
    connection.query(&format!("declare seawall no scroll cursor for {sql}"), &[])?;
    let first = connection.query("fetch 1 from seawall", &[])?;
    let Some(row) = first.iter().next() else {
        return Ok(if *comparison == Comparison::NoRows { judge::no_rows(0, "", COUNTED_TO) } else { judge::some_rows(0) });
    };
    if *comparison == Comparison::SomeRows {
        return Ok(judge::some_rows(1));
    }
    let moved = connection.query(&format!("move forward {COUNTED_TO} in seawall"), &[])?;
    let more: u64 = moved.tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default();
    let values: Vec<&str> = row.values().iter().map(|value| value.as_deref().unwrap_or("null")).collect();
    Ok(judge::no_rows(more + 1, &judge::shown(Some(&values.join(", "))), COUNTED_TO))
}
