use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unique;

/// What a running server is set to, and what its roles may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerState {
    /// PostgreSQL's major version.
    #[schemars(example = 16)]
    pub major: u32,
    /// It follows another one.
    #[schemars(example = false)]
    pub in_recovery: bool,
    /// The settings that backups and the archive need, as far as this role may see them.
    #[serde(deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "wal_level": { "value": "replica", "needs_restart": true, "waits_for_restart": false } }))]
    pub settings: BTreeMap<String, Setting>,
    /// The roles that the policy names; one that is not here is not there.
    #[serde(deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "seawall_monitor": { "login": true, "replication": false, "member_of": ["pg_monitor"], "may_call": [] } }))]
    pub roles: BTreeMap<String, RoleState>,
}

/// A setting of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What it is now, in its base unit.
    #[schemars(example = &"replica")]
    pub value: String,
    /// Another value counts only after a restart.
    #[schemars(example = true)]
    pub needs_restart: bool,
    /// Another value is written down already, and the server has not been restarted since.
    #[schemars(example = false)]
    pub waits_for_restart: bool,
}

/// What a role may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleState {
    /// It may log in.
    #[schemars(example = true)]
    pub login: bool,
    /// It may use the replication protocol.
    #[schemars(example = false)]
    pub replication: bool,
    /// The roles whose rights it has, of those that matter here.
    #[schemars(example = serde_json::json!(["pg_monitor"]))]
    pub member_of: BTreeSet<String>,
    /// The functions that it may call in the database of `cluster.connection`, of those that matter here.
    #[schemars(example = serde_json::json!(["pg_switch_wal()"]))]
    pub may_call: BTreeSet<String>,
}
