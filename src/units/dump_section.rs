use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of a dump, in the words of `pg_dump` and `pg_restore`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DumpSection {
    /// Definitions that rows need.
    PreData,
    /// Rows, large objects, and where sequences are.
    Data,
    /// What is made of rows that are there: indexes, constraints, triggers, policies.
    PostData,
}

impl DumpSection {
    pub const ALL: [DumpSection; 3] = [DumpSection::PreData, DumpSection::Data, DumpSection::PostData];

    pub const fn as_str(self) -> &'static str {
        match self {
            DumpSection::PreData => "pre-data",
            DumpSection::Data => "data",
            DumpSection::PostData => "post-data",
        }
    }
}

impl fmt::Display for DumpSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
