//! Notices that nobody sent: to try templates and receivers with.

use crate::alert::{Item, Notice, NoticeKind};
use crate::policy::file::Severity;
use crate::units::{Instant, Name};

/// A notice of a kind, as somebody may get it. It is marked as a test, and about something that no policy has.
pub fn sample(policy: &Name, receiver: &Name, kind: NoticeKind, at: Instant, mark: &str) -> Notice {
    let over = kind == NoticeKind::Resolved;
    let before = |hours: i64| at.checked_sub(jiff::SignedDuration::from_hours(hours)).unwrap_or(at);
    let title = if over { "the newest backup of nightly is 2 h old again" } else { "the newest backup of nightly is 27 h old" };
    let severity = if kind == NoticeKind::Event { Severity::Info } else { Severity::Critical };
    let word = super::view::kind_word(kind);
    Notice {
        id: format!("sample:{policy}:{receiver}:{word}:{mark}"),
        policy: policy.clone(),
        receiver: receiver.clone(),
        kind,
        severity,
        at,
        subject: format!("[TEST] {word}: {policy}: {title}"),
        items: vec![Item {
            key: "seawall_sample:nightly".into(),
            severity,
            title: title.into(),
            text: "This is a sample that somebody asked for with `seawall notify test`. Nothing is wrong.".into(),
            hint: Some("Look whether it arrived where it should, and as you want it.".into()),
            job: Some("backups.nightly".into()),
            since: Some(before(2)),
            until: over.then_some(at),
            facts: vec![("age".into(), "27 h".into()), ("limit".into(), "25 h".into())],
        }],
        enclosed: None,
    }
}
