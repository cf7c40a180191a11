//! What came of it.

use schemars::JsonSchema;
use serde::Serialize;

use super::order::Because;
use super::plan::{Plan, Shown};
use crate::execute::dump::restore::HeldJob;
use crate::units::{Instant, Name};

/// What a restore by tiers would do: what `--plan --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Plan of seawall restore --tier")]
pub struct Planned {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    pub policy: String,
    pub host: String,
    /// `dump` or `physical`.
    pub source: String,
    pub store: Name,
    pub backup: String,
    /// The state that it holds, for people.
    pub moment: String,
    /// Bytes of the whole backup in its store.
    pub stored_bytes: u64,
    pub from_database: String,
    pub database: String,
    /// Where it is.
    pub server: String,
    /// Another run has begun it, and this one would go on.
    pub is_begun: bool,
    /// In the order in which they come.
    pub tiers: Vec<PlannedTier>,
    pub remarks: Vec<String>,
}

/// A tier that will come.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlannedTier {
    /// Absent for what no tier names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Name>,
    /// What is promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rto_seconds: Option<u64>,
    /// Tables of every kind.
    pub tables: Vec<String>,
    /// As a dump has counted them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// As the policy has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Bytes that are read from the store for it; absent for dumps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch_bytes: Option<u64>,
    /// By what was measured or assumed, from the start until it is usable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_seconds: Option<f64>,
    /// Tables that come earlier than their own tier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub early: Vec<EarlyTable>,
    /// Foreign keys of its tables that come with a later tier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys_to_come: Vec<String>,
    pub is_there: bool,
}

/// A table that comes with another one.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EarlyTable {
    pub table: String,
    pub of: String,
    /// `part` where its rows are among those of the other one, `read` where something of that one reads it.
    pub because: String,
}

impl Planned {
    pub(super) fn of(plan: &Plan<'_>) -> Planned {
        Planned {
            format_version: 1,
            policy: plan.site().policy.name.to_string(),
            host: plan.site().host().to_owned(),
            source: plan.source().to_owned(),
            store: plan.store().clone(),
            backup: plan.backup().to_owned(),
            moment: plan.moment(),
            stored_bytes: plan.stored(),
            from_database: plan.ground.database.name.clone(),
            database: plan.ground.wanted.into.clone(),
            server: plan.ground.target.server.clone(),
            is_begun: plan.begun.is_some(),
            tiers: plan.courses.iter().map(PlannedTier::of).collect(),
            remarks: plan.remarks.clone(),
        }
    }
}

impl PlannedTier {
    fn of(course: &Shown) -> PlannedTier {
        let early = course.early.iter().map(|early| EarlyTable {
            table: early.table.to_string(),
            of: early.of.to_string(),
            because: if early.because == Because::Part { "part" } else { "read" }.to_owned(),
        });
        PlannedTier {
            tier: course.tier.as_ref().map(|(name, _)| name.clone()),
            rto_seconds: course.tier.as_ref().map(|(_, rto)| rto.as_secs()),
            tables: course.tables.clone(),
            rows: course.rows,
            size_bytes: course.size.map(|size| size.get()),
            fetch_bytes: course.fetch,
            predicted_seconds: course.predicted_seconds,
            early: early.collect(),
            keys_to_come: course.keys_to_come.clone(),
            is_there: course.is_there,
        }
    }
}

/// What a restore by tiers did: what `--format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall restore --tier")]
pub struct Tiered {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    pub policy: String,
    pub host: String,
    /// Of the first run, where one goes on with what another has begun.
    pub started: Instant,
    pub ended: Instant,
    /// It went on with what another run had begun.
    pub resumed: bool,
    /// `dump` or `physical`.
    pub source: String,
    pub store: Name,
    pub backup: String,
    /// The state that it holds, for people.
    pub moment: String,
    pub from_database: String,
    pub database: String,
    /// Where it is.
    pub server: String,
    /// In the order in which they came.
    pub tiers: Vec<Usable>,
    /// Foreign keys that rows of the backup break, since somebody has deleted what they lead to before the key came. They are kept as not valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub broken_keys: Vec<String>,
    /// TimescaleDB's jobs that came with it, and do not run until somebody says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_jobs: Vec<HeldJob>,
    /// Rows that this run brought.
    pub rows: u64,
    pub bytes: u64,
    /// From the start to the end of everything.
    pub seconds: f64,
    /// Roles that were made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    pub remarks: Vec<String>,
}

/// A tier that is there.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Usable {
    /// Absent for what no tier names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Name>,
    /// Tables of every kind.
    pub tables: Vec<String>,
    /// As many as the backup has; absent where another run has brought them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// From the start until it was usable.
    pub seconds: f64,
    /// What is promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rto_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
    /// Foreign keys of its tables that come with a later tier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys_to_come: Vec<String>,
}

impl Usable {
    pub fn name(&self) -> String {
        self.tier.as_ref().map_or_else(|| "what no tier names".to_owned(), |tier| format!("`{tier}`"))
    }
}
