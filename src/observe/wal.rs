use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::ops::ControlFlow;

use super::{Eyes, Rejected, width};
use crate::format::history;
use crate::format::layout::Repository;
use crate::format::runs::{Run, Runs};
use crate::format::signature::{SignatureError, Writers};
use crate::format::stamp::{Signed, Stamp};
use crate::inventory::{Fork, SystemIdentifier, WalRange};
use crate::pipeline::{PipelineFault, open_object, read_stamp};
use crate::store::{Fault, FaultKind, Store};
use crate::units::{Instant, Key, Segment, SegmentSize, Timeline, WalFile};
use crate::world::parallel;

/// So many segments at one end of a run may be strangers before the run is given up.
const MAX_TRIMMED: usize = 256;

/// The write-ahead log in a store.
#[derive(Debug, Default)]
pub struct WalSeen {
    pub ranges: Vec<WalRange>,
    /// Where it is known.
    pub sizes: BTreeMap<SystemIdentifier, SegmentSize>,
    pub forks: Vec<Fork>,
    pub rejected: Vec<Rejected>,
    pub doubts: Vec<String>,
    pub bytes: u64,
}

/// An object of the log, as it was listed.
#[derive(Debug, Clone)]
struct Object {
    key: Key,
    size: u64,
}

/// What a list of one cluster's log came to.
struct Listing {
    runs: Vec<Run<Object>>,
    histories: Vec<(Timeline, Object)>,
    timelines: BTreeSet<Timeline>,
}

pub(super) fn look(
    store: &Store,
    repository: &Repository,
    sizes: &BTreeMap<SystemIdentifier, SegmentSize>,
    eyes: &Eyes<'_>,
) -> Result<WalSeen, Fault> {
    let mut seen = WalSeen::default();
    for folder in store.folders(&repository.prefix("wal"))? {
        let Ok(cluster) = folder.parse::<SystemIdentifier>() else {
            seen.doubts
                .push(format!("`{}` is not a cluster's folder, and was not looked into", repository.prefix(&format!("wal/{folder}"))));
            continue;
        };
        let log = Log { store, repository, cluster, eyes };
        let size = match sizes.get(&cluster) {
            Some(size) => Some(*size),
            None => log.segment_size()?,
        };
        let listing = log.list(size, &mut seen)?;
        seen.sizes.extend(size.map(|size| (cluster, size)));
        if let Some(size) = size {
            let ranges = parallel::map_with(width(store), &listing.runs, &|run| log.range(run, size));
            for range in ranges {
                let (range, rejected) = range?;
                seen.ranges.extend(range);
                seen.rejected.extend(rejected);
            }
            log.forks(&listing, size, &mut seen)?;
        } else if !listing.timelines.is_empty() {
            seen.doubts.push(format!("the segment size of cluster {cluster} is not known, so its write-ahead log cannot be put in order"));
        }
    }
    Ok(seen)
}

/// When a segment was written that is believed.
pub(super) fn written(
    store: &Store,
    repository: &Repository,
    eyes: &Eyes<'_>,
    cluster: SystemIdentifier,
    (segment, size): (Segment, SegmentSize),
) -> Option<Instant> {
    let log = Log { store, repository, cluster, eyes };
    let object = log.find(segment).ok()??;
    let stamp = log.stamp(&object, WalFile::Segment(segment), Some(size)).ok()??.ok()?;
    Some(stamp.written)
}

/// One cluster's log.
struct Log<'a> {
    store: &'a Store,
    repository: &'a Repository,
    cluster: SystemIdentifier,
    eyes: &'a Eyes<'a>,
}

/// Either what was asked for, or why the object is not believed.
type Believed<T> = Result<T, String>;

impl Log<'_> {
    /// From the first segments whose stamps are believed: they are all of one size.
    fn segment_size(&self) -> Result<Option<SegmentSize>, Fault> {
        let mut first = Vec::new();
        self.store.list_each(&self.repository.wal_prefix(self.cluster), &mut |meta| {
            if let Some((_, file @ WalFile::Segment(_))) = self.repository.wal_object(&meta.key) {
                first.push((file, Object { key: meta.key, size: meta.size }));
            }
            if first.len() < 16 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        for (file, object) in &first {
            if let Some(Ok(stamp)) = self.stamp(object, *file, None)?
                && let Some(size) = SegmentSize::new(stamp.size)
            {
                return Ok(Some(size));
            }
        }
        Ok(None)
    }

    fn list(&self, size: Option<SegmentSize>, seen: &mut WalSeen) -> Result<Listing, Fault> {
        let mut runs = size.map(Runs::new);
        let mut listing = Listing { runs: Vec::new(), histories: Vec::new(), timelines: BTreeSet::new() };
        self.store.list_each(&self.repository.wal_prefix(self.cluster), &mut |meta| {
            seen.bytes += meta.size;
            match self.repository.wal_object(&meta.key) {
                Some((_, WalFile::Segment(segment))) => {
                    listing.timelines.insert(segment.timeline);
                    if let Some(runs) = &mut runs {
                        runs.push(segment, Object { key: meta.key, size: meta.size });
                    }
                }
                Some((_, WalFile::History(timeline))) => {
                    listing.histories.push((timeline, Object { key: meta.key, size: meta.size }));
                }
                Some((_, WalFile::Partial(_) | WalFile::BackupLabel(..))) => {}
                None => seen
                    .rejected
                    .push(Rejected { key: meta.key, why: "it is no file of the write-ahead log, or lies in a wrong place".into() }),
            }
            ControlFlow::Continue(())
        })?;
        listing.runs = runs.map(Runs::finish).unwrap_or_default();
        Ok(listing)
    }

    /// The part of a run whose two ends are believed, with its times. What is between them is looked at when it is fetched or verified.
    fn range(&self, run: &Run<Object>, size: SegmentSize) -> Result<(Option<WalRange>, Vec<Rejected>), Fault> {
        let mut rejected = Vec::new();
        let forwards = |segment: Segment| Some(segment.next(size));
        let backwards =
            |segment: Segment| (segment.start(size).0 > 0).then(|| Segment::before(segment.timeline, segment.start(size), size));
        let Some((first, from_time)) = self.end(&run.first, run.last.0, size, &forwards, &mut rejected)? else {
            return Ok((None, rejected));
        };
        let Some((last, to_time)) = self.end(&run.last, first, size, &backwards, &mut rejected)? else { return Ok((None, rejected)) };
        let range = WalRange {
            system_identifier: Some(self.cluster),
            timeline: run.timeline(),
            from_lsn: first.start(size),
            to_lsn: last.end(size),
            // A clock that was set back must not make a range that ends before it begins.
            from_time: from_time.min(to_time),
            to_time,
        };
        Ok((Some(range), rejected))
    }

    /// The outermost segment that is believed, walking inwards; and when it was written.
    fn end(
        &self,
        outermost: &(Segment, Object),
        innermost: Segment,
        size: SegmentSize,
        inwards: &dyn Fn(Segment) -> Option<Segment>,
        rejected: &mut Vec<Rejected>,
    ) -> Result<Option<(Segment, Instant)>, Fault> {
        let (mut segment, mut object) = outermost.clone();
        for _ in 0..MAX_TRIMMED {
            match self.stamp(&object, WalFile::Segment(segment), Some(size))? {
                Some(Ok(stamp)) => return Ok(Some((segment, stamp.written))),
                Some(Err(why)) => rejected.push(Rejected { key: object.key.clone(), why }),
                None => {}
            }
            if segment == innermost {
                return Ok(None);
            }
            let Some(next) = inwards(segment) else { return Ok(None) };
            let Some(found) = self.find(next)? else { return Ok(None) };
            (segment, object) = (next, found);
        }
        rejected.push(Rejected { key: object.key, why: "too much beside it is not believed, so what follows was not looked at".into() });
        Ok(None)
    }

    /// The object of a segment, however it is compressed.
    fn find(&self, segment: Segment) -> Result<Option<Object>, Fault> {
        let is_it = |key: &Key| self.repository.wal_object(key).is_some_and(|(_, file)| file == WalFile::Segment(segment));
        let all = self.store.list(&self.repository.log_prefix(self.cluster, segment))?;
        Ok(all.into_iter().find(|meta| is_it(&meta.key)).map(|meta| Object { key: meta.key, size: meta.size }))
    }

    /// `None` when the object was deleted since it was listed.
    fn stamp(&self, object: &Object, file: WalFile, size: Option<SegmentSize>) -> Result<Option<Believed<Stamp>>, Fault> {
        let stamped = match read_stamp(self.store, &object.key, object.size) {
            Ok(stamped) => stamped,
            Err(PipelineFault::Store(fault)) if fault.is_absent() => return Ok(None),
            Err(PipelineFault::Store(fault)) if fault.kind != FaultKind::Damaged => return Err(fault),
            Err(PipelineFault::Damaged { what, .. }) => return Ok(Some(Err(what))),
            Err(other) => return Ok(Some(Err(other.to_string()))),
        };
        let stamp = accept_stamp(&stamped.signed, self.cluster, file, size, self.eyes.writers);
        Ok(Some(stamp.map(|()| stamped.signed.stamp)))
    }

    fn forks(&self, listing: &Listing, size: SegmentSize, seen: &mut WalSeen) -> Result<(), Fault> {
        let mut known: BTreeMap<(Timeline, Timeline), Fork> = BTreeMap::new();
        for (timeline, object) in &listing.histories {
            let stamp = match self.stamp(object, WalFile::History(*timeline), None)? {
                None => continue,
                Some(Err(why)) => {
                    seen.rejected.push(Rejected { key: object.key.clone(), why });
                    continue;
                }
                Some(Ok(stamp)) => stamp,
            };
            match self.history(*timeline, object, &stamp)? {
                Ok(forks) => known.extend(forks.into_iter().map(|fork| ((fork.timeline, fork.parent), fork))),
                Err(why) => seen.doubts.push(format!("where timeline {timeline} left the one before it is not known: {why}")),
            }
        }
        let told = |timeline: &Timeline| listing.histories.iter().any(|(of, _)| of == timeline);
        for timeline in listing.timelines.iter().filter(|timeline| **timeline != Timeline::FIRST && !told(timeline)) {
            seen.doubts.push(format!("where timeline {timeline} left the one before it is not known: its history is not in the store"));
        }
        for mut fork in known.into_values() {
            fork.at_time = self.time_before(&fork, size)?;
            seen.ranges.extend(up_to_fork(&seen.ranges, &fork, size));
            seen.forks.push(fork);
        }
        Ok(())
    }

    fn history(&self, timeline: Timeline, object: &Object, stamp: &Stamp) -> Result<Believed<Vec<Fork>>, Fault> {
        let mut text = String::new();
        let read = open_object(self.store, &object.key, object.size, self.eyes.identities).and_then(|reader| {
            let mut reader = reader.take(history::MAX_BYTES as u64);
            reader.read_to_string(&mut text).map_err(|error| PipelineFault::of_stream(object.key.as_str(), &error))
        });
        match read {
            Ok(_) if *blake3::hash(text.as_bytes()).as_bytes() != stamp.content => {
                Ok(Err(format!("{} is not what its stamp was made for", object.key)))
            }
            Ok(_) => Ok(history::parse(&text).map(|left| history::forks(timeline, &left, self.cluster)).map_err(|error| error.to_string())),
            Err(PipelineFault::Store(fault)) if fault.kind != FaultKind::Damaged => Err(fault),
            Err(other) => Ok(Err(other.to_string())),
        }
    }

    /// When the last whole segment before the fork was written: both timelines have all that was committed until then.
    fn time_before(&self, fork: &Fork, size: SegmentSize) -> Result<Option<Instant>, Fault> {
        let at = Segment::of(fork.parent, fork.at_lsn, size);
        if at.start(size).0 == 0 {
            return Ok(None);
        }
        let whole = Segment::before(fork.parent, at.start(size), size);
        let Some(object) = self.find(whole)? else { return Ok(None) };
        Ok(self.stamp(&object, WalFile::Segment(whole), Some(size))?.and_then(Result::ok).map(|stamp| stamp.written))
    }
}

/// The parent's log from its last whole segment up to the fork. A server that fails never archives that segment under its own
/// timeline; but its successor's first segment begins with the very same bytes, and PostgreSQL reads them there.
fn up_to_fork(ranges: &[WalRange], fork: &Fork, size: SegmentSize) -> Option<WalRange> {
    let shared = Segment::of(fork.timeline, fork.at_lsn, size);
    let (from, to) = (shared.start(size), fork.at_lsn);
    let of = |timeline: Timeline| {
        ranges.iter().filter(move |range| range.system_identifier == fork.system_identifier && range.timeline == timeline)
    };
    let before = of(fork.parent).find(|range| range.to_lsn == from)?;
    of(fork.timeline).find(|range| range.from_lsn <= from && from < range.to_lsn)?;
    // What was committed in between and when is not known, so the time stays where it was.
    (from < to).then(|| WalRange { from_lsn: from, to_lsn: to, from_time: before.to_time, ..before.clone() })
}

/// Whether a stamp is what the object's name and the policy say it must be.
pub fn accept_stamp(
    signed: &Signed,
    cluster: SystemIdentifier,
    file: WalFile,
    size: Option<SegmentSize>,
    writers: &Writers,
) -> Result<(), String> {
    let stamp = &signed.stamp;
    if stamp.system_identifier != cluster {
        return Err(format!("it belongs to cluster {}", stamp.system_identifier));
    }
    if stamp.file != file {
        return Err(format!("it is {} under another name", stamp.file));
    }
    if let (WalFile::Segment(_) | WalFile::Partial(_), Some(size)) = (file, size)
        && stamp.size != size.bytes()
    {
        return Err(format!("it has {} bytes instead of the {} of a segment", stamp.size, size.bytes()));
    }
    signer(signed, writers).map(|_| ()).map_err(|error| error.to_string())
}

/// Who signed a stamp, by the policy's name for the host. Where the policy names nobody, it only must be whole.
pub fn signer<'w>(signed: &Signed, writers: &'w Writers) -> Result<Option<&'w str>, SignatureError> {
    if !writers.is_empty() {
        return signed.check(writers).map(Some);
    }
    match signed.check_whole() {
        Ok(_) | Err(SignatureError::Missing) => Ok(None),
        Err(error) => Err(error),
    }
}
