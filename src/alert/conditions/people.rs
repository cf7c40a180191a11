//! What people owe: reviews, duties, decisions about holds.

use super::{Look, allowed, moment};
use crate::alert::condition::{Condition, State};
use crate::inventory::Hold;
use crate::plan::words::plain;
use crate::policy::file::{Event, Severity};
use crate::units::{Duration, Instant, Name};

pub(super) fn look(look: &mut Look<'_>) {
    review(look);
    holds(look);
    duties(look);
}

fn review(look: &mut Look<'_>) {
    let Some(by) = look.policy.file.review_by else { return };
    let today = look.policy.zone.wall_clock(look.now).date();
    let owner = look.policy.file.owner.as_deref().map(|owner| format!("It is {}'s to read.", plain(owner))).unwrap_or_default();
    look.push(
        Condition::new("review_due", Severity::Warning, format!("the policy was to be read again by {}", by.0))
            .event(Event::ReviewDue)
            .firing_if(today > by.0)
            .text(owner)
            .hint("Read it, and write the next date as `review_by`."),
    );
}

/// Where whoever wants to prolong a hold has to look for it.
#[derive(Clone, Copy)]
enum Lies {
    InPolicy,
    InStore,
}

impl Lies {
    fn hint(self, name: &Name) -> String {
        match self {
            Lies::InPolicy => format!("Ask whether it must go on. If so, write a later `holds.{name}.until`."),
            Lies::InStore => format!(
                "Ask whether it must go on. If so, write a later `until` into `holds/{name}.json`, which lies in the store and not in the policy, or \
                 hold the same backups under `holds` in the policy."
            ),
        }
    }
}

fn holds(look: &mut Look<'_>) {
    if look.facts.holds.known().is_none() {
        look.all_unknown("hold_ending");
    }
    let stored = look.facts.holds.known().map(Vec::as_slice).unwrap_or_default();
    let mut ends: Vec<(&Name, &str, Instant, Lies)> = Vec::new();
    let end = |hold: &'_ Hold| hold.until.filter(|_| !hold.passing);
    ends.extend(look.policy.backup_holds.iter().filter_map(|hold| Some((&hold.name, hold.reason.as_str(), end(hold)?, Lies::InPolicy))));
    ends.extend(stored.iter().filter_map(|hold| Some((&hold.name, hold.reason.as_str(), end(hold)?, Lies::InStore))));
    for (name, hold) in &look.policy.row_holds {
        ends.extend(hold.ends(look.policy.zone.time_zone()).map(|until| (name, hold.reason.as_str(), until, Lies::InPolicy)));
    }
    ends.sort_by_key(|(name, _, until, _)| (*name, *until));
    ends.dedup_by_key(|(name, ..)| *name);
    for (name, reason, until, lies) in ends {
        let left = Duration::between(look.now, until);
        look.push(
            Condition::new(
                format!("hold_ending:{name}"),
                Severity::Warning,
                format!("the hold {name} ends on {}", moment(look.policy, until)),
            )
            .event(Event::HoldEnding)
            .firing_if(until > look.now && left <= allowed::NOTICE_OF_HOLDS)
            .text(format!("It was made for: {}. What only it keeps may be deleted after that.", plain(reason)))
            .hint(lies.hint(name)),
        );
    }
}

fn duties(look: &mut Look<'_>) {
    for (name, duty) in &look.policy.duties {
        let Some(schedule) = &duty.schedule else { continue };
        let contact = look.policy.file.contacts.get(&duty.who);
        let who = contact.map_or_else(|| duty.who.to_string(), |contact| plain(&contact.name));
        let condition = Condition::new(format!("duty_due:{name}"), Severity::Warning, format!("due: {}", plain(&duty.what)))
            .event(Event::DutyDue)
            .job(format!("duties.{name}"))
            .fact("who", who)
            .hint(format!("When it is done, run `seawall ack duty_due:{name}`."));
        let Some(seen) = look.facts.duties.get(name) else {
            look.push(condition.state(State::Unknown));
            continue;
        };
        let due = seen.due_since(schedule, look.now);
        look.push(condition.firing_if(due.is_some()).since(due));
    }
}
