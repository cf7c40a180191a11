//! The table in which applications see what is under hold: `seawall.hold`, and the view `seawall.legal_hold` of those that stand.

/// What a database says of it, as far as one policy is concerned.
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
