//! A lock by the store itself is stronger than any rule of the policy.

use super::facts::{Facts, job, store};
use super::reach::{oldest, youngest};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Backup, Method};
use crate::policy::path::PolicyPath;
use crate::units::{Duration, Name, Period};

const LOCKED_LONGER: Code = Code(505);
const FREE_FIRST: Code = Code(520);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    for (name, declared) in &policy.stores {
        let Some(lock) = &declared.immutable else { continue };
        let locked = lock.r#for.approximate();
        let mut too_soon: Vec<(Duration, PolicyPath, String)> = Vec::new();
        for (backup_name, backup, schedule) in facts.scheduled() {
            for (copy, keep) in places(backup, name) {
                // A full one is needed for as long as increments upon it, so it may well be locked for longer.
                let builds = full_every(backup).unwrap_or(Duration::ZERO);
                let Some(age) = youngest(keep, facts.shortest_gap(schedule).usual).filter(|age| *age + builds < locked) else { continue };
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
        free_first(facts, name, (&lock.r#for, locked), findings);
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

/// The lock of a full backup begins, and ends, before those of increments upon it.
fn free_first(facts: &Facts<'_>, name: &Name, (written, locked): (&Period, Duration), findings: &mut Vec<Finding>) {
    for (backup_name, backup, schedule) in facts.scheduled() {
        let Some(every) = full_every(backup) else { continue };
        for (_, keep) in places(backup, name) {
            // Locked until the last increment goes, it is there for as long as anybody wants it.
            let needed = oldest(keep, facts.longest_gap(schedule).usual).map(|age| age + every);
            if needed.is_some_and(|needed| needed <= locked) {
                continue;
            }
            let path = store(name).key("immutable").key("for");
            let message = format!(
                "a full backup of `backups.{backup_name}` is locked for {written}, and increments upon it for up to {every} longer"
            );
            findings.push(
                Finding::note(FREE_FIRST, path, message)
                    .label("then whoever may delete takes the increments with what they build on")
                    .hint(format!("What must be there for {written}, whatever somebody deletes, is locked for {every} more."))
                    .related(job(backup_name).key("files").key("full_every"), "how old what an increment builds on becomes"),
            );
        }
    }
}

/// How old the full backup becomes that increments are taken upon.
fn full_every(backup: &Backup) -> Option<Duration> {
    match &backup.method {
        Method::Files(files) => files.full_every,
        _ => None,
    }
}

/// The rules by which a job's backups stay in this store, and whether they are copies there.
fn places<'p>(backup: &'p Backup, store: &'p Name) -> impl Iterator<Item = (bool, &'p crate::retention::Keep)> {
    let first = backup.store.iter().filter(move |home| *home == store).map(|_| (false, &backup.keep));
    // What is only copied for some tiers is kept as long as these say.
    let copies = backup.copies.iter().filter(move |copy| copy.store == *store && copy.only.is_empty()).map(|copy| (true, &copy.keep));
    first.chain(copies)
}
