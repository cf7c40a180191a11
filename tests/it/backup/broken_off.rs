//! Backups that do not come to their end leave nothing that looks like one.

use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::rig::{Backup, Policy, Rig};
use crate::clusters::Version;

fn slow() -> Policy {
    Policy { physical: "workers: 2, read_limit: 2MB/s".into(), ..Policy::default() }
}

/// The copy has begun.
fn underway(rig: &Rig) -> Child {
    let child = rig.begin_backup();
    let deadline = Instant::now() + Duration::from_secs(30);
    // The last that is asked before files are read.
    let asked = "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and query like '%from pg_file_settings%'";
    while rig.cluster.sql(asked) == "0" {
        assert!(Instant::now() < deadline, "the backup does not begin");
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(300));
    child
}

/// As root, the child is `runuser`; the program is its only child.
fn signal(child: &Child, signal: Signal) {
    let own = i32::try_from(child.id()).expect("a number");
    let below = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    let number = below.split_whitespace().next().map_or(own, |number| number.parse().expect("a number"));
    kill_process(Pid::from_raw(number).expect("a process"), signal).expect("the signal");
}

#[test]
fn killed_in_the_middle() {
    let rig = Rig::new(Version::V15, &slow());
    let mut child = underway(&rig);
    signal(&child, Signal::KILL);
    child.wait().expect("its end");
    assert!(rig.objects("backups").is_empty());
    assert_eq!(rig.objects("leases").len(), 1);

    // Somebody may still be at it.
    rig.write_policy(&Policy::default());
    let said = rig.refused(&[]);
    assert!(said.contains("a backup of this cluster is running") && said.contains("`nightly` on db-1"), "{said}");
    let forced = rig.backup(&["--force"]);
    assert_eq!(rig.objects("backups").len(), 2);

    // When it is certain that nobody is, the remains go.
    rig.shell(
        "cd store/try-*; id=$(ls leases | sed 's/backup-//; s/.json//'); mkdir -p data/$id; echo x > data/$id/part-00001.tar.zst.age; \
         touch -d '2 hours ago' data/$id/* leases/*",
    );
    let next = rig.backup(&[]);
    let remarks = next.0["remarks"].to_string();
    assert!(remarks.contains("the remains of the broken-off backup"), "{remarks}");
    assert!(rig.objects("leases").is_empty());
    assert_eq!(rig.shell("find store/*/data -type f | xargs -n1 dirname | sort -u | wc -l"), "2");
    rig.restore(&forced);
}

#[test]
fn asked_to_stop() {
    let rig = Rig::new(Version::V15, &slow());
    for (asked, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let child = underway(&rig);
        signal(&child, asked);
        let output = child.wait_with_output().expect("its end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("interrupted"), "{said}");
        for folder in ["data", "backups", "leases"] {
            assert!(rig.objects(folder).is_empty(), "{folder}");
        }
    }
    assert_eq!(rig.shell("find store/.incoming -type f | wc -l"), "0");
}

#[test]
fn the_server_is_killed_in_the_middle() {
    let rig = Rig::new(Version::V15, &Policy { physical: "read_limit: 1MB/s".into(), ..Policy::default() });
    let child = underway(&rig);
    rig.cluster.kill_9();
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(rig.objects("data").is_empty() && rig.objects("backups").is_empty() && rig.objects("leases").is_empty());
    rig.cluster.resume();
}

#[test]
fn log_that_does_not_come_is_waited_for_and_then_named() {
    let rig = Rig::new(Version::V15, &Policy { job: ", timeout: 4s".into(), ..Policy::default() });
    rig.shell("printf '#!/bin/sh\\nexit 1\\n' > archive");
    let said = rig.refused(&[]);
    assert!(said.contains("of the log did not come to") && said.contains("pg_stat_archiver"), "{said}");
    assert!(rig.objects("data").is_empty() && rig.objects("backups").is_empty());
}

#[test]
fn two_at_once_do_no_harm() {
    let rig = Rig::new(Version::V15, &Policy { physical: "read_limit: 8MB/s".into(), ..Policy::default() });
    rig.cluster.sql("create table t as select g from generate_series(1, 1000) g");
    let child = underway(&rig);
    let said = rig.refused(&[]);
    assert!(said.contains("a backup of this cluster is running"), "{said}");
    let second = rig.backup(&["--force"]);
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first = Backup(serde_json::from_slice(&output.stdout).expect("JSON"));
    for backup in [first, second] {
        assert_eq!(rig.restore(&backup).sql("select count(*) from t"), "1000");
    }
}
