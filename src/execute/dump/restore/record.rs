//! A dump that was restored, on record: in the audit chain, among what was measured, and told to the policy's own programs.

use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use super::{Plan, Restored};
use crate::catalog::Measured;
use crate::execute::custody;
use crate::execute::hook::{When, around_restore};
use crate::execute::restore::{RestoreFault, Returned};
use crate::observe::LOADED;
use crate::plan::words::quoted;
use crate::site::Site;
use crate::units::Instant;
use crate::world::clock;

/// What took less says more about the clock than about the server.
const SHORTEST_SECONDS: f64 = 0.05;

pub(super) fn hook(site: &Site<'_>, plan: &Plan, when: When, stop: &AtomicBool) -> Result<(), RestoreFault> {
    let about = [
        ("POLICY", site.policy.name.to_string()),
        ("DATABASE", plan.wanted.into.clone()),
        ("SERVER", plan.target.server.clone()),
        ("BACKUP", plan.found.descriptor.id.to_string()),
        ("STORE", plan.found.store_name.to_string()),
    ];
    Ok(around_restore(site.policy, when, &about, stop)?)
}

/// That it cannot be written down is no reason to fail a recovery: nobody waits for a catalog that is away as well.
pub(super) fn done(site: &Site<'_>, plan: &Plan, restored: &Restored) {
    custody::note_where_there_is_a_catalog(site, &plan.found.identities, restored.ended);
    let rate = (plan.is_whole() && !plan.database().partial && restored.tables_compared.is_some() && restored.seconds > SHORTEST_SECONDS)
        .then(|| restored.bytes as f64 / restored.seconds);
    let more = json!({ "from": restored.from_database, "database": restored.database, "server": restored.server,
        "rows": restored.rows, "before": restored.before, "copy": restored.copy, "ended_sessions": restored.ended_sessions,
        "held_jobs": restored.held_jobs, "roles": restored.roles, "mapped_roles": restored.mapped_roles });
    let returned = Returned { bytes: Some(restored.bytes), more, ..returned(plan, restored.started, restored.ended) };
    custody::with_catalog(site, &|catalog| {
        if let Some(rate) = rate.filter(|rate| *rate >= 1.0) {
            let measured = [Measured { name: LOADED, subject: plan.found.store_name.as_str(), value: rate.floor() }];
            catalog.measure(site.policy.name.as_str(), &measured, restored.ended)?;
        }
        returned.note_in(site, catalog, Ok(()))
    });
}

/// It may have changed something before it went no further.
pub(super) fn failed(site: &Site<'_>, plan: &Plan, started: Instant, fault: &RestoreFault) {
    let more = json!({ "database": plan.wanted.into, "server": plan.target.server });
    Returned { more, ..returned(plan, started, clock::now()) }.note(site, Err(&fault.message));
}

fn returned(plan: &Plan, started: Instant, ended: Instant) -> Returned<'_> {
    Returned {
        kind: "database",
        subject: format!("{} of the dump {}", quoted(&plan.database().name), plan.found.descriptor.id),
        backup: plan.found.descriptor.id.as_str(),
        store: plan.found.store_name.as_str(),
        to: format!("the database {} on {}", quoted(&plan.wanted.into), plan.target.server),
        started,
        ended,
        bytes: None,
        more: Value::Null,
    }
}
