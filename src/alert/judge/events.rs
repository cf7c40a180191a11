//! What happened once: outcomes of runs begin and end alerts, everything else is told and over.

use std::collections::{BTreeMap, BTreeSet};

use super::Seen;
use super::audience::{Audience, Subject};
use super::outgoing::Outgoing;
use crate::alert::condition::{Condition, State};
use crate::alert::conditions::{roots_of, severity_of_failure};
use crate::alert::event::Event;
use crate::alert::memory::{Happened, Memory};
use crate::alert::notice::Item;
use crate::policy::file::{self, Severity};
use crate::policy::model::Policy;
use crate::units::{Instant, Name};

/// What is not yet known: the last outcome of each job as a condition, and what is told as an event.
pub(super) fn sorted<'e>(memory: &Memory, seen: &Seen<'e>, policy: &Policy) -> (Vec<Condition>, Vec<&'e Event>) {
    let mut new: Vec<&Event> = seen.events.iter().filter(|event| !memory.events.contains_key(&event.id)).collect();
    new.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    let mut last: BTreeMap<&str, &Event> = BTreeMap::new();
    for event in new.iter().filter(|event| event.is_failure() || event.is_success()) {
        last.extend(event.job.as_deref().map(|job| (job, *event)));
    }
    let burning = |job: &str| last.get(job).is_some_and(|event| event.is_failure());
    // A failure that is over already is told all the same, but it is no alert that somebody has to end.
    let happened = new.iter().copied().filter(|event| !event.is_failure() || !event.job.as_deref().is_some_and(burning));
    let conditions = last.iter().map(|(job, event)| outcome(memory, policy, job, event));
    (conditions.collect(), happened.collect())
}

fn outcome(memory: &Memory, policy: &Policy, job: &str, event: &Event) -> Condition {
    let state = if event.is_failure() { State::Firing } else { State::Quiet };
    Condition {
        state,
        severity: severity_of_failure(job).min(event.severity),
        since: Some(event.at),
        event: Some(event.kind),
        job: Some(job.to_owned()),
        text: event.text.clone(),
        hint: event.hint.clone(),
        facts: event.facts.clone(),
        because: roots_of(policy, job).into_iter().find(|root| memory.is_firing(root)),
        ..Condition::new(format!("failed:{job}"), event.severity, event.title.clone())
    }
}

/// The host's policy is another one than when it last looked. Each host of a fleet gets the new one at its own time.
pub(super) fn changed(memory: &mut Memory, seen: &Seen<'_>, now: Instant) -> Option<Event> {
    let digest = seen.digest?;
    let before = memory.policies.insert(seen.host.to_owned(), digest.to_owned()).filter(|before| before != digest)?;
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    Some(Event {
        id: format!("policy:{}:{}", seen.host, now.as_microsecond()),
        kind: file::Event::PolicyChanged,
        severity: Severity::Info,
        job: None,
        at: now,
        title: "the policy was changed".into(),
        text: "From now on the new one counts.".into(),
        hint: Some("`seawall diff` tells in words what a change does.".into()),
        facts: vec![("before".into(), short(&before)), ("now".into(), short(digest))],
    })
}

/// Tells of events; whoever may not be disturbed now hears of it later, unless it is only good news.
pub(super) fn tell(memory: &mut Memory, new: Vec<&Event>, audience: &Audience<'_>, outgoing: &mut Outgoing<'_>, now: Instant) {
    let waiting = memory.events.values().filter_map(|happened| happened.waiting.clone());
    for event in waiting.collect::<Vec<Event>>().iter().chain(new) {
        let subject = Subject::of_event(event);
        let happened =
            memory.events.entry(event.id.clone()).or_insert_with(|| Happened { heard: now, told: BTreeSet::new(), waiting: None });
        let receivers: Vec<&Name> = audience.at_once(subject).into_iter().filter(|receiver| !happened.told.contains(*receiver)).collect();
        for receiver in receivers {
            outgoing.put_event(receiver, &event.id, item(event));
            happened.told.insert(receiver.clone());
        }
        let waits = audience.is_waiting(subject) && !event.is_on_request();
        happened.waiting = waits.then(|| event.clone());
        if !waits {
            happened.told.clear();
        }
    }
}

/// Handed in again, they are nothing new.
pub(super) fn remember(memory: &mut Memory, events: &[Event], now: Instant) {
    for event in events {
        let known = Happened { heard: now, told: BTreeSet::new(), waiting: None };
        memory.events.entry(event.id.clone()).or_insert(known);
    }
}

fn item(event: &Event) -> Item {
    let kind = serde_json::to_value(event.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    Item {
        key: event.job.as_ref().map_or_else(|| kind.clone(), |job| format!("{kind}:{job}")),
        severity: event.severity,
        title: event.title.clone(),
        text: event.text.clone(),
        hint: event.hint.clone(),
        job: event.job.clone(),
        since: Some(event.at),
        until: None,
        facts: event.facts.clone(),
    }
}
