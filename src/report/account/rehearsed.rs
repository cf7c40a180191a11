//! What drills have shown of a recovery: of a scenario those that rehearse it, of everything all that bring everything back.

use std::collections::BTreeSet;

use super::promises::Subject;
use crate::alert::allowed;
use crate::inventory::{BackupKind, DrillRecord};
use crate::policy::file::Procedure;
use crate::policy::model::{Drill, Policy, Scenario};
use crate::units::{Duration, Instant, Name};

pub(super) struct Rehearsed<'d> {
    /// The newest of those drills whose last run failed: that another one has passed since does not undo it.
    pub failed: Option<&'d DrillRecord>,
    /// The newest that passed.
    pub passed: Option<Passed>,
    /// Jobs of the policy.
    pub jobs: Vec<String>,
}

pub(super) struct Passed {
    pub at: Instant,
    /// What a recovery took.
    pub seconds: Option<f64>,
    /// For how long that is evidence; none where a schedule says when the next one is due.
    pub proves_for: Option<Duration>,
}

/// `drilled` is the newest first, and nobody ended any of them.
pub(super) fn rehearsed<'d>(policy: &Policy, drilled: &[&'d DrillRecord], subject: Subject<'_>) -> Rehearsed<'d> {
    let drill_of = |record: &DrillRecord| record.drill.as_ref().and_then(|name| policy.drills.get(name));
    if let Some(tier) = subject.tier {
        let of_tier: Vec<&DrillRecord> =
            drilled.iter().copied().filter(|record| record.tiers.iter().any(|one| one.tier == *tier)).collect();
        if !of_tier.is_empty() {
            return of_a_tier(policy, &of_tier, tier);
        }
    }
    let is_of_it = |record: &&DrillRecord| match (drill_of(record), subject.scenario) {
        (Some(drill), Some(of)) => rehearses(drill, of) && is_from(record, of.1),
        (Some(drill), None) => drill.restores_everything(policy),
        // One that no policy names.
        (None, None) => record.drill.is_none() && is_a_cluster(record),
        (None, Some(_)) => false,
    };
    let of_it: Vec<&DrillRecord> = drilled.iter().copied().filter(is_of_it).collect();
    let mut known = BTreeSet::new();
    let mut last = of_it.iter().filter(|record| known.insert(&record.drill));
    let failed = last.find(|record| !record.passed()).copied();
    let passed = of_it.iter().find(|record| record.passed()).map(|record| Passed {
        at: record.ended,
        seconds: took(record, subject.scenario.map(|(_, scenario)| scenario)),
        proves_for: drill_of(record).map_or(Some(Drill::A_QUARTER), |drill| allowed::drill_proves(policy, drill)),
    });
    let suits = |drill: &Drill| subject.scenario.map_or_else(|| drill.restores_everything(policy), |of| rehearses(drill, of));
    let jobs = policy.drills.iter().filter(|(_, drill)| suits(drill)).map(|(name, _)| format!("drills.{name}")).collect();
    Rehearsed { failed, passed, jobs }
}

/// When it was usable says more of it than when everything was there. A drill that was too late with another tier has failed, and has measured this one.
fn of_a_tier<'d>(policy: &Policy, drilled: &[&'d DrillRecord], tier: &Name) -> Rehearsed<'d> {
    let of =
        |record: &DrillRecord| record.tiers.iter().find(|one| one.tier == *tier).and_then(|one| Some((one.millis?, one.within_millis)));
    let in_time = |record: &&DrillRecord| of(record).is_some_and(|(took, within)| within.is_none_or(|within| took <= within));
    let mut known = BTreeSet::new();
    let mut last = drilled.iter().copied().filter(|record| known.insert(&record.drill));
    let drill_of = |record: &DrillRecord| record.drill.as_ref().and_then(|name| policy.drills.get(name));
    Rehearsed {
        failed: last.find(|record| !in_time(record)),
        passed: drilled.iter().copied().find(in_time).map(|record| Passed {
            at: record.ended,
            seconds: of(record).map(|(millis, _)| millis as f64 / 1_000.0),
            proves_for: drill_of(record).map_or(Some(Drill::A_QUARTER), |drill| allowed::drill_proves(policy, drill)),
        }),
        jobs: policy
            .drills
            .iter()
            .filter(|(_, drill)| drill.measures(policy).contains(tier))
            .map(|(name, _)| format!("drills.{name}"))
            .collect(),
    }
}

/// A standby that is promoted is rehearsed by promoting one, and by nothing else.
fn rehearses(drill: &Drill, (name, scenario): (&Name, &Scenario)) -> bool {
    drill.rehearses.as_ref() == Some(name) && (scenario.by != Some(Procedure::PromoteStandby) || drill.promotes_for(scenario))
}

/// Somebody may have named another store than those that are left: that says nothing of them.
fn is_from(record: &DrillRecord, scenario: &Scenario) -> bool {
    let restored = record.restored.as_ref().filter(|_| scenario.by != Some(Procedure::PromoteStandby));
    scenario.from.is_empty() || restored.is_none_or(|restored| scenario.from.contains(&restored.store))
}

fn is_a_cluster(record: &DrillRecord) -> bool {
    let is_whole = |kind: BackupKind, tables: usize| kind.is_physical() && tables == 0;
    record.restored.as_ref().is_some_and(|restored| is_whole(restored.kind, restored.tables.len()))
}

/// Where a standby is promoted it is there before anything happens, and what it took to make one counts for nothing.
fn took(record: &DrillRecord, scenario: Option<&Scenario>) -> Option<f64> {
    let millis = match scenario.filter(|scenario| scenario.by == Some(Procedure::PromoteStandby)) {
        Some(_) => record.promotion.as_ref().map(|promotion| promotion.millis),
        None => record.recovery_millis,
    };
    millis.map(|millis| millis as f64 / 1_000.0)
}
