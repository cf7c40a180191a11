//! Deletes what nothing needs of the write-ahead log. In two phases too: a mark for each timeline names the stretches that nothing needed;
//! when it is old enough, and as far as that is still so, they go. What a backup needed until it went, or until it could not be seen any more, is in no
//! mark yet: it is marked then, and waits for its own time.
//!
//! A backup's own log stays as long as the backup is *there* (`plan::log_needs`), so a backup always goes before its log. Histories of
//! timelines stay for ever: they are tiny, and without one a timeline cannot be followed.
//!
//! The order: segments, by stretches; then the claims of those too large to be put in one piece, which must outlive them; the mark last. A
//! run that was broken off leaves the mark, and the next one goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;

use super::backups::{AT_ONCE, Fate, LOOK_AGES, locked};
use super::clock::second;
use super::ground::{Ground, has_descriptor, pins};
use super::{Deed, Done, ExpireFault, Expired, Onlooker, What};
use crate::format::tombstone::{LogMark, Marker, Stretch, covers, joined};
use crate::inventory::{Backup, SystemIdentifier};
use crate::observe::{find_descriptor, width};
use crate::plan::{LogAwaited, LogPiece, lint_log};
use crate::policy::model::Policy;
use crate::retention::LogNeeds;
use crate::store::{Fault, Locked, Meta, Purged};
use crate::units::{BackupId, Instant, Key, Lsn, Name, Segment, SegmentSize, Timeline, WalFile};
use crate::world::parallel;

/// So many objects are held in memory at a time.
const STRETCH: usize = 8 * AT_ONCE;

/// One cluster's log in one store.
pub(super) struct Log<'r> {
    pub ground: &'r Ground,
    pub cluster: SystemIdentifier,
    pub size: SegmentSize,
    pub needs: &'r LogNeeds,
    /// What copies are to have before it goes here.
    pub awaited: &'r [LogAwaited],
    /// Of all stores: none of these loses its log.
    pub backups: &'r [&'r Backup],
    pub policy: &'r Policy,
    pub marker: &'r Marker,
    pub onlooker: Onlooker<'r>,
    /// Every store of the policy that could be seen.
    pub grounds: Vec<&'r Ground>,
}

/// What was found on one timeline.
#[derive(Debug, Default)]
struct Line {
    /// What nothing needs and is still there.
    left_stretches: Vec<Stretch>,
    left: u64,
    left_bytes: u64,
    deleted: u64,
    deleted_to: Option<Lsn>,
    bytes: u64,
    locked: Vec<Locked>,
    /// What a copy waits for: which one, how much, and up to where.
    awaited: BTreeMap<Name, (u64, u64, Lsn)>,
    /// It is on record that some of it goes.
    announced: bool,
}

/// An object that goes.
struct Going {
    meta: Meta,
    piece: LogPiece,
}

impl Log<'_> {
    pub(super) fn expire(&self, expired: &mut Expired) -> Result<(), ExpireFault> {
        let mut lines: BTreeMap<Timeline, Line> = BTreeMap::new();
        let gone = self.segments(&mut lines, expired);
        // What was deleted is told also when it broke off.
        self.tell(&lines, expired);
        if let Some(why) = gone? {
            expired.remarks.push(format!("`{}`: no more log is deleted: {why}", self.ground.name));
            return Ok(());
        }
        self.claims(expired)?;
        self.marks(&lines, expired)
    }

    /// What keeps the rest, where something has begun to.
    fn segments(&self, lines: &mut BTreeMap<Timeline, Line>, expired: &mut Expired) -> Result<Option<String>, ExpireFault> {
        let prefix = self.ground.repository.wal_prefix(self.cluster);
        let mut after: Option<Key> = None;
        loop {
            let (mut going, mut last) = (Vec::new(), None);
            self.ground.store.list_after(&prefix, after.as_ref(), &mut |meta| {
                last = Some(meta.key.clone());
                if let Some(piece) = self.piece(&meta.key) {
                    self.judge(meta, piece, lines, &mut going);
                }
                if going.len() < STRETCH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            let whole = going.len() < STRETCH;
            let kept = self.remove(going, lines, expired)?;
            if whole || kept.is_some() {
                return Ok(kept);
            }
            after = last;
        }
    }

    /// Which part of the log an object is; none for histories and for what is not ours.
    fn piece(&self, key: &Key) -> Option<LogPiece> {
        let (cluster, file) = self.ground.repository.wal_object(key)?;
        (cluster == self.cluster).then(|| self.piece_of(file)).flatten()
    }

    fn piece_of(&self, file: WalFile) -> Option<LogPiece> {
        let of = |segment: Segment| LogPiece {
            cluster: self.cluster,
            timeline: segment.timeline,
            from: segment.start(self.size),
            to: segment.end(self.size),
        };
        match file {
            WalFile::Segment(segment) | WalFile::Partial(segment) | WalFile::BackupLabel(segment, _) => Some(of(segment)),
            WalFile::History(_) => None,
        }
    }

    fn judge(&self, meta: Meta, piece: LogPiece, lines: &mut BTreeMap<Timeline, Line>, going: &mut Vec<Going>) {
        if self.needs.needs(self.cluster, piece.timeline, piece.from, piece.to) {
            return;
        }
        let line = lines.entry(piece.timeline).or_default();
        if let Some(by) = self.awaited_by(piece) {
            line.waits_for(by, &meta, piece);
        } else if self.is_ripe(piece) {
            going.push(Going { meta, piece });
        } else {
            line.stays(&meta, piece);
        }
    }

    fn awaited_by(&self, piece: LogPiece) -> Option<&Name> {
        let wants = |awaited: &&LogAwaited| awaited.wants(self.cluster, piece.timeline, piece.from, piece.to);
        self.awaited.iter().find(wants).map(|awaited| &awaited.by)
    }

    /// Marked for long enough, by the store's clock.
    fn is_ripe(&self, piece: LogPiece) -> bool {
        self.mark(piece.timeline).is_some_and(|(mark, at)| mark.covers(stretch(piece)) && self.until(*at) <= self.ground.moment.store)
    }

    fn mark(&self, timeline: Timeline) -> Option<&(LogMark, Instant)> {
        self.ground.log_marks.get(&(self.cluster, timeline))
    }

    fn until(&self, marked: Instant) -> Instant {
        marked.checked_add(self.policy.expire.grace.to_signed()).unwrap_or(Instant::MAX)
    }

    fn remove(
        &self,
        going: Vec<Going>,
        lines: &mut BTreeMap<Timeline, Line>,
        expired: &mut Expired,
    ) -> Result<Option<String>, ExpireFault> {
        if going.is_empty() {
            return Ok(None);
        }
        self.may_go_on()?;
        if let Some(why) = self.restoring()? {
            return Ok(Some(why));
        }
        let pieces: Vec<LogPiece> = going.iter().map(|going| going.piece).collect();
        if let Some(fault) = lint_log(self.backups.iter().copied(), &pieces).first() {
            let message = format!("two ways to decide do not agree, so no log is deleted: {fault}");
            return Err(ExpireFault::refused(message, "This is a fault of seawall; please report it with `seawall inventory`."));
        }
        for piece in &pieces {
            self.announce(*piece, lines)?;
        }
        let chunks: Vec<&[Going]> = going.chunks(AT_ONCE).collect();
        let purged = parallel::map_with(width(&self.ground.store).min(8), &chunks, &|chunk| self.purge(chunk));
        let mut failed = None;
        for (chunk, purged) in chunks.iter().zip(purged) {
            match purged {
                Ok(purged) => {
                    expired.doubt(purged.doubt, self.ground);
                    let locked: BTreeSet<&Key> = purged.locked.iter().map(|lock| &lock.key).collect();
                    for Going { meta, piece } in *chunk {
                        let line = lines.entry(piece.timeline).or_default();
                        if locked.contains(&meta.key) { line.stays(meta, *piece) } else { line.goes(meta, *piece) }
                    }
                    for lock in purged.locked {
                        let line = chunk.iter().find(|going| going.meta.key == lock.key).map(|going| going.piece.timeline);
                        lines.entry(line.unwrap_or(Timeline::FIRST)).or_default().locked.push(lock);
                    }
                }
                Err(fault) => failed = Some(fault),
            }
        }
        failed.map_or(Ok(None), |fault| Err(fault.into()))
    }

    /// A restore that began since the stores were looked at reads log from any of them; and where nothing is archived, a backup that began since may
    /// need what none that was seen needs.
    fn restoring(&self) -> Result<Option<String>, Fault> {
        for ground in &self.grounds {
            if self.policy.wal.is_none()
                && let Some(new) = began_since(ground)?
            {
                return Ok(Some(format!("the backup {new} in `{}` began since that was looked at", ground.name)));
            }
            if !pins(&ground.store, &ground.repository, ground.moment.store)?.is_empty() {
                return Ok(Some(format!("a backup in `{}` is being restored, or brings its log", ground.name)));
            }
        }
        Ok(None)
    }

    /// Once for each timeline, with all that its mark lets go.
    fn announce(&self, piece: LogPiece, lines: &mut BTreeMap<Timeline, Line>) -> Result<(), ExpireFault> {
        let line = lines.entry(piece.timeline).or_default();
        if line.announced {
            return Ok(());
        }
        let below = self.mark(piece.timeline).and_then(|(mark, _)| mark.below()).unwrap_or(piece.to);
        self.onlooker.announce(Done::Deleting, &self.deed(piece.timeline, below, NOT_NEEDED.to_owned(), &Line::default(), None))?;
        line.announced = true;
        Ok(())
    }

    fn purge(&self, chunk: &[Going]) -> Result<Purged, Fault> {
        let keys: Vec<Key> = chunk.iter().map(|going| going.meta.key.clone()).collect();
        self.ground.store.purge(&keys)
    }

    /// What was seen is decided by for some time only; then the rest is for the next run.
    fn may_go_on(&self) -> Result<(), ExpireFault> {
        if self.onlooker.is_stopped() {
            return Err(ExpireFault::Interrupted);
        }
        if self.grounds.iter().any(|ground| ground.looked.is_longer_than(LOOK_AGES)) {
            return Err(ExpireFault::refused(
                "the stores were listed too long ago to go on by it",
                "The next run goes on where this one ended.",
            ));
        }
        Ok(())
    }

    fn tell(&self, lines: &BTreeMap<Timeline, Line>, expired: &mut Expired) {
        for (timeline, line) in lines {
            let deed = |below: Lsn, reason: String, objects, bytes, until| Deed {
                store: self.ground.name.clone(),
                what: What::Log { system_identifier: self.cluster, timeline: *timeline, below },
                reason,
                bytes,
                objects,
                until,
                storage_class: None,
            };
            if let Some(to) = line.deleted_to {
                let deed = deed(to, NOT_NEEDED.into(), line.deleted, line.bytes, None);
                let _ = (self.onlooker.deed)(Done::Deleted, &deed);
                expired.bytes += deed.bytes;
                expired.deleted.push(deed);
            }
            for (by, (objects, bytes, to)) in &line.awaited {
                let why = format!(
                    "{NOT_NEEDED}; `{by}` is to have a copy first, and has none; it stays until it is there, or until `wal.copies` does not name `{by}`"
                );
                expired.waiting.push(Deed { bytes: *bytes, ..deed(*to, why, *objects, 0, None) });
            }
            if let (Some(to), Some(Fate::Deferred { why, until })) = (line.left_to(), locked(&line.locked)) {
                expired.deferred.push(deed(to, why, line.locked.len() as u64, 0, until));
            }
        }
    }

    /// Of segments that are gone, or were never put, and are marked as they would have to be.
    fn claims(&self, expired: &mut Expired) -> Result<(), ExpireFault> {
        let mut going: Vec<Key> = Vec::new();
        let repository = &self.ground.repository;
        self.ground.store.list_each(&repository.claims_prefix(self.cluster), &mut |meta| {
            let piece = repository.claimed_file(self.cluster, &meta.key).and_then(|file| self.piece_of(file));
            let is_needed =
                |piece: LogPiece| self.needs.needs(self.cluster, piece.timeline, piece.from, piece.to) || self.awaited_by(piece).is_some();
            let goes = |piece: LogPiece| self.is_ripe(piece) && !is_needed(piece);
            if piece.is_some_and(goes) {
                going.push(meta.key);
            }
            ControlFlow::Continue(())
        })?;
        for keys in going.chunks(AT_ONCE) {
            self.may_go_on()?;
            let purged = self.ground.store.purge(keys)?;
            expired.doubt(purged.doubt, self.ground);
        }
        Ok(())
    }

    /// New ones for what nothing needs any more; what is needed again loses its own.
    fn marks(&self, lines: &BTreeMap<Timeline, Line>, expired: &mut Expired) -> Result<(), ExpireFault> {
        let nothing = Line::default();
        let marked = self.ground.log_marks.keys().filter(|(cluster, _)| *cluster == self.cluster).map(|(_, timeline)| timeline);
        let timelines: BTreeSet<&Timeline> = lines.keys().chain(marked).collect();
        for timeline in timelines {
            let line = lines.get(timeline).unwrap_or(&nothing);
            let mark = self.mark(*timeline);
            let is_over = mark.is_some_and(|(_, at)| self.until(*at) <= self.ground.moment.store);
            let left = joined(line.left_stretches.clone());
            match mark {
                // Its time is not over, and it says no more than what still holds.
                Some((mark, at)) if !is_over && !left.is_empty() && mark.stretches.iter().all(|marked| covers(&left, *marked)) => {
                    expired.waiting.push(self.waiting(*timeline, mark.below().unwrap_or_default(), line, *at));
                }
                _ => match line.left_to() {
                    Some(below) => {
                        let deed = self.deed(*timeline, below, NOT_NEEDED.to_owned(), line, None);
                        self.onlooker.announce(Done::Marked, &deed)?;
                        self.put_mark(*timeline, left)?;
                        expired.marked.push(deed);
                    }
                    None => {
                        let Some((mark, _)) = mark else { continue };
                        self.ground.store.withdraw(&[self.ground.repository.log_mark(self.cluster, *timeline)])?;
                        // Otherwise all that it marked has gone.
                        if line.deleted == 0 {
                            let deed = self.deed(*timeline, mark.below().unwrap_or_default(), "it is needed again".into(), line, None);
                            let _ = (self.onlooker.deed)(Done::Unmarked, &deed);
                            expired.unmarked.push(deed);
                        }
                    }
                },
            }
        }
        Ok(())
    }

    fn waiting(&self, timeline: Timeline, below: Lsn, line: &Line, marked: Instant) -> Deed {
        let until = self.until(marked);
        self.deed(timeline, below, format!("marked; it goes at {}", second(until)), line, Some(until))
    }

    fn deed(&self, timeline: Timeline, below: Lsn, reason: String, line: &Line, until: Option<Instant>) -> Deed {
        let what = What::Log { system_identifier: self.cluster, timeline, below };
        Deed { store: self.ground.name.clone(), what, reason, bytes: line.left_bytes, objects: line.left, until, storage_class: None }
    }

    fn put_mark(&self, timeline: Timeline, stretches: Vec<Stretch>) -> Result<(), Fault> {
        let mark = LogMark::new(self.cluster, timeline, stretches, self.marker.clone());
        self.ground.store.replace(&self.ground.repository.log_mark(self.cluster, timeline), Bytes::from(mark.to_json()))
    }
}

/// What was deleted since may have left an empty folder; it has neither a lease nor a descriptor. What was taken for one that broke off may have
/// gone on: its host was asleep.
fn began_since(ground: &Ground) -> Result<Option<BackupId>, Fault> {
    let known: BTreeMap<&BackupId, bool> = ground.backups().iter().map(|backup| (&backup.id, has_descriptor(backup))).collect();
    for folder in ground.store.folders(&ground.repository.prefix("data"))? {
        let Ok(id) = folder.parse::<BackupId>() else { continue };
        let is_held = match known.get(&id) {
            Some(true) => continue,
            Some(false) => false,
            None => ground.store.head(&ground.repository.backup_lease(&id))?.is_some(),
        };
        if is_held || find_descriptor(&ground.store, &ground.repository, &id)?.is_some() {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

const NOT_NEEDED: &str = "no backup that is there and no moment within `wal.keep` needs it";

fn stretch(piece: LogPiece) -> Stretch {
    Stretch { from: piece.from, to: piece.to }
}

impl Line {
    fn stays(&mut self, meta: &Meta, piece: LogPiece) {
        self.left += 1;
        self.left_bytes += meta.size;
        match self.left_stretches.last_mut() {
            // Listed in order, so mostly it goes on where the last one ended.
            Some(last) if last.from <= piece.from && piece.from <= last.to => last.to = last.to.max(piece.to),
            _ => self.left_stretches.push(stretch(piece)),
        }
    }

    fn waits_for(&mut self, copy: &Name, meta: &Meta, piece: LogPiece) {
        let (objects, bytes, to) = self.awaited.entry(copy.clone()).or_default();
        (*objects, *bytes, *to) = (*objects + 1, *bytes + meta.size, piece.to.max(*to));
    }

    fn left_to(&self) -> Option<Lsn> {
        self.left_stretches.iter().map(|stretch| stretch.to).max()
    }

    fn goes(&mut self, meta: &Meta, piece: LogPiece) {
        self.deleted += 1;
        self.bytes += meta.size;
        self.deleted_to = self.deleted_to.max(Some(piece.to));
    }
}
