//! Backups of servers that archive nothing: each brings the log that it needs.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::rig::{Backup, Policy, Rig};
use crate::clusters::{Cluster, Options, Version};

/// Checkpoints come often and keep nothing: without a slot the log of a backup would be gone before it ends.
fn options() -> Options {
    let small = ["archive_mode = off", "min_wal_size = 2MB", "max_wal_size = 4MB", "wal_keep_size = 0", "checkpoint_timeout = 30s"];
    small.into_iter().fold(Options { segment_mb: 1, ..Options::default() }, Options::with)
}

const WAL: &str = "wal: { store: disk, timeout: 60s, keep: 7d }\n";

fn rig(version: Version, policy: &Policy) -> Rig {
    let rig = Rig::over(Cluster::start(version, options()), policy);
    rig.change(&[(WAL, ""), ("rpo: 5m", "rpo: 25h")]);
    rig
}

fn slots(rig: &Rig) -> String {
    rig.cluster.sql("select count(*) from pg_replication_slots")
}

/// Two accounts that always have the same together, and as much log as makes the server forget it again and again.
fn under_load(rig: &Rig) -> Backup {
    rig.cluster.sql(
        "create table pairs (a int primary key, x bigint, y bigint);
         insert into pairs select g, 500, 500 from generate_series(1, 5000) g;
         create table bulk as select g, repeat('x', 500) from generate_series(1, 30000) g",
    );
    let done = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                rig.cluster.sql(
                    "update pairs set x = x - 1, y = y + 1 where a % 7 = 3; update bulk set g = g where g <= 1000; checkpoint; select pg_sleep(0.1)",
                );
            }
        });
        let output = rig.try_backup(&[]);
        done.store(true, Ordering::Relaxed);
        output
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Backup(serde_json::from_slice(&output.stdout).expect("JSON"))
}

fn comes_back(version: Version, policy: &Policy) {
    let rig = rig(version, policy);
    let backup = under_load(&rig);
    let descriptor = rig.descriptor(&backup);
    assert!(descriptor.carries_log);
    let segments = rig.objects("wal").len();
    assert!(segments > 4, "{version}: {segments} segments");
    assert_eq!(slots(&rig), "0");
    // What was written since is in no backup, and was not asked for.
    rig.cluster.sql("drop table pairs");
    let copy = rig.restore(&backup);
    assert_eq!(copy.sql("select count(*), sum(x + y) from pairs"), "5000|5000000", "{version}");
    assert_eq!(copy.sql("select count(*) from bulk"), "30000");
}

fn slow() -> Policy {
    Policy { physical: "workers: 2, read_limit: 10MB/s".into(), ..Policy::default() }
}

#[test]
fn it_comes_back_by_hand_13() {
    comes_back(Version::V13, &slow());
}

#[test]
fn it_comes_back_by_hand_15_over_the_protocol() {
    comes_back(Version::V15, &Policy { no_files: true, ..slow() });
}

#[test]
fn it_comes_back_by_hand_18() {
    comes_back(Version::V18, &slow());
}

#[test]
fn it_comes_back_by_hand_18_over_the_protocol() {
    comes_back(Version::V18, &Policy { no_files: true, ..slow() });
}

/// From the store, with the program itself: the end of the newest, of one that is named, and no moment between them.
#[test]
fn only_the_ends_of_backups_can_be_had() {
    let rig = rig(Version::V15, &Policy::default());
    rig.cluster.sql("create table t as select g from generate_series(1, 100) g");
    let first = rig.backup(&[]);
    let between =
        rig.cluster.sql("select pg_sleep(1.1); select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
    let between = between.lines().last().expect("a moment").to_owned();
    rig.cluster.sql(
        "select pg_sleep(1.1); insert into t values (101); select pg_switch_wal(); insert into t values (102); select pg_switch_wal()",
    );
    let second = rig.backup(&[]);
    rig.cluster.sql("insert into t values (103)");
    let programs = rig.cluster.programs().display().to_string();
    let mut number = 0;
    let mut restore = |words: &[&str]| {
        number += 1;
        let [port] = crate::clusters::free_ports();
        let target = rig.path(&format!("back-{number}")).display().to_string();
        let set = format!("port={port}");
        let mut all = vec!["restore", "--yes", "--target", &target, "--set", &set, "--start-with", &programs];
        all.extend(words);
        let output = rig.seawall_to(&all);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let count = (output.status.code() == Some(0)).then(|| {
            let sql =
                format!("{programs}/psql -X -At -h {} -p {port} -d postgres -c 'select count(*) from t'", rig.cluster.sockets().display());
            let count = rig.shell(&sql);
            let archives = rig.shell(&sql.replace("select count(*) from t", "show archive_mode"));
            assert_eq!(archives, "off");
            rig.shell(&format!("{programs}/pg_ctl -D {target} -m immediate -w stop >&2"));
            count
        });
        (count, said)
    };
    let (count, said) = restore(&["--latest"]);
    assert_eq!(count.as_deref(), Some("102"), "{said}");
    let (count, said) = restore(&["--immediate", "--backup", first.text("id")]);
    assert_eq!(count.as_deref(), Some("100"), "{said}");
    let (count, said) = restore(&["--latest", "--backup", first.text("id")]);
    assert_eq!(count.as_deref(), Some("100"), "{said}");
    let (count, said) = restore(&["--to", &between]);
    assert!(count.is_none() && said.contains("before the target") && said.contains("only their ends can be had"), "{said}");
    // What a run left that was killed between its log and its descriptor is nobody's, and in nobody's way.
    rig.shell(&format!("rm store/try-*/backups/*{}*", second.text("id")));
    let (count, said) = restore(&["--latest"]);
    assert_eq!(count.as_deref(), Some("100"), "{said}");
    let verified = rig.seawall_to(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[test]
fn who_may_not_keep_the_log_is_told_before_anything_is_written() {
    let rig = rig(Version::V15, &Policy::default());
    rig.cluster.sql(
        "create role taker login; grant pg_read_all_settings to taker;
         grant execute on function pg_backup_start(text, boolean), pg_backup_stop(boolean), pg_switch_wal() to taker",
    );
    let conninfo = rig.cluster.conninfo();
    let own = rig.cluster.sql("select current_user");
    let as_taker =
        if conninfo.contains("user=") { conninfo.replace(&format!("user={own}"), "user=taker") } else { format!("{conninfo} user=taker") };
    rig.change(&[(&conninfo, &as_taker)]);
    let said = rig.refused(&[]);
    assert!(said.contains("may not make the replication slot") && said.contains("`alter role taker replication`"), "{said}");
    assert!(rig.objects("").is_empty(), "{:?}", rig.objects(""));
    rig.cluster.sql("alter role taker replication");
    rig.backup(&[]);
    assert_eq!(slots(&rig), "0");
}

#[test]
fn a_server_that_may_not_keep_so_much_ends_the_backup() {
    let rig = rig(Version::V15, &Policy { physical: "workers: 1, read_limit: 3MB/s".into(), ..Policy::default() });
    rig.cluster.sql("alter system set max_slot_wal_keep_size = '2MB'");
    rig.cluster.reload();
    rig.cluster.sql("create table bulk as select g, repeat('x', 500) from generate_series(1, 30000) g");
    let done = AtomicBool::new(false);
    let said = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                rig.cluster.sql("update bulk set g = g + 3 where g % 3 = 0; checkpoint");
            }
        });
        let output = rig.try_backup(&[]);
        done.store(true, Ordering::Relaxed);
        String::from_utf8_lossy(&output.stderr).into_owned()
    });
    // It gives up a slot that is in use by ending the session.
    assert!(said.contains("did not keep the log") && said.contains("replication slot `seawall_"), "{said}");
    assert!(said.contains("`max_slot_wal_keep_size`") && said.contains("Raise it"), "{said}");
    assert_eq!(slots(&rig), "0");
    assert!(rig.objects("backups").is_empty(), "{said}");
}

/// The slot goes with the session, and the session with the process.
#[test]
fn killed_in_the_middle_it_leaves_no_slot() {
    let rig = rig(Version::V15, &Policy { physical: "workers: 1, read_limit: 2MB/s".into(), ..Policy::default() });
    let child = super::broken_off::underway(&rig);
    assert_eq!(slots(&rig), "1");
    super::broken_off::signal(&child, rustix::process::Signal::KILL);
    child.wait_with_output().expect("its end");
    rig.cluster.wait_until("not exists (select from pg_replication_slots)");
    assert!(rig.objects("backups").is_empty());
}

/// Files are copied, and some of the log lies in the store: it belongs to nothing yet, and the next run has to come to terms with it.
#[test]
fn killed_while_its_log_is_brought_the_next_run_is_whole() {
    let rig = rig(Version::V15, &Policy { physical: "workers: 1, read_limit: 20MB/s".into(), ..Policy::default() });
    rig.cluster.sql(
        "create table pairs (a int primary key, x bigint, y bigint); insert into pairs select g, 500, 500 from generate_series(1, 5000) g;
         create table bulk as select g, repeat('x', 500) from generate_series(1, 60000) g",
    );
    let child = super::broken_off::underway(&rig);
    rig.cluster.sql("update bulk set g = g; checkpoint; update pairs set x = x - 1, y = y + 1 where a % 7 = 3");
    let deadline = Instant::now() + Duration::from_secs(120);
    while rig.objects("wal").len() < 3 {
        assert!(Instant::now() < deadline, "no log is brought");
        thread::sleep(Duration::from_millis(2));
    }
    super::broken_off::signal(&child, rustix::process::Signal::KILL);
    child.wait_with_output().expect("its end");
    rig.cluster.wait_until("not exists (select from pg_replication_slots)");
    assert!(rig.objects("backups").is_empty(), "{:?}", rig.objects("backups"));

    rig.cluster.sql("update pairs set x = x + 2, y = y - 2 where a % 5 = 1");
    let backup = rig.backup(&[]);
    assert!(backup.0["remarks"].to_string().contains("broken off: "), "{}", backup.0);
    let rows = "select md5(string_agg(p::text, '' order by a)) || sum(x + y)::text from pairs p";
    assert_eq!(rig.restore(&backup).sql(rows), rig.cluster.sql(rows));
    let verified = rig.seawall_to(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[test]
fn from_a_standby_it_waits_for_the_last_segment() {
    let primary = rig(Version::V15, &Policy::default());
    primary.cluster.sql("create table t as select g from generate_series(1, 10000) g");
    let standby = Cluster::standby_of(&primary.cluster, Options { segment_mb: 1, ..Options::default() });
    standby.wait_until("exists (select from pg_class where relname = 't')");
    let (own, old) = (standby.conninfo(), primary.cluster.data().display().to_string());
    primary.change(&[
        (&old, &standby.data().display().to_string()),
        ("hosts: {  }", &format!("hosts: {{ db-1: {{ role: standby, backups: true, connection: \"{own}\" }} }}")),
        ("physical: {  }", "physical: { from: standby }"),
    ]);
    let backup = primary.backup(&[]);
    let descriptor = primary.descriptor(&backup);
    assert!(descriptor.cluster.standby && descriptor.carries_log);
    assert_eq!(primary.restore(&backup).sql("select count(*) from t"), "10000");
}

/// Log goes with the last backup that needs it, and not before; a copy has what its backups need, and brings them back alone.
#[test]
fn its_log_goes_with_it_and_a_copy_has_its_own() {
    let rig = rig(Version::V15, &Policy::default());
    let folder = rig.cluster.folder().display().to_string();
    rig.change(&[
            (
                "stores: { disk:",
                &format!(
                    "expire: {{ brake: 100%, grace: 1s }}\nstores: {{ second: {{ local: {{ path: {folder}/second, other_device: false }} }}, disk:"
                ),
            ),
            ("keep: { daily: 7 }", "keep: { last: 1 }, store: disk, copies: { second: { keep: { last: 2 } } }"),
        ],
    );
    rig.shell("mkdir -p second");
    rig.cluster.sql("create table t as select g from generate_series(1, 100) g");
    let first = rig.backup(&[]);
    rig.cluster.sql("insert into t values (101); select pg_switch_wal()");
    rig.backup(&[]);
    let all = rig.objects("wal").len();
    let ok = |words: &[&str]| {
        let output = rig.seawall_to(words);
        assert!(
            output.status.success(),
            "{words:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    };
    ok(&["copy"]);
    let expire = || {
        for _ in 0..4 {
            ok(&["expire"]);
            rig.shell("sleep 1.2");
        }
        rig.objects("wal").len()
    };
    // The first is gone here, and lies in the copy still.
    assert_eq!(expire(), all);
    assert_eq!(rig.objects("backups").iter().filter(|key| key.ends_with(".json")).count(), 1, "{:?}", rig.objects("backups"));
    fs::rename(rig.path("store"), rig.path("lost")).expect("lost");
    let target = rig.path("back").display().to_string();
    ok(&["restore", "--yes", "--target", &target, "--store", "second", "--immediate", "--backup", first.text("id")]);
    fs::rename(rig.path("lost"), rig.path("store")).expect("found");
    rig.change(&[("second: { keep: { last: 2 } }", "second: { keep: { last: 1 } }")]);
    let left = expire();
    assert!(left < all && left > 0, "{left} of {all}");
    let target = rig.path("again").display().to_string();
    ok(&["verify"]);
    ok(&["restore", "--yes", "--target", &target, "--latest"]);
}

/// Where log leads on from each, the first store will do; here it is the one whose backup ended last.
#[test]
fn the_latest_is_that_of_all_stores() {
    let rig = rig(Version::V15, &Policy::default());
    let folder = rig.cluster.folder().display().to_string();
    let weekly = format!(
        "weekly: {{ physical: {{}}, store: elsewhere, schedule: {{ {} }}, keep: {{ weekly: 4 }}, takes: 1m }}",
        super::rig::weekly()
    );
    rig.change(&[
        ("stores: {", &format!("stores: {{ elsewhere: {{ local: {{ path: {folder}/elsewhere, other_device: false }} }},")),
        ("keep: { daily: 7 }", "store: disk, keep: { daily: 7 }"),
        ("backups: {", &format!("backups: {{ {weekly},")),
    ]);
    rig.shell("mkdir -p elsewhere");
    let taken = |job: &str| {
        let output = rig.seawall_to(&["backup", job, "--format", "json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        said["id"].as_str().expect("an id").to_owned()
    };
    let target = rig.path("back").display().to_string();
    let planned = |words: &[&str]| {
        let output = rig.seawall_to(&[&["restore", "--target", &target], words].concat());
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    for job in ["nightly", "weekly", "nightly"] {
        let id = taken(job);
        for words in [&["--latest"][..], &["--immediate"]] {
            let said = planned(words);
            assert!(said.contains(&id), "{words:?} after {job} {id}: {said}");
        }
    }
}
