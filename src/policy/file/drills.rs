use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Command, Schedule, exactly_one};
use crate::units::{Decimal, Duration, Name, Percent};

/// A restore drill.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// What is restored.
    #[schemars(example = serde_json::json!({ "latest": "nightly" }))]
    pub restore: DrillRestore,
    /// When it runs. Without it: only when someone asks.
    #[schemars(example = serde_json::json!({ "first": "monday", "of": "month", "at": "04:00" }))]
    pub schedule: Option<Schedule>,
    /// What this drill is for, in a sentence for people.
    #[schemars(example = &"the auditors' quarterly restore")]
    pub description: Option<String>,
    /// The host that restores; it has the identity and no way to the original. Without it: the host that takes the backups.
    #[schemars(example = &"staging-1")]
    pub host: Option<Name>,
    /// The maintenance window it must stay inside.
    #[schemars(example = &"weekly")]
    pub window: Option<Name>,
    /// The scenario it rehearses: its objectives are what the drill is judged by.
    #[schemars(example = &"server-loss")]
    pub rehearses: Option<Name>,
    /// The store it restores from, to prove that one. Without it the first that the scenario it rehearses leaves, else the job's first one.
    #[schemars(example = &"offsite")]
    pub from: Option<Name>,
    /// Fetching, restoring and replaying must take no longer than this together.
    #[schemars(example = &"5m")]
    pub within: Option<Duration>,
    /// What must be true of the restored database, by name. Files are compared with the backup, every one of them.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "enough-rows": { "sql": "select count(*) from orders", "at_least": 1000000 } }))]
    pub expect: BTreeMap<Name, Expectation>,
    /// A program to run against the restored database: the application's own tests. Its connection is in the `PG*` variables; of files,
    /// the folder is in `SEAWALL_FILES`.
    #[schemars(example = serde_json::json!({ "run": ["./validate.sh"] }))]
    pub run: Option<Command>,
    /// The copy is a standby, and its promotion is rehearsed, as `seawall promote` does it.
    #[schemars(example = serde_json::json!({ "fence": { "run": ["/usr/local/bin/fence-old-primary", "--only-see-whether-you-could"] }, "within": "2m" }))]
    pub promote: Option<Rehearsal>,
    /// Where the copy is put while the drill lasts: room for the whole cluster. Without it: below the state directory.
    #[schemars(example = &"/srv/drills")]
    pub directory: Option<String>,
    /// How long the whole drill may take before it is stopped and counts as failed.
    #[schemars(example = &"6h")]
    pub timeout: Option<Duration>,
}

/// How a promotion is rehearsed. None of the policy's `hooks` runs: they are about the real servers.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    /// What stands for `hooks.before_promote`: a program that does all that the fence does but fence.
    #[schemars(example = serde_json::json!({ "run": ["/usr/local/bin/fence-old-primary", "--only-see-whether-you-could"], "timeout": "2m" }))]
    pub fence: Option<Command>,
    /// What stands for `hooks.after_promote`: a program that leads nobody to the copy.
    #[schemars(example = serde_json::json!({ "run": ["/usr/local/bin/point-dns-here", "--only-see-whether-you-could"] }))]
    pub after: Option<Command>,
    /// The promotion, from the call of the fence to the end of the last program, must take no longer than this.
    #[schemars(example = &"2m")]
    pub within: Option<Duration>,
    /// Where the copy streams from, beside the archive that it follows. Without it the original hears nothing of the drill.
    #[schemars(example = &"host=db-1 user=replicator")]
    pub stream: Option<String>,
}

/// What a drill restores.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["latest", "random", "point_in_time"])))]
pub struct DrillRestore {
    /// The newest backup of this job, and for physical ones everything archived since.
    #[schemars(example = &"nightly")]
    pub latest: Option<Name>,
    /// Some backup of this job, a different one each time.
    #[schemars(example = &"nightly")]
    pub random: Option<Name>,
    /// Some moment that the archived log covers.
    #[schemars(example = &"random")]
    pub point_in_time: Option<DrillMoment>,
    /// Only these tables of one database, out of a physical backup: what an accident with them would take to mend.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["public.orders"]))]
    pub tables: Vec<String>,
    /// A database comes back tier by tier, these tiers of `objectives.data` first, and each must be usable within its own RTO.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["critical"]))]
    pub tiers: Vec<Name>,
    /// The database in which `tables` are, or which comes back by `tiers`; may be left out when the policy has exactly one.
    #[schemars(example = &"app")]
    pub database: Option<String>,
}

/// The moment a drill recovers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DrillMoment {
    /// Any moment of the recovery window, a different one each time.
    Random,
    /// The newest moment that is archived.
    Newest,
}

/// What must be true of the restored database.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["sql", "check"])))]
pub struct Expectation {
    /// A query; one value is compared, or the rows are counted.
    #[schemars(example = &"select count(*) from orders")]
    pub sql: Option<String>,
    /// A check that Seawall knows by itself.
    #[schemars(example = &"constraints-valid")]
    pub check: Option<Check>,
    /// The database; may be left out when the policy has exactly one.
    #[schemars(example = &"app")]
    pub database: Option<String>,
    /// The value is exactly this.
    #[schemars(example = true, example = 0, example = &"ok")]
    pub is: Option<Value>,
    /// The value is this or more.
    #[schemars(example = 1_000_000)]
    pub at_least: Option<Decimal>,
    /// The value is this or less.
    #[schemars(example = 100)]
    pub at_most: Option<Decimal>,
    /// The query finds no row.
    #[schemars(example = true)]
    pub no_rows: Option<bool>,
    /// The query finds at least one row.
    #[schemars(example = true)]
    pub some_rows: Option<bool>,
    /// The query finds exactly these rows, in whatever order.
    #[schemars(length(min = 1), example = serde_json::json!([["EUR", 2], ["JPY", 0]]))]
    pub rows: Option<Vec<Vec<Value>>>,
    /// The value is a time no older than this, seen from the moment that was recovered to.
    #[schemars(example = &"15m")]
    pub newer_than: Option<Duration>,
    /// The value is the original's, give or take this share.
    #[schemars(example = &"1%")]
    pub like_source: Option<Percent>,
    /// How long it may take before it counts as failed. Without it: 10 minutes for a query, an hour for a check.
    #[schemars(example = &"30m")]
    pub timeout: Option<Duration>,
}

/// A value that a query is compared with.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    Bool(bool),
    Number(Decimal),
    Text(String),
}

/// A check that Seawall knows by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Every constraint is validated and every foreign key has its row.
    ConstraintsValid,
    /// Every index is valid, and says what its table says.
    IndexesValid,
    /// The same of indexes, and every row of every table can be read and is whole: what `pg_amcheck` looks at. PostgreSQL 13 reads no tables.
    Amcheck,
    /// The same hypertables and numbers of chunks as recorded in the backup.
    Hypertables,
    /// The same TimescaleDB jobs as recorded in the backup.
    Jobs,
    /// The same extensions and versions as recorded in the backup.
    Extensions,
    /// Every table has about as many rows as recorded in the backup.
    RowCounts,
}

/// A row that proves what came back.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The database it is written to.
    #[schemars(example = &"app")]
    pub database: String,
    /// How often it is written. Without it: every minute.
    #[schemars(example = &"1m")]
    pub every: Option<Duration>,
}

impl Canary {
    /// What is said of it, or a minute.
    pub fn interval(&self) -> Duration {
        self.every.unwrap_or(Duration::from_mins(1))
    }
}
