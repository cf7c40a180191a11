//! Rows in the database: how long they stay, and where old ones go.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Direction, Group};
use super::comparison::Comparison;
use super::consequence::Consequence;
use super::meaning::names_below;
use super::settings::fits;
use super::words::{plain, quoted};
use crate::policy::model::Archive;
use crate::policy::path::PolicyPath;
use crate::policy::sql_name;
use crate::units::Period;

impl Comparison<'_> {
    pub fn rows(&mut self) {
        let section = PolicyPath::from(["timescaledb"]);
        let databases: BTreeSet<String> = names_below(&self.was, &section).union(&names_below(&self.is, &section)).cloned().collect();
        for database in databases {
            for kind in ["hypertables", "continuous_aggregates"] {
                let below = section.key(&database).key(kind);
                // A table that is new or gone is neither dropped from nor kept by its absence alone.
                for table in names_below(&self.was, &below).union(&names_below(&self.is, &below)) {
                    let path = below.key(table);
                    self.retain(&path);
                }
            }
        }
        self.archives();
    }

    fn archives(&mut self) {
        let (old, new) = (self.old, self.new);
        let pairs = paired(&old.archives, &new.archives);
        for before in &old.archives {
            match pairs.get(&before.path) {
                Some(after) => self.archive_stays(before, after),
                None => self.archive_goes(&before.path),
            }
        }
        for after in &new.archives {
            if !pairs.values().any(|known| known.path == after.path) {
                self.archive_begins(after);
            }
        }
    }

    fn retain(&mut self, path: &PolicyPath) {
        let at = path.key("retain");
        let read = |text: Option<&str>| text.and_then(|text| text.parse::<Period>().ok());
        let (before, after) = (read(Self::one(&self.was, &at)), read(Self::one(&self.is, &at)));
        if before == after || !Self::stands(&self.is, path) {
            return;
        }
        let shorter = after.is_some_and(|after| before.is_none_or(|before| after.may_be_shorter(before)));
        let new_table = !Self::stands(&self.was, path);
        let direction = if shorter { Direction::Loosened } else { Direction::Tightened };
        let words = |period: Option<Period>| Some(period.map_or_else(|| "for ever".to_owned(), |period| period.to_string()));
        let subject = format!("the time that rows stay in `{}`", plain(path));
        if !new_table {
            let change = Change::Limit { path: at.clone(), subject, from: words(before), to: words(after), direction };
            self.say(Group::Timescaledb, at.clone(), change);
            self.cover(at.clone());
        }
        if let (true, Some(after)) = (shorter, after) {
            let was = before
                .map_or_else(|| "none was dropped by this policy".to_owned(), |before| format!("only those older than {before} were"));
            let message = format!("rows of `{}` older than {after} are dropped; before, {was}", plain(path));
            self.warn(Consequence::destructive(910, at, message).hint("Keep them longer, archive them first, or acknowledge SW0910."));
        }
    }

    fn archive_goes(&mut self, path: &PolicyPath) {
        // The archive of a hypertable stands below it, any other by itself.
        let table = super::comparison::parent(path);
        let message = match fits("archive.*", path).is_some() || Self::stands(&self.is, &table) {
            true => format!("`{}` is removed: old rows are no longer archived before they are dropped", plain(path)),
            false => format!("`{}` is removed with its table: old rows are no longer archived", plain(path)),
        };
        self.warn(Consequence::destructive(910, path.clone(), message).hint("Keep the archive, or acknowledge SW0910."));
    }

    fn archive_begins(&mut self, archive: &Archive) {
        let path = archive.path.clone();
        let gone = archive.keep.map(|keep| archive.after + keep);
        let dropped = self.dropped_after(archive);
        let sooner = gone.is_some_and(|gone| dropped.is_none_or(|dropped| gone.may_be_shorter(dropped)));
        let before = dropped.map(|dropped| format!("; before, those older than {dropped} were dropped")).unwrap_or_default();
        let message = format!("`{}` is new: {}{before}", plain(&path), leaving(archive));
        self.warn(rows_leave(path, message, sooner));
    }

    /// When the old version dropped these rows, and put them nowhere.
    fn dropped_after(&self, archive: &Archive) -> Option<Period> {
        let is_of_it = |other: &Archive| other.database == archive.database && sql_name::same_table(&other.table, &archive.table);
        if self.old.archives.iter().any(is_of_it) {
            return None;
        }
        let section = PolicyPath::from(["timescaledb", &archive.database]);
        let below = ["hypertables", "continuous_aggregates"].map(|kind| section.key(kind));
        let tables = below.iter().flat_map(|below| names_below(&self.was, below).into_iter().map(|table| (below.key(&table), table)));
        let paths: Vec<PolicyPath> =
            tables.filter(|(_, table)| sql_name::same_table(table, &archive.table)).map(|(path, _)| path).collect();
        // One without a schema may be any of several.
        let [path] = paths.as_slice() else { return None };
        Self::one(&self.was, &path.key("retain"))?.parse().ok()
    }

    fn archive_stays(&mut self, before: &Archive, after: &Archive) {
        if !is_of_same_rows(before, after) {
            let message = format!(
                "`{}` is of {} and no longer of {}: those old rows are no longer archived, and {}",
                plain(&after.path),
                rows_of(after),
                rows_of(before),
                leaving(after)
            );
            let consequence = Consequence::destructive(910, after.path.clone(), message);
            self.warn(consequence.hint("Give the other rows an archive of their own, or acknowledge SW0910."));
        } else if after.after.may_be_shorter(before.after) {
            let message = format!("{}; before, only those older than {} did", leaving(after), before.after);
            let gone = |archive: &Archive| archive.keep.map(|keep| archive.after + keep);
            let sooner = gone(after).is_some_and(|after| gone(before).is_none_or(|before| after.may_be_shorter(before)));
            self.warn(rows_leave(after.path.key("after"), message, sooner));
        }
        if let Some(keep) = after.keep
            && before.keep.is_none_or(|before| keep.may_be_shorter(before))
        {
            let was = before.keep.map_or_else(|| "for ever".to_owned(), |keep| keep.to_string());
            let message = format!("archived rows of `{}` stay {keep} instead of {was}", plain(&after.path));
            let consequence = Consequence::destructive(910, after.path.key("keep"), message);
            self.warn(consequence.hint("Keep them longer, or acknowledge SW0910."));
        }
        if before.store != after.store {
            let message = format!(
                "rows that `{}` has archived to `{}` are out of sight: it looks in `{}`",
                plain(&after.path),
                before.store,
                after.store
            );
            let consequence = Consequence::destructive(910, after.path.key("store"), message);
            self.warn(consequence.hint("Move the archived rows first, or acknowledge SW0910."));
        }
    }
}

/// Rows leave their table; some day for good, or they stay where they go.
fn rows_leave(path: PolicyPath, message: String, for_good: bool) -> Consequence {
    match for_good {
        true => Consequence::destructive(910, path, message).hint("Keep them longer, or acknowledge SW0910."),
        false => Consequence::warning(910, path, message),
    }
}

/// `rows of orders in shop older than 5y leave the table for cold and are deleted there 30d later`
fn leaving(archive: &Archive) -> String {
    let then = archive.keep.map_or_else(|| "stay there".to_owned(), |keep| format!("are deleted there {keep} later, for good"));
    format!(
        "rows of {} in {} older than {} leave the table for `{}` and {then}",
        quoted(&archive.table),
        quoted(&archive.database),
        archive.after,
        archive.store
    )
}

fn rows_of(archive: &Archive) -> String {
    let column = archive.column.as_ref().map(|column| format!(" by {}", quoted(column))).unwrap_or_default();
    format!("{} in {}{column}", quoted(&archive.table), quoted(&archive.database))
}

/// What each archive has become, by its old path. One of the same rows is the same, whatever it is called.
fn paired<'p>(old: &'p [Archive], new: &'p [Archive]) -> BTreeMap<&'p PolicyPath, &'p Archive> {
    let is_called_alike = |one: &Archive, other: &Archive| one.path == other.path;
    let is_unchanged = |one: &Archive, other: &Archive| is_called_alike(one, other) && is_of_same_rows(one, other);
    let mut pairs: BTreeMap<&PolicyPath, &Archive> = BTreeMap::new();
    for alike in [&is_unchanged as &dyn Fn(&Archive, &Archive) -> bool, &is_of_same_rows, &is_called_alike] {
        for before in old {
            let free = |after: &&Archive| !pairs.values().any(|taken| taken.path == after.path);
            let found = new.iter().filter(free).find(|after| alike(before, after));
            if let (Some(after), false) = (found, pairs.contains_key(&before.path)) {
                pairs.insert(&before.path, after);
            }
        }
    }
    pairs
}

/// The same table, and the same rows of it are old.
fn is_of_same_rows(one: &Archive, other: &Archive) -> bool {
    let column = |archive: &Archive| archive.column.as_deref().map(sql_name::meaning);
    one.database == other.database && sql_name::same_table(&one.table, &other.table) && column(one) == column(other)
}
