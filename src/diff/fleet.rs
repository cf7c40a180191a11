//! A whole fleet: which policies are new, gone or renamed, and who acknowledges what.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::change::{Change, Group};
use super::comparison::Comparison;
use super::consequence::{Consequence, Existing};
use super::inventory::World;
use super::jobs::job_words;
use super::words::counted;
use super::{Changed, FORMAT_VERSION, PolicyDiff, compare};
use crate::inventory::{ClusterInventory, Inventory};
use crate::policy::file::Acknowledgement;
use crate::policy::model::Policy;
use crate::policy::path::PolicyPath;
use crate::units::{Bytes, Instant, Name};

/// The difference between two versions of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Difference of two versions of policies, as seawall sees it")]
pub struct FleetDiff {
    /// The version of this JSON's shape.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    /// The policies that differ in meaning, by name.
    pub policies: Vec<PolicyDiff>,
    /// How many policies were compared and mean the same.
    pub unchanged: usize,
    /// Some destructive consequence is not acknowledged.
    pub needs_acknowledgement: bool,
}

impl FleetDiff {
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Something may be lost for good, and nobody has said that it is meant.
    pub fn needs_acknowledgement(&self) -> bool {
        self.needs_acknowledgement
    }

    fn consequences(&self) -> impl Iterator<Item = &Consequence> {
        self.policies.iter().flat_map(|policy| &policy.consequences)
    }

    /// How much room becomes free once everything that becomes deletable is deleted.
    pub fn freed(&self) -> Bytes {
        let deletable = self.consequences().filter(|each| matches!(each.code.0, 903 | 905));
        let sizes = deletable.filter_map(|each| match &each.existing {
            Some(Existing::Known { bytes, .. }) => Some(bytes.bytes()),
            _ => None,
        });
        sizes.fold(Bytes::ZERO, Bytes::saturating_add)
    }

    /// The change in one line.
    pub fn summary(&self) -> String {
        if self.is_empty() {
            return "no change in meaning".into();
        }
        let changes: usize = self.policies.iter().map(|policy| policy.changes.len()).sum();
        let destructive = self.consequences().filter(|each| each.destructive).count();
        let open = self.consequences().filter(|each| each.needs_acknowledgement()).count();
        let policies = match self.policies.len() {
            1 => "1 policy".to_owned(),
            count => format!("{count} policies"),
        };
        let what = match (destructive, open) {
            (0, _) => "nothing destructive".to_owned(),
            (all, 0) => format!("{all} destructive, acknowledged"),
            (all, open) if all == open => format!("{all} destructive, not acknowledged"),
            (all, open) => format!("{all} destructive, {open} of them not acknowledged"),
        };
        let freed = match self.freed() {
            Bytes::ZERO => String::new(),
            bytes => format!("; frees {}", bytes.rounded()),
        };
        format!("{} in {policies}; {what}{freed}", counted(changes, "change"))
    }
}

/// Compares two versions of a fleet. Policies are matched by name; one that has another name, the same cluster and the same
/// stores is renamed.
pub fn compare_fleet(old: &[Policy], new: &[Policy], inventory: Option<&Inventory>, now: Instant) -> FleetDiff {
    let before: BTreeMap<&Name, &Policy> = old.iter().map(|policy| (&policy.name, policy)).collect();
    let after: BTreeMap<&Name, &Policy> = new.iter().map(|policy| (&policy.name, policy)).collect();
    let cluster = |name: &Name| inventory.and_then(|inventory| inventory.clusters.get(name));
    let renamed = renamed(&before, &after);
    let mut diffs = Vec::new();
    for (name, policy) in &before {
        let there = cluster(name);
        let successor = after.get(*name).copied().or_else(|| renamed.get(*name).and_then(|name| after.get(*name)).copied());
        let there = there.or_else(|| successor.and_then(|policy| cluster(&policy.name)));
        diffs.extend(compare(Some(policy), successor, there, now));
    }
    let taken: BTreeSet<&Name> = renamed.values().copied().collect();
    for (name, policy) in &after {
        if !before.contains_key(*name) && !taken.contains(*name) {
            diffs.extend(compare(None, Some(policy), None, now));
        }
    }
    for diff in &mut diffs {
        acknowledge_removal(diff, &before, new, now);
    }
    let compared = diffs.len();
    diffs.retain(|diff| !diff.is_empty());
    diffs.sort_by(|one, other| one.policy.cmp(&other.policy));
    let needs_acknowledgement = diffs.iter().any(PolicyDiff::needs_acknowledgement);
    FleetDiff { format_version: FORMAT_VERSION, unchanged: compared - diffs.len(), policies: diffs, needs_acknowledgement }
}

/// Old name → new name.
fn renamed<'p>(before: &BTreeMap<&'p Name, &'p Policy>, after: &BTreeMap<&'p Name, &'p Policy>) -> BTreeMap<&'p Name, &'p Name> {
    let mut renamed: BTreeMap<&Name, &Name> = BTreeMap::new();
    let gone = before.iter().filter(|(name, _)| !after.contains_key(**name));
    for (name, policy) in gone {
        let new = after.iter().filter(|(name, _)| !before.contains_key(**name));
        let mut alike = new.filter(|(name, other)| same_subject(policy, other) && !renamed.values().any(|taken| taken == *name));
        // Of two that fit, nobody can say which one it is.
        if let (Some((other, _)), None) = (alike.next(), alike.next()) {
            renamed.insert(name, other);
        }
    }
    renamed
}

/// The same cluster, with its backups in the same places.
fn same_subject(one: &Policy, other: &Policy) -> bool {
    let connection = |policy: &Policy| policy.file.cluster.as_ref().and_then(|cluster| cluster.connection.clone());
    let places = |policy: &Policy| -> BTreeMap<Name, String> {
        policy.stores.iter().map(|(name, store)| (name.clone(), store.kind.url())).collect()
    };
    connection(one).is_some() && connection(one) == connection(other) && places(one) == places(other)
}

pub fn added(policy: &Policy) -> PolicyDiff {
    let top = PolicyPath::top();
    let change = Change::PolicyAdded { policy: policy.name.clone(), does: policy_words(policy) };
    let mut changes = vec![Changed { group: Group::Starts, path: top, says: change.to_string(), change }];
    for name in policy.backups.keys() {
        let path = super::meaning::element("backups", name);
        let change = Change::Starts { path: path.clone(), does: job_words(policy, name) };
        changes.push(Changed { group: Group::Starts, path, says: change.to_string(), change });
    }
    PolicyDiff { policy: policy.name.clone(), renamed_from: None, changes, consequences: Vec::new() }.ordered()
}

pub fn removed(policy: &Policy, inventory: Option<&ClusterInventory>, now: Instant) -> PolicyDiff {
    let top = PolicyPath::top();
    let change = Change::PolicyRemoved { policy: policy.name.clone() };
    let mut changes = vec![Changed { group: Group::Stops, path: top.clone(), says: change.to_string(), change }];
    for name in policy.backups.keys() {
        let path = super::meaning::element("backups", name);
        let change = Change::Stops { path: path.clone(), did: job_words(policy, name) };
        changes.push(Changed { group: Group::Stops, path, says: change.to_string(), change });
    }
    let stores: Vec<&Name> = policy.stores.keys().collect();
    let existing = World { inventory, now }.existing(&stores, |_| true, "managed by the policy", "nothing keeps it and nothing deletes it");
    let message = format!("the policy `{}` is removed: nothing is backed up, checked, rehearsed or reported any more", policy.name);
    let hint = format!("Acknowledge SW0912 in another policy of the fleet, with `at: {}`.", policy.name);
    let consequence = Consequence::destructive(912, top, message).hint(hint).existing(existing);
    PolicyDiff { policy: policy.name.clone(), renamed_from: None, changes, consequences: vec![consequence] }.ordered()
}

impl Comparison<'_> {
    /// What lies in a store belongs to the policy of the name under which it was begun.
    pub fn policy_renamed(&mut self) {
        let (from, to) = (self.old.name.clone(), self.new.name.clone());
        let path = PolicyPath::from(["policy"]);
        let stores: Vec<&Name> = self.old.stores.keys().collect();
        let existing = self.world.existing(&stores, |_| true, &format!("found under `{from}`"), &format!("nobody looks under `{from}`"));
        let change = Change::PolicyRenamed { from: from.clone(), to };
        let message = format!(
            "{change}: its stores keep what there is under `{from}`, where nobody finds it, and begin nothing beside it: backups and the log stop"
        );
        let hint = format!("Keep the name `{from}`, or give every store another prefix or directory to begin anew, or acknowledge SW0912.");
        let unused =
            existing.is_known_empty() && stores.iter().all(|store| self.world.store(store).is_ok_and(|there| there.wal.is_empty()));
        let consequence = Consequence::destructive(912, path.clone(), message).hint(hint).existing(existing);
        self.warn(if unused { super::jobs::soften(consequence) } else { consequence });
        self.say(Group::Other, path, change);
    }
}

fn policy_words(policy: &Policy) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(policy.objectives.rpo.map(|rpo| format!("RPO {rpo}")));
    words.extend(policy.objectives.rto.map(|rto| format!("RTO {rto}")));
    let stores = policy.stores.iter().map(|(name, store)| format!("store `{name}` at {}", super::words::quoted(store.kind.url())));
    words.extend(stores);
    words
}

// ---- acknowledgements ----------------------------------------------------------------------------------------------

/// It was written for this change: it still holds, and the old version of the policy does not say the same already. What was
/// accepted once says nothing of the next time.
fn stands(acknowledgement: &Acknowledgement, old: Option<&Policy>, policy: &Policy, now: Instant) -> bool {
    let today = now.to_zoned(policy.zone.time_zone().clone()).date();
    let same = |other: &Acknowledgement| {
        let parts = |each: &Acknowledgement| (each.finding.clone(), each.at.clone(), each.reason.clone(), each.until);
        parts(other) == parts(acknowledgement)
    };
    acknowledgement.until.is_none_or(|until| today < until.0) && !old.is_some_and(|old| old.file.acknowledge.iter().any(same))
}

pub fn acknowledge(consequences: &mut [Consequence], old: &Policy, new: &Policy, now: Instant) {
    let standing: Vec<&Acknowledgement> = new.file.acknowledge.iter().filter(|each| stands(each, Some(old), new, now)).collect();
    for consequence in consequences.iter_mut().filter(|each| each.acknowledged.is_none()) {
        let (code, path) = (consequence.code.to_string(), consequence.path.clone());
        let fits = |each: &&&Acknowledgement| each.finding.0 == code && each.at.as_ref().is_none_or(|at| path.lies_in(at));
        consequence.acknowledged = standing.iter().find(fits).map(|each| each.reason.clone());
    }
}

/// Whoever is left may speak for one that is gone, by its name.
fn acknowledge_removal(diff: &mut PolicyDiff, before: &BTreeMap<&Name, &Policy>, fleet: &[Policy], now: Instant) {
    let name = diff.policy.as_str();
    for consequence in diff.consequences.iter_mut().filter(|each| each.code.0 == 912 && each.acknowledged.is_none()) {
        let speaks = |policy: &Policy| {
            let fits = |each: &&Acknowledgement| {
                each.finding.0 == "SW0912"
                    && each.at.as_deref() == Some(name)
                    && stands(each, before.get(&policy.name).copied(), policy, now)
            };
            policy.file.acknowledge.iter().find(fits).map(|each| each.reason.clone())
        };
        consequence.acknowledged = fleet.iter().find_map(speaks);
    }
}
