//! What people do by hand with a dump of hypertables, as it is written for them: the page, and the runbook.

use std::fs;
use std::time::{Duration, Instant};

use super::dumps::with_metrics;
use super::place::some_natives;
use crate::landing::rig::rows;
use crate::logical::by_hand::script;
use crate::logical::rig::{Ground, sql_in, succeeds};

const PAGE: &str = include_str!("../../../docs/restore-without-seawall.md");
const RUNBOOK: &str = include_str!("../../emit/trading/runbook.md");
const JOBS_THAT_RUN: &str = "select count(*) from timescaledb_information.jobs where scheduled and job_id >= 1000";

/// Retention would delete all of it, and is overdue the moment that it may run.
fn lets_them_run(ground: &Ground, statement: &str) {
    let in_back = |sql: &str| sql_in(&ground.rig.cluster, "back", sql);
    in_back(statement);
    let deadline = Instant::now() + Duration::from_secs(180);
    // Whoever reads the table itself may be in the way of what drops its chunks.
    while in_back("select count(*) from timescaledb_information.chunks where hypertable_name = 'metrics'") != "0" {
        assert!(Instant::now() < deadline, "no job has run");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn the_page_brings_hypertables_back_and_keeps_their_chunks() {
    for programs in some_natives("the_page_brings_hypertables_back_and_keeps_their_chunks") {
        let ground = with_metrics(&programs);
        ground.sql("select count(compress_chunk(c)) from show_chunks('metrics', older_than => '2026-01-10Z'::timestamptz) c");
        ground.sql("create materialized view summed as select sum(value) as v, count(*) as n from metrics");
        let before = ground.sql(&rows("metrics"));
        let dump = ground.dump();
        let repository = ground.file(&ground.folder(&dump)).join("../..").canonicalize().expect("a repository");
        let values = [
            ("repository", repository.display().to_string()),
            ("identity", ground.file("identity.txt").display().to_string()),
            ("writer", fs::read_to_string(ground.file("state/keys/signing.pub")).expect("a key").trim().to_owned()),
            ("backup", dump.descriptor.id.to_string()),
            ("database", "shop".to_owned()),
            ("into", "back".to_owned()),
        ];
        fs::write(ground.file("by-hand.sh"), script(&values, &[1, 2])).expect("a script");
        let cluster = &ground.rig.cluster;
        let mut command = cluster.account().command("bash");
        command.arg(ground.file("by-hand.sh")).env("PGHOST", cluster.sockets()).env("PGPORT", cluster.port().to_string());
        let path = format!("{}:{}", cluster.version().programs().display(), std::env::var("PATH").expect("a path"));
        let said = succeeds(command.env("PGUSER", "postgres").env("PATH", path).output().expect("bash"));
        assert!(said.contains("policy_retention"), "the jobs are named: {said}");
        let in_back = |sql: &str| sql_in(cluster, "back", sql);
        assert_eq!(in_back("select current_setting('timescaledb.restoring')"), "off");
        assert_eq!(in_back(JOBS_THAT_RUN), "0");
        assert_eq!(in_back(&rows("metrics")), before);
        assert_eq!(in_back("select v, n from summed"), ground.sql("select v, n from summed"));
        assert!(PAGE.contains("select _timescaledb_functions.start_background_workers();"));
        let job = in_back("select job_id from timescaledb_information.jobs where proc_name = 'policy_retention'");
        assert_eq!(in_back(&rows("metrics")), before);
        let workers = "select _timescaledb_functions.start_background_workers()";
        lets_them_run(&ground, &format!("select alter_job({job}, scheduled => true); {workers}"));
    }
}

/// Its commands, one after the other, with other names for the connection.
fn of_runbook(from: &str, to: &str) -> Vec<String> {
    let (_, rest) = RUNBOOK.split_once(from).expect("its beginning");
    let (step, _) = rest.split_once(to).expect("its end");
    let commands = step.replace("\\\n", " ");
    let lines = commands.lines().map(str::trim).filter(|line| line.starts_with("psql ") || line.starts_with("pg_"));
    lines
        .map(|line| line.replace("service=trading ", "").replace("trading_rescued", "back").replace("dbname=trading'", "dbname=back'"))
        .collect()
}

#[test]
fn the_runbook_brings_hypertables_back_and_keeps_their_chunks() {
    for programs in some_natives("the_runbook_brings_hypertables_back_and_keeps_their_chunks") {
        let ground = with_metrics(&programs);
        ground.sql("select count(compress_chunk(c)) from show_chunks('metrics', older_than => '2026-01-10Z'::timestamptz) c");
        ground.sql("create materialized view summed as select sum(value) as v, count(*) as n from metrics");
        let before = ground.sql(&rows("metrics"));
        let cluster = &ground.rig.cluster;
        let run = |commands: &[String]| {
            let mut command = cluster.account().command("bash");
            command.args(["-euc", &commands.join("\n")]).env("PGHOST", cluster.sockets()).env("PGPORT", cluster.port().to_string());
            let path = format!("{}:{}", cluster.version().programs().display(), std::env::var("PATH").expect("a path"));
            succeeds(command.env("PGUSER", "postgres").env("PATH", path).current_dir(ground.file("")).output().expect("bash"))
        };
        let load = of_runbook("3. ☐ Dump the database", "4. ☐");
        assert_eq!(load.len(), 7, "{load:?}");
        let load: Vec<String> = load.into_iter().map(|line| line.replace("port=5433 dbname=back'", "dbname=shop'")).collect();
        run(&load);
        let in_back = |sql: &str| sql_in(cluster, "back", sql);
        assert_eq!(in_back("select current_setting('timescaledb.restoring')"), "off");
        assert_eq!(in_back(JOBS_THAT_RUN), "0");
        assert_eq!(in_back(&rows("metrics")), before);
        assert_eq!(in_back("select v, n from summed"), ground.sql("select v, n from summed"));
        let jobs = of_runbook("5. ☐ TimescaleDB's jobs", "6. ☐");
        assert_eq!(jobs.len(), 3, "{jobs:?}");
        assert!(run(&jobs).contains("policy_retention"));
        lets_them_run(&ground, "select 1");
    }
}
