//! What a policy says and cannot keep: jobs that do not fit their windows, rules that would delete what a hold protects,
//! copies that are none, drills that prove nothing, alerts that would never be silent.
//!
//! Everything here is judged from the policy alone, from measured figures where an inventory brings some. What a policy
//! promises about loss, time and reach (RPO, RTO, reach-back) is judged in another room.
//!
//! Nothing is reported on a guess: where a duration or a place is not known, nothing is said about it.

mod acknowledge;
mod chain;
mod class;
mod clock_change;
mod copied_tier;
mod drill;
mod facts;
mod forever;
mod heartbeat;
mod hold;
mod hypertable;
mod lock;
mod overlap;
mod planned;
mod reach;
mod second_copy;
mod secrecy;
mod separation;
#[cfg(test)]
mod tests;
mod threshold;
mod tier;
mod timeout;
mod turn;
mod unprotected;
mod wal;
mod window;

pub use acknowledge::acknowledge;

use crate::inventory::ClusterInventory;
use crate::policy::finding::Finding;
use crate::policy::model::Policy;
use crate::units::Instant;
use facts::Facts;

/// What the policy's windows, durations, retention, holds and stores cannot keep. The findings have paths and no places yet.
pub fn prove(policy: &Policy, inventory: Option<&ClusterInventory>, now: Instant) -> Vec<Finding> {
    let facts = Facts::new(policy, inventory, now);
    let mut findings = Vec::new();
    window::prove(&facts, &mut findings);
    clock_change::prove(&facts, &mut findings);
    overlap::prove(&facts, &mut findings);
    timeout::prove(&facts, &mut findings);
    turn::prove(&facts, &mut findings);
    planned::prove(&facts, &mut findings);
    hold::prove(&facts, &mut findings);
    hypertable::prove(&facts, &mut findings);
    chain::prove(&facts, &mut findings);
    wal::prove(&facts, &mut findings);
    forever::prove(&facts, &mut findings);
    lock::prove(&facts, &mut findings);
    tier::prove(&facts, &mut findings);
    class::prove(&facts, &mut findings);
    copied_tier::prove(&facts, &mut findings);
    separation::prove(&facts, &mut findings);
    second_copy::prove(&facts, &mut findings);
    unprotected::prove(&facts, &mut findings);
    secrecy::prove(&facts, &mut findings);
    drill::prove(&facts, &mut findings);
    threshold::prove(&facts, &mut findings);
    heartbeat::prove(&facts, &mut findings);
    findings
}
