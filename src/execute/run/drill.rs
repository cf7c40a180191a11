//! A restore drill, with its steps on record.

use std::sync::Mutex;
use std::sync::PoisonError;

use super::record::Record;
use super::steps::Steps;
use super::{Ended, Ground, Made};
use crate::catalog::StepOutcome;
use crate::execute::drill::{self, Onlooker, Wishes};
use crate::inventory::{DrillFailure, DrillOutcome, Phase};
use crate::plan::{Action, steps_of_drill};
use crate::policy::model::Drill;
use crate::units::Name;

pub(super) fn run(ground: &Ground<'_>, name: &Name, drill: &Drill, wishes: &Wishes, record: &Record<'_>) -> (Ended, Made, Vec<String>) {
    let planned = steps_of_drill(ground.site.policy, drill);
    let steps = Steps::new(&planned, record);
    let failed = Mutex::new(false);
    let is_over = || *failed.lock().unwrap_or_else(PoisonError::into_inner);
    // A dump is loaded into a server that runs; a server is started where files are.
    let starts_first = planned.first().is_some_and(|step| matches!(step.action, Action::StartThrowAwayServer));
    let phase = |phase: Phase| {
        let wanted = |action: &Action| match phase {
            Phase::Prepare if starts_first => matches!(action, Action::StartThrowAwayServer),
            _ => is_in(action, phase),
        };
        if is_over() { steps.skip_to_last(wanted) } else { steps.enter(wanted) }
    };
    let fail = |message: &str| {
        *failed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        steps.end(StepOutcome::Failed, Some(message));
    };
    let onlooker = Onlooker { phase: &phase, failed: &fail, stop: ground.stop };
    match drill::drill(ground.site, ground.catalog, name, drill, wishes, onlooker) {
        Ok(drilled) => {
            steps.end(StepOutcome::Succeeded, None);
            let (end, remarks) = (end(&drilled), drilled.record.remarks.clone());
            (end, made(drilled), remarks)
        }
        Err(fault) => {
            steps.end(StepOutcome::Failed, Some(&fault.message));
            (Ended::failed(fault.message, fault.hint, false), Made::default(), Vec::new())
        }
    }
}

fn is_in(action: &Action, phase: Phase) -> bool {
    match phase {
        Phase::Prepare | Phase::Wait | Phase::Files | Phase::Fetch | Phase::Open | Phase::Write | Phase::Sync => {
            matches!(action, Action::FetchBackup { .. } | Action::FetchTables { .. })
        }
        Phase::Compare => matches!(action, Action::CompareFiles),
        Phase::Check | Phase::Load | Phase::Index | Phase::Count => matches!(action, Action::FetchBackup { .. }),
        Phase::Consistent => matches!(action, Action::StartThrowAwayServer),
        Phase::Replay => matches!(action, Action::ReplayLog { .. }),
        Phase::Promote => matches!(action, Action::RehearsePromotion { .. }),
        Phase::Expect => matches!(action, Action::CheckExpectations { .. }),
        Phase::Command => matches!(action, Action::RunHook { .. }),
        Phase::Remove => matches!(action, Action::RemoveThrowAwayServer | Action::RemoveFiles),
    }
}

fn end(drilled: &drill::Drilled) -> Ended {
    let record = &drilled.record;
    let says = |failure: &DrillFailure| format!("{}: {}", failure.phase.says(), failure.message);
    match (&record.failure, record.outcome) {
        (Some(failure), DrillOutcome::Stopped) if drilled.passing => Ended::failed(says(failure), failure.hint.clone(), true),
        (_, DrillOutcome::Stopped) => Ended::Stopped,
        // A drill costs hours and finds the same again: the next one is the one that the schedule names.
        (Some(failure), _) => Ended::failed(says(failure), failure.hint.clone(), false),
        (None, _) => Ended::Succeeded,
    }
}

fn made(drilled: drill::Drilled) -> Made {
    let restored = drilled.record.restored.as_ref();
    Made {
        backup: restored.map(|restored| restored.backup.to_string()),
        store: restored.map(|restored| restored.store.to_string()),
        bytes: restored.map(|restored| restored.size),
        stored_bytes: restored.and_then(|restored| restored.stored_size),
        drilled: Some(Box::new(drilled)),
        ..Made::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::DrillRecord;

    #[test]
    fn what_could_not_prove_anything_yet_is_tried_again() {
        let json = r#"{ "format_version": 1, "id": "20261121T020000Z-7f3c", "policy": "shop", "host": "db", "started": "2026-11-21T02:00:00Z",
            "ended": "2026-11-21T02:10:00Z", "outcome": "stopped", "phases": [],
            "failure": { "phase": "wait", "message": "nothing was archived", "hint": "Wait." } }"#;
        let record: DrillRecord = serde_json::from_str(json).expect("a record");
        let of = |passing: bool, outcome: DrillOutcome| {
            end(&drill::Drilled { record: DrillRecord { outcome, ..record.clone() }, kept: None, passing })
        };
        let message = "waiting for log behind the backup: nothing was archived";
        assert_eq!(of(true, DrillOutcome::Stopped), Ended::failed(message, "Wait.", true));
        // Somebody has ended it; and what was found to be wrong would be found again.
        assert_eq!(of(false, DrillOutcome::Stopped), Ended::Stopped);
        assert_eq!(of(false, DrillOutcome::Failed), Ended::failed(message, "Wait.", false));
    }
}
