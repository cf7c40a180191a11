//! Whether a job should run now.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::inventory::{BackupState, ClusterInventory, Observed, SystemIdentifier};
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
    /// Its last firing has a run that broke off; it is tried again.
    Again {
        /// The firing.
        since: Instant,
        /// When it is tried again.
        at: Instant,
    },
    /// Its last firing has no run, and its window is closed.
    Closed {
        /// The firing that was missed.
        since: Instant,
        /// The window.
        window: Name,
        /// When it opens.
        opens: Option<Instant>,
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
            Due::Again { since, at } => {
                write!(f, "owed since {}, tried again at {}", super::make::minute(*since), super::make::minute(*at))
            }
            Due::Closed { since, window, opens } => {
                write!(f, "owed since {}, the window `{window}` is closed", super::make::minute(*since))?;
                opens.map_or(Ok(()), |opens| write!(f, " until {}", super::make::minute(opens)))
            }
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
                // One that a wrong clock has dated, or that another cluster has left there, is no run of this job.
                .filter(|backup| backup.started <= now && !is_foreign(backup.system_identifier, inventory))
                .map(|backup| backup.started)
                .max();
            by_last_run(schedule, newest, observed_at, now)
        }
    }
}

fn is_foreign(of: Option<SystemIdentifier>, inventory: &ClusterInventory) -> bool {
    of.zip(inventory.system_identifier.known().copied()).is_some_and(|(of, cluster)| of != cluster)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Backup;

    /// A run at 02:00 every day; it is four o'clock.
    fn due(change: impl FnOnce(&mut Backup)) -> Due {
        due_by("2026-11-21T04:00:00Z", change)
    }

    /// The same by an inventory of this moment.
    fn due_by(observed_at: &str, change: impl FnOnce(&mut Backup)) -> Due {
        let text = "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: { connection: service=t, databases: [app] }\n\
                    encryption: { none: { because: a test } }\nstores: { main: { local: { path: /srv/main } } }\n\
                    backups: { nightly: { physical: {}, schedule: { at: '02:00' } } }\n";
        let path = std::path::Path::new("t.yaml");
        let document = crate::policy::document::Document::load("t.yaml", path, &|_| Ok(text.as_bytes().to_vec()));
        let policy = crate::policy::resolve::resolve(&document, jiff::civil::date(2026, 11, 21)).policy.expect("a policy");
        let inventory = r#"{ "system_identifier": { "known": "7" }, "postgres_version": { "known": "16.4" }, "cluster_size": { "known": "600GB" },
            "holds": { "known": [] }, "measured": { "unknown": { "reason": "x" } }, "stores": { "main": { "known": {
            "used": { "unknown": { "reason": "x" } }, "wal": [], "backups": [ { "id": "a", "job": "nightly", "kind": "full",
            "state": "complete", "started": "2026-11-21T02:00:00Z", "stopped": "2026-11-21T02:30:00Z", "system_identifier": "7" } ] } } } }"#;
        let mut inventory: ClusterInventory = serde_json::from_str(inventory).expect("an inventory");
        let mut change = Some(change);
        for store in inventory.stores.values_mut() {
            if let (Observed::Known(store), Some(change)) = (store, change.take()) {
                change(&mut store.backups[0]);
            }
        }
        let (name, backup) = policy.backups.iter().next().expect("a job");
        let now = "2026-11-21T04:00:00Z".parse().expect("a moment");
        of_backup(&policy, name, backup, Some((&inventory, observed_at.parse().expect("a moment"))), now)
    }

    #[test]
    fn only_a_run_of_this_cluster_that_has_begun_counts() {
        assert!(matches!(due(|_| {}), Due::Later { .. }));
        assert!(matches!(due(|backup| backup.started = "2027-11-21T02:00:00Z".parse().expect("a moment")), Due::Now { .. }));
        assert!(matches!(due(|backup| backup.system_identifier = Some(SystemIdentifier(8))), Due::Now { .. }));
    }

    #[test]
    fn an_inventory_older_than_the_run_does_not_know_of_it() {
        let the_day_before = |backup: &mut Backup| backup.started = "2026-11-20T02:00:00Z".parse().expect("a moment");
        assert!(matches!(due_by("2026-11-21T01:00:00Z", the_day_before), Due::Unknown { .. }));
        assert!(matches!(due_by("2026-11-21T02:00:00Z", the_day_before), Due::Now { .. }));
    }
}
