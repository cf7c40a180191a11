use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Command, Compression, Keep, OneOrMany, Schedule, Secret, exactly_one};
use crate::units::{Bytes, DumpSection, Duration, Name, Percent, Rate};

/// A backup job.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["physical", "incremental", "logical", "tables", "files", "provider", "engine"])))]
pub struct Backup {
    /// A full copy of the cluster's files.
    #[schemars(example = serde_json::json!({}))]
    pub physical: Option<Physical>,
    /// What changed since another backup.
    #[schemars(example = serde_json::json!({ "of": "nightly", "chain": 96 }))]
    pub incremental: Option<Incremental>,
    /// A dump of databases by pg_dump.
    #[schemars(example = serde_json::json!({ "databases": ["app"], "format": "directory", "jobs": 4 }))]
    pub logical: Option<Logical>,
    /// A dump or export of chosen tables.
    #[schemars(example = serde_json::json!({ "database": "app", "tables": ["users", "accounts"] }))]
    pub tables: Option<Tables>,
    /// Files outside the data directory: configuration, certificates, application folders, and the cluster's globals.
    #[schemars(example = serde_json::json!({ "paths": ["/etc/postgresql"], "globals": true }))]
    pub files: Option<Files>,
    /// Backups that a managed provider takes. This version only knows of them: it does not look at them.
    #[schemars(example = serde_json::json!({ "aiven": { "project": "grid", "service": "pg", "token": { "env": "AIVEN_TOKEN" } }, "newest_within": "26h" }))]
    pub provider: Option<Provider>,
    /// Backups that another tool takes. This version only knows of them: it neither runs the tool nor looks at what it has.
    #[schemars(example = serde_json::json!({ "pgbackrest": { "stanza": "main" } }))]
    pub engine: Option<Engine>,
    /// What this backup is for, in a sentence for people.
    #[schemars(example = &"everything needed to set the system up again")]
    pub description: Option<String>,
    /// When it runs. Without it: only when someone asks (`seawall backup NAME`).
    #[schemars(example = serde_json::json!({ "cron": "0 2 * * *" }))]
    pub schedule: Option<Schedule>,
    /// The maintenance window it must stay inside.
    #[schemars(example = &"weekly")]
    pub window: Option<Name>,
    /// The store it goes to. May be left out when the policy has exactly one; increments go where their base is.
    #[schemars(example = &"main")]
    pub store: Option<Name>,
    /// Further stores that get a copy: a list of names, or a map from names to rules for that copy.
    #[schemars(example = serde_json::json!(["offsite"]), example = serde_json::json!({ "offsite": { "keep": { "monthly": 12 } } }))]
    pub copies: Option<Copies>,
    /// How long its backups stay. Increments are kept with what needs them.
    #[schemars(example = serde_json::json!({ "daily": 30, "weekly": 12, "monthly": 12, "yearly": 7 }))]
    pub keep: Option<Keep>,
    /// How it is compressed, when it differs from the policy's.
    #[schemars(example = serde_json::json!({ "zstd": { "level": 3 } }))]
    pub compression: Option<Compression>,
    /// What is read back from its store before a backup counts: every object with all its `contents`, or only the `sizes`. Without it:
    /// `contents` from a directory; `sizes` from a cloud, which checks the hash of what it takes.
    #[schemars(example = &"contents")]
    pub read_back: Option<ReadBack>,
    /// How long it is assumed to take, until runs have measured it.
    #[schemars(example = &"30m")]
    pub takes: Option<Duration>,
    /// How large it is assumed to be, until runs have measured it.
    #[schemars(example = &"120GB")]
    pub size: Option<Bytes>,
    /// How long it may run before it counts as hung and is stopped.
    #[schemars(example = &"6h")]
    pub timeout: Option<Duration>,
    /// How far its size may stray from the last ones before somebody is told. Without it: `alerts.thresholds`.
    #[schemars(example = &"20%")]
    pub size_deviation: Option<Percent>,
    /// A program to run first; the backup does not start if it fails.
    #[schemars(example = serde_json::json!({ "run": ["/usr/local/bin/freeze-imports"] }))]
    pub before: Option<Command>,
    /// A program to run afterwards, whatever the outcome.
    #[schemars(example = serde_json::json!({ "run": ["/usr/local/bin/thaw-imports"] }))]
    pub after: Option<Command>,
}

/// What is read back from a store before a backup counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReadBack {
    /// Every object is there in its size.
    Sizes,
    /// Every byte of every object, held against its hash.
    Contents,
}

/// A full copy of the cluster's files.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Physical {
    /// Which server is read: `primary`, `standby`, or `any` (a standby when one is there). Without it: the host with `backups: true`.
    #[schemars(example = &"standby")]
    pub from: Option<ReadFrom>,
    /// How many files are read at once. Without it: half of the processors.
    #[schemars(example = 2, range(min = 1, max = 256))]
    pub workers: Option<u16>,
    /// The fastest that files are read.
    #[schemars(example = &"200MB/s")]
    pub read_limit: Option<Rate>,
    /// What happens when a page's checksum is wrong. Without it: the backup is kept, marked as damaged, and alerted.
    #[schemars(example = &"fail")]
    pub damaged_pages: Option<DamagedPages>,
}

/// Which server a backup reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReadFrom {
    Primary,
    Standby,
    Any,
}

/// What happens when a page's checksum is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DamagedPages {
    /// The backup fails.
    Fail,
    /// The backup is kept and marked.
    Mark,
}

/// What changed since another backup.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incremental {
    /// The physical backup job it builds on.
    #[schemars(example = &"nightly")]
    pub of: Name,
    /// Each builds on the one before, at most so many in a row. Without it: each builds on the full backup itself.
    #[schemars(example = 96, range(min = 1, max = 1000))]
    pub chain: Option<u16>,
}

/// A dump of databases.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logical {
    /// The databases; those of the cluster without it.
    #[schemars(example = serde_json::json!(["app"]))]
    pub databases: Option<Vec<String>>,
    /// In one piece (`custom`), or in as many as there are jobs (`directory`). Without it: `directory` when there are jobs, `custom` otherwise.
    #[schemars(example = &"custom")]
    pub format: Option<DumpFormat>,
    /// How many tables are dumped at once; needs the directory format.
    #[schemars(example = 4, range(min = 1, max = 64))]
    pub jobs: Option<u16>,
    /// Owners are part of the dump. Without it: yes.
    #[schemars(example = false)]
    pub owners: Option<bool>,
    /// Grants are part of the dump. Without it: yes.
    #[schemars(example = false)]
    pub grants: Option<bool>,
    /// Only these schemas; pg_dump's patterns.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["public"]))]
    pub schemas: Vec<String>,
    /// Not these schemas; pg_dump's patterns.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["scratch_*"]))]
    pub exclude_schemas: Vec<String>,
    /// Only these tables, with their partitions, and nothing else of the database; pg_dump's patterns.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["orders*", "sales.*"]))]
    pub tables: Vec<String>,
    /// Not these tables; pg_dump's patterns.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["audit_*"]))]
    pub exclude_tables: Vec<String>,
    /// The definitions of these tables, and not their rows; pg_dump's patterns.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["sessions"]))]
    pub exclude_table_data: Vec<String>,
    /// What happens when one of `schemas` or `tables` fits nothing in a database. Without it: the dump fails.
    #[schemars(example = &"allow")]
    pub unmatched: Option<Unmatched>,
    /// Only these parts: definitions that rows need, rows, and what is made of rows (indexes, constraints). Without it: all of them.
    #[schemars(example = serde_json::json!(["pre-data", "post-data"]))]
    pub sections: Option<Vec<DumpSection>>,
    /// The fastest that rows are read, all jobs together.
    #[schemars(example = &"50MB/s")]
    pub read_limit: Option<Rate>,
    /// What happens when the role may not read a table. Without it: the dump fails.
    #[schemars(example = &"skip")]
    pub unreadable: Option<Unreadable>,
    /// How long a dump waits for a table that somebody changes the definition of, before it gives up. Without it: 10 s. While it waits, it
    /// keeps others from changing the tables that it has already.
    #[schemars(example = &"10s")]
    pub lock_timeout: Option<Duration>,
    /// The folder with pg_dump. Without it: PostgreSQL's usual one for the server's version.
    #[schemars(example = &"/usr/lib/postgresql/16/bin")]
    pub programs: Option<String>,
    /// Roles and tablespaces are dumped beside it. Without it: yes.
    #[schemars(example = true)]
    pub globals: Option<bool>,
    /// Which server is dumped. Without it: the host with `backups: true`.
    #[schemars(example = &"standby")]
    pub from: Option<ReadFrom>,
}

impl Logical {
    /// Not all of a database, or perhaps not.
    pub fn is_partial(&self) -> bool {
        self.leaves_out() || self.unreadable == Some(Unreadable::Skip)
    }

    /// Not all of a database, whoever dumps it.
    pub fn leaves_out(&self) -> bool {
        self.leaves_tables_out() || !self.exclude_table_data.is_empty() || self.lacks().is_some()
    }

    /// Of some tables not even the definition.
    pub fn leaves_tables_out(&self) -> bool {
        [&self.schemas, &self.exclude_schemas, &self.tables, &self.exclude_tables].into_iter().any(|patterns| !patterns.is_empty())
    }

    pub fn has(&self, section: DumpSection) -> bool {
        self.sections.as_ref().is_none_or(|sections| sections.contains(&section))
    }

    /// The sections that it does not have, in words; none where it has all.
    pub fn lacks(&self) -> Option<String> {
        let words: Vec<String> =
            DumpSection::ALL.into_iter().filter(|section| !self.has(*section)).map(|section| format!("`{section}`")).collect();
        (!words.is_empty()).then(|| words.join(" and "))
    }
}

/// What happens when a pattern fits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unmatched {
    /// The dump fails.
    Fail,
    /// It is passed over, and named.
    Allow,
}

/// What happens when the role may not read a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// The dump fails.
    Fail,
    /// The table is left out, and named.
    Skip,
}

/// pg_dump's formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DumpFormat {
    Custom,
    Directory,
}

/// A dump or export of chosen tables.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// The database; may be left out when the policy has exactly one.
    #[schemars(example = &"app")]
    pub database: Option<String>,
    /// The tables, written as in SQL.
    #[schemars(example = serde_json::json!(["users", "trading.positions"]), length(min = 1))]
    pub tables: Vec<String>,
    /// The form. Without it: `custom`.
    #[schemars(example = &"csv")]
    pub format: Option<TableFormat>,
    /// The fastest that rows are read.
    #[schemars(example = &"50MB/s")]
    pub read_limit: Option<Rate>,
}

/// The form of a table's dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TableFormat {
    /// pg_dump's custom format.
    Custom,
    /// Comma-separated values, compressed.
    Csv,
    /// Parquet.
    Parquet,
}

/// Files outside the data directory.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Files and folders, as absolute paths.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["/etc/postgresql", "/etc/ssl/pg"]))]
    pub paths: Vec<String>,
    /// What is left out; patterns as in .gitignore.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["*.log"]))]
    pub exclude: Vec<String>,
    /// The cluster's roles, tablespaces and settings (pg_dumpall --globals-only) are part of it.
    #[serde(default)]
    #[schemars(example = true)]
    pub globals: bool,
    /// A full one is taken when the last full one began so long ago; those between them store only the files whose content has changed.
    /// Without it: each is a full one.
    #[schemars(example = &"7d")]
    pub full_every: Option<Duration>,
}

/// Backups that a managed provider takes.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["aiven"])))]
pub struct Provider {
    /// Aiven for PostgreSQL.
    #[schemars(example = serde_json::json!({ "project": "grid", "service": "pg", "token": { "env": "AIVEN_TOKEN" } }))]
    pub aiven: Option<Aiven>,
    /// How old the newest of the provider's backups is said to be at most. This version does not look.
    #[schemars(example = &"26h")]
    pub newest_within: Duration,
    /// The provider must offer recovery to any moment, this far back.
    #[schemars(example = &"2d")]
    pub any_moment: Option<Duration>,
    /// The most that a recovery by the provider is assumed to lose.
    #[schemars(example = &"5m")]
    pub loses_at_most: Option<Duration>,
    /// How long a recovery by the provider is assumed to take.
    #[schemars(example = &"1h")]
    pub recovery_takes: Option<Duration>,
}

/// A service at Aiven.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aiven {
    /// The project.
    #[schemars(example = &"grid")]
    pub project: String,
    /// The service.
    #[schemars(example = &"grid-pg")]
    pub service: String,
    /// The access token, by reference.
    #[schemars(example = serde_json::json!({ "env": "AIVEN_TOKEN" }))]
    pub token: Secret,
}

/// Backups that another tool takes.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["pgbackrest", "wal-g", "barman"])))]
pub struct Engine {
    /// pgBackRest.
    #[schemars(example = serde_json::json!({ "stanza": "main" }))]
    pub pgbackrest: Option<PgBackRest>,
    /// WAL-G, also for repositories that WAL-E began.
    #[serde(rename = "wal-g")]
    #[schemars(example = serde_json::json!({ "config": "/etc/wal-g.json" }))]
    pub wal_g: Option<WalG>,
    /// Barman.
    #[schemars(example = serde_json::json!({ "server": "pricing" }))]
    pub barman: Option<Barman>,
    /// Whether Seawall runs the tool on the schedule or only watches what it has. Without it: `run` when there is a schedule.
    #[schemars(example = &"watch")]
    pub mode: Option<EngineMode>,
    /// How old the newest of its backups is said to be at most. This version does not look.
    #[schemars(example = &"25h")]
    pub newest_within: Option<Duration>,
    /// The tool archives the log as well; any moment this far back can be recovered with it.
    #[schemars(example = &"7d")]
    pub any_moment: Option<Duration>,
    /// The most that a recovery with the tool is assumed to lose.
    #[schemars(example = &"5m")]
    pub loses_at_most: Option<Duration>,
    /// How long a recovery with the tool is assumed to take.
    #[schemars(example = &"1h")]
    pub recovery_takes: Option<Duration>,
}

/// Whether another tool is run or watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngineMode {
    Run,
    Watch,
}

/// pgBackRest.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PgBackRest {
    /// The stanza.
    #[schemars(example = &"main")]
    pub stanza: String,
    /// Its configuration file, when it is not the default one.
    #[schemars(example = &"/etc/pgbackrest/pgbackrest.conf")]
    pub config: Option<String>,
}

/// WAL-G.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WalG {
    /// Its configuration file.
    #[schemars(example = &"/etc/wal-g.json")]
    pub config: String,
}

/// Barman.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Barman {
    /// The server's name in Barman's configuration.
    #[schemars(example = &"pricing")]
    pub server: String,
}

/// Further stores that get a copy.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Copies {
    Names(Vec<Name>),
    Rules(BTreeMap<Name, CopyRule>),
}

/// A copy with rules of its own.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyRule {
    /// How long backups stay in that store; as in the first one without it.
    #[schemars(example = serde_json::json!({ "monthly": 12 }))]
    pub keep: Option<Keep>,
    /// How long after the backup the copy must be there; counted into the RPO of scenarios that recover from it. Without it: 1 hour.
    #[schemars(example = &"2h")]
    pub within: Option<Duration>,
    /// Only these tiers are copied (`monthly`, `yearly`, …); every backup without it.
    #[schemars(example = serde_json::json!(["monthly", "yearly"]))]
    pub only: Option<OneOrMany<TierName>>,
}

/// The name of a calendar tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TierName {
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Quarterly,
    Yearly,
}
