//! Increments and what they build on.

use super::facts::{Facts, job};
use super::reach::{about, oldest};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::Method;

const OUTLIVES_BASE: Code = Code(502);
const NEVER_FULL: Code = Code(516);
const NO_NEW_BASE: Code = Code(519);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for (name, backup, schedule) in facts.scheduled() {
        let Method::Incremental { of, chain } = &backup.method else { continue };
        let Some(base) = facts.policy.backups.get(of) else { continue };
        let Some(base_schedule) = &base.schedule else {
            findings.push(
                Finding::warning(
                    NO_NEW_BASE,
                    job(name).key("incremental").key("of"),
                    format!("`backups.{of}` has no schedule: the increments never get a new base"),
                )
                .hint("Give the base a schedule; otherwise each increment has more to carry, or a longer chain, than the one before.")
                .related(job(of), "the base"),
            );
            continue;
        };
        let gap = facts.longest_gap(schedule).usual;
        let base_gap = facts.longest_gap(base_schedule);
        // An increment without a rule stays for ever: that is said elsewhere.
        if let (Some(increments), Some(bases)) = (oldest(&backup.keep, gap), oldest(&base.keep, base_gap.usual))
            && increments > bases
        {
            findings.push(
                Finding::warning(
                    OUTLIVES_BASE,
                    job(name).key("keep"),
                    format!("increments are kept for up to {} and `backups.{of}` for {}", about(increments), about(bases)),
                )
                .label("keeps the base as well")
                .hint("An increment is nothing without its base, which stays as long: keep the base that long, and the increments shorter.")
                .related(job(of).key("keep"), "the base"),
            );
        }
        if let Some(chain) = *chain {
            let most = base_gap.length.as_secs().div_ceil(facts.shortest_gap(schedule).length.as_secs().max(1));
            if u64::from(chain) > most {
                findings.push(
                    Finding::note(
                        NEVER_FULL,
                        job(name).key("incremental").key("chain"),
                        format!("never more than {most} increments follow one another before `backups.{of}` makes a new base"),
                    )
                    .hint(format!("Write `chain: {most}`, so that it says what happens."))
                    .related(job(of).key("schedule"), "the base"),
                );
            }
        }
    }
}
