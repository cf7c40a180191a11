//! Whether what came back, and how soon, is what was promised.

use crate::execute::restore::Chosen;
use crate::inventory::{CanaryProof, CommandEnd, Expected};
use crate::plan::words::{counted, joined, quoted};
use crate::policy::model::{Drill, Policy};
use crate::units::{Duration, Lsn, Segment, SegmentSize};

/// How long fetching, restoring and replaying may take together, and what says so.
pub(super) fn limit(policy: &Policy, drill: &Drill, path: &str) -> Option<(Duration, String)> {
    if let Some(within) = drill.within {
        return Some((within, format!("{path}.within")));
    }
    let (name, left) = drill.left_of_scenario(policy)?;
    Some((left, format!("objectives.scenarios.{name}")))
}

/// How long a promotion may take that is rehearsed. The standby is there by then, so of a scenario that is answered by promoting one only
/// seeing that something is wrong comes on top.
pub(super) fn promotion_limit(policy: &Policy, drill: &Drill, path: &str) -> Option<(Duration, String)> {
    if let Some(within) = drill.promote.as_ref()?.within {
        return Some((within, format!("{path}.promote.within")));
    }
    let (name, scenario) = drill.scenario(policy).filter(|(_, scenario)| drill.promotes_for(scenario))?;
    let left = scenario.rto?.saturating_sub(policy.objectives.assume.assess.unwrap_or_default());
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

/// The copy stands within the last segment that was archived, or beyond it: what a server writes when it opens comes after the log.
pub(super) fn is_at_the_end(chosen: &Chosen, reached: Option<Lsn>) -> bool {
    let (Some(end), Some(size)) = (chosen.wal.last(), SegmentSize::new(chosen.descriptor.cluster.wal_segment_size)) else { return false };
    reached.is_some_and(|reached| reached >= Segment::before(end.timeline, end.to, size).start(size))
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
