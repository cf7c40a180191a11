//! Backup jobs: which there are, what they hold, where their backups go and how long they stay there.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Direction, Group, RuleChange};
use super::comparison::Comparison;
use super::consequence::Consequence;
use super::meaning::{Leaf, element};
use super::words::{joined, keep_rules, keep_words};
use crate::policy::model::{Backup, Method, Policy};
use crate::policy::path::PolicyPath;
use crate::retention::Keep;
use crate::units::Name;

impl Comparison<'_> {
    pub fn jobs(&mut self) {
        let (old, new) = (self.old, self.new);
        let removed: Vec<&Name> = old.backups.keys().filter(|name| !new.backups.contains_key(*name)).collect();
        let added: Vec<&Name> = new.backups.keys().filter(|name| !old.backups.contains_key(*name)).collect();
        let mut renamed = BTreeMap::new();
        for name in &removed {
            let mut alike = added.iter().filter(|other| self.is_same_job(name, other));
            if let (Some(other), None) = (alike.next(), alike.next())
                && !renamed.values().any(|taken| taken == other)
            {
                renamed.insert(*name, *other);
            }
        }
        for name in removed {
            self.job_goes(name, renamed.get(name).copied());
        }
        for name in added {
            if !renamed.values().any(|other| *other == name) {
                let path = element("backups", name);
                self.say(Group::Starts, path.clone(), Change::Starts { path: path.clone(), does: job_words(new, name) });
                self.cover(path);
            }
        }
        for (name, before) in &old.backups {
            if let Some(after) = new.backups.get(name) {
                self.job_stays(name, before, after);
            }
        }
    }

    /// The same in everything but its name.
    fn is_same_job(&self, old: &Name, new: &Name) -> bool {
        let below = |meaning: &super::meaning::Meaning, name: &Name| -> Vec<(Vec<crate::policy::path::Step>, Leaf)> {
            let path = element("backups", name);
            let inside = meaning.range(path.clone()..).take_while(|(each, _)| each.starts_with(&path));
            inside.map(|(each, leaf)| (each.steps().iter().skip(2).cloned().collect(), leaf.clone())).collect()
        };
        below(&self.was, old) == below(&self.is, new)
    }

    fn job_goes(&mut self, name: &Name, new_name: Option<&Name>) {
        let path = element("backups", name);
        let did = job_words(self.old, name);
        self.cover(path.clone());
        let what = match new_name {
            Some(new_name) => {
                let to = element("backups", new_name);
                self.cover(to.clone());
                self.say(Group::Other, to.clone(), Change::Renamed { path: to, from: path.clone() });
                format!("`backups.{name}` is renamed to `backups.{new_name}`: what it has made keeps the old name")
            }
            None => {
                self.say(Group::Stops, path.clone(), Change::Stops { path: path.clone(), did });
                format!("`backups.{name}` is removed")
            }
        };
        let stores = self.old.stores_of(name);
        if stores.is_empty() {
            self.warn(Consequence::warning(901, path, format!("{what}; its backups are kept elsewhere, and nobody watches them any more")));
            return;
        }
        let before = format!("managed by the job `{name}`");
        let after = format!("no job is called `{name}`: no rule keeps it and no rule deletes it");
        let existing = self.world.existing(&stores, |backup| backup.job == *name, &before, &after);
        let consequence = Consequence::destructive(901, path, format!("{what}; its existing backups are no longer managed"))
            .hint("Keep the job without a schedule until its last backup may go, or acknowledge SW0901.");
        let harmless = existing.is_known_empty();
        let consequence = consequence.existing(existing);
        self.warn(if harmless { soften(consequence) } else { consequence });
    }

    fn job_stays(&mut self, name: &Name, before: &Backup, after: &Backup) {
        if before.method.as_str() != after.method.as_str() {
            self.method_changes(name, &before.method, &after.method);
        }
        self.places(name, before, after);
        self.retention(name, before, after);
    }

    fn method_changes(&mut self, name: &Name, before: &Method, after: &Method) {
        let path = element("backups", name);
        let change = Change::Setting { path: path.key("method"), from: Some(before.as_str().into()), to: Some(after.as_str().into()) };
        let message = format!("`backups.{name}` no longer takes {} backups; it takes {} ones", before.as_str(), after.as_str());
        self.warn(Consequence::warning(901, path.clone(), message));
        self.say(Group::Stops, path.key("method"), change);
        for key in ["method", "physical", "incremental", "logical", "tables", "files", "provider", "engine"] {
            // What it takes now may hold anything: its settings are said one by one.
            if key == "method" || key == before.as_str() {
                self.cover(path.key(key));
            }
        }
    }

    // ---- where its backups go ----------------------------------------------------------------------------------------

    fn places(&mut self, name: &Name, before: &Backup, after: &Backup) {
        let path = element("backups", name);
        let (old, new) = (self.old.stores_of(name), self.new.stores_of(name));
        for store in &new {
            if !old.contains(store) && after.store.as_ref() != Some(*store) {
                let keep = place_of(after, name, store).map(|(keep, _)| keep_words(keep));
                let at = path.key("copies").key(store);
                self.say(Group::Stores, at.clone(), Change::Starts { path: at.clone(), does: keep.into_iter().collect() });
                self.cover(at);
            }
        }
        for store in &old {
            if !new.contains(store) {
                self.place_goes(name, before, after, store);
            }
        }
        if before.store != after.store {
            let words = |backup: &Backup| backup.store.as_ref().map(ToString::to_string);
            let at = path.key("store");
            self.say(Group::Stores, at.clone(), Change::Setting { path: at.clone(), from: words(before), to: words(after) });
            self.cover(at);
        }
    }

    fn place_goes(&mut self, name: &Name, before: &Backup, after: &Backup, store: &Name) {
        let was_home = before.store.as_ref() == Some(store);
        let path = element("backups", name);
        let at = if was_home { path.key("store") } else { path.key("copies").key(store) };
        if !was_home {
            let did = place_of(before, name, store).map(|(keep, _)| keep_words(keep));
            self.say(Group::Stores, at.clone(), Change::Stops { path: at.clone(), did: did.into_iter().collect() });
            self.cover(at.clone());
        }
        let rest = after.store.iter().chain(after.copies.iter().map(|copy| &copy.store)).map(|store| format!("`{store}`"));
        let rest = joined(rest);
        let left = if rest.is_empty() { "they go nowhere".into() } else { format!("they go to {rest}") };
        let existing = self.world.existing(
            &[store],
            |backup| backup.job == *name,
            &format!("managed in `{store}` by the job `{name}`"),
            &format!("`{name}` has no rule for `{store}`: nothing there keeps it and nothing deletes it"),
        );
        let consequence = Consequence::destructive(907, at, format!("the backups of `{name}` no longer go to `{store}`; {left}"))
            .hint("Acknowledge SW0907 when the other places are enough.");
        self.warn(consequence.existing(existing));
    }

    // ---- how long they stay ------------------------------------------------------------------------------------------

    fn retention(&mut self, name: &Name, before: &Backup, after: &Backup) {
        let mut said: Vec<(Name, PolicyPath, Vec<RuleChange>, Direction)> = Vec::new();
        let mut places: Vec<&Name> = before.store.iter().chain(before.copies.iter().map(|copy| &copy.store)).collect();
        places.retain(|store| place_of(after, name, store).is_some());
        for store in places {
            let (Some((old, old_path)), Some((new, new_path))) = (place_of(before, name, store), place_of(after, name, store)) else {
                continue;
            };
            if old.zone != new.zone && keep_rules(old) == keep_rules(new) && new.tiers().next().is_some() {
                // Days and months begin at another hour, so that others are the first of theirs. It is said as a setting.
                self.changed_keeps.push((name.clone(), store.clone(), new_path, Direction::Changed));
            } else if let Some((rules, direction)) = rule_changes(old, new) {
                for rule in &rules {
                    self.cover(old_path.key(&rule.rule));
                    self.cover(new_path.key(&rule.rule));
                }
                if rules.iter().any(|rule| rule.rule == "everything") {
                    self.cover(old_path.key("timezone"));
                    self.cover(new_path.key("timezone"));
                }
                said.push((store.clone(), new_path, rules, direction));
            }
        }
        if before.store.is_none()
            && after.store.is_none()
            && let Some((rules, direction)) = rule_changes(&before.keep, &after.keep)
        {
            let path = element("backups", name).key("keep");
            for rule in rules.iter().map(|rule| rule.rule.as_str()).chain(["everything", "timezone"]) {
                self.cover(path.key(rule));
            }
            let change = Change::Retention { path: path.clone(), job: name.clone(), store: None, rules, direction };
            self.say(Group::Retention, path, change);
        }
        // Said once when it is the same wherever the job's backups lie.
        let places: BTreeSet<&Name> = self.new.stores_of(name).into_iter().collect();
        let alike = said.len() == places.len() && said.windows(2).all(|pair| pair[0].2 == pair[1].2);
        let shown = if alike { 1 } else { said.len() };
        for (at, (store, path, rules, direction)) in said.into_iter().enumerate() {
            if at < shown {
                let place = if alike { None } else { Some(store.clone()) };
                let change = Change::Retention { path: path.clone(), job: name.clone(), store: place, rules, direction };
                self.say(Group::Retention, path.clone(), change);
            }
            self.changed_keeps.push((name.clone(), store, path, direction));
        }
    }
}

/// No existing backup is touched.
pub fn soften(consequence: Consequence) -> Consequence {
    Consequence { destructive: false, severity: crate::policy::finding::Weight::Warning, hint: None, ..consequence }
}

/// How long a job's backups stay in a store, and where the policy says so.
pub fn place_of<'b>(backup: &'b Backup, name: &Name, store: &Name) -> Option<(&'b Keep, PolicyPath)> {
    let path = element("backups", name);
    if backup.store.as_ref() == Some(store) {
        return Some((&backup.keep, path.key("keep")));
    }
    let copy = backup.copies.iter().find(|copy| copy.store == *store)?;
    Some((&copy.keep, path.key("copies").key(store).key("keep")))
}

/// Which rules differ, and whether that keeps less.
pub fn rule_changes(old: &Keep, new: &Keep) -> Option<(Vec<RuleChange>, Direction)> {
    let (before, after): (BTreeMap<_, _>, BTreeMap<_, _>) = (keep_rules(old).into_iter().collect(), keep_rules(new).into_iter().collect());
    if before == after {
        return None;
    }
    let everything = |from: Option<&str>, to: Option<&str>| RuleChange {
        rule: "everything".into(),
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
    };
    let mut rules = Vec::new();
    let (mut less, mut more) = (false, false);
    if before.is_empty() {
        rules.push(everything(Some("for ever"), None));
        less = true;
    }
    // In the order of the policy language, not of the alphabet.
    for rule in ["last", "for", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly"] {
        let (from, to) = (before.get(rule).copied(), after.get(rule).copied());
        if from == to {
            continue;
        }
        match (from, to) {
            (Some(from), Some(to)) => match to.is_less_than(from) {
                Some(true) => less = true,
                Some(false) => more = true,
                None => (less, more) = (true, true),
            },
            (Some(_), None) => less = true,
            (None, _) => more = true,
        }
        rules.push(RuleChange { rule: rule.into(), from: from.map(|from| from.to_string()), to: to.map(|to| to.to_string()) });
    }
    if after.is_empty() {
        rules.push(everything(None, Some("for ever")));
    }
    // Everything is more than any rule, and no rule is more than everything.
    let direction = match (before.is_empty(), after.is_empty(), less, more) {
        (true, _, _, _) => Direction::Loosened,
        (_, true, _, _) => Direction::Tightened,
        (_, _, true, false) => Direction::Loosened,
        (_, _, false, true) => Direction::Tightened,
        _ => Direction::Changed,
    };
    Some((rules, direction))
}

/// `physical, every day at 02:00 UTC, to `main`, kept daily 30`
pub fn job_words(policy: &Policy, name: &Name) -> Vec<String> {
    let Some(backup) = policy.backups.get(name) else { return Vec::new() };
    let mut words = vec![match &backup.method {
        Method::Incremental { of, .. } => format!("incremental on `{of}`"),
        method => method.as_str().to_owned(),
    }];
    words.push(backup.schedule.as_ref().map_or_else(|| "only when someone asks".into(), |schedule| schedule.describe()));
    words.extend(backup.window.as_ref().map(|window| format!("inside the window `{window}`")));
    words.extend(backup.store.as_ref().map(|store| format!("to `{store}`")));
    let copies: Vec<String> = backup.copies.iter().map(|copy| format!("`{}`", copy.store)).collect();
    if !copies.is_empty() {
        words.push(format!("copied to {}", joined(copies)));
    }
    if backup.method.is_stored() {
        words.push(keep_words(&backup.keep));
    }
    words
}
