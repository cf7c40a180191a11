//! Debian's Prometheus Alertmanager, and what its own tool says is firing.

use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Program, free_ports};

#[derive(Debug)]
pub(crate) struct Alertmanager {
    _server: Program,
    port: u16,
}

impl Alertmanager {
    pub(crate) fn start() -> Alertmanager {
        let [port] = free_ports();
        Alertmanager::start_at(port)
    }

    /// Where one was before: it remembers nothing.
    pub(crate) fn start_at(port: u16) -> Alertmanager {
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
        Alertmanager { _server: server, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What Alertmanager's own tool says is firing.
    pub(crate) fn firing(&self) -> Vec<Value> {
        let url = format!("--alertmanager.url={}", self.url());
        let output = Command::new("amtool").args([&url, "alert", "query", "-o", "json"]).output().expect("amtool starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let Value::Array(alerts) = serde_json::from_slice(&output.stdout).expect("JSON") else { panic!("no list") };
        alerts
    }

    /// Alertmanager tells what it was told a moment later.
    pub(crate) fn firing_becomes(&self, count: usize) -> Vec<Value> {
        let since = Instant::now();
        loop {
            let alerts = self.firing();
            if alerts.len() == count {
                return alerts;
            }
            assert!(since.elapsed() < Duration::from_secs(60), "{count} expected: {alerts:#?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}
