//! Alerts that come from a host of which nobody elsewhere would notice that it is dead.

use super::facts::Facts;
use crate::policy::finding::{Code, Finding};
use crate::policy::path::PolicyPath;

const UNWATCHED: Code = Code(805);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(alerts) = &facts.policy.file.alerts else { return };
    if alerts.routes.is_empty() || alerts.heartbeat.is_some() || is_watched_elsewhere(facts) {
        return;
    }
    let mut told: Vec<String> = alerts.routes.iter().flat_map(|route| &route.to).map(|name| format!("`{name}`")).collect();
    told.sort();
    told.dedup();
    let message = format!("alerts go to {}, and when the host that sends them is dead nobody is told", told.join(", "));
    findings.push(
        Finding::warning(UNWATCHED, PolicyPath::from(["alerts", "routes"]), message).label("silence looks like all is well").hint(
            "Add `heartbeat: { url: { env: HEARTBEAT_URL } }` to `alerts`: an address that raises the alarm when no sign of life comes. Where a \
             monitoring system asks `seawall check` or `seawall metrics`, acknowledge this and name it.",
        ),
    );
}

/// Every host of a policy looks, and where they share a catalog each one sees what the others owe.
fn is_watched_elsewhere(facts: &Facts<'_>) -> bool {
    let file = &facts.policy.file;
    let shared = file.catalog.as_ref().is_some_and(|catalog| catalog.postgres.is_some());
    shared && file.cluster.as_ref().is_some_and(|cluster| cluster.hosts.len() > 1)
}
