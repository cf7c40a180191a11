//! The ages at which Seawall lets rows go around holds: each is written into the database by `apply`, which shows what goes with it and asks for
//! SW0910, as for a job of the database. The job that drops them goes by no age that is not on this record.

use super::amount::Amount;
use super::held::{SCHEMA, hold_entries};
use super::{Change, Found, sql};
use crate::inventory::{Held, HoldTable, Observed, TableName};
use crate::policy::path::PolicyPath;
use crate::units::Period;

const RETENTION: &str = "CREATE TABLE IF NOT EXISTS seawall.retention (policy text NOT NULL, table_name text NOT NULL, after text NOT NULL, \
    PRIMARY KEY (policy, table_name));";
/// Up to when rows have gone: whoever refreshes an aggregate of the table must know.
const DROPPED: &str = "CREATE TABLE IF NOT EXISTS seawall.dropped (table_name text PRIMARY KEY, before timestamptz NOT NULL);";

/// A table whose rows Seawall drops around holds.
pub(super) struct Around {
    pub path: PolicyPath,
    pub table: TableName,
    /// As the policy writes it, in words.
    pub written: String,
    /// None: nothing goes until something else is mended, and what was allowed stays on record.
    pub allow: Option<Allow>,
}

pub(super) struct Allow {
    pub after: Period,
    /// The age at which a job of the database drops them until now.
    pub by_database: Option<Period>,
    pub doomed: Amount,
    /// The same in words.
    pub what: String,
}

pub(super) fn compare(found: &mut Found<'_>, database: &str, tables: Vec<Around>, observed: &Observed<Held>) {
    // What is not known is told already.
    let Observed::Known(held) = observed else { return };
    let path = PolicyPath::from(["timescaledb", database]);
    let policy = sql::text(found.policy.name.as_str());
    if held.ages.is_none() && tables.iter().any(|one| one.allow.is_some()) {
        // Where holds are shown, or will be, they bring it.
        let is_for_holds = held.shown != HoldTable::Absent || !hold_entries(found.policy, database).is_empty();
        let schema = (!is_for_holds).then_some(("there is no schema `seawall`, or nothing in it yet", SCHEMA));
        let records = [
            ("there is no record of ages at which Seawall drops rows around holds", RETENTION),
            ("there is no record of what has gone so", DROPPED),
        ];
        for (says, sql) in schema.into_iter().chain(records) {
            let change = Change::new(path.clone(), Some(database), says.to_owned(), sql.to_owned());
            push(found, change.consequence("nothing but the record is made"));
        }
    }
    let nothing = Default::default();
    let there = held.ages.as_ref().unwrap_or(&nothing);
    for one in &tables {
        let Some(allow) = &one.allow else { continue };
        let name = one.table.to_string();
        let known = there.get(&name).copied();
        if known.is_some_and(|known| known.is_as_long_as(allow.after)) {
            continue;
        }
        let change = allowed(database, one, allow, known, &policy);
        push(found, change);
    }
    for name in there.keys().filter(|name| !tables.iter().any(|one| one.table.to_string() == **name)) {
        let says = format!("it is on record that Seawall may drop rows of {}, and it is no longer to", crate::plan::words::quoted(name));
        let sql = format!("DELETE FROM seawall.retention WHERE policy = {policy} AND table_name = {};", sql::text(name));
        push(found, Change::new(path.clone(), Some(database), says, sql).consequence("Seawall drops no rows there"));
    }
}

/// Not together with the rest: a role that may not write there must still be able to protect what is held, and nothing goes meanwhile.
fn push(found: &mut Found<'_>, change: Change) {
    found.push(Change { in_transaction: false, ..change });
}

fn allowed(database: &str, one: &Around, allow: &Allow, known: Option<Period>, policy: &str) -> Change {
    let Allow { after, by_database, doomed, what } = allow;
    let is = match known {
        Some(known) => format!("{known} is on record"),
        None => "that is not on record".to_owned(),
    };
    let says = format!("Seawall is to drop rows of {} after {after}, around what is held, and {is}", one.written);
    let sql = format!(
        "INSERT INTO seawall.retention (policy, table_name, after) VALUES ({policy}, {}, {}) \
         ON CONFLICT (policy, table_name) DO UPDATE SET after = EXCLUDED.after;",
        sql::text(&one.table.to_string()),
        sql::text(&after.to_string())
    );
    let until_now = known.or(*by_database);
    let is_sooner = !until_now.is_some_and(|known| known.is_as_long_as(*after) || known.is_surely_shorter(*after));
    let consequence = match doomed.is_nothing() {
        true => what.clone(),
        false => format!("drops {what}, at the next run of `{}`", one.path),
    };
    Change {
        drops: Some(*doomed).filter(|doomed| !doomed.is_nothing()),
        destructive: is_sooner && (until_now.is_some() || !doomed.is_nothing()),
        ..Change::new(one.path.clone(), Some(database), says, sql).consequence(consequence)
    }
}
