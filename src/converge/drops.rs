//! Who takes old rows out of a table.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::database::Database;
use crate::inventory::TableName;
use crate::policy::file::Date;
use crate::policy::model::{Policy, RowHold};
use crate::policy::sql_name;
use crate::units::{Instant, Name, Period};

/// Who takes old rows out of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Drops {
    /// They stay.
    Nobody,
    /// TimescaleDB's own job, which looks at nothing but the age.
    Database { after: Period },
    /// Seawall, chunk by chunk, leaving out what is protected.
    Seawall { after: Period, because: Vec<Why> },
}

/// What the database's own job would not see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Rows that it would drop are held.
    Hold(Name),
    /// Rows are to be archived first.
    Archive,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Hold(name) => write!(f, "while the hold `{name}` stands"),
            Why::Archive => f.write_str("once they are archived"),
        }
    }
}

/// Who drops rows of a table, `written` so in the policy, that it keeps for `retain`.
pub(super) fn drops(
    policy: &Policy,
    database: &Database<'_>,
    (table, written): (&TableName, &str),
    retain: Option<Period>,
    now: Instant,
) -> Drops {
    let archive = policy.archives.iter().find(|one| one.database == database.name && sql_name::same_table(&one.table, written));
    let after = match (archive.map(|archive| archive.after), retain) {
        (Some(archive), Some(retain)) => archive.min(retain),
        (Some(after), None) | (None, Some(after)) => after,
        (None, None) => return Drops::Nobody,
    };
    let held = holds_cut(policy, database, table, Some(after), now).into_iter().map(Why::Hold);
    let because: Vec<Why> = held.chain(archive.map(|_| Why::Archive)).collect();
    if because.is_empty() { Drops::Database { after } } else { Drops::Seawall { after, because } }
}

/// The holds that a job would cut which drops rows of a table after some time, or by some other rule: also those on a chunk of it, or on a view.
pub(super) fn holds_cut(policy: &Policy, database: &Database<'_>, table: &TableName, after: Option<Period>, now: Instant) -> Vec<Name> {
    let holds: Vec<(&Name, &RowHold)> = policy.row_holds.iter().filter(|(_, hold)| hold.database == database.name).collect();
    if holds.is_empty() {
        return Vec::new();
    }
    let kin = database.state.kin(table);
    let touches = |hold: &RowHold| kin.touch(&sql_name::meaning(&hold.table)).is_some();
    holds.into_iter().filter(|(_, hold)| touches(hold) && is_cut(policy, hold, after, now)).map(|(name, _)| name.clone()).collect()
}

/// The hold still stands when the first of its rows has reached the age.
fn is_cut(policy: &Policy, hold: &RowHold, after: Option<Period>, now: Instant) -> bool {
    let zone = policy.zone.time_zone();
    let beginning = |date: Date| date.0.to_zoned(zone.clone()).ok().map(|start| start.timestamp());
    let Some(until) = hold.until else { return true };
    // A date beyond all calendars has not come.
    let Some(until) = beginning(until) else { return true };
    let gone = hold.from.and_then(beginning).zip(after).map_or(now, |(first, after)| after.after(first, zone).max(now));
    gone < until
}
