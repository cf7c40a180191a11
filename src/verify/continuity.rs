//! Chains of backups, and the log between its pieces.

use std::collections::HashMap;

use super::Wanted;
use super::report::{FaultKind, Findings};
use crate::format::layout::Repository;
use crate::inventory::{Chains, WalRange, gaps};
use crate::observe::{Listed, Seen};
use crate::recovery::{Missing, forward};
use crate::units::{BackupId, Instant, Lsn, Segment, Timeline};

/// Purely from what was seen.
pub(super) fn check(
    seen: &Seen,
    chosen: &[&Listed],
    archived: Option<Instant>,
    wanted: &Wanted,
    repository: &Repository,
    found: &Findings,
) {
    let chains = Chains::of(&seen.inventory.backups);
    let unusable: HashMap<BackupId, Missing> =
        forward(&seen.inventory).into_iter().filter_map(|forward| Some((forward.backup, forward.until.err()?))).collect();
    for listed in chosen {
        if let Some(broken) = chains.position(&listed.id).and_then(|at| chains.broken(at)) {
            found.fault(FaultKind::Broken, &listed.key, &broken.to_string(), Some(&listed.id));
        } else if let Some(missing) = unusable.get(&listed.id) {
            let folder = repository.wal_prefix(listed.system_identifier);
            found.fault(FaultKind::Missing, folder, &missing.to_string(), Some(&listed.id));
        }
    }
    // Where nothing is archived each backup has its own log, and between them nothing is promised.
    if let Some(kept_since) = archived.filter(|_| wanted.backups.is_empty() && wanted.jobs.is_empty()) {
        check_gaps(seen, kept_since, repository, found);
    }
}

/// It ends where a backup does that brought its own log: from before anything was archived.
fn is_own_log(seen: &Seen, range: &WalRange) -> bool {
    let Some(size) = range.system_identifier.and_then(|cluster| seen.segment_sizes.get(&cluster)) else { return false };
    seen.inventory.backups.iter().filter(|backup| backup.carries_log && backup.system_identifier == range.system_identifier).any(|backup| {
        let ends = |stop: Lsn| Segment::before(range.timeline, stop, *size).end(*size) == range.to_lsn;
        backup.timeline == Some(range.timeline) && backup.stop_lsn.is_some_and(ends)
    })
}

/// Between two stretches of one timeline, and between a timeline's fork and its beginning, and its parent's end.
fn check_gaps(seen: &Seen, kept_since: Instant, repository: &Repository, found: &Findings) {
    let mut ranges: Vec<&WalRange> = seen.inventory.wal.iter().collect();
    ranges.sort_by_key(|range| range.from_lsn);
    let gap = |after: &WalRange, timeline: Timeline, from: Lsn, to: Lsn| {
        let what = format!("timeline {timeline} has a gap: {from} to {to} is not there");
        let folder = after.system_identifier.map_or_else(|| repository.prefix("wal"), |cluster| repository.wal_prefix(cluster));
        // Older log may have been let go on purpose: backups that are kept long keep only what makes them consistent.
        if after.from_time < kept_since {
            found.note(format!("{folder}: {what}; it is older than the log that is kept"));
        } else {
            found.fault(FaultKind::Missing, folder, &what, None);
        }
    };
    for (before, after) in gaps(&seen.inventory.wal).into_iter().filter(|(before, _)| !is_own_log(seen, before)) {
        gap(after, after.timeline, before.to_lsn, after.from_lsn);
    }
    for fork in &seen.inventory.forks {
        let of =
            |timeline| ranges.iter().filter(move |range| range.system_identifier == fork.system_identifier && range.timeline == timeline);
        let Some(first) = of(fork.timeline).next() else { continue };
        if first.from_lsn > fork.at_lsn {
            gap(first, fork.timeline, fork.at_lsn, first.from_lsn);
        }
        // A server that died before it had archived everything. The segment of the fork itself is the new timeline's from its beginning.
        let size = fork.system_identifier.and_then(|cluster| seen.segment_sizes.get(&cluster));
        let begins = size.map(|size| Segment::of(fork.parent, fork.at_lsn, *size).start(*size));
        if let (Some(begins), Some(end)) = (begins, of(fork.parent).map(|range| range.to_lsn).max())
            && end < begins
        {
            gap(first, fork.parent, end, begins);
        }
    }
}
