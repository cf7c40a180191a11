//! A full backup of a real cluster into a directory: `seawall backup` against pgBackRest at its best settings.
//!
//! `cargo bench --bench backup` measures about 1.5 GB, or `SEAWALL_BENCH_GB`; half of it pgbench's rows, which compress unusually
//! well, half a time series. `cargo test --bench backup` runs everything once on a small cluster. pgBackRest is Debian's package;
//! without it only our own figures are shown. Both encrypt, compress with zstd at level 1 and have two processes or workers.

mod clusters;
mod data;
mod harness;
mod s3;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use clusters::{Cluster, Options, Version};
use harness::{Goal, Outcome, compare};

/// What we promise: this share of the peer's time at most.
const WALL: f64 = 0.65;
const CPU: f64 = 0.85;
const MEMORY_MB: u64 = 128;
/// This share of the local rate at least.
const S3: f64 = 0.80;

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::var("SEAWALL_BENCH_GB").ok().and_then(|text| text.parse().ok());
    let gigabytes: f64 = if full { asked.unwrap_or(1.5) } else { 0.03 };
    let rig = Rig::new(gigabytes);
    let runs = if full { 5 } else { 1 };
    println!("a cluster of {}, {runs} runs in turn, medians\n", rig.size());
    let goal = Goal { memory_mb: Some(MEMORY_MB), ..Goal::default() };
    let (ours, peer) = (rig.seawall("policy.yaml"), rig.pgbackrest());
    let mut outcome = compare("full backup, 2 workers", goal, &ours, peer.as_ref(), runs);
    if let Some((program, _)) = &mut outcome.peer {
        // Root runs it by `runuser`.
        *program = "pgbackrest".into();
    }
    let outcomes = [outcome];
    harness::print(&outcomes, full);
    if full {
        judge(&outcomes[0]);
    } else {
        println!("(a trial in a debug build: these figures mean nothing; `cargo bench` measures)");
    }
    let s3 = !full || through_s3(&rig, runs);
    if outcomes[0].ours.is_err() || !s3 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The same backup into an S3 server on this machine and into a directory, in turn. A server elsewhere has processors of its own; on one
/// machine it takes ours: so we have one of them, for both, and the server another.
fn through_s3(rig: &Rig, runs: usize) -> bool {
    let Some(s3) = s3::S3::start() else {
        println!("\nthrough S3: SeaweedFS is not there (SEAWALL_TEST_PYTHON)");
        return true;
    };
    let sizes = "read_back: sizes,";
    rig.write_policy("local.yaml", "", "store: disk", sizes);
    let bucket = format!("bucket: {}, endpoint: \"http://127.0.0.1:{}\", path_style: true", s3::BUCKET, s3.port);
    rig.write_policy("s3.yaml", &format!(", cloud: {{ s3: {{ {bucket} }} }}"), "store: cloud", sizes);
    [true, false].into_iter().all(|alone| against_a_directory(rig, &s3, alone, runs))
}

fn against_a_directory(rig: &Rig, s3: &s3::S3, alone: bool, runs: usize) -> bool {
    s3.runs_on(if alone { "1" } else { "0,1" });
    let seawall = |policy| if alone { rig.seawall_on("0", policy) } else { rig.seawall(policy) };
    let mut ours = seawall("s3.yaml");
    ours.env("AWS_ACCESS_KEY_ID", s3::KEY).env("AWS_SECRET_ACCESS_KEY", s3::SECRET).env("AWS_REGION", "us-east-1");
    let before = s3.cpu();
    let what = if alone { "through S3, one processor each" } else { "through S3, all of them shared" };
    let mut outcome = compare(what, Goal::default(), &ours, Some(&seawall("local.yaml")), runs);
    if let Some((program, _)) = &mut outcome.peer {
        *program = "a directory".into();
    }
    let calls = 1 + runs + runs.div_ceil(3);
    let served = (s3.cpu() - before).as_secs_f64() / calls as f64;
    println!();
    harness::print(std::slice::from_ref(&outcome), true);
    let (Ok(ours), Some((_, Ok(local)))) = (&outcome.ours, &outcome.peer) else { return false };
    let rate = local.wall.as_secs_f64() / ours.wall.as_secs_f64();
    let word = if rate >= S3 { "met" } else { "MISSED" };
    println!("rate: {rate:.2} of the local one{}", if alone { format!(", goal {S3}: {word}") } else { String::new() });
    println!("{} used {served:.1} s of the processors for each backup, we {:.1} s", s3.name, ours.cpu.unwrap_or_default().as_secs_f64());
    true
}

fn judge(outcome: &Outcome) {
    let (Ok(ours), Some((_, Ok(peer)))) = (&outcome.ours, &outcome.peer) else { return };
    let word = |share: f64, goal: f64| if share <= goal { "met" } else { "MISSED" };
    let wall = ours.wall.as_secs_f64() / peer.wall.as_secs_f64();
    println!("wall: {wall:.2} of the peer's, goal {WALL}: {}", word(wall, WALL));
    if let (Some(ours), Some(peer)) = (ours.cpu, peer.cpu) {
        let cpu = ours.as_secs_f64() / peer.as_secs_f64();
        println!("CPU:  {cpu:.2} of the peer's, goal {CPU}: {}", word(cpu, CPU));
    }
}

struct Rig {
    cluster: Cluster,
}

impl Rig {
    fn new(gigabytes: f64) -> Rig {
        let options = Options::default().archiving("exec ../archive %p").with("max_wal_size = 8GB").with("shared_buffers = 256MB");
        let rig = Rig { cluster: Cluster::start(Version::V15, options) };
        assert!(rig.shell("mkdir store state && age-keygen -o identity.txt 2> /dev/null"), "age is Debian's package `age`");
        rig.write_policy("policy.yaml", "", "store: disk", "");
        rig.fill(gigabytes);
        rig
    }

    fn folder(&self) -> &Path {
        self.cluster.folder()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.cluster.account().own(self.folder());
    }

    fn shell(&self, text: &str) -> bool {
        let folder = self.folder().display();
        let status = self.cluster.account().command("sh").args(["-c", &format!("cd {folder} && {text}")]).status();
        status.is_ok_and(|status| status.success())
    }

    fn write_policy(&self, name: &str, stores: &str, store: &str, more: &str) {
        let folder = self.folder().display();
        let identity = fs::read_to_string(self.folder().join("identity.txt")).expect("an identity");
        let recipient = identity.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a public key");
        self.write(
            name,
            &format!(
                "version: 1\npolicy: bench\nowner: you@example.com\nreview_by: 2099-06-30\n\
                 cluster: {{ connection: \"{}\", data_directory: {folder}/data, databases: [postgres] }}\n\
                 objectives: {{ rpo: 5m, rto: 1h }}\n\
                 stores: {{ disk: {{ local: {{ path: {folder}/store, other_device: false }} }}{stores} }}\n\
                 encryption: {{ age: {{ recipients: [{recipient}] }} }}\n\
                 wal: {{ store: disk, timeout: 60s, keep: 7d }}\n\
                 backups: {{ full: {{ physical: {{ workers: 2 }}, {store}, {more} schedule: {{ at: \"02:00\" }}, keep: {{ daily: 7 }}, takes: 1m }} }}\n",
                self.cluster.conninfo()
            ),
        );
        let seawall = env!("CARGO_BIN_EXE_seawall");
        self.write("archive", &format!("#!/bin/sh\nexec {seawall} wal push $1 --policy {folder}/policy.yaml --state {folder}/state\n"));
        assert!(self.shell("chmod 755 archive"), "the archiver's script");
    }

    fn fill(&self, gigabytes: f64) {
        for statement in data::statements(gigabytes) {
            self.cluster.sql(&statement);
        }
    }

    fn size(&self) -> String {
        self.cluster.sql("select pg_size_pretty(sum(pg_database_size(oid))) from pg_database")
    }

    fn seawall(&self, policy: &str) -> Command {
        self.told(self.cluster.account().command(env!("CARGO_BIN_EXE_seawall")), policy)
    }

    fn seawall_on(&self, processor: &str, policy: &str) -> Command {
        let mut command = self.cluster.account().command("taskset");
        command.args(["-c", processor, env!("CARGO_BIN_EXE_seawall")]);
        self.told(command, policy)
    }

    fn told(&self, mut command: Command, policy: &str) -> Command {
        command.args(["backup", "full", "--policy"]).arg(self.folder().join(policy));
        command.arg("--state").arg(self.folder().join("state"));
        command
    }

    fn pgbackrest(&self) -> Option<Command> {
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
        let ready = self.shell(
            "command -v pgbackrest > /dev/null && mkdir peer && pgbackrest --config=$PWD/pgbackrest.conf --stanza=bench stanza-create",
        );
        ready.then(|| {
            let mut command = self.cluster.account().command("pgbackrest");
            command.arg(format!("--config={folder}/pgbackrest.conf")).args(["--stanza=bench", "--type=full", "backup"]);
            command
        })
    }
}
