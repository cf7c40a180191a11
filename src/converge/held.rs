//! Holds that hold nothing, and what is under hold where applications can see it: `seawall.legal_hold` in each database of which rows are held.

use super::{Became, Change, Found, HoldChange, Remark, sql};
use crate::inventory::{EmptyHold, Held, HoldEntry, HoldTable, NoRows, Observed, Timescale};
use crate::plan::words::{plain, quoted};
use crate::policy::model::Policy;
use crate::policy::path::PolicyPath;
use crate::policy::sql_name::meaning;

/// `IF NOT EXISTS` asks for the right to make one also where it is there.
pub(super) const SCHEMA: &str = "DO $$ BEGIN IF pg_catalog.to_regnamespace('seawall') IS NULL THEN CREATE SCHEMA seawall; END IF; END $$;";

/// It holds what every policy says of this database.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS seawall.hold (policy text NOT NULL, name text NOT NULL, of_table text NOT NULL, \
    condition text, rows_from date, rows_to date, reason text NOT NULL, until date, zone text NOT NULL, PRIMARY KEY (policy, name));";
const VIEW: &str = "CREATE OR REPLACE VIEW seawall.legal_hold AS SELECT policy, name, of_table, condition, rows_from, rows_to, reason, until, \
    zone FROM seawall.hold WHERE until IS NULL OR (pg_catalog.now() AT TIME ZONE zone)::date < until;";

/// Only what is shown changes. Not together with the rest: a role that may not make a schema must still be able to protect what is held.
fn push(found: &mut Found<'_>, path: PolicyPath, database: &str, (says, sql): (String, String), consequence: &str) {
    let change = Change::new(path, Some(database), says, sql).consequence(consequence);
    found.push(Change { in_transaction: false, ..change });
}

pub(super) fn compare(found: &mut Found<'_>, database: &str, timescale: &Timescale, observed: &Observed<Held>) {
    let holds = PolicyPath::from(["holds"]);
    let wanted = hold_entries(found.policy, database);
    let there = match observed {
        Observed::Known(held) => {
            let own = |one: &&EmptyHold| one.policy == found.policy.name.as_str() && !is_read(one, timescale);
            for one in held.empty.iter().filter(own) {
                let path = holds.key(&one.name).key("rows").key("table");
                let message = format!("{}, so the hold {} protects nothing", missing(one, database), quoted(&one.name));
                found.refuse(path, message, MEND);
            }
            match &held.shown {
                HoldTable::Absent => None,
                HoldTable::Present(entries) => Some(entries.as_slice()),
            }
        }
        Observed::Unknown { reason } => {
            let message = format!("what holds {} shows is not known: {}", quoted(database), plain(reason));
            return found.unknown.push(Remark::new(
                holds,
                message,
                "The role of `cluster.connection` must be able to read `seawall.hold`.",
            ));
        }
    };
    if there.is_none() && !wanted.is_empty() {
        let shows = "applications that are let read it see what is under hold; nobody is let by this";
        for (says, sql) in [
            ("there is no schema `seawall`, or not yet what shows holds", SCHEMA),
            ("there is no table of what is under hold", TABLE),
            ("there is no view `seawall.legal_hold` of the holds that stand", VIEW),
        ] {
            push(found, holds.clone(), database, (says.to_owned(), sql.to_owned()), shows);
        }
    }
    let there = there.unwrap_or_default();
    for entry in &wanted {
        let name = quoted(&entry.name);
        let (says, became) = match there.iter().find(|one| one.name == entry.name) {
            Some(one) if one == entry => continue,
            Some(_) => (format!("the hold {name} reads otherwise in `seawall.legal_hold`"), Became::Changed),
            None => (format!("the hold {name} is not in `seawall.legal_hold`"), Became::Placed),
        };
        let consequence = "only what is shown changes; what is held is what the policy says";
        let change = Change::new(holds.key(&entry.name), Some(database), says, put(found.policy, entry)).consequence(consequence);
        found.push(Change { in_transaction: false, hold: Some(became_of(entry, became)), ..change });
    }
    for entry in there.iter().filter(|one| !wanted.iter().any(|entry| entry.name == one.name)) {
        let says = format!("`seawall.legal_hold` has a hold {}, which the policy has not", quoted(&entry.name));
        let (policy, name) = (sql::text(found.policy.name.as_str()), sql::text(&entry.name));
        let sql = format!("DELETE FROM seawall.hold WHERE policy = {policy} AND name = {name};");
        let change = Change::new(holds.clone(), Some(database), says, sql)
            .consequence("it is no longer shown, and archives and `retain` leave its rows no longer");
        // After those that may replace it, and not together with the rest, which is done first: what breaks off before leaves both.
        found.push(Change { in_transaction: false, hold: Some(became_of(entry, Became::Released)), ..change });
    }
}

fn became_of(entry: &HoldEntry, became: Became) -> HoldChange {
    HoldChange { name: entry.name.clone(), of: entry.of.clone(), reason: entry.reason.clone(), became }
}

const MEND: &str =
    "Write the table's name as it is now, with its schema, or take the hold out. Until then no job of this database is told to drop rows.";

/// What is wrong with what it names.
pub(super) fn missing(one: &EmptyHold, database: &str) -> String {
    match one.why {
        NoRows::Missing => format!("there is no table {} in {}", quoted(&one.of), quoted(database)),
        NoRows::NotATable => format!("{} in {} has no rows of its own", quoted(&one.of), quoted(database)),
    }
}

/// A view that reads tables whose rows may go: they stay, all of them.
fn is_read(one: &EmptyHold, timescale: &Timescale) -> bool {
    let Timescale::Installed(state) = timescale else { return false };
    one.why == NoRows::NotATable && state.views.iter().any(|view| view.view.is_meant_by(&meaning(&one.of)))
}

/// What `seawall.hold` is to say of the holds of a policy in this database.
pub fn hold_entries(policy: &Policy, database: &str) -> Vec<HoldEntry> {
    let of_it = policy.row_holds.iter().filter(|(_, hold)| hold.database == database);
    let text = |date: Option<crate::policy::file::Date>| date.map(|date| date.0.to_string());
    of_it
        .map(|(name, hold)| HoldEntry {
            name: name.to_string(),
            of: hold.table.clone(),
            condition: hold.condition.clone(),
            rows_from: text(hold.from),
            rows_to: text(hold.to),
            reason: hold.reason.clone(),
            until: text(hold.until),
            zone: policy.zone.to_string(),
        })
        .collect()
}

fn put(policy: &Policy, entry: &HoldEntry) -> String {
    let or_null = |text: &Option<String>| text.as_ref().map_or_else(|| "NULL".to_owned(), |text| sql::text(text));
    let values = [
        sql::text(policy.name.as_str()),
        sql::text(&entry.name),
        sql::text(&entry.of),
        or_null(&entry.condition),
        or_null(&entry.rows_from),
        or_null(&entry.rows_to),
        sql::text(&entry.reason),
        or_null(&entry.until),
        sql::text(&entry.zone),
    ];
    let columns = ["of_table", "condition", "rows_from", "rows_to", "reason", "until", "zone"];
    let set: Vec<String> = columns.iter().map(|column| format!("{column} = EXCLUDED.{column}")).collect();
    format!(
        "INSERT INTO seawall.hold (policy, name, {}) VALUES ({}) ON CONFLICT (policy, name) DO UPDATE SET {};",
        columns.join(", "),
        values.join(", "),
        set.join(", ")
    )
}
