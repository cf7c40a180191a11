//! Rows that move to a store, or go by their age, with every deed in the audit chain before the next one begins.

use std::sync::atomic::Ordering;

use super::audit;
use super::record::Record;
use super::steps::Steps;
use super::{Ended, Ground, Made};
use crate::catalog::{Measured, StepOutcome};
use crate::execute::archive::{self, Archived, Deed, Done, Dropped, Onlooker, Retained, Wishes};
use crate::plan::words::counted;
use crate::plan::{Action, steps_of_archive, steps_of_dropping};
use crate::policy::model::{Archive, Dropping};
use crate::site::SiteFault;
use crate::units::figure_of;
use crate::world::clock;

/// Under which names it is kept, with the job's path: how many extents nobody has read back, and since when the oldest of them is there.
pub const UNREAD: &str = "extents_unread";
pub const UNREAD_SINCE: &str = "extents_unread_since";

pub(super) fn run(ground: &Ground<'_>, job: &Archive, record: &Record<'_>) -> (Ended, Made, Vec<String>) {
    let planned = steps_of_archive(job);
    let steps = Steps::new(&planned, record);
    steps.enter(|action| matches!(action, Action::ExportRows { .. }));
    let deed = |done: Done, deed: &Deed| audit::archived(ground, done, deed);
    let archived = archive::archive(ground.site, job, &Wishes::default(), Onlooker { deed: &deed, stop: ground.stop });
    // One that broke off has not looked at all of them.
    if let Ok(done) = &archived
        && !done.stopped
    {
        measure(ground, job, done);
    }
    match archived {
        Ok(done) if done.stopped => (Ended::Stopped, made(job, &done), done.remarks),
        Ok(mut done) if !done.damaged.is_empty() || !done.headless.is_empty() || done.blind.is_some() => {
            steps.enter(|action| matches!(action, Action::CompareExport { .. }));
            let (headless, damaged) = (std::mem::take(&mut done.headless), std::mem::take(&mut done.damaged));
            let (message, hint) = told(done.blind.take(), &headless, &damaged);
            steps.end(StepOutcome::Failed, Some(&message));
            let made = made(job, &done);
            (Ended::failed(message, hint, false), made, remarks(done))
        }
        Ok(done) => {
            steps.enter(|action| matches!(action, Action::CompareExport { .. }));
            if done.waiting.is_empty() {
                steps.enter(|action| matches!(action, Action::DropArchivedRows { .. }));
            }
            steps.end(StepOutcome::Succeeded, None);
            let made = made(job, &done);
            (Ended::Succeeded, made, remarks(done))
        }
        Err(_) if ground.stop.load(Ordering::Relaxed) => (Ended::Stopped, Made::default(), Vec::new()),
        Err(fault) => {
            steps.end(StepOutcome::Failed, Some(&fault.message));
            (Ended::failed(fault.message, fault.hint, fault.transient), Made::default(), Vec::new())
        }
    }
}

/// Since when rows wait for somebody who reads them back, so that whoever watches can tell of it. 0: none do.
fn measure(ground: &Ground<'_>, job: &Archive, done: &Archived) {
    let Some(catalog) = ground.catalog else { return };
    let path = job.path.to_string();
    let measured = [
        Measured { name: UNREAD_SINCE, subject: &path, value: done.waiting_since.map_or(0.0, figure_of) },
        Measured { name: UNREAD, subject: &path, value: done.waiting.len() as f64 },
    ];
    if let Err(fault) = catalog.measure(ground.site.policy.name.as_str(), &measured, clock::now()) {
        tracing::warn!("that rows wait for somebody to read them back cannot be noted: {}", fault.message);
    }
}

/// What takes rows away behind the archive's back, and what nobody can find or read back, the first three of them, and the way out.
fn told(blind: Option<SiteFault>, headless: &[SiteFault], damaged: &[SiteFault]) -> (String, String) {
    let all: Vec<&SiteFault> = blind.iter().chain(headless).chain(damaged).collect();
    let mut message = all.iter().take(3).map(|fault| fault.message.as_str()).collect::<Vec<_>>().join("; ");
    if all.len() > 3 {
        message.push_str(&format!("; and {} more", all.len() - 3));
    }
    let mut hints: Vec<&str> = blind.iter().chain(headless.first()).chain(damaged.first()).map(|fault| fault.hint.as_str()).collect();
    if !damaged.is_empty() {
        hints.push(
            "Rows of what is damaged stay in the table, and the others moved on. When such an extent's descriptor is moved away from \
             `archive/` in the store, the next run exports its rows again.",
        );
    }
    (message, hints.join(" ").trim().to_owned())
}

/// What is old enough and not held goes.
pub(super) fn retain(ground: &Ground<'_>, job: &Dropping, record: &Record<'_>) -> (Ended, Made, Vec<String>) {
    let planned = steps_of_dropping(job);
    let steps = Steps::new(&planned, record);
    steps.enter(|action| matches!(action, Action::DropOldRows { .. }));
    let each = |done: Done, dropped: &Dropped| audit::dropped(ground, done, dropped);
    match archive::retain(ground.site, job, &each, ground.stop) {
        Ok(_) if ground.stop.load(Ordering::Relaxed) => (Ended::Stopped, Made::default(), Vec::new()),
        Ok(Retained { dropped, mut remarks }) => {
            steps.end(StepOutcome::Succeeded, None);
            remarks.insert(0, format!("{dropped} rows dropped"));
            (Ended::Succeeded, Made::default(), remarks)
        }
        Err(fault) => {
            steps.end(StepOutcome::Failed, Some(&fault.message));
            (Ended::failed(fault.message, fault.hint, fault.transient), Made::default(), Vec::new())
        }
    }
}

fn made(job: &Archive, done: &Archived) -> Made {
    let bytes = done.exported.iter().map(|deed| deed.bytes).sum();
    Made { store: Some(job.store.to_string()), stored_bytes: Some(bytes), ..Made::default() }
}

fn remarks(done: Archived) -> Vec<String> {
    let rows = |deeds: &[Deed]| deeds.iter().map(|deed| deed.rows).sum::<u64>();
    let mut all = Vec::new();
    if !done.exported.is_empty() || !done.removed.is_empty() {
        all.push(format!("{} rows exported, {} taken out of the table", rows(&done.exported), rows(&done.removed)));
    }
    if !done.let_go.is_empty() {
        all.push(format!("{} rows deleted from the archive: their time there was over", rows(&done.let_go)));
    }
    if !done.superseded.is_empty() {
        all.push(format!("{} deleted from the archive: their rows were exported anew", counted(done.superseded.len(), "extent")));
    }
    all.extend(done.remarks);
    all
}
