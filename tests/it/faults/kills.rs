//! `kill -9` of Seawall and of PostgreSQL, at random moments, while rows are written and the log is archived.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::chance;
use super::killing::{kill_9, kill_a_push, next_night, prove_everything, whole_backups};
use crate::clusters::{Options, Version};
use crate::fuzz::random::Random;
use crate::restore::rig::{Rig, objects};
use crate::wal::archiving::until;

/// Small segments, so that many are archived, and each name that was acknowledged is written down by another hand than ours.
fn rig(version: Version) -> Rig {
    let rig = Rig::start(version, Options { segment_mb: 1, ..Options::default() }.with("autovacuum = off"));
    let acked = rig.path("acked");
    rig.write("acked", "");
    // A command that a signal ends would end the archiver for ten seconds: as from a script, it is an ordinary failure.
    rig.cluster.add_conf(&format!("archive_command = '{} && echo %f >> {} || exit 1'", rig.push(), acked.display()));
    rig.cluster.reload();
    rig.series();
    rig
}

/// Tells the writer to end, also when the test fails.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes rows and ends segments until it is told to stop or the server is gone. Gives the last row that was committed.
fn write(rig: &Rig, stop: &AtomicBool) -> i64 {
    let mut last = 0;
    let Ok(mut connection) = seawall::postgres::Connection::connect(&rig.cluster.settings()) else { return last };
    while !stop.load(Ordering::Relaxed) {
        for number in 0..20 {
            let text = format!("row {number} {}", "x".repeat(500));
            let Ok(rows) = connection.query("insert into series (v) values ($1) returning id", &[&text]) else { return last };
            last = rows.one().expect("a row").parse("id").expect("a number");
        }
        if connection.query("select pg_switch_wal()", &[]).is_err() {
            return last;
        }
        // Faster than they can be archived would only be a longer test.
        while waiting(rig, ".ready").len() > 8 && !stop.load(Ordering::Relaxed) && rig.cluster.is_running() {
            thread::sleep(Duration::from_millis(5));
        }
    }
    last
}

/// The files of the log that PostgreSQL says this of.
fn waiting(rig: &Rig, status: &str) -> Vec<String> {
    let folder = fs::read_dir(rig.cluster.data().join("pg_wal/archive_status")).expect("a folder").flatten();
    folder.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(status)?.to_owned())).collect()
}

/// What PostgreSQL was told is in the store, is.
fn nothing_acknowledged_is_missing(rig: &Rig) -> usize {
    let acked = fs::read_to_string(rig.path("acked")).expect("names");
    let done = waiting(rig, ".done");
    let names: BTreeSet<&str> = acked.lines().chain(done.iter().map(String::as_str)).collect();
    let there = objects(&rig.path("store"), "/wal/");
    let there: BTreeSet<String> =
        there.iter().filter_map(|path| Some(path.file_name()?.to_str()?.strip_suffix(".zst.age")?.to_owned())).collect();
    let missing: Vec<_> = names.iter().filter(|name| !there.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    names.len()
}

/// Those that the server still has are the same in the store.
fn what_is_there_is_the_same(rig: &Rig) {
    let folder = rig.cluster.data().join("pg_wal");
    let mut compared = 0;
    for name in waiting(rig, ".done").into_iter().filter(|name| name.len() == 24).take(chance::rounds(5, 100)) {
        let got = rig.path("got");
        let number = rig.cluster.sql("select system_identifier from pg_control_system()");
        let words = ["wal", "fetch", &name, got.to_str().expect("text"), "--system-identifier", &number, "--no-prefetch"];
        let said = rig.seawall(&words);
        assert_eq!(said.code, 0, "{name}: {}", said.err);
        // PostgreSQL renames a segment to use it again.
        if let Ok(own) = fs::read(folder.join(&name)) {
            assert!(own == fs::read(&got).expect("it was fetched"), "{name}");
            compared += 1;
        }
    }
    println!("{compared} segments are as the server has them");
}

/// Row by row the same as the cluster, out of the last backups.
fn come_back(rig: &Rig, backups: &[String]) {
    // Reading marks pages, which are written to the log too: nothing is to be on its way any more when the store is looked at.
    let rows = rig.hash(i64::MAX);
    rig.archive();
    assert!(!backups.is_empty());
    for id in backups.iter().rev().take(chance::rounds(1, 2)) {
        let restored = rig.bring_back("r", &["--backup", id]);
        assert_eq!(restored.hash(), rows, "{id}");
        restored.remove();
    }
}

fn pause(lot: &mut Random, most: Duration) {
    let millis = usize::try_from(most.as_millis()).expect("short");
    thread::sleep(Duration::from_millis(lot.below(millis) as u64));
}

#[test]
fn a_backup_is_killed() {
    let rig = rig(Version::V15);
    let mut lot = chance::lot("kills of backups");
    let began = Instant::now();
    rig.backup();
    let whole = began.elapsed() * 11 / 10;
    let stop = AtomicBool::new(false);
    let (mut killed, mut ended) = (0, 1);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| write(&rig, &stop));
        for _ in 0..chance::rounds(5, 200) {
            // The dead one's lease is alive for some minutes.
            let mut child =
                rig.command(&["backup", "nightly", "--force"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
            pause(&mut lot, whole);
            kill_9(&mut child);
            match child.wait().expect("its end").success() {
                true => ended += 1,
                false => killed += 1,
            }
            let complete = whole_backups(&rig);
            assert!(complete.len() >= ended, "{complete:?}: {ended} said that they were");
        }
    });
    println!("{killed} killed, {ended} not");
    next_night(&rig);
    rig.backup();
    assert!(nothing_acknowledged_is_missing(&rig) > 0);
    come_back(&rig, &whole_backups(&rig));
    prove_everything(&rig, &["--deep"]);
}

#[test]
fn the_server_is_killed() {
    let rig = rig(Version::V16);
    let mut lot = chance::lot("kills of servers");
    rig.backup();
    let mut last = 0;
    for round in 0..chance::rounds(4, 150) {
        let stop = AtomicBool::new(false);
        let backup = (round % 2 == 1).then(|| {
            let mut command = rig.command(&["backup", "nightly", "--force", "--format", "json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
        });
        thread::scope(|scope| {
            let _stop = Stop(&stop);
            let writer = scope.spawn(|| write(&rig, &stop));
            pause(&mut lot, Duration::from_millis(1500));
            rig.cluster.kill_9();
            last = last.max(writer.join().expect("it ends"));
        });
        if let Some(mut backup) = backup {
            // One that only waits for its log has a quarter of an hour for it, and gets it from the server that is started again.
            let deadline = Instant::now() + Duration::from_secs(10);
            while backup.try_wait().expect("its state").is_none() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(50));
            }
            if backup.try_wait().expect("its state").is_none() {
                rig.cluster.resume();
            }
            let output = backup.wait_with_output().expect("its end");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() || output.status.code() == Some(1) && said.contains("error: "), "{said}");
        }
        nothing_acknowledged_is_missing(&rig);
        whole_backups(&rig);
        if !rig.cluster.is_running() {
            rig.cluster.resume();
        }
        // What a client was told is committed, the server has; so whoever compares with it compares with that.
        assert_eq!(rig.cluster.sql(&format!("select count(*) from series where id = {last}")), if last == 0 { "0" } else { "1" });
    }
    what_is_there_is_the_same(&rig);
    come_back(&rig, &whole_backups(&rig));
    assert!(nothing_acknowledged_is_missing(&rig) > 0);
    prove_everything(&rig, &[]);
}

#[test]
fn the_archive_command_is_killed() {
    let rig = rig(Version::V18);
    let mut lot = chance::lot("kills of archive commands");
    rig.backup();
    let stop = AtomicBool::new(false);
    let mut killed = 0;
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| write(&rig, &stop));
        let deadline = Instant::now() + Duration::from_secs(chance::rounds(30, 900) as u64);
        while killed < chance::rounds(4, 200) && Instant::now() < deadline {
            pause(&mut lot, Duration::from_millis(60));
            if kill_a_push(&rig) {
                killed += 1;
                let acknowledged = nothing_acknowledged_is_missing(&rig);
                // After three failures with one file PostgreSQL would wait for a minute.
                until("it goes on", || nothing_acknowledged_is_missing(&rig) > acknowledged);
            }
        }
    });
    println!("{killed} killed");
    assert!(killed > 1, "no push was met");
    what_is_there_is_the_same(&rig);
    come_back(&rig, &whole_backups(&rig));
    assert!(nothing_acknowledged_is_missing(&rig) > 0);
    prove_everything(&rig, &[]);
}

/// Segments are shipped side by side: what lies between two others may be on its way, which is no gap.
#[test]
fn a_proof_beside_a_busy_archiver() {
    let rig = rig(Version::V15);
    rig.backup();
    // Of those that are shipped together one is late.
    let late = "env \"SEAWALL_TEST_FAULTS=nth=2,times=3,kind=transient,on=put-new;patience=20\"";
    rig.cluster.add_conf(&format!("archive_command = '{late} {}'", rig.push()));
    rig.cluster.reload();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| write(&rig, &stop));
        for _ in 0..chance::rounds(3, 100) {
            prove_everything(&rig, &[]);
        }
    });
}
