//! Whether a job should run now.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::inventory::{BackupState, ClusterInventory, Observed};
use crate::policy::model::{Backup, Policy};
use crate::schedule::Schedule;
use crate::units::{Instant, Name};

/// Whether a job should run now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Due {
    /// Its last firing has no run.
    Now {
        /// The firing that was missed.
        since: Instant,
    },
    /// Nothing is owed until then.
    Later {
        /// The next firing.
        at: Instant,
    },
    /// It runs when somebody asks.
    OnDemand,
    /// It is not known when it last ran.
    Unknown {
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Due::Now { since } => write!(f, "due since {}", super::make::minute(*since)),
            Due::Later { at } => write!(f, "next at {}", super::make::minute(*at)),
            Due::OnDemand => f.write_str("on demand"),
            Due::Unknown { reason } => write!(f, "unknown: {reason}"),
        }
    }
}

/// Of a backup job: by what lay in its first store when that was observed.
pub fn of_backup(policy: &Policy, name: &Name, backup: &Backup, inventory: Option<(&ClusterInventory, Instant)>, now: Instant) -> Due {
    let Some(schedule) = &backup.schedule else { return Due::OnDemand };
    let Some((inventory, observed_at)) = inventory else { return Due::Unknown { reason: "no inventory was given".into() } };
    let Some(store) = policy.store_of(name) else {
        return Due::Unknown { reason: "its backups are kept by another tool, which was not asked".into() };
    };
    match inventory.stores.get(store) {
        None => Due::Unknown { reason: format!("the inventory does not speak of the store `{store}`") },
        Some(Observed::Unknown { reason }) => Due::Unknown { reason: format!("store `{store}`: {reason}") },
        Some(Observed::Known(state)) => {
            let newest = state
                .backups
                .iter()
                .filter(|backup| backup.job == *name && matches!(backup.state, BackupState::Complete | BackupState::Running))
                .map(|backup| backup.started)
                .max();
            by_last_run(schedule, newest, observed_at, now)
        }
    }
}

fn by_last_run(schedule: &Schedule, newest: Option<Instant>, observed_at: Instant, now: Instant) -> Due {
    let last = if schedule.fires_at(now) { Some(now) } else { schedule.previous_before(now) };
    match (last, newest) {
        // It may have run since, and nobody has looked.
        (Some(firing), _) if observed_at < firing && newest.is_none_or(|newest| newest < firing) => {
            Due::Unknown { reason: format!("the inventory is older than the run of {}", super::make::minute(firing)) }
        }
        (Some(firing), newest) if newest.is_none_or(|newest| newest < firing) => Due::Now { since: firing },
        _ => match schedule.next_after(now) {
            Some(at) => Due::Later { at },
            None => Due::OnDemand,
        },
    }
}
