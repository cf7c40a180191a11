//! The databases: whether they keep, compress and refresh what the policy says, and whether their own jobs do it.

use super::{Look, roots};
use crate::alert::condition::{Condition, State};
use crate::alert::facts::DatabaseFacts;
use crate::inventory::Observed;
use crate::plan::words::{quoted, sentence};
use crate::policy::file::{Event, Severity};
use crate::units::Duration;

/// Somebody may be changing the policy and the database just now.
const PATIENCE: Duration = Duration::from_mins(10);
const JOBS_HINT: &str = "Look at `timescaledb_information.job_errors` and at the server's log; do background workers run?";
const HEEDLESS_HINT: &str =
    "`seawall plan --connect` names the holds. Let it leave out what `seawall.legal_hold` names, or pause it while they stand.";
/// How many differences are told.
const TOLD: usize = 5;

pub(super) fn look(look: &mut Look<'_>) {
    server(look);
    let not_asked = Observed::unknown("it was not asked");
    let policy = look.policy;
    for name in policy.asked_databases() {
        let because = look.cause([roots::SERVER.to_owned()]);
        let seen = look.facts.databases.get(name).unwrap_or(&not_asked);
        let known = look.known(&format!("databases.{name}"), None, seen, because.clone());
        let drift = Condition::new(format!("database_drift:{name}"), Severity::Warning, "a database is not as its policy says");
        let drift = Condition { because: because.clone(), ..drift.lasting(PATIENCE) };
        let cut = Condition::new(format!("hold_cut:{name}"), Severity::Critical, "what is under hold stays");
        let cut = Condition { because: because.clone(), ..cut };
        let Some(seen) = known else {
            look.push(drift.state(State::Unknown));
            look.push(cut.state(State::Unknown));
            look.all_unknown(&format!("database_job:{name}."));
            continue;
        };
        look.push(differs(drift, name, seen));
        look.push(unprotected(cut, name, seen));
        for job in &seen.jobs {
            let condition = Condition::new(format!("database_job:{name}.{}", job.id), Severity::Warning, "a job of a database is well");
            let condition = Condition { because: because.clone(), ..condition }.event(Event::BackgroundJobFailed);
            let (wrong, text, hint) = match (&job.wrong, &job.heedless) {
                (Some(wrong), heedless) => (wrong.as_str(), job.error.as_ref().or(heedless.as_ref()), JOBS_HINT),
                (None, Some(heedless)) => ("it may take away what is under hold", Some(heedless), HEEDLESS_HINT),
                (None, None) => {
                    look.push(condition);
                    continue;
                }
            };
            let title = format!("job {} in {}, {}: {wrong}", job.id, quoted(name), job.does);
            let condition = Condition { title, ..condition.state(State::Firing) };
            look.push(condition.text(text.map(|text| sentence(text)).unwrap_or_default()).hint(hint));
        }
    }
}

/// Its settings, and the rights of our roles. Whoever changes them by hand hears it from here and not from the next backup that fails.
fn server(look: &mut Look<'_>) {
    let Some(differs) = &look.facts.server_differs else { return };
    let drift = Condition::new("server_drift", Severity::Warning, "the server is not as the policy says").lasting(PATIENCE);
    let drift = Condition { because: look.cause([roots::SERVER.to_owned()]), ..drift };
    look.push(match differs {
        Observed::Unknown { .. } => drift.state(State::Unknown),
        Observed::Known(differs) => told(drift, things(differs.len(), " of the server"), differs),
    });
}

fn differs(drift: Condition, name: &str, seen: &DatabaseFacts) -> Condition {
    told(drift, format!("{} in {}", things(seen.differs.len(), ""), quoted(name)), &seen.differs)
}

/// At once: the job may run before anybody has looked twice, and nothing brings back what it drops.
fn unprotected(cut: Condition, name: &str, seen: &DatabaseFacts) -> Condition {
    if seen.unprotected.is_empty() && seen.holds_unknown {
        return cut.state(State::Unknown);
    }
    let title = format!("rows under hold in {} may go", quoted(name));
    let hint =
        "`seawall apply --yes --without-destructive` takes such a job away at once; a hold that names nothing is mended in the policy.";
    Condition { title, ..cut.firing_if(!seen.unprotected.is_empty()) }.text(first(&seen.unprotected)).hint(hint)
}

/// The first of them, and how many more there are.
fn first(sentences: &[String]) -> String {
    let more = if sentences.len() > TOLD { format!(" And {} more.", sentences.len() - TOLD) } else { String::new() };
    let told: Vec<String> = sentences.iter().take(TOLD).map(|one| sentence(one)).collect();
    format!("{}{more}", told.join(" "))
}

fn things(count: usize, of: &str) -> String {
    if count == 1 { format!("1 thing{of} is") } else { format!("{count} things{of} are") }
}

fn told(drift: Condition, what: String, differs: &[String]) -> Condition {
    let (count, title) = (differs.len(), format!("{what} not as the policy says"));
    Condition { title, ..drift.firing_if(count > 0) }
        .text(first(differs))
        .hint("`seawall plan --connect` shows what would mend it; `seawall apply` does that.")
}
