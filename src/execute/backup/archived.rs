//! Waits until the log that a backup needs is seen in the store: only then is it one.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::BackupFault;
use super::awaited::Awaited;
use crate::format::codec::{Codec, Envelope};
use crate::format::layout::Repository;
use crate::inventory::SystemIdentifier;
use crate::postgres::Connection;
use crate::store::Store;
use crate::units::{Instant as Timestamp, Lsn, Segment, SegmentSize, Timeline, WalFile, moment_of};
use crate::wal::{Place, WalFault, find, read_stamp};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often the server is asked what its archiver does, while nothing comes.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How many segments are asked for one by one; of more a list is taken.
const FEW: u64 = 4;
/// How far the clocks of two hosts may differ.
const CLOCKS: Duration = Duration::from_secs(600);

/// The log of one backup.
#[derive(Debug, Clone, Copy)]
pub(in crate::execute) struct Needed {
    pub cluster: SystemIdentifier,
    pub timeline: Timeline,
    pub start: Lsn,
    pub stop: Lsn,
    pub segment: SegmentSize,
}

impl Needed {
    pub(super) fn first(&self) -> Segment {
        Segment::of(self.timeline, self.start, self.segment)
    }

    pub(super) fn last(&self) -> Segment {
        Segment::before(self.timeline, self.stop, self.segment).max(self.first())
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = Segment> {
        let (last, size) = (self.last(), self.segment);
        std::iter::successors(Some(self.first()), move |segment| (*segment < last).then(|| segment.next(size)))
    }
}

/// Where the log lies.
#[derive(Debug, Clone, Copy)]
pub(in crate::execute) struct Archive<'a> {
    pub store: &'a Store,
    pub repository: &'a Repository,
    /// How it is usually stored; every other way counts too.
    pub codec: Codec,
    pub envelope: Envelope,
}

/// Comes back when all of it is there. Tells meanwhile what it waits for.
pub(in crate::execute) fn wait(
    archive: Archive<'_>,
    needed: &Needed,
    patience: Duration,
    stop: &AtomicBool,
    server: &mut Connection,
    tell: &dyn Fn(Awaited),
) -> Result<(), BackupFault> {
    let began = Instant::now();
    let (mut pause, mut missing) = (FIRST_PAUSE, archive.missing(needed, needed.first())?);
    let mut ask_at = began + LONGEST_PAUSE;
    while let Some(segment) = missing {
        if stop.load(Ordering::Relaxed) {
            return Err(BackupFault::Interrupted);
        }
        if began.elapsed() > patience {
            return Err(never_came(segment, began.elapsed(), archive.store, server));
        }
        if Instant::now() >= ask_at {
            tell(Awaited::ask(segment, server));
            ask_at = Instant::now() + ASK_EVERY;
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
    pub(super) fn missing(&self, needed: &Needed, from: Segment) -> Result<Option<Segment>, BackupFault> {
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
        let every = [Envelope::Age, Envelope::OpenPgp, Envelope::None].into_iter();
        let every = every.flat_map(|envelope| [Codec::DEFAULT, Codec::Lz4, Codec::None].map(|codec| (codec, envelope)));
        let ways = [(self.codec, self.envelope)].into_iter().chain(every);
        let mut asked = Vec::new();
        for (codec, envelope) in ways {
            let key = self.repository.wal(cluster, WalFile::Segment(segment), codec, envelope);
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

/// Where a standby's backup begins. No backup makes it write a checkpoint: it is the last one that came to it, and may be hours old.
#[derive(Debug, Clone, Copy)]
pub(in crate::execute) struct Restartpoint {
    redo: Lsn,
    /// By the primary's clock, which its segments are dated by too. The segment that replay begins in was finished later.
    pub at: Timestamp,
}

impl Restartpoint {
    pub(in crate::execute) fn ask(standby: &mut Connection) -> Result<Restartpoint, BackupFault> {
        let sql = "select redo_lsn::text as redo, extract(epoch from checkpoint_time) as at from pg_control_checkpoint()";
        let rows = standby.query(sql, &[])?;
        let row = rows.one()?;
        let unreadable = || BackupFault::refused("the standby does not say when its last checkpoint was", "");
        Ok(Restartpoint { redo: row.parse("redo")?, at: moment_of(row.parse("at")?).ok_or_else(unreadable)? })
    }

    /// That of a backup which begins at `start`. One that came since is later than what the backup needs; this one is not.
    pub(in crate::execute) fn of_backup(self, start: Lsn, standby: &mut Connection) -> Result<Restartpoint, BackupFault> {
        let now = Restartpoint::ask(standby)?;
        Ok(if now.redo == start { now } else { self })
    }
}

/// Names are not enough: a server that was set back to an older state writes the same names once more, and its archiver is refused. What lies
/// in the store must be what this server wrote: by its content while the segment is here (`wal`), otherwise by its time, which cannot be
/// before the backup's first checkpoint (`since`).
pub(in crate::execute) fn must_be_own(
    archive: Archive<'_>,
    needed: &Needed,
    wal: Option<&Path>,
    since: Timestamp,
) -> Result<(), BackupFault> {
    let place = Place { store: archive.store.clone(), repository: archive.repository.clone() };
    let unread = |fault: WalFault| BackupFault::refused(fault.message, fault.hint);
    for segment in [needed.first(), needed.last()] {
        let file = WalFile::Segment(segment);
        let (key, size) = find(&place, needed.cluster, file)
            .map_err(unread)?
            .ok_or_else(|| BackupFault::refused(format!("segment {segment} was in {} and is gone", archive.store.url()), ""))?;
        let stamp = read_stamp(&place, &key, size).map_err(unread)?.0.stamp;
        let own = wal.and_then(|wal| content(&wal.join(segment.to_string())));
        if own.map_or(stamp.written.saturating_add(CLOCKS).is_ok_and(|latest| latest >= since), |own| own == stamp.content) {
            continue;
        }
        let message = format!("segment {segment} in {} is not this server's: it was written at {}", archive.store.url(), stamp.written);
        let hint = "Was this server set back to an older state, or is it a copy that was never promoted? It then writes a second history under the \
                    names of the first, and its archiver is refused: promote it to a timeline of its own.";
        return Err(BackupFault::refused(message, hint));
    }
    Ok(())
}

/// BLAKE3 of a segment, if it is still the same file afterwards: one that is no longer needed becomes a later one.
fn content(path: &Path) -> Option<[u8; 32]> {
    let mut file = File::open(path).ok()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&mut file).ok()?;
    let (opened, now) = (file.metadata().ok()?, std::fs::metadata(path).ok()?);
    (opened.ino() == now.ino() && opened.dev() == now.dev()).then(|| hasher.finalize().into())
}

fn never_came(segment: Segment, waited: Duration, store: &Store, server: &mut Connection) -> BackupFault {
    let message = format!("segment {segment} of the log did not come to {} within {} s", store.url(), waited.as_secs());
    let archiver = Awaited::ask(segment, server).archiver;
    let said = archiver.map(|archiver| format!("`pg_stat_archiver`: {archiver}. ")).unwrap_or_default();
    let hint = format!("{said}Look at `archive_command` and at the server's log, which says why a call of it failed.");
    BackupFault::refused(message, hint)
}
