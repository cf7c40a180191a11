//! Stores and the log's way into them.

use super::change::{Change, Direction, Group};
use super::comparison::Comparison;
use super::consequence::{Consequence, Existing};
use super::meaning::element;
use super::words::{joined, quoted};
use crate::policy::file::{Immutable, LockMode};
use crate::policy::model::{Method, Policy, Wal};
use crate::policy::path::PolicyPath;
use crate::units::Name;

impl Comparison<'_> {
    // ---- the log -----------------------------------------------------------------------------------------------------

    pub fn log(&mut self) {
        let path = PolicyPath::from(["wal"]);
        match (&self.old.wal, &self.new.wal) {
            (None, None) => {}
            (None, Some(wal)) => {
                self.say(Group::Starts, path.clone(), Change::Starts { path: path.clone(), does: log_words(wal) });
                self.cover(path);
            }
            (Some(wal), None) => {
                self.say(Group::Stops, path.clone(), Change::Stops { path: path.clone(), did: log_words(wal) });
                self.cover(path.clone());
                let message = format!("the log is no longer archived: no moment after a backup can be recovered, where {} could", wal.keep);
                let consequence = Consequence::destructive(904, path, message).hint("Keep `wal`, or acknowledge SW0904.");
                self.warn(consequence);
            }
            (Some(before), Some(after)) => self.log_changes(before, after),
        }
        self.base_goes();
    }

    fn log_changes(&mut self, before: &Wal, after: &Wal) {
        let path = PolicyPath::from(["wal"]);
        if before.keep != after.keep {
            let at = path.key("keep");
            let direction = if after.keep.may_be_shorter(before.keep) { Direction::Loosened } else { Direction::Tightened };
            let subject = "the window for recovery to any moment".to_owned();
            let (from, to) = (Some(before.keep.to_string()), Some(after.keep.to_string()));
            self.say(Group::Retention, at.clone(), Change::Limit { path: at.clone(), subject, from, to, direction });
            self.cover(at);
        }
        let (old, new) = (stores_of(before), stores_of(after));
        for store in old.iter().filter(|store| !new.contains(store)) {
            let at = if before.store == **store { path.key("store") } else { path.key("copies") };
            let rest = joined(new.iter().map(|store| format!("`{store}`")));
            let message = format!("the log no longer goes to `{store}`; it goes to {rest}");
            let consequence = Consequence::destructive(907, at, message)
                .hint("Acknowledge SW0907 when the other places are enough.")
                .existing(self.world.existing(
                    &[*store],
                    |backup| backup.kind.is_physical(),
                    "can be replayed to any later moment with the log in this store",
                    "can be replayed only up to the moment when the log no longer comes",
                ));
            self.warn(consequence);
        }
        if !old.iter().any(|store| new.contains(store)) {
            let at = path.key("store");
            let message = "no store that has the log goes on getting it: recovery to any moment begins anew with the next full backup";
            self.warn(
                Consequence::destructive(904, at, message)
                    .hint("Keep a former store as a copy until the window has passed, or acknowledge SW0904."),
            );
        }
    }

    /// The log is of use only from a base on.
    fn base_goes(&mut self) {
        let has_base = |policy: &Policy| {
            policy.wal.as_ref().is_some_and(|wal| {
                let stores = stores_of(wal);
                let base = |name: &Name| policy.stores_of(name).iter().any(|store| stores.contains(store));
                policy.backups.iter().any(|(name, backup)| matches!(backup.method, Method::Physical(_)) && base(name))
            })
        };
        if self.new.wal.is_some() && has_base(self.old) && !has_base(self.new) {
            let path = PolicyPath::from(["wal"]);
            let message = "no full physical backup is taken any more where the log is: there will be nothing to begin a recovery with";
            self.warn(Consequence::destructive(904, path, message).hint("Keep a physical backup beside the log, or acknowledge SW0904."));
        }
    }

    // ---- the stores --------------------------------------------------------------------------------------------------

    pub fn stores(&mut self) {
        let (old, new) = (self.old, self.new);
        for (name, before) in &old.stores {
            let path = element("stores", name);
            let Some(after) = new.stores.get(name) else {
                self.store_goes(name);
                continue;
            };
            let (from, to) = (before.kind.url(), after.kind.url());
            if from != to {
                self.store_moves(name, &from, &to);
            }
            if let Some(lock) = &before.immutable {
                self.lock(&path.key("immutable"), lock, after.immutable.as_ref());
            }
            if before.immutable.is_none()
                && let Some(lock) = &after.immutable
            {
                let at = path.key("immutable");
                self.say(Group::Stores, at.clone(), Change::Starts { path: at.clone(), does: vec![lock_words(lock)] });
                self.cover(at);
            }
        }
        for (name, store) in &new.stores {
            if !old.stores.contains_key(name) {
                let path = element("stores", name);
                let does = vec![quoted(store.kind.url())];
                self.say(Group::Stores, path.clone(), Change::Starts { path: path.clone(), does });
                self.cover(path);
            }
        }
    }

    fn store_goes(&mut self, name: &Name) {
        let path = element("stores", name);
        let url = self.old.stores.get(name).map(|store| store.kind.url()).unwrap_or_default();
        let did = vec![quoted(&url)];
        self.say(Group::Stores, path.clone(), Change::Stops { path: path.clone(), did });
        self.cover(path.clone());
        let other = self.new.stores.iter().find(|(_, store)| store.kind.url() == url).map(|(other, _)| other);
        let message = match other {
            Some(other) => format!("the store `{name}` is called `{other}` now; it is the same place, and its backups are found there"),
            None => format!("the store `{name}` is removed: what lies there is no longer managed, verified or restored from"),
        };
        if other.is_some() {
            self.warn(Consequence::new(907, crate::policy::finding::Weight::Note, path, message));
            return;
        }
        let existing = self.all_in(name, "no store of the policy is there");
        let consequence = Consequence::destructive(907, path, message)
            .hint("Keep the store until its last backup may go, or acknowledge SW0907.")
            .existing(existing);
        self.warn(consequence);
    }

    fn store_moves(&mut self, name: &Name, from: &str, to: &str) {
        let path = element("stores", name);
        let place = |url: &str| Some(super::words::plain(url));
        self.say(Group::Stores, path.clone(), Change::Moves { path: path.clone(), from: place(from), to: place(to) });
        for (kind, keys) in [
            ("local", &["path"][..]),
            ("s3", &["bucket", "prefix", "endpoint"]),
            ("azure", &["account", "container", "prefix", "endpoint"]),
            ("gcs", &["bucket", "prefix", "endpoint"]),
        ] {
            for key in keys {
                self.cover(path.key(kind).key(key));
            }
        }
        let message =
            format!("`stores.{name}` points elsewhere: existing backups are out of sight, and increments lose what they build on");
        let existing = self.all_in(name, &format!("stays at {}, where nobody looks any more", super::words::plain(from)));
        let consequence = Consequence::destructive(913, path, message)
            .hint("Give the new place a name of its own and keep the old one until its last backup may go, or acknowledge SW0913.")
            .existing(existing);
        self.warn(consequence);
    }

    fn all_in(&self, store: &Name, after: &str) -> Existing {
        self.world.existing(&[store], |_| true, &format!("in `{store}`"), after)
    }

    fn lock(&mut self, path: &PolicyPath, before: &Immutable, after: Option<&Immutable>) {
        let (from, to) = (lock_words(before), after.map(lock_words));
        let weaker = match after {
            None => true,
            Some(after) => after.r#for < before.r#for || (before.mode == LockMode::Compliance && after.mode == LockMode::Governance),
        };
        if to.as_ref() == Some(&from) {
            return;
        }
        let direction = if weaker { Direction::Loosened } else { Direction::Tightened };
        let subject = format!("the lock on `{}`", super::comparison::parent(path));
        let change = Change::Limit { path: path.clone(), subject, from: Some(from), to, direction };
        if weaker {
            let consequence =
                Consequence::destructive(911, path.clone(), format!("{change}: what is written from now on can be deleted sooner"))
                    .hint("Objects that are locked already stay so. Acknowledge SW0911 when that is meant.");
            self.warn(consequence);
        }
        self.say(Group::Stores, path.clone(), change);
        self.cover(path.clone());
    }
}

fn lock_words(lock: &Immutable) -> String {
    let mode = match lock.mode {
        LockMode::Governance => "governance",
        LockMode::Compliance => "compliance",
    };
    format!("{mode} for {}", lock.r#for)
}

fn stores_of(wal: &Wal) -> Vec<&Name> {
    std::iter::once(&wal.store).chain(&wal.copies).collect()
}

fn log_words(wal: &Wal) -> Vec<String> {
    let mut words = vec!["the log is archived".to_owned(), format!("to `{}`", wal.store)];
    if !wal.copies.is_empty() {
        words.push(format!("copied to {}", joined(wal.copies.iter().map(|store| format!("`{store}`")))));
    }
    words.push(format!("at least every {}", wal.timeout));
    words.push(format!("any moment of the last {}", wal.keep));
    words
}
