//! The log is of use only from a physical backup on.

use super::facts::Facts;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::Method;
use crate::policy::path::PolicyPath;

const LONG_RUN: Code = Code(503);
const NO_BASE: Code = Code(517);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    let Some(wal) = &policy.wal else { return };
    // Another tool's base backups can be brought forward by this log too; when it takes them is its own affair.
    if policy.backups.values().any(|backup| matches!(backup.method, Method::Engine(_))) {
        return;
    }
    let path = PolicyPath::from(["wal"]);
    let physical = facts.scheduled().filter(|(_, backup, _)| backup.method.is_physical());
    let gap = physical.map(|(name, _, schedule)| (facts.longest_gap(schedule).usual, name)).min_by_key(|(gap, _)| *gap);
    let Some((gap, job)) = gap else {
        let by_hand = policy.backups.values().any(|backup| backup.method.is_physical());
        let finding = if by_hand {
            Finding::warning(NO_BASE, path, "the log is archived and no physical backup is taken by the clock")
                .hint("The log is replayed onto a physical backup and grows longer by the day: schedule one.")
        } else {
            Finding::error(NO_BASE, path, "the log is archived and there is no physical backup to replay it onto")
                .label("of no use like this")
                .hint("Add a job with `physical: {}` and a schedule, or take `wal` out: a dump cannot be brought forward.")
        };
        findings.push(finding.on_key());
        return;
    };
    // The backup that the window's oldest moments begin from is kept, and the log from there on: no moment is missing, but
    // the log reaches further back, and takes more room and more time to replay, than its reader expects.
    if wal.keep.approximate() < gap {
        findings.push(
            Finding::note(
                LONG_RUN,
                path.key("keep"),
                format!("the log is kept for longer than {}: the physical backup before it can be {gap} older", wal.keep),
            )
            .hint(format!("Write `{gap}` or longer, or take physical backups more often than every {}.", wal.keep))
            .related(super::facts::job(job).key("schedule"), "the physical backup"),
        );
    }
}
