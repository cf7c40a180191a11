//! Whether what came back, and how soon, is what was promised.

use super::DrillFault;
use crate::execute::restore::Chosen;
use crate::inventory::{CanaryProof, CommandEnd, DrilledTier, Expected};
use crate::plan::words::{counted, joined, quoted};
use crate::policy::model::{Drill, Policy};
use crate::units::{Duration, Instant, Lsn, Segment, SegmentSize};

/// A push of a segment takes no longer, even over a slow line.
const PUSH: Duration = Duration::from_mins(1);

/// Longer nobody waits at a stretch.
const MOST: std::time::Duration = std::time::Duration::from_secs(600);

/// How long fetching, restoring and replaying may take together, and what says so.
pub(super) fn limit(policy: &Policy, drill: &Drill, path: &str) -> Option<(Duration, String)> {
    if let Some(within) = drill.within {
        return Some((within, format!("{path}.within")));
    }
    let (name, left) = drill.left_of_scenario(policy)?;
    Some((left, format!("objectives.scenarios.{name}")))
}

/// The tiers of data that were usable later than they may be, in words.
pub(super) fn late(tiers: &[DrilledTier]) -> Vec<String> {
    let says = |one: &DrilledTier| {
        let (took, within) = one.millis.zip(one.within_millis).filter(|(took, within)| took > within)?;
        let within = Duration::from_secs(within / 1_000);
        Some(format!(
            "the tier `{}` was usable after {:.1} s, and `objectives.data.{}` allows {within}",
            one.tier,
            took as f64 / 1_000.0,
            one.tier
        ))
    };
    tiers.iter().filter_map(says).collect()
}

/// How long a promotion may take that is rehearsed. The standby is there by then, so of a scenario that is answered by promoting one only
/// seeing that something is wrong comes on top.
pub(super) fn promotion_limit(policy: &Policy, drill: &Drill, path: &str) -> Option<(Duration, String)> {
    if let Some(within) = drill.promote.as_ref()?.within {
        return Some((within, format!("{path}.promote.within")));
    }
    let (name, scenario) = drill.scenario(policy).filter(|(_, scenario)| drill.promotes_for(scenario))?;
    let left = scenario.rto?.saturating_sub(policy.objectives.before_a_recovery(scenario.by));
    Some((left, format!("objectives.scenarios.{name}")))
}

/// Log that was written after the backup was archived. Without any, the newest moment is the backup's own end, and nothing was proven of the
/// log.
pub(super) fn goes_beyond_the_backup(chosen: &Chosen) -> bool {
    let position = &chosen.descriptor.position;
    let Some(size) = SegmentSize::new(chosen.descriptor.cluster.wal_segment_size) else { return false };
    let own = Segment::before(position.timeline, position.stop, size).end(size);
    chosen.wal.last().is_some_and(|end| end.timeline != position.timeline || end.to > own)
}

/// Until when log may still be on its way that was written right behind the backup: a segment waits until it is full or its time is up, is
/// pushed, and where nobody else writes anything the next heartbeat row does.
pub(super) fn awaited_until(policy: &Policy, stopped: Instant) -> Option<Instant> {
    let wal = policy.wal.as_ref()?;
    let beat = policy.file.canary.as_ref().map_or(Duration::ZERO, |canary| canary.interval());
    stopped.checked_add((wal.timeout + beat + PUSH).to_signed()).ok()
}

/// What to do about log that has not come yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// It may come any moment.
    Wait,
    /// It may still come, and others have waited for their turn long enough.
    TryLater,
    /// It is there, or none is to be expected any more.
    GoOn,
}

pub(super) fn awaits(until: Option<Instant>, now: Instant, waited: std::time::Duration) -> Awaited {
    match until {
        Some(until) if now < until && waited < MOST => Awaited::Wait,
        Some(until) if now < until => Awaited::TryLater,
        _ => Awaited::GoOn,
    }
}

/// What to do where the log ends with the backup.
pub(super) fn nothing_behind(policy: &Policy) -> DrillFault {
    let hint = match &policy.file.canary {
        Some(canary) => format!(
            "Does `seawall watch` run, and does the server archive? A heartbeat row is written every {}, so something should have come since; \
             `seawall wal status` says how far the log goes.",
            canary.interval()
        ),
        None => "Run it later, after `select pg_switch_wal()`, or declare a `canary`, which writes a row every minute.".to_owned(),
    };
    DrillFault::new("nothing was archived after the backup had ended, so nothing was proven of the log", hint)
}

/// The copy stands within the last segment that was archived, or beyond it: what a server writes when it opens comes after the log.
pub(super) fn is_at_the_end(chosen: &Chosen, reached: Option<Lsn>) -> bool {
    let (Some(end), Some(size)) = (chosen.wal.last(), SegmentSize::new(chosen.descriptor.cluster.wal_segment_size)) else { return false };
    reached.is_some_and(|reached| reached >= Segment::before(end.timeline, end.to, size).start(size))
}

/// Log that the server was seen to have written, and that is not in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lacking {
    pub end: Lsn,
    pub written: Lsn,
    pub at: Instant,
}

/// Where the server's log was (`wal_position_bytes`) so long ago that it must be in the store, against where the store's ends. A segment that is not
/// full may wait for as long as nobody commits anything.
pub(super) fn lacks(chosen: &Chosen, positions: &[(Instant, f64)], archived_by: Instant) -> Option<Lacking> {
    let (end, size) = (chosen.wal.last()?.to, chosen.descriptor.cluster.wal_segment_size);
    behind(end, size, positions, archived_by)
}

fn behind(end: Lsn, segment: u64, positions: &[(Instant, f64)], archived_by: Instant) -> Option<Lacking> {
    let (at, written) = *positions.iter().rfind(|(at, _)| *at <= archived_by)?;
    // A server that is behind where it was has been brought back to an earlier state: what it had written is no longer owed.
    let went_back = positions.iter().any(|(later, position)| *later > at && *position < written);
    let written = Lsn(written as u64);
    (!went_back && written.0 > end.0.saturating_add(segment)).then_some(Lacking { end, written, at })
}

/// What was expected and was not so.
pub(super) fn unmet(expectations: &[Expected]) -> Option<String> {
    let unmet: Vec<&Expected> = expectations.iter().filter(|one| !one.met).collect();
    let first = unmet.first()?;
    Some(match unmet.len() {
        1 => format!("{} is not met: {}", quoted(&first.name), first.says),
        count => {
            let names = joined(unmet.iter().map(|one| quoted(&one.name)));
            format!("{} are not met ({names}); the first: {}", counted(count, "expectation"), first.says)
        }
    })
}

pub(super) fn of_command(end: &CommandEnd) -> Option<String> {
    let last = end.output.lines().last().map(|line| format!("; the last it said: {line}")).unwrap_or_default();
    (!end.succeeded).then(|| format!("{} did not succeed: {}{last}", quoted(&end.program), end.says))
}

/// Rows from after the backup are a proof even where the log's own positions say nothing.
pub(super) fn is_proven(canary: Option<&CanaryProof>) -> bool {
    canary.is_some_and(|proof| proof.after_backup)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn at(minute: i64) -> Instant {
        Instant::from_second(1_795_000_000 + minute * 60).expect("a moment")
    }

    #[test]
    fn a_tier_is_late_by_its_own_promise() {
        let tier =
            |tier: &str, millis, within_millis| DrilledTier { tier: tier.parse().expect("a name"), rows: None, millis, within_millis };
        let all = [
            tier("first", Some(60_001), Some(60_000)),
            tier("rest", Some(60_000), Some(60_000)),
            tier("never", None, Some(1)),
            tier("free", Some(9), None),
        ];
        assert_eq!(late(&all), ["the tier `first` was usable after 60.0 s, and `objectives.data.first` allows 1m"]);
    }

    #[test]
    fn log_behind_a_young_backup_is_waited_for() {
        let minutes = |minutes: u64| std::time::Duration::from_secs(minutes * 60);
        assert_eq!(awaits(Some(at(3)), at(0), minutes(0)), Awaited::Wait);
        assert_eq!(awaits(Some(at(3)), at(3), minutes(3)), Awaited::GoOn);
        // It is as young as ever, and the same may pass a little later.
        assert_eq!(awaits(Some(at(60)), at(10), minutes(10)), Awaited::TryLater);
        assert_eq!(awaits(Some(at(60)), at(60), minutes(10)), Awaited::GoOn);
        assert_eq!(awaits(None, at(0), minutes(0)), Awaited::GoOn);
    }

    #[test]
    fn log_that_was_written_long_enough_ago_must_be_in_the_store() {
        let seen = |positions: &[(i64, u64)], end: u64| {
            let positions: Vec<(Instant, f64)> = positions.iter().map(|(minute, mb)| (at(*minute), (mb * MB) as f64)).collect();
            behind(Lsn(end * MB), 16 * MB, &positions, at(60)).map(|lacking| (lacking.written.0 / MB, lacking.at))
        };
        assert_eq!(seen(&[(0, 100), (59, 200), (119, 300)], 160), Some((200, at(59))));
        assert_eq!(seen(&[(0, 100), (59, 200), (119, 300)], 208), None);
        // Less than a segment may be an idle server's own notes, or wait until it is full.
        assert_eq!(seen(&[(59, 200)], 184), None);
        assert_eq!(seen(&[(61, 200)], 160), None, "it may still be on its way");
        // Restored to an earlier state in between.
        assert_eq!(seen(&[(59, 200), (119, 150)], 160), None);
        assert_eq!(seen(&[], 160), None);
    }
}
