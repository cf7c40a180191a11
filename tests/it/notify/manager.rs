//! A real Alertmanager takes our alerts, and lets them go.

use std::thread;
use std::time::Duration;

use seawall::alert::NoticeKind;
use seawall::notify::{Before, Courier, FaultKind};
use seawall::policy::file::Severity;
use serde_json::Value;

use super::{item, notice, policy, text};
use crate::servers::alertmanager::Alertmanager;
use crate::servers::free_ports;

#[test]
fn alerts_begin_change_and_end() {
    let manager = Alertmanager::start();
    let policy = policy(&text(&format!("  dba: {{ alertmanager: {{ url: \"{}/\" }} }}\n", manager.url()), ""));
    let courier = Courier::new(&policy);
    let mut digest = notice(NoticeKind::Firing, "n-1");
    digest.items.push(item("wal_lag:\"strange\" {key}\n"));
    let receipt = courier.send(&digest, &Before::default()).expect("it is taken");
    assert_eq!(courier.resends(&"dba".parse().expect("a name")), Some(Duration::from_secs(300)));
    let alerts = manager.firing_becomes(2);
    let nightly = alerts.iter().find(|alert| alert["labels"]["alertname"] == "backup_age").expect("it is there");
    for (label, value) in [("policy", "shop"), ("severity", "critical"), ("key", "backup_age:nightly"), ("job", "backups.nightly")] {
        assert_eq!(nightly["labels"][label], value, "{label}");
    }
    assert_eq!(nightly["annotations"]["summary"], "the newest backup of nightly is 27 h old");
    assert!(nightly["startsAt"].as_str().is_some_and(|at| at.starts_with("2026-11-21T01:00:00")), "{nightly}");
    // The same again is the same; another severity takes the place of the first.
    courier.send(&digest, &Before { reference: receipt.reference.clone(), ..Before::default() }).expect("it is taken");
    assert_eq!(manager.firing().len(), 2);
    let mut milder = notice(NoticeKind::Firing, "n-2");
    milder.items[0].severity = Severity::Warning;
    let receipt = courier.send(&milder, &Before { reference: receipt.reference, ..Before::default() }).expect("it is taken");
    thread::sleep(Duration::from_secs(1));
    let severities: Vec<Value> = manager.firing_becomes(2).into_iter().map(|alert| alert["labels"]["severity"].clone()).collect();
    assert!(severities.contains(&"warning".into()), "{severities:?}");
    // The end, although the one who tells it thinks of the first severity.
    let over = notice(NoticeKind::Resolved, "n-3");
    courier.send(&over, &Before { reference: receipt.reference, ..Before::default() }).expect("it is taken");
    let left = manager.firing_becomes(1);
    assert_eq!(left[0]["labels"]["alertname"], "wal_lag");
}

#[test]
fn an_alertmanager_that_is_not_there() {
    let [nobody] = free_ports();
    let policy = policy(&text(&format!("  dba: {{ alertmanager: {{ url: \"http://127.0.0.1:{nobody}\" }} }}\n"), ""));
    let fault = Courier::new(&policy).send(&notice(NoticeKind::Firing, "n-1"), &Before::default()).expect_err("nobody is there");
    assert_eq!(fault.kind, FaultKind::Passing);
}
