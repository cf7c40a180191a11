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

/// `expiring/wal/<system-id>/<timeline>.json`: what of a timeline nothing needed. Each stretch by itself: what lies between two of them was
/// needed, and when that ends, its own time begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMark {
    pub format: u32,
    pub system_identifier: SystemIdentifier,
    pub timeline: Timeline,
    pub stretches: Vec<Stretch>,
    pub by: Marker,
}

/// A part of the log, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stretch {
    pub from: Lsn,
    pub to: Lsn,
}

/// So many stand in one mark; the oldest first, the others follow in the next one.
const MOST_STRETCHES: usize = 400;

/// In order, and what touches as one.
pub fn joined(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.sort_unstable();
    let mut all: Vec<Stretch> = Vec::new();
    for stretch in stretches {
        match all.last_mut() {
            Some(last) if stretch.from <= last.to => last.to = last.to.max(stretch.to),
            _ => all.push(stretch),
        }
    }
    all
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
    pub fn new(system_identifier: SystemIdentifier, timeline: Timeline, stretches: Vec<Stretch>, by: Marker) -> Self {
        let mut stretches = joined(stretches);
        stretches.truncate(MOST_STRETCHES);
        LogMark { format: FORMAT, system_identifier, timeline, stretches, by }
    }

    /// Where the newest of it ends, for people.
    pub fn below(&self) -> Option<Lsn> {
        self.stretches.iter().map(|stretch| stretch.to).max()
    }

    pub fn covers(&self, of: Stretch) -> bool {
        covers(&self.stretches, of)
    }

    /// One that cannot be read marks nothing.
    pub fn read(json: &[u8]) -> Option<LogMark> {
        serde_json::from_slice(json).ok()
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("texts and numbers")
    }
}

/// Whether one of these holds all of it.
pub fn covers(stretches: &[Stretch], of: Stretch) -> bool {
    stretches.iter().any(|stretch| stretch.from <= of.from && of.to <= stretch.to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(from: u64, to: u64) -> Stretch {
        Stretch { from: Lsn(from), to: Lsn(to) }
    }

    #[test]
    fn stretches_that_touch_are_one_and_what_lies_between_two_belongs_to_none() {
        let all = joined(vec![stretch(40, 50), stretch(0, 10), stretch(10, 20), stretch(12, 15)]);
        assert_eq!(all, [stretch(0, 20), stretch(40, 50)]);
        assert!(covers(&all, stretch(5, 20)) && covers(&all, stretch(40, 50)));
        assert!(!covers(&all, stretch(20, 30)) && !covers(&all, stretch(15, 45)) && !covers(&[], stretch(0, 1)));
    }

    #[test]
    fn a_mark_stays_small_enough_to_be_read() {
        let by = Marker { host: "h".repeat(64), policy: "p".repeat(64), digest: "d".repeat(71), commit: Some("c".repeat(46)) };
        let many = (0..100_000).map(|at| stretch(u64::MAX - 2 * at - 1, u64::MAX - 2 * at)).collect();
        let mark = LogMark::new(SystemIdentifier(u64::MAX), Timeline::FIRST, many, by);
        assert!(mark.to_json().len() <= MAX_BYTES, "{}", mark.to_json().len());
        assert_eq!(LogMark::read(&mark.to_json()), Some(mark));
    }
}
