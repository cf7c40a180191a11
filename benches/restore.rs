//! A restore and a delta restore of a real cluster from a directory: `seawall restore` against pgBackRest at its best settings.
//!
//! `cargo bench --bench restore` measures about 1.5 GB, or `SEAWALL_BENCH_GB`; half of it pgbench's rows, half a time series.
//! `cargo test --bench restore` runs everything once on a small cluster. pgBackRest is Debian's package; without it only our own figures
//! are shown. Both decrypt, expand zstd, check what they write, make it durable, and have two processes or workers. What a run finds
//! is prepared before its clock starts.

mod clusters;
mod data;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use clusters::{Cluster, Options, Version};

/// What we promise: this share of the peer's time at most.
const WHOLE: f64 = 0.75;
const DELTA: f64 = 0.50;
const MEMORY_MB: f64 = 128.0;

/// One run, or the median of several.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Figures {
    wall: f64,
    cpu: f64,
    memory_mb: f64,
}

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::var("SEAWALL_BENCH_GB").ok().and_then(|text| text.parse().ok());
    let rig = Rig::new(if full { asked.unwrap_or(1.5) } else { 0.03 });
    let runs = if full { 5 } else { 1 };
    println!("a cluster of {}, {runs} runs in turn, medians\n", rig.size());
    let peer = rig.prepare_peer();
    let ours = rig.seawall();
    let whole = "rm -rf TO && mkdir -m 700 TO";
    rig.alternate("restore", whole, &ours, peer.as_deref(), "", runs, WHOLE);
    // Three files damaged and one missing, as after a bad disk.
    let damage = "for f in $(find TO/base -type f -size +8M | sort | head -3); do printf damaged | dd of=$f bs=8192 seek=300 conv=notrunc status=none; done; \
                  rm -f $(find TO/base -type f -size +8M | sort | tail -1)";
    rig.alternate("delta", damage, &ours, peer.as_deref(), "--delta", runs, DELTA);
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
        rig.fill(gigabytes);
        rig.must("SEAWALL backup full --policy policy.yaml --state state > backup.log 2>&1 || { cat backup.log; exit 1; }");
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
                 backups: {{ full: {{ physical: {{ workers: 2 }}, schedule: {{ at: \"02:00\" }}, keep: {{ daily: 7 }}, takes: 1m }} }}\n",
                self.cluster.conninfo()
            ),
        );
        let seawall = env!("CARGO_BIN_EXE_seawall");
        self.write("archive", &format!("#!/bin/sh\nexec {seawall} wal push $1 --policy {folder}/policy.yaml --state {folder}/state\n"));
        self.must("chmod 755 archive");
    }

    fn fill(&self, gigabytes: f64) {
        for statement in data::statements(gigabytes) {
            self.cluster.sql(&statement);
        }
    }

    fn size(&self) -> String {
        self.cluster.sql("select pg_size_pretty(sum(pg_database_size(oid))) from pg_database")
    }

    fn seawall(&self) -> String {
        "SEAWALL restore --policy policy.yaml --state state --workers 2 --yes --target TO".into()
    }

    fn prepare_peer(&self) -> Option<String> {
        let folder = self.folder().display();
        self.write(
            "pgbackrest.conf",
            &format!(
                "[global]\nrepo1-path={folder}/peer\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=only-for-this-measurement\n\
                 repo1-retention-full=1\ncompress-type=zst\ncompress-level=1\nprocess-max=2\nstart-fast=y\narchive-check=n\n\
                 log-path={folder}/peer\nlock-path={folder}/peer\nspool-path={folder}/peer\nlog-level-console=off\nlog-level-file=off\n\
                 [bench]\npg1-path={folder}/data\npg1-port={}\npg1-socket-path={}\npg1-user=postgres\n",
                self.cluster.port(),
                self.cluster.sockets().display()
            ),
        );
        let words = format!("pgbackrest --config={folder}/pgbackrest.conf --stanza=bench");
        let ready = format!("command -v pgbackrest > /dev/null && mkdir peer && {words} stanza-create && {words} --type=full backup");
        self.shell(&ready).status().is_ok_and(|status| status.success()).then(|| format!("{words} --pg1-path=$PWD/TO restore"))
    }

    /// A B A B, each into a directory of its own that is prepared before.
    #[allow(clippy::too_many_arguments)]
    fn alternate(&self, name: &str, before: &str, ours: &str, peer: Option<&str>, more: &str, runs: usize, goal: f64) {
        let mut all: [Vec<Figures>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..runs {
            for (which, command) in [Some(ours), peer].into_iter().enumerate() {
                let Some(command) = command else { continue };
                let to = ["ours", "theirs"][which];
                self.must(&before.replace("TO", to));
                // Nothing that is still being written from before is on anybody's clock.
                let _ = Command::new("sync").status();
                all[which].push(self.measure(&format!("{} {more}", command.replace("TO", to))));
            }
        }
        let [ours, theirs] = all.map(|figures| median(&figures));
        show(name, "seawall", ours);
        show(name, "pgbackrest", theirs);
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            let word = |good: bool| if good { "met" } else { "MISSED" };
            let share = ours.wall / theirs.wall;
            println!("{name:8} wall {share:.2} of the peer's, goal {goal}: {}; CPU {:.2}", word(share <= goal), ours.cpu / theirs.cpu);
            println!("{name:8} memory {:.0} MB, goal {MEMORY_MB}: {}\n", ours.memory_mb, word(ours.memory_mb <= MEMORY_MB));
        }
    }

    fn measure(&self, command: &str) -> Figures {
        self.must(&format!("/usr/bin/time -o time -f '%e %U %S %M' {command} > said 2>&1 || {{ cat said; exit 1; }}"));
        let text = fs::read_to_string(self.folder().join("time")).expect("Debian's package `time`");
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        Figures { wall: numbers[0], cpu: numbers[1] + numbers[2], memory_mb: numbers[3] / 1024.0 }
    }
}

fn median(figures: &[Figures]) -> Option<Figures> {
    let of = |pick: fn(&Figures) -> f64| {
        let mut numbers: Vec<f64> = figures.iter().map(pick).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.get(numbers.len() / 2).copied()
    };
    Some(Figures { wall: of(|one| one.wall)?, cpu: of(|one| one.cpu)?, memory_mb: of(|one| one.memory_mb)? })
}

fn show(name: &str, program: &str, figures: Option<Figures>) {
    match figures {
        Some(Figures { wall, cpu, memory_mb }) => println!("{name:8} {program:10} {wall:7.2} s  {cpu:7.2} s CPU  {memory_mb:5.0} MB"),
        None => println!("{name:8} {program:10} not measured"),
    }
}
