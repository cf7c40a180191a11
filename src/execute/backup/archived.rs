//! Waits until the log that a backup needs is seen in the store: only then is it one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::BackupFault;
use crate::format::codec::Codec;
use crate::format::layout::Repository;
use crate::inventory::SystemIdentifier;
use crate::postgres::Connection;
use crate::store::Store;
use crate::units::{Lsn, Segment, SegmentSize, Timeline, WalFile};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How many segments are asked for one by one; of more a list is taken.
const FEW: u64 = 4;

/// The log of one backup.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needed {
    pub cluster: SystemIdentifier,
    pub timeline: Timeline,
    pub start: Lsn,
    pub stop: Lsn,
    pub segment: SegmentSize,
}

impl Needed {
    fn first(&self) -> Segment {
        Segment::of(self.timeline, self.start, self.segment)
    }

    fn last(&self) -> Segment {
        Segment::before(self.timeline, self.stop, self.segment).max(self.first())
    }

    fn segments(&self) -> impl Iterator<Item = Segment> {
        let (last, size) = (self.last(), self.segment);
        std::iter::successors(Some(self.first()), move |segment| (*segment < last).then(|| segment.next(size)))
    }
}

/// Where the log lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Archive<'a> {
    pub store: &'a Store,
    pub repository: &'a Repository,
    /// How it is usually stored; every other way counts too.
    pub codec: Codec,
    pub encrypted: bool,
}

/// Comes back when all of it is there.
pub(super) fn wait(
    archive: Archive<'_>,
    needed: &Needed,
    patience: Duration,
    stop: &AtomicBool,
    server: &mut Connection,
) -> Result<(), BackupFault> {
    let began = Instant::now();
    let (mut pause, mut missing) = (FIRST_PAUSE, archive.missing(needed, needed.first())?);
    while let Some(segment) = missing {
        if stop.load(Ordering::Relaxed) {
            return Err(BackupFault::Interrupted);
        }
        if began.elapsed() > patience {
            return Err(never_came(segment, began.elapsed(), archive.store, server));
        }
        thread::sleep(pause);
        let still = archive.missing(needed, segment)?;
        // Something moves: look sooner again.
        pause = if still == missing { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        missing = still;
    }
    Ok(())
}

impl Archive<'_> {
    /// The first segment from `from` on that is not there.
    fn missing(&self, needed: &Needed, from: Segment) -> Result<Option<Segment>, BackupFault> {
        let rest = || needed.segments().filter(move |segment| *segment >= from);
        if rest().take(FEW as usize + 1).count() as u64 <= FEW {
            for segment in rest() {
                if !self.has(needed.cluster, segment)? {
                    return Ok(Some(segment));
                }
            }
            return Ok(None);
        }
        let mut listed = None;
        let mut there = std::collections::HashSet::new();
        for segment in rest() {
            let folder = self.repository.log_prefix(needed.cluster, segment);
            if listed.as_ref() != Some(&folder) {
                there = self
                    .store
                    .list(&folder)?
                    .iter()
                    .filter_map(|meta| crate::format::layout::wal_file(&meta.key))
                    .map(|(file, ..)| file)
                    .collect();
                listed = Some(folder);
            }
            if !there.contains(&WalFile::Segment(segment)) {
                return Ok(Some(segment));
            }
        }
        Ok(None)
    }

    fn has(&self, cluster: SystemIdentifier, segment: Segment) -> Result<bool, BackupFault> {
        let ways = [(self.codec, self.encrypted)]
            .into_iter()
            .chain([true, false].into_iter().flat_map(|sealed| [Codec::DEFAULT, Codec::Lz4, Codec::None].map(|codec| (codec, sealed))));
        let mut asked = Vec::new();
        for (codec, encrypted) in ways {
            let key = self.repository.wal(cluster, WalFile::Segment(segment), codec, encrypted);
            if asked.contains(&key) {
                continue;
            }
            if self.store.head(&key)?.is_some() {
                return Ok(true);
            }
            asked.push(key);
        }
        Ok(false)
    }
}

fn never_came(segment: Segment, waited: Duration, store: &Store, server: &mut Connection) -> BackupFault {
    let message = format!("segment {segment} of the log did not come to {} within {} s", store.url(), waited.as_secs());
    let said = server.query("select last_failed_wal, last_failed_time::text from pg_stat_archiver where last_failed_wal is not null", &[]);
    let failed = said.ok().and_then(|rows| {
        let row = rows.iter().next()?;
        Some(format!(
            "`pg_stat_archiver` says that {} failed at {}; the server's log says why. ",
            row.get("last_failed_wal")?,
            row.get("last_failed_time")?
        ))
    });
    let hint = format!("{}Look at `archive_command`, `pg_stat_archiver` and the server's log.", failed.unwrap_or_default());
    BackupFault::refused(message, hint)
}
