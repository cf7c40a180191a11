//! Rows under a legal hold: what the policy holds, and what the database shows of other policies. None of them is changed or removed here.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use super::about::About;
use super::session;
use crate::execute::archive::Time;
use crate::execute::table::{TableFault, Why};
use crate::inventory::{Kin, TableName, Touch};
use crate::observe::{family, kin};
use crate::plan::words::{counted, plain, quoted as shown};
use crate::policy::model::Policy;
use crate::policy::sql_name::{literal, meaning, quoted};
use crate::postgres::{Connection, Fault, Row, Rows};
use crate::units::Instant;

/// A hold that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    policy: String,
    name: String,
    /// A table, as somebody wrote it.
    of: String,
    condition: Option<String>,
    /// Days; both are held.
    from: Option<String>,
    to: Option<String>,
    zone: String,
    reason: String,
}

impl Hold {
    /// Before anything is done.
    pub(super) fn remark(&self, about: &About, kin: &Kin) -> Option<String> {
        let touch = kin.touch(&meaning(&self.of));
        touch.map(|_| format!("{} {}: none of those is changed or removed", about.name(), self.says()))
    }

    fn says(&self) -> String {
        format!("has rows under the hold {} of the policy {} ({})", shown(&self.name), shown(&self.policy), plain(&self.reason))
    }

    /// Not false of a row that it holds. What has no column of time is held whatever its days.
    fn condition(&self, part: Option<&TableName>, time: Option<(&str, &str)>) -> String {
        let is_part = |part| format!("seawall_part in ({})", family(&format!("{}::regclass", literal(&sql(part)))));
        let mut parts: Vec<String> = part.map(is_part).into_iter().collect();
        if let Some((column, time)) = time.and_then(|(column, r#type)| Some((column, Time::of(r#type)?))) {
            parts.extend(time.days(&quoted(column), (self.from.as_deref(), self.to.as_deref()), &self.zone));
        }
        // A comment at its end must not swallow what follows.
        parts.extend(self.condition.as_ref().map(|condition| format!("({condition}\n)")));
        if parts.is_empty() { "true".to_owned() } else { parts.join(" and ") }
    }
}

fn sql(table: &TableName) -> String {
    format!("{}.{}", quoted(&table.schema), quoted(&table.name))
}

pub(super) fn of_policy(policy: &Policy, database: &str, now: Instant) -> Vec<Hold> {
    let today = policy.zone.wall_clock(now).date();
    let all = policy.row_holds.iter().filter(|(_, hold)| hold.database == database && hold.stands_on(today));
    all.map(|(name, hold)| Hold {
        policy: policy.name.to_string(),
        name: name.to_string(),
        of: hold.table.clone(),
        condition: hold.condition.clone(),
        from: hold.from.map(|date| date.0.to_string()),
        to: hold.to.map(|date| date.0.to_string()),
        zone: policy.zone.to_string(),
        reason: hold.reason.clone(),
    })
    .collect()
}

/// What `apply` wrote there, of whichever policy.
pub(super) fn shown_there(connection: &mut Connection) -> Result<Vec<Hold>, TableFault> {
    const IS_THERE: &str = "select to_regclass('seawall.hold') is not null as it, \
        coalesce(has_table_privilege(to_regclass('seawall.hold'), 'select'), true) as may, current_user as me";
    const HOLDS: &str = "select policy, name, of_table, condition, rows_from::text as rows_from, rows_to::text as rows_to, zone, reason \
        from seawall.hold where until is null or (now() at time zone zone)::date < until order by policy, name";
    let rows = connection.query(IS_THERE, &[])?;
    let row = rows.one()?;
    if !row.flag("it")? {
        return Ok(Vec::new());
    }
    if !row.flag("may")? {
        let message = format!("the role {} may not read `seawall.hold`, and so not know which rows are under hold", shown(row.text("me")?));
        return Err(TableFault::new(message, "Connect as a superuser, or `grant select on seawall.hold to` it."));
    }
    let hold = |row: &Row| {
        let text = |name: &str| row.text(name).map(str::to_owned);
        let maybe = |name: &str| row.get(name).map(str::to_owned);
        Ok(Hold {
            policy: text("policy")?,
            name: text("name")?,
            of: text("of_table")?,
            condition: maybe("condition"),
            from: maybe("rows_from"),
            to: maybe("rows_to"),
            zone: text("zone")?,
            reason: text("reason")?,
        })
    };
    connection.query(HOLDS, &[])?.iter().map(hold).collect()
}

/// Rows that are about to go, or to become others.
pub(super) struct Going<'g> {
    /// The table that has them, and what people know it by.
    pub oid: &'g str,
    pub name: String,
    /// The column by which the days of a hold count, and its type.
    pub time: Option<(&'g str, &'g str)>,
    /// What a `select t.*` takes them from.
    pub from: &'g str,
    /// That is not the table any more: of which part of it they were nobody can tell.
    pub apart: bool,
}

/// What becomes of held rows of a table.
pub(super) const CHANGED: &str = "and would be changed or removed";
/// And of those of a continuous aggregate, whoever refreshes it.
pub(super) const MADE_ANEW: &str = "and would be made anew from the rows that change here";

/// Some of them are held.
pub(super) struct Held {
    rows: u64,
    of: String,
    hold: Hold,
    /// What the hold names, where that has no rows of its own.
    view: Option<TableName>,
}

impl Held {
    pub(super) fn says(&self, would: &str) -> String {
        let are = if self.rows == 1 { "is" } else { "are" };
        let Hold { name, policy, reason, .. } = &self.hold;
        let (name, policy, reason) = (shown(name), shown(policy), plain(reason));
        format!("{} of {} {are} under the hold {name} of the policy {policy} ({reason}), {would}", counted(self.rows, "row"), self.of)
    }

    fn refuse(&self, would: &str) -> TableFault {
        let view = self.view.as_ref().map_or_else(String::new, |view| {
            let (view, of) = (sql(view), &self.of);
            format!(" It names {view}, of whose rows nobody can tell which of {of} they are, so all are held: name the table there.")
        });
        let hint = "Nothing was changed. Leave them out with `--where`, or restore into a schema beside it (`--into-schema NAME`). A hold is \
                    let go in its policy (`holds`).";
        TableFault::new(self.says(would), format!("{hint}{view}"))
    }
}

/// None of them is held.
pub(super) fn must_stay(connection: &mut Connection, holds: &[Hold], going: &Going<'_>, would: &str) -> Result<(), TableFault> {
    match first_held(connection, holds, going)? {
        Some(held) => Err(held.refuse(would)),
        None => Ok(()),
    }
}

/// The same of rows that are gone by now and were kept nowhere: whatever the holds say of the table may have been said of them.
pub(super) fn must_not_touch(connection: &mut Connection, holds: &[Hold], about: &About) -> Result<(), TableFault> {
    if holds.is_empty() {
        return Ok(());
    }
    let kin = kin(connection, &about.oid)?;
    match holds.iter().find(|hold| kin.touch(&meaning(&hold.of)).is_some()) {
        None => Ok(()),
        Some(hold) => {
            let message = format!("{} {}, which came while rows were changed", about.name(), hold.says());
            Err(TableFault::stale(message, "Nothing was changed. Run it again: then it is asked first which rows are held."))
        }
    }
}

/// From here to the end of the transaction no hold comes. The lock is the last one and is asked for again and again instead of waited for, so that
/// nobody waits in a circle; a role that may only read holds does without.
pub(super) fn none_comes_now(connection: &mut Connection, patience: Duration, stop: &AtomicBool) -> Result<(), TableFault> {
    const MAY: &str = "select coalesce(has_table_privilege(to_regclass('seawall.hold'), 'update, delete, truncate'), false) as may";
    /// Somebody has it.
    const TAKEN: &str = "55P03";
    const AGAIN: Duration = Duration::from_millis(100);
    if !connection.query(MAY, &[])?.one()?.flag("may")? {
        return Ok(());
    }
    connection.run("savepoint seawall_hold")?;
    let began = Stopwatch::now();
    loop {
        match connection.run("lock table seawall.hold in share mode nowait") {
            Ok(_) => return Ok(()),
            Err(fault) if fault.code() == Some(TAKEN) && began.elapsed() < patience => {
                connection.run("rollback to savepoint seawall_hold")?;
                session::go_on(stop)?;
                thread::sleep(AGAIN);
            }
            Err(fault) if fault.code() == Some(TAKEN) => {
                let message = "somebody is changing holds (`seawall.hold`), so nobody can tell which rows will be held";
                let hint = "Nothing was changed. Run it again when that has ended, or wait longer for it (`--lock-timeout`).";
                return Err(TableFault { why: Why::Passing, ..TableFault::new(message, hint) });
            }
            Err(fault) => return Err(fault.into()),
        }
    }
}

/// Times in a hold's condition are those of its own zone.
fn in_zone(connection: &mut Connection, zone: &str, sql: &str) -> Result<Rows, Fault> {
    const SET: &str = "select set_config('timezone', $1, false) as zone";
    let before = connection.query("select current_setting('timezone') as zone", &[])?.one()?.text("zone")?.to_owned();
    connection.query(SET, &[zone])?;
    let rows = connection.query(sql, &[])?;
    connection.query(SET, &[&before])?;
    Ok(rows)
}

pub(super) fn first_held(connection: &mut Connection, holds: &[Hold], going: &Going<'_>) -> Result<Option<Held>, Fault> {
    if holds.is_empty() {
        return Ok(None);
    }
    let kin = kin(connection, going.oid)?;
    for hold in holds {
        let (condition, view) = match kin.touch(&meaning(&hold.of)) {
            Some(Touch::Whole) => (hold.condition(None, going.time), None),
            Some(Touch::Part(part)) => (hold.condition((!going.apart).then_some(part), going.time), None),
            Some(Touch::View(view)) => ("true".to_owned(), Some(view.clone())),
            None => continue,
        };
        let from = going.from;
        let sql =
            format!("select count(*) as n from (select t.tableoid as seawall_part, t.* from {from}) t where ({condition}) is not false");
        let rows: u64 = in_zone(connection, &hold.zone, &sql)?.one()?.parse("n")?;
        if rows > 0 {
            return Ok(Some(Held { rows, of: going.name.clone(), hold: hold.clone(), view }));
        }
    }
    Ok(None)
}
