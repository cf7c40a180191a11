//! What databases say of holds, and of rows that go by their age.

use std::collections::BTreeMap;

use super::kin::AGGREGATES;
use crate::inventory::{EmptyHold, Held, HoldEntry, HoldTable, NoRows};
use crate::policy::model::Policy;
use crate::policy::sql_name::{literal, meaning};
use crate::postgres::{Connection, Fault, Row};
use crate::units::{Instant, Period};

/// As far as this policy is concerned.
pub fn look_at_holds(connection: &mut Connection, policy: &Policy, database: &str, now: Instant) -> Result<Held, Fault> {
    let today = policy.zone.wall_clock(now).date();
    let mut others = holds_shown(connection)?;
    others.retain(|(of, _)| of != policy.name.as_str());
    let stands = policy.row_holds.iter().filter(|(_, hold)| hold.database == database && hold.stands_on(today));
    let own = stands.map(|(name, hold)| (policy.name.as_str(), name.as_str(), hold.table.as_str()));
    let all: Vec<_> = own.chain(others.iter().map(|(policy, one)| (policy.as_str(), one.name.as_str(), one.of.as_str()))).collect();
    let names: Vec<&str> = all.iter().map(|(_, _, of)| *of).collect();
    let why = no_rows(connection, &names)?;
    let empty = |((policy, name, of), why): (&(&str, &str, &str), Option<NoRows>)| {
        Some(EmptyHold { policy: (*policy).to_owned(), name: (*name).to_owned(), of: (*of).to_owned(), why: why? })
    };
    let empty = all.iter().zip(why).filter_map(empty).collect();
    let shown = shown(connection, policy.name.as_str())?;
    Ok(Held { shown, others, empty, ages: ages(connection, policy.name.as_str())?, left: left_until(connection)? })
}

/// Of each name, why nothing that it may mean has rows of its own that could be held; none where something has. Without a schema it may be in any,
/// as where rows go; and it is not asked whether this role may use it.
pub fn no_rows(connection: &mut Connection, names: &[&str]) -> Result<Vec<Option<NoRows>>, Fault> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let meant = |(at, name): (usize, &&str)| {
        let mut parts = meaning(name);
        let (name, schema) = (parts.pop().unwrap_or_default(), parts.pop().unwrap_or_default());
        format!("({at}, {}, {})", literal(&schema), literal(&name))
    };
    let asked: Vec<String> = names.iter().enumerate().map(meant).collect();
    let sql = format!(
        "select asked.at::text as at, c.oid::text as oid, c.relkind::text in ('r', 'p', 'f') as has \
         from (values {}) as asked(at, of_schema, of_name) join pg_catalog.pg_class c on c.relname = asked.of_name \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace and asked.of_schema in ('', n.nspname) \
         where c.relkind::text in ('r', 'p', 'f', 'v', 'm')",
        asked.join(", ")
    );
    let mut all = vec![Some(NoRows::Missing); names.len()];
    for row in &connection.query(&sql, &[])? {
        let one: &mut Option<NoRows> = &mut all[row.parse::<usize>("at")?];
        if one.is_some() {
            *one = (!row.flag("has")? && !is_aggregate(connection, row.text("oid")?)?).then_some(NoRows::NotATable);
        }
    }
    Ok(all)
}

fn is_aggregate(connection: &mut Connection, oid: &str) -> Result<bool, Fault> {
    let installed = "select exists (select from pg_catalog.pg_extension where extname = 'timescaledb') as there";
    if !connection.query(installed, &[])?.one()?.flag("there")? {
        return Ok(false);
    }
    let sql =
        format!("with aggregates(view, inside) as ({AGGREGATES}) select exists (select from aggregates where view = $1::oid) as is_one");
    connection.query(&sql, &[oid])?.one()?.flag("is_one")
}

/// What is shown of a policy's own holds.
fn shown(connection: &mut Connection, policy: &str) -> Result<HoldTable, Fault> {
    if !is_there(connection, "seawall.hold")? || !is_there(connection, "seawall.legal_hold")? {
        return Ok(HoldTable::Absent);
    }
    let rows = connection.query(&entries("policy = $1"), &[policy])?;
    rows.iter().map(entry).collect::<Result<_, _>>().map(HoldTable::Present)
}

/// The holds that stand and are shown, each with its policy's name. By the clock, also late in a long transaction.
pub fn holds_shown(connection: &mut Connection) -> Result<Vec<(String, HoldEntry)>, Fault> {
    if !is_there(connection, "seawall.hold")? {
        return Ok(Vec::new());
    }
    let stand = "until is null or (pg_catalog.clock_timestamp() at time zone zone)::date < until";
    let rows = connection.query(&entries(stand), &[])?;
    rows.iter().map(|row| Ok((row.text("policy")?.to_owned(), entry(row)?))).collect()
}

/// How a database writes dates (`datestyle`) is its own affair.
fn entries(which: &str) -> String {
    format!(
        "select policy, name, of_table, condition, pg_catalog.to_char(rows_from, 'YYYY-MM-DD') as rows_from, \
         pg_catalog.to_char(rows_to, 'YYYY-MM-DD') as rows_to, reason, pg_catalog.to_char(until, 'YYYY-MM-DD') as until, zone \
         from seawall.hold where {which} order by policy, name"
    )
}

fn entry(row: &Row) -> Result<HoldEntry, Fault> {
    let owned = |column: &str| row.get(column).map(str::to_owned);
    Ok(HoldEntry {
        name: row.text("name")?.to_owned(),
        of: row.text("of_table")?.to_owned(),
        condition: owned("condition"),
        rows_from: owned("rows_from"),
        rows_to: owned("rows_to"),
        reason: row.text("reason")?.to_owned(),
        until: owned("until"),
        zone: row.text("zone")?.to_owned(),
    })
}

/// The ages that were allowed, by table. One that nobody can read allows nothing.
pub fn ages(connection: &mut Connection, policy: &str) -> Result<Option<BTreeMap<String, Period>>, Fault> {
    if !is_there(connection, "seawall.retention")? || !is_there(connection, "seawall.dropped")? {
        return Ok(None);
    }
    let mut ages = BTreeMap::new();
    for row in &connection.query("select table_name, after from seawall.retention where policy = $1", &[policy])? {
        if let Ok(after) = row.text("after")?.parse() {
            ages.insert(row.text("table_name")?.to_owned(), after);
        }
    }
    Ok(Some(ages))
}

/// Up to when rows have left each table, by its name: for an archive, as far as they have not come back, or around holds.
pub fn left_until(connection: &mut Connection) -> Result<BTreeMap<String, Instant>, Fault> {
    let mut all: BTreeMap<String, Instant> = BTreeMap::new();
    // As chunks are cut: what has no zone is in UTC, and the record has everything in it.
    for (record, before) in [("seawall.archived", "before::timestamp at time zone 'UTC'"), ("seawall.dropped", "before")] {
        if !is_there(connection, record)? {
            continue;
        }
        let sql = format!("select table_name, (extract(epoch from max({before})) * 1000000)::bigint as micros from {record} group by 1");
        for row in &connection.query(&sql, &[])? {
            if let Ok(at) = Instant::from_microsecond(row.parse("micros")?) {
                let until = all.entry(row.text("table_name")?.to_owned()).or_insert(at);
                *until = at.max(*until);
            }
        }
    }
    Ok(all)
}

fn is_there(connection: &mut Connection, table: &str) -> Result<bool, Fault> {
    connection.query("select pg_catalog.to_regclass($1) is not null as there", &[table])?.one()?.flag("there")
}
