//! What a drill restores, and from where: all else that it proves is a setting of its own.

use super::comparison::Comparison;
use super::consequence::Consequence;
use super::meaning::element;
use super::words::{joined, quoted};
use crate::policy::file::DrillMoment;
use crate::policy::model::{Drill, DrillRestore, DrilledTables, Policy};
use crate::units::Name;

impl Comparison<'_> {
    pub fn drills(&mut self) {
        let (old, new) = (self.old, self.new);
        for (name, before) in &old.drills {
            let Some(after) = new.drills.get(name) else { continue };
            let path = element("drills", name);
            if restores_less(old, before, after) {
                let message = format!("`drills.{name}` restores {} and no longer {}", words(after), words(before));
                self.warn(Consequence::warning(909, path.key("restore"), message));
            }
            if let (Some(from), Some(to)) = (source(old, before), source(new, after))
                && from != to
                && before.from != after.from
            {
                let message = format!("`drills.{name}` restores from `{to}` and no longer from `{from}`: nothing proves what lies there");
                self.warn(Consequence::warning(909, path.key("from"), message));
            }
        }
    }
}

/// What was restored before need not be proven by what is restored now.
fn restores_less(policy: &Policy, before: &Drill, after: &Drill) -> bool {
    is_of_less(policy, &before.restore, &after.restore)
        || has_less(before.tables.as_ref(), after.tables.as_ref())
        || measures_less(policy, before, after)
}

fn is_of_less(policy: &Policy, before: &DrillRestore, after: &DrillRestore) -> bool {
    use DrillRestore::{Latest, PointInTime, Random};
    let is_physical = |job: &Name| policy.backups.get(job).is_some_and(|backup| backup.method.is_physical());
    match (before, after) {
        (PointInTime(DrillMoment::Random), PointInTime(after)) => *after != DrillMoment::Random,
        (PointInTime(DrillMoment::Newest), PointInTime(_)) => false,
        (PointInTime(_), _) => true,
        (Random(job) | Latest(job), PointInTime(_)) => !is_physical(job),
        (Random(job), Random(other)) | (Latest(job), Latest(other) | Random(other)) => job != other,
        (Random(_), Latest(_)) => true,
    }
}

/// A few tables where it was everything, or not all of those that it was.
fn has_less(before: Option<&DrilledTables>, after: Option<&DrilledTables>) -> bool {
    match (before, after) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(before), Some(after)) => before.database != after.database || before.tables.iter().any(|table| !after.tables.contains(table)),
    }
}

/// Of fewer tiers it says when they are usable; or one database comes back where it was every one.
fn measures_less(policy: &Policy, before: &Drill, after: &Drill) -> bool {
    let measured = after.measures(policy);
    let is_all = before.tables.is_none() && before.tiers.is_none() && policy.databases.len() > 1;
    before.measures(policy).iter().any(|tier| !measured.contains(tier)) || (is_all && after.tiers.is_some())
}

fn words(drill: &Drill) -> String {
    let of = match &drill.restore {
        DrillRestore::PointInTime(DrillMoment::Random) => "any moment of the window".into(),
        DrillRestore::PointInTime(DrillMoment::Newest) => "the newest moment".into(),
        DrillRestore::Random(job) => format!("any backup of `{job}`"),
        DrillRestore::Latest(job) => format!("the newest backup of `{job}`"),
    };
    match (&drill.tables, &drill.tiers) {
        (Some(some), _) => format!("{} in {} from {of}", joined(some.tables.iter().map(quoted)), quoted(&some.database)),
        (None, Some(tiers)) => format!("{} tier by tier from {of}", quoted(&tiers.database)),
        (None, None) => of,
    }
}

/// The store that it restores from.
fn source<'p>(policy: &'p Policy, drill: &'p Drill) -> Option<&'p Name> {
    let usual = match &drill.restore {
        DrillRestore::Latest(job) | DrillRestore::Random(job) => policy.store_of(job),
        DrillRestore::PointInTime(_) => policy.wal.as_ref().map(|wal| &wal.store),
    };
    drill.from.as_ref().or(usual)
}
