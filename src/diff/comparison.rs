//! The comparison itself: sentences for what people would say a sentence about, and every other difference by its path.

use std::collections::BTreeSet;

use super::change::{Change, Direction, Group};
use super::consequence::Consequence;
use super::meaning::{Leaf, Meaning};
use super::runs::{Run, runs};
use super::settings::{self, ELEMENTS, Element, INHERITED, fits, setting_at};
use super::words::{joined, plain};
use super::{Changed, inventory::World};
use crate::policy::model::Policy;
use crate::policy::path::{PolicyPath, Step};
use crate::units::Name;

/// More settings than these are counted, not named, when something starts or stops.
const NAMED_SETTINGS: usize = 6;

pub struct Comparison<'p> {
    pub old: &'p Policy,
    pub new: &'p Policy,
    pub world: World<'p>,
    pub was: Meaning,
    pub is: Meaning,
    pub changes: Vec<Changed>,
    pub consequences: Vec<Consequence>,
    /// Job, store, the place in the policy, and which way its `keep` went.
    pub changed_keeps: Vec<(Name, Name, PolicyPath, Direction)>,
    /// What a sentence has spoken for.
    covered: BTreeSet<PolicyPath>,
}

impl<'p> Comparison<'p> {
    pub fn of(old: &'p Policy, new: &'p Policy, (was, is): (Meaning, Meaning), world: World<'p>) -> Self {
        let mut comparison = Comparison {
            old,
            new,
            world,
            was,
            is,
            changes: Vec::new(),
            consequences: Vec::new(),
            changed_keeps: Vec::new(),
            covered: BTreeSet::new(),
        };
        comparison.settle_schedules();
        if comparison.was != comparison.is {
            comparison.settle_limits();
            comparison.compare();
        }
        comparison
    }

    fn compare(&mut self) {
        self.jobs();
        self.log();
        self.stores();
        self.encryption();
        self.holds();
        self.rows();
        self.elements();
        self.hearing();
        self.drills();
        self.server();
        self.retention_of_existing();
        self.window();
        self.runs();
        self.turns();
        self.rest();
    }

    pub fn say(&mut self, group: Group, path: PolicyPath, change: Change) {
        self.changes.push(Changed { group, says: change.to_string(), path, change });
    }

    /// A sentence has spoken for this path and all below it.
    pub fn cover(&mut self, path: PolicyPath) {
        self.covered.insert(path);
    }

    pub fn warn(&mut self, consequence: Consequence) {
        self.consequences.push(consequence);
    }

    fn is_covered(&self, path: &PolicyPath) -> bool {
        let mut above = PolicyPath::top();
        for step in path.steps() {
            above = match step {
                Step::Key(key) => above.key(key),
                Step::Item(index) => above.item(*index),
            };
            if self.covered.contains(&above) {
                return true;
            }
        }
        false
    }

    /// Schedules that fire alike are alike, however they are worded.
    fn settle_schedules(&mut self) {
        let before = runs(self.old);
        for (path, run) in runs(self.new) {
            if before.get(&path).is_some_and(|before| before.schedule.is_same_as(&run.schedule)) {
                let path = path.key("schedule");
                self.was.remove(&path);
                self.is.remove(&path);
            }
        }
    }

    /// Whether anything stands at this path or below it.
    pub fn stands(meaning: &Meaning, path: &PolicyPath) -> bool {
        meaning.range(path.clone()..).next().is_some_and(|(first, _)| first.starts_with(path))
    }

    pub fn one<'m>(meaning: &'m Meaning, path: &PolicyPath) -> Option<&'m str> {
        match meaning.get(path) {
            Some(Leaf::One(text)) => Some(text),
            _ => None,
        }
    }

    pub fn set(meaning: &Meaning, path: &PolicyPath) -> BTreeSet<String> {
        match meaning.get(path) {
            Some(Leaf::Set(names)) => names.clone(),
            _ => BTreeSet::new(),
        }
    }

    // ---- what comes and goes as a whole ------------------------------------------------------------------------------

    fn elements(&mut self) {
        for element in ELEMENTS {
            let depth = element.at.split('.').count();
            let before = elements_of(&self.was, element, depth);
            let after = elements_of(&self.is, element, depth);
            for path in after.difference(&before) {
                if !self.is_covered(path) {
                    let does = summary(&self.is, path);
                    self.say(element.starts, path.clone(), Change::Starts { path: path.clone(), does });
                    self.cover(path.clone());
                }
            }
            for path in before.difference(&after) {
                if !self.is_covered(path) {
                    self.element_stops(element, path);
                }
            }
        }
    }

    fn element_stops(&mut self, element: &Element, path: &PolicyPath) {
        let did = summary(&self.was, path);
        let change = Change::Stops { path: path.clone(), did };
        if element.code != 0 {
            let consequence = Consequence::warning(element.code, path.clone(), change.to_string());
            self.warn(Consequence { destructive: element.destructive, ..consequence });
        }
        self.say(element.stops, path.clone(), change);
        self.cover(path.clone());
    }

    // ---- every setting that is left ----------------------------------------------------------------------------------

    fn rest(&mut self) {
        let paths: BTreeSet<PolicyPath> = self.was.keys().chain(self.is.keys()).cloned().collect();
        let (before, after) = (runs(self.old), runs(self.new));
        for path in paths {
            let (from, to) = (self.was.get(&path).cloned(), self.is.get(&path).cloned());
            if from == to || self.is_covered(&path) || self.is_inherited(&path) {
                continue;
            }
            let of_schedule = ends_with(&path, "schedule");
            let job = parent(&path);
            let timed = (before.get(&job).filter(|_| of_schedule), after.get(&job).filter(|_| of_schedule));
            match (&from, &to) {
                _ if timed.0.is_some() || timed.1.is_some() => self.moves(&path, timed.0, timed.1),
                _ if EXCLUSIONS.iter().any(|pattern| fits(pattern, &path).is_some()) => self.exclusions(&path, from.as_ref(), to.as_ref()),
                (Some(Leaf::Set(old)), Some(Leaf::Set(new))) => self.list(&path, old, new),
                (Some(Leaf::Set(old)), None) if !absent_means_all(&path) => self.list(&path, old, &BTreeSet::new()),
                (None, Some(Leaf::Set(new))) if !absent_means_all(&path) => self.list(&path, &BTreeSet::new(), new),
                _ => self.setting(&path, from.as_ref(), to.as_ref()),
            }
        }
    }

    fn is_inherited(&self, path: &PolicyPath) -> bool {
        let from = INHERITED.iter().find(|(pattern, _)| fits(pattern, path).is_some()).map(|(_, from)| *from);
        let Some(above) = from.map(|from| from.split('.').fold(PolicyPath::top(), |path, key| path.key(key))) else { return false };
        self.was.get(path) == self.was.get(&above) && self.is.get(path) == self.is.get(&above)
    }

    fn moves(&mut self, path: &PolicyPath, before: Option<&Run>, after: Option<&Run>) {
        let job = parent(path);
        let words = |timed: Option<&Run>| timed.map(|run| run.schedule.describe());
        let change = Change::Moves { path: job.clone(), from: words(before), to: words(after) };
        if let (Some(before), None) = (before, after) {
            self.warn(Consequence::warning(before.code(), job, change.to_string()));
        }
        self.say(Group::Moves, path.clone(), change);
    }

    fn list(&mut self, path: &PolicyPath, old: &BTreeSet<String>, new: &BTreeSet<String>) {
        let added: Vec<String> = new.difference(old).cloned().collect();
        let removed: Vec<String> = old.difference(new).cloned().collect();
        let change = Change::List { path: path.clone(), added, removed: removed.clone() };
        if let Some(code) = LISTS.iter().find(|(pattern, _)| fits(pattern, path).is_some()).map(|(_, code)| *code)
            && !removed.is_empty()
        {
            let names = joined(removed.iter().map(super::words::quoted));
            let message = format!("`{}` no longer has {names}", plain(path));
            self.warn(Consequence::warning(code, path.clone(), message));
        }
        self.say(settings::group_of(path), path.clone(), change);
    }

    /// What is left out is not in the backup.
    fn exclusions(&mut self, path: &PolicyPath, from: Option<&Leaf>, to: Option<&Leaf>) {
        let (old, new) = (leaf_items(from), leaf_items(to));
        let only_in =
            |one: &[String], other: &[String]| -> Vec<String> { one.iter().filter(|item| !other.contains(item)).cloned().collect() };
        let (added, removed) = (only_in(&new, &old), only_in(&old, &new));
        // `!kept.log` lets something in again, and then the order counts.
        let lets_in = |item: &String| item.starts_with('!');
        let reordered = added.is_empty() && removed.is_empty();
        let holds_less = match reordered {
            true => new.iter().any(lets_in),
            false => added.iter().any(|item| !lets_in(item)) || removed.iter().any(lets_in),
        };
        let change = match reordered {
            true => Change::Setting { path: path.clone(), from: from.map(leaf_words), to: to.map(leaf_words) },
            false => Change::List { path: path.clone(), added, removed },
        };
        if holds_less {
            let message = format!("{change}: the job may hold less than it did");
            self.warn(Consequence::warning(901, path.clone(), message).hint("Look with `seawall show` at what the next backup holds."));
        }
        self.say(settings::group_of(path), path.clone(), change);
    }

    fn setting(&mut self, path: &PolicyPath, from: Option<&Leaf>, to: Option<&Leaf>) {
        let (from, to) = (from.map(leaf_words), to.map(leaf_words));
        let Some((setting, names)) = setting_at(path) else {
            self.unjudged(path, from, to);
            return;
        };
        let direction = setting.direction(from.as_deref(), to.as_deref());
        let group = match direction {
            Direction::Loosened => Group::Loosened,
            Direction::Tightened => Group::Tightened,
            Direction::Changed => settings::group_of(path),
        };
        let subject = setting.subject(path, &names);
        let tame = |text: Option<String>| text.map(plain);
        let change = Change::Limit { path: path.clone(), subject, from: tame(from), to: tame(to), direction };
        if direction == Direction::Loosened && setting.code != 0 {
            self.warn(Consequence::warning(setting.code, path.clone(), change.to_string()));
        }
        self.say(group, path.clone(), change);
    }

    fn unjudged(&mut self, path: &PolicyPath, from: Option<String>, to: Option<String>) {
        let change = match fits("windows.*.open", path) {
            Some(_) => Change::Moves { path: parent(path), from, to },
            None => Change::Setting { path: path.clone(), from, to },
        };
        if fits("drills.*.expect.*", path).is_some() {
            self.expectation(path, &change);
        }
        if let Some((code, message)) = narrowed(path, &change) {
            self.warn(Consequence::warning(code, path.clone(), message));
        }
        self.say(settings::group_of(path), path.clone(), change);
    }

    fn expectation(&mut self, path: &PolicyPath, change: &Change) {
        let consequence = match change {
            Change::Setting { from: Some(_), to: None, .. } => {
                Consequence::warning(909, path.clone(), format!("`{}` is no longer expected of a restored database", plain(path)))
            }
            Change::Setting { from: Some(_), to: Some(_), .. } => Consequence::new(
                909,
                crate::policy::finding::Weight::Note,
                path.clone(),
                format!("`{}` expects something else", plain(path)),
            ),
            _ => return,
        };
        self.warn(consequence);
    }
}

/// Lists whose absence means everything, and that are therefore narrowed by being there.
fn absent_means_all(path: &PolicyPath) -> bool {
    fits("objectives.scenarios.*.using", path).is_some() || NARROWING.iter().any(|(pattern, _)| fits(pattern, path).is_some())
}

/// Of those, the ones by which less is done, and the finding.
const NARROWING: &[(&str, u16)] = &[
    ("backups.*.logical.databases", 901),
    ("backups.*.logical.schemas", 901),
    ("backups.*.logical.tables", 901),
    ("backups.*.logical.sections", 901),
    ("backups.*.copies.*.only", 907),
    ("verify.*.stores", 909),
    ("verify.*.backups", 909),
];

fn narrowed(path: &PolicyPath, change: &Change) -> Option<(u16, String)> {
    let Change::Setting { from: None, to: Some(to), .. } = change else { return None };
    let code = NARROWING.iter().find(|(pattern, _)| fits(pattern, path).is_some()).map(|(_, code)| *code)?;
    let (of, to) = (plain(parent(path)), plain(to));
    let message = match code {
        901 => format!("`{of}` holds only {to}, no longer everything"),
        907 => format!("only {to} is copied by `{of}`, no longer every backup"),
        _ => format!("`{of}` checks only {to}, no longer everything"),
    };
    Some((code, message))
}

/// Lists of what is not in a backup.
const EXCLUSIONS: &[&str] = &[
    "backups.*.logical.exclude_schemas",
    "backups.*.logical.exclude_tables",
    "backups.*.logical.exclude_table_data",
    "backups.*.files.exclude",
];

/// Lists from which nothing should go unnoticed, and the finding when something does.
const LISTS: &[(&str, u16)] = &[
    ("backups.*.logical.databases", 901),
    ("backups.*.logical.schemas", 901),
    ("backups.*.logical.tables", 901),
    ("backups.*.logical.sections", 901),
    ("backups.*.tables.tables", 901),
    ("backups.*.files.paths", 901),
    ("backups.*.copies.*.only", 907),
    ("objectives.data.*.tables", 902),
    ("objectives.scenarios.*.from", 902),
    ("verify.*.stores", 909),
    ("verify.*.backups", 909),
];

pub fn leaf_words(leaf: &Leaf) -> String {
    match leaf {
        Leaf::One(text) => text.clone(),
        Leaf::Set(names) => joined(names),
        Leaf::Row(items) => items.join(", "),
    }
}

fn leaf_items(leaf: Option<&Leaf>) -> Vec<String> {
    match leaf {
        None => Vec::new(),
        Some(Leaf::One(text)) => vec![text.clone()],
        Some(Leaf::Set(names)) => names.iter().cloned().collect(),
        Some(Leaf::Row(items)) => items.clone(),
    }
}

pub fn parent(path: &PolicyPath) -> PolicyPath {
    let steps = path.steps();
    steps.iter().take(steps.len().saturating_sub(1)).fold(PolicyPath::top(), |path, step| match step {
        Step::Key(key) => path.key(key),
        Step::Item(index) => path.item(*index),
    })
}

fn ends_with(path: &PolicyPath, key: &str) -> bool {
    matches!(path.steps().last(), Some(Step::Key(last)) if last == key)
}

fn elements_of(meaning: &Meaning, element: &Element, depth: usize) -> BTreeSet<PolicyPath> {
    let whole = |path: &PolicyPath| {
        let head = path.steps().iter().take(depth).fold(PolicyPath::top(), |path, step| match step {
            Step::Key(key) => path.key(key),
            Step::Item(index) => path.item(*index),
        });
        // A map of limits by job is no limit itself.
        let by_job = element.at == "alerts.thresholds.*" && ends_with(&head, "backup_age_of");
        fits(element.at, &head).filter(|_| !by_job)?;
        Some(head)
    };
    meaning.keys().filter_map(whole).collect()
}

/// What stands below a path, in a few words: `restore latest nightly, schedule every Sunday at 03:00 UTC`.
pub fn summary(meaning: &Meaning, path: &PolicyPath) -> Vec<String> {
    let below: Vec<(&PolicyPath, &Leaf)> = meaning.range(path.clone()..).take_while(|(each, _)| each.starts_with(path)).collect();
    let words = |(each, leaf): &(&PolicyPath, &Leaf)| {
        let key: Vec<String> = each.steps().iter().skip(path.steps().len()).map(step_words).collect();
        plain(format!("{} {}", key.join(" ").replace('_', " "), leaf_words(leaf)).trim())
    };
    let mut said: Vec<String> = below.iter().take(NAMED_SETTINGS).map(words).collect();
    if below.len() > NAMED_SETTINGS {
        said.push(format!("and {}", super::words::counted(below.len() - NAMED_SETTINGS, "more setting")));
    }
    said
}

fn step_words(step: &Step) -> String {
    match step {
        Step::Key(key) => key.clone(),
        Step::Item(index) => index.to_string(),
    }
}
