//! A lock by the store itself is stronger than any rule of the policy.

use super::facts::{Facts, job, store};
use super::reach::youngest;
use crate::policy::finding::{Code, Finding};
use crate::policy::path::PolicyPath;
use crate::units::{Duration, Name};

const LOCKED_LONGER: Code = Code(505);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    for (name, declared) in &policy.stores {
        let Some(lock) = &declared.immutable else { continue };
        let locked = lock.r#for.approximate();
        let mut too_soon: Vec<(Duration, PolicyPath, String)> = Vec::new();
        for (backup_name, backup, schedule) in facts.scheduled() {
            for (copy, keep) in places(backup, name) {
                let Some(age) = youngest(keep, facts.shortest_gap(schedule).usual).filter(|age| *age < locked) else { continue };
                let path = match copy {
                    true => job(backup_name).key("copies").key(name),
                    false => job(backup_name).key("keep"),
                };
                too_soon.push((age, path, format!("`backups.{backup_name}` lets some go after {age}")));
            }
        }
        if let Some(wal) = policy.wal.as_ref().filter(|wal| wal.store == *name || wal.copies.contains(name))
            && wal.keep.approximate() < locked
        {
            too_soon.push((wal.keep.approximate(), PolicyPath::from(["wal", "keep"]), format!("`wal.keep` is {}", wal.keep)));
        }
        too_soon.sort_by_key(|(age, ..)| *age);
        let Some((_, _, soonest)) = too_soon.first() else { continue };
        let finding = Finding::warning(
            LOCKED_LONGER,
            store(name).key("immutable").key("for"),
            format!("objects are locked for {} and {soonest}", lock.r#for),
        )
        .label("they stay, and are paid for, until then")
        .hint("Lock for no longer than the shortest `keep`, or acknowledge this if the lock is meant to outlast it.");
        findings.push(too_soon.into_iter().fold(finding, |finding, (_, path, why)| finding.related(path, why)));
    }
}

/// The rules by which a job's backups stay in this store, and whether they are copies there.
fn places<'p>(backup: &'p crate::policy::model::Backup, store: &'p Name) -> impl Iterator<Item = (bool, &'p crate::retention::Keep)> {
    let first = backup.store.iter().filter(move |home| *home == store).map(|_| (false, &backup.keep));
    // What is only copied for some tiers is kept as long as these say.
    let copies = backup.copies.iter().filter(move |copy| copy.store == *store && copy.only.is_empty()).map(|copy| (true, &copy.keep));
    first.chain(copies)
}
