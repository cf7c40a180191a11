//! The file as it is written: one type per element, each key with the description and the example that the schema, the
//! editor and the documentation show. Nothing here is checked beyond its form; meaning is given in `policy::resolve`.

mod alerts;
mod backups;
mod cluster;
mod drills;
mod encryption;
mod keep;
mod objectives;
mod people;
mod scalars;
mod schedule;
mod stores;
mod timescale;

pub use alerts::*;
pub use backups::*;
pub use cluster::*;
pub use drills::*;
pub use encryption::*;
pub use keep::*;
pub use objectives::*;
pub use people::*;
pub use scalars::*;
pub use schedule::*;
pub use stores::*;
pub use timescale::*;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Duration, Name, Percent, Period};

/// Adds "exactly one of these keys" to an element's schema; `policy::shape` reads it back from there.
pub(crate) fn exactly_one(keys: &[&str]) -> serde_json::Value {
    serde_json::Value::Array(keys.iter().map(|key| serde_json::json!({ "required": [key] })).collect())
}

/// A Seawall policy: what is protected, how much may be lost, how long recovery may take, where the copies are, how long
/// they stay, and who is told.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Seawall policy")]
pub struct PolicyFile {
    /// The version of the policy language. It changes only when the meaning of a key does.
    #[schemars(example = 1, range(min = 1, max = 1))]
    pub version: u32,
    /// The policy's name, unique in the fleet.
    #[schemars(example = &"pricing-agent")]
    pub policy: Option<Name>,
    /// Another policy file, relative to this one, whose keys apply where this file says nothing. Maps merge key by key;
    /// lists and single values replace.
    #[schemars(example = &"../base.yaml")]
    pub extends: Option<String>,
    /// True for a file that only others extend: it may be incomplete and nothing runs from it.
    #[serde(default, rename = "abstract")]
    #[schemars(example = true)]
    pub is_abstract: bool,
    /// What this policy protects, in a sentence for people.
    #[schemars(example = &"Prices and their history; seven years must stay available")]
    pub description: Option<String>,
    /// Who answers for this policy: a team or a person.
    #[schemars(example = &"data-platform@example.com")]
    pub owner: Option<String>,
    /// When people must have read this policy again. From then on it is reported as overdue.
    #[schemars(example = &"2027-03-31")]
    pub review_by: Option<Date>,
    /// The time zone of every schedule, window and retention rule that does not name its own.
    #[serde(default = "utc")]
    #[schemars(example = &"Europe/Oslo")]
    pub timezone: ZoneName,
    /// The PostgreSQL cluster: how to reach it, where its files are, which hosts belong to it.
    #[schemars(example = serde_json::json!({ "connection": "service=pricing-agent" }))]
    pub cluster: Option<Cluster>,
    /// What is promised: how much data may be lost (RPO) and how long recovery may take (RTO), overall and per scenario.
    #[schemars(example = serde_json::json!({ "rpo": "15m", "rto": "4h" }))]
    pub objectives: Option<Objectives>,
    /// The places where backups are kept, by name.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "main": { "s3": { "bucket": "example-backups", "region": "eu-central-1" } } }))]
    pub stores: BTreeMap<Name, Store>,
    /// How everything that leaves the host is encrypted.
    #[schemars(example = serde_json::json!({ "age": { "recipients": ["age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq"] } }))]
    pub encryption: Option<Encryption>,
    /// How everything is compressed, unless a backup says otherwise. Without it: zstd at level 1.
    #[schemars(example = serde_json::json!({ "zstd": { "level": 1 } }))]
    pub compression: Option<Compression>,
    /// Continuous archiving of the write-ahead log. With it any moment can be recovered, without it only the moments of
    /// backups.
    #[schemars(example = serde_json::json!({ "store": "main", "timeout": "60s", "keep": "30d" }))]
    pub wal: Option<Wal>,
    /// The backup jobs, by name.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "nightly": { "physical": {}, "schedule": { "at": "02:00" }, "keep": { "daily": 30 } } }))]
    pub backups: BTreeMap<Name, Backup>,
    /// How backups that have outlived their retention are removed.
    #[schemars(example = serde_json::json!({ "grace": "24h", "brake": "20%" }))]
    pub expire: Option<Expire>,
    /// Checks of what lies in the stores, repeated on a schedule, by name. Every backup is also checked when it is taken.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "weekly": { "schedule": { "on": "saturday", "at": "06:00" }, "deep": true } }))]
    pub verify: BTreeMap<Name, Verify>,
    /// Maintenance windows, by name; a job that names one runs only inside it.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "weekly": { "on": "sunday", "from": "03:00", "to": "04:00" } }))]
    pub windows: BTreeMap<Name, Window>,
    /// Restore drills, by name: a backup is restored into a throw-away server, checked and timed.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "monthly": { "restore": { "latest": "nightly" }, "schedule": { "first": "monday", "of": "month", "at": "04:00" } } }))]
    pub drills: BTreeMap<Name, Drill>,
    /// A row that the runner writes regularly, so that a drill can prove that rows written after the base backup came back.
    #[schemars(example = serde_json::json!({ "database": "app", "every": "1m" }))]
    pub canary: Option<Canary>,
    /// What TimescaleDB keeps, compresses, refreshes and archives, by database.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "metrics": { "hypertables": { "readings": { "retain": "2y" } } } }))]
    pub timescaledb: BTreeMap<String, Timescale>,
    /// Old rows of plain tables that move to cold storage, by name. (Hypertables: `timescaledb.*.hypertables.*.archive`.)
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "old-orders": { "database": "shop", "table": "orders", "column": "placed_at", "after": "5y", "store": "cold" } }))]
    pub archive: BTreeMap<Name, TableArchive>,
    /// Legal holds, by name: rows and backups that survive every retention, archival and expiry.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "case-4711": { "reason": "litigation", "until": "2029-01-01", "backups": { "job": "nightly" } } }))]
    pub holds: BTreeMap<Name, Hold>,
    /// Where messages can go, by name.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "dba": { "email": { "to": ["dba@example.com"] } } }))]
    pub receivers: BTreeMap<Name, Receiver>,
    /// Who hears of what, and from which value on.
    #[schemars(example = serde_json::json!({ "routes": [{ "severity": "critical", "to": ["dba"] }] }))]
    pub alerts: Option<Alerts>,
    /// The mail server that email receivers use.
    #[schemars(example = serde_json::json!({ "host": "mail.example.com", "from": "seawall@example.com" }))]
    pub smtp: Option<Smtp>,
    /// People and teams, by name, for runbooks, escalation and duties.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "on-call-dba": { "name": "DBA on call", "email": "oncall@example.com" } }))]
    pub contacts: BTreeMap<Name, Contact>,
    /// The order in which people are called in an emergency, for runbooks and reports. A contact that is also the name of a receiver
    /// is told of critical alerts that nobody has acknowledged.
    #[serde(default)]
    #[schemars(example = serde_json::json!([{ "contact": "on-call-dba" }, { "contact": "cto", "after": "1h" }]))]
    pub escalation: Vec<EscalationLevel>,
    /// Recurring duties of people (training, reviews, audits), by name: reminded of until acknowledged.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "access-review": { "what": "review who can read the bucket", "who": "security", "schedule": { "first": "monday", "of": "quarter", "at": "09:00" } } }))]
    pub duties: BTreeMap<Name, Duty>,
    /// Programs to run around recoveries and promotions.
    #[schemars(example = serde_json::json!({ "before_restore": { "run": ["systemctl", "stop", "app"] } }))]
    pub hooks: Option<Hooks>,
    /// Evidence reports that are produced and sent on a schedule, by name.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "monthly": { "schedule": { "day": 1, "of": "month", "at": "08:00" }, "to": ["dba"] } }))]
    pub reports: BTreeMap<Name, Report>,
    /// Where runs, measurements and alert states are recorded. Without it: a SQLite file on the host.
    #[schemars(example = serde_json::json!({ "sqlite": { "path": "/var/lib/seawall/catalog.db" } }))]
    pub catalog: Option<Catalog>,
    /// What this policy leaves to another system on purpose, by subject; runbooks and reports say so.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "failover": { "to": "Patroni" } }))]
    pub delegated: BTreeMap<Name, Delegated>,
    /// Findings that were considered and accepted, each with its reason.
    #[serde(default)]
    #[schemars(example = serde_json::json!([{ "finding": "SW0903", "reason": "the project ended; agreed with legal on 2026-11-02" }]))]
    pub acknowledge: Vec<Acknowledgement>,
}

fn utc() -> ZoneName {
    ZoneName("UTC".into())
}

/// How backups that have outlived their retention are removed.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expire {
    /// When expiry runs by itself; it also runs after each backup.
    #[schemars(example = serde_json::json!({ "at": "06:30" }))]
    pub schedule: Option<Schedule>,
    /// How long a backup that may go stays marked before it is deleted. Without it: 24 hours.
    #[schemars(example = &"24h")]
    pub grace: Option<Duration>,
    /// The share of all backups in a store that one run may mark or delete before it stops and asks. Of each job as many may always go as
    /// its `keep` has rules. Without it: 20%.
    #[schemars(example = &"20%")]
    pub brake: Option<Percent>,
}

/// A check of what lies in the stores.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// When the check runs.
    #[schemars(example = serde_json::json!({ "on": "saturday", "at": "06:00" }))]
    pub schedule: Schedule,
    /// The stores that are checked; all of them without it.
    #[schemars(example = serde_json::json!(["main"]))]
    pub stores: Option<Vec<Name>>,
    /// The backup jobs whose backups are checked; all of them without it.
    #[schemars(example = serde_json::json!(["nightly"]))]
    pub backups: Option<Vec<Name>>,
    /// Also decrypt, decompress and check every page; needs an identity on the host.
    #[serde(default)]
    #[schemars(example = true)]
    pub deep: bool,
    /// The host that checks; without it, the one that takes the backups.
    #[schemars(example = &"staging-1")]
    pub host: Option<Name>,
    /// The maintenance window the check must stay inside.
    #[schemars(example = &"weekly")]
    pub window: Option<Name>,
}

/// A finding that was considered and accepted.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// The finding's code.
    #[schemars(example = &"SW0903")]
    pub finding: FindingCode,
    /// The place in the policy it is accepted for; everywhere without it.
    #[schemars(example = &"backups.nightly.keep")]
    pub at: Option<String>,
    /// Why it is acceptable, for the reader in three years.
    #[schemars(example = &"the project ended; agreed with legal on 2026-11-02")]
    pub reason: String,
    /// The day from which it is reported again.
    #[schemars(example = &"2027-06-30")]
    pub until: Option<Date>,
}

/// Something this policy leaves to another system.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegated {
    /// Who or what takes care of it.
    #[schemars(example = &"Patroni")]
    pub to: String,
    /// What a reader should know about it.
    #[schemars(example = &"three nodes, failover within 30 s; 99.9 % is their objective, not this policy's")]
    pub note: Option<String>,
}

/// A report that is produced and sent on a schedule.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// When the report is made.
    #[schemars(example = serde_json::json!({ "day": 1, "of": "month", "at": "08:00" }))]
    pub schedule: Schedule,
    /// The stretch of time it covers. Without it: one month.
    #[schemars(example = &"3mo")]
    pub covers: Option<Period>,
    /// The receivers it is sent to.
    #[schemars(example = serde_json::json!(["dba"]))]
    pub to: Vec<Name>,
}

/// Where runs, measurements and alert states are recorded.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["sqlite", "postgres"])))]
pub struct Catalog {
    /// A file on the host.
    #[schemars(example = serde_json::json!({ "path": "/var/lib/seawall/catalog.db" }))]
    pub sqlite: Option<SqliteCatalog>,
    /// A PostgreSQL database that several hosts share; never inside the cluster it records.
    #[schemars(example = serde_json::json!({ "connection": "service=seawall-catalog" }))]
    pub postgres: Option<PostgresCatalog>,
}

/// A SQLite file on the host.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqliteCatalog {
    /// The file's path.
    #[schemars(example = &"/var/lib/seawall/catalog.db")]
    pub path: Option<String>,
}

/// A PostgreSQL database for the catalog.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresCatalog {
    /// How to reach it, as psql takes it.
    #[schemars(example = &"service=seawall-catalog")]
    pub connection: String,
    /// The password, by reference.
    #[schemars(example = serde_json::json!({ "file": "/run/credentials/catalog" }))]
    pub password: Option<Secret>,
}
