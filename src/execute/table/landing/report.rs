use schemars::JsonSchema;
use serde::Serialize;

use super::difference::Difference;
use super::hypertable::Refresh;
use crate::execute::dump::restore::HeldJob;
use crate::units::{Instant, Name};

/// What came of it: what `--format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall restore --table")]
pub struct Report {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    pub policy: String,
    pub host: String,
    pub started: Instant,
    pub ended: Instant,
    /// `schema`, `csv`, `replace` or `merge`.
    pub way: String,
    pub store: Name,
    pub backup: String,
    /// Of when the rows are, in words.
    pub moment: String,
    /// Which rows, where not all were wanted.
    pub condition: Option<String>,
    /// Where they are now; absent where that is a file.
    pub server: Option<String>,
    pub database: Option<String>,
    pub tables: Vec<Landed>,
    /// What would be changed by a merge; of each table, where one was to be shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// False where only the difference was to be shown.
    pub done: bool,
    pub seconds: Seconds,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
}

/// How long each part took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Seconds {
    /// Looking for the backup and at the destination.
    pub plan: f64,
    /// Until the private server held the tables.
    pub source: f64,
    /// From there to where they are now.
    pub landing: f64,
    pub total: f64,
}

/// What became of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Landed {
    pub table: String,
    /// The table or the file that has the rows now.
    pub into: String,
    /// Rows that came out of the backup.
    pub rows: u64,
    /// As they were sent.
    pub bytes: u64,
    /// Rows that were not there.
    pub added: u64,
    /// Rows that were there otherwise.
    pub changed: u64,
    /// Rows that were there and are not in the backup.
    pub removed: u64,
    /// The table that has what was changed or removed, as it was before.
    pub kept_in: Option<String>,
    /// SQL that brings back what was there before.
    pub undo: Option<String>,
    /// What it had and has no more; where it has come back under its own name, also what was made of it or led to it, and is gone.
    pub left_out: Vec<String>,
    /// SQL that makes of it again what can be made, in this order, where the table has come back under its own name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remake: Vec<String>,
    /// Jobs of TimescaleDB that were made again, and do not run until somebody says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_jobs: Vec<HeldJob>,
    /// Statements that refresh the continuous aggregates that are made of it, where its rows have changed; in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub refresh: Vec<Refresh>,
}
