//! What databases say, against their policy.

use std::collections::BTreeMap;

use crate::alert::{DatabaseFacts, DatabaseJob};
use crate::converge::{
    Change, Convergence, Heedless, JobReport, JobState, NO_WORKERS, Remark, Running, converge, heedless, job_reports, rights,
};
use crate::inventory::{Held, Observed, ServerState, Timescale};
use crate::observe;
use crate::plan::minute;
use crate::policy::model::Policy;
use crate::policy::path::PolicyPath;
use crate::site::Site;
use crate::units::{Instant, Name};

/// What of a policy runs otherwise than it says.
pub(super) struct Drift {
    /// Of the server itself, a sentence each; none where the policy needs nothing of it.
    pub server: Option<Observed<Vec<String>>>,
    pub databases: BTreeMap<String, Observed<DatabaseFacts>>,
}

/// `arrives`: what the server archives is in a store of the log, whatever the command is that ships it.
pub(super) fn look(site: &Site<'_>, server: Observed<ServerState>, arrives: bool, now: Instant) -> Drift {
    let seen =
        Running { server: Some(server.clone()), databases: observe::databases(site), holds: observe::holds_there(site), seen_at: None };
    let found = converge(site.policy, &seen, now);
    let of = |name: String, timescale: Observed<Timescale>| {
        let held = seen.holds.get(&name);
        let holds_unknown = matches!(held, Some(Observed::Unknown { .. }));
        let facts =
            timescale.map(|timescale| DatabaseFacts { holds_unknown, ..facts(site.policy, &found, &name, (&timescale, held), now) });
        (name, facts)
    };
    Drift {
        server: rights::is_about(site.policy).then(|| server.map(|_| of_server(&found, arrives))),
        databases: seen.databases.into_iter().map(|(name, timescale)| of(name, timescale)).collect(),
    }
}

/// What nobody could see of it is a right that is missing, and told as well.
fn of_server(found: &Convergence, arrives: bool) -> Vec<String> {
    let changes = found.changes.iter().filter(|change| change.database.is_none() && !change.is_reload()).map(|change| &change.says);
    let refused = found.refused.iter().filter(|remark| remark.is_about_server() && !arrives);
    let unknown = found.unknown.iter().filter(|remark| remark.is_about_server());
    changes.chain(refused.chain(unknown).map(|remark| &remark.message)).cloned().collect()
}

fn facts(
    policy: &Policy,
    found: &Convergence,
    name: &str,
    (seen, held): (&Timescale, Option<&Observed<Held>>),
    now: Instant,
) -> DatabaseFacts {
    let (cut, changes): (Vec<&Change>, Vec<&Change>) =
        found.changes.iter().filter(|change| change.database.as_deref() == Some(name)).partition(|change| change.protects);
    let names = |hold: &Name| PolicyPath::from(["holds", hold.as_str()]);
    let holds: Vec<PolicyPath> = policy.row_holds.iter().filter(|(_, hold)| hold.database == name).map(|(hold, _)| names(hold)).collect();
    let empty = found.refused.iter().filter(|remark| holds.iter().any(|hold| remark.path.starts_with(hold)));
    let unprotected = cut.into_iter().map(|change| &change.says).chain(empty.map(|remark| &remark.message)).cloned().collect();
    let changes = changes.into_iter().map(|change| change.says.clone());
    let archived = |remark: &Remark| policy.archives.iter().any(|one| one.database == name && remark.path.starts_with(&one.path));
    let refused = found.refused.iter().filter(|remark| remark.is_about(name) || archived(remark)).map(|remark| remark.message.clone());
    let jobs = match seen {
        Timescale::Absent => Vec::new(),
        Timescale::Installed(state) => {
            let heedless = heedless(policy, name, state, held, now);
            job_reports(state, now).into_iter().map(|report| job(report, &heedless)).collect()
        }
    };
    DatabaseFacts { differs: changes.chain(refused).collect(), unprotected, holds_unknown: false, jobs }
}

fn job(report: JobReport, heedless: &[Heedless]) -> DatabaseJob {
    let heedless = heedless.iter().find(|one| one.id == report.id).map(|one| one.says.clone());
    let (wrong, error) = match report.state {
        JobState::Well => (None, None),
        JobState::Excused { error } => (None, Some(error)),
        JobState::Behind { amount, error } => (Some(format!("it has left {amount}")), error),
        JobState::Failed { error, .. } => (Some("it failed".to_owned()), Some(error)),
        JobState::Overdue { since } => (Some(format!("it should have run at {}, and has not", minute(since))), None),
        JobState::NoWorkers => (Some(NO_WORKERS.to_owned()), None),
    };
    DatabaseJob { id: report.id, does: report.does, wrong, error, heedless }
}
