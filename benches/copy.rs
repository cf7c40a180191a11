//! A second copy of a store: `seawall copy` against `rclone copy` of the same objects (Debian's package), or `cp -a` and `sync` where it is not
//! there: into a directory, and into an S3 server on this machine.
//!
//! `cargo bench --bench copy` copies a backup of about 1.5 GB, or `SEAWALL_BENCH_GB`; `cargo test --bench copy` a small one. What was copied before is
//! removed first by each of them; in the bucket everybody copies to a place of its own each time.

mod clusters;
mod data;
mod harness;
mod s3;

use std::fs;
use std::process::{Command, ExitCode};

use clusters::{Cluster, Options, Version};
use harness::{Goal, Outcome, compare};

const MEMORY_MB: u64 = 128;

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::var("SEAWALL_BENCH_GB").ok().and_then(|text| text.parse().ok());
    let gigabytes: f64 = if full { asked.unwrap_or(1.5) } else { 0.03 };
    let runs = if full { 5 } else { 1 };
    let rig = Rig::new(gigabytes);
    println!("a store of {}, {runs} runs in turn, medians\n", rig.said("du -sh --apparent-size store | cut -f1"));
    let goal = Goal { memory_mb: Some(MEMORY_MB), ..Goal::default() };
    let mut outcomes = vec![rig.to_directory(goal, runs)];
    match s3::S3::start() {
        Some(s3) => outcomes.push(rig.to_bucket(&s3, goal, runs)),
        None => println!("into S3: SeaweedFS is not there (SEAWALL_TEST_PYTHON)"),
    }
    harness::print(&outcomes, full);
    if !full {
        println!("(a trial in a debug build: these figures mean nothing; `cargo bench` measures)");
    }
    if outcomes.iter().any(|outcome| outcome.ours.is_err()) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

struct Rig {
    cluster: Cluster,
}

impl Rig {
    /// A backup with its log, in `store`.
    fn new(gigabytes: f64) -> Rig {
        let options = Options::default().archiving("exec ../archive %p").with("max_wal_size = 8GB").with("shared_buffers = 256MB");
        let rig = Rig { cluster: Cluster::start(Version::V15, options) };
        rig.shell("mkdir store state && age-keygen -o identity.txt 2> /dev/null");
        let folder = rig.cluster.folder().display().to_string();
        rig.write("policy.yaml", &rig.policy(&format!("local: {{ path: {folder}/off, other_device: false }}")));
        let seawall = env!("CARGO_BIN_EXE_seawall");
        rig.write("archive", &format!("#!/bin/sh\nexec {seawall} wal push $1 --policy {folder}/policy.yaml --state {folder}/state\n"));
        rig.shell("chmod 755 archive");
        for statement in data::statements(gigabytes) {
            rig.cluster.sql(&statement);
        }
        rig.shell("SEAWALL backup full --policy policy.yaml --state state > said 2>&1 || { cat said; exit 1; }");
        rig
    }

    fn policy(&self, off: &str) -> String {
        let identity = fs::read_to_string(self.cluster.folder().join("identity.txt")).expect("an identity");
        let recipient = identity.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a public key");
        let folder = self.cluster.folder().display();
        format!(
            "version: 1\npolicy: bench\nowner: you@example.com\nreview_by: 2099-06-30\n\
             cluster: {{ connection: \"{}\", data_directory: {folder}/data, databases: [postgres] }}\n\
             objectives: {{ rpo: 5m, rto: 1h }}\n\
             stores: {{ disk: {{ local: {{ path: {folder}/store, other_device: false }} }}, off: {{ {off} }} }}\n\
             encryption: {{ age: {{ recipients: [{recipient}] }} }}\n\
             wal: {{ store: disk, timeout: 60s, keep: 7d }}\n\
             backups: {{ full: {{ physical: {{ workers: 2 }}, store: disk, copies: [off], schedule: {{ at: \"02:00\" }}, keep: {{ daily: 7 }}, \
             takes: 1m }} }}\n",
            self.cluster.conninfo()
        )
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.cluster.folder().join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.cluster.account().own(self.cluster.folder());
    }

    fn script(&self, text: &str) -> Command {
        let text = text.replace("SEAWALL", env!("CARGO_BIN_EXE_seawall"));
        let mut command = self.cluster.account().command("sh");
        command.args(["-c", &format!("cd {} && {text}", self.cluster.folder().display())]);
        command
    }

    fn shell(&self, text: &str) {
        assert!(self.script(text).status().is_ok_and(|status| status.success()), "{text}");
    }

    fn said(&self, text: &str) -> String {
        let output = self.script(text).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn has_rclone(&self) -> bool {
        self.script("command -v rclone > /dev/null").status().is_ok_and(|status| status.success())
    }

    /// Ours is durable when it ends, so the other is made so as well.
    fn to_directory(&self, goal: Goal, runs: usize) -> Outcome {
        let ours = self.script("rm -rf off copying && SEAWALL copy --policy policy.yaml --state copying");
        let (name, copy) =
            if self.has_rclone() { ("rclone", "rclone copy --config= -q store peer") } else { ("cp -a", "cp -a store peer") };
        let peer = self.script(&format!("rm -rf peer && {copy} && sync -f peer"));
        let outcome = named(compare("into a directory", goal, &ours, Some(&peer), runs), name);
        self.shell("test $(find off -path '*/data/*' -type f | wc -l) = $(find store -path '*/data/*' -type f | wc -l)");
        outcome
    }

    fn to_bucket(&self, s3: &s3::S3, goal: Goal, runs: usize) -> Outcome {
        let place =
            format!("s3: {{ bucket: {}, prefix: PLACE, endpoint: \"http://127.0.0.1:{}\", path_style: true }}", s3::BUCKET, s3.port);
        self.write("bucket.yaml", &self.policy(&place));
        // A server elsewhere has processors of its own: here we have one of them, whoever copies, and the server another.
        s3.runs_on("1");
        let keys = format!("AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={} AWS_REGION=us-east-1 taskset -c 0", s3::KEY, s3::SECRET);
        let anew = "echo x >> calls && n=$(wc -l < calls)";
        let ours = self.script(&format!(
            "{anew} && rm -rf copying && sed s/PLACE/ours-$n/ bucket.yaml > now.yaml && {keys} SEAWALL copy --policy now.yaml --state copying"
        ));
        let remote = format!(
            ":s3,provider=Other,env_auth=true,force_path_style=true,no_check_bucket=true,endpoint=\"http://127.0.0.1:{}\":{}",
            s3.port,
            s3::BUCKET
        );
        // It takes no certificates of somebody's own, and needs none here.
        let peer = self
            .has_rclone()
            .then(|| self.script(&format!("{anew} && {keys} env -u AWS_CA_BUNDLE rclone copy --config= -q store '{remote}/peer-'$n")));
        let before = s3.cpu();
        let outcome = named(compare("into S3, one processor each", goal, &ours, peer.as_ref(), runs), "rclone");
        let calls = (1 + runs + runs.div_ceil(3)) * (1 + usize::from(peer.is_some()));
        println!("{} used {:.1} s of the processors for each copy\n", s3.name, (s3.cpu() - before).as_secs_f64() / calls as f64);
        outcome
    }
}

/// A shell runs it.
fn named(mut outcome: Outcome, name: &str) -> Outcome {
    if let Some((program, _)) = &mut outcome.peer {
        name.clone_into(program);
    }
    outcome
}
