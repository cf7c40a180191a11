//! Rows under a legal hold: what the policy holds, and what the database shows of other policies. None of them is changed or removed here.

use super::about::{About, sql};
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::plan::words::{counted, plain, quoted as shown};
use crate::policy::model::Policy;
use crate::policy::sql_name::{literal, quoted, same_table};
use crate::postgres::{Connection, Row};
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
    pub(super) fn remark(&self, about: &About) -> Option<String> {
        same_table(&self.of, &about.name()).then(|| format!("{} {}: none of those is changed or removed", about.name(), self.says()))
    }

    fn says(&self) -> String {
        format!("has rows under the hold {} of the policy {} ({})", shown(&self.name), shown(&self.policy), plain(&self.reason))
    }

    /// Not false of a row that it holds. What has no column of time is held whatever its days.
    fn condition(&self, part: Option<&str>, time: Option<(&str, &str)>) -> String {
        let mut parts: Vec<String> =
            part.map(|oid| format!("seawall_part in (select relid from pg_partition_tree({oid}::oid))")).into_iter().collect();
        if let Some((column, r#type)) = time.filter(|(_, r#type)| r#type.starts_with("timestamp") || *r#type == "date") {
            let begins = |day: &str, later: u8| match r#type {
                "timestamp with time zone" => {
                    format!("(({}::date + {later})::timestamp at time zone {})", literal(day), literal(&self.zone))
                }
                _ => format!("({}::date + {later})", literal(day)),
            };
            parts.extend(self.from.as_ref().map(|from| format!("{} >= {}", quoted(column), begins(from, 0))));
            parts.extend(self.to.as_ref().map(|to| format!("{} < {}", quoted(column), begins(to, 1))));
        }
        // A comment at its end must not swallow what follows.
        parts.extend(self.condition.as_ref().map(|condition| format!("({condition}\n)")));
        if parts.is_empty() { "true".to_owned() } else { parts.join(" and ") }
    }
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

/// The table, those that it is a part of, and its own parts.
const KIN: &str = "\
    select n.nspname as schema, c.relname as name, c.oid::text as oid, \
      c.oid <> $1::oid and c.oid in (select relid from pg_partition_tree($1::oid)) as is_part \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where c.oid = $1::oid or c.oid in (select relid from pg_partition_ancestors($1::oid)) or c.oid in (select relid from pg_partition_tree($1::oid))";

/// Of rows that are about to go, or to become others, none is held. `from` is what a `select t.*` takes them from.
pub(super) fn must_stay(
    connection: &mut Connection,
    holds: &[Hold],
    about: &About,
    time: Option<(&str, &str)>,
    from: &str,
) -> Result<(), TableFault> {
    if holds.is_empty() {
        return Ok(());
    }
    for row in &connection.query(KIN, &[&about.oid])? {
        let kin = sql(&TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() });
        let part = if row.flag("is_part")? { Some(row.text("oid")?) } else { None };
        for hold in holds.iter().filter(|hold| same_table(&hold.of, &kin)) {
            let condition = hold.condition(part, time);
            let sql = format!(
                "select count(*) as n from (select t.tableoid as seawall_part, t.* from {from}) t where ({condition}) is not false"
            );
            let count: u64 = connection.query(&sql, &[])?.one()?.parse("n")?;
            if count > 0 {
                let (rows, are) = (counted(count, "row"), if count == 1 { "is" } else { "are" });
                let message = format!(
                    "{rows} of {} {are} under the hold {} of the policy {} ({}), and would be changed or removed",
                    about.name(),
                    shown(&hold.name),
                    shown(&hold.policy),
                    plain(&hold.reason)
                );
                let hint = "Nothing was changed. Leave them out with `--where`, or restore into a schema beside it (`--into-schema NAME`). A hold is \
                            let go in its policy (`holds`).";
                return Err(TableFault::new(message, hint));
            }
        }
    }
    Ok(())
}
