//! From single things to messages: one each, or one for many.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::alert::memory::Alert;
use crate::alert::notice::{Item, Notice, NoticeKind};
use crate::policy::file::Severity;
use crate::policy::model::Policy;
use crate::units::{Instant, Name, hex};

/// More things than this of one kind for one receiver at one time become one message.
const SINGLE: usize = 3;
/// One message tells at most this many things, in so many bytes: the catalog takes no notice that is much larger.
const LARGEST: usize = 500;
const LARGEST_BYTES: usize = 512 << 10;
/// As much is told of one thing; nobody reads more, and the record has it.
const LONGEST_TEXT: usize = 16 << 10;

/// What is to be sent, by receiver and kind.
pub(super) struct Outgoing<'p> {
    policy: &'p Policy,
    host: String,
    now: Instant,
    items: BTreeMap<(Name, NoticeKind), Vec<(String, Item)>>,
}

impl<'p> Outgoing<'p> {
    pub(super) fn new(policy: &'p Policy, host: &str, now: Instant) -> Self {
        Outgoing { policy, host: host.to_owned(), now, items: BTreeMap::new() }
    }

    /// `times` is how often the receiver has already heard of this alert.
    pub(super) fn put(&mut self, receiver: &Name, kind: NoticeKind, item: Item, alert: &Alert, times: u32) {
        let began = alert.began.to_string();
        let (number, times) = (alert.number.to_string(), times.to_string());
        let id = self.id(&[receiver.as_str(), &item.key, &began, &number, word(kind), &times]);
        self.push(receiver, kind, id, item);
    }

    pub(super) fn put_event(&mut self, receiver: &Name, id: &str, item: Item) {
        let id = self.id(&[receiver.as_str(), &item.key, id, word(NoticeKind::Event)]);
        self.push(receiver, NoticeKind::Event, id, item);
    }

    fn push(&mut self, receiver: &Name, kind: NoticeKind, id: String, mut item: Item) {
        item.facts.truncate(LARGEST);
        let facts = item.facts.iter_mut().flat_map(|(name, value)| [name, value]);
        facts.chain([&mut item.title, &mut item.text]).chain(&mut item.hint).for_each(cut);
        if !self.host.is_empty() {
            item.facts.push(("seen from".into(), self.host.clone()));
        }
        self.items.entry((receiver.clone(), kind)).or_default().push((id, item));
    }

    /// The same words always make the same id.
    fn id(&self, words: &[&str]) -> String {
        digest(std::iter::once(self.policy.name.as_str()).chain(words.iter().copied()))
    }

    pub(super) fn notices(self) -> Vec<Notice> {
        let mut notices = Vec::new();
        for ((receiver, kind), mut items) in self.items {
            items.sort_by(|(_, a), (_, b)| (a.severity, a.since, &a.key).cmp(&(b.severity, b.since, &b.key)));
            let most = if items.len() > SINGLE { LARGEST } else { 1 };
            let mut rest = items.as_slice();
            while !rest.is_empty() {
                let (part, others) = rest.split_at(fitting(rest, most));
                notices.push(notice(&self.policy.name, &receiver, kind, self.now, part));
                rest = others;
            }
        }
        // What became wrong comes before what is right again, and the worst first.
        notices.sort_by_key(|notice| (notice.kind, notice.severity));
        notices
    }
}

/// How many of them one message can tell; one at least.
fn fitting(items: &[(String, Item)], most: usize) -> usize {
    let mut bytes = 0;
    let fits = |(_, item): &&(String, Item)| {
        bytes += serde_json::to_string(item).map_or(0, |json| json.len());
        bytes <= LARGEST_BYTES
    };
    items.iter().take(most).take_while(fits).count().max(1)
}

/// Its beginning, where it is too long.
fn cut(text: &mut String) {
    if text.len() > LONGEST_TEXT {
        let end = (0..=LONGEST_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

fn notice(policy: &Name, receiver: &Name, kind: NoticeKind, at: Instant, part: &[(String, Item)]) -> Notice {
    let id = match part {
        [(id, _)] => id.clone(),
        many => digest(many.iter().map(|(id, _)| id.as_str())),
    };
    let items: Vec<Item> = part.iter().map(|(_, item)| item.clone()).collect();
    let severity = items.iter().map(|item| item.severity).min().unwrap_or(Severity::Info);
    Notice {
        id,
        policy: policy.clone(),
        receiver: receiver.clone(),
        kind,
        severity,
        at,
        subject: subject(policy, kind, severity, &items),
        items,
        enclosed: None,
    }
}

fn subject(policy: &Name, kind: NoticeKind, severity: Severity, items: &[Item]) -> String {
    let mark = match kind {
        NoticeKind::Firing | NoticeKind::Event | NoticeKind::Sample => severity.as_str().to_owned(),
        NoticeKind::Reminder => format!("{}, still", severity.as_str()),
        NoticeKind::Escalation => format!("{}, not acknowledged", severity.as_str()),
        NoticeKind::Resolved => "resolved".to_owned(),
    };
    let what = match items {
        [only] => only.title.clone(),
        [first, rest @ ..] => format!("{} and {} more", first.title, rest.len()),
        [] => String::new(),
    };
    format!("[{mark}] {policy}: {}", crate::plan::words::plain(what))
}

fn word(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Firing => "firing",
        NoticeKind::Reminder => "reminder",
        NoticeKind::Escalation => "escalation",
        NoticeKind::Resolved => "resolved",
        NoticeKind::Event => "event",
        NoticeKind::Sample => "sample",
    }
}

/// Half a SHA-256 in hex over words of which none can run into the next.
fn digest<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let mut hasher = Sha256::new();
    for word in words {
        hasher.update((word.len() as u64).to_be_bytes());
        hasher.update(word.as_bytes());
    }
    hex(&hasher.finalize()[..16])
}
