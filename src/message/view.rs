//! What templates see of a notice. Every name is always there, so that a misspelt one is found whatever is told.

use serde::Serialize;

use crate::alert::{Item, Notice, NoticeKind};
use crate::schedule::Zone;
use crate::units::{Instant, visible};

/// More than this is not read by anybody, and has to fit into everything that messages are sent with.
const MAX_ITEMS: usize = 25;
const MAX_FACTS: usize = 10;
const MAX_LINE: usize = 300;
const MAX_FACT: usize = 200;
const MAX_TEXT: usize = 1_500;
const MAX_HINT: usize = 500;

#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) id: String,
    pub(super) policy: String,
    pub(super) receiver: String,
    pub(super) kind: &'static str,
    pub(super) severity: &'static str,
    pub(super) at: String,
    pub(super) subject: String,
    pub(super) items: Vec<ItemView>,
    /// How many items there are beyond those.
    pub(super) left_out: usize,
    /// Why the receiver's own template was not used; only ours sees it set.
    pub(super) trouble: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ItemView {
    key: String,
    severity: &'static str,
    title: String,
    text: String,
    hint: Option<String>,
    job: Option<String>,
    since: Option<String>,
    until: Option<String>,
    facts: Vec<FactView>,
}

#[derive(Debug, Serialize)]
struct FactView {
    name: String,
    value: String,
}

impl View {
    pub(super) fn of(notice: &Notice, zone: &Zone) -> View {
        View {
            id: line(&notice.id),
            policy: notice.policy.to_string(),
            receiver: notice.receiver.to_string(),
            kind: kind_word(notice.kind),
            severity: notice.severity.as_str(),
            at: moment(notice.at, zone),
            subject: subject(notice),
            items: notice.items.iter().take(MAX_ITEMS).map(|item| ItemView::of(item, zone)).collect(),
            left_out: notice.items.len().saturating_sub(MAX_ITEMS),
            trouble: None,
        }
    }
}

impl ItemView {
    fn of(item: &Item, zone: &Zone) -> ItemView {
        let facts = item.facts.iter().take(MAX_FACTS);
        ItemView {
            key: line(&item.key),
            severity: item.severity.as_str(),
            title: line(&item.title),
            text: text(&item.text, MAX_TEXT),
            hint: item.hint.as_deref().map(|hint| text(hint, MAX_HINT)),
            job: item.job.as_deref().map(line),
            since: item.since.map(|since| moment(since, zone)),
            until: item.until.map(|until| moment(until, zone)),
            facts: facts.map(|(name, value)| FactView { name: short(name), value: short(value) }).collect(),
        }
    }
}

/// The subject, on one line; a sample says that it is one.
pub(super) fn subject(notice: &Notice) -> String {
    let subject = line(&notice.subject);
    if notice.kind == NoticeKind::Sample && !subject.starts_with("[TEST]") { format!("[TEST] {subject}") } else { subject }
}

pub(super) fn kind_word(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Firing => "firing",
        NoticeKind::Reminder => "reminder",
        NoticeKind::Escalation => "escalation",
        NoticeKind::Resolved => "resolved",
        NoticeKind::Event => "event",
        NoticeKind::Sample => "sample",
    }
}

/// What a clock on the wall shows where the policy lives, and which clock that is.
fn moment(at: Instant, zone: &Zone) -> String {
    format!("{} {zone}", zone.wall_clock(at).strftime("%Y-%m-%d %H:%M:%S"))
}

/// On one line, and of bounded length, without a sign that acts on anything.
pub(super) fn line(text: &str) -> String {
    one_line(text, MAX_LINE)
}

fn short(text: &str) -> String {
    one_line(text, MAX_FACT)
}

fn one_line(text: &str, limit: usize) -> String {
    bounded(text.trim().chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { visible(c) }), limit)
}

fn text(text: &str, limit: usize) -> String {
    let text = text.trim().replace("\r\n", "\n");
    bounded(text.chars().map(|c| if matches!(c, '\n' | '\t') { c } else { visible(c) }), limit)
}

fn bounded(signs: impl Iterator<Item = char>, limit: usize) -> String {
    let mut text = String::new();
    for (count, sign) in signs.enumerate() {
        if count == limit {
            text.push('…');
            break;
        }
        text.push(sign);
    }
    text
}
