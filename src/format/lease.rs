//! `leases/backup-<id>.json`: that a backup is being taken. It is renewed by being put again, so its age is what the store says.

use serde::{Deserialize, Serialize};

use crate::units::{BackupId, Instant, Name};

pub const MAX_BYTES: usize = 64 << 10;
/// A lease that was not renewed for so long is nobody's.
pub const STALE_SECONDS: i64 = 15 * 60;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub backup: BackupId,
    pub job: Name,
    pub host: String,
    pub started: Instant,
    /// The run of the machine, from its start on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// The process, among those that can see each other (a container has numbers of its own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// Put before it was seen whether others are at it: of two that ask at once the first goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks: bool,
}

/// A process of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub number: u32,
    pub among: String,
}

impl Lease {
    /// A note, not a promise: what cannot be read says nothing.
    pub fn read(json: &[u8]) -> Option<Lease> {
        serde_json::from_slice(json).ok()
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("texts")
    }
}

/// By the store's own clock. Also stale when it is of a time that is still to come: that clock was set back since.
pub fn is_stale(renewed: Instant, now: Instant) -> bool {
    now.duration_since(renewed).as_secs().abs() > STALE_SECONDS
}
