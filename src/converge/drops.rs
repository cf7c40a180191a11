//! Who takes old rows out of a table.

use std::fmt;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use super::database::Database;
use crate::inventory::TableName;
use crate::plan::words::quoted;
use crate::policy::file;
use crate::policy::model::{Policy, RowHold};
use crate::policy::sql_name;
use crate::units::{Instant, Period};

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
    Hold(HoldName),
    /// Rows are to be archived first.
    Archive,
    /// The policy says that the database's own jobs do not drop.
    Asked,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Hold(name) => write!(f, "while the hold {name} stands"),
            Why::Archive => f.write_str("once they are archived"),
            Why::Asked => f.write_str("as the policy says"),
        }
    }
}

/// A hold by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HoldName {
    /// Of another policy, which shows it in the same database.
    pub policy: Option<String>,
    pub name: String,
}

impl fmt::Display for HoldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.name))?;
        match &self.policy {
            Some(policy) => write!(f, " of the policy {}", quoted(policy)),
            None => Ok(()),
        }
    }
}

/// A hold that stands, or stood: of this policy or of another one.
#[derive(Debug, Clone)]
pub(super) struct Holding<'h> {
    pub name: HoldName,
    pub hold: &'h RowHold,
    pub zone: &'h TimeZone,
}

/// The age at which rows of a table, `written` so in the policy, go, whoever takes them out.
pub(super) fn goes_after(policy: &Policy, database: &str, written: &str, retain: Option<Period>) -> Option<Period> {
    let archive = policy.archives.iter().find(|one| one.database == database && sql_name::same_table(&one.table, written));
    match (archive.map(|archive| archive.after), retain) {
        (Some(archive), Some(retain)) => Some(archive.min(retain)),
        (one, other) => one.or(other),
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
    let Some(after) = goes_after(policy, database.name, written, retain) else { return Drops::Nobody };
    let is_archived = policy.archives.iter().any(|one| one.database == database.name && sql_name::same_table(&one.table, written));
    let held = holds_cut(policy, database, table, Some(after), now).into_iter().map(|one| Why::Hold(one.name));
    let is_asked = policy.file.timescaledb.get(database.name).is_some_and(file::Timescale::is_dropped_by_seawall);
    let others = [(is_archived, Why::Archive), (is_asked, Why::Asked)].into_iter().filter(|(is_so, _)| *is_so);
    let because: Vec<Why> = held.chain(others.map(|(_, why)| why)).collect();
    if because.is_empty() { Drops::Database { after } } else { Drops::Seawall { after, because } }
}

/// The holds that a job would cut which drops rows of a table after some time, or by some other rule: also those on a chunk of it, or on a view.
pub(super) fn holds_cut<'h>(
    policy: &'h Policy,
    database: &'h Database<'_>,
    table: &TableName,
    after: Option<Period>,
    now: Instant,
) -> Vec<Holding<'h>> {
    let own = policy.row_holds.iter().filter(|(_, hold)| hold.database == database.name).map(|(name, hold)| Holding {
        name: HoldName { policy: None, name: name.to_string() },
        hold,
        zone: policy.zone.time_zone(),
    });
    let others = database.others.iter().map(|other| Holding {
        name: HoldName { policy: Some(other.policy.clone()), name: other.name.clone() },
        hold: &other.hold,
        zone: other.zone.time_zone(),
    });
    let holds: Vec<Holding<'h>> = own.chain(others).collect();
    if holds.is_empty() {
        return Vec::new();
    }
    let kin = database.state.kin(table);
    let touches = |hold: &RowHold| kin.touch(&sql_name::meaning(&hold.table)).is_some();
    holds.into_iter().filter(|one| touches(one.hold) && one.hold.is_cut(after, one.zone, now)).collect()
}
