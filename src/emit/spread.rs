//! By how much a job's start may be shifted, so that a fleet does not wake as one.
//!
//! The shift is fixed for each host and job (`FixedRandomDelay=`), so the time from one run to the next stays what the schedule says.
//! What is promised for the *first* run after another host took over is a little less: hence the shift also stays inside what an
//! objective leaves over.

use crate::policy::model::{Policy, Timed, TimedKind};
use crate::units::{Duration, Instant};

const MOST: Duration = Duration::from_mins(5);
/// No more than this part of the shortest time between two runs.
const PART: u64 = 60;

/// How far the start may be shifted at most.
pub(super) fn spread(policy: &Policy, timed: &Timed<'_>) -> Duration {
    // A window is somebody's word for when; a report is read by people who expect it.
    if timed.window.is_some() || timed.kind == TimedKind::Report {
        return Duration::ZERO;
    }
    let from = Instant::UNIX_EPOCH;
    let shortest = timed.schedule.shortest_gap(from).length;
    let part = Duration::from_secs(shortest.as_secs() / PART);
    let room = left_over(policy, timed, timed.schedule.longest_gap(from).length);
    let most = room.map_or(MOST, |room| room.min(MOST)).min(part);
    // Less than half a minute spreads nothing.
    if most < Duration::from_secs(30) { Duration::ZERO } else { whole_minutes(most) }
}

fn whole_minutes(length: Duration) -> Duration {
    match length.as_secs() {
        seconds @ ..60 => Duration::from_secs(seconds),
        seconds => Duration::from_secs(seconds / 60 * 60),
    }
}

/// What the tightest objective that this job alone can keep leaves over, after its longest gap, its run and its copies.
fn left_over(policy: &Policy, timed: &Timed<'_>, gap: Duration) -> Option<Duration> {
    let backup = timed.name().filter(|_| timed.kind == TimedKind::Backup).and_then(|name| policy.backups.get(name))?;
    let scenarios = policy.objectives.scenarios.values().filter_map(|scenario| scenario.rpo);
    let promised: Vec<Duration> = policy.objectives.rpo.into_iter().chain(scenarios).collect();
    // How long it takes is not known: then everything up to the next gap is taken for needed.
    let takes = backup.takes.unwrap_or(gap);
    let until_there = std::iter::once(takes).chain(backup.copies.iter().map(|copy| takes + copy.within));
    let needed: Vec<Duration> = until_there.map(|after| gap + after).collect();
    let over = promised.iter().filter(|rpo| **rpo >= gap).flat_map(|rpo| needed.iter().map(|needed| rpo.saturating_sub(*needed)));
    over.min()
}
