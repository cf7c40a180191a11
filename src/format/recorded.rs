//! What a backup wrote down of the original when it ended, so that whoever restores it has something to hold the copy against.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::{Age, Compression, Dimension, JobKind, TableName};
use crate::units::{Duration, Instant};

/// What one database looked like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// When it was looked at, by the database's own clock.
    pub at: Instant,
    /// About how many rows its tables had, the largest first. A partitioned table or a hypertable has those of all its parts; what held none is
    /// left out.
    pub tables: Vec<TableRows>,
    /// There were more tables, all of them smaller.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_more: bool,
    /// What TimescaleDB had. Absent where the extension is not in this database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timescale: Option<RecordedTimescale>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableRows {
    pub table: TableName,
    pub rows: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedTimescale {
    /// The extension's version, and the server's (`server_version_num`): another one may write a definition in other words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<RecordedVersions>,
    /// Hypertables, and continuous aggregates by the names of their views.
    pub hypertables: Vec<RecordedHypertable>,
    pub jobs: Vec<RecordedJob>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedVersions {
    pub extension: String,
    pub server: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedHypertable {
    pub table: TableName,
    pub chunks: u64,
    /// How much time one chunk holds. Absent where it is not cut by time, or not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// Into how many parts each such slice is cut once more.
    pub partitions: u32,
    /// What a hypertable is divided by, as it was defined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<Dimension>,
    /// How its chunks are compressed. Absent where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// What a continuous aggregate is made of, and how. Absent of a hypertable, and where it was too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    pub of: TableName,
    /// What it selects, with every schema named.
    pub definition: String,
    /// It shows what was materialized, and nothing newer. Absent in backups that were taken before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub materialized_only: Option<bool>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<MadeIndex>,
}

/// An index on what is materialized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeIndex {
    pub name: String,
    /// How and of what, as SQL has it behind `USING`.
    pub by: String,
}

impl RecordedHypertable {
    /// A continuous aggregate of which nobody wrote down how it is made: a hypertable is divided by something.
    pub fn lacks_definition(&self) -> bool {
        self.made.is_none() && self.dimensions.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedJob {
    pub id: i32,
    pub does: JobKind,
    pub procedure: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<TableName>,
    /// It runs by itself; one that is paused does not.
    pub scheduled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Age>,
    /// What one of TimescaleDB's own was told. What somebody's own procedure is told may be a secret.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub config: serde_json::Value,
}

/// What the original answered to a query that a copy is to answer alike (`like_source`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    pub database: String,
    pub sql: String,
    pub gave: Gave,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Gave {
    Value(String),
    Null,
    /// Why there is no answer.
    Nothing(String),
}
