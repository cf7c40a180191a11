//! What proves and what reminds: it reads, and changes nothing.

use std::sync::atomic::Ordering;

use super::record::Record;
use super::steps::Steps;
use super::{Ended, Ground, Made};
use crate::catalog::StepOutcome;
use crate::execute::custody;
use crate::plan::words::counted;
use crate::plan::{Action, steps_of_duty, steps_of_verify};
use crate::policy::model::{Duty, Encryption, Verify};
use crate::site::SiteFault;
use crate::units::Name;
use crate::verify::{self, Progress, Report, Wanted};
use crate::world::clock;

/// Every store that the job names, one after the other; what one of them hides is no reason not to look at the next.
pub(super) fn verify_stores(ground: &Ground<'_>, job: &Verify, record: &Record<'_>) -> (Ended, Made, Vec<String>) {
    let planned = steps_of_verify(ground.site.policy, job);
    let steps = Steps::new(&planned, record);
    let (mut remarks, mut faults, mut transient) = (Vec::new(), Vec::new(), true);
    let stores: Vec<&Name> = if job.stores.is_empty() { ground.site.policy.stores.keys().collect() } else { job.stores.iter().collect() };
    for store in stores {
        if ground.stop.load(Ordering::Relaxed) {
            return (Ended::Stopped, Made::default(), remarks);
        }
        steps.enter(|action| matches!(action, Action::VerifyStore { store: of, .. } if of == store));
        match verify_one(ground, job, store) {
            Ok(report) if report.is_sound() => {
                steps.end(StepOutcome::Succeeded, None);
                remarks.extend(report.unchecked.iter().map(|what| format!("`{store}`: not checked: {what}")));
            }
            Ok(report) => {
                transient = false;
                let first: Vec<String> =
                    report.faults.iter().take(3).map(|fault| format!("{} is {}: {}", fault.key, fault.kind.as_str(), fault.what)).collect();
                let message = format!("`{store}`: {}: {}", counted(report.faults.len(), "fault"), first.join("; "));
                steps.end(StepOutcome::Failed, Some(&message));
                faults.push(message);
            }
            Err(fault) => {
                transient &= fault.transient;
                steps.end(StepOutcome::Failed, Some(&fault.message));
                faults.push(format!("`{store}`: {}", fault.message));
            }
        }
    }
    if faults.is_empty() {
        return (Ended::Succeeded, Made::default(), remarks);
    }
    let hint = "`seawall verify` shows everything that is wrong; what is damaged in one store may be whole in another.";
    (Ended::failed(faults.join("; "), hint, transient), Made::default(), remarks)
}

fn verify_one(ground: &Ground<'_>, job: &Verify, store: &Name) -> Result<Report, SiteFault> {
    let site = ground.site;
    let identities = site.identities(None)?;
    if job.deep && site.policy.encryption.as_ref().is_some_and(Encryption::is_sealed) && site.recovery_identities(None)?.is_empty() {
        let hint = "Give this host an identity (`encryption.age.identity` or `encryption.openpgp.identity`), or let another host run this job (`verify.NAME.host`).";
        return Err(SiteFault::new("a deep look needs an identity that opens the backups, and this host has none", hint));
    }
    let wanted = Wanted { jobs: job.backups.clone(), deep: job.deep, ..Wanted::default() };
    let report = verify::verify(site, store, &identities, &wanted, clock::now(), &Progress::default())?;
    if let Some(Err(fault)) = ground.catalog.map(|catalog| custody::note(site, catalog, &identities, clock::now())) {
        tracing::warn!(hint = fault.hint, "it is not on record that an identity opened something: {}", fault.message);
    }
    Ok(report)
}

/// That it is due is on record from here on; whoever watches tells people until somebody acknowledges it.
pub(super) fn remind(ground: &Ground<'_>, name: &Name, duty: &Duty, record: &Record<'_>) -> (Ended, Made, Vec<String>) {
    let planned = steps_of_duty(ground.site.policy, name);
    let steps = Steps::new(&planned, record);
    steps.enter(|action| matches!(action, Action::Remind { .. }));
    steps.end(StepOutcome::Succeeded, None);
    (Ended::Succeeded, Made::default(), vec![format!("{} is due: {}", name, duty.what)])
}
