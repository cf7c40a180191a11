use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Size, unique};
use crate::units::{Duration, Instant, Name, Rate};

/// What was measured about this cluster. A figure that is absent was never measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// How fast a base backup is unpacked into a data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "value": "200MB/s", "at": "2026-11-02T04:31:00Z", "how": "drill" }))]
    pub restore: Option<Measurement<Rate>>,
    /// How fast PostgreSQL replays the write-ahead log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "value": "80MB/s", "at": "2026-11-02T04:52:00Z", "how": "drill" }))]
    pub replay: Option<Measurement<Rate>>,
    /// How fast each store gives data back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "main": { "value": "150MB/s", "at": "2026-11-02T04:20:00Z", "how": "drill" } }))]
    pub fetch: BTreeMap<Name, Measurement<Rate>>,
    /// How long each job's backup takes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "nightly": { "value": "41m", "at": "2026-11-21T02:41:07Z", "how": "run" } }))]
    pub backup_durations: BTreeMap<Name, Measurement<Duration>>,
    /// How much write-ahead log a busy hour writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "value": "4GB", "at": "2026-11-20T00:00:00Z", "how": "run" }))]
    pub wal_per_hour: Option<Measurement<Size>>,
    /// How long one segment takes into the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "value": "2s", "at": "2026-11-20T00:00:00Z", "how": "run" }))]
    pub push: Option<Measurement<Duration>>,
}

/// A figure, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Measurement_{T}")]
pub struct Measurement<T> {
    /// The figure.
    pub value: T,
    /// When it was measured.
    #[schemars(example = &"2026-11-02T04:31:00Z")]
    pub at: Instant,
    /// What measured it.
    #[schemars(example = &"drill")]
    pub how: HowMeasured,
}

/// What measured a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HowMeasured {
    /// A restore drill.
    Drill,
    /// A real recovery.
    Recovery,
    /// The ordinary runs of the job.
    Run,
    /// A measurement made on demand.
    Benchmark,
}
