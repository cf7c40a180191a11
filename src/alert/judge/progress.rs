//! From "it was seen wrong" to "it fires" to "it is over".

use std::collections::BTreeSet;

use crate::alert::condition::{Condition, State};
use crate::alert::conditions::ALL;
use crate::alert::event::Acknowledgement;
use crate::alert::memory::{Alert, Last, Memory};
use crate::units::{Duration, Instant};

/// What fires more often than this within [`FLAPPING_TIME`] comes and goes: its end is believed only after it was quiet that long.
pub(super) const FLAPPING_TIMES: usize = 3;
const FLAPPING_TIME: Duration = Duration::from_hours(1);

/// Events are known again for this long.
const EVENTS_KNOWN: Duration = Duration::from_days(30);

/// An alert that is over, and its key.
pub(super) type Over = (String, Alert);

/// What becomes of an alert by what was seen; the alert itself when it is over and somebody has to hear of that.
pub(super) fn follow(memory: &mut Memory, condition: &Condition, now: Instant) -> Option<Over> {
    match condition.state {
        // Neither begins nor ends on the strength of an unknown.
        State::Unknown => None,
        State::Firing => {
            burn(memory, condition, now);
            None
        }
        State::Quiet => calm(memory, &condition.key, now),
    }
}

fn burn(memory: &mut Memory, condition: &Condition, now: Instant) {
    let began = condition.since.map_or(now, |since| since.min(now));
    let last = Last::from(condition);
    let alert = memory.alerts.entry(condition.key.clone()).or_insert_with(|| Alert {
        last: last.clone(),
        began,
        pending: began,
        fired: None,
        number: 0,
        gone: None,
        told: Default::default(),
        acknowledgeable: began,
        acknowledged: None,
    });
    if last.severity < alert.last.severity {
        // Who took care of a warning has not taken care of this.
        alert.acknowledged = None;
        alert.acknowledgeable = now;
    }
    alert.last = last;
    let is_back = alert.gone.take().is_some();
    let lasted = alert.fired.is_none() && Duration::between(alert.pending, now) >= condition.lasting;
    if lasted {
        memory.fired += 1;
        alert.number = memory.fired;
        alert.fired = Some(now);
    }
    if lasted || is_back {
        let recent = memory.recent.entry(condition.key.clone()).or_default();
        recent.push(now);
        // More than it takes to know that it flaps need not be kept.
        let surplus = recent.len().saturating_sub(FLAPPING_TIMES + 1);
        recent.drain(..surplus);
    }
}

fn calm(memory: &mut Memory, key: &str, now: Instant) -> Option<Over> {
    let flaps = is_flapping(memory, key, now);
    let alert = memory.alerts.get_mut(key)?;
    if alert.fired.is_some() && (flaps || alert.gone.is_some()) {
        let gone = *alert.gone.get_or_insert(now);
        if Duration::between(gone, now) < FLAPPING_TIME {
            return None;
        }
    }
    let alert = memory.alerts.remove(key)?;
    alert.fired.is_some().then(|| (key.to_owned(), alert))
}

/// It fired more often than an alert should.
pub(super) fn is_flapping(memory: &Memory, key: &str, now: Instant) -> bool {
    let recent = memory.recent.get(key).map(Vec::as_slice).unwrap_or_default();
    recent.iter().filter(|fired| Duration::between(**fired, now) < FLAPPING_TIME).count() > FLAPPING_TIMES
}

/// What the policy no longer asks to look at is over.
pub(super) fn forget(memory: &mut Memory, conditions: &[Condition]) -> Vec<Over> {
    let known: BTreeSet<&str> = conditions.iter().map(|condition| condition.key.as_str()).collect();
    let unlisted: Vec<&str> = known.iter().filter_map(|key| key.strip_suffix(ALL)).collect();
    let is_gone = |key: &&String| !known.contains(key.as_str()) && !unlisted.iter().any(|beginning| key.starts_with(beginning));
    let gone: Vec<String> = memory.alerts.keys().filter(is_gone).cloned().collect();
    let mut over: Vec<Over> = gone.into_iter().filter_map(|key| memory.alerts.remove(&key).map(|alert| (key, alert))).collect();
    over.retain(|(_, alert)| alert.fired.is_some());
    for (_, alert) in &mut over {
        alert.last.text = "It is no longer there to be watched.".into();
    }
    over
}

pub(super) fn acknowledge(memory: &mut Memory, given: &[Acknowledgement]) {
    for acknowledgement in given {
        let Some(alert) = memory.alerts.get_mut(&acknowledgement.key) else { continue };
        let counts = alert.fired.is_some() && acknowledgement.at >= alert.acknowledgeable;
        let is_newer = alert.acknowledged.as_ref().is_none_or(|earlier| earlier.at <= acknowledgement.at);
        if counts && is_newer {
            alert.acknowledged = Some(acknowledgement.clone());
        }
    }
}

impl Memory {
    /// Nothing is remembered for longer than it can matter.
    pub(super) fn prune(&mut self, now: Instant) {
        self.recent.retain(|_, fired| {
            fired.retain(|fired| Duration::between(*fired, now) < FLAPPING_TIME);
            !fired.is_empty()
        });
        self.events.retain(|_, event| event.waiting.is_some() || Duration::between(event.heard, now) < EVENTS_KNOWN);
    }
}
