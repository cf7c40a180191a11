use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OneOrMany, Schedule};
use crate::units::{Duration, Name, Period};

/// What TimescaleDB keeps, compresses, refreshes and archives in one database.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timescale {
    /// The hypertables, by name as in SQL.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "readings": { "retain": "2y" } }))]
    pub hypertables: BTreeMap<String, Hypertable>,
    /// The continuous aggregates, by name as in SQL.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "readings_daily": { "refresh_before": ["nightly"] } }))]
    pub continuous_aggregates: BTreeMap<String, ContinuousAggregate>,
    /// Who drops rows that are past `retain`. Without it: `database`. `seawall`, where the database has no jobs, as the build of TimescaleDB under the
    /// Apache licence: a job of Seawall then does it once a day, by the same ages and chunk by chunk.
    #[schemars(example = &"seawall")]
    pub dropped_by: Option<DroppedBy>,
}

/// Who drops rows that are past their age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DroppedBy {
    Database,
    Seawall,
}

impl Timescale {
    pub fn is_dropped_by_seawall(&self) -> bool {
        self.dropped_by == Some(DroppedBy::Seawall)
    }
}

/// A hypertable.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hypertable {
    /// How its chunks are compressed.
    #[schemars(example = serde_json::json!({ "after": "7d", "segment_by": ["device"], "order_by": ["time DESC"] }))]
    pub compress: Option<Compress>,
    /// How long its rows stay; older chunks are dropped, those to be archived only once they are.
    #[schemars(example = &"7y")]
    pub retain: Option<Period>,
    /// Old chunks that move to cold storage: exported, read back, and only then dropped.
    #[schemars(example = serde_json::json!({ "after": "5y", "store": "cold" }))]
    pub archive: Option<Archive>,
}

/// How chunks are compressed.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compress {
    /// The age from which chunks are compressed.
    #[schemars(example = &"7d")]
    pub after: Period,
    /// The columns that keep rows of one kind together.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["organization_id", "material_id"]))]
    pub segment_by: Vec<String>,
    /// The columns by which rows are ordered inside, each with ASC or DESC if wanted.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["recorded_at DESC"]))]
    pub order_by: Vec<String>,
}

/// Old rows that move to cold storage.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// The age from which rows move.
    #[schemars(example = &"5y")]
    pub after: Period,
    /// The store they move to.
    #[schemars(example = &"cold")]
    pub store: Name,
    /// The form they get: CSV always, because rows come back from it, and Parquet beside it unless this is `csv` alone.
    #[schemars(example = &"parquet")]
    pub format: Option<OneOrMany<ArchiveFormat>>,
    /// How long they stay there, counted from when they moved; for ever without it.
    #[schemars(example = &"20y")]
    pub keep: Option<Period>,
    /// When it runs. Without it: once a day.
    #[schemars(example = serde_json::json!({ "day": 1, "of": "month", "at": "01:00" }))]
    pub schedule: Option<Schedule>,
}

/// The form of archived rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArchiveFormat {
    Csv,
    Parquet,
}

/// Old rows of a plain table that move to cold storage.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableArchive {
    /// The database; may be left out when the policy has exactly one.
    #[schemars(example = &"shop")]
    pub database: Option<String>,
    /// The table, written as in SQL.
    #[schemars(example = &"orders")]
    pub table: String,
    /// The column with the time that says how old a row is.
    #[schemars(example = &"placed_at")]
    pub column: String,
    /// The age from which rows move.
    #[schemars(example = &"5y")]
    pub after: Period,
    /// The store they move to.
    #[schemars(example = &"cold")]
    pub store: Name,
    /// The form they get: CSV always, because rows come back from it, and Parquet beside it unless this is `csv` alone.
    #[schemars(example = &"csv")]
    pub format: Option<OneOrMany<ArchiveFormat>>,
    /// How long they stay there; for ever without it.
    #[schemars(example = &"20y")]
    pub keep: Option<Period>,
    /// When it runs. Without it: once a day.
    #[schemars(example = serde_json::json!({ "day": 1, "of": "month", "at": "01:00" }))]
    pub schedule: Option<Schedule>,
}

/// A continuous aggregate.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContinuousAggregate {
    /// How it is kept up to date by TimescaleDB.
    #[schemars(example = serde_json::json!({ "every": "1h", "from": "3d", "to": "1h" }))]
    pub refresh: Option<Refresh>,
    /// The backup jobs before which it is refreshed. Where that fails the backup is taken all the same, and the run ends as failed.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["nightly"]))]
    pub refresh_before: Vec<Name>,
    /// How long the refresh before a backup may take. Without it: 10 minutes.
    #[schemars(example = &"10m")]
    pub refresh_timeout: Option<Duration>,
    /// How long its rows stay.
    #[schemars(example = &"10y")]
    pub retain: Option<Period>,
}

/// How a continuous aggregate is kept up to date.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// How often.
    #[schemars(example = &"1h")]
    pub every: Duration,
    /// The age of the oldest rows that are refreshed.
    #[schemars(example = &"3d")]
    pub from: Period,
    /// The age of the newest rows that are refreshed.
    #[schemars(example = &"1h")]
    pub to: Period,
}
