//! Each proof on the smallest policy that shows it, and on the nearest one that it must leave alone.

mod acknowledge;
mod durations;
mod retention;
mod stores;
mod watching;

use std::path::Path;

use super::prove;
use crate::inventory::{ClusterInventory, HowMeasured, Measured, Measurement, Observed, Size};
use crate::policy::document::Document;
use crate::policy::finding::{Finding, Weight};
use crate::policy::model::Policy;
use crate::policy::resolve::resolve;
use crate::units::Instant;

const HEAD: &str = "version: 1
policy: tested
cluster: { connection: service=tested, databases: [shop] }
encryption: { age: { recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p] } }
";
const MAIN: &str = "stores: { main: { s3: { bucket: main-backups } } }\n";

/// A Saturday.
fn now() -> Instant {
    "2026-11-21T08:00:00Z".parse().expect("an instant")
}

fn policy_of(text: &str) -> Policy {
    let document = Document::load("tested.yaml", Path::new("tested.yaml"), &|_| Ok(text.as_bytes().to_vec()));
    let resolved = resolve(&document, now().to_zoned(jiff::tz::TimeZone::UTC).date());
    resolved.policy.unwrap_or_else(|| panic!("{:#?}\n{:#?}", document.findings, resolved.findings))
}

/// `error backups.nightly.window: takes …`
fn line(finding: &Finding) -> String {
    let weight = match finding.weight {
        Weight::Error => "error",
        Weight::Warning => "warning",
        Weight::Note => "note",
    };
    format!("{weight} {}: {}", finding.path, finding.message)
}

fn findings(body: &str) -> Vec<Finding> {
    prove(&policy_of(&format!("{HEAD}{body}")), None, now())
}

/// The findings of one code.
#[track_caller]
fn assert_found(code: u16, body: &str, expected: &[&str]) {
    let found: Vec<String> = findings(body).iter().filter(|finding| finding.code.0 == code).map(line).collect();
    assert_eq!(found, expected, "{body}");
}

/// The same with one store.
#[track_caller]
fn assert_with_main(code: u16, body: &str, expected: &[&str]) {
    assert_found(code, &format!("{MAIN}{body}"), expected);
}

fn inventory(job: &str, takes: &str) -> ClusterInventory {
    let duration = Measurement::once(takes.parse().expect("a duration"), now(), HowMeasured::Run);
    let backup_durations = [(job.parse().expect("a name"), duration)].into();
    ClusterInventory {
        repository: None,
        system_identifier: Observed::unknown("not asked"),
        postgres_version: Observed::unknown("not asked"),
        cluster_size: Observed::Known(Size::new(100_000_000_000)),
        stores: Default::default(),
        measured: Observed::Known(Measured { backup_durations, ..Measured::default() }),
        proven: None,
        holds: Observed::unknown("not asked"),
        timescaledb: Default::default(),
        server: None,
    }
}

#[test]
fn every_finding_has_a_hint_that_is_a_sentence_and_a_message_that_is_none() {
    let crowded = "
stores:
  main: { s3: { bucket: main-backups, account: \"1\", region: a }, immutable: { mode: governance, for: 30d } }
  other: { s3: { bucket: other-backups, account: \"1\", region: a }, posture: { lifecycle_deletes: accepted } }
wal: { store: main, timeout: 5m, keep: 1d }
windows: { short: { on: sunday, from: \"03:00\", to: \"04:00\" } }
backups:
  full: { physical: {}, schedule: { on: sunday, at: \"03:00\" }, window: short, takes: 2h, store: main, copies: [other], keep: { for: 1d } }
  dump: { logical: {}, schedule: { on: sunday, at: \"03:00\" }, store: main, keep: { daily: 7 } }
  often: { incremental: { of: full, chain: 999 }, schedule: { every: 1h }, takes: 2h }
holds: { case: { reason: court, backups: { job: full } } }
alerts: { thresholds: { backup_age: 1h, wal_lag: 1m } }
drills: { empty: { restore: { latest: full } } }
";
    let findings = findings(crowded);
    let codes: std::collections::BTreeSet<u16> = findings.iter().map(|finding| finding.code.0).collect();
    assert!(codes.len() >= 14, "{codes:?}");
    for finding in &findings {
        let hint = finding.hint.as_deref().unwrap_or_default();
        assert!(hint.ends_with('.') && hint.starts_with(char::is_uppercase), "{finding:#?}");
        assert!(!finding.message.ends_with('.') && !finding.message.starts_with(char::is_uppercase), "{finding:#?}");
    }
}

#[test]
fn a_careful_policy_is_left_alone() {
    let body = "
stores:
  main: { s3: { bucket: main-backups, account: \"1\", region: a } }
  other: { s3: { bucket: other-backups, account: \"2\", region: b } }
wal: { store: main, copies: [other], timeout: 60s, keep: 7d }
backups:
  full: { physical: {}, schedule: { at: \"02:00\" }, takes: 1h, store: main, copies: [other], keep: { daily: 14, monthly: 12, yearly: 7 } }
  often: { incremental: { of: full, chain: 24 }, schedule: { every: 1h }, takes: 5m, keep: { for: 2d } }
  dump: { logical: {}, schedule: { on: sunday, at: \"04:00\" }, takes: 1h, store: main, keep: { weekly: 12 } }
alerts: { thresholds: { backup_age: 8d, backup_age_of: { full: 25h, often: 2h }, wal_lag: 5m } }
";
    // That increments are only planned is said of every policy that has some.
    let named: Vec<String> = findings(body).iter().filter(|finding| finding.code.0 != 419).map(line).collect();
    assert_eq!(named, ["warning : no drill: nothing ever proves that a backup can be restored"]);
}
