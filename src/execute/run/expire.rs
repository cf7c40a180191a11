//! Expiry, with every deed in the audit chain before the next one begins.

use std::sync::Mutex;
use std::sync::PoisonError;

use super::audit;
use super::record::Record;
use super::steps::Steps;
use super::{Ended, Ground, Made};
use crate::catalog::{Measured, StepOutcome};
use crate::execute::expire::{self, Deed, Done, ExpireFault, Expired, Onlooker, Wishes};
use crate::plan::words::counted;
use crate::plan::{Action, steps_of_expire};
use crate::units::{Bytes, Instant, Name};
use crate::world::clock;

/// What somebody acknowledges with `seawall ack` where deletions wait for a word.
pub const BRAKE: &str = "expire_braked";

pub(super) fn run(ground: &Ground<'_>, record: &Record<'_>) -> (Ended, Made, Vec<String>) {
    let planned = steps_of_expire(ground.site.policy);
    let steps = Steps::new(&planned, record);
    let wishes = Wishes { acknowledged: is_acknowledged(ground), ..Wishes::default() };
    let at = Mutex::new(None::<Name>);
    let deed = |done: Done, deed: &Deed| {
        let mut store = at.lock().unwrap_or_else(PoisonError::into_inner);
        if store.as_ref() != Some(&deed.store) {
            steps.enter(|action| matches!(action, Action::DeleteMarked { store, .. } if *store == deed.store));
            *store = Some(deed.store.clone());
        }
        tracing::info!("`{}`: {}: {}", deed.store, deed.what, deed.reason);
        audit::deed(ground.site, ground.catalog, done, deed);
    };
    let expired = match expire::expire(ground.site, &wishes, Onlooker { deed: &deed, stop: ground.stop }) {
        Ok(expired) => expired,
        Err(ExpireFault::Interrupted) => return (Ended::Stopped, Made::default(), Vec::new()),
        Err(fault) => {
            let end = Ended::failed(fault.to_string(), fault.hint(), fault.is_transient());
            return (end, Made::default(), Vec::new());
        }
    };
    measure(ground, &expired);
    let remarks = remarks(&expired);
    let end = end(&expired);
    steps.end(if end == Ended::Succeeded { StepOutcome::Succeeded } else { StepOutcome::Failed }, None);
    (end, Made::default(), remarks)
}

/// Somebody has said, since the brake went on, that so much may go.
fn is_acknowledged(ground: &Ground<'_>) -> bool {
    let Some(catalog) = ground.catalog else { return false };
    let policy = ground.site.policy.name.as_str();
    let braked = catalog.latest(policy).ok().and_then(|all| all.into_iter().find(|one| one.name == "braked_since" && one.value > 0.0));
    let Some(braked) = braked else { return false };
    let since = Instant::from_second(braked.value as i64).ok();
    let acks = catalog.acknowledgements(policy).unwrap_or_default();
    let now = clock::now();
    // One that is dated ahead was given before the brake, by a clock that was wrong.
    let counts = |at: Instant, until: Option<Instant>| at <= now && until.is_none_or(|until| now < until);
    acks.iter().any(|ack| ack.key == BRAKE && counts(ack.at, ack.until) && since.is_some_and(|since| ack.at >= since))
}

fn end(expired: &Expired) -> Ended {
    if expired.failed.iter().any(|failed| failed.fault == ExpireFault::Interrupted) {
        return Ended::Stopped;
    }
    if let Some(braked) = expired.braked.first() {
        let hint = format!("Look at it with `seawall expire --plan`; `seawall ack {BRAKE}` lets the next run go on.");
        return Ended::failed(format!("`{}`: {}", braked.store, braked.brake), hint, false);
    }
    let Some(first) = expired.failed.first() else { return Ended::Succeeded };
    let all: Vec<String> = expired.failed.iter().map(|failed| format!("`{}`: {}", failed.store, failed.fault)).collect();
    Ended::failed(all.join("; "), first.fault.hint(), expired.failed.iter().all(|failed| failed.fault.is_transient()))
}

fn remarks(expired: &Expired) -> Vec<String> {
    let mut said = expired.remarks.clone();
    let mut tell = |deeds: &[Deed], done: &str| {
        if !deeds.is_empty() {
            said.push(format!("{} {done}", counted(deeds.len(), "thing")));
        }
    };
    tell(&expired.marked, "marked");
    tell(&expired.unmarked, "wanted again");
    tell(&expired.deferred, "locked by the store for now");
    if !expired.deleted.is_empty() {
        said.push(format!("{} deleted, {} freed", counted(expired.deleted.len(), "thing"), Bytes::new(expired.bytes).rounded()));
    }
    said
}

fn measure(ground: &Ground<'_>, expired: &Expired) {
    let Some(catalog) = ground.catalog else { return };
    let policy = ground.site.policy.name.as_str();
    let before = catalog.latest(policy).unwrap_or_default();
    let since = before.iter().find(|one| one.name == "braked_since").map_or(0.0, |one| one.value);
    let now = clock::now();
    let braked = if expired.braked.is_empty() {
        0.0
    } else if since > 0.0 {
        since
    } else {
        now.as_second() as f64
    };
    let measured = |name, value| Measured { name, subject: "", value };
    let all = [
        measured("braked_since", braked),
        measured("braked_backups", expired.braked.iter().map(|braked| braked.brake.would as f64).sum()),
        measured("braked_of", expired.braked.iter().map(|braked| braked.brake.of as f64).sum()),
        measured("locked", expired.deferred.len() as f64),
        measured("deleted", expired.deleted.len() as f64),
        measured("deleted_bytes", expired.bytes as f64),
    ];
    if let Err(fault) = catalog.measure(policy, &all, now) {
        tracing::warn!("what was deleted cannot be measured: {}", fault.message);
    }
}
