//! A backup must be done before it counts as hung.

use super::facts::{Facts, job};
use crate::policy::finding::{Code, Finding};

const ALWAYS_STOPPED: Code = Code(317);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for (name, backup) in &facts.policy.backups {
        let (Some(timeout), Some(length)) = (backup.timeout, facts.length(name)) else { continue };
        if timeout < length.time {
            findings.push(
                Finding::error(ALWAYS_STOPPED, job(name).key("timeout"), format!("takes {length} and is stopped after {timeout}"))
                    .label("stopped as hung, every time")
                    .hint("It would never complete: raise `timeout` well above what it takes."),
            );
        }
    }
}
