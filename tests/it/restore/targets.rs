//! Every kind of target, under load, on old, middle and new majors.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use super::rig::{Restored, Rig, objects};
use crate::clusters::{Options, Version};

fn every_kind_of_target(version: Version) {
    let rig = Rig::start(version, Options::default());
    rig.series();
    thread::scope(|scope| {
        scope.spawn(|| rig.load(300));
        rig.backup();
    });
    rig.load(50);
    let lsn = rig.cluster.sql("select pg_current_wal_lsn()");
    let at_lsn = rig.cluster.sql("select max(id) from series");
    rig.load(20);
    let xid = rig.cluster.sql("insert into series (v) values ('this one') returning pg_current_xact_id()::xid");
    let at_xid = rig.cluster.sql("select max(id) from series");
    rig.load(20);
    rig.cluster.sql("select pg_create_restore_point('before the accident')");
    let at_name = rig.cluster.sql("select max(id) from series");
    rig.load(20);
    rig.archive();
    let all = rig.cluster.sql("select max(id) from series");
    let number = |text: &str| text.parse::<i64>().expect("a number");

    let time = rig.after_row(number(&at_lsn) - 7);
    let up_to = rig.hash(number(&at_lsn) - 7);
    let said = rig.restore("plain", &["--to", &time]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    rig.cluster.verify_backup(&rig.path("plain"));

    for (name, words, rows) in [
        ("time", vec!["--to", time.as_str()], up_to),
        ("lsn", vec!["--to-lsn", lsn.as_str(), "--exclusive"], rig.hash(number(&at_lsn))),
        ("xid", vec!["--to-xid", xid.as_str()], rig.hash(number(&at_xid))),
        ("before", vec!["--to-xid", xid.as_str(), "--exclusive", "--at-target", "pause"], rig.hash(number(&at_xid) - 1)),
        ("name", vec!["--to-name", "before the accident"], rig.hash(number(&at_name))),
        ("latest", vec!["--latest"], rig.hash(number(&all))),
    ] {
        let restored = rig.bring_back(name, &words);
        assert_eq!(restored.hash(), rows, "{name}");
        let state = restored.report["reached"]["state"].as_str().expect("a state").to_owned();
        assert_eq!(state, if name == "before" { "paused" } else { "promoted" }, "{name}");
        assert_eq!(restored.sql("select current_setting('archive_command') || current_setting('archive_mode')"), "on", "{name}");
        if name == "latest" {
            check_structure(&rig, &restored);
        }
        restored.remove();
    }
    let restored = rig.bring_back("immediate", &["--immediate"]);
    let rows = restored.sql("select max(id) from series");
    assert_eq!(restored.hash(), rig.hash(rows.parse().unwrap_or(0)));
}

fn check_structure(rig: &Rig, restored: &Restored) {
    if rig.cluster.version() == Version::V13 {
        // pg_amcheck is younger than that; the extension is there.
        restored.sql("create extension amcheck");
        let btrees = "from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam \
                      where a.amname = 'btree' and c.relpersistence = 'p' and i.indisvalid";
        restored.sql(&format!("select count(bt_index_check(i.indexrelid::regclass, true)) {btrees}"));
        return;
    }
    let mut check = rig.cluster.program("pg_amcheck");
    let output =
        check.args(["--install-missing", "-U", "postgres", "-d", "postgres", "-h"]).args(restored.address()).output().expect("it runs");
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_kind_of_target_on_13() {
    every_kind_of_target(Version::V13);
}

#[test]
fn every_kind_of_target_on_15() {
    every_kind_of_target(Version::V15);
}

#[test]
fn every_kind_of_target_on_18() {
    every_kind_of_target(Version::V18);
}

#[test]
fn nothing_was_written_until_the_target() {
    // Nobody else's transaction either.
    let rig = Rig::start(Version::V16, Options::default().with("autovacuum = off"));
    rig.series();
    rig.backup();
    rig.load(10);
    let rows = rig.hash(i64::MAX);
    // Seconds later, and without another transaction: PostgreSQL alone would refuse.
    thread::sleep(std::time::Duration::from_millis(1500));
    let time = now(&rig);
    let said = rig.restore("early", &["--to", &time]);
    assert_eq!(said.code, 1, "what is not archived is not known: {}", said.out);
    assert!(said.err.contains("ends at") && said.err.contains("--latest"), "{}", said.err);
    thread::sleep(std::time::Duration::from_millis(1500));
    rig.archive();
    let restored = rig.bring_back("idle", &["--to", &time]);
    assert_eq!(restored.hash(), rows);
    assert_eq!(restored.report["reached"]["ended_at_end_of_log"], true);
}

#[test]
fn seconds_after_the_backup() {
    let rig = Rig::start(Version::V17, Options::default());
    rig.series();
    rig.load(30);
    rig.backup();
    rig.load(3);
    let time = rig.after_row(32);
    rig.archive();
    let restored = rig.bring_back("soon", &["--to", &time]);
    assert_eq!(restored.hash(), rig.hash(32));
}

fn now(rig: &Rig) -> String {
    rig.cluster.sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'")
}

/// The server's programs, of which `pg_ctl` moves a file to its place before it is called for the second time.
fn programs_that_move(rig: &Rig, name: &str, from: &Path, to: &Path) -> String {
    let (folder, usual) = (rig.path(name), rig.cluster.version().programs());
    fs::create_dir(&folder).expect("a folder");
    for entry in fs::read_dir(&usual).expect("programs").flatten().filter(|entry| entry.file_name() != "pg_ctl") {
        std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).expect("a link");
    }
    let (called, from, to) = (folder.join("called"), from.display(), to.display());
    let called = called.display();
    let script = format!(
        "#!/bin/sh\nif [ -e {called} ] && [ -e {from} ]; then mv {from} {to}; fi\ntouch {called}\nexec {}/pg_ctl \"$@\"\n",
        usual.display()
    );
    rig.write(&format!("{name}/pg_ctl"), &script);
    fs::set_permissions(folder.join("pg_ctl"), fs::Permissions::from_mode(0o700)).expect("a program");
    rig.cluster.account().own(&folder);
    folder.to_str().expect("text").to_owned()
}

/// A target after the last transaction takes two runs. Between them the archiver brings the segment that comes next, with an accident in it.
#[test]
fn what_is_archived_meanwhile_is_not_replayed() {
    let rig = Rig::start(Version::V16, Options::default().with("autovacuum = off"));
    rig.series();
    rig.backup();
    rig.load(10);
    let rows = rig.hash(i64::MAX);
    let time = now(&rig);
    thread::sleep(std::time::Duration::from_millis(1500));
    rig.archive();
    rig.cluster.sql("delete from series");
    let accident = rig.cluster.sql("select pg_walfile_name(pg_current_wal_lsn())");
    rig.archive();
    let (object, away) = (objects(&rig.path("store"), &accident).remove(0), rig.path("away"));
    for (action, state) in [("promote", "promoted"), ("pause", "paused"), ("shutdown", "shut-down")] {
        fs::rename(&object, &away).expect("not archived yet");
        let [port] = crate::clusters::free_ports();
        let (setting, programs) = (format!("port={port}"), programs_that_move(&rig, &format!("programs-{action}"), &away, &object));
        let words = ["--format", "json", "--set", &setting, "--start-with", &programs, "--to", &time, "--at-target", action];
        let said = rig.restore(action, &words);
        let restored = rig.running(action, port);
        let log = fs::read_to_string(rig.path(action).join("seawall-recovery.log")).unwrap_or_default();
        assert_eq!(said.code, 0, "{action}: {}{}\n{log}", said.out, said.err);
        assert!(object.exists(), "{action}: it came between the runs");
        let reached = said.json()["reached"].clone();
        assert_eq!((reached["state"].as_str(), reached["ended_at_end_of_log"].as_bool()), (Some(state), Some(true)), "{reached}");
        if state != "shut-down" {
            assert_eq!(restored.hash(), rows, "{action}: {log}");
        }
    }
}
