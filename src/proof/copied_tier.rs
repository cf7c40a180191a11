//! Copies of tiers that are not kept there.

use super::facts::{Facts, job};
use crate::policy::file::{Copies, OneOrMany};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::CopyTo;
use crate::policy::path::PolicyPath;
use crate::retention::TierKind;
use crate::units::Name;

const NOT_KEPT_THERE: Code = Code(511);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for (name, backup) in &facts.policy.backups {
        for copy in &backup.copies {
            for (index, tier) in copy.only.iter().map(|tier| TierKind::from(*tier)).enumerate() {
                if !copy.has_tier(tier) {
                    findings.push(not_kept(facts, name, copy, (index, tier)));
                }
            }
        }
    }
}

fn not_kept(facts: &Facts<'_>, name: &Name, copy: &CopyTo, (index, tier): (usize, TierKind)) -> Finding {
    let of_copy = job(name).key("copies").key(&copy.store);
    let written = match facts.policy.file.backups.get(name).and_then(|written| written.copies.as_ref()) {
        Some(Copies::Rules(rules)) => rules.get(&copy.store),
        _ => None,
    };
    let keep = if written.is_some_and(|rule| rule.keep.is_some()) { of_copy.key("keep") } else { job(name).key("keep") };
    let only = of_copy.key("only");
    let is_list = written.is_some_and(|rule| matches!(rule.only, Some(OneOrMany::Many(_))));
    let path: PolicyPath = if is_list { only.item(index) } else { only };
    let what = if copy.stays_empty() { "nothing is ever copied" } else { "none is copied for it" };
    Finding::error(NOT_KEPT_THERE, path, format!("`{}` keeps no `{tier}` backups: {what}", copy.store))
        .label("only what this tier keeps there is copied")
        .hint(format!("Add `{tier}` to `{keep}`, with how many, or name a tier that is there."))
}
