//! A restore by tiers, on record: in the history, in the audit chain, and told to the policy's own programs.

use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use super::act::Acting;
use super::report::Tiered;
use crate::execute::custody;
use crate::execute::hook::{When, around_restore};
use crate::execute::restore::Returned;
use crate::execute::table::TableFault;
use crate::plan::words::quoted;
use crate::units::Instant;
use crate::world::clock;

/// They are about the real server.
pub(super) fn hook(acting: &Acting<'_>, when: When, stop: &AtomicBool) -> Result<(), TableFault> {
    if acting.is_rehearsal {
        return Ok(());
    }
    let about = [
        ("POLICY", acting.site.policy.name.to_string()),
        ("DATABASE", acting.ground.wanted.into.clone()),
        ("SERVER", acting.ground.target.server.clone()),
        ("BACKUP", acting.begun.backup.clone()),
        ("STORE", acting.begun.store.clone()),
    ];
    around_restore(acting.site.policy, when, &about, stop).map_err(|fault| TableFault::new(fault.to_string(), fault.hint()))
}

/// That it cannot be written down is no reason to fail a recovery.
pub(super) fn done(acting: &Acting<'_>, tiered: &Tiered) {
    if acting.is_rehearsal {
        return;
    }
    acting.source.note_identities(acting.site, tiered.ended);
    let tiers: Vec<Value> = (tiered.tiers.iter())
        .map(|tier| json!({ "tier": tier.tier, "tables": tier.tables.len(), "seconds": tier.seconds, "rto_seconds": tier.rto_seconds, "met": tier.met }))
        .collect();
    let more = json!({ "from": tiered.from_database, "database": tiered.database, "server": tiered.server, "moment": tiered.moment,
        "rows": tiered.rows, "roles": tiered.roles, "resumed": tiered.resumed, "held_jobs": tiered.held_jobs, "tiers": tiers });
    let returned = Returned { bytes: Some(tiered.bytes), more, ..returned(acting, tiered.ended) };
    custody::with_catalog(acting.site, &|catalog| returned.note_in(acting.site, catalog, Ok(())));
}

/// What is usable by then stays so.
pub(super) fn failed(acting: &Acting<'_>, fault: &TableFault) {
    if acting.is_rehearsal {
        return;
    }
    let more = json!({ "database": acting.ground.wanted.into, "server": acting.ground.target.server, "tiers": acting.begun.tiers });
    Returned { more, ..returned(acting, clock::now()) }.note(acting.site, Err(&fault.message));
}

fn returned<'r>(acting: &'r Acting<'_>, ended: Instant) -> Returned<'r> {
    let tiers = acting.begun.tiers.iter().map(|tier| format!("`{tier}`")).collect::<Vec<_>>().join(", ");
    Returned {
        kind: "tiers",
        subject: format!("{} of backup {}, {tiers} first,", quoted(&acting.ground.database.name), acting.begun.backup),
        backup: &acting.begun.backup,
        store: &acting.begun.store,
        to: format!("the database {} on {}", quoted(&acting.ground.wanted.into), acting.ground.target.server),
        started: acting.begun.started,
        ended,
        bytes: None,
        more: Value::Null,
    }
}
