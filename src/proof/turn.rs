//! Whatever runs by the clock has a host that it runs on.

use super::facts::Facts;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::TimedKind;
use crate::policy::path::PolicyPath;
use crate::policy::turn::may_run;

const ON_NO_HOST: Code = Code(316);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    if policy.hosts.is_empty() {
        return;
    }
    // Duties are people's. Copies follow their backups, and are no part of the file.
    let idle: Vec<PolicyPath> = policy
        .timed()
        .into_iter()
        .filter(|timed| timed.kind != TimedKind::Duty && !policy.hosts.keys().any(|host| may_run(policy, timed, host)))
        .map(|timed| timed.path)
        .collect();
    if idle.is_empty() {
        return;
    }
    let jobs: Vec<String> = idle.iter().map(|path| format!("`{path}`")).collect();
    let message = format!("none of these hosts runs {}", jobs.join(", "));
    let finding = Finding::error(ON_NO_HOST, ["cluster", "hosts"].into(), message)
        .on_key()
        .label("no timer of theirs begins it")
        .hint("Declare the server that is backed up (`role: primary`), give the host that does it `backups: true`, or take `hosts` out.");
    findings.push(idle.into_iter().fold(finding, |finding, path| finding.related(path, "runs nowhere")));
}
