//! Retention with holds: what is old enough goes, chunk by chunk, and what is held stays. TimescaleDB's own job looks at nothing but the age,
//! so where a hold names rows of a table, it is taken away and this is done instead.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::chunks::Going;
use super::remove::{BUSY, REFERENCED, begin, unrecorded};
use super::slice::Slice;
use super::table::{Subject, Table};
use super::{Done, chunks, connect, held};
use crate::execute::expire;
use crate::observe::ages;
use crate::plan::words::joined;
use crate::policy::model::Dropping;
use crate::postgres::{Connection, Fault};
use crate::site::{Site, SiteFault};

/// Rows of one stretch of time that are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    pub database: String,
    pub table: String,
    pub from: String,
    pub to: String,
    pub rows: u64,
    /// Whole chunks; none where rows of them had to stay.
    pub chunks: usize,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retained {
    /// Rows.
    pub dropped: u64,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
}

/// What became of one stretch of time.
enum Fate {
    Gone(Dropped),
    /// Others came meanwhile, or something keeps them.
    Stays,
    /// A hold came since the run began, as it is told.
    Held(String),
    Unrecorded,
}

/// Takes out what is old enough and not held. `each` hears of it before it is so for good, and puts it on record, and once more when it is; what cannot
/// be put there, stays.
pub fn retain(
    site: &Site<'_>,
    dropping: &Dropping,
    each: &dyn Fn(Done, &Dropped) -> bool,
    stop: &AtomicBool,
) -> Result<Retained, SiteFault> {
    let mut connection = connect(site, &dropping.database)?;
    let Dropping { path, database, table, after, .. } = dropping;
    let subject = Subject { path, database, table, column: None, after: *after };
    let now = expire::moment_of(&mut connection)?;
    let table = Table::find(&mut connection, site.policy, &subject, now)?;
    if table.holds.is_empty() && !dropping.always {
        let remark = format!("{}: no hold stands on rows of it, so dropping them is the database's own", table.known_as());
        return Ok(Retained { remarks: vec![remark], ..Retained::default() });
    }
    must_be_allowed(&mut connection, site, dropping, &table)?;
    if let Some(blind) = table.blind_job(&mut connection)? {
        return Err(blind);
    }
    let (mut after, mut done) = (None, Retained::default());
    while !stop.load(Ordering::Relaxed) {
        let Some(slice) = Slice::next(&mut connection, &table, after.as_deref(), u64::MAX, &BTreeSet::new())? else { break };
        let (from, to) = (&slice.from, &slice.to);
        let stay = |why: &str| format!("{}: rows between {from} and {to} {why}", table.known_as());
        let fate = take_out(&mut connection, &table, &slice, each);
        if !matches!(fate, Ok(Fate::Gone(_))) && !connection.is_broken() {
            connection.run("rollback")?;
        }
        match fate {
            Ok(Fate::Gone(dropped)) => done.dropped += dropped.rows,
            // The next run takes a chunk that somebody made there just now with the others.
            Ok(Fate::Stays) => done.remarks.push(stay("stay for now: others came meanwhile, or a trigger keeps them")),
            Ok(Fate::Held(came)) => {
                done.remarks.push(came);
                break;
            }
            Ok(Fate::Unrecorded) => return Err(unrecorded()),
            Err(fault) if fault.code().is_some_and(|code| BUSY.contains(&code)) => {
                done.remarks.push(stay("are locked by somebody and stay for now"));
            }
            Err(fault) if fault.code().is_some_and(|code| REFERENCED.contains(&code)) => {
                return Err(referenced(&mut connection, dropping, &table, &stay("cannot be dropped"))?);
            }
            Err(fault) => return Err(fault.into()),
        }
        after = Some(slice.to);
    }
    Ok(done)
}

fn take_out(connection: &mut Connection, table: &Table, slice: &Slice, each: &dyn Fn(Done, &Dropped) -> bool) -> Result<Fate, Fault> {
    begin(connection)?;
    let Some(dropped) = drop_one(connection, table, slice)? else { return Ok(Fate::Stays) };
    // Before the last look: the record may take its time, and a hold that comes meanwhile is seen.
    if !each(Done::Removing, &dropped) {
        return Ok(Fate::Unrecorded);
    }
    if let Some(came) = held::came_at_last(connection, table)? {
        return Ok(Fate::Held(came));
    }
    connection.run("commit")?;
    each(Done::Removed, &dropped);
    Ok(Fate::Gone(dropped))
}

/// Rows of other tables need some of them: which tables, and by what.
fn referenced(connection: &mut Connection, dropping: &Dropping, table: &Table, stay: &str) -> Result<SiteFault, Fault> {
    let by = chunks::references(connection, table)?;
    let by: Vec<String> = by.iter().map(|(by, constraint)| format!("`{by}` (by its constraint `{constraint}`)")).collect();
    let by = if by.is_empty() { "other tables".to_owned() } else { joined(by) };
    let message = format!("{}: {stay}, because rows of {by} refer to some of them", dropping.path);
    let hint = "Let those rows go first, let what they refer to stay for longer, or drop the constraint. What went before it is gone, and the rest is tried by \
                the next run.";
    Ok(SiteFault::new(message, hint))
}

/// Nobody may learn from its absence how much goes: `apply` has shown it, and had it acknowledged.
fn must_be_allowed(connection: &mut Connection, site: &Site<'_>, dropping: &Dropping, table: &Table) -> Result<(), SiteFault> {
    let Dropping { path, after, .. } = dropping;
    let ages = ages(connection, site.policy.name.as_str())?.unwrap_or_default();
    let is = match ages.get(&table.known.to_string()) {
        Some(known) if known.is_as_long_as(*after) || known.is_surely_shorter(*after) => return Ok(()),
        Some(known) => format!("the database has {known} on record"),
        None => "the database has no age of it on record".to_owned(),
    };
    let message = format!("{path}: rows of {} older than {after} are to go, and {is}", table.known_as());
    let hint = "Nothing was dropped. `seawall plan --connect` shows what would go; `seawall apply` writes it down, and asks for SW0910 where rows \
                go sooner than they did.";
    Err(SiteFault::new(message, hint))
}

/// None where other chunks were there at the end than at the beginning, or rows stayed that should not.
fn drop_one(connection: &mut Connection, table: &Table, slice: &Slice) -> Result<Option<Dropped>, Fault> {
    let (from, to) = (&slice.from, &slice.to);
    let condition = table.condition(from, to);
    let going = chunks::going(connection, table, from, to)?;
    let (rows, chunks) = match going {
        Going::Rows => {
            let gone =
                format!("with gone as (delete from {} where {condition} returning 1) select count(*)::text as rows from gone", table.name);
            (connection.query(&gone, &[])?.one()?.parse("rows")?, 0)
        }
        Going::Chunks(whole) => {
            let all = format!("select count(*)::text as rows from {} where {condition}", table.name);
            let rows = connection.query(&all, &[])?.one()?.parse("rows")?;
            if chunks::drop_all(connection, table, from, to)? != whole {
                return Ok(None);
            }
            (rows, whole.len())
        }
        Going::Parts(parts) => {
            let Some(rows) = chunks::delete_parts(connection, table, (from, to), &condition, &parts)? else { return Ok(None) };
            (rows, 0)
        }
    };
    note_dropped(connection, table, to)?;
    let (database, name) = (table.database.clone(), table.known_as().to_owned());
    Ok(Some(Dropped { database, table: name, from: from.clone(), to: to.clone(), rows, chunks }))
}

/// Whoever refreshes an aggregate of the table must know up to where it is no longer whole: what is held stays there, and hides it.
fn note_dropped(connection: &mut Connection, table: &Table, to: &str) -> Result<(), Fault> {
    let sql = "insert into seawall.dropped as known (table_name, before) values ($1, $2::text::timestamptz) \
               on conflict (table_name) do update set before = greatest(known.before, excluded.before)";
    connection.query(sql, &[&table.known.to_string(), to]).map(drop)
}
