use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OneOrMany;
use crate::units::{Bytes, Duration, Name, Period, Rate};

/// What is promised.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// The most that may be lost, as time.
    #[schemars(example = &"15m")]
    pub rpo: Option<Duration>,
    /// The longest that recovering the whole cluster may take.
    #[schemars(example = &"4h")]
    pub rto: Option<Duration>,
    /// How far back one must be able to go.
    #[schemars(example = serde_json::json!({ "any_moment": "7d", "some_backup": "7y" }))]
    pub reach_back: Option<ReachBack>,
    /// What may happen, by name, with the promise for each.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "server-loss": { "recover": "cluster", "rpo": "15m", "rto": "4h", "priority": "P0" } }))]
    pub scenarios: BTreeMap<Name, Scenario>,
    /// Tiers of data, by name: which tables must be usable first.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "critical": { "tables": ["users", "accounts"], "rto": "1h" } }))]
    pub data: BTreeMap<Name, DataTier>,
    /// Figures to reckon with until they have been measured; afterwards they are shown beside the measured ones.
    #[schemars(example = serde_json::json!({ "cluster_size": "500GB", "restore": "200MB/s" }))]
    pub assume: Option<Assume>,
}

/// How far back one must be able to go.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct ReachBack {
    /// To any moment of this long.
    #[schemars(example = &"7d")]
    pub any_moment: Option<Period>,
    /// To some backup that is this old.
    #[schemars(example = &"7y")]
    pub some_backup: Option<Period>,
}

/// Something that may happen.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What has happened, in a sentence for people.
    #[schemars(example = &"a table was emptied by a faulty migration")]
    pub description: Option<String>,
    /// What must come back.
    #[schemars(example = &"cluster")]
    pub recover: Recover,
    /// The procedure that answers it. Without it: to any moment when the log is archived, the newest backup otherwise.
    #[schemars(example = &"point-in-time")]
    pub by: Option<Procedure>,
    /// The stores that are left to recover from; the first ones of the jobs without it.
    #[schemars(example = &"offsite")]
    pub from: Option<OneOrMany<Name>>,
    /// The backup jobs that may answer it; all that can, without it.
    #[schemars(example = serde_json::json!(["nightly"]))]
    pub using: Option<OneOrMany<Name>>,
    /// The most that may be lost; the policy's without it.
    #[schemars(example = &"5m")]
    pub rpo: Option<Duration>,
    /// The longest it may take; the policy's without it.
    #[schemars(example = &"30m")]
    pub rto: Option<Duration>,
    /// How soon it is taken care of.
    #[schemars(example = &"P0")]
    pub priority: Option<Priority>,
    /// How bad it is.
    #[schemars(example = &"SEV1")]
    pub severity: Option<Sev>,
    /// What people should know or do that no program can.
    #[schemars(example = &"tell the trading desk before anything else")]
    pub notes: Option<String>,
}

/// What must come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Recover {
    /// Everything.
    Cluster,
    /// One database.
    Database,
    /// One table.
    Table,
    /// Some rows.
    Rows,
    /// Configuration, certificates and other files.
    Files,
}

/// How it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Procedure {
    /// To a chosen moment, from a physical backup and the log.
    PointInTime,
    /// To the moment of the newest backup that fits.
    NewestBackup,
    /// By promoting a standby.
    PromoteStandby,
    /// By the managed provider or the other backup tool.
    External,
}

/// How soon something is taken care of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
pub enum Priority {
    P0,
    P1,
    P2,
    P3,
    P4,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Sev {
    Sev1,
    Sev2,
    Sev3,
    Sev4,
}

/// Tables that must be usable within a time.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = super::exactly_one(&["tables", "rest", "everything"])))]
pub struct DataTier {
    /// The tables, written as in SQL.
    #[schemars(example = serde_json::json!(["users", "accounts"]), length(min = 1))]
    pub tables: Option<Vec<String>>,
    /// All tables that no other tier names.
    #[schemars(example = true)]
    pub rest: Option<bool>,
    /// All tables.
    #[schemars(example = true)]
    pub everything: Option<bool>,
    /// The database they are in; may be left out when the policy has exactly one.
    #[schemars(example = &"trading")]
    pub database: Option<String>,
    /// The longest it may take until they are usable.
    #[schemars(example = &"1h")]
    pub rto: Duration,
    /// How large they are assumed to be together.
    #[schemars(example = &"20GB")]
    pub size: Option<Bytes>,
}

/// Figures to reckon with until they have been measured.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assume {
    /// The size of the cluster.
    #[schemars(example = &"500GB")]
    pub cluster_size: Option<Bytes>,
    /// How much log is written in an hour.
    #[schemars(example = &"4GB")]
    pub wal_per_hour: Option<Bytes>,
    /// How fast a backup is taken.
    #[schemars(example = &"150MB/s")]
    pub backup: Option<Rate>,
    /// How fast a physical backup is fetched and written back.
    #[schemars(example = &"200MB/s")]
    pub restore: Option<Rate>,
    /// How fast a dump is loaded.
    #[schemars(example = &"20MB/s")]
    pub load: Option<Rate>,
    /// How fast the log is replayed.
    #[schemars(example = &"80MB/s")]
    pub replay: Option<Rate>,
    /// How long it takes to archive one segment of the log.
    #[schemars(example = &"10s")]
    pub push: Option<Duration>,
    /// How long people take to find out what is wrong and decide.
    #[schemars(example = &"15m")]
    pub assess: Option<Duration>,
    /// How long it takes until a server to restore onto is there.
    #[schemars(example = &"20m")]
    pub provision: Option<Duration>,
    /// How long an archive class takes until its objects can be read.
    #[schemars(example = &"12h")]
    pub thaw: Option<Duration>,
    /// How long the checks after a recovery take.
    #[schemars(example = &"10m")]
    pub validate: Option<Duration>,
    /// How long it takes to let the applications in again.
    #[schemars(example = &"5m")]
    pub release: Option<Duration>,
    /// How long a standby takes to be promoted.
    #[schemars(example = &"2m")]
    pub promote: Option<Duration>,
    /// How far a standby may be behind when it is promoted.
    #[schemars(example = &"30s")]
    pub standby_lag: Option<Duration>,
}
