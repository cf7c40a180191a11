//! The write-ahead log: what a backup needs of it, and all of it where the policy wants that. The archive command brings it by itself as it is
//! written; this is for what it could not bring, and for copies that were not there then.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;

use super::ground::Pair;
use super::object::{Miss, Proof, WORKERS, Wanted, small};
use super::{Copied, Flaw, Tally, name_in};
use crate::inventory::{Backup, SystemIdentifier};
use crate::observe::Listed;
use crate::retention::LogNeeds;
use crate::site::SiteFault;
use crate::store::Meta;
use crate::units::{Key, Segment, SegmentSize, WalFile};
use crate::world::parallel;

/// So many objects of the log are held in memory at a time.
const STRETCH: usize = 4096;
/// A claim is a stamp.
const MAX_CLAIM: usize = 16 << 10;

/// The stretch that makes a backup consistent.
pub(super) fn of_backup(
    pair: &Pair<'_>,
    backup: &Backup,
    listed: &Listed,
    tally: &mut Tally,
    flaws: &mut Vec<Flaw>,
) -> Result<(), SiteFault> {
    let (Some(timeline), Some(start), Some(stop)) = (backup.timeline, backup.start_lsn, backup.stop_lsn) else { return Ok(()) };
    let (cluster, size) = (listed.system_identifier, listed.segment_size);
    let last = Segment::before(timeline, stop.max(crate::units::Lsn(start.0.saturating_add(1))), size);
    let mut needed: BTreeSet<WalFile> = BTreeSet::new();
    let mut folders: BTreeSet<String> = BTreeSet::new();
    let mut segment = Segment::of(timeline, start, size);
    loop {
        needed.insert(WalFile::Segment(segment));
        folders.insert(pair.log.repository.log_prefix(cluster, segment));
        if segment.number(size) >= last.number(size) {
            break;
        }
        segment = segment.next(size);
    }
    let histories = pair.log.repository.prefix(&format!("wal/{cluster}/history"));
    let mut todo = Vec::new();
    for folder in folders.iter().chain([&histories]) {
        let lying = pair.log.store.list(folder)?;
        let there = there(pair, &to_prefix(pair, folder))?;
        for meta in lying {
            let Some((_, file)) = pair.log.repository.wal_object(&meta.key) else { continue };
            let is_needed = matches!(file, WalFile::History(_)) || needed.remove(&file);
            if is_needed && !there.contains(&(cluster, file)) {
                todo.push((meta, file));
            }
        }
        needed.retain(|file| !there.contains(&(cluster, *file)));
    }
    let brought =
        bring_all(pair, cluster, Some(size), &todo, tally, &mut |flaw| flaws.push(Flaw { backup: Some(backup.id.clone()), ..flaw }))?;
    // Listed, and gone before it was read.
    needed.extend(brought.gone.into_iter().filter(|file| matches!(file, WalFile::Segment(_))));
    if let Some(lost) = needed.first() {
        let what = format!("the log that makes {} consistent is not whole: {lost} is not there", backup.id);
        let key = pair.log.repository.wal_prefix(cluster);
        flaws.push(Flaw { store: pair.log.name.clone(), key, what, backup: Some(backup.id.clone()) });
    }
    Ok(())
}

/// All that the copy needs of it.
pub(super) fn rest(pair: &Pair<'_>, needs: &LogNeeds, copied: &mut Copied) -> Result<(), SiteFault> {
    let from = pair.from;
    for folder in from.store.folders(&from.repository.prefix("wal"))? {
        let Ok(cluster) = folder.parse::<SystemIdentifier>() else { continue };
        let size = from.seen.segment_sizes.get(&cluster).copied();
        let prefix = from.repository.wal_prefix(cluster);
        let there = there(pair, &to_prefix(pair, &prefix))?;
        let mut after: Option<Key> = None;
        loop {
            let (mut todo, mut last) = (Vec::new(), None);
            from.store.list_after(&prefix, after.as_ref(), &mut |meta| {
                last = Some(meta.key.clone());
                if let Some((_, file)) = from.repository.wal_object(&meta.key)
                    && !there.contains(&(cluster, file))
                    && is_needed(needs, cluster, file, size)
                {
                    todo.push((meta, file));
                }
                if todo.len() < STRETCH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            let bytes = todo.iter().map(|(meta, _)| meta.size).sum();
            pair.onlooker.progress.total.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
            let whole = todo.len() < STRETCH;
            bring_all(&Pair { log: from, ..*pair }, cluster, size, &todo, &mut copied.log, &mut |flaw| copied.flaws.push(flaw))?;
            if whole {
                break;
            }
            after = last;
        }
    }
    Ok(())
}

fn is_needed(needs: &LogNeeds, cluster: SystemIdentifier, file: WalFile, size: Option<SegmentSize>) -> bool {
    match (file, size) {
        // They are tiny, and without one a timeline cannot be followed.
        (WalFile::History(_), _) | (_, None) => true,
        (WalFile::Segment(segment) | WalFile::Partial(segment) | WalFile::BackupLabel(segment, _), Some(size)) => {
            needs.needs(cluster, segment.timeline, segment.start(size), segment.end(size))
        }
    }
}

/// By what they are, not by their names: the same file may be sealed or compressed otherwise there.
fn there(pair: &Pair<'_>, prefix: &str) -> Result<HashSet<(SystemIdentifier, WalFile)>, SiteFault> {
    let mut all = HashSet::new();
    pair.to.store.list_each(prefix, &mut |meta| {
        all.extend(pair.to.repository.wal_object(&meta.key));
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

fn to_prefix(pair: &Pair<'_>, prefix: &str) -> String {
    let rest = prefix.get(pair.log.repository.as_str().len() + 1..).unwrap_or_default();
    pair.to.repository.prefix(rest)
}

/// What came of many.
#[derive(Default)]
struct Brought {
    /// Deleted since they were listed.
    gone: Vec<WalFile>,
}

fn bring_all(
    pair: &Pair<'_>,
    cluster: SystemIdentifier,
    size: Option<SegmentSize>,
    todo: &[(Meta, WalFile)],
    tally: &mut Tally,
    flaw: &mut dyn FnMut(Flaw),
) -> Result<Brought, SiteFault> {
    let brought = parallel::map_with(WORKERS, todo, &|(meta, file)| -> Result<(), Miss> {
        let to = name_in(pair, pair.log, &meta.key).map_err(Miss::Fault)?;
        let reads_back = pair.reads_back_log();
        let wanted = Wanted { key: meta.key.clone(), to, size: meta.size, proof: Proof::Log(cluster, *file, size), reads_back };
        claim(pair, cluster, *file, meta.size)?;
        pair.bring(pair.log, &wanted).map(drop)
    });
    let mut all = Brought::default();
    for ((meta, file), brought) in todo.iter().zip(brought) {
        let (store, what) = match brought {
            Ok(()) => {
                tally.add(meta.size);
                continue;
            }
            Err(Miss::Gone) => {
                all.gone.push(*file);
                continue;
            }
            Err(Miss::Fault(fault)) => return Err(fault),
            Err(Miss::Damaged(what)) => (&pair.log.name, what),
            Err(Miss::Differs(what)) => (&pair.to.name, what),
        };
        flaw(Flaw { store: store.clone(), key: meta.key.to_string(), what, backup: None });
    }
    Ok(all)
}

/// Who uploads a segment too large to be put in one piece has a claim on its name, which comes before it in the copy as well.
fn claim(pair: &Pair<'_>, cluster: SystemIdentifier, file: WalFile, size: u64) -> Result<(), Miss> {
    if size <= crate::store::MAX_SINGLE_PUT as u64 {
        return Ok(());
    }
    let claim = small(&pair.log.store, &pair.log.repository.wal_claim(cluster, file), MAX_CLAIM).map_err(Miss::Fault)?;
    if let Some(claim) = claim {
        pair.to.store.put_new(&pair.to.repository.wal_claim(cluster, file), claim)?;
    }
    Ok(())
}
