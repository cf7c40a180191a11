//! A plan that somebody has reviewed: it is run for exactly the policy it was made from, and for exactly its steps.

use std::path::Path;

use serde_json::Value;

use super::exit::Trouble;
use super::terminal::tame;
use crate::execute::expire::Reviewed;
use crate::execute::run::{self, Job, Why};
use crate::plan::{self, Due};
use crate::policy::model::Policy;
use crate::units::{BackupId, Instant, Name};
use crate::world::files;

/// A fleet's plan with all its backups.
const MAX_BYTES: usize = 512 << 20;

/// The jobs that the plan says are due, in its order.
pub fn jobs<'p>(path: &Path, policy: &'p Policy) -> Result<Vec<(Job<'p>, Why)>, Trouble> {
    let shown = tame(&path.to_string_lossy()).into_owned();
    let text = files::read(path, MAX_BYTES).map_err(|fault| Trouble::failed(fault.message, fault.hint))?;
    let hint = "Make it with `seawall plan --inventory FILE --out PLAN`.";
    let whole: Value = serde_json::from_slice(&text).map_err(|error| Trouble::usage(format!("`{shown}` is no plan: {error}"), hint))?;
    let plans = whole["plans"].as_array().ok_or_else(|| Trouble::usage(format!("`{shown}` is no plan"), hint))?;
    let Some(planned) = plans.iter().find(|plan| plan["policy"] == policy.name.as_str()) else {
        return Err(Trouble::stale(format!("`{shown}` says nothing of the policy `{}`", policy.name), "Plan again with this policy."));
    };
    if planned["digest"] != policy.digest.as_str() {
        let message = format!("`{shown}` was made from another version of the policy `{}`", policy.name);
        return Err(Trouble::stale(message, "Plan again, and have that reviewed."));
    }
    let made_at = planned["made_at"].as_str().and_then(|at| at.parse::<Instant>().ok());
    let made_at = made_at.ok_or_else(|| Trouble::usage(format!("`{shown}` does not say when it was made"), hint))?;
    let fresh = plan::make(policy, None, made_at, None).map_err(|error| Trouble::fault(error.to_string()))?;
    let mut due = Vec::new();
    for job in planned["jobs"].as_array().into_iter().flatten() {
        if !job["due"].get("now").is_some_and(Value::is_object) {
            continue;
        }
        let name = job["job"].as_str().unwrap_or_default();
        let deletes = if name == "expire" { named(&job["steps"]) } else { Reviewed::new() };
        let steps = match name {
            // Made without a look at the stores: so with what this plan has seen there.
            "expire" => Some(plan::steps_of_expire(policy, &listed(&job["steps"]))),
            _ => fresh.jobs.iter().find(|fresh| fresh.job.to_string() == name).map(|fresh| fresh.steps.clone()),
        };
        let steps = steps.map(|steps| serde_json::to_value(&steps).unwrap_or_default());
        if steps.as_ref() != Some(&job["steps"]) {
            let message = format!("the steps of `{}` in `{shown}` are not those that this version of seawall takes", tame(name));
            return Err(Trouble::stale(message, "Plan again with this version, and have that reviewed."));
        }
        due.push((run::find(policy, name).map_err(|fault| Trouble::stale(fault.to_string(), fault.hint))?, Why::Plan { deletes }));
    }
    debug_assert!(fresh.jobs.iter().all(|job| !matches!(job.due, Due::Now { .. })), "nothing is known of the world here");
    Ok(due)
}

/// What the plan says will go, of each store, as it stands in its steps.
fn listed(steps: &Value) -> Vec<(Name, Vec<BackupId>)> {
    let of_step = |step: &Value| {
        let mark = step["action"].get("mark-expired")?;
        let ids = mark["backups"].as_array()?.iter().filter_map(|id| id.as_str()?.parse().ok());
        Some((mark["store"].as_str()?.parse().ok()?, ids.collect()))
    };
    steps.as_array().into_iter().flatten().filter_map(of_step).collect()
}

fn named(steps: &Value) -> Reviewed {
    listed(steps).into_iter().map(|(store, ids)| (store, ids.into_iter().collect())).collect()
}
