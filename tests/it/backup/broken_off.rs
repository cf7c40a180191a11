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
pub(super) fn underway(rig: &Rig) -> Child {
    let child = rig.begin_backup();
    let deadline = Instant::now() + Duration::from_secs(120);
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
pub(super) fn signal(child: &Child, signal: Signal) {
    let own = i32::try_from(child.id()).expect("a number");
    let below = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    let number = below.split_whitespace().next().map_or(own, |number| number.parse().expect("a number"));
    kill_process(Pid::from_raw(number).expect("a process"), signal).expect("the signal");
}

/// The copy has come so far that so many more parts are complete.
fn underway_with(rig: &Rig, more: usize) -> Child {
    let parts = || rig.objects("data").iter().filter(|name| name.contains(".index")).count();
    let before = parts();
    let child = underway(rig);
    let deadline = Instant::now() + Duration::from_secs(120);
    while parts() < before + more {
        assert!(Instant::now() < deadline, "no part becomes complete");
        thread::sleep(Duration::from_millis(20));
    }
    child
}

/// Enough for several parts: what is never changed, and what will be.
fn filled() -> Rig {
    let rig = Rig::new(Version::V15, &Policy { physical: "workers: 2, read_limit: 20MB/s".into(), ..Policy::default() });
    rig.cluster.sql(
        "create table cold as select g, md5(g::text) from generate_series(1, 400000) g; create table hot as select * from cold; \
         create table dropped as select g from generate_series(1, 100000) g; checkpoint",
    );
    rig
}

#[test]
fn the_next_run_goes_on_where_one_was_killed() {
    let rig = filled();
    for (round, sql) in
        ["select", "update hot set md5 = 'x' where g = 7; drop table dropped; create table new as select 1 as g; checkpoint"]
            .into_iter()
            .enumerate()
    {
        let mut child = underway_with(&rig, 3);
        signal(&child, Signal::KILL);
        child.wait().expect("its end");
        assert_eq!((rig.objects("backups").len(), rig.objects("leases").len()), (2 * round, 1));
        rig.cluster.sql(sql);

        // Another host cannot know that nobody is at it. This machine can, so for it the lease must seem to be of another one.
        rig.shell("sed -i 's/\"boot\": \"[^\"]*/&-other/' store/try-*/leases/*.json && grep -q other store/try-*/leases/*.json");
        let other = rig.seawall_of("db-2", "other", &[]).output().expect("seawall");
        let said = String::from_utf8_lossy(&other.stderr).into_owned();
        assert!(said.contains("a backup of this cluster is running") && said.contains("`nightly` on db-1"), "{said}");

        rig.shell("sed -i 's/-other//' store/try-*/leases/*.json");

        let backup = rig.backup(&[]);
        let remarks = backup.0["remarks"].to_string();
        let (adopted, of) = adopted(&remarks);
        assert!(adopted > 0 && of >= 2 && (round == 0 || adopted < of), "{remarks}");
        let copy = rig.restore(&backup);
        for table in ["cold", "hot"] {
            let rows = format!("select md5(string_agg(t::text, '' order by g)) from {table} t");
            assert_eq!(copy.sql(&rows), rig.cluster.sql(&rows), "{table}");
        }
        assert_eq!(copy.sql("select count(*) from pg_class where relname in ('dropped', 'new')"), "1");
        assert!(rig.objects("leases").is_empty());
        assert_eq!(rig.shell("wc -c < state/policies/try/backups/nightly.unfinished"), "0");
    }
    // Complete ones are left alone, whatever came after them.
    assert_eq!(rig.shell("ls store/try-*/data | wc -l"), "2");
}

/// How many parts of how many were taken over.
fn adopted(remarks: &str) -> (usize, usize) {
    let words = remarks.split_once("broken off: ").unwrap_or_else(|| panic!("{remarks}")).1;
    let mut numbers = words.split(' ').filter_map(|word| word.parse().ok());
    (numbers.next().expect("a number"), numbers.next().expect("another"))
}

#[test]
fn what_was_left_can_be_left_alone() {
    let rig = filled();
    let leave = || {
        let mut child = underway_with(&rig, 2);
        signal(&child, Signal::INT);
        assert_eq!(child.wait().expect("its end").code(), Some(130));
        rig.shell("ls store/try-*/data")
    };
    // By wish, because the recipients are others now, and because somebody changed an index.
    let left = leave();
    let backup = rig.backup(&["--anew"]);
    assert!(backup.text("id") != left && !backup.0["remarks"].to_string().contains("went on"), "{}", backup.0);
    assert_eq!(rig.shell("ls store/try-*/data"), backup.text("id"));

    let left = leave();
    let left = left.lines().last().expect("it");
    rig.shell("age-keygen 2>/dev/null > second.txt; r=$(age-keygen -y second.txt); sed -i \"s/recipients: \\[/&$r, /\" policy.yaml");
    let backup = rig.backup(&[]);
    assert!(backup.text("id") != left && !backup.0["remarks"].to_string().contains("went on"), "{}", backup.0);

    let left = leave();
    let left = left.lines().last().expect("it");
    rig.shell(&format!(
        "cd store/try-*/data/{left}; i=$(ls *.index* | head -1); printf XXXXXXXX | dd of=$i bs=1 seek=400 conv=notrunc 2>/dev/null"
    ));
    let backup = rig.backup(&[]);
    assert_eq!(backup.text("id"), left);
    let (adopted, of) = adopted(&backup.0["remarks"].to_string());
    assert!(adopted < of, "{adopted} of {of}");
    rig.restore(&backup);
}

#[test]
fn a_journal_of_another_machine_proves_nothing() {
    let rig = filled();
    let mut child = underway_with(&rig, 2);
    signal(&child, Signal::KILL);
    child.wait().expect("its end");
    // As if the state directory were a copy of another host's, where the backup is going on.
    rig.shell("sed -i 's/\"boot\": \"[^\"]*/&-other/' store/try-*/leases/*.json && grep -q other store/try-*/leases/*.json");
    let said = rig.refused(&[]);
    assert!(said.contains("a backup of this cluster is running"), "{said}");
    // It is not heard of any more.
    rig.shell("touch -d '20 minutes ago' store/try-*/leases/*.json");
    let backup = rig.backup(&[]);
    assert!(adopted(&backup.0["remarks"].to_string()).0 > 0, "{}", backup.0);
    assert_eq!(rig.objects("leases"), [""; 0]);
}

#[test]
fn killed_before_anything_was_complete() {
    let rig = Rig::new(Version::V15, &slow());
    let mut child = underway(&rig);
    signal(&child, Signal::KILL);
    child.wait().expect("its end");
    assert!(rig.objects("backups").is_empty());
    assert_eq!(rig.objects("leases").len(), 1);

    // On this host it is certain that it is dead.
    rig.write_policy(&Policy::default());
    let backup = rig.backup(&[]);
    assert!(rig.objects("leases").is_empty());

    // When nobody could be at it, the remains of other hosts go.
    rig.shell(
        "cd store/try-*; id=20200101T000000Z-00000001; mkdir -p data/$id leases; echo x > data/$id/part-00001.tar.zst.age; \
         echo {} > leases/backup-$id.json; touch -d '2 hours ago' data/$id/* leases/*",
    );
    let next = rig.backup(&[]);
    let remarks = next.0["remarks"].to_string();
    assert!(remarks.contains("the remains of the broken-off backup"), "{remarks}");
    assert!(rig.objects("leases").is_empty());
    assert_eq!(rig.shell("ls store/try-*/data | wc -l"), "2");
    rig.restore(&backup);
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
        assert!(said.contains("what was written of this backup was removed"), "{said}");
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
    assert!(said.contains("complete part") && said.contains("the next run"), "{said}");
    assert!(rig.has_only_whole_parts() && rig.objects("backups").is_empty());
    // What was copied is not copied again.
    rig.archive_into_store();
    let backup = rig.backup(&[]);
    assert!(backup.0["remarks"].to_string().contains("this run went on with"), "{}", backup.0);
    rig.restore(&backup);
}

#[test]
fn two_at_once_do_no_harm() {
    let rig = Rig::new(Version::V15, &Policy { physical: "read_limit: 4MB/s".into(), ..Policy::default() });
    rig.cluster.sql("create table t as select g from generate_series(1, 1000) g");
    let child = underway(&rig);
    let said = rig.refused(&[]);
    assert!(said.contains("`backups.nightly` is running already"), "{said}");
    let second = rig.backup(&["--force"]);
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first = Backup(serde_json::from_slice(&output.stdout).expect("JSON"));
    for backup in [first, second] {
        assert_eq!(rig.restore(&backup).sql("select count(*) from t"), "1000");
    }
}
