use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;
use crate::units::{Duration, Name};

/// The PostgreSQL cluster this policy protects.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// How to reach it: whatever psql takes. `PG*` variables, pg_service.conf and .pgpass all work.
    #[schemars(example = &"service=pricing-agent")]
    pub connection: Option<String>,
    /// The password, by reference.
    #[schemars(example = serde_json::json!({ "file": "/run/credentials/pg" }))]
    pub password: Option<Secret>,
    /// PostgreSQL's major version, for what is generated without asking the server.
    #[schemars(example = 16, range(min = 13, max = 18))]
    pub postgresql: Option<u16>,
    /// Where the cluster's files are on its host. Without it backups go over the replication protocol.
    #[schemars(example = &"/var/lib/postgresql/16/main")]
    pub data_directory: Option<String>,
    /// The hosts that belong to it, by name.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "db-1": { "role": "primary" }, "db-2": { "role": "standby", "backups": true } }))]
    pub hosts: BTreeMap<Name, Host>,
    /// The databases this policy speaks of.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["pricing_agent_db"]))]
    pub databases: Vec<String>,
    /// The roles that Seawall logs in as, with no more rights than their work needs.
    #[schemars(example = serde_json::json!({ "backup": "seawall_backup", "monitor": "seawall_monitor" }))]
    pub roles: Option<Roles>,
}

/// Who Seawall is to PostgreSQL.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// Takes backups.
    #[schemars(example = &"seawall_backup")]
    pub backup: Option<String>,
    /// Watches, and sees nobody's rows.
    #[schemars(example = &"seawall_monitor")]
    pub monitor: Option<String>,
}

/// A host.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// What the host is for. A standby that is promoted keeps doing the right thing.
    #[schemars(example = &"standby")]
    pub role: HostRole,
    /// How to reach PostgreSQL on this host, when it differs from the cluster's connection.
    #[schemars(example = &"service=pricing-replica")]
    pub connection: Option<String>,
    /// Backups are taken on this host. Without any such host they are taken on the primary.
    #[serde(default)]
    #[schemars(example = true)]
    pub backups: bool,
}

/// What a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostRole {
    /// Takes the writes.
    Primary,
    /// Follows the primary.
    Standby,
    /// Restores and drills happen here; it has an identity and no way to the original.
    Staging,
    /// Reads back and attests what others wrote.
    Verifier,
    /// Takes dumps and runs jobs; has no PostgreSQL of its own.
    Runner,
}

/// Continuous archiving of the write-ahead log.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wal {
    /// The store that the log goes to.
    #[schemars(example = &"main")]
    pub store: Name,
    /// Further stores that the log goes to.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["offsite"]))]
    pub copies: Vec<Name>,
    /// When a segment counts as archived: once it is in all stores, or once the first store has it. Without it: `all`.
    #[schemars(example = &"all")]
    pub acknowledged_by: Option<Acknowledged>,
    /// PostgreSQL's `archive_timeout`: the longest time that written data waits before its segment is archived.
    #[schemars(example = &"60s")]
    pub timeout: Duration,
    /// How far back any moment can be recovered. The log that a kept backup needs stays with it in any case.
    #[schemars(example = &"30d")]
    pub keep: crate::units::Period,
}

/// When a segment of the log counts as archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledged {
    /// Once every store has it.
    All,
    /// Once the first store has it; the copies follow.
    First,
}
