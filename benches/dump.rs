//! A dump: `seawall backup` of one, against `pg_dump --format=directory --jobs=2` with its own compression, in turn.
//!
//! `cargo bench --bench dump` dumps about a gigabyte, or `SEAWALL_BENCH_ROWS` rows; `cargo test --bench dump` a little.

mod clusters;

use std::fs;
use std::process::{Command, ExitCode};

use clusters::{Cluster, Options, Version};

/// Of the peer's wall time.
const GOAL: f64 = 0.35;

#[derive(Debug, Clone, Copy)]
struct Figures {
    wall: f64,
    cpu: f64,
    memory_mb: f64,
}

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::var("SEAWALL_BENCH_ROWS").ok().and_then(|text| text.parse().ok());
    let (rows, runs) = if full { (asked.unwrap_or(6_000_000_u64), 3) } else { (2_000, 1) };
    let cluster = Cluster::start(Version::V15, Options::default().with("shared_buffers = 256MB"));
    // Both kinds of data: what compresses well, and what does not.
    cluster.sql(&format!(
        "create table accounts as select i as aid, i % 100 as bid, 0 as abalance, repeat(' ', 84) as filler from generate_series(1, {rows}) i; \
         create table readings as select timestamptz '2015-01-01' + i * interval '1 second' as at, i % 1000 as device, \
         random() * 100 as value, md5(i::text) as note from generate_series(1, {rows}) i; analyze"
    ));
    println!("{rows} rows twice, {}, {runs} runs in turn, medians\n", cluster.sql("select pg_size_pretty(pg_database_size('postgres'))"));
    let shell = |text: &str| {
        let text = text.replace("SEAWALL", env!("CARGO_BIN_EXE_seawall"));
        let mut command = cluster.account().command("sh");
        let done = command.args(["-c", &format!("cd {} && {text}", cluster.folder().display())]).status();
        assert!(done.is_ok_and(|status| status.success()), "{text}");
    };
    let measure = |command: &str| {
        let _ = Command::new("sync").status();
        shell(&format!("/usr/bin/time -o time -f '%e %U %S %M' sh -c \"{command}\" > said 2>&1 || {{ cat said; exit 1; }}"));
        let text = fs::read_to_string(cluster.folder().join("time")).expect("Debian's package `time`");
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        Figures { wall: numbers[0], cpu: numbers[1] + numbers[2], memory_mb: numbers[3] / 1024.0 }
    };
    shell("mkdir store state && age-keygen -o identity.txt 2> recipient");
    let said = fs::read_to_string(cluster.folder().join("recipient")).expect("what it said");
    let recipient = said.trim().rsplit(' ').next().expect("a key");
    let (folder, conninfo) = (cluster.folder().display().to_string(), cluster.conninfo());
    for jobs in [1, 2] {
        let policy = format!(
            "version: 1\npolicy: bench\nowner: you@example.com\nreview_by: 2099-06-30\n\
             cluster: {{ connection: \"{conninfo}\", databases: [postgres] }}\nobjectives: {{ rpo: 24h, rto: 1h }}\n\
             stores: {{ disk: {{ local: {{ path: {folder}/store, other_device: false }} }} }}\n\
             encryption: {{ age: {{ recipients: [{recipient}] }} }}\n\
             backups: {{ dump: {{ logical: {{ jobs: {jobs} }}, schedule: {{ at: \"03:00\" }}, keep: {{ last: 2 }}, takes: 1m, size: 1MB }} }}\n"
        );
        fs::write(cluster.folder().join(format!("jobs-{jobs}.yaml")), policy).expect("a policy");
    }
    cluster.account().own(cluster.folder());
    let ours = |jobs: u8| format!("SEAWALL backup dump --policy jobs-{jobs}.yaml --state state");
    let peer = format!("/usr/lib/postgresql/15/bin/pg_dump --format=directory --jobs=2 --file=peer -d '{conninfo}'");
    let mut all: [Vec<Figures>; 3] = Default::default();
    for _ in 0..runs {
        for (at, command) in [ours(1), ours(2), peer.clone()].iter().enumerate() {
            shell("rm -rf peer store/*/data store/*/backups");
            all[at].push(measure(command));
        }
    }
    let [one, two, theirs] = all.map(|figures| median(&figures));
    for (name, each) in [("seawall, one piece", one), ("seawall, jobs: 2", two), ("pg_dump -Fd -j2", theirs)] {
        println!("{name:20} {:7.2} s  {:7.2} s CPU of its own processes  {:5.0} MB", each.wall, each.cpu, each.memory_mb);
    }
    let ratio = two.wall / theirs.wall;
    println!("\nwall {ratio:.2} of pg_dump's (goal {GOAL}); in one piece {:.2}", one.wall / theirs.wall);
    if full && ratio > GOAL { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn median(figures: &[Figures]) -> Figures {
    let of = |one: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = figures.iter().map(one).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Figures { wall: of(|one| one.wall), cpu: of(|one| one.cpu), memory_mb: of(|one| one.memory_mb) }
}
