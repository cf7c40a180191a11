//! The difference between two versions of a policy, in the words of a reviewer: what starts, stops and moves, what is
//! promised no longer, and what the change does to the backups that exist.
//!
//! # What is compared
//! Meanings, not texts. Defaults are filled in, spellings made alike, schedules judged by when they fire, and lists whose
//! order says nothing taken as sets; comments, formatting and a refactoring into `extends` are no change. Whatever two
//! policies differ in is said: by a sentence of its own where people have one, by its path otherwise.
//!
//! # What it does
//! Each [`Consequence`] has a code from SW0901 on. The destructive ones must be acknowledged by the *new* policy: an entry of
//! `acknowledge` with the code, whose `at` (if any) is the consequence's path or one above it, and whose `until` (if any) has
//! not come. An entry that the old policy has word for word was written for an earlier change and does not count. A policy that is removed cannot speak any more: for SW0912, any policy of the new fleet may, with `at` set to the
//! removed policy's name.
//!
//! Existing backups are judged by the rules that expiry itself follows, once with the old policy and once with the new one.
//! What the inventory does not know is unknown, and then the rule alone is reason enough.

mod change;
mod comparison;
mod consequence;
mod drills;
mod encryption;
mod fleet;
mod hearing;
mod holds;
mod inventory;
mod jobs;
mod limits;
mod losses;
mod markdown;
mod meaning;
mod places;
mod renamed;
mod rows;
mod runs;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod text;
mod turns;
mod words;

pub use change::{Change, Direction, Group, Hearing, RuleChange};
pub use consequence::{CODES, Consequence, Existing, ExistingBackup};
pub use fleet::{FleetDiff, compare_fleet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::inventory::ClusterInventory;
use crate::policy::model::Policy;
use crate::policy::path::PolicyPath;
use crate::units::{Instant, Name};
use comparison::Comparison;
use inventory::World;
use meaning::meaning;
use renamed::Renamed;

/// The version of the JSON.
pub const FORMAT_VERSION: u32 = 1;

/// The difference between two versions of one policy.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PolicyDiff {
    /// The policy's name, the new one where it has two.
    pub policy: Name,
    /// The name it had.
    pub renamed_from: Option<Name>,
    /// What changed, in the order in which it is shown.
    pub changes: Vec<Changed>,
    /// What that does, the destructive first.
    pub consequences: Vec<Consequence>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Changed {
    /// What it is about.
    pub group: Group,
    /// Where.
    pub path: PolicyPath,
    /// The sentence.
    pub says: String,
    /// The same as data.
    pub change: Change,
}

impl PolicyDiff {
    /// No change in meaning.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.consequences.is_empty()
    }

    /// Something may be lost for good, and nobody has said that it is meant.
    pub fn needs_acknowledgement(&self) -> bool {
        self.consequences.iter().any(Consequence::needs_acknowledgement)
    }

    fn ordered(mut self) -> Self {
        self.changes.sort_by(|one, other| (one.group, &one.path).cmp(&(other.group, &other.path)));
        self.changes.dedup();
        let order = |each: &Consequence| (!each.destructive, each.severity, each.code, each.path.clone());
        self.consequences.sort_by_cached_key(order);
        self.consequences.dedup();
        self
    }
}

/// Compares two versions of a policy. `None`: there is no such version; without either there is nothing to say.
pub fn compare(old: Option<&Policy>, new: Option<&Policy>, inventory: Option<&ClusterInventory>, now: Instant) -> Option<PolicyDiff> {
    match (old, new) {
        (None, None) => None,
        (None, Some(new)) => Some(fleet::added(new)),
        (Some(old), None) => Some(fleet::removed(old, inventory, now)),
        (Some(old), Some(new)) => Some(compare_both(old, new, inventory, now)),
    }
}

fn compare_both(old: &Policy, new: &Policy, inventory: Option<&ClusterInventory>, now: Instant) -> PolicyDiff {
    let stores = Renamed::between(old, new);
    let (before, there) = (stores.in_policy(old), inventory.map(|inventory| stores.in_inventory(inventory)));
    // The same text has the same meaning; most of a fleet does not change.
    let meanings = match old.digest == new.digest {
        true => Default::default(),
        false => (stores.in_meaning(meaning(old)), meaning(new)),
    };
    let mut comparison = Comparison::of(&before, new, meanings, World { inventory: there.as_deref(), now });
    comparison.other_names(&stores);
    if old.name != new.name {
        comparison.policy_renamed();
    }
    let mut diff = PolicyDiff {
        policy: new.name.clone(),
        renamed_from: (old.name != new.name).then(|| old.name.clone()),
        changes: comparison.changes,
        consequences: comparison.consequences,
    };
    fleet::acknowledge(&mut diff.consequences, old, new, now);
    diff.ordered()
}
