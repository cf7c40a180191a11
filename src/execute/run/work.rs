//! The jobs of a policy, by the words that people use for them.

use std::fmt;

use thiserror::Error;

use crate::plan::words::{joined, quoted};
use crate::policy::model::{Archive, Backup, Drill, Dropping, Duty, MaintenanceWindow, Policy, Report, TimedKind, Verify};
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
    /// What belongs in this store as a second copy.
    Copy(&'p Name),
    Verify(&'p Name, &'p Verify),
    Drill(&'p Name, &'p Drill),
    Archive(&'p Archive),
    Retain(&'p Dropping),
    Duty(&'p Name, &'p Duty),
    Report(&'p Name, &'p Report),
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
            Work::Copy(_) => TimedKind::Copy,
            Work::Verify(..) => TimedKind::Verify,
            Work::Drill(..) => TimedKind::Drill,
            Work::Archive(_) => TimedKind::Archive,
            Work::Retain(_) => TimedKind::Retain,
            Work::Duty(..) => TimedKind::Duty,
            Work::Report(..) => TimedKind::Report,
            Work::NotYet(kind) => kind,
        }
    }

    /// The host that it was given to, where that is another one.
    pub fn host_elsewhere(&self, host: &str) -> Option<&Name> {
        let asked = match self.work {
            Work::Drill(_, drill) => drill.host.as_ref(),
            Work::Verify(_, verify) => verify.host.as_ref(),
            _ => None,
        };
        asked.filter(|asked| asked.as_str() != host)
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
    all.extend(policy.copy_stores().into_keys().map(|store| job(["copies", store.as_str()].into(), Work::Copy(store), None)));
    if policy.backups.values().any(|backup| backup.store.is_some()) {
        all.push(job(["expire"].into(), Work::Expire, None));
    }
    for (name, verify) in &policy.verify {
        all.push(job(["verify", name.as_str()].into(), Work::Verify(name, verify), window(verify.window.as_ref())));
    }
    for (name, drill) in &policy.drills {
        let work = if drill.runs_in_this_version(policy) { Work::Drill(name, drill) } else { Work::NotYet(TimedKind::Drill) };
        all.push(job(["drills", name.as_str()].into(), work, window(drill.window.as_ref())));
    }
    all.extend(policy.archives.iter().map(|archive| job(archive.path.clone(), Work::Archive(archive), None)));
    all.extend(policy.droppings.iter().map(|dropping| job(dropping.path.clone(), Work::Retain(dropping), None)));
    for (name, report) in &policy.reports {
        all.push(job(["reports", name.as_str()].into(), Work::Report(name, report), None));
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
