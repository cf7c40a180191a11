//! Databases that no job backs up.

use super::facts::Facts;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Backup, Method, Policy};
use crate::policy::path::PolicyPath;
use crate::units::DumpSection;

const UNPROTECTED: Code = Code(606);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    let jobs: Vec<&Backup> = policy.backups.values().filter(|backup| backup.schedule.is_some() || backup.is_taken_by_others()).collect();
    // A policy whose jobs are all begun by somebody relies on somebody.
    if jobs.is_empty() {
        return;
    }
    for (index, database) in policy.databases.iter().enumerate() {
        if !jobs.iter().any(|job| holds(policy, job, database)) {
            let path = PolicyPath::from(["cluster", "databases"]).item(index);
            findings.push(
                Finding::warning(UNPROTECTED, path, format!("no scheduled job backs up the database `{database}`"))
                    .hint("Add it to the `databases` of a dump, add a `physical` backup, or take it out of `cluster.databases`."),
            );
        }
    }
}

/// All of it, or what the policy chose of it.
fn holds(policy: &Policy, backup: &Backup, database: &String) -> bool {
    match &backup.method {
        Method::Physical(_) | Method::Provider(_) => true,
        Method::Engine(_) => backup.is_taken_by_others(),
        // Rows without tables, or tables without rows, are no database.
        Method::Logical(logical) if !(logical.has(DumpSection::PreData) && logical.has(DumpSection::Data)) => false,
        Method::Logical(_) => policy.dumped(&backup.method).is_some_and(|all| all.contains(database)),
        Method::Tables(tables) => tables.database.as_ref().or(policy.databases.first()) == Some(database),
        // An increment is none without its base, and a base by the clock is a job of its own.
        Method::Incremental { .. } | Method::Files(_) => false,
    }
}
