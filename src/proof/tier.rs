//! Retention rules that do not mean what they seem to, given how often the job runs.

use super::facts::{Facts, Rule, job};
use super::reach::{about, bucket, oldest};
use crate::policy::finding::{Code, Finding};
use crate::retention::{Tier, TierKind};
use crate::schedule::Schedule;

const TOO_RARE: Code = Code(507);
const GONE_BEFORE_NEXT: Code = Code(518);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for rule in facts.rules() {
        let Some(schedule) = rule.backup.schedule.as_ref() else { continue };
        too_rare(facts, &rule, schedule, findings);
        gone_before_next(facts, &rule, schedule, findings);
    }
}

/// Sixty daily ones of a weekly job are sixty weeks: more than their reader expects.
fn too_rare<'p>(facts: &Facts<'p>, rule: &Rule<'p>, schedule: &'p Schedule, findings: &mut Vec<Finding>) {
    for (kind, tier) in rule.keep.tiers() {
        let Tier::Count(count) = tier else { continue };
        let gap = facts.shortest_gap(schedule).usual;
        if count < 2 || gap.as_secs() * 2 <= bucket(kind).as_secs() * 3 {
            continue;
        }
        let word = kind.bucket_word();
        let article = if kind == TierKind::Hourly { "an" } else { "a" };
        findings.push(
            Finding::warning(
                TOO_RARE,
                rule.path().key(kind),
                format!(
                    "the job runs less than once {article} {word}, so `{kind}: {count}` keeps {} and not {}",
                    about(gap * u64::from(count)),
                    about(bucket(kind) * u64::from(count)),
                ),
            )
            .hint("Only buckets that have a backup count. Use the tier that fits the schedule, `last`, or an age such as `30d`.")
            .related(job(rule.job).key("schedule"), "the schedule"),
        );
    }
}

/// Each one goes before the next is due, and only the rule that the newest good one is never deleted keeps anything.
fn gone_before_next<'p>(facts: &Facts<'p>, rule: &Rule<'p>, schedule: &'p Schedule, findings: &mut Vec<Finding>) {
    let gap = facts.longest_gap(schedule).usual;
    let Some(age) = oldest(rule.keep, gap).filter(|age| *age < gap) else { return };
    findings.push(
        Finding::warning(
            GONE_BEFORE_NEXT,
            rule.path(),
            format!("backups are kept for {} and the next can be {} away", about(age), about(gap)),
        )
        .label("leaves nothing but the newest one")
        .hint("Keep them for at least two runs, so that a damaged one is not the only one.")
        .related(job(rule.job).key("schedule"), "the schedule"),
    );
}
