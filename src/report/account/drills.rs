//! The restore drills of the stretch: what came back, how long each part took, and why one failed.

use super::shape::{DrillAccount, DrilledTierAccount, DrillsAccount, LastPassed, Listed, PhaseAccount};
use super::{Past, Room};
use crate::catalog::DrillRow;
use crate::inventory::{DrillOutcome, DrillRecord, DrilledTier, Phase};
use crate::policy::model::Policy;
use crate::report::covered::Covered;

/// The drills whose records can be read, in their order.
pub(super) fn read(rows: &[DrillRow]) -> Vec<DrillRecord> {
    rows.iter().filter_map(|row| serde_json::from_str(&row.record).ok()).collect()
}

/// Those of the stretch, and what drills have shown last, whenever that was: the newest first. What somebody ended has shown nothing.
pub(super) fn shown<'d>(of_stretch: &'d [DrillRecord], last: &'d [DrillRecord]) -> Vec<&'d DrillRecord> {
    let mut all: Vec<&DrillRecord> = of_stretch.iter().chain(last).filter(|record| record.outcome != DrillOutcome::Stopped).collect();
    all.sort_by_key(|record| std::cmp::Reverse(record.ended));
    all
}

pub(super) fn drills(
    policy: &Policy,
    past: &Past,
    records: &[DrillRecord],
    shown: &[&DrillRecord],
    covered: Covered,
    room: Room,
) -> DrillsAccount {
    let count = |outcome: DrillOutcome| records.iter().filter(|record| record.outcome == outcome).count();
    DrillsAccount {
        passed: count(DrillOutcome::Passed),
        failed: count(DrillOutcome::Failed),
        stopped: count(DrillOutcome::Stopped),
        unreadable: past.drills.len() - records.len(),
        last_passed: shown.iter().find(|record| record.passed()).map(|record| LastPassed {
            drill: record.drill.as_ref().map(ToString::to_string),
            at: record.ended,
            recovery_seconds: record.recovery_millis.map(seconds),
        }),
        list: Listed::of(records.iter().rev().filter(|record| covered.holds(record.ended)).map(|record| one(policy, record)), room.rows),
    }
}

fn one(policy: &Policy, record: &DrillRecord) -> DrillAccount {
    let now = record.drill.as_ref().and_then(|name| policy.drills.get(name));
    let met = |met: bool| record.expectations.iter().filter(move |one| one.met == met);
    let command = record.command.as_ref().filter(|command| !command.succeeded);
    DrillAccount {
        id: record.id.to_string(),
        drill: record.drill.as_ref().map(ToString::to_string),
        defined_otherwise: now.is_some_and(|now| !record.is_of(&now.definition)),
        host: record.host.clone(),
        started: record.started,
        ended: record.ended,
        outcome: match record.outcome {
            DrillOutcome::Passed => "passed",
            DrillOutcome::Failed => "failed",
            DrillOutcome::Stopped => "stopped",
        }
        .to_owned(),
        failure: record.failure.as_ref().map(|failure| format!("{}: {}", failure.phase.says(), failure.message)),
        backup: record.restored.as_ref().map(|restored| restored.backup.to_string()),
        postgres: record.restored.as_ref().map(|restored| restored.postgres.clone()),
        bytes: record.restored.as_ref().and_then(|restored| match restored.tables.as_slice() {
            [] => Some(restored.size),
            _ => record.phase(Phase::Files).and_then(|files| files.bytes),
        }),
        tables: record.restored.iter().flat_map(|restored| &restored.tables).map(|table| table.table.clone()).collect(),
        tiers: record.tiers.iter().map(tier).collect(),
        recovery_seconds: record.recovery_millis.map(seconds),
        within_seconds: record.within_millis.map(seconds),
        phases: record.phases.iter().map(phase).collect(),
        expectations_met: met(true).count(),
        expectations: record.expectations.len(),
        not_met: met(false)
            .map(|one| format!("{}: {}", one.name, one.says))
            .chain(command.map(|command| format!("{}: {}", command.program, command.says)))
            .collect(),
        lost_seconds: record.canary.as_ref().map(|canary| seconds(canary.lost_millis)),
    }
}

fn tier(tier: &DrilledTier) -> DrilledTierAccount {
    DrilledTierAccount { tier: tier.tier.to_string(), seconds: tier.millis.map(seconds), within_seconds: tier.within_millis.map(seconds) }
}

fn phase(phase: &crate::inventory::DrillPhase) -> PhaseAccount {
    PhaseAccount {
        phase: phase.phase.as_str().to_owned(),
        says: phase.phase.says().to_owned(),
        seconds: seconds(phase.millis),
        bytes: phase.bytes,
        beside: matches!(phase.phase, Phase::Fetch | Phase::Open | Phase::Write),
    }
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}
