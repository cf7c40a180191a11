//! Rows in the database: how long they stay, and where old ones go.

use super::change::{Change, Direction, Group};
use super::comparison::Comparison;
use super::consequence::Consequence;
use super::meaning::names_below;
use super::words::plain;
use crate::policy::path::PolicyPath;
use crate::units::Period;

impl Comparison<'_> {
    pub fn rows(&mut self) {
        let section = PolicyPath::from(["timescaledb"]);
        let databases: std::collections::BTreeSet<String> =
            names_below(&self.was, &section).union(&names_below(&self.is, &section)).cloned().collect();
        for database in databases {
            for kind in ["hypertables", "continuous_aggregates"] {
                let below = section.key(&database).key(kind);
                // A table that is new or gone is neither dropped from nor kept by its absence alone.
                for table in names_below(&self.was, &below).union(&names_below(&self.is, &below)) {
                    let path = below.key(table);
                    self.retain(&path);
                    self.archive(&path.key("archive"), Self::stands(&self.is, &path));
                }
            }
        }
        let section = PolicyPath::from(["archive"]);
        for name in names_below(&self.was, &section) {
            self.archive(&section.key(name), true);
        }
    }

    fn retain(&mut self, path: &PolicyPath) {
        let at = path.key("retain");
        let read = |text: Option<&str>| text.and_then(|text| text.parse::<Period>().ok());
        let (before, after) = (read(Self::one(&self.was, &at)), read(Self::one(&self.is, &at)));
        if before == after || !Self::stands(&self.is, path) {
            return;
        }
        let shorter = after.is_some_and(|after| before.is_none_or(|before| after < before));
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

    fn archive(&mut self, path: &PolicyPath, table_stays: bool) {
        if !Self::stands(&self.was, path) {
            return;
        }
        if !Self::stands(&self.is, path) {
            let message = match table_stays {
                true => format!("`{}` is removed: old rows are no longer archived before they are dropped", plain(path)),
                false => format!("`{}` is removed with its table: old rows are no longer archived", plain(path)),
            };
            self.warn(Consequence::destructive(910, path.clone(), message).hint("Keep the archive, or acknowledge SW0910."));
            return;
        }
        let at = path.key("keep");
        let read = |text: Option<&str>| text.and_then(|text| text.parse::<Period>().ok());
        let (before, after) = (read(Self::one(&self.was, &at)), read(Self::one(&self.is, &at)));
        if let Some(after) = after
            && before.is_none_or(|before| after < before)
        {
            let message = format!(
                "archived rows of `{}` stay {after} instead of {}",
                plain(path),
                before.map_or_else(|| "for ever".to_owned(), |before| before.to_string())
            );
            self.warn(Consequence::destructive(910, at, message).hint("Keep them longer, or acknowledge SW0910."));
        }
        let store = path.key("store");
        if let (Some(before), Some(after)) = (Self::one(&self.was, &store), Self::one(&self.is, &store))
            && before != after
        {
            let message = format!("rows that `{}` has archived to `{before}` are out of sight: it looks in `{after}`", plain(path));
            self.warn(Consequence::destructive(910, store, message).hint("Move the archived rows first, or acknowledge SW0910."));
        }
    }
}
