//! The restore drills of the stretch: what came back, how long each part took, and why one failed.

use super::promises::Subject;
use super::rehearsed::{has_all_of, rehearsed};
use super::shape::{DrillAccount, DrilledTierAccount, DrillsAccount, LastPassed, Listed, PhaseAccount, Recovered};
use super::{Past, Room};
use crate::catalog::DrillRow;
use crate::inventory::{DrillOutcome, DrillRecord, DrilledTier, Phase};
use crate::policy::model::Policy;
use crate::report::covered::Covered;

/// The drills whose records can be read, in their order.
pub(super) fn read(rows: &[DrillRow]) -> Vec<DrillRecord> {
    rows.iter().filter_map(|row| serde_json::from_str(&row.record).ok()).collect()
}

/// Those of the stretch, and what drills have shown last, whenever that was: the newest first. What somebody ended has shown nothing, and what
/// somebody chose for once shows nothing of what the policy's drills do.
pub(super) fn shown<'d>(of_stretch: &'d [DrillRecord], last: &'d [DrillRecord]) -> Vec<&'d DrillRecord> {
    let shows = |record: &&DrillRecord| record.outcome != DrillOutcome::Stopped && record.chosen.is_empty();
    let mut all: Vec<&DrillRecord> = of_stretch.iter().chain(last).filter(shows).collect();
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
        recovered: recovered(policy, shown),
        list: Listed::of(records.iter().rev().filter(|record| covered.holds(record.ended)).map(|record| one(policy, record)), room.rows),
    }
}

/// What a recovery of everything took, by what the promise of that is held against.
fn recovered(policy: &Policy, shown: &[&DrillRecord]) -> Option<Recovered> {
    let passed = rehearsed(policy, shown, Subject { scenario: None, tier: None }).passed?;
    Some(Recovered { at: passed.at, seconds: passed.seconds? })
}

/// How long it took can be held against the promise of everything.
fn is_of_everything(policy: &Policy, record: &DrillRecord) -> bool {
    let drill = record.answers_for().and_then(|name| policy.drills.get(name));
    let had_all = || policy.known_databases().into_iter().all(|database| has_all_of(policy, record, database));
    drill.is_some_and(|drill| drill.restores_everything(policy)) && (record.restored.is_none() || had_all())
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
        of_everything: is_of_everything(policy, record),
        chosen: record.chosen.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::DrillEnd;
    use crate::inventory::DrillChoice;
    use crate::units::Instant;

    fn policy() -> Policy {
        let text = "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: { connection: service=t, databases: [app] }\n\
             encryption: { none: { because: a test } }\nstores: { main: { local: { path: /srv/main } } }\n\
             backups: { nightly: { physical: {}, store: main, schedule: { at: '02:00' }, keep: { daily: 3 } } }\n\
             wal: { store: main, timeout: 60s, keep: 7d }\nobjectives: { rto: 4h }\n\
             drills: { weekly: { restore: { latest: nightly } }, few: { restore: { latest: nightly, tables: [public.orders] } } }\n";
        let path = std::path::Path::new("t.yaml");
        let document = crate::policy::document::Document::load("t.yaml", path, &|_| Ok(text.as_bytes().to_vec()));
        let resolved = crate::policy::resolve::resolve(&document, jiff::civil::date(2026, 11, 21));
        resolved.policy.unwrap_or_else(|| panic!("{:?} {:?}", document.findings, resolved.findings))
    }

    fn at(day: i64) -> Instant {
        Instant::from_second(1_790_000_000 + day * 86_400).expect("a moment")
    }

    /// That passed, as `seawall drill` writes it.
    fn record(policy: &Policy, drill: &str, day: i64, seconds: u64) -> DrillRecord {
        serde_json::from_value(serde_json::json!({
            "format_version": 1, "id": format!("20261101T050000Z-{day:04}"), "policy": "shop", "drill": drill, "host": "staging-1",
            "started": at(day), "ended": at(day), "outcome": "passed", "phases": [], "recovery_millis": seconds * 1_000,
            "definition": policy.drills[drill].definition,
            "restored": { "job": "nightly", "store": "main", "backup": "20261101T020000Z-7f3c", "kind": "full", "stopped": at(day), "size": 1,
                "postgres": "16.4" },
        }))
        .expect("a record")
    }

    fn told(policy: &Policy, records: &[DrillRecord]) -> DrillsAccount {
        let row = |record: &DrillRecord| DrillRow {
            id: record.id.to_string(),
            policy: "shop".to_owned(),
            drill: record.answers_for().map(ToString::to_string).unwrap_or_default(),
            started: record.started,
            ended: record.ended,
            end: DrillEnd::Passed,
            record: serde_json::to_string(record).expect("JSON"),
        };
        let past = Past { drills: records.iter().map(row).collect(), ..Past::default() };
        let covered = Covered { from: at(0), to: at(100) };
        drills(policy, &past, records, &shown(records, &[]), covered, Room::ONE)
    }

    /// Some tables came back in 20 s: that says nothing of the promise of everything.
    #[test]
    fn what_a_part_took_is_not_held_against_the_promise_of_everything() {
        let policy = policy();
        let account = told(&policy, &[record(&policy, "weekly", 1, 13_800), record(&policy, "few", 2, 20)]);
        assert_eq!(account.recovered, Some(Recovered { at: at(1), seconds: 13_800.0 }));
        assert_eq!(account.last_passed.and_then(|last| last.drill).as_deref(), Some("few"));
        let whole: Vec<bool> = account.list.shown.iter().map(|drill| drill.of_everything).collect();
        assert_eq!(whole, [false, true]);
        assert_eq!(told(&policy, &[record(&policy, "few", 2, 20)]).recovered, None);
    }

    /// The drill failed, and somebody has seen that an older backup comes back.
    #[test]
    fn what_somebody_chose_for_once_answers_for_no_drill() {
        let policy = policy();
        let mut failed = record(&policy, "weekly", 1, 0);
        (failed.outcome, failed.recovery_millis) = (DrillOutcome::Failed, None);
        let mut chosen = record(&policy, "weekly", 2, 60);
        chosen.chosen = vec![DrillChoice::Backup];
        let records = [failed, chosen];
        let shown = shown(&records, &[]);
        let rehearsed = rehearsed(&policy, &shown, Subject { scenario: None, tier: None });
        assert_eq!(rehearsed.failed.map(|record| record.ended), Some(at(1)));
        assert!(rehearsed.passed.is_none());
        let account = told(&policy, &records);
        assert_eq!((account.last_passed, account.recovered), (None, None));
        assert_eq!(account.list.shown[0].name(), "weekly, another backup");
    }
}
