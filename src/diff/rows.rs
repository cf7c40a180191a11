//! Rows in the database: how long they stay, and where old ones go.

use std::collections::BTreeSet;

use super::change::{Change, Direction, Group};
use super::comparison::Comparison;
use super::consequence::Consequence;
use super::meaning::names_below;
use super::settings::fits;
use super::words::{plain, quoted};
use crate::policy::model::{Archive, Policy};
use crate::policy::path::PolicyPath;
use crate::policy::sql_name;
use crate::units::Period;

impl<'p> Comparison<'p> {
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
        let (old, new) = (self.old, self.new);
        let at = |policy: &'p Policy, path: &PolicyPath| policy.archives.iter().find(|archive| archive.path == *path);
        let paths: BTreeSet<&PolicyPath> = old.archives.iter().chain(&new.archives).map(|archive| &archive.path).collect();
        for path in paths {
            match (at(old, path), at(new, path)) {
                (Some(_), None) => self.archive_goes(path),
                (None, Some(archive)) => self.archive_begins(archive),
                (Some(before), Some(after)) => self.archive_stays(before, after),
                (None, None) => {}
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
        let message = format!("`{}` is new: {}", plain(&path), leaving(archive));
        self.warn(rows_leave(path, message, archive.keep.is_some()));
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

/// The same table, and the same rows of it are old.
fn is_of_same_rows(one: &Archive, other: &Archive) -> bool {
    let column = |archive: &Archive| archive.column.as_deref().map(sql_name::meaning);
    one.database == other.database && sql_name::same_table(&one.table, &other.table) && column(one) == column(other)
}
