//! Two hosts of one policy: `db-1` with the primary, `db-2` with a standby that was restored from its backup.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clusters::{Options, Version};
use crate::restore::rig::{Restored, Rig, Said, said};

pub struct Pair {
    pub rig: Rig,
    pub standby: Restored,
    pub port: u16,
}

/// As `--primary-conninfo`, and as the policy has it.
pub fn conninfo(rig: &Rig, port: u16) -> String {
    format!("host={} port={port} user=postgres dbname=postgres", rig.cluster.sockets().display())
}

/// Archived and backed up, with five rows in `series` since.
pub fn primary(version: Version, options: Options) -> Rig {
    let rig = Rig::start(version, options);
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    rig.shell("mkdir -m 700 -p state-2 && cp -a state/keys state-2/keys");
    rig
}

pub fn free_port() -> u16 {
    let [port] = crate::clusters::free_ports();
    port
}

/// On the standby's host.
pub fn restore(rig: &Rig, name: &str, port: u16, words: &[&str]) -> Said {
    let (target, programs, setting) = (rig.path(name), rig.cluster.programs(), format!("port={port}"));
    let mut all =
        vec!["restore", "--yes", "--target", target.to_str().expect("text"), "--format", "json", "--as-standby", "--set", &setting];
    all.extend(["--start-with", programs.to_str().expect("text")]);
    all.extend(words);
    said(rig.command_on("state-2", &all).output().expect("it runs"))
}

impl Pair {
    /// The standby streams, by a slot of its own.
    pub fn streaming(version: Version) -> Pair {
        let rig = primary(version, Options::default());
        let from = rig.cluster.conninfo();
        Pair::with(rig, &["--primary-conninfo", &from, "--slot", "db_2"])
    }

    /// The standby has the archive only.
    pub fn archive_only(version: Version) -> Pair {
        Pair::with(primary(version, Options::default()), &[])
    }

    pub fn with(rig: Rig, words: &[&str]) -> Pair {
        let port = free_port();
        let restored = restore(&rig, "standby", port, words);
        assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
        let mut standby = rig.running("standby", port);
        standby.report = crate::cli::follows("restore-output", &restored.out);
        let hosts = format!(
            "hosts: {{ db-1: {{ role: primary, connection: \"{}\" }}, db-2: {{ role: standby, connection: \"{}\" }} }}",
            rig.cluster.conninfo(),
            conninfo(&rig, port)
        );
        rig.change_policy("databases: [postgres],", &format!("databases: [postgres], {hosts},"));
        Pair { rig, standby, port }
    }

    /// A hook of the policy, as a shell script; its time limit may be given.
    pub fn hook(&self, name: &str, script: &str, timeout: &str) {
        let file = format!("{name}.sh");
        self.rig.write(&file, &format!("#!/bin/sh\n{script}\n"));
        let path = self.rig.path(&file);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("a program");
        let policy = std::fs::read_to_string(self.rig.path("policy.yaml")).expect("a policy");
        let line = format!("  {name}: {{ run: [{}], timeout: {timeout} }}\n", path.display());
        let mut kept: Vec<&str> = policy.lines().filter(|old| !old.starts_with(&format!("  {name}: "))).collect();
        if !kept.contains(&"hooks:") {
            kept.push("hooks:");
        }
        self.rig.write("policy.yaml", &(kept.join("\n") + "\n" + &line));
    }

    /// Stops the primary as an operator would, and says so; notes what it was told.
    pub fn fence_by_stopping(&self, mode: &str) {
        let (pg_ctl, folder) = (self.rig.cluster.version().programs().join("pg_ctl"), self.rig.cluster.folder().display().to_string());
        let stop = format!("{} -D {folder}/data -m {mode} -w stop >&2", pg_ctl.display());
        self.hook("before_promote", &format!("env | grep ^SEAWALL_ | sort > {folder}/fence.env\n{stop}"), "60s");
    }

    pub fn command(&self, words: &[&str]) -> Command {
        self.rig.command_on("state-2", &[&["promote", "--host", "db-2"], words].concat())
    }

    pub fn promote(&self, words: &[&str]) -> Said {
        said(self.command(words).output().expect("it runs"))
    }

    /// It must go well.
    pub fn promoted(&self, words: &[&str]) -> Value {
        let said = self.promote(&[&["--yes", "--format", "json"], words].concat());
        assert_eq!(said.code, 0, "{}{}\n{}", said.out, said.err, self.log());
        crate::cli::follows("promote-output", &said.out)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.standby.data.join("seawall-recovery.log")).unwrap_or_default()
    }

    pub fn is_standby(&self) -> bool {
        self.standby.sql("select pg_is_in_recovery()") == "t"
    }

    /// What is in the audit chain of the standby's host, of this kind.
    pub fn audited(&self, kind: &str) -> usize {
        let shown = said(self.rig.command_on("state-2", &["audit", "show", "--format", "json"]).output().expect("it runs"));
        shown.json()["entries"].as_array().map_or(0, |entries| entries.iter().filter(|entry| entry["kind"] == kind).count())
    }

    pub fn caught_up(&self) {
        let at = self.rig.cluster.sql("select pg_current_wal_flush_lsn()");
        self.standby.wait_until(&format!("pg_last_wal_replay_lsn() >= '{at}'"));
    }
}

/// Writes rows of its own until it is stopped or nobody takes them, and knows which were acknowledged.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<i64>>,
}

impl Writer {
    pub fn begin(pair: &Pair) -> Writer {
        pair.rig.cluster.sql("create table written (n bigint primary key)");
        pair.caught_up();
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, mut connection) = (stop.clone(), pair.rig.cluster.connect());
        let thread = std::thread::spawn(move || {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let done = connection.query("insert into written values ($1::text::bigint)", &[&number.to_string()]);
                if done.is_err() || asked.load(Ordering::Relaxed) {
                    break;
                }
                acknowledged.push(number);
            }
            acknowledged
        });
        Writer { stop, thread }
    }

    pub fn end(self) -> Vec<i64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a writer")
    }
}

pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
