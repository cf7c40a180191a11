//! How the drills of a policy stand, from their records.

use std::collections::BTreeMap;

use crate::inventory::{DrillOutcome, DrillRecord, DrillStanding, LastDrill, TierStanding};
use crate::units::{Instant, Name};

/// So many recoveries are kept: enough to see which way they go.
const RECOVERIES: usize = 5;

/// Every drill of the policy, and what is on record of it. `first_seen` is since when each is expected to run.
pub fn standing<'n>(
    names: impl Iterator<Item = &'n Name>,
    records: &[DrillRecord],
    first_seen: &BTreeMap<Name, Instant>,
) -> BTreeMap<Name, DrillStanding> {
    let of = |name: &Name| {
        let mut own: Vec<&DrillRecord> = records.iter().filter(|record| record.drill.as_ref() == Some(name)).collect();
        own.sort_by_key(|record| std::cmp::Reverse(record.ended));
        let passed: Vec<&DrillRecord> = own.iter().copied().filter(|record| record.passed()).collect();
        DrillStanding {
            first_seen: first_seen.get(name).copied(),
            // One that somebody ended has shown nothing, and undoes nothing that one before it has.
            last: own.iter().find(|record| record.outcome != DrillOutcome::Stopped).or(own.first()).map(|record| last(record)),
            passed: passed.first().map(|record| record.ended),
            recovery_millis: passed.iter().filter_map(|record| record.recovery_millis).take(RECOVERIES).collect(),
            tiers: tiers(&own),
        }
    };
    names.map(|name| (name.clone(), of(name))).collect()
}

/// Of runs that came so far, whatever came of them later. The newest run is the first.
fn tiers(own: &[&DrillRecord]) -> BTreeMap<Name, TierStanding> {
    let mut all: BTreeMap<Name, TierStanding> = BTreeMap::new();
    for record in own.iter().filter(|record| record.outcome != DrillOutcome::Stopped) {
        for (tier, millis) in record.tiers.iter().filter_map(|one| Some((&one.tier, one.millis?))) {
            let known = all.entry(tier.clone()).or_insert_with(|| TierStanding { at: record.ended, millis: Vec::new() });
            if known.millis.len() < RECOVERIES {
                known.millis.push(millis);
            }
        }
    }
    all
}

fn last(record: &DrillRecord) -> LastDrill {
    let failure = record.failure.as_ref().filter(|_| record.outcome != DrillOutcome::Passed);
    LastDrill {
        ended: record.ended,
        outcome: record.outcome,
        backup: record.restored.as_ref().map(|restored| restored.backup.clone()),
        recovery_millis: record.recovery_millis,
        within_millis: record.within_millis,
        failed_in: failure.map(|failure| failure.phase),
        message: failure.map(|failure| failure.message.clone()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::inventory::{BackupKind, DrillFailure, DrillPhase, Phase, Restored};

    /// A drill `weekly` of 100 GB from `main`, with 10 GB of log in 100 s, that passed.
    pub(in crate::evidence) fn drill(ended: &str, files_millis: u64, sync_millis: u64) -> DrillRecord {
        let ended: Instant = ended.parse().expect("a moment");
        let name = |name: &str| name.parse().expect("a name");
        let phase = |phase, millis, bytes| DrillPhase { phase, millis, bytes };
        DrillRecord {
            format_version: DrillRecord::FORMAT_VERSION,
            id: "20261101T050000Z-7f3c".parse().expect("an id"),
            policy: name("shop"),
            drill: Some(name("weekly")),
            host: "staging-1".into(),
            started: ended,
            ended,
            outcome: DrillOutcome::Passed,
            failure: None,
            restored: Some(Restored {
                job: name("nightly"),
                store: name("main"),
                backup: "20261101T020000Z-7f3c".parse().expect("an id"),
                kind: BackupKind::Full,
                stopped: ended,
                size: 100_000_000_000,
                postgres: "16.4".into(),
                target: None,
                tables: Vec::new(),
            }),
            reached: None,
            phases: vec![
                phase(Phase::Files, files_millis, None),
                phase(Phase::Sync, sync_millis, None),
                phase(Phase::Replay, 100_000, Some(10_000_000_000)),
            ],
            recovery_millis: Some(files_millis + sync_millis + 100_000),
            within_millis: None,
            expectations: Vec::new(),
            command: None,
            promotion: None,
            canary: None,
            opened_with: None,
            opened_with_part: None,
            tiers: Vec::new(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn the_last_one_and_the_last_that_passed() {
        let mut failed = drill("2026-11-08T05:00:00Z", 1, 1);
        failed.outcome = DrillOutcome::Failed;
        failed.failure = Some(DrillFailure { phase: Phase::Replay, message: "a segment is missing".into(), hint: String::new() });
        failed.recovery_millis = None;
        let mut ended = drill("2026-11-10T05:00:00Z", 1, 1);
        ended.outcome = DrillOutcome::Stopped;
        let mut by_hand = drill("2026-11-09T05:00:00Z", 1, 1);
        by_hand.drill = None;
        let records = [ended, failed, drill("2026-10-25T05:00:00Z", 300_000, 0), drill("2026-11-01T05:00:00Z", 400_000, 0), by_hand];
        let names: Vec<Name> = ["monthly", "weekly"].map(|name| name.parse().expect("a name")).to_vec();
        let seen = [(names[0].clone(), "2026-01-01T00:00:00Z".parse().expect("a moment"))].into();
        let all = standing(names.iter(), &records, &seen);
        let weekly = &all[&names[1]];
        assert_eq!(weekly.passed, Some("2026-11-01T05:00:00Z".parse().expect("a moment")));
        assert_eq!(weekly.recovery_millis, [500_000, 400_000]);
        let last = weekly.last.as_ref().expect("a drill");
        assert_eq!(
            (last.outcome, last.failed_in, last.message.as_deref()),
            (DrillOutcome::Failed, Some(Phase::Replay), Some("a segment is missing"))
        );
        assert_eq!(all[&names[0]], DrillStanding { first_seen: seen.get(&names[0]).copied(), ..DrillStanding::default() });
    }
}
