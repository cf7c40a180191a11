//! Backups that nothing ever removes.

use jiff::SignedDuration;

use super::facts::{Facts, job};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::Method;
use crate::schedule::Schedule;
use crate::units::{Bytes, Instant};

const FOR_EVER: Code = Code(504);

/// More firings than these are not counted one by one.
const COUNTED: u64 = 400;
const YEAR_SECONDS: i64 = 31_556_952;

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for (name, backup, schedule) in facts.scheduled() {
        if !backup.method.is_stored() || !backup.keep.has_no_rule() {
            continue;
        }
        let count = per_year(schedule, facts.now);
        let growth =
            facts.size(backup).map_or(String::new(), |size| format!(", {}", Bytes::new(size.get().saturating_mul(count)).rounded()));
        let many = match count {
            0 => "less than one a year".to_owned(),
            count => format!("about {count} a year{growth}"),
        };
        let base = match &backup.method {
            Method::Incremental { of, .. } => format!(", and with them those of `backups.{of}`"),
            _ => String::new(),
        };
        findings.push(
            Finding::warning(FOR_EVER, job(name), format!("its backups are kept for ever{base}: {many}"))
                .on_key()
                .label("has no `keep`")
                .hint("Say how long, for example `keep: { daily: 30, monthly: 12 }`."),
        );
    }
}

/// From one run to another, and not from today, so that it is the same at every hour of the day.
fn per_year(schedule: &Schedule, now: Instant) -> u64 {
    let Some(first) = schedule.next_after(now) else { return 0 };
    let year = first.checked_add(SignedDuration::from_secs(YEAR_SECONDS)).unwrap_or(Instant::MAX);
    let (mut count, mut last) = (0_u64, first);
    while count < COUNTED && last < year {
        match schedule.next_after(last) {
            Some(firing) => (count, last) = (count + 1, firing),
            None => return count + 1,
        }
    }
    let seconds = i128::from(last.duration_since(first).as_secs().max(1));
    let rounded = (i128::from(count) * i128::from(YEAR_SECONDS) * 2 + seconds) / (seconds * 2);
    let projected = u64::try_from(rounded).unwrap_or(u64::MAX);
    // Not counted to the end, so not said to the last one either.
    if last < year { projected.saturating_add(50) / 100 * 100 } else { projected }
}
