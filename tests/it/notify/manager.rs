//! A real Alertmanager takes our alerts, and lets them go.

use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use seawall::alert::NoticeKind;
use seawall::notify::{Before, Courier, FaultKind};
use seawall::policy::file::Severity;
use serde_json::Value;

use super::{item, notice, policy, text};
use crate::servers::{Program, free_ports};

struct Alertmanager {
    _server: Program,
    url: String,
}

impl Alertmanager {
    fn start() -> Alertmanager {
        let [port] = free_ports();
        let directory = tempfile::tempdir().expect("a directory");
        let config = "route: { receiver: none, group_wait: 1s }\nreceivers: [{ name: none }]\n";
        std::fs::write(directory.path().join("config.yml"), config).expect("a file");
        let words = [
            "--config.file=config.yml".to_owned(),
            "--storage.path=data".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ];
        let server = Program::start("prometheus-alertmanager", &words, directory, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Alertmanager { _server: server, url: format!("http://127.0.0.1:{port}") }
    }

    /// What Alertmanager's own tool says is firing.
    fn firing(&self) -> Vec<Value> {
        let url = format!("--alertmanager.url={}", self.url);
        let output = Command::new("amtool").args([&url, "alert", "query", "-o", "json"]).output().expect("amtool starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let Value::Array(alerts) = serde_json::from_slice(&output.stdout).expect("JSON") else { panic!("no list") };
        alerts
    }

    /// Alertmanager tells what it was told a moment later.
    fn firing_becomes(&self, count: usize) -> Vec<Value> {
        let since = Instant::now();
        loop {
            let alerts = self.firing();
            if alerts.len() == count {
                return alerts;
            }
            assert!(since.elapsed() < Duration::from_secs(20), "{count} expected: {alerts:#?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn alerts_begin_change_and_end() {
    let manager = Alertmanager::start();
    let policy = policy(&text(&format!("  dba: {{ alertmanager: {{ url: \"{}/\" }} }}\n", manager.url), ""));
    let courier = Courier::new(&policy);
    let mut digest = notice(NoticeKind::Firing, "n-1");
    digest.items.push(item("wal_lag:\"strange\" {key}\n"));
    let receipt = courier.send(&digest, &Before::default()).expect("it is taken");
    assert_eq!(receipt.resend_every, Some(Duration::from_secs(300)));
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
