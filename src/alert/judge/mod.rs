//! What is said now: rules × what was seen × what was already said.

mod audience;
mod events;
mod outgoing;
mod progress;
mod tell;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::event::{Acknowledgement, Event};
use super::facts::FailingReceiver;
use super::memory::Memory;
use super::notice::Notice;
use crate::policy::file::Severity;
use crate::policy::model::Policy;
use crate::units::Instant;
use audience::Audience;
use outgoing::Outgoing;

/// What was seen since the last judgement.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen<'a> {
    /// The host that looked, for the reader.
    pub host: &'a str,
    /// All that [`super::conditions()`] says. Without it nobody looked, as when a run only reports its outcome: whatever no event
    /// speaks of stays as it is.
    pub conditions: Option<&'a [Condition]>,
    pub events: &'a [Event],
    /// Those given since the last judgement; older ones do no harm.
    pub acknowledgements: &'a [Acknowledgement],
    /// Receivers that cannot be reached.
    pub failing: &'a [FailingReceiver],
    /// The digest of the policy that the host has now; none where nobody may conclude anything from it.
    pub digest: Option<&'a str>,
}

/// What comes of a judgement. The memory and the notices are kept together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub memory: Memory,
    /// What is to be sent, in this order.
    pub notices: Vec<Notice>,
    /// What is wrong now, worst first.
    pub firing: Vec<Firing>,
    /// What is wrong now and nobody has heard of, worst first.
    pub unheard: Vec<Unheard>,
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Firing {
    /// What it is about, the same from its beginning to its end; `seawall ack` takes it.
    pub key: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a line.
    pub title: String,
    /// More of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What to do, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Since when.
    pub since: Instant,
    /// The job that it is about, as a path of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Who takes care of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// It comes and goes, and is gone at the moment.
    #[serde(default)]
    pub gone: bool,
}

/// Something that is wrong now and that nobody has heard of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unheard {
    /// What it is.
    pub key: String,
    /// How urgent it is.
    pub severity: Severity,
    /// Why nobody has.
    pub why: Silence,
}

/// Why nobody has heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Silence {
    /// No route fits.
    NoRoute,
    /// Routes fit, but not at this time of day.
    NotNow,
    /// Those who were told cannot be reached.
    Failing,
}

/// What is to be said now. Judged again with the memory that comes out, there is nothing more to say.
pub fn judge(policy: &Policy, memory: Memory, seen: &Seen<'_>, now: Instant) -> Judged {
    let mut memory = memory;
    memory.follow_clock(now);
    let mut outgoing = Outgoing::new(policy, seen.host, now);
    let audience = Audience::new(policy, seen.failing, now);

    let changed = events::changed(&mut memory, seen, now);
    let (outcomes, mut happened) = events::sorted(&memory, seen, policy);
    happened.extend(&changed);
    let mut over = Vec::new();
    for condition in outcomes.iter().chain(seen.conditions.unwrap_or_default()) {
        over.extend(progress::follow(&mut memory, condition, now));
    }
    if let Some(conditions) = seen.conditions {
        over.extend(progress::forget(&mut memory, conditions));
    }
    progress::acknowledge(&mut memory, seen.acknowledgements);

    let unheard = tell::burning(&mut memory, &audience, &mut outgoing, now);
    tell::over(over, policy, &mut outgoing, now);
    events::tell(&mut memory, happened, &audience, &mut outgoing, now);
    events::remember(&mut memory, seen.events, now);
    memory.prune(now);
    Judged { notices: outgoing.notices(), firing: firing(&memory, now), unheard, memory }
}

impl Memory {
    /// What is wrong by the last judgement, worst first, for those who only read. Acknowledgements that were given since count already.
    pub fn firing(&self, acknowledgements: &[Acknowledgement], now: Instant) -> Vec<Firing> {
        let mut memory = self.clone();
        progress::acknowledge(&mut memory, acknowledgements);
        firing(&memory, now)
    }
}

fn firing(memory: &Memory, now: Instant) -> Vec<Firing> {
    let fired = memory.alerts.iter().filter(|(_, alert)| alert.fired.is_some());
    let mut firing: Vec<Firing> = fired
        .map(|(key, alert)| Firing {
            key: key.clone(),
            severity: alert.last.severity,
            title: alert.last.title.clone(),
            text: alert.last.text.clone(),
            hint: alert.last.hint.clone(),
            since: alert.began,
            job: alert.last.job.clone(),
            acknowledged_by: alert.acknowledged.as_ref().filter(|_| alert.is_acknowledged(now)).map(|given| given.by.clone()),
            gone: alert.gone.is_some(),
        })
        .collect();
    firing.sort_by(|a, b| (a.severity, a.since, &a.key).cmp(&(b.severity, b.since, &b.key)));
    firing
}
