//! Two databases change their names in one step: what was restored gets the name, and what had it is set aside.
//!
//! The server takes the name's lock before it looks who is connected, and keeps it to the end: whoever comes in between waits, and is told
//! that the database has just got another name. So nobody has to be kept out by a setting that somebody would have to take back, and after
//! `kill -9` either both have their new names or none.

use std::collections::BTreeSet;

use super::act::of;
use super::leave::{Who, while_ending};
use super::renamed::Renamed;
use super::{Plan, Session, own};
use crate::execute::restore::RestoreFault;
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault};
use crate::units::Instant;

/// PostgreSQL cuts what is longer.
const LONGEST_NAME: usize = 63;
/// How a database is copied can be said.
const STRATEGIES_SINCE: u32 = 15;

/// A name that no database of the server has.
pub(super) fn aside(plan: &Plan, now: Instant) -> Result<String, RestoreFault> {
    let mut connection = plan.maintenance()?;
    let rows = connection.query("select datname from pg_catalog.pg_database", &[]).map_err(of)?;
    let taken = rows.iter().map(|row| row.text("datname")).collect::<Result<BTreeSet<&str>, Fault>>().map_err(of)?;
    Ok(free(&plan.wanted.into, now, &taken))
}

/// `shop_before_20261122T001500Z`; the next within the same second `shop_before_20261122T001500Z_2`.
fn free(name: &str, now: Instant, taken: &BTreeSet<&str>) -> String {
    let when = now.strftime("_before_%Y%m%dT%H%M%SZ").to_string();
    let tails = std::iter::once(when.clone()).chain((2_u64..).map(|number| format!("{when}_{number}")));
    tails.map(|tail| fitting(name, &tail)).find(|name| !taken.contains(name.as_str())).expect("there are more numbers than databases")
}

fn fitting(name: &str, tail: &str) -> String {
    let most = LONGEST_NAME - tail.len();
    let end = (0..=most.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{tail}", &name[..end])
}

/// Gives who was sent away.
pub(super) fn swap(plan: &Plan, made: &str, before: &str) -> Result<Vec<Session>, RestoreFault> {
    let into = &plan.wanted.into;
    let stays = |fault: RestoreFault| {
        let message = format!("{fault}; `{into}` is as it was, and everything that was restored is in `{made}`");
        let own = if fault.hint.is_empty() { String::new() } else { format!("{} ", fault.hint) };
        let hint = format!("{own}When nobody uses it, from another database: {} Or drop it and restore again.", own::by_hand(plan, made));
        RestoreFault::new(message, hint)
    };
    let mut connection = plan.maintenance().map_err(stays)?;
    let old = Renamed::by(&mut connection, into).map_err(stays)?;
    let ender = plan.maintenance().map_err(stays)?;
    let who = Who { made: Some(made), old: plan.wanted.end_connections.then_some(old.oid.as_str()) };
    let (swapped, ended) = while_ending(who, ender, || exchange(plan, made, before, &mut connection));
    if let Err(fault) = swapped {
        let name = old.name(plan, connection);
        let fault = match &ended {
            Err(why) => RestoreFault::new(format!("{fault} ({})", why.message), ""),
            Ok(_) => fault,
        };
        match name {
            // It did what it was asked to, and could not say so.
            Ok(name) if name == before => {}
            Ok(_) => return Err(stays(fault)),
            Err(why) => return Err(old.unknown(&fault, &why, before, &stays(fault.clone()).hint)),
        }
    }
    Ok(or_unknown(ended))
}

/// Waits a few seconds for who is still connected, with the lock.
fn exchange(plan: &Plan, made: &str, before: &str, connection: &mut Connection) -> Result<(), RestoreFault> {
    let into = quoted(&plan.wanted.into);
    connection.run("set statement_timeout = '60s'; begin").map_err(of)?;
    own::give(plan, made, connection)?;
    let rename = format!("alter database {into} rename to {}; alter database {} rename to {into}; commit", quoted(before), quoted(made));
    connection.run(&rename).map(drop).map_err(of)
}

/// As it is, before anything comes into it. The server lets nobody in meanwhile, and copies files: what it wrote into its log instead would be
/// archived too.
pub(super) fn copy(plan: &Plan, copy: &str) -> Result<Vec<Session>, RestoreFault> {
    let into = &plan.wanted.into;
    let not_copied = |fault: RestoreFault| {
        let message = format!("`{into}` cannot be copied first: {fault}; it is as it was");
        let hint =
            if fault.hint.is_empty() { "Leave `--snapshot` away where it is safe in another way.".to_owned() } else { fault.hint.clone() };
        RestoreFault::new(message, hint)
    };
    let mut connection = plan.maintenance().map_err(not_copied)?;
    let old = Renamed::by(&mut connection, into).map_err(not_copied)?;
    let strategy = if plan.target.major >= STRATEGIES_SINCE { " strategy file_copy" } else { "" };
    let sql = format!("create database {} template {}{strategy}", quoted(copy), quoted(into));
    let ender = plan.maintenance().map_err(not_copied)?;
    let who = Who { made: None, old: plan.wanted.end_connections.then_some(old.oid.as_str()) };
    let (copied, ended) = while_ending(who, ender, || connection.run(&sql).map(drop).map_err(of));
    copied.map_err(not_copied)?;
    // Who may enter the original does not come with a copy, and everybody may enter what is new.
    connection.run(&format!("revoke all on database {} from public", quoted(copy))).map_err(of).map_err(|fault| {
        let message =
            format!("the copy `{copy}` of `{into}` is made, and cannot be closed to everybody else: {fault}; `{into}` is as it was");
        RestoreFault::new(message, format!("Drop it with `drop database {}`, and run it again.", quoted(copy)))
    })?;
    Ok(or_unknown(ended))
}

fn or_unknown(ended: Result<Vec<Session>, Fault>) -> Vec<Session> {
    ended.unwrap_or_else(|fault| {
        tracing::warn!("who was connected is not known: {}", fault.message);
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_when_and_fits() {
        let now: Instant = "2026-11-22T00:15:00Z".parse().expect("a moment");
        let none = BTreeSet::new();
        assert_eq!(free("shop", now, &none), "shop_before_20261122T001500Z");
        let long = free(&"ü".repeat(40), now, &none);
        assert!(long.len() <= 63 && long.ends_with("ü_before_20261122T001500Z"), "{long}");
    }

    #[test]
    fn a_name_that_is_taken_is_not_given_again() {
        let now: Instant = "2026-11-22T00:15:00Z".parse().expect("a moment");
        let names = ["shop_before_20261122T001500Z", "shop_before_20261122T001500Z_2"];
        assert_eq!(free("shop", now, &BTreeSet::from(names)), "shop_before_20261122T001500Z_3");
        // Where it is cut, it is cut to fit the number too.
        let long = "x".repeat(80);
        let first = free(&long, now, &BTreeSet::new());
        let second = free(&long, now, &BTreeSet::from([first.as_str()]));
        assert!(first.len() == 63 && second.len() == 63 && second.ends_with("x_before_20261122T001500Z_2"), "{first} {second}");
    }
}
