//! Messages as they arrive: at real servers, read by other people's libraries.

mod mail;
mod manager;
mod outbox;
mod web;

use std::path::Path;

use seawall::alert::{Item, Notice, NoticeKind};
use seawall::policy::document::{Document, ReadFault};
use seawall::policy::file::Severity;
use seawall::policy::model::Policy;
use seawall::policy::resolve::resolve;

use crate::cli::Room;

/// A policy whose receivers and mail server are these.
fn text(receivers: &str, smtp: &str) -> String {
    let names: Vec<&str> = receivers.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(':')).map(|(name, _)| name).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| !name.starts_with(' ')).collect();
    let smtp = if smtp.is_empty() { String::new() } else { format!("smtp: {smtp}\n") };
    format!(
        "version: 1
policy: shop
timezone: Europe/Oslo
cluster: {{ connection: service=shop, databases: [app] }}
stores: {{ main: {{ local: {{ path: /srv/backups }}, replicated: {{ to: elsewhere }} }} }}
encryption: {{ none: {{ because: a sample for tests }} }}
backups:
  nightly: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ daily: 30 }} }}
wal: {{ store: main, timeout: 60s, keep: 30d }}
receivers:
{receivers}alerts: {{ routes: [{{ to: [{}] }}] }}
{smtp}",
        names.join(", ")
    )
}

fn policy(text: &str) -> Policy {
    let files = |path: &Path| match path.file_name().and_then(|name| name.to_str()) {
        Some("shop.yaml") => Ok(text.as_bytes().to_vec()),
        _ => Err(ReadFault { message: "there is no such file".into(), hint: String::new(), too_large: false }),
    };
    let document = Document::load("shop.yaml", Path::new("shop.yaml"), &files);
    let resolved = resolve(&document, jiff::civil::date(2026, 11, 21));
    let said = || document.findings.iter().chain(&resolved.findings).map(|finding| format!("{}: {}", finding.path, finding.message));
    resolved.policy.unwrap_or_else(|| panic!("{:#?}\n{text}", said().collect::<Vec<_>>()))
}

fn notice(kind: NoticeKind, id: &str) -> Notice {
    let name = |text: &str| text.parse().expect("a name");
    Notice {
        id: id.into(),
        policy: name("shop"),
        receiver: name("dba"),
        kind,
        severity: Severity::Critical,
        at: "2026-11-21T03:00:00Z".parse().expect("a moment"),
        subject: "shop: the newest backup of nightly is 27 h old".into(),
        items: vec![item("backup_age:nightly")],
        enclosed: None,
    }
}

fn item(key: &str) -> Item {
    Item {
        key: key.into(),
        severity: Severity::Critical,
        title: "the newest backup of nightly is 27 h old".into(),
        text: "Sikkerhetskopien er for gammel – ингредиент 備份.".into(),
        hint: Some("Look why with `seawall history nightly`.".into()),
        job: Some("backups.nightly".into()),
        since: Some("2026-11-21T01:00:00Z".parse().expect("a moment")),
        until: None,
        facts: vec![("limit".into(), "25 h".into())],
    }
}

/// A room with the policy in it, for the program itself.
fn room(text: &str) -> Room {
    Room::new().with("shop.yaml", text)
}

#[test]
fn somebody_is_told_that_nobody_is_there() {
    let room = room(&text("  dba: { webhook: { url: { env: SEAWALL_TEST_NOT_SET } } }\n", ""));
    let run = room.run(&["notify", "test", "-p", "shop.yaml"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stdout.contains("dba  FAILED after 0.0 s: receivers.dba.webhook.url: the environment variable SEAWALL_TEST_NOT_SET"),
        "{run:?}"
    );
    let run = room.run(&["notify", "test", "dbo", "-p", "shop.yaml"]);
    assert_eq!(run.code, Some(64), "{run:?}");
    assert!(run.stderr.contains("Did you mean `dba`?"), "{run:?}");
}
