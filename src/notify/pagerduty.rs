//! To PagerDuty: one event for each thing that is told, found again by its key.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::courier::{Before, Receipt};
use super::fault::{FaultKind, SendFault, tame};
use super::http::{self, Answer, Post};
use super::{line, secrets};
use crate::alert::{Item, Notice, NoticeKind};
use crate::message::Message;
use crate::policy::file::{PagerDuty, Severity};
use crate::world::host;

/// Where events go, unless the policy says otherwise.
const API: &str = "https://events.pagerduty.com";
/// PagerDuty's limits.
const MAX_SUMMARY: usize = 1_024;
const MAX_KEY: usize = 255;
/// Each thing is an incident of its own, up to here; one more stands for the rest. Nobody can close what was never opened, so all are closed.
const MAX_INCIDENTS: usize = 50;

/// Who was told already recognises the key, and what was said of the first ones is not said again: PagerDuty takes so many a minute.
pub(super) fn send(pagerduty: &PagerDuty, notice: &Notice, message: &Message, before: &Before, path: &str) -> Result<Receipt, SendFault> {
    let key = secrets::read(&pagerduty.routing_key, &format!("{path}.pagerduty.routing_key"))?;
    let base = pagerduty.url.as_deref().unwrap_or(API).trim_end_matches('/');
    let gone = before.reached.first().and_then(|count| count.parse().ok()).unwrap_or(0);
    let mut said = String::new();
    for (at, (place, event)) in all(notice, message, &key).into_iter().enumerate().skip(gone) {
        said = one(&event, &format!("{base}{place}"), path, &key).map_err(|fault| SendFault { reached: vec![at.to_string()], ..fault })?;
    }
    Ok(Receipt::new(said))
}

fn one(event: &Value, url: &str, path: &str, key: &SecretString) -> Result<String, SendFault> {
    let url = http::protected_address(url, &format!("{path}.pagerduty.url"))?;
    let body =
        serde_json::to_vec(event).map_err(|error| SendFault::refused(format!("the event cannot be written as JSON: {error}"), ""))?;
    let answer = http::post(Post { url, headers: vec![("content-type", "application/json".into())], body })?;
    understood(&answer, key.expose_secret())
}

fn all(notice: &Notice, message: &Message, key: &SecretString) -> Vec<(&'static str, Value)> {
    let most = if notice.kind == NoticeKind::Resolved { usize::MAX } else { MAX_INCIDENTS };
    let mut all: Vec<_> = notice.items.iter().take(most).flat_map(|item| events(notice, item, message, key)).collect();
    let rest = notice.items.get(most..).unwrap_or_default();
    if let Some(worst) = rest.iter().min_by_key(|item| item.severity) {
        let others = Item {
            // The same one when they are told again.
            key: "more".into(),
            title: format!("{} more, among them: {}", rest.len(), worst.title),
            ..worst.clone()
        };
        all.extend(events(notice, &others, message, key));
    }
    all
}

/// What is said about one thing, and where.
fn events(notice: &Notice, item: &Item, message: &Message, key: &SecretString) -> Vec<(&'static str, Value)> {
    let event = |action: &str| ("/v2/enqueue", incident(action, notice, item, message, key));
    match notice.kind {
        NoticeKind::Firing | NoticeKind::Reminder | NoticeKind::Escalation => vec![event("trigger")],
        NoticeKind::Resolved => vec![event("resolve")],
        // Nobody is to get up and close a sample.
        NoticeKind::Sample => vec![event("trigger"), event("resolve")],
        // What is over at once would stay open for ever as an incident. Bad news is one all the same.
        NoticeKind::Event if item.severity == Severity::Info => vec![("/v2/change/enqueue", change(notice, item, key))],
        NoticeKind::Event => vec![event("trigger")],
    }
}

fn incident(action: &str, notice: &Notice, item: &Item, message: &Message, key: &SecretString) -> Value {
    let mut event = json!({
        "routing_key": key.expose_secret().trim(),
        "event_action": action,
        "dedup_key": dedup_key(notice, item),
    });
    if action == "trigger" {
        event["payload"] = json!({
            "summary": summary(notice, item),
            "source": host::name(),
            "severity": item.severity.as_str(),
            "timestamp": item.since.unwrap_or(notice.at).to_string(),
            "component": item.job.as_deref().map(line),
            "group": notice.policy.as_str(),
            "class": line(item.key.split(':').next().unwrap_or_default()),
            "custom_details": details(item, message),
        });
        event["client"] = json!("Seawall");
    }
    event
}

fn change(notice: &Notice, item: &Item, key: &SecretString) -> Value {
    json!({
        "routing_key": key.expose_secret().trim(),
        "payload": {
            "summary": summary(notice, item),
            "source": host::name(),
            "timestamp": notice.at.to_string(),
            "custom_details": { "policy": notice.policy.as_str(), "job": item.job.as_deref().map(line) },
        },
    })
}

fn summary(notice: &Notice, item: &Item) -> String {
    let test = if notice.kind == NoticeKind::Sample || notice.subject.starts_with("[TEST]") { "[TEST] " } else { "" };
    let whole = format!("{test}{}: {}", notice.policy, line(&item.title));
    whole.chars().take(MAX_SUMMARY).collect()
}

fn details(item: &Item, message: &Message) -> Value {
    let mut details = Map::new();
    for (name, value) in item.facts.iter().take(20) {
        details.insert(line(name), json!(line(value)));
    }
    details.extend(item.hint.as_deref().map(|hint| ("what to do".to_owned(), json!(line(hint)))));
    details.insert("key".into(), json!(line(&item.key)));
    details.insert("text".into(), json!(message.text));
    Value::Object(details)
}

/// The same for the same thing from its beginning to its end; what happens once is one by itself.
fn dedup_key(notice: &Notice, item: &Item) -> String {
    let key = match notice.kind {
        NoticeKind::Event => format!("seawall:{}:{}:{}", notice.policy, line(&item.key), super::mark(&notice.id)),
        _ => format!("seawall:{}:{}", notice.policy, line(&item.key)),
    };
    if key.len() <= MAX_KEY { key } else { format!("seawall:{}:{}", notice.policy, super::mark(&item.key)) }
}

fn understood(answer: &Answer, key: &str) -> Result<String, SendFault> {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if answer.is_good() {
        // A proxy's page of welcome is no incident.
        let done = text("status") == "success";
        return if done {
            Ok("accepted".into())
        } else {
            Err(SendFault::passing("the answer made no sense; whether it arrived is not known"))
        };
    }
    let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let said = std::iter::once(text("message")).chain(errors.map(str::to_owned)).collect::<Vec<_>>().join("; ");
    let said = tame(&said.replace(key.trim(), "…"));
    let mut fault = answer.fault(&said);
    // A wrong key is a 400 like a wrong event, and can be mended.
    if answer.status == 400 && said.contains("routing_key") {
        fault.kind = FaultKind::Setup;
        fault.hint = "Copy the integration key of the service again.".into();
    }
    Err(fault)
}
