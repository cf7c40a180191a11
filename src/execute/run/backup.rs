//! A backup with all that belongs to it: the policy's programs, what is refreshed before, and the steps on record.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use super::record::Record;
use super::refresh::{self, Stale};
use super::steps::Steps;
use super::{Ended, Ground, Made};
use crate::catalog::StepOutcome;
use crate::execute::backup::{self, BackupFault, Failure, Onlooker, Stage, Taken, Wishes, lease};
use crate::execute::hook::{self, HookFault};
use crate::execute::{dump, files};
use crate::format::descriptor::Descriptor;
use crate::plan::words::counted;
use crate::plan::{Action, steps_of_backup};
use crate::policy::file;
use crate::policy::model::Method;
use crate::units::Name;
use crate::units::hex;

/// A store that does not answer soon is asked again by the backup itself.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

pub(super) fn run(ground: &Ground<'_>, name: &Name, wishes: &Wishes, record: &Record<'_>) -> (Ended, Made, Vec<String>) {
    let planned = steps_of_backup(ground.site.policy, name);
    let steps = Steps::new(&planned, record);
    let mut remarks = Vec::new();
    let hooks = ground.site.policy.file.backups.get(name);
    let before = hooks.and_then(|written| written.before.as_ref());
    let after = hooks.and_then(|written| written.after.as_ref());
    let begun = Cell::new(false);
    let mut stale = Vec::new();
    let (end, made) = match go(ground, name, wishes, &steps, before.map(|before| (before, &begun)), (&mut remarks, &mut stale)) {
        Ok(taken) => {
            let end = match unread(&taken) {
                Some(end) => {
                    remarks.extend(stale.into_iter().map(|one| one.message));
                    end
                }
                None => Stale::told(&stale, &taken).unwrap_or(Ended::Succeeded),
            };
            steps.end(StepOutcome::Succeeded, None);
            (end, made(taken))
        }
        Err(end) => {
            remarks.extend(stale.into_iter().map(|one| one.message));
            match &end {
                Ended::Failed { message, .. } | Ended::Busy { message, .. } => steps.end(StepOutcome::Failed, Some(message)),
                Ended::Stopped => steps.end(StepOutcome::Stopped, None),
                Ended::Succeeded | Ended::Elsewhere { .. } | Ended::NotOwed { .. } => steps.end(StepOutcome::Succeeded, None),
            }
            (end, Made::default())
        }
    };
    // Whatever the outcome: it undoes what the one before did.
    // Where somebody else is at it and nothing was begun, there is nothing to undo.
    if let Some(after) = after.filter(|_| begun.get() || !matches!(end, Ended::Busy { .. })) {
        steps.skip_to_last(|action| matches!(action, Action::RunHook { .. }));
        let outcome = match &end {
            Ended::Succeeded | Ended::Elsewhere { .. } | Ended::NotOwed { .. } => "succeeded",
            Ended::Failed { .. } | Ended::Busy { .. } => "failed",
            Ended::Stopped => "stopped",
        };
        let mut about = about(ground, name);
        about.push(("OUTCOME", outcome.to_owned()));
        about.extend(made.backup.iter().map(|id| ("BACKUP", id.clone())));
        // Also when it was asked to end; a second signal does not wait for it. What it started ends with it when its time is over.
        match hook::run(&format!("backups.{name}.after"), after, &about, Some(&AtomicBool::new(false))) {
            Ok(()) => steps.end(StepOutcome::Succeeded, None),
            Err(fault) => {
                steps.end(StepOutcome::Failed, Some(&fault.to_string()));
                if end == Ended::Succeeded {
                    return (Ended::failed(fault.to_string(), fault.hint(), false), made, remarks);
                }
                remarks.push(fault.to_string());
            }
        }
    }
    (end, made, remarks)
}

/// A backup that lacks files is kept, and nobody shall take it for a whole one.
fn unread(taken: &Taken) -> Option<Ended> {
    let Descriptor { id, damage, .. } = &taken.descriptor;
    let message = format!("{} could not be read and {} missing from backup {id}", counted(damage.unread, "file"), is_or_are(damage.unread));
    let hint = "The notes above name each. Let the account that runs it read them, or leave them out with `files.exclude`.";
    (damage.unread > 0).then(|| Ended::failed(message, hint, false))
}

fn is_or_are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

fn about(ground: &Ground<'_>, name: &Name) -> Vec<(&'static str, String)> {
    vec![("POLICY", ground.site.policy.name.to_string()), ("JOB", format!("backups.{name}"))]
}

fn go(
    ground: &Ground<'_>,
    name: &Name,
    wishes: &Wishes,
    steps: &Steps<'_>,
    before: Option<(&file::Command, &Cell<bool>)>,
    (remarks, stale): (&mut Vec<String>, &mut Vec<Stale>),
) -> Result<Taken, Ended> {
    if !wishes.force {
        must_be_alone(ground, name)?;
    }
    // A backup with an aggregate of yesterday is better than none.
    *stale = refresh::all(ground, name, steps);
    if let Some((before, begun)) = before {
        begun.set(true);
        steps.enter(|action| matches!(action, Action::RunHook { .. }));
        hook::run(&format!("backups.{name}.before"), before, &about(ground, name), Some(ground.stop)).map_err(|fault| match fault {
            HookFault::Failed { .. } => Ended::failed(fault.to_string(), fault.hint(), false),
            HookFault::Interrupted { .. } => Ended::Stopped,
        })?;
    }
    let stage = |stage: Stage| {
        steps.enter(|action| is_at(action, &stage));
        if let Stage::WaitingForLog(Some(awaited)) = &stage {
            tracing::info!("{awaited}");
        }
    };
    let onlooker = Onlooker { progress: ground.progress, stage: &stage, stop: ground.stop };
    let taken = match ground.site.policy.backups.get(name).map(|backup| &backup.method) {
        Some(Method::Logical(_) | Method::Tables(_)) => dump::take(ground.site, name, wishes, onlooker),
        Some(Method::Files(_)) => files::take(ground.site, name, wishes, onlooker),
        _ => backup::take(ground.site, name, wishes, onlooker),
    };
    match taken {
        Ok(mut taken) => {
            remarks.append(&mut taken.remarks);
            Ok(taken)
        }
        Err(Failure { fault, remarks: said }) => {
            remarks.extend(said);
            Err(match fault {
                BackupFault::Interrupted => Ended::Stopped,
                BackupFault::Busy { message, hint } => Ended::Busy { message, hint },
                // A failure after a request to end is most likely of its making.
                fault if ground.stop.load(Ordering::Relaxed) && fault.is_transient() => Ended::Stopped,
                fault => Ended::failed(fault.to_string(), fault.hint(), fault.is_transient()),
            })
        }
    }
}

/// Whoever would be refused later is refused before anything of his is stopped or refreshed for it.
fn must_be_alone(ground: &Ground<'_>, name: &Name) -> Result<(), Ended> {
    let site = ground.site;
    let Some(store) = site.policy.store_of(name).and_then(|store| site.store_with_patience(store, PATIENCE).ok()) else { return Ok(()) };
    let Ok(Some(found)) = site.find_repository(&store) else { return Ok(()) };
    lease::must_be_alone(&store, &found.repository).map_err(|fault| match fault {
        BackupFault::Busy { message, hint } => Ended::Busy { message, hint },
        fault => Ended::failed(fault.to_string(), fault.hint(), fault.is_transient()),
    })
}

fn is_at(action: &Action, stage: &Stage) -> bool {
    match stage {
        Stage::Checking => matches!(action, Action::CheckRoom { .. }),
        Stage::Checkpoint => matches!(action, Action::BeginBackup { .. }),
        Stage::Copying => matches!(action, Action::ReadDataDirectory { .. }),
        Stage::ReadingFiles => matches!(action, Action::ReadFiles { .. }),
        Stage::Dumping(of) => {
            matches!(action, Action::DumpDatabase { database, .. } | Action::DumpTables { database, .. } if database == of)
        }
        Stage::DumpingGlobals => matches!(action, Action::DumpGlobals),
        Stage::WaitingForLog(_) => matches!(action, Action::WaitForLog { .. } | Action::BringLog { .. }),
        Stage::ReadingBack => matches!(action, Action::ReadBack { .. }),
        Stage::Committing => matches!(action, Action::Commit { .. }),
    }
}

fn made(taken: Taken) -> Made {
    let descriptor = &taken.descriptor;
    Made {
        copied: None,
        backup: Some(descriptor.id.to_string()),
        store: Some(taken.store.clone()),
        bytes: Some(descriptor.size),
        stored_bytes: Some(descriptor.stored_size),
        checksum: Some(hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &descriptor.to_json()).as_ref())),
        taken: Some(Box::new(taken)),
        ..Made::default()
    }
}
