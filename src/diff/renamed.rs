//! Stores that only get another name stay where they are. The old version is read as if it had had the new names already, so that
//! everything else is compared by place.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Group};
use super::comparison::Comparison;
use super::consequence::Consequence;
use super::meaning::{Leaf, Meaning, element};
use super::settings::fits;
use crate::inventory::ClusterInventory;
use crate::policy::finding::Weight;
use crate::policy::model::Policy;
use crate::policy::path::{PolicyPath, Step};
use crate::units::Name;

/// The new name of each store that has one, by the old.
#[derive(Debug, Default)]
pub struct Renamed(BTreeMap<Name, Name>);

/// Where a policy names stores.
const STORES_AT: [&str; 8] = [
    "backups.*.store",
    "wal.store",
    "wal.copies",
    "verify.*.stores",
    "drills.*.from",
    "archive.*.store",
    "timescaledb.*.hypertables.*.archive.store",
    "objectives.scenarios.*.from",
];

impl Renamed {
    pub fn between(old: &Policy, new: &Policy) -> Renamed {
        let mut taken = BTreeSet::new();
        let mut names = BTreeMap::new();
        for (name, store) in &old.stores {
            let url = store.kind.url();
            if new.stores.get(name).is_some_and(|store| store.kind.url() == url) {
                continue;
            }
            let found = new.stores.iter().find(|(_, store)| store.kind.url() == url);
            if let Some((other, _)) = found.filter(|(other, _)| taken.insert(*other)) {
                names.insert(name.clone(), other.clone());
            }
        }
        // A name that another store of the old version has, and keeps, is not free.
        while let Some(name) =
            names.iter().find(|(_, to)| old.stores.contains_key(*to) && !names.contains_key(*to)).map(|(name, _)| name.clone())
        {
            names.remove(&name);
        }
        Renamed(names)
    }

    fn renew(&self, name: &mut Name) {
        if let Some(new) = self.0.get(name) {
            *name = new.clone();
        }
    }

    fn renewed(&self, name: &str) -> String {
        let new = self.0.iter().find(|(old, _)| old.as_str() == name).map(|(_, new)| new.as_str());
        new.unwrap_or(name).to_owned()
    }

    fn keys<V: Clone>(&self, map: &BTreeMap<Name, V>) -> BTreeMap<Name, V> {
        map.iter().map(|(name, value)| (self.0.get(name).unwrap_or(name).clone(), value.clone())).collect()
    }

    pub fn in_policy<'p>(&self, old: &'p Policy) -> Cow<'p, Policy> {
        if self.0.is_empty() {
            return Cow::Borrowed(old);
        }
        let mut policy = Policy { stores: self.keys(&old.stores), ..old.clone() };
        let backups = policy.backups.values_mut();
        let of_backups = backups.flat_map(|backup| backup.store.iter_mut().chain(backup.copies.iter_mut().map(|copy| &mut copy.store)));
        let of_wal = policy.wal.iter_mut().flat_map(|wal| std::iter::once(&mut wal.store).chain(&mut wal.copies));
        let of_checks = policy.verify.values_mut().flat_map(|verify| &mut verify.stores);
        let of_drills = policy.drills.values_mut().filter_map(|drill| drill.from.as_mut());
        let of_archives = policy.archives.iter_mut().map(|archive| &mut archive.store);
        let of_scenarios = policy.objectives.scenarios.values_mut().flat_map(|scenario| &mut scenario.from);
        let all = of_backups.chain(of_wal).chain(of_checks).chain(of_drills).chain(of_archives).chain(of_scenarios);
        all.for_each(|name| self.renew(name));
        Cow::Owned(policy)
    }

    pub fn in_meaning(&self, meaning: Meaning) -> Meaning {
        if self.0.is_empty() {
            return meaning;
        }
        let renewed = |(path, leaf): (PolicyPath, Leaf)| {
            let names_stores = STORES_AT.iter().any(|at| fits(at, &path).is_some());
            let leaf = match leaf {
                Leaf::One(name) if names_stores => Leaf::One(self.renewed(&name)),
                Leaf::Set(names) if names_stores => Leaf::Set(names.iter().map(|name| self.renewed(name)).collect()),
                other => other,
            };
            (self.in_path(&path), leaf)
        };
        meaning.into_iter().map(renewed).collect()
    }

    /// `stores.NAME` and `backups.JOB.copies.NAME`, and what is below them.
    fn in_path(&self, path: &PolicyPath) -> PolicyPath {
        let key = |step: Option<&Step>, is: &str| matches!(step, Some(Step::Key(key)) if key == is);
        let steps = path.steps();
        let at = match steps {
            [first, ..] if key(Some(first), "stores") => 1,
            [first, ..] if key(Some(first), "backups") && key(steps.get(2), "copies") => 3,
            _ => return path.clone(),
        };
        steps.iter().enumerate().fold(PolicyPath::top(), |path, (index, step)| match step {
            Step::Key(name) if index == at => path.key(self.renewed(name)),
            Step::Key(key) => path.key(key),
            Step::Item(index) => path.item(*index),
        })
    }

    pub fn in_inventory<'i>(&self, there: &'i ClusterInventory) -> Cow<'i, ClusterInventory> {
        // One that was written with the new names has them already.
        if self.0.is_empty() || !self.0.keys().any(|name| there.stores.contains_key(name)) {
            return Cow::Borrowed(there);
        }
        Cow::Owned(ClusterInventory { stores: self.keys(&there.stores), ..there.clone() })
    }
}

impl Comparison<'_> {
    pub fn other_names(&mut self, renamed: &Renamed) {
        for (from, to) in &renamed.0 {
            let (path, was) = (element("stores", to), element("stores", from));
            let message = format!("the store `{from}` is called `{to}` now; it is the same place, and its backups are found there");
            self.say(Group::Stores, path.clone(), Change::Renamed { path, from: was.clone() });
            self.warn(Consequence::new(907, Weight::Note, was, message));
        }
    }
}
