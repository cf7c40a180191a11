//! What came of it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::units::{Instant, Name};

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
