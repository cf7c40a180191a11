//! Holds: what is released, and what only they protected.

use std::collections::BTreeMap;

use super::comparison::Comparison;
use super::consequence::{Consequence, Existing, ExistingBackup};
use super::meaning::element;
use super::words::{plain, quoted};
use crate::inventory::Hold;
use crate::policy::file::Date;
use crate::policy::model::RowHold;
use crate::policy::path::PolicyPath;
use crate::schedule::Zone;
use crate::units::{Instant, Name};

impl Comparison<'_> {
    pub fn holds(&mut self) {
        let today = self.world.now.to_zoned(self.new.zone.time_zone().clone()).date();
        let (old, new) = (self.old, self.new);
        for (name, hold) in &old.row_holds {
            let path = element("holds", name);
            if !hold.stands_on(today) {
                continue;
            }
            let rows = |hold: &RowHold| format!("rows of {} in {}", quoted(&hold.table), quoted(&hold.database));
            let condition = |file: &crate::policy::file::PolicyFile| {
                file.holds.get(name.as_str()).and_then(|hold| hold.rows.as_ref()).and_then(|rows| rows.r#where.clone())
            };
            let message = match new.row_holds.get(name) {
                None => format!("the hold `{name}` on {} is released (reason: {})", rows(hold), plain(&hold.reason)),
                Some(other) if holds_the_same(other, hold) && condition(&new.file) == condition(&old.file) => continue,
                Some(other) if holds_the_same(other, hold) && condition(&new.file).is_none() => continue,
                Some(_) => format!("the hold `{name}` on {} may protect less than it did", rows(hold)),
            };
            let consequence = Consequence::destructive(905, path, message)
                .hint("Ask whoever asked for the hold, then acknowledge SW0905.")
                .existing(Existing::unknown("which rows it protected cannot be told from here"));
            self.warn(consequence);
        }
    }

    /// The holds on backups that the new policy does not have as they were, with what only they protected.
    pub fn released_holds(&mut self, mut lost: BTreeMap<Name, Vec<ExistingBackup>>) {
        for hold in self.released() {
            let path = element("holds", &hold.name);
            let remaining = self.new.backup_holds.iter().find(|other| other.name == hold.name);
            let what = match remaining {
                None => format!("the hold `{}` is released (reason: {})", hold.name, plain(&hold.reason)),
                Some(other) => self.less_is_held(&hold, other),
            };
            let backups = lost.remove(&hold.name).unwrap_or_default();
            let stores: Vec<&Name> = self.old.stores.keys().collect();
            let unknown = stores.iter().find_map(|store| self.world.store(store).err());
            let consequence = match (unknown, backups.is_empty()) {
                // Some store could not be seen: what was found elsewhere is not all of it.
                (Some(reason), true) => destructive(path, what).existing(Existing::unknown(reason)),
                (Some(reason), false) => {
                    let message = format!("{what}; not all stores could be seen: {reason}");
                    destructive(path, message).existing(Existing::known(backups))
                }
                (None, true) => Consequence::warning(905, path, format!("{what}; no existing backup was protected by it alone")),
                (None, false) => {
                    destructive(path, format!("{what}; backups that only it protected become deletable")).existing(Existing::known(backups))
                }
            };
            self.warn(consequence);
        }
    }

    fn less_is_held(&self, hold: &Hold, other: &Hold) -> String {
        let day = |zone: &Zone, until: Instant| until.to_zoned(zone.time_zone().clone()).date();
        match (hold.until, other.until) {
            (before, Some(after)) if before.is_none_or(|before| after < before) => {
                let was = before
                    .map_or_else(|| "before, it had no end".to_owned(), |before| format!("before, on {}", day(&self.old.zone, before)));
                format!("the hold `{}` ends on {}; {was}", hold.name, day(&self.new.zone, after))
            }
            _ => format!("the hold `{}` protects less than it did", hold.name),
        }
    }
}

fn destructive(path: PolicyPath, message: String) -> Consequence {
    Consequence::destructive(905, path, message).hint("Ask whoever asked for the hold, then acknowledge SW0905.")
}

/// At least the same rows, at least as long.
fn holds_the_same(other: &RowHold, hold: &RowHold) -> bool {
    let earlier = |one: Option<Date>, other: Option<Date>| one.is_none() || other.is_some_and(|other| one.is_some_and(|one| one <= other));
    let later = |one: Option<Date>, other: Option<Date>| one.is_none() || other.is_some_and(|other| one.is_some_and(|one| one >= other));
    other.database == hold.database
        && other.table == hold.table
        && earlier(other.from, hold.from)
        && later(other.to, hold.to)
        && later(other.until, hold.until)
}

#[cfg(test)]
mod tests {
    use crate::diff::losses::covers;
    use crate::inventory::{Hold, Selection};

    #[test]
    fn a_wider_hold_protects_all_that_a_narrower_one_does() {
        let hold = |jobs: &[&str], labels: &[&str]| Hold {
            name: "case".parse().expect("a name"),
            reason: "because".into(),
            until: None,
            passing: false,
            selects: Selection {
                jobs: jobs.iter().map(|job| job.parse().expect("a name")).collect(),
                labels: labels.iter().map(|label| (*label).to_owned()).collect(),
                ..Selection::default()
            },
        };
        assert!(covers(&hold(&[], &[]), &hold(&["nightly"], &[])));
        assert!(covers(&hold(&["nightly"], &[]), &hold(&["nightly"], &["x"])));
        assert!(!covers(&hold(&["nightly"], &[]), &hold(&[], &[])));
        assert!(!covers(&hold(&["nightly"], &["x"]), &hold(&["nightly"], &[])));
    }
}
