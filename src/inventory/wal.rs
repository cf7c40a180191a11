use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SystemIdentifier;
use crate::units::{Instant, Lsn, Timeline};

/// An unbroken stretch of the write-ahead log of one timeline that lies in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WalRange {
    /// The cluster that wrote it. Absent where the store holds the log of one cluster only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"7301234567890123456")]
    pub system_identifier: Option<SystemIdentifier>,
    /// The timeline it belongs to.
    #[schemars(example = 1)]
    pub timeline: Timeline,
    /// The first position in it.
    #[schemars(example = &"16/B0000000")]
    pub from_lsn: Lsn,
    /// The first position that is no longer in it.
    #[schemars(example = &"17/2A000000")]
    pub to_lsn: Lsn,
    /// When its first record was written.
    #[schemars(example = &"2026-11-01T00:00:00Z")]
    pub from_time: Instant,
    /// Up to which moment it holds everything that was committed.
    #[schemars(example = &"2026-11-21T08:15:00Z")]
    pub to_time: Instant,
}

/// Where a timeline left the one before it, as its `.history` file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fork {
    /// The cluster. Absent where the store holds the log of one cluster only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"7301234567890123456")]
    pub system_identifier: Option<SystemIdentifier>,
    /// The new timeline.
    #[schemars(example = 2)]
    pub timeline: Timeline,
    /// The timeline that it left.
    #[schemars(example = 1)]
    pub parent: Timeline,
    /// The position at which it left.
    #[schemars(example = &"17/2A0000A0")]
    pub at_lsn: Lsn,
    /// The last moment that both have in common, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-11-21T08:10:00Z")]
    pub at_time: Option<Instant>,
}
