//! A plan over a thousand hypertables with a hundred thousand chunks: `seawall plan --connect`, how long it takes and how much it asks. There is no
//! peer that compares a database with a policy.
//!
//! Needs a PostgreSQL 15 with TimescaleDB (`SEAWALL_TEST_TIMESCALEDB`); without one it says so and measures nothing. `cargo bench --bench hypertables`
//! measures 1,000 × 100, or `SEAWALL_BENCH_TABLES` × `SEAWALL_BENCH_CHUNKS`; `cargo test --bench hypertables` looks at a few, to see that it still works.

mod clusters;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant as Stopwatch;

use clusters::{Cluster, Options, Version};

const GOAL_SECONDS: f64 = 2.0;
/// However many tables there are.
const GOAL_QUESTIONS: usize = 30;

/// Tables with their chunks, made by the extension itself; each is a transaction, for its locks.
const FILL: &str = "\
    create procedure fill(first int, last int, chunks int) language plpgsql as $$ begin \
        for n in first..last loop \
            execute format('create table t%s (at timestamptz not null, value float8)', n); \
            perform create_hypertable(format('t%s', n)::regclass, 'at', chunk_time_interval => interval '1 day', create_default_indexes => false); \
            execute format('insert into t%s select now() - g * interval ''1 day'', g from generate_series(0, %s) g', n, chunks - 1); \
            commit; \
        end loop; end $$";

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let (tables, chunks, runs) = match full {
        true => (asked("SEAWALL_BENCH_TABLES").unwrap_or(1_000), asked("SEAWALL_BENCH_CHUNKS").unwrap_or(100), 7),
        false => (5, 4, 1),
    };
    let named = std::env::var("SEAWALL_TEST_TIMESCALEDB").unwrap_or_default();
    // Of several, the first.
    let Some(programs) = named.split(':').find(|folder| !folder.is_empty()).map(PathBuf::from) else {
        println!("SKIPPED: this needs a PostgreSQL 15 with TimescaleDB, and SEAWALL_TEST_TIMESCALEDB names no folder with one");
        return ExitCode::SUCCESS;
    };
    let options = Options { programs: Some(programs), ..Options::default() };
    let conf =
        ["shared_preload_libraries = 'timescaledb'", "timescaledb.telemetry_level = off", "shared_buffers = 512MB", "max_wal_size = 4GB"];
    let cluster = Cluster::start(Version::V15, conf.into_iter().fold(options, |options, line| options.with(line)));
    let began = Stopwatch::now();
    cluster.sql("create extension timescaledb");
    cluster.sql(FILL);
    // A few at a time: nothing is heard of a call before it ends.
    for first in (1..=tables).step_by(20) {
        cluster.sql(&format!("call fill({first}, {}, {chunks})", (first + 19).min(tables)));
    }
    cluster.sql("analyze");
    let made: usize = cluster.sql("select count(*) from timescaledb_information.chunks").parse().expect("a number");
    println!("{tables} hypertables with {made} chunks, made in {:.0} s", began.elapsed().as_secs_f64());
    assert!(made >= tables * chunks, "{made}");
    write_policy(&cluster, tables);
    let plan = || {
        let mut command = cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
        let done =
            command.args(["plan", "--connect", "--format", "json"]).arg(cluster.folder().join("policy.yaml")).output().expect("seawall");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    };
    let questions = questions(&cluster, &plan);
    let mut took: Vec<f64> = (0..runs)
        .map(|_| {
            let began = Stopwatch::now();
            plan();
            began.elapsed().as_secs_f64()
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let (median, most) = (took[runs / 2], took[runs - 1]);
    println!("`seawall plan --connect`: {median:.2} s, at most {most:.2} s of {runs} runs; it asked {questions} things");
    if !full {
        println!("(a trial in a debug build: these figures mean nothing; `cargo bench --bench hypertables` measures)");
        return ExitCode::SUCCESS;
    }
    let word = |good: bool| if good { "met" } else { "MISSED" };
    println!("  goal: under {GOAL_SECONDS} s: {}", word(median < GOAL_SECONDS));
    println!("  goal: no more than {GOAL_QUESTIONS} questions: {}", word(questions <= GOAL_QUESTIONS));
    ExitCode::SUCCESS
}

/// Every table is named, and of each the plan has something to say.
fn write_policy(cluster: &Cluster, tables: usize) {
    let mut policy = format!(
        "version: 1\npolicy: bench\nowner: you@example.com\nreview_by: 2099-06-30\n\
         cluster: {{ connection: \"{}\", databases: [postgres] }}\n\
         stores: {{ disk: {{ local: {{ path: /var/backups, other_device: false }} }} }}\nencryption: {{ none: {{ because: a benchmark }} }}\n\
         timescaledb:\n  postgres:\n    hypertables:\n",
        cluster.conninfo()
    );
    for table in 1..=tables {
        writeln!(policy, "      t{table}: {{ retain: 60d, compress: {{ after: 7d }} }}").expect("a string takes all");
    }
    fs::write(cluster.folder().join("policy.yaml"), policy).expect("a policy");
    cluster.account().own(cluster.folder());
}

/// How many statements the server hears while it is asked once.
fn questions(cluster: &Cluster, plan: &impl Fn() -> Vec<u8>) -> usize {
    let log = || fs::read_to_string(cluster.folder().join("log")).expect("the server's log");
    cluster.sql("alter system set log_statement = 'all'");
    cluster.sql("select pg_reload_conf()");
    cluster.wait_until("current_setting('log_statement') = 'all'");
    let before = log().len();
    plan();
    let said = log()[before..].to_owned();
    cluster.sql("alter system reset log_statement");
    cluster.sql("select pg_reload_conf()");
    said.lines().filter(|line| line.contains("LOG:  statement:") || line.contains("LOG:  execute")).count()
}
