//! One table of a hundredth of a cluster, held by a private server, against all of the cluster restored and started, out of the same backup:
//! as the backup has it, and to the same end of a log that has changed every page of the table. The log costs both the same.
//!
//! `cargo bench --bench table` measures about 1.5 GB, or `SEAWALL_BENCH_GB`. `cargo test --bench table` runs everything once on a small
//! cluster, of which the catalogs are a large part. The clock of both ends when the server answers.

mod clusters;
mod data;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clusters::{Cluster, Options, Version};
use seawall::cli::here::Here;
use seawall::cli::terminal::Colour;
use seawall::execute::table::source::{self, Onlooker, Progress, TableName, Wanted};
use seawall::inventory::Phase;
use seawall::postgres::Connection;
use seawall::recovery::Target;

/// What we promise: this share of a full restore's time and bytes at most.
const SHARE: f64 = 0.10;

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::var("SEAWALL_BENCH_GB").ok().and_then(|text| text.parse().ok());
    let rig = Rig::new(if full { asked.unwrap_or(1.5) } else { 0.03 });
    let runs = if full { 3 } else { 1 };
    println!("a cluster of {}, a table of {}, {runs} runs in turn, medians\n", rig.size(), rig.table_size());
    for (what, flag, target) in [
        ("as the backup has it", "--immediate", Target::Immediate(None)),
        ("and the log since, as large as the table", "--latest", Target::Latest),
    ] {
        println!("{what}");
        rig.compare(runs, flag, &target);
    }
    if !full {
        println!("(a trial in a debug build: these figures mean nothing; `cargo bench` measures)");
    }
    ExitCode::SUCCESS
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

struct Rig {
    cluster: Cluster,
}

impl Rig {
    fn new(gigabytes: f64) -> Rig {
        // Vacuuming what was just loaded would write a log as long as the tables, and both would replay it.
        let options = Options::default()
            .archiving("exec ../archive %p")
            .with("max_wal_size = 8GB")
            .with("shared_buffers = 256MB")
            .with("autovacuum = off");
        let rig = Rig { cluster: Cluster::start(Version::V15, options) };
        rig.write_policy();
        for statement in data::statements(gigabytes) {
            rig.cluster.sql(&statement);
        }
        // 61 bytes of a row and what a page takes for it.
        let rows = (gigabytes * 1e9 * 0.01 / 67.0) as u64;
        rig.cluster.sql(&format!("create table wanted as select n, md5(n::text) as t from generate_series(1, {rows}) n"));
        rig.must("SEAWALL backup full --policy policy.yaml --state state > backup.log 2>&1 || { cat backup.log; exit 1; }");
        rig.cluster.sql("update wanted set t = 'x' where n % 10 = 0");
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

    fn must(&self, text: &str) {
        let text = text.replace("SEAWALL", env!("CARGO_BIN_EXE_seawall"));
        let mut command = self.cluster.account().command("sh");
        command.args(["-c", &format!("cd {} && {text}", self.folder().display())]);
        assert!(command.status().is_ok_and(|status| status.success()), "{text}");
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
        self.must("chmod 755 archive && mkdir copies other-state && chmod 755 copies other-state");
    }

    fn size(&self) -> String {
        self.cluster.sql("select pg_size_pretty(sum(pg_database_size(oid))) from pg_database")
    }

    fn table_size(&self) -> String {
        self.cluster.sql("select pg_size_pretty(pg_table_size('wanted'))")
    }

    fn compare(&self, runs: usize, flag: &str, target: &Target) {
        let (mut whole, mut table, mut replay, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), (0, 1));
        for _ in 0..runs {
            // Nothing that is still being written from before is on anybody's clock.
            let _ = Command::new("sync").status();
            whole.push(self.whole(flag));
            let _ = Command::new("sync").status();
            let (seconds, replayed, read) = self.table(target);
            table.push(seconds);
            replay.push(replayed);
            bytes = read;
        }
        let (whole, table, replay) = (median(whole), median(table), median(replay));
        let (time, share) = (table / whole, bytes.0 as f64 / bytes.1 as f64);
        let word = |ratio: f64| if ratio <= SHARE { "kept" } else { "MISSED" };
        println!("  all of it     {whole:>8.2} s  {:>12} bytes", bytes.1);
        println!("  one table     {table:>8.2} s  {:>12} bytes, and the log in {replay:.2} s, which both replay", bytes.0);
        println!("  of the time   {time:>8.3}     promised {SHARE:.2}  {}", word(time));
        println!("  of the bytes  {share:>8.3}     promised {SHARE:.2}  {}", word(share));
    }

    /// Seconds until a server with all of it answers.
    fn whole(&self, flag: &str) -> f64 {
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a free port").port();
        let programs = Version::V15.programs();
        let programs = programs.display();
        let began = Instant::now();
        self.must(&format!(
            "SEAWALL restore --policy policy.yaml --state state --workers 2 --yes {flag} --target whole --start-with {programs} \
             --set port={port} > restore.log 2>&1 || {{ cat restore.log; exit 1; }}"
        ));
        let seconds = began.elapsed().as_secs_f64();
        // What fetches log ahead may still be at it.
        self.must(&format!("{programs}/pg_ctl -D whole -m immediate -w stop > /dev/null && sleep 1 && {{ rm -rf whole 2> /dev/null || {{ sleep 1; rm -rf whole; }}; }}"));
        seconds
    }

    /// Seconds until a server with the table answers, those of replaying the log, and the bytes that were read of how many.
    fn table(&self, target: &Target) -> (f64, f64, (u64, u64)) {
        fs::set_permissions(self.folder(), fs::Permissions::from_mode(0o755)).expect("ours");
        let here = Here { policy: Some(self.folder().join("policy.yaml")), state: Some(self.folder().join("other-state")), host: None };
        let policy = here.read(Colour::Never).expect("a sound policy");
        let site = here.site(&policy);
        let wanted = Wanted {
            directory: Some(self.folder().join("copies")),
            programs: Some(Version::V15.programs()),
            seawall: Some(PathBuf::from(env!("CARGO_BIN_EXE_seawall"))),
            workers: Some(2),
            ..Wanted::new(vec![TableName { schema: "public".into(), name: "wanted".into() }], target.clone())
        };
        let (stop, progress) = (AtomicBool::new(false), Progress::default());
        let began = Instant::now();
        let entered = Mutex::new(Vec::new());
        let enter = |phase: Phase| entered.lock().expect("whole").push((phase, began.elapsed().as_secs_f64()));
        let onlooker = Onlooker { phase: &enter, stop: &stop, progress: &progress };
        let planned = source::physical(&site, &wanted, onlooker).unwrap_or_else(|fault| panic!("{fault} {}", fault.hint));
        let of = planned.fetch_of;
        let held = planned.hold(onlooker).unwrap_or_else(|fault| panic!("{fault} {}", fault.hint));
        let settings = held.settings("postgres").expect("settings");
        let rows = Connection::connect(&settings).and_then(|mut connection| connection.query("select 1", &[])).expect("it answers");
        assert_eq!(rows.len(), 1);
        let seconds = began.elapsed().as_secs_f64();
        let entered = entered.into_inner().expect("whole");
        let told: Vec<String> = entered.iter().map(|(phase, at)| format!("{} at {at:.2} s", phase.as_str())).collect();
        println!("  one table: {}, done at {seconds:.2} s", told.join(", "));
        let began = |wanted: Phase| entered.iter().rev().find(|(phase, _)| *phase == wanted).map_or(seconds, |(_, at)| *at);
        (seconds, began(Phase::Expect) - began(Phase::Replay), (held.fetched, of))
    }
}
