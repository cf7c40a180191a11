//! A second copy, brought up to date.

use std::sync::atomic::Ordering;

use super::record::Record;
use super::steps::Steps;
use super::{Ended, Ground, Made};
use crate::catalog::{Measured, StepOutcome};
use crate::execute::copies::{self, Copied, Flaw, Onlooker};
use crate::plan::words::counted;
use crate::plan::{Action, steps_of_copy};
use crate::site::SiteFault;
use crate::units::{Bytes, Name, figure_of};
use crate::world::clock;

/// When something was last copied into a store, by the store's name.
pub const COPIED: &str = "copied";
/// As many flaws are told; the rest are counted.
const TOLD: usize = 3;

pub(super) fn run(ground: &Ground<'_>, to: &Name, record: &Record<'_>) -> (Ended, Made, Vec<String>) {
    let planned = steps_of_copy(ground.site.policy, to);
    let steps = Steps::new(&planned, record);
    steps.enter(|action| matches!(action, Action::Copy { .. }));
    let copied = match copies::copy(ground.site, to, Onlooker { progress: ground.progress, stop: ground.stop }) {
        Ok(copied) => copied,
        Err(fault) => {
            steps.end(StepOutcome::Failed, Some(&fault.message));
            return (Ended::failed(fault.message, fault.hint, fault.transient), Made::default(), Vec::new());
        }
    };
    measure(ground, to, &copied);
    let end = end(ground, to, &copied);
    match &end {
        Ended::Succeeded => {
            steps.skip_to_last(|action| matches!(action, Action::Copy { .. }));
            steps.end(StepOutcome::Succeeded, None);
        }
        Ended::Failed { message, .. } => steps.end(StepOutcome::Failed, Some(message)),
        _ => steps.end(StepOutcome::Stopped, None),
    }
    let remarks = remarks(to, &copied);
    let some = copied.objects() > 0;
    let made = Made {
        backup: copied.backups.first().map(|done| done.id.to_string()),
        store: Some(to.to_string()),
        bytes: some.then(|| copied.bytes()),
        copied: Some(Box::new(copied)),
        ..Made::default()
    };
    (end, made, remarks)
}

fn end(ground: &Ground<'_>, to: &Name, copied: &Copied) -> Ended {
    if ground.stop.load(Ordering::Relaxed) && !copied.is_sound() {
        return Ended::Stopped;
    }
    let unread = |(store, fault): &(Name, SiteFault)| format!("from `{store}`: {}", fault.message);
    let mut faults: Vec<String> = copied.failed.iter().map(unread).collect();
    faults.extend(copied.flaws.iter().take(TOLD).map(Flaw::says));
    if copied.flaws.len() > TOLD {
        faults.push(format!("and {} more", copied.flaws.len() - TOLD));
    }
    let hint = match (copied.failed.first(), copied.flaws.is_empty()) {
        (_, false) => format!(
            "`seawall copy --store {to}` names all of it; nothing was put over what is there. `seawall verify` says what else is damaged."
        ),
        (Some((_, first)), true) => first.hint.clone(),
        (None, true) => return Ended::Succeeded,
    };
    let transient = copied.flaws.is_empty() && copied.failed.iter().all(|(_, fault)| fault.transient);
    Ended::failed(faults.join("; "), hint, transient)
}

fn remarks(to: &Name, copied: &Copied) -> Vec<String> {
    let mut all = Vec::new();
    if copied.objects() > 0 {
        let log = usize::try_from(copied.log.objects).unwrap_or(usize::MAX);
        let log = if log > 0 { format!(" and {} of the log", counted(log, "file")) } else { String::new() };
        let bytes = Bytes::new(copied.bytes()).rounded();
        all.push(format!("{}{log} copied to `{to}`, {bytes}", counted(copied.backups.len(), "backup")));
    }
    all.extend(copied.remarks.iter().cloned());
    all
}

/// Whoever watches looks again at once: what was behind is not any more.
fn measure(ground: &Ground<'_>, to: &Name, copied: &Copied) {
    let Some(catalog) = ground.catalog.filter(|_| copied.objects() > 0) else { return };
    let now = clock::now();
    let measured = [Measured { name: COPIED, subject: to.as_str(), value: figure_of(now) }];
    if let Err(fault) = catalog.measure(ground.site.policy.name.as_str(), &measured, now) {
        tracing::warn!("that something was copied cannot be recorded: {}", fault.message);
    }
}
