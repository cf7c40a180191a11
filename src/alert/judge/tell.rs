//! Telling of what is wrong, again, and that it is over.

use std::collections::BTreeMap;

use super::audience::{Audience, Part, Subject};
use super::outgoing::Outgoing;
use super::progress::{Over, is_flapping};
use super::{Silence, Unheard};
use crate::alert::facts::FailingReceiver;
use crate::alert::memory::{Alert, Memory, Told};
use crate::alert::notice::{Item, Notice, NoticeKind};
use crate::plan::words::joined;
use crate::policy::file::Severity;
use crate::policy::model::Policy;
use crate::units::{Duration, Instant, Name};

/// Tells everybody who is to hear of what is wrong at this moment; what nobody has heard of comes back.
pub(super) fn burning(memory: &mut Memory, audience: &Audience<'_>, outgoing: &mut Outgoing<'_>, now: Instant) -> Vec<Unheard> {
    let mut unheard = Vec::new();
    let mut burning: Vec<String> = memory.alerts.iter().filter(|(_, alert)| alert.is_burning()).map(|(key, _)| key.clone()).collect();
    // Causes first: what follows from one is silent only where somebody hears of the cause.
    burning.sort_by_key(|key| memory.alerts.get(key).is_some_and(|alert| alert.last.because.is_some()));
    for key in burning {
        let flaps = is_flapping(memory, &key, now);
        let Some(alert) = memory.alerts.get(&key) else { continue };
        if is_told_by_its_cause(memory, alert) {
            continue;
        }
        let parts = audience.of_alert(&key, alert, now);
        let Some(alert) = memory.alerts.get_mut(&key) else { continue };
        tell(&key, alert, &parts, flaps, outgoing, now);
        unheard.extend(silence(&key, alert, audience).map(|why| Unheard { key, severity: alert.last.severity, why }));
    }
    unheard.sort_by(|a, b| (a.severity, &a.key).cmp(&(b.severity, &b.key)));
    unheard
}

/// While its cause is wrong as well, that is told instead.
fn is_told_by_its_cause(memory: &Memory, alert: &Alert) -> bool {
    let root = alert.last.because.as_ref().and_then(|root| memory.alerts.get(root));
    root.is_some_and(|root| root.gone.is_none() && (root.fired.is_none() || !root.told.is_empty()))
}

fn tell(key: &str, alert: &mut Alert, parts: &BTreeMap<&Name, Part>, flaps: bool, outgoing: &mut Outgoing<'_>, now: Instant) {
    let severity = alert.last.severity;
    let acknowledged = alert.is_acknowledged(now);
    let before = joined(alert.told.keys());
    for (receiver, part) in parts {
        let told = alert.told.get(*receiver);
        let Some(kind) = due(told, *part, severity, acknowledged, now) else { continue };
        let mut item = item(key, alert);
        if kind == NoticeKind::Escalation && !before.is_empty() {
            item.facts.push(("told before".into(), before.clone()));
        }
        if flaps && kind == NoticeKind::Firing {
            let sentence =
                "It has come and gone several times within an hour: nothing more is said of that until it stays away for an hour.";
            item.text = if item.text.is_empty() { sentence.to_owned() } else { format!("{} {sentence}", item.text) };
        }
        let times = told.map_or(0, |told| told.times);
        outgoing.put(receiver, kind, item, alert, times);
        let first = told.filter(|told| told.severity <= severity).map_or(now, |told| told.first);
        alert.told.insert((*receiver).clone(), Told { first, last: now, times: times.saturating_add(1), severity });
    }
}

impl Memory {
    /// What is wrong by the last judgement and nobody has heard of, worst first, for those who only read.
    pub fn unheard(&self, policy: &Policy, failing: &[FailingReceiver], now: Instant) -> Vec<Unheard> {
        let audience = Audience::new(policy, failing, now);
        let burning = self.alerts.iter().filter(|(_, alert)| alert.is_burning() && !is_told_by_its_cause(self, alert));
        let silent = burning.filter_map(|(key, alert)| {
            silence(key, alert, &audience).map(|why| Unheard { key: key.clone(), severity: alert.last.severity, why })
        });
        let mut unheard: Vec<Unheard> = silent.collect();
        unheard.sort_by(|a, b| (a.severity, &a.key).cmp(&(b.severity, &b.key)));
        unheard
    }

    /// What a receiver has heard of and is still so, one notice for each: for those who forget. It changes nothing of what is remembered.
    pub fn burning_for(&self, policy: &Policy, host: &str, receiver: &Name, now: Instant) -> Vec<Notice> {
        let heard = self.alerts.iter().filter(|(_, alert)| alert.is_burning());
        let heard = heard.filter_map(|(key, alert)| Some((key, alert, alert.told.get(receiver)?)));
        heard
            .flat_map(|(key, alert, told)| {
                let mut outgoing = Outgoing::new(policy, host, now);
                outgoing.put(receiver, NoticeKind::Firing, item(key, alert), alert, told.times);
                outgoing.notices()
            })
            .collect()
    }
}

/// What a receiver has to hear now, if anything.
fn due(told: Option<&Told>, part: Part, severity: Severity, acknowledged: bool, now: Instant) -> Option<NoticeKind> {
    match told {
        None if part.escalated => Some(NoticeKind::Escalation),
        None => Some(NoticeKind::Firing),
        Some(told) if severity < told.severity => Some(NoticeKind::Firing),
        Some(told) => {
            let again = part.remind.is_some_and(|remind| Duration::between(told.last, now) >= remind);
            (again && !acknowledged).then_some(NoticeKind::Reminder)
        }
    }
}

fn silence(key: &str, alert: &Alert, audience: &Audience<'_>) -> Option<Silence> {
    let subject = Subject::of(&alert.last);
    if alert.told.is_empty() {
        return Some(if audience.has_route(subject) { Silence::NotNow } else { Silence::NoRoute });
    }
    alert.told.keys().all(|receiver| audience.has_not_got(receiver, key)).then_some(Silence::Failing)
}

/// Everybody who heard of it hears that it is over, whatever the hour, and nobody else.
pub(super) fn over(over: Vec<Over>, policy: &Policy, outgoing: &mut Outgoing<'_>, now: Instant) {
    for (key, alert) in over {
        let item = Item { until: Some(alert.gone.unwrap_or(now)), hint: None, ..item(&key, &alert) };
        for (receiver, told) in alert.told.iter().filter(|(receiver, _)| policy.file.receivers.contains_key(*receiver)) {
            outgoing.put(receiver, NoticeKind::Resolved, item.clone(), &alert, told.times);
        }
    }
}

fn item(key: &str, alert: &Alert) -> Item {
    let last = &alert.last;
    Item {
        key: key.to_owned(),
        severity: last.severity,
        title: last.title.clone(),
        text: last.text.clone(),
        hint: last.hint.clone(),
        job: last.job.clone(),
        since: Some(alert.began),
        until: None,
        facts: last.facts.clone(),
    }
}
