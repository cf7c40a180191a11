//! To a Prometheus Alertmanager: its alerts have labels, a beginning and an end.
//!
//! Alertmanager forgets what it is not told again, at the latest when it is restarted. So what lasts gets an end far enough away that
//! nothing is over because nobody said anything for an hour, and every few minutes it is sent again as long as it burns.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::courier::{Before, Receipt};
use super::fault::SendFault;
use super::http::{self, Post};
use super::line;
use crate::alert::{Item, Notice, NoticeKind};
use crate::message::Message;
use crate::policy::file::{Alertmanager, Severity};
use crate::units::Instant;
use crate::world::clock;

pub(super) const RESEND_EVERY: Duration = Duration::from_secs(5 * 60);
/// How long an alert lasts when nobody says anything any more.
const LASTS: SignedDuration = SignedDuration::from_hours(24);
/// How long something lasts that is over at once: longer than Alertmanager waits for others of its group.
const EVENT_LASTS: SignedDuration = SignedDuration::from_mins(15);

/// An alert is found again by its labels alone.
type Labels = BTreeMap<String, String>;

pub(super) fn send(manager: &Alertmanager, notice: &Notice, message: &Message, before: &Before, path: &str) -> Result<Receipt, SendFault> {
    let now = clock::now();
    let mut alerts = Vec::new();
    for item in &notice.items {
        let labels = labels(notice, item, item.severity);
        // What was said before may have had another severity, and would stay beside the new one.
        let former = before.reference.as_deref().map(formerly).unwrap_or_default();
        for other in former.into_iter().filter(|former| *former != item.severity) {
            alerts.push(alert(&self::labels(notice, item, other), item, notice, message, now));
        }
        let end = match notice.kind {
            NoticeKind::Resolved => item.until.unwrap_or(notice.at).min(now),
            NoticeKind::Event | NoticeKind::Sample => later(now, EVENT_LASTS),
            _ => later(now, LASTS),
        };
        alerts.push(alert(&labels, item, notice, message, end));
    }
    let base = manager.url.trim_end_matches('/');
    let url = http::address(&format!("{base}/api/v2/alerts"), &format!("{path}.alertmanager.url"))?;
    let body =
        serde_json::to_vec(&alerts).map_err(|error| SendFault::refused(format!("the alerts cannot be written as JSON: {error}"), ""))?;
    let answer = http::post(Post { url, headers: vec![("content-type", "application/json".into())], body })?;
    if !answer.is_good() {
        return Err(answer.fault(&answer.body));
    }
    let lasts = matches!(notice.kind, NoticeKind::Firing | NoticeKind::Reminder | NoticeKind::Escalation);
    let reference = lasts.then(|| severities(notice));
    Ok(Receipt { reference, ..Receipt::new(format!("answered {}", answer.status)) })
}

const SEVERITIES: [Severity; 3] = [Severity::Critical, Severity::Warning, Severity::Info];

/// With which severities this was told: `critical`, or several for a digest.
fn severities(notice: &Notice) -> String {
    let told = SEVERITIES.into_iter().filter(|severity| notice.items.iter().any(|item| item.severity == *severity));
    told.map(Severity::as_str).collect::<Vec<_>>().join(" ")
}

fn formerly(reference: &str) -> Vec<Severity> {
    SEVERITIES.into_iter().filter(|known| reference.split(' ').any(|word| word == known.as_str())).collect()
}

fn labels(notice: &Notice, item: &Item, of: Severity) -> Labels {
    let name = item.key.split(':').next().unwrap_or_default();
    let mut labels = Labels::from([
        ("alertname".to_owned(), line(name)),
        ("key".to_owned(), line(&item.key)),
        ("policy".to_owned(), notice.policy.to_string()),
        ("severity".to_owned(), of.as_str().to_owned()),
    ]);
    labels.extend(item.job.as_deref().map(|job| ("job".to_owned(), line(job))));
    // Alertmanager refuses an alert with an empty name.
    labels.retain(|_, value| !value.is_empty());
    labels.entry("alertname".into()).or_insert_with(|| "seawall".into());
    labels
}

fn alert(labels: &Labels, item: &Item, notice: &Notice, message: &Message, end: Instant) -> Value {
    let start = item.since.unwrap_or(notice.at).min(end);
    let mut annotations = BTreeMap::from([("summary", line(&item.title)), ("description", message.text.clone())]);
    annotations.extend(item.hint.as_deref().map(|hint| ("what_to_do", line(hint))));
    json!({ "labels": labels, "annotations": annotations, "startsAt": start.to_string(), "endsAt": end.to_string() })
}

fn later(now: Instant, span: SignedDuration) -> Instant {
    now.checked_add(span).unwrap_or(now)
}
