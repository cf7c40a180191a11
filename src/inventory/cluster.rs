use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Backup, Fork, Hold, Measured, Observed, Proven, ServerState, Size, SystemIdentifier, Timelines, Timescale, WalRange, unique};
use crate::units::{Instant, Name};

/// The world as it was observed at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Inventory of seawall")]
pub struct Inventory {
    /// The version of this file's shape. This program reads version 1.
    #[schemars(range(min = 1, max = 1))]
    #[schemars(example = 1)]
    pub format_version: u32,
    /// When it was observed.
    #[schemars(example = &"2026-11-21T08:15:30Z")]
    pub observed_at: Instant,
    /// What was observed, for each policy by its name.
    #[serde(deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({}))]
    pub clusters: BTreeMap<Name, ClusterInventory>,
}

/// What was observed about the cluster that one policy protects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterInventory {
    /// The id under which the stores hold this cluster's backups. Absent until the first use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"01jd3k9w6zq8")]
    pub repository: Option<String>,
    /// The number of the running cluster.
    #[schemars(example = serde_json::json!({ "known": "7301234567890123456" }))]
    pub system_identifier: Observed<SystemIdentifier>,
    /// The version of PostgreSQL that runs.
    #[schemars(example = serde_json::json!({ "known": "16.4" }))]
    pub postgres_version: Observed<String>,
    /// How large the data directory is.
    #[schemars(example = serde_json::json!({ "known": "500GB" }))]
    pub cluster_size: Observed<Size>,
    /// What lies in each store of the policy.
    #[serde(deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "offsite": { "unknown": { "reason": "no credential for it on this host" } } }))]
    pub stores: BTreeMap<Name, Observed<StoreInventory>>,
    /// What was measured.
    #[schemars(example = serde_json::json!({ "unknown": { "reason": "the catalog did not answer" } }))]
    pub measured: Observed<Measured>,
    /// What recoveries have shown. Absent when nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "known": {} }))]
    pub proven: Option<Observed<Proven>>,
    /// Holds placed at run time, beside those of the policy.
    #[schemars(example = serde_json::json!({ "known": [] }))]
    pub holds: Observed<Vec<Hold>>,
    /// What each database says of TimescaleDB. One that is not here was not asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "pricing_agent_db": { "unknown": { "reason": "the server does not answer" } } }))]
    pub timescaledb: BTreeMap<String, Observed<Timescale>>,
    /// What the server is set to, and what its roles may do. Absent when it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "unknown": { "reason": "the server does not answer" } }))]
    pub server: Option<Observed<ServerState>>,
}

/// What lies in one store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreInventory {
    /// Every backup, in any order.
    #[schemars(example = serde_json::json!([]))]
    pub backups: Vec<Backup>,
    /// The write-ahead log: unbroken stretches, in any order.
    #[schemars(example = serde_json::json!([]))]
    pub wal: Vec<WalRange>,
    /// Where timelines left one another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([]))]
    pub forks: Vec<Fork>,
    /// How much room is taken.
    #[schemars(example = serde_json::json!({ "known": "3TB" }))]
    pub used: Observed<Size>,
}

impl StoreInventory {
    /// A store in which nothing lies.
    pub fn empty() -> StoreInventory {
        StoreInventory { backups: Vec::new(), wal: Vec::new(), forks: Vec::new(), used: Observed::unknown("nothing lies there") }
    }
}

impl ClusterInventory {
    /// By all stores that were seen.
    pub fn timelines(&self) -> Timelines {
        let seen: Vec<&StoreInventory> = self.stores.values().filter_map(Observed::known).collect();
        Timelines::of(&seen)
    }
}
