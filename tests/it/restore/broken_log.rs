//! A record that nobody can read in the middle of a log whose every segment is there, with the hashes that it was pushed with.

use std::fs;

use super::rig::{Rig, flip, objects};
use crate::clusters::{Options, StopMode, Version};
use crate::drill::rig::Drills;

/// A log of many segments, of which one was damaged on the server's own disk. Its name, and a moment after all of it.
fn broken(version: Version) -> (Rig, String, String) {
    let rig = Rig::start(version, Options { segment_mb: 1, ..Options::default() });
    rig.series();
    rig.backup();
    rig.load(5);
    let waits = "archive_command = 'false'";
    rig.cluster.add_conf(waits);
    rig.cluster.reload();
    rig.cluster.sql("create table much as select n, md5(n::text) as v from generate_series(1, 10000) n");
    let damaged = rig.cluster.sql("select pg_walfile_name(pg_current_wal_lsn())");
    rig.cluster.sql("insert into much select n, md5(n::text) from generate_series(1, 60000) n");
    rig.load(5);
    let time = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'";
    let time = rig.cluster.sql(time);
    flip(&rig.cluster.data().join("pg_wal").join(&damaged));
    rig.cluster.add_conf(&format!("archive_command = '{}'", rig.push()));
    rig.cluster.reload();
    // What says that the log is whole up to that moment.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    rig.archive();
    assert!(objects(&rig.path("store"), &damaged).len() == 1, "it was archived as it was");
    (rig, damaged, time)
}

fn named_position(said: &str) -> String {
    let (_, rest) = said.split_once("--to-lsn ").unwrap_or_else(|| panic!("{said}"));
    rest.chars().take_while(|c| c.is_ascii_hexdigit() || *c == '/').collect()
}

fn is_refused(version: Version) {
    let (rig, damaged, time) = broken(version);
    let programs = version.programs();
    let programs = programs.to_str().expect("text");
    let mut position = String::new();
    for (name, target) in [("time", vec!["--to", time.as_str()]), ("latest", vec!["--latest"])] {
        let words: Vec<&str> = ["--start-with", programs, "--set", "port=1"].into_iter().chain(target).collect();
        let said = rig.restore(name, &words);
        let log = fs::read_to_string(rig.path(name).join("seawall-recovery.log")).unwrap_or_default();
        assert_eq!(said.code, 1, "{name}: {}{}\n{log}", said.out, said.err);
        for word in ["replay ended after the record at", &damaged, "cannot be read"] {
            assert!(said.err.contains(word), "{name}: no `{word}` in {}\n{log}", said.err);
        }
        assert!(!rig.path(name).join("postmaster.pid").exists(), "{name}: no server is left with half of it");
        position = named_position(&said.err);
        if name == "time" {
            let conf = fs::read_to_string(rig.path("time/postgresql.auto.conf")).expect("a configuration");
            assert!(conf.contains("recovery_target_time = '2"), "{conf}");
            assert!(!log.contains("archive recovery complete"), "{log}");
        }
    }
    // The way out that it names.
    let restored = rig.bring_back("whole", &["--to-lsn", &position]);
    assert_eq!((restored.sql("select count(*) from series"), restored.sql("select count(*) from much")), ("5".into(), "10000".into()));
}

#[test]
fn it_is_not_taken_for_the_end_by_13() {
    is_refused(Version::V13);
}

#[test]
fn it_is_not_taken_for_the_end_by_18() {
    is_refused(Version::V18);
}

/// What is left of a dead server: its last segment, which is not full.
#[test]
fn a_last_segment_that_is_not_full_is_the_end() {
    let rig = Rig::start(Version::V16, Options { segment_mb: 1, ..Options::default() });
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    rig.load(5);
    let rows = rig.hash(10);
    let last = rig.cluster.sql("select pg_walfile_name(pg_current_wal_lsn())");
    rig.cluster.kill_9();
    rig.shell(&format!("cd data && {}", rig.push().replace("%p", &format!("pg_wal/{last}"))));
    let restored = rig.bring_back("r", &["--latest"]);
    assert_eq!(restored.hash(), rows);
    assert!(restored.report["reached"]["ended_by"].as_str().is_some_and(|said| said.contains("at ")), "{}", restored.report);
}

/// PostgreSQL waits for settings to follow only where somebody could ask it meanwhile. A restore that opens by itself goes on, as a drill
/// of the same backup does; one that pauses at its target cannot, and its wait is not the target.
#[test]
fn a_setting_that_was_raised_since_the_backup_is_no_end() {
    let drills = Drills::with(Version::V16, Options::default(), "drills: { newest: { restore: { latest: nightly } } }");
    let rig = &drills.rig;
    rig.cluster.add_conf("max_connections = 250");
    rig.cluster.restart();
    rig.load(5);
    rig.archive();
    let (rows, position) = (rig.hash(55), rig.cluster.sql("select pg_current_wal_lsn()"));
    rig.archive();
    drills.drill(0, &["newest"]);
    let restored = rig.bring_back("latest", &["--latest"]);
    assert_eq!(restored.hash(), rows);
    let programs = Version::V16.programs();
    let words = ["--start-with", programs.to_str().expect("text"), "--set", "port=1", "--to-lsn", &position, "--at-target", "pause"];
    let said = rig.restore("r", &words);
    let _running = rig.running("r", 1);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.err.contains("paused before it reached the target") && said.err.contains("max_connections"), "{}", said.err);
    rig.cluster.stop(StopMode::Fast);
    // Afterwards it can be copied to a standby that people ask.
    super::timelines::release(rig, &restored);
    let conf = fs::read_to_string(restored.data.join("postgresql.auto.conf")).expect("settings");
    assert!(!conf.lines().any(|line| line.starts_with("hot_standby")), "{conf}");
}
