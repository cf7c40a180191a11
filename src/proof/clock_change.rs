//! What becomes of runs in the hour that is left out, or comes twice, when clocks are changed.

use jiff::SignedDuration;

use super::facts::Facts;
use crate::policy::finding::{Code, Finding};
use crate::policy::path::PolicyPath;
use crate::schedule::{Schedule, TimeOfDay};
use crate::units::Instant;

const AFFECTED: Code = Code(313);

/// Beyond the next year the same is going to happen again.
const DAYS_AHEAD: i64 = 400;

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    let backups = facts.scheduled().map(|(name, _, schedule)| ("backups", name, schedule));
    let verify = policy.verify.iter().map(|(name, verify)| ("verify", name, &verify.schedule));
    let drills = policy.drills.iter().filter_map(|(name, drill)| drill.schedule.as_ref().map(|schedule| ("drills", name, schedule)));
    for (section, name, schedule) in backups.chain(verify).chain(drills) {
        let Some(message) = next_affected(schedule, facts.now) else { continue };
        findings.push(
            Finding::note(AFFECTED, PolicyPath::from([section, name.as_str()]).key("schedule"), message)
                .hint("Choose an hour that every day has once, or a time zone that does not change its clocks, such as UTC."),
        );
    }
}

fn next_affected(schedule: &Schedule, now: Instant) -> Option<String> {
    let times = schedule.times().filter(|times| !names_every_hour(times))?;
    let zone = schedule.zone();
    let horizon = now.checked_add(SignedDuration::from_hours(24 * DAYS_AHEAD)).ok()?;
    zone.time_zone().following(now).map(|change| change.timestamp()).take_while(|at| *at < horizon).find_map(|at| {
        let before = zone.wall_clock(at.checked_sub(SignedDuration::from_secs(1)).ok()?);
        let shift = zone.wall_clock(at).duration_since(before) - SignedDuration::from_secs(1);
        if shift.is_positive() {
            let firing = schedule.firings(at, at.checked_add(shift).ok()?).find(|firing| !names(&times, schedule, *firing))?;
            let runs = schedule.wall_clock(firing);
            let meant = runs.checked_sub(shift).ok()?;
            Some(format!("{} does not exist on {} and runs at {}", meant.strftime("%H:%M"), meant.date(), runs.strftime("%H:%M")))
        } else if shift.is_negative() {
            let firing = schedule.firings(at.checked_add(shift).ok()?, at).next()?;
            let runs = schedule.wall_clock(firing);
            Some(format!("{} comes twice on {} and runs the first time only", runs.strftime("%H:%M"), runs.date()))
        } else {
            None
        }
    })
}

/// Such a rule follows real time.
fn names_every_hour(times: &[TimeOfDay]) -> bool {
    times.iter().fold(0u32, |hours, time| hours | 1 << time.hour()) == 0xff_ffff
}

fn names(times: &[TimeOfDay], schedule: &Schedule, firing: Instant) -> bool {
    let shown = schedule.wall_clock(firing);
    times.iter().any(|time| (time.hour(), time.minute()) == (shown.hour() as u8, shown.minute() as u8))
}
