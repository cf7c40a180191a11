use thiserror::Error;

use crate::inventory::Broken;
use crate::units::{BackupId, Instant, Lsn, Timeline};

/// What stands between the inventory and the target.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Missing {
    #[error("there is no complete physical backup in this store, so there is nothing to begin with")]
    NoBase,
    #[error("there is no complete physical backup on timeline {timeline} or on those it came from")]
    NoBaseOnTimeline { timeline: Timeline },
    #[error("the target {target} is before the end of the oldest backup, {oldest}, at {oldest_at}")]
    BaseBefore { target: String, oldest: BackupId, oldest_at: Instant },
    #[error("backup {0} is not in this store")]
    NoSuchBackup(BackupId),
    #[error("backup {0} is not a complete physical one")]
    NotABase(BackupId),
    #[error("backup {id} cannot be restored: {broken}")]
    Chain { id: BackupId, broken: Broken },
    #[error("backup {0} does not say where its write-ahead log begins and ends")]
    Position(BackupId),
    #[error("the write-ahead log of timeline {timeline} has a gap: {from} to {} is not in this store", to.map_or_else(|| "an unknown position".to_owned(), |to| to.to_string()))]
    Wal { timeline: Timeline, from: Lsn, to: Option<Lsn> },
    #[error("the write-ahead log of timeline {timeline} ends at {end}, before the target {target}")]
    WalEndsBefore { timeline: Timeline, end: Lsn, end_time: Option<Instant>, target: String },
    #[error(
        "timeline {timeline} is the newest, but timeline {rival} went on beside it until {rival_end}: it is not certain which one is meant"
    )]
    Rivals { timeline: Timeline, rival: Timeline, rival_end: Instant },
    #[error("timeline {0} is not in this store")]
    NoSuchTimeline(Timeline),
}
