//! Debian's Prometheus asks `seawall serve`, with the rules that `seawall emit prometheus` writes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use seawall::catalog::{End, Outcome};
use serde_json::Value;

use super::Rig;
use crate::servers::live::Live;
use crate::servers::{Program, free_ports};

fn get(port: u16, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// The alert of this name that fires, once there is one, or once there is none.
fn becomes(port: u16, name: &str, fires: bool) -> Option<Value> {
    let since = Instant::now();
    loop {
        let told = get(port, "/api/v1/alerts").unwrap_or_default();
        let alerts = told["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let found = alerts.into_iter().find(|alert| alert["labels"]["alertname"] == name && alert["state"] == "firing");
        if found.is_some() == fires {
            return found;
        }
        assert!(since.elapsed() < Duration::from_secs(120), "{name} fires: {fires} expected: {told:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn prometheus_fires_and_resolves_a_real_alert() {
    let rig = Rig::well();
    let live = Live::start(rig.room.command(), "shop.yaml");
    let target = live.address;
    let directory = tempfile::tempdir().expect("a directory");
    let rules = directory.path().join("rules.yml");
    let run = rig.room.run(&["emit", "prometheus", "shop.yaml", "--out", rules.to_str().expect("a path")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yml]\n\
         scrape_configs: [{{ job_name: seawall, static_configs: [{{ targets: [\"{target}\"] }}] }}]\n"
    );
    std::fs::write(directory.path().join("prometheus.yml"), config).expect("a file");
    let [port] = free_ports();
    let words = [
        "--config.file=prometheus.yml".to_owned(),
        "--storage.tsdb.path=data".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let level = "/api/v1/query?query=policy_job_name:seawall_backup_age_seconds:newest";
    // Ready when the rules have made something of what was scraped.
    let ready = || get(port, level).is_some_and(|told| told["data"]["result"][0]["metric"]["job_name"] == "backups.nightly");
    let _prometheus = Program::start("prometheus", &words, directory, ready);
    assert!(becomes(port, "SeawallJobFailing", false).is_none());
    assert!(becomes(port, "SeawallNotWatched", false).is_none());

    let catalog = rig.catalog();
    rig.failed(&catalog, 10);
    let alert = becomes(port, "SeawallJobFailing", true).expect("an alert");
    assert_eq!(alert["labels"]["policy"], "shop", "{alert:#}");
    assert_eq!(alert["labels"]["job_name"], "backups.nightly", "{alert:#}");
    assert_eq!(alert["labels"]["severity"], "critical", "{alert:#}");
    assert_eq!(alert["annotations"]["summary"], "backups.nightly of shop failed 1 time(s) in a row", "{alert:#}");

    let run = rig.begin(&catalog, "backups.nightly", 5);
    catalog.end_run(run, &End::with(Outcome::Succeeded, rig.ago(1))).expect("ended");
    assert!(becomes(port, "SeawallJobFailing", false).is_none());
}
