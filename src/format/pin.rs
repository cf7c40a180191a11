//! `pins/<backup>-<host>-<process>.json`: that a backup is being read. Renewed by being put again, so its age is what the store says.

use serde::{Deserialize, Serialize};

use crate::units::{BackupId, Instant, Lsn};

pub const FORMAT: u32 = 1;
pub const MAX_BYTES: usize = 64 << 10;
/// A pin that was not renewed for so long is nobody's. Long, because a host that sleeps, or loses its store for an hour, goes on
/// with its restore afterwards; all that a pin of a dead one costs is a day's room.
pub const STALE_SECONDS: i64 = 24 * 3600;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    pub format: u32,
    pub backup: BackupId,
    pub host: String,
    pub since: Instant,
    pub why: String,
    /// The log is read from here on.
    pub wal_from: Lsn,
}

impl Pin {
    pub fn read(json: &[u8]) -> Option<Pin> {
        serde_json::from_slice(json).ok()
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("texts and numbers")
    }
}

/// By the store's own clock. One of a time that is still to come is alive: a clock was set back, and it is not clear which.
pub fn is_stale(renewed: Instant, now: Instant) -> bool {
    now.duration_since(renewed).as_secs() > STALE_SECONDS
}
