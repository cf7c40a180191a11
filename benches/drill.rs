//! What a drill costs above the recovery that it rehearses: `seawall drill` against `seawall restore --start`, in turn, of the same cluster,
//! from the same directory, with the same log behind its backup.
//!
//! `cargo bench --bench drill` measures about 1 GB, or `SEAWALL_BENCH_GB`, with an eighth of that as log; `cargo test --bench drill` runs it
//! once on a small cluster. A drill clears away what it has made; a restore does not, so that is not on its clock either, and is shown apart.

mod clusters;
mod data;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use clusters::{Cluster, Options, Version};
use serde_json::Value;

/// What we promise: at most this share of the bare recovery's time.
const GOAL: f64 = 1.10;

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::var("SEAWALL_BENCH_GB").ok().and_then(|text| text.parse().ok());
    let rig = Rig::new(if full { asked.unwrap_or(1.0) } else { 0.03 });
    let runs = if full { 5 } else { 1 };
    println!("a cluster of {}, {runs} runs in turn, medians\n", rig.size());
    let (mut bare, mut drilled, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        bare.push(rig.restore());
        let (wall, remove) = rig.drill();
        drilled.push(wall - remove);
        removed.push(remove);
    }
    let (bare, drilled, removed) = (median(bare), median(drilled), median(removed));
    println!("restore --start  {bare:7.2} s");
    println!("drill            {drilled:7.2} s, and {removed:.2} s to clear away");
    let share = drilled / bare;
    println!("share {share:.2} of the bare recovery, goal {GOAL}: {}", if share <= GOAL { "met" } else { "MISSED" });
    if !full {
        println!("(a trial in a debug build: these figures mean nothing; `cargo bench` measures)");
    }
    ExitCode::SUCCESS
}

struct Rig {
    cluster: Cluster,
}

impl Rig {
    fn new(gigabytes: f64) -> Rig {
        let options = Options::default().archiving("exec ../archive %p").with("max_wal_size = 8GB").with("shared_buffers = 256MB");
        let rig = Rig { cluster: Cluster::start(Version::V15, options) };
        rig.write_policy();
        for statement in data::statements(gigabytes) {
            rig.cluster.sql(&statement);
        }
        rig.must("SEAWALL backup full --policy policy.yaml --state state > backup.log 2>&1 || { cat backup.log; exit 1; }");
        // Rows of some 130 bytes of log each.
        let rows = (gigabytes * 1e9 / 8.0 / 130.0) as u64;
        rig.cluster.sql(&format!("create table after_it as select n, md5(n::text) as v from generate_series(1, {rows}) n"));
        let segment = rig.cluster.sql("select pg_walfile_name(pg_switch_wal())");
        rig.cluster.wait_until(&format!("coalesce(last_archived_wal, '') >= '{segment}' from pg_stat_archiver"));
        rig
    }

    fn folder(&self) -> &Path {
        self.cluster.folder()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.cluster.account().own(&self.folder().join(name));
    }

    fn shell(&self, text: &str) -> Command {
        let text = text.replace("SEAWALL", env!("CARGO_BIN_EXE_seawall"));
        let mut command = self.cluster.account().command("sh");
        command.args(["-c", &format!("cd {} && {text}", self.folder().display())]);
        command
    }

    fn must(&self, text: &str) {
        assert!(self.shell(text).status().is_ok_and(|status| status.success()), "{text}");
    }

    fn write_policy(&self) {
        let folder = self.folder().display();
        self.must("mkdir store state && age-keygen -o identity.txt 2> /dev/null");
        let identity = fs::read_to_string(self.folder().join("identity.txt")).expect("an identity");
        let recipient = identity.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a public key");
        self.write(
            "policy.yaml",
            &format!(
                "version: 1\npolicy: bench\nowner: you@example.com\nreview_by: 2099-06-30\n\
                 cluster: {{ connection: \"{}\", data_directory: {folder}/data, databases: [postgres] }}\n\
                 objectives: {{ rpo: 5m, rto: 1h }}\n\
                 stores: {{ disk: {{ local: {{ path: {folder}/store, other_device: false }} }} }}\n\
                 encryption: {{ age: {{ recipients: [{recipient}], identity: {{ file: {folder}/identity.txt }} }} }}\n\
                 wal: {{ store: disk, timeout: 60s, keep: 7d }}\n\
                 backups: {{ full: {{ physical: {{ workers: 2 }}, schedule: {{ at: \"02:00\" }}, keep: {{ daily: 7 }}, takes: 1m }} }}\n\
                 drills: {{ bare: {{ restore: {{ latest: full }} }} }}\n",
                self.cluster.conninfo()
            ),
        );
        let seawall = env!("CARGO_BIN_EXE_seawall");
        self.write("archive", &format!("#!/bin/sh\nexec {seawall} wal push $1 --policy {folder}/policy.yaml --state {folder}/state\n"));
        self.must("chmod 755 archive");
    }

    fn size(&self) -> String {
        self.cluster.sql("select pg_size_pretty(sum(pg_database_size(oid))) from pg_database")
    }

    /// Nothing that is still being written from before is on anybody's clock.
    fn timed(&self, command: &str) -> f64 {
        let _ = Command::new("sync").status();
        let began = Instant::now();
        self.must(&format!("{command} > said 2> complained || {{ cat said complained; exit 1; }}"));
        began.elapsed().as_secs_f64()
    }

    fn restore(&self) -> f64 {
        self.must("rm -rf copy && mkdir -m 700 copy");
        let settings = "--set port=1 --set listen_addresses= --set shared_buffers=256MB";
        let words = format!("SEAWALL restore --policy policy.yaml --state state --workers 2 --yes --target copy --start {settings}");
        let wall = self.timed(&words);
        self.must(&format!("{}/pg_ctl -D copy -m immediate -w stop > said", Version::V15.programs().display()));
        wall
    }

    fn drill(&self) -> (f64, f64) {
        let wall = self.timed("SEAWALL drill bare --policy policy.yaml --state state --workers 2 --format json");
        let said = fs::read_to_string(self.folder().join("said")).expect("what it said");
        let record: Value = serde_json::from_str(&said).expect("a record");
        let phases = record["phases"].as_array().expect("phases");
        let remove = phases.iter().find(|phase| phase["phase"] == "remove").and_then(|phase| phase["millis"].as_f64());
        (wall, remove.unwrap_or(0.0) / 1000.0)
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
