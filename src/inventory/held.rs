//! What a database says of holds, and of rows that go by their age.

use std::collections::BTreeMap;

use super::TableName;
use crate::units::{Instant, Period};

/// What a database says of holds, and of rows that go by their age, as far as one policy is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The policy's own, as applications see them.
    pub shown: HoldTable,
    /// Those of other policies that stand, with the policy's name.
    pub others: Vec<(String, HoldEntry)>,
    /// Those of all that stand which name nothing with rows.
    pub empty: Vec<EmptyHold>,
    /// The ages at which this policy's rows may go around holds, by table. None: there is no such record.
    pub ages: Option<BTreeMap<String, Period>>,
    /// Up to when rows have left tables by Seawall's hand, by table.
    pub left: BTreeMap<String, Instant>,
}

impl Held {
    pub fn left_until(&self, table: &TableName) -> Option<Instant> {
        self.left.get(&table.to_string()).copied()
    }
}

/// The table in which applications see what is under hold: `seawall.hold`, and the view `seawall.legal_hold` of those that stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldTable {
    Absent,
    Present(Vec<HoldEntry>),
}

/// A hold as the table has it: everything is text there, so that what differs is what reads otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldEntry {
    pub name: String,
    /// The table with the rows, as the policy writes it.
    pub of: String,
    pub condition: Option<String>,
    pub rows_from: Option<String>,
    pub rows_to: Option<String>,
    pub reason: String,
    /// The first day on which it no longer stands, in this time zone.
    pub until: Option<String>,
    pub zone: String,
}

/// A hold that stands and holds nothing, whatever whoever wrote it thinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmptyHold {
    pub policy: String,
    pub name: String,
    /// What it names.
    pub of: String,
    pub why: NoRows,
}

/// Why what a hold names has no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRows {
    /// There is no table of that name: misspelt, renamed, or a chunk that is gone.
    Missing,
    /// A view, or something else without rows of its own.
    NotATable,
}
