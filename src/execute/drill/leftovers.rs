//! What drills left behind whose process is gone, as the record has it.

use std::path::PathBuf;

use super::{DrillFault, keep};
use crate::catalog::Catalog;
use crate::execute::throwaway::{self, Mark, Purpose};
use crate::inventory::{DrillFailure, DrillOutcome, DrillRecord, Phase};
use crate::site::Site;
use crate::units::Name;
use crate::world::clock;

/// Ends and removes what is left of this policy's copies on this host, and puts on record which drills were lost. Gives how many there were.
pub fn sweep(site: &Site<'_>, catalog: Option<&Catalog>) -> usize {
    throwaway::sweep(site, &|_| true, &mut |mark, phase| {
        if let (Some(catalog), Purpose::Drill(drill)) = (catalog, &mark.purpose) {
            keep::on_record(catalog, &lost(mark, drill, phase));
        }
    })
}

/// Copies that somebody wanted to look at.
pub fn kept(site: &Site<'_>) -> Vec<PathBuf> {
    throwaway::kept(site)
}

/// Removes those.
pub fn remove_kept(site: &Site<'_>) -> Result<Vec<PathBuf>, DrillFault> {
    Ok(throwaway::remove_kept(site)?)
}

fn lost(mark: &Mark, drill: &Name, phase: Phase) -> DrillRecord {
    let message = format!("its process ({}) ended without a word: it was killed, or the machine went down", mark.pid);
    DrillRecord {
        format_version: DrillRecord::FORMAT_VERSION,
        id: mark.id.clone(),
        policy: mark.policy.clone(),
        drill: Some(drill.clone()),
        host: mark.host.clone(),
        started: mark.started,
        ended: clock::now().max(mark.started),
        outcome: DrillOutcome::Failed,
        failure: Some(DrillFailure { phase, message, hint: "Run it again; what it left was removed.".into() }),
        restored: None,
        reached: None,
        phases: Vec::new(),
        recovery_millis: None,
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
