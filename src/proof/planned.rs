//! Jobs that the policy has and this version does not run.

use super::facts::{Facts, job};
use crate::policy::finding::{Code, Finding};

const ONLY_PLANNED: Code = Code(419);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for (name, backup) in facts.policy.backups.iter().filter(|(_, backup)| backup.is_only_planned()) {
        let method = backup.method.as_str();
        let message = format!("this version takes no `{method}` backups: the job is only planned, and no objective counts on it");
        findings.push(
            Finding::note(ONLY_PLANNED, job(name).key(method), message).on_key().hint(
                "Run a job of another kind as often as this one is meant to, or let the objectives rest on the archived log (`wal`).",
            ),
        );
    }
}
