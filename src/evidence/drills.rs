//! How the drills of a policy stand, from their records.

use std::collections::BTreeMap;

use super::samples::Sample;
use crate::inventory::{DrillOutcome, DrillRecord, DrillStanding, LastDrill, TierStanding};
use crate::policy::file::Procedure;
use crate::policy::model::{Policy, Scenario};
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
        let mut own: Vec<&DrillRecord> = records.iter().filter(|record| record.answers_for() == Some(name)).collect();
        own.sort_by_key(|record| std::cmp::Reverse(record.ended));
        let passed: Vec<&DrillRecord> = own.iter().copied().filter(|record| record.passed()).collect();
        DrillStanding {
            first_seen: first_seen.get(name).copied(),
            // One that somebody ended has shown nothing, and undoes nothing that one before it has.
            last: own.iter().find(|record| record.outcome != DrillOutcome::Stopped).or(own.first()).map(|record| last(record)),
            passed: passed.first().map(|record| record.ended),
            definition: passed.first().and_then(|record| record.definition.clone()),
            recovery_millis: recoveries(&passed),
            tiers: tiers(&own),
        }
    };
    names.map(|name| (name.clone(), of(name))).collect()
}

/// What was defined otherwise than the newest took another time for other reasons. The newest is the first.
fn recoveries(passed: &[&DrillRecord]) -> Vec<u64> {
    let newest = passed.first().and_then(|record| record.definition.as_ref());
    let alike = passed.iter().filter(|record| record.definition.as_ref() == newest);
    alike.filter_map(|record| record.recovery_millis).take(RECOVERIES).collect()
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

/// How long what a scenario asks for took, by the drills that rehearse it: where that is a part of a cluster, or a promotion, rates say nothing of it.
/// One that was too slow has failed, and has measured it all the same.
pub fn rehearsals(policy: &Policy, records: &[DrillRecord]) -> BTreeMap<Name, Vec<Sample<u64>>> {
    let mut all: BTreeMap<Name, Vec<Sample<u64>>> = BTreeMap::new();
    for record in records {
        let drill = record.answers_for().and_then(|name| policy.drills.get(name));
        let Some((scenario, of)) = drill.and_then(|drill| drill.scenario(policy)) else { continue };
        let took = match of.by {
            Some(Procedure::PromoteStandby) => {
                record.promotion.as_ref().filter(|promotion| promotion.is_whole()).map(|promotion| promotion.millis)
            }
            _ if of.is_a_part() && is_from(record, of) => record.recovery_millis,
            _ => None,
        };
        if let Some(millis) = took {
            all.entry(scenario.clone()).or_default().push(Sample::of_drill(millis, record.ended));
        }
    }
    all
}

/// Restored from one of the stores that the scenario leaves.
fn is_from(record: &DrillRecord, scenario: &Scenario) -> bool {
    scenario.from.is_empty() || record.restored.as_ref().is_some_and(|restored| scenario.from.contains(&restored.store))
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
    use crate::inventory::{BackupKind, DrillChoice, DrillFailure, DrillPhase, Phase, Restored};

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
            definition: Some("sha256:1".into()),
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
                stored_size: None,
                postgres: "16.4".into(),
                target: None,
                tables: Vec::new(),
                scope: None,
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
            chosen: Vec::new(),
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
        // The corrupt one aside, an older one comes back: that mends nothing.
        let mut another = drill("2026-11-09T06:00:00Z", 1, 1);
        another.chosen = vec![DrillChoice::Backup];
        let records =
            [ended, failed, drill("2026-10-25T05:00:00Z", 300_000, 0), drill("2026-11-01T05:00:00Z", 400_000, 0), by_hand, another];
        let names: Vec<Name> = ["monthly", "weekly"].map(|name| name.parse().expect("a name")).to_vec();
        let seen = [(names[0].clone(), "2026-01-01T00:00:00Z".parse().expect("a moment"))].into();
        let all = standing(names.iter(), &records, &seen);
        let weekly = &all[&names[1]];
        assert_eq!(weekly.passed, Some("2026-11-01T05:00:00Z".parse().expect("a moment")));
        assert_eq!((&weekly.recovery_millis[..], weekly.definition.as_deref()), (&[500_000, 400_000][..], Some("sha256:1")));
        let last = weekly.last.as_ref().expect("a drill");
        assert_eq!(
            (last.outcome, last.failed_in, last.message.as_deref()),
            (DrillOutcome::Failed, Some(Phase::Replay), Some("a segment is missing"))
        );
        assert_eq!(all[&names[0]], DrillStanding { first_seen: seen.get(&names[0]).copied(), ..DrillStanding::default() });
    }

    /// As it was defined before it restored something else.
    #[test]
    fn times_of_another_definition_are_no_tendency() {
        let mut before = drill("2026-11-02T05:00:00Z", 100_000, 0);
        before.definition = Some("sha256:0".into());
        let records = [drill("2026-11-01T05:00:00Z", 300_000, 0), before, drill("2026-11-03T05:00:00Z", 400_000, 0)];
        let name: Name = "weekly".parse().expect("a name");
        let all = standing(std::iter::once(&name), &records, &BTreeMap::new());
        assert_eq!(all[&name].recovery_millis, [500_000, 400_000]);
    }
}
