//! What is wrong, right or unknown, by what was seen and what the policy allows.
//!
//! Every condition a policy can have is made each time, whatever its state: what is missing is no longer watched.

pub mod allowed;
mod archives;
mod catalog;
mod copies;
mod databases;
mod delivery;
mod evidence;
mod jobs;
mod limit;
mod own;
mod people;
mod roots;
mod servers;
mod stores;

use std::collections::BTreeSet;

use super::condition::{Condition, State};
use super::facts::Facts;
use crate::inventory::Observed;
use crate::plan::words::sentence;
use crate::policy::file::{Severity, Thresholds};
use crate::policy::model::Policy;
use crate::units::{Duration, Instant};

pub use catalog::catalog_down;
pub use jobs::severity_of_failure;
pub use limit::Limit;
pub(super) use roots::roots_of;

/// What is unknown for this long is itself an alert.
const UNKNOWN_FOR: Duration = Duration::from_mins(30);

/// Ends a key that stands for all keys that begin like it. Only an unknown has one: what nobody could list is not over.
pub(super) const ALL: &str = "*";

/// All conditions of a policy.
pub fn conditions(policy: &Policy, facts: &Facts, now: Instant) -> Vec<Condition> {
    let none = Thresholds::default();
    let thresholds = policy.file.alerts.as_ref().and_then(|alerts| alerts.thresholds.as_ref()).unwrap_or(&none);
    let mut look = Look { policy, facts, thresholds, now, conditions: Vec::new(), burning: BTreeSet::new() };
    own::look(&mut look);
    stores::look(&mut look);
    copies::look(&mut look);
    servers::look(&mut look);
    databases::look(&mut look);
    archives::look(&mut look);
    jobs::look(&mut look);
    evidence::look(&mut look);
    people::look(&mut look);
    delivery::look(&mut look);
    let mut conditions = look.conditions;
    roots::gather(&mut conditions);
    conditions
}

struct Look<'a> {
    policy: &'a Policy,
    facts: &'a Facts,
    thresholds: &'a Thresholds,
    now: Instant,
    conditions: Vec<Condition>,
    /// The keys of those that are wrong.
    burning: BTreeSet<String>,
}

impl Look<'_> {
    fn push(&mut self, condition: Condition) {
        if condition.state == State::Firing {
            self.burning.insert(condition.key.clone());
        }
        self.conditions.push(condition);
    }

    /// The first of these that is wrong.
    fn cause(&self, roots: impl IntoIterator<Item = String>) -> Option<String> {
        roots.into_iter().find(|root| self.burning.contains(root))
    }

    /// Whatever there may be of this kind could not be looked at.
    fn all_unknown(&mut self, kind: &str) {
        let separator = if kind.contains(':') { "" } else { ":" };
        self.push(Condition::new(format!("{kind}{separator}{ALL}"), Severity::Warning, "").state(State::Unknown));
    }

    /// The fact itself; that it is unknown becomes a condition of its own. `because` is what hides it.
    fn known<'f, T>(&mut self, what: &str, job: Option<&str>, fact: &'f Observed<T>, because: Option<String>) -> Option<&'f T> {
        let condition = Condition {
            job: job.map(str::to_owned),
            because,
            ..Condition::new(format!("cannot_look:{what}"), Severity::Warning, format!("it is not known how {what} stands"))
        };
        let condition = condition
            .lasting(UNKNOWN_FOR)
            .hint("Whatever this is about raises no alert while it is unknown: mend what keeps it from being looked at.");
        match fact {
            Observed::Known(value) => {
                self.push(condition.state(State::Quiet));
                Some(value)
            }
            Observed::Unknown { reason } => {
                self.push(condition.state(State::Firing).text(sentence(reason)));
                None
            }
        }
    }
}

/// `2026-11-21 02:00 UTC`, as the policy's clocks show it.
fn moment(policy: &Policy, instant: Instant) -> String {
    format!("{} {}", policy.zone.wall_clock(instant).strftime("%Y-%m-%d %H:%M"), policy.zone.name())
}

/// Without the seconds that nobody asks for.
fn rough(length: Duration) -> Duration {
    match length.as_secs() {
        seconds @ 0..600 => Duration::from_secs(seconds),
        seconds @ 600..172_800 => Duration::from_secs(seconds / 60 * 60),
        seconds => Duration::from_secs(seconds / 3_600 * 3_600),
    }
}
