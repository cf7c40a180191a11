//! Expiry, with every deed in the audit chain before the next one begins.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::audit;
use super::record::Record;
use super::steps::Steps;
use super::{Ended, Ground, Made, Why};
use crate::catalog::{Acknowledgement, Catalog, Measured, StepOutcome};
use crate::execute::drill;
use crate::execute::expire::{self, Deed, Done, ExpireFault, Expired, Onlooker, Wishes};
use crate::plan::words::counted;
use crate::plan::{Action, steps_of_expire};
use crate::site::Site;
use crate::units::{BackupId, Bytes, Name, figure_of, moment_of};
use crate::world::clock;

/// What somebody acknowledges with `seawall ack` where deletions wait for a word.
pub const BRAKE: &str = "expire_braked";
/// Since when a store's brake is on, by the store's name; nothing of that kind where it is off.
pub const BRAKED_SINCE: &str = "braked_since";

pub(super) fn run(ground: &Ground<'_>, why: &Why, record: &Record<'_>) -> (Ended, Made, Vec<String>) {
    keep_drills(ground);
    let only = if let Why::Plan { deletes } = why { Some(deletes.clone()) } else { None };
    let named: Vec<(Name, Vec<BackupId>)> =
        only.iter().flatten().map(|(store, named)| (store.clone(), named.iter().cloned().collect())).collect();
    let planned = steps_of_expire(ground.site.policy, &named);
    let steps = Steps::new(&planned, record);
    let wishes = Wishes { acknowledged: acknowledged(ground), only, ..Wishes::default() };
    let at = Mutex::new(None::<(Name, bool)>);
    let deed = |done: Done, deed: &Deed| {
        let is_move = done == Done::Moved;
        let now = (deed.store.clone(), is_move);
        let mut entered = at.lock().unwrap_or_else(PoisonError::into_inner);
        if entered.as_ref() != Some(&now) {
            steps.enter(|action| match action {
                Action::MoveColder { store, .. } => is_move && *store == deed.store,
                Action::DeleteMarked { store, .. } => !is_move && *store == deed.store,
                _ => false,
            });
            *entered = Some(now);
        }
        if done != Done::Deleting {
            tracing::info!("`{}`: {}: {}", deed.store, deed.what, deed.reason);
        }
        audit::deed(ground.site, ground.catalog, done, deed)
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

/// A backup that goes takes the records of its drills along: what other hosts have proven with it is on record here first.
fn keep_drills(ground: &Ground<'_>) {
    let Some(catalog) = ground.catalog.filter(|_| !ground.site.policy.drills.is_empty()) else { return };
    if let Err(fault) = drill::bring_all_in(ground.site, catalog, clock::now(), ground.stop) {
        tracing::warn!(hint = fault.hint, "drills of other hosts are not brought in: {}", fault.message);
    }
}

/// The stores of which somebody has said, since their brake went on, that so much may go there.
fn acknowledged(ground: &Ground<'_>) -> BTreeSet<Name> {
    let Some(catalog) = ground.catalog else { return BTreeSet::new() };
    let policy = ground.site.policy.name.as_str();
    let now = clock::now();
    // One that is dated ahead was given before the brake, by a clock that was wrong.
    let counts = |ack: &Acknowledgement| ack.key == BRAKE && ack.at <= now && ack.until.is_none_or(|until| now < until);
    let acks = catalog.acknowledgements(policy).unwrap_or_default();
    let Some(given) = acks.iter().filter(|ack| counts(ack)).map(|ack| ack.at).max() else { return BTreeSet::new() };
    let measured = catalog.latest(policy).unwrap_or_default();
    let braked = measured.iter().filter(|one| one.name == BRAKED_SINCE);
    braked.filter(|one| moment_of(one.value).is_some_and(|since| since <= given)).filter_map(|one| one.subject.parse().ok()).collect()
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
    tell(&expired.moved, "moved to colder storage classes");
    tell(&expired.deferred, "locked by the store for now");
    if !expired.deleted.is_empty() {
        said.push(format!("{} deleted, {} freed", counted(expired.deleted.len(), "thing"), Bytes::new(expired.bytes).rounded()));
    }
    said
}

fn measure(ground: &Ground<'_>, expired: &Expired) {
    let Some(catalog) = ground.catalog else { return };
    let measured = [
        Measured { name: "locked", subject: "", value: expired.deferred.len() as f64 },
        Measured { name: "deleted", subject: "", value: expired.deleted.len() as f64 },
        Measured { name: "moved", subject: "", value: expired.moved.len() as f64 },
        Measured { name: "moved_bytes", subject: "", value: expired.moved.iter().map(|deed| deed.bytes).sum::<u64>() as f64 },
        Measured { name: "deleted_bytes", subject: "", value: expired.bytes as f64 },
    ];
    if let Err(fault) = catalog.measure(ground.site.policy.name.as_str(), &measured, clock::now()) {
        tracing::warn!("what was deleted cannot be measured: {}", fault.message);
    }
    measure_brakes(ground.site, catalog, expired);
}

/// Which stores wait for somebody's word, by what the run has found. Of one that it did not get to, nothing new is known.
pub fn measure_brakes(site: &Site<'_>, catalog: &Catalog, expired: &Expired) {
    let policy = site.policy.name.as_str();
    let before = catalog.latest(policy).unwrap_or_default();
    let (now, mut all) = (clock::now(), Vec::new());
    for store in site.policy.stores.keys() {
        let known = before.iter().find(|one| one.name == BRAKED_SINCE && one.subject == store.as_str()).map_or(0.0, |one| one.value);
        let brake = expired.braked.iter().find(|braked| braked.store == *store).map(|braked| &braked.brake);
        let of = |name, value| Measured { name, subject: store.as_str(), value };
        match brake {
            Some(brake) => all.extend([
                of(BRAKED_SINCE, if known > 0.0 { known } else { figure_of(now) }),
                of("braked_backups", brake.would as f64),
                of("braked_of", brake.of as f64),
            ]),
            None if known > 0.0 && expired.unbraked.contains(store) => {
                all.extend([of(BRAKED_SINCE, 0.0), of("braked_backups", 0.0), of("braked_of", 0.0)])
            }
            None => {}
        }
    }
    if let Err(fault) = catalog.measure(policy, &all, now) {
        tracing::warn!("whether expiry waits for a word cannot be noted: {}", fault.message);
    }
}
