//! `expiring/…`: what the rules let go, marked before it is deleted.
//!
//! Not signed, because nothing is believed of it but its age, and that is what the store says. Whoever can write to the store and
//! plants one starts a clock, nothing else: whether something is deleted is decided anew, from the policy and the signed
//! descriptors, and what is to stay loses its mark at the next run. That a brake was acknowledged is the one word of it that counts: a
//! forged one lets a run delete faster what the rules have let go all the same.

use serde::{Deserialize, Serialize};

use crate::inventory::SystemIdentifier;
use crate::units::{BackupId, Lsn, Timeline};

/// The version of both forms.
pub const FORMAT: u32 = 1;
pub const MAX_BYTES: usize = 64 << 10;

/// `expiring/<backup>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    pub format: u32,
    pub backup: BackupId,
    /// Why no rule wants it, in words for people.
    pub reason: String,
    pub by: Marker,
    /// Somebody had said that so many may go at once.
    #[serde(default)]
    pub acknowledged: bool,
}

/// `expiring/wal/<system-id>/<timeline>.json`: below this position nothing was needed but what backups need for themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMark {
    pub format: u32,
    pub system_identifier: SystemIdentifier,
    pub timeline: Timeline,
    pub below: Lsn,
    pub by: Marker,
}

/// Who marked it, by which policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    pub host: String,
    pub policy: String,
    /// SHA-256 over the policy's files.
    pub digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

impl Tombstone {
    /// What cannot be read is a mark all the same: its name says of what, and nobody acknowledged anything.
    pub fn read(json: &[u8]) -> Option<Tombstone> {
        serde_json::from_slice(json).ok()
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("texts")
    }
}

impl LogMark {
    /// One that cannot be read marks nothing.
    pub fn read(json: &[u8]) -> Option<LogMark> {
        serde_json::from_slice(json).ok()
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("texts and numbers")
    }
}
