//! The export of an archive: `seawall run` of one, against `psql \copy … | zstd` of the same rows, in turn; and against that at level 1, which is
//! ours, with `age` behind it, which is all that ours does. Exported only: without an identity nothing is read back and nothing leaves the table,
//! so every run finds the same rows.
//!
//! `cargo bench --bench archive` moves two million rows, or `SEAWALL_BENCH_ROWS`; `cargo test --bench archive` a few.

mod clusters;

use std::fs;
use std::process::{Command, ExitCode};

use clusters::{Cluster, Options, Version};

/// At least as fast.
const GOAL: f64 = 1.0;
const MEMORY_MB: f64 = 128.0;

#[derive(Debug, Clone, Copy)]
struct Figures {
    wall: f64,
    cpu: f64,
    memory_mb: f64,
}

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::var("SEAWALL_BENCH_ROWS").ok().and_then(|text| text.parse().ok());
    let (rows, runs) = if full { (asked.unwrap_or(2_000_000_u64), 5) } else { (2_000, 1) };
    let cluster = Cluster::start(Version::V15, Options::default().with("shared_buffers = 256MB"));
    cluster.sql(&format!(
        "create table readings as select timestamptz '2015-01-01' + i * interval '1 second' as at, i % 1000 as device, \
         random() * 100 as value, md5(i::text) as note from generate_series(1, {rows}) i; create index on readings (at)"
    ));
    // As autovacuum leaves a table whose rows are old.
    cluster.sql("vacuum analyze readings");
    println!("{rows} rows, {}, {runs} runs in turn, medians\n", cluster.sql("select pg_size_pretty(pg_table_size('readings'))"));
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
    for (form, file) in [("csv", "csv.yaml"), ("[csv, parquet]", "both.yaml")] {
        let policy = format!(
            "version: 1\npolicy: bench\nowner: you@example.com\nreview_by: 2099-06-30\n\
             cluster: {{ connection: \"{conninfo}\", databases: [postgres] }}\nobjectives: {{ rpo: 5m, rto: 1h }}\n\
             stores: {{ disk: {{ local: {{ path: {folder}/store, other_device: false }} }} }}\n\
             encryption: {{ age: {{ recipients: [{recipient}] }} }}\n\
             archive: {{ old: {{ table: readings, column: at, after: 1y, store: disk, format: {form} }} }}\n"
        );
        fs::write(cluster.folder().join(file), policy).expect("a policy");
    }
    cluster.account().own(cluster.folder());
    let clean = "rm -rf store/*/archive";
    let ours = |file: &str| format!("SEAWALL run old --policy {file} --state state");
    let peer = |rest: &str| {
        format!("psql -X -q -d '{conninfo}' -c '\\copy (select * from readings) to stdout (format csv, header)' | zstd -q {rest}")
    };
    let commands = [ours("csv.yaml"), ours("both.yaml"), peer("> plain.csv"), peer(&format!("-1 | age -r {recipient} > peer.csv"))];
    let mut all: [Vec<Figures>; 4] = Default::default();
    for _ in 0..runs {
        for (at, command) in commands.iter().enumerate() {
            shell(clean);
            all[at].push(measure(command));
        }
    }
    // What comes after a pipe hides what was before it.
    shell(&format!("test $(age -d -i identity.txt peer.csv | zstd -dc | wc -l) = {}", rows + 1));
    shell(&format!("test $(zstd -dc plain.csv | wc -l) = {}", rows + 1));
    let [csv, both, theirs, encrypted] = all.map(|figures| median(&figures));
    for (name, one) in
        [("seawall, CSV", csv), ("seawall, CSV and Parquet", both), ("psql | zstd", theirs), ("psql | zstd -1 | age", encrypted)]
    {
        println!("{name:26} {:7.2} s  {:7.2} s CPU  {:5.0} MB", one.wall, one.cpu, one.memory_mb);
    }
    let word = |good: bool| if good { "met" } else { "MISSED" };
    let share = csv.wall / theirs.wall;
    println!("\nexport of CSV: {share:.2} of the peer's time, goal {GOAL}: {}; CPU {:.2}", word(share <= GOAL), csv.cpu / theirs.cpu);
    println!("{:.2} of that at level 1 with `age`, CPU {:.2}", csv.wall / encrypted.wall, csv.cpu / encrypted.cpu);
    println!("both forms: {:.2} of the peer's time for one", both.wall / theirs.wall);
    println!("memory {:.0} MB, goal {MEMORY_MB}: {}", both.memory_mb, word(both.memory_mb <= MEMORY_MB));
    if !full {
        println!("(a trial in a debug build: these figures mean nothing; `cargo bench` measures)");
    }
    ExitCode::SUCCESS
}

fn median(figures: &[Figures]) -> Figures {
    let of = |pick: fn(&Figures) -> f64| {
        let mut numbers: Vec<f64> = figures.iter().map(pick).collect();
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    };
    Figures { wall: of(|one| one.wall), cpu: of(|one| one.cpu), memory_mb: of(|one| one.memory_mb) }
}
