//! What databases say, against their policy.

use std::collections::BTreeMap;

use crate::alert::{DatabaseFacts, DatabaseJob};
use crate::converge::{Convergence, JobReport, JobState, NO_WORKERS, Running, converge, job_reports};
use crate::inventory::{Observed, Timescale};
use crate::observe;
use crate::plan::minute;
use crate::site::Site;
use crate::units::Instant;

pub(super) fn look(site: &Site<'_>, now: Instant) -> BTreeMap<String, Observed<DatabaseFacts>> {
    let seen = Running { server: None, databases: observe::databases(site), holds: observe::holds_shown(site), seen_at: None };
    let found = converge(site.policy, &seen, now);
    seen.databases.into_iter().map(|(name, seen)| (name.clone(), seen.map(|seen| facts(&found, &name, &seen, now)))).collect()
}

fn facts(found: &Convergence, name: &str, seen: &Timescale, now: Instant) -> DatabaseFacts {
    let changes = found.changes.iter().filter(|change| change.database.as_deref() == Some(name)).map(|change| change.says.clone());
    let refused = found.refused.iter().filter(|remark| remark.is_about(name)).map(|remark| remark.message.clone());
    let jobs = match seen {
        Timescale::Absent => Vec::new(),
        Timescale::Installed(state) => job_reports(state, now).into_iter().map(job).collect(),
    };
    DatabaseFacts { differs: changes.chain(refused).collect(), jobs }
}

fn job(report: JobReport) -> DatabaseJob {
    let (wrong, error) = match report.state {
        JobState::Well => (None, None),
        JobState::Excused { error } => (None, Some(error)),
        JobState::Behind { amount, error } => (Some(format!("it has left {amount}")), error),
        JobState::Failed { error, .. } => (Some("it failed".to_owned()), Some(error)),
        JobState::Overdue { since } => (Some(format!("it should have run at {}, and has not", minute(since))), None),
        JobState::NoWorkers => (Some(NO_WORKERS.to_owned()), None),
    };
    DatabaseJob { id: report.id, does: report.does, wrong, error }
}
