//! The jobs of a policy, by the words that people use for them.

use std::fmt;

use thiserror::Error;

use crate::plan::words::{joined, quoted};
use crate::policy::model::{Backup, Duty, MaintenanceWindow, Policy, TimedKind, Verify};
use crate::policy::path::PolicyPath;
use crate::units::Name;

/// A job of a policy.
#[derive(Debug, Clone)]
pub struct Job<'p> {
    pub path: PolicyPath,
    pub work: Work<'p>,
    /// It may run only inside.
    pub window: Option<(&'p Name, &'p MaintenanceWindow)>,
}

/// What a job does.
#[derive(Debug, Clone, Copy)]
pub enum Work<'p> {
    Backup(&'p Name, &'p Backup),
    Expire,
    Verify(&'p Name, &'p Verify),
    Duty(&'p Name, &'p Duty),
    /// What this version plans and cannot do.
    NotYet(TimedKind),
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the policy has no job `{asked}`")]
pub struct NoSuchJob {
    pub asked: String,
    /// As a sentence.
    pub hint: String,
}

impl fmt::Display for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

impl Job<'_> {
    pub fn kind(&self) -> TimedKind {
        match self.work {
            Work::Backup(..) => TimedKind::Backup,
            Work::Expire => TimedKind::Expire,
            Work::Verify(..) => TimedKind::Verify,
            Work::Duty(..) => TimedKind::Duty,
            Work::NotYet(kind) => kind,
        }
    }
}

/// All jobs of a policy.
pub fn jobs(policy: &Policy) -> Vec<Job<'_>> {
    let window = |name: Option<&Name>| name.and_then(|name| policy.windows.get_key_value(name));
    let job = |path: PolicyPath, work, window| Job { path, work, window };
    let mut all = Vec::new();
    for (name, backup) in &policy.backups {
        let work = if backup.method.runs_in_this_version() { Work::Backup(name, backup) } else { Work::NotYet(TimedKind::Backup) };
        all.push(job(["backups", name.as_str()].into(), work, window(backup.window.as_ref())));
    }
    if policy.backups.values().any(|backup| backup.store.is_some()) {
        all.push(job(["expire"].into(), Work::Expire, None));
    }
    for (name, verify) in &policy.verify {
        all.push(job(["verify", name.as_str()].into(), Work::Verify(name, verify), window(verify.window.as_ref())));
    }
    for (name, drill) in &policy.drills {
        all.push(job(["drills", name.as_str()].into(), Work::NotYet(TimedKind::Drill), window(drill.window.as_ref())));
    }
    all.extend(policy.archives.iter().map(|archive| job(archive.path.clone(), Work::NotYet(TimedKind::Archive), None)));
    for name in policy.reports.keys() {
        all.push(job(["reports", name.as_str()].into(), Work::NotYet(TimedKind::Report), None));
    }
    for (name, duty) in &policy.duties {
        all.push(job(["duties", name.as_str()].into(), Work::Duty(name, duty), None));
    }
    all
}

/// The job that somebody means: by its path, or by its last word where that is clear.
pub fn find<'p>(policy: &'p Policy, asked: &str) -> Result<Job<'p>, NoSuchJob> {
    let all = jobs(policy);
    let of_path = all.iter().find(|job| job.path.to_string() == asked);
    let named: Vec<&Job<'_>> = all.iter().filter(|job| job.path.to_string().ends_with(&format!(".{asked}"))).collect();
    match (of_path, named.as_slice()) {
        (Some(job), _) => Ok(job.clone()),
        (None, [job]) => Ok((*job).clone()),
        (None, []) => {
            let known = all.iter().map(|job| quoted(&job.path));
            Err(NoSuchJob { asked: asked.to_owned(), hint: format!("It has {}.", joined(known)) })
        }
        (None, several) => {
            let known = several.iter().map(|job| quoted(&job.path));
            Err(NoSuchJob { asked: asked.to_owned(), hint: format!("Say which one: {}.", joined(known)) })
        }
    }
}
