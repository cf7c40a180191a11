//! A restored copy must not delete what somebody came to rescue.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::backup::rig::{Policy, Rig};
use crate::clusters::{Cluster, Options, StopMode, Version};

use super::place::some_natives;

/// A retention job falls due while the copy is started: the original's chunks go, the copy's stay until it is released.
#[test]
fn a_restored_copy_keeps_its_chunks() {
    for programs in some_natives("a_restored_copy_keeps_its_chunks") {
        let options = Options { programs: Some(programs.clone()), ..Options::default() }
            .archiving("exec ../archive %p")
            .with("shared_preload_libraries = 'timescaledb'")
            .with("timescaledb.telemetry_level = off")
            .with("max_worker_processes = 20");
        let rig = Rig::over(Cluster::start(Version::V15, options), &Policy::default());
        rig.archive_into_store();
        let count = "select count(*) from timescaledb_information.chunks where hypertable_name = 'prices'";
        rig.cluster.sql("create extension timescaledb");
        rig.cluster.sql(
            "create table prices(at timestamptz not null); select create_hypertable('prices', 'at', chunk_time_interval => interval '1 day'); \
             insert into prices select t from generate_series(now() - interval '40 days', now(), interval '1 day') t; \
             select add_retention_policy('prices', interval '10 days', initial_start => now() + interval '30 seconds')",
        );
        let before = rig.cluster.sql(count);
        assert!(before.parse::<u32>().expect("a number") > 38, "{before}");
        let id = rig.backup(&[]).text("id").to_owned();
        assert_eq!(rig.cluster.sql(count), before, "the job was faster than the backup");
        rig.cluster.wait_until(&format!("({count}) < 20"));
        drilled(&rig, &programs, count, &before);
        rig.cluster.stop(StopMode::Fast);
        let target = rig.path("copy");
        let (sockets, port) =
            (format!("unix_socket_directories={}", rig.cluster.sockets().display()), format!("port={}", rig.cluster.port()));
        let words = [
            "restore",
            "--immediate",
            "--backup",
            &id,
            "--yes",
            "--start",
            "--set",
            &sockets,
            "--set",
            &port,
            "--set",
            "listen_addresses=",
        ];
        let mut command = rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
        command.args(words).arg("--target").arg(&target).arg("--start-with").arg(&programs);
        command.arg("--policy").arg(rig.path("policy.yaml")).arg("--state").arg(rig.path("state"));
        let output = command.output().expect("seawall");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        for (what, says) in [("extensions", "as recorded"), ("hypertables", "with 41 chunks as recorded"), ("jobs", "as recorded")] {
            assert!(said.lines().any(|line| line.contains(&format!("compared    {what}: ")) && line.ends_with(says)), "{what}: {said}");
        }
        // Any query would have been enough.
        for _ in 0..5 {
            assert_eq!(rig.cluster.sql(count), before, "the copy dropped what it was brought back for");
            thread::sleep(Duration::from_secs(1));
        }
        rig.shell(&format!("{}/pg_ctl -D copy -m immediate stop", programs.display()));
    }
}

/// The same of a drill, which no worker of any extension runs in, and which sees what the backup recorded.
fn drilled(rig: &Rig, programs: &Path, count: &str, before: &str) {
    let policy = rig.path("policy.yaml");
    let drill = format!(
        "drills: {{ whole: {{ restore: {{ random: nightly }}, expect: {{ chunks: {{ database: postgres, sql: \"{count}\", is: {before} }}, \
         hypertables: {{ check: hypertables }}, jobs: {{ check: jobs }}, rows: {{ check: row-counts }} }} }} }}\n"
    );
    let text = std::fs::read_to_string(&policy).expect("the policy");
    std::fs::write(&policy, text + &drill).expect("the policy");
    let mut command = rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    command.args(["drill", "whole", "--host", "db-1", "--start-with"]).arg(programs);
    command.arg("--policy").arg(&policy).arg("--state").arg(rig.path("state"));
    let output = command.output().expect("seawall");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    println!("{said}");
}
