use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kin, Size};
use crate::units::{Instant, Period};

/// What one database says of TimescaleDB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Timescale {
    /// The extension is not in this database.
    Absent,
    /// It is.
    Installed(TimescaleState),
}

/// Hypertables, continuous aggregates and jobs of one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimescaleState {
    /// The extension's version.
    #[schemars(example = &"2.28.3")]
    pub version: String,
    /// Whether it is the whole product.
    #[schemars(example = &"community")]
    pub licence: Licence,
    /// The schema that its functions are in.
    #[schemars(example = &"public")]
    pub schema: String,
    /// The hypertables, but for those inside of continuous aggregates.
    #[schemars(example = serde_json::json!([]))]
    pub hypertables: Vec<Hypertable>,
    /// The continuous aggregates.
    #[schemars(example = serde_json::json!([]))]
    pub continuous_aggregates: Vec<Aggregate>,
    /// The views that read any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([]))]
    pub views: Vec<View>,
    /// Its jobs in the background.
    #[schemars(example = serde_json::json!([]))]
    pub jobs: Vec<TimescaleJob>,
    /// How many of them may run at a time; with none of them nothing is done by itself. Absent when the server does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 16)]
    pub background_workers: Option<u32>,
}

/// Under which licence the extension was built or is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Licence {
    /// Everything.
    Community,
    /// Hypertables and `drop_chunks` only: no compression, no jobs of its own, no continuous aggregates.
    Apache,
}

/// The name of a table or a view, as it is: neither quoted nor folded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableName {
    /// Its schema.
    #[schemars(example = &"public")]
    pub schema: String,
    /// Its name.
    #[schemars(example = &"pricing_history")]
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A hypertable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hypertable {
    /// Its name.
    #[schemars(example = serde_json::json!({ "schema": "public", "name": "pricing_history" }))]
    pub table: TableName,
    /// What it is divided by; the first says how old a chunk is.
    #[schemars(example = serde_json::json!([{ "column": "recorded_at", "column_type": "timestamp with time zone", "by": { "time": { "every": { "period": "7d" } } } }]))]
    pub dimensions: Vec<Dimension>,
    /// How its chunks are compressed. Absent when they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "segment_by": ["organization_id"], "order_by": [{ "column": "recorded_at", "descending": true, "nulls_first": true }] }))]
    pub compression: Option<Compression>,
    /// Its chunks, the oldest first.
    #[schemars(example = serde_json::json!([]))]
    pub chunks: Vec<Chunk>,
}

/// One of the columns that a hypertable is divided by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// The column.
    #[schemars(example = &"recorded_at")]
    pub column: String,
    /// Its type.
    #[schemars(example = &"timestamp with time zone")]
    pub column_type: String,
    /// How it is divided.
    #[schemars(example = serde_json::json!({ "space": { "partitions": 4 } }))]
    pub by: DimensionKind,
}

/// How a column is divided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DimensionKind {
    /// By time.
    Time {
        /// As much is in one chunk.
        #[schemars(example = serde_json::json!({ "period": "7d" }))]
        every: Age,
    },
    /// By ranges of a number.
    Number {
        /// As much is in one chunk.
        #[schemars(example = 100_000)]
        every: i64,
    },
    /// By a hash.
    Space {
        /// Into so many parts.
        #[schemars(example = 4)]
        partitions: u32,
    },
}

/// How the chunks of a table are compressed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compression {
    /// The columns that keep rows of one kind together.
    #[schemars(example = serde_json::json!(["organization_id"]))]
    pub segment_by: Vec<String>,
    /// The columns that rows are ordered by.
    #[schemars(example = serde_json::json!([{ "column": "recorded_at", "descending": true, "nulls_first": true }]))]
    pub order_by: Vec<OrderBy>,
}

/// A column that rows are ordered by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderBy {
    /// The column.
    #[schemars(example = &"recorded_at")]
    pub column: String,
    /// The newest or largest first.
    #[schemars(example = true)]
    pub descending: bool,
    /// What is null comes first.
    #[schemars(example = true)]
    pub nulls_first: bool,
}

/// A part of a hypertable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// Its name.
    #[schemars(example = serde_json::json!({ "schema": "_timescaledb_internal", "name": "_hyper_1_1_chunk" }))]
    pub table: TableName,
    /// What of the first dimension is in it.
    #[schemars(example = serde_json::json!({ "time": { "from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z" } }))]
    pub range: ChunkRange,
    /// About how much room it takes, with its indexes. Absent when that was never counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"38GB")]
    pub bytes: Option<Size>,
    /// It is compressed.
    #[schemars(example = true)]
    pub compressed: bool,
}

/// From where to where a chunk reaches; its end is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ChunkRange {
    Time {
        /// Absent: since ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"2026-11-20T00:00:00Z")]
        from: Option<Instant>,
        /// Absent: for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"2026-11-21T00:00:00Z")]
        to: Option<Instant>,
    },
    Number {
        /// Its first number.
        #[schemars(example = 0)]
        from: i64,
        /// The first number after it.
        #[schemars(example = 100_000)]
        to: i64,
    },
}

/// A continuous aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// The view's name.
    #[schemars(example = serde_json::json!({ "schema": "public", "name": "pricing_daily_avg" }))]
    pub view: TableName,
    /// The hypertable it is made from, or the continuous aggregate's own where it is made from another one.
    #[schemars(example = serde_json::json!({ "schema": "public", "name": "pricing_history" }))]
    pub of: TableName,
    /// The hypertable that holds what was materialized.
    #[schemars(example = serde_json::json!({ "schema": "_timescaledb_internal", "name": "_materialized_hypertable_3" }))]
    pub materialized: TableName,
    /// What it selects.
    #[schemars(example = &"SELECT time_bucket('1 day', recorded_at) AS day, avg(price) FROM pricing_history GROUP BY 1")]
    pub definition: String,
    /// What is materialized.
    #[schemars(example = serde_json::json!([]))]
    pub chunks: Vec<Chunk>,
}

/// A view that reads hypertables or continuous aggregates, and has no rows of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Its name.
    #[schemars(example = serde_json::json!({ "schema": "public", "name": "prices_of_today" }))]
    pub view: TableName,
    /// What it reads, itself or by other views.
    #[schemars(example = serde_json::json!([{ "schema": "public", "name": "pricing_history" }]))]
    pub reads: Vec<TableName>,
}

/// Something that TimescaleDB does in the background.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimescaleJob {
    /// Its number.
    #[schemars(example = 1000)]
    pub id: i32,
    /// What it does.
    #[schemars(example = &"retention")]
    pub does: JobKind,
    /// The function that does it.
    #[schemars(example = &"_timescaledb_functions.policy_retention")]
    pub procedure: String,
    /// The hypertable or the continuous aggregate that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "schema": "public", "name": "pricing_history" }))]
    pub of: Option<TableName>,
    /// How often it runs.
    #[schemars(example = serde_json::json!({ "period": "1d" }))]
    pub every: Age,
    /// It runs by itself; a job that is paused does not.
    #[schemars(example = true)]
    pub scheduled: bool,
    /// What it was told.
    #[schemars(example = serde_json::json!({ "drop_after": "7 years", "hypertable_id": 1 }))]
    pub config: serde_json::Value,
    /// From which age on it drops or compresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "period": "7y" }))]
    pub after: Option<Age>,
    /// The age of the oldest rows that it refreshes. Absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "period": "3d" }))]
    pub start_offset: Option<Age>,
    /// The age of the newest rows that it refreshes. Absent: up to now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "period": "1h" }))]
    pub end_offset: Option<Age>,
    /// When it runs next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-11-22T02:00:00Z")]
    pub next_start: Option<Instant>,
    /// How its last run went. Absent when it never ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "started": "2026-11-21T02:00:00Z", "failed": false, "runs": 40, "failures": 0 }))]
    pub last: Option<LastJobRun>,
    /// By what the text of somebody's own procedure takes rows away, without a look at `seawall.legal_hold`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!(["drop_chunks"]))]
    pub removes: Vec<String>,
    /// The hypertables and continuous aggregates that this text names. Where it names none, it may be about any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{ "schema": "public", "name": "pricing_history" }]))]
    pub names: Vec<TableName>,
}

/// What a job of TimescaleDB does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// Drops old chunks.
    Retention,
    /// Compresses old chunks.
    Compression,
    /// Refreshes a continuous aggregate.
    Refresh,
    /// Something else.
    Other,
}

/// How a job's last run went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LastJobRun {
    /// When it began.
    #[schemars(example = &"2026-11-21T02:00:00Z")]
    pub started: Instant,
    /// When one last succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-11-21T02:00:04Z")]
    pub succeeded: Option<Instant>,
    /// TimescaleDB recorded it as failed, which does not always mean that its work was not done.
    #[schemars(example = false)]
    pub failed: bool,
    /// How often it ran.
    #[schemars(example = 40)]
    pub runs: u64,
    /// How often that was recorded as failed.
    #[schemars(example = 0)]
    pub failures: u64,
    /// What the newest failure said, where this role may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"deadlock detected")]
    pub error: Option<String>,
}

/// A length of time as TimescaleDB writes it, or a number where a table is divided by numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Age {
    /// A length of time.
    Period(Period),
    /// So many numbers.
    Number(i64),
    /// Something that no policy can say: nothing, less than a second, or less than nothing.
    Other(String),
}

impl Age {
    /// The same length of time, however it is written: `24h` is `1d`, and no month has a known number of days.
    pub fn is(&self, period: Period) -> bool {
        matches!(self, Age::Period(own) if own.is_as_long_as(period))
    }

    pub fn period(&self) -> Option<Period> {
        match self {
            Age::Period(period) => Some(*period),
            Age::Number(_) | Age::Other(_) => None,
        }
    }
}

impl std::fmt::Display for Age {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Age::Period(period) => period.fmt(f),
            Age::Number(number) => number.fmt(f),
            Age::Other(text) => f.write_str(text),
        }
    }
}

impl Chunk {
    /// Everything in it is older than this moment.
    pub fn ends_by(&self, moment: Instant) -> bool {
        matches!(self.range, ChunkRange::Time { to: Some(to), .. } if to <= moment)
    }
}

impl TableName {
    /// By the parts of a name; one without a schema means any.
    pub fn is_meant_by(&self, name: &[String]) -> bool {
        match name {
            [.., schema, name] => *schema == self.schema && *name == self.name,
            [name] => *name == self.name,
            [] => false,
        }
    }
}

impl TimescaleState {
    /// Major and minor version; of a development version those it leads to.
    pub fn version_numbers(&self) -> Option<(u32, u32)> {
        let mut parts = self.version.split(|c: char| !c.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }

    /// The chunks of a hypertable or of a continuous aggregate.
    pub fn chunks_of(&self, table: &TableName) -> Option<&[Chunk]> {
        let hypertable = self.hypertables.iter().find(|one| one.table == *table).map(|one| one.chunks.as_slice());
        hypertable.or_else(|| self.continuous_aggregates.iter().find(|one| one.view == *table).map(|one| one.chunks.as_slice()))
    }

    /// What has rows in common with a hypertable or a continuous aggregate, as far as TimescaleDB knows of it.
    pub fn kin(&self, table: &TableName) -> Kin {
        let inside = self.continuous_aggregates.iter().find(|one| one.view == *table).map(|one| one.materialized.clone());
        let chunks = self.chunks_of(table).unwrap_or_default();
        Kin {
            whole: std::iter::once(table.clone()).chain(inside).collect(),
            parts: chunks.iter().map(|chunk| chunk.table.clone()).collect(),
            views: self.views.iter().filter(|one| one.reads.contains(table)).map(|one| one.view.clone()).collect(),
        }
    }

    /// How many aggregates lie between this one and its hypertable, itself among them: what is made of another one has more.
    pub fn height(&self, aggregate: &Aggregate) -> usize {
        let below = |one: &Aggregate| self.continuous_aggregates.iter().find(|other| other.materialized == one.of || other.view == one.of);
        std::iter::successors(Some(aggregate), |one| below(one)).take(self.continuous_aggregates.len()).count()
    }

    /// The jobs of one kind for a table.
    pub fn jobs_of(&self, table: &TableName, kind: JobKind) -> impl Iterator<Item = &TimescaleJob> {
        self.jobs.iter().filter(move |job| job.does == kind && job.of.as_ref() == Some(table))
    }
}
