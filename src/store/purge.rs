use super::Key;
use crate::units::Instant;

/// What came of deleting for good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// What is still there, because a lock forbids to delete it.
    pub locked: Vec<Locked>,
    /// Why it is not known whether older versions are left, where the store would not say.
    pub doubt: Option<String>,
}

/// An object that may not be deleted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    pub key: Key,
    /// Until when, where the store says it. A legal hold has no end.
    pub until: Option<Instant>,
    pub legal_hold: bool,
}
