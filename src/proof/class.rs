//! Storage classes that cost more than they save, or that nothing ever reaches.

use super::facts::{Facts, Rule};
use super::reach::{about, bucket};
use crate::policy::finding::{Code, Finding};
use crate::retention::{Tier, TierClasses, TierKind};
use crate::schedule::Schedule;
use crate::units::{Duration, StorageClass};

const PAID_LONGER: Code = Code(525);
const NEVER_COLDER: Code = Code(526);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for rule in facts.rules() {
        let Some(schedule) = rule.backup.schedule.as_ref() else { continue };
        let classes = rule.copy.map_or(&rule.backup.classes, |copy| &copy.classes);
        for (kind, class) in classes {
            never_colder(&rule, classes, *kind, *class, findings);
            paid_longer(facts, &rule, schedule, *kind, *class, findings);
        }
    }
}

/// What comes under the tier lies in the shorter one's class by then, and nothing is ever moved to what is warmer.
fn never_colder(rule: &Rule<'_>, classes: &TierClasses, kind: TierKind, class: StorageClass, findings: &mut Vec<Finding>) {
    let Some((shorter, colder)) = classes.range(..kind).rev().find(|(_, shorter)| !class.is_colder_than(**shorter)) else { return };
    findings.push(
        Finding::warning(
            NEVER_COLDER,
            rule.path().key(kind).key("storage_class"),
            format!("what comes under `{kind}` lies in {colder} by then, because of `{shorter}`, and {class} is not colder"),
        )
        .label("nothing is ever moved there")
        .hint("Give a longer tier a colder class, or take this one out: without it the shorter tier's class holds.")
        .related(rule.path().key(shorter).key("storage_class"), "the shorter tier's"),
    );
}

/// A class is paid for a least time; whoever takes an object out before pays the rest for nothing.
fn paid_longer<'p>(
    facts: &Facts<'p>,
    rule: &Rule<'p>,
    schedule: &'p Schedule,
    kind: TierKind,
    class: StorageClass,
    findings: &mut Vec<Finding>,
) {
    let gap = facts.shortest_gap(schedule).usual;
    let age = |kind: TierKind, tier: Tier| match tier {
        Tier::Count(count) => bucket(kind).max(gap) * u64::from(count),
        Tier::For(period) => period.approximate(),
    };
    let Some((_, tier)) = rule.keep.tiers().find(|(known, _)| *known == kind) else { return };
    let ends = age(kind, tier);
    let shorter = rule.keep.tiers().filter(|(known, _)| *known < kind).map(|(known, tier)| age(known, tier));
    let others = shorter.chain(rule.keep.last.map(|last| gap * u64::from(last))).chain(rule.keep.within.map(|within| within.approximate()));
    let begins = others.chain(window(facts, rule)).max().unwrap_or(Duration::ZERO);
    let path = rule.path().key(kind).key("storage_class");
    if begins >= ends {
        findings.push(
            Finding::warning(PAID_LONGER, path, format!("other rules keep everything for {}, as long as `{kind}` does", about(begins)))
                .label("nothing is ever moved there")
                .hint(format!("Let `{kind}` keep for longer than they do, or take `storage_class` out.")),
        );
        return;
    }
    let (there, paid) = (Duration::from_secs(ends.as_secs() - begins.as_secs()), Duration::from_days(u64::from(class.paid_days())));
    if there < paid {
        findings.push(
            Finding::warning(
                PAID_LONGER,
                path,
                format!("what `{kind}` keeps lies in {class} for about {} and is paid there for {}", about(there), about(paid)),
            )
            .label("dearer than it looks")
            .hint(format!("Keep it there for at least {}, or take a warmer class for this tier.", about(paid))),
        );
    }
}

/// What the window for recovery to any moment keeps where it is, in stores that have the log.
fn window(facts: &Facts<'_>, rule: &Rule<'_>) -> Option<Duration> {
    let store = rule.copy.map(|copy| &copy.store).or(rule.backup.store.as_ref())?;
    let wal =
        facts.policy.wal.as_ref().filter(|wal| rule.backup.method.is_physical() && (wal.store == *store || wal.copies.contains(store)));
    wal.map(|wal| wal.keep.approximate())
}
