//! Jobs that get in their own way, or in each other's.

use super::facts::{Facts, job, moment};
use crate::policy::file::ReadFrom;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::Method;
use crate::schedule::Schedule;
use crate::units::{Instant, Name};

const OVERLAPS_ITSELF: Code = Code(314);
const SAME_MINUTE: Code = Code(315);

/// So many firings of the rarer job are compared.
const COMPARED: usize = 30;

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for (name, _, schedule) in facts.scheduled() {
        let Some(length) = facts.length(name) else { continue };
        let gap = facts.shortest_gap(schedule);
        if length.time > gap.length {
            findings.push(
                Finding::error(
                    OVERLAPS_ITSELF,
                    job(name).key("schedule"),
                    format!("takes {length} and starts again after {}: it would overlap itself", gap.length),
                )
                .hint("Run it less often, or make it faster."),
            );
        }
    }
    let heavy: Vec<Heavy<'_>> =
        facts.scheduled().filter_map(|(name, backup, schedule)| Heavy::of(name, &backup.method, schedule)).collect();
    for (at, one) in heavy.iter().enumerate() {
        for other in &heavy[..at] {
            if let Some(meeting) = one.meets(other, facts.now) {
                let message = format!("starts together with `backups.{}`, next on {}", other.name, moment(meeting, one.schedule.zone()));
                findings.push(
                    Finding::warning(SAME_MINUTE, job(one.name).key("schedule"), message)
                        .hint("Both read the same server from end to end: let one begin when the other is done.")
                        .related(job(other.name).key("schedule"), "the other one"),
                );
            }
        }
    }
}

/// A job that reads the whole database.
struct Heavy<'p> {
    name: &'p Name,
    from: Option<ReadFrom>,
    schedule: &'p Schedule,
}

impl<'p> Heavy<'p> {
    fn of(name: &'p Name, method: &Method, schedule: &'p Schedule) -> Option<Self> {
        match method {
            Method::Physical(physical) => Some(Heavy { name, from: physical.from, schedule }),
            Method::Logical(logical) => Some(Heavy { name, from: logical.from, schedule }),
            _ => None,
        }
    }

    fn meets(&self, other: &Heavy<'_>, now: Instant) -> Option<Instant> {
        if self.from != other.from {
            return None;
        }
        let (mut mine, mut theirs) = (self.schedule.next_after(now)?, other.schedule.next_after(now)?);
        for _ in 0..COMPARED {
            // Whoever is behind catches up in one leap.
            while mine < theirs {
                mine = after_leap(self.schedule, theirs)?;
            }
            while theirs < mine {
                theirs = after_leap(other.schedule, mine)?;
            }
            if mine == theirs {
                return Some(mine);
            }
        }
        None
    }
}

/// The first firing at or after a moment.
fn after_leap(schedule: &Schedule, moment: Instant) -> Option<Instant> {
    schedule.next_after(moment.checked_sub(jiff::SignedDuration::from_secs(1)).ok()?)
}
