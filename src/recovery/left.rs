use std::fmt;

use super::coverage::Coverage;
use crate::inventory::{History, StoreInventory, SystemIdentifier};
use crate::units::{Instant, Lsn, Segment, SegmentSize, Timeline};

/// Log of the timeline that the newest one came from, past the place where that one left it: after a recovery to an earlier moment what was
/// given up on purpose, and beside an original that went on what everybody works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftBehind {
    pub timeline: Timeline,
    /// The one that left it.
    pub by: Timeline,
    pub fork: Lsn,
    pub to: Lsn,
    /// Up to when it was written.
    pub until: Instant,
}

impl fmt::Display for LeftBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeftBehind { timeline, by, fork, to, until } = self;
        write!(f, "timeline {timeline} has log past {fork}, where timeline {by} left it: up to {to}, written until {until}")
    }
}

/// What a recovery along this timeline leaves out of the one before it.
pub fn left_behind(store: &StoreInventory, cluster: Option<SystemIdentifier>, timeline: Timeline, size: SegmentSize) -> Option<LeftBehind> {
    let history = History::of(timeline, &store.forks, cluster);
    let (left, fork) = history.last_left()?;
    let coverage = Coverage::of(&store.wal, cluster);
    let (to, until) = coverage.end(left)?;
    // What lies in the fork's own segment was known to whoever replayed it.
    let known = Segment::before(left, fork, size).end(size);
    (to > known).then_some(LeftBehind { timeline: left, by: timeline, fork, to, until })
}
