//! A database that was left in TimescaleDB's restoring mode, and one where the extension lies in a schema of its own.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::place::some_natives;
use crate::clusters::{Options, StopMode, Version};
use crate::landing::rig::rows;
use crate::logical::rig::{Ground, connect, sql_in};
use crate::run::rig::Said;

/// Nobody's session: it holds its locks, also when the server was stopped.
const HOLDS: &str = "begin; lock table pg_catalog.pg_largeobject in exclusive mode; prepare transaction 'holds'";

fn ground(programs: &std::path::Path) -> Ground {
    let options = Options { programs: Some(programs.to_owned()), ..Options::default() }
        .with("shared_preload_libraries = 'timescaledb'")
        .with("timescaledb.telemetry_level = off")
        .with("max_prepared_transactions = 5")
        .with("max_worker_processes = 20");
    Ground::with(Version::V15, options, "")
}

#[test]
fn a_mode_that_could_not_be_ended_is_told_and_the_next_restore_names_it() {
    for programs in some_natives("a_mode_that_could_not_be_ended_is_told_and_the_next_restore_names_it") {
        let ground = ground(&programs);
        ground.sql("create extension timescaledb; create table t (n int); select lo_from_bytea(77, decode('deadbeef', 'hex'))");
        ground.dump();
        let cluster = &ground.rig.cluster;
        cluster.sql("create database back");
        connect(cluster, "back").run(HOLDS).expect("a lock that nobody holds");
        let mut command = ground.command(&["restore", "--into-database", "back", "--yes"]);
        let restore = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall");
        let waits = "select count(*) from pg_stat_activity where datname = 'back' and wait_event_type = 'Lock'";
        let deadline = Instant::now() + Duration::from_secs(180);
        while sql_in(cluster, "postgres", waits) == "0" {
            assert!(Instant::now() < deadline, "it does not wait");
            std::thread::sleep(Duration::from_millis(20));
        }
        cluster.stop(StopMode::Immediate);
        let said = Said::of(restore.wait_with_output().expect("its end")).ends_with_code(1);
        said.says("`back` may still be in TimescaleDB's restoring mode").says("select \"public\".timescaledb_post_restore()");
        cluster.resume();
        assert_eq!(sql_in(cluster, "back", "select current_setting('timescaledb.restoring')"), "on");
        sql_in(cluster, "back", "rollback prepared 'holds'");
        let again = ["restore", "--into-database", "back", "--yes"];
        ground.say(&again).ends_with_code(1).says("`back` is in TimescaleDB's restoring mode").says("Drop it");
        // Also where it counts as one that may be in use.
        ground.say(&[&again[..], &["--occupied"]].concat()).ends_with_code(1).says("restoring mode");
        ground.say(&[&again[..], &["--replace", "--from-database", "shop"]].concat()).ends_with_code(0);
        assert_eq!(sql_in(cluster, "back", "select current_setting('timescaledb.restoring')"), "off");
    }
}

#[test]
fn an_extension_in_a_schema_of_its_own_comes_back_there() {
    for programs in some_natives("an_extension_in_a_schema_of_its_own_comes_back_there") {
        for logical in ["", "jobs: 2"] {
            let ground = ground(&programs);
            if !logical.is_empty() {
                ground.change("logical: { ", &format!("logical: {{ {logical}, "));
            }
            ground.sql("create role keeper; create schema \"Time series\" authorization keeper; create extension timescaledb schema \"Time series\"");
            ground.sql(
                "create table metrics (at timestamptz not null, v int); \
                 select \"Time series\".create_hypertable('metrics', 'at', chunk_time_interval => interval '1 day'); \
                 insert into metrics select '2026-01-01Z'::timestamptz + k * interval '1 hour', k from generate_series(1, 200) k; \
                 create view days as select \"Time series\".time_bucket('1 day', at) as day, count(*) as n from metrics group by 1; \
                 select \"Time series\".add_retention_policy('metrics', interval '90 days', initial_start => now() + interval '1 day')",
            );
            let before = ground.sql(&rows("metrics"));
            ground.dump();
            let said = ground.say(&["restore", "--into-database", "back", "--create", "--yes"]).ends_with_code(0);
            let in_back = |sql: &str| sql_in(&ground.rig.cluster, "back", sql);
            assert_eq!(in_back(&rows("metrics")), before);
            assert_eq!(in_back("select count(*) from days"), ground.sql("select count(*) from days"));
            let lies = "select n.nspname || ' ' || pg_get_userbyid(n.nspowner) from pg_extension e join pg_namespace n on n.oid = e.extnamespace \
                        where extname = 'timescaledb'";
            assert_eq!(in_back(lies), "Time series keeper");
            let statement = said.out.lines().find_map(|line| line.split_once("may go: ")).expect("the statement").1.to_owned();
            in_back(&statement);
            // One table alone, through a private server.
            let folder = programs.display().to_string();
            let table = ["restore", "--table", "metrics", "--job", "dump", "--programs", &folder, "--into-schema", "aside", "--yes"];
            ground.say(&table).ends_with_code(0).says("200 rows");
            assert_eq!(ground.sql(&rows("aside.metrics")), before);
            // And tier by tier.
            let tiers = "objectives: { rpo: 5m, rto: 6h, data: { first: { tables: [days], rto: 1h } } }\n\
                drills: { tiers: { restore: { latest: dump, tiers: [first] }, expect: { rows: { sql: 'select count(*) from metrics', is: 200 } } } }";
            ground.change("objectives: { rpo: 5m, rto: 1h }", tiers);
            ground
                .say(&["restore", "--tier", "first", "--into-database", "tiered", "--create", "--job", "dump", "--yes"])
                .ends_with_code(0);
            let in_tiers = |sql: &str| sql_in(&ground.rig.cluster, "tiered", sql);
            assert_eq!((in_tiers(&rows("metrics")), in_tiers(lies)), (before, "Time series keeper".to_owned()));
            assert_eq!(in_tiers(&rows("days")), ground.sql(&rows("days")));
            ground.say(&["drill", "tiers", "--start-with", &folder]).ends_with_code(0).says("passed");
        }
    }
}
