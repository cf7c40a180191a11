//! Nothing protects it, so it is not run: 125, and the world is as it was.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::rig::{Going, audited, command, guard, holds, wait_for};
use crate::clusters::{Options, StopMode, Version};
use crate::restore::rig::{Rig, Said};

fn ready() -> Rig {
    let rig = Rig::start(Version::V15, Options::default());
    rig.series();
    rig.backup();
    rig
}

#[track_caller]
fn not_run(rig: &Rig, said: &Said, why: &str) {
    assert_eq!(said.code, 125, "{}{}", said.out, said.err);
    assert!(said.err.contains(why) && said.err.contains("was NOT run"), "{why}: {}", said.err);
    assert!(!rig.path("mark").exists() && said.out.is_empty());
    assert_eq!(holds(rig).len(), 0, "{}", said.err);
}

fn touch(rig: &Rig) -> String {
    rig.path("mark").display().to_string()
}

#[test]
fn an_archiver_that_fails() {
    let rig = ready();
    rig.cluster.add_conf("archive_command = 'false'");
    rig.cluster.reload();
    let mark = touch(&rig);
    // Nobody has seen it fail yet: the wait for the segment does.
    let began = Instant::now();
    let said = guard(&rig, &["--with", "restore-point", "--wait", "5s"], &["touch", &mark]);
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    not_run(&rig, &said, "did not come to");
    assert!(said.err.contains("archive_command"), "{}", said.err);
    // From here on it is known, and not even tried.
    let began = Instant::now();
    let said = guard(&rig, &[], &["touch", &mark]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    not_run(&rig, &said, "archiving does not work");
    let kinds: Vec<String> = audited(&rig).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["guard.refused"], "the second was refused by its plan, before anything was done");
}

#[test]
fn somebody_interrupts_the_wait() {
    let rig = ready();
    rig.cluster.add_conf("archive_command = 'false'");
    rig.cluster.reload();
    let mark = touch(&rig);
    for signal in [Signal::INT, Signal::TERM] {
        let going = Going::start(command(&rig, &["--with", "restore-point", "--wait", "5m"], &["touch", &mark]));
        wait_for("the hold is put", || !holds(&rig).is_empty());
        going.signal(signal);
        not_run(&rig, &going.end(), "it was interrupted");
    }
    // Killed, it leaves a hold, which ends by itself.
    let going = Going::start(command(&rig, &["--with", "restore-point", "--wait", "5m"], &["touch", &mark]));
    wait_for("the hold is put", || !holds(&rig).is_empty());
    going.signal(Signal::KILL);
    drop(going.end());
    assert!(!rig.path("mark").exists() && holds(&rig)[0]["until"].is_string());
}

#[test]
fn somebody_interrupts_the_backup() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.cluster.add_conf("archive_command = 'exec sleep 600'");
    rig.cluster.reload();
    let mark = touch(&rig);
    let going = Going::start(command(&rig, &["--with", "backup"], &["touch", &mark]));
    wait_for("parts are put", || !crate::restore::rig::objects(&rig.path("store"), "/data/").is_empty());
    going.signal(Signal::INT);
    not_run(&rig, &going.end(), "it was interrupted");
    assert!(crate::restore::rig::objects(&rig.path("store"), "/backups/").is_empty());
    rig.cluster.add_conf("archive_command = 'true'");
    rig.cluster.reload();
}

#[test]
fn the_server_or_the_store_is_away() {
    let rig = ready();
    let mark = touch(&rig);
    rig.shell("mv store elsewhere");
    not_run(&rig, &guard(&rig, &["--with", "restore-point"], &["touch", &mark]), "store `local`");
    rig.shell("mv elsewhere store");
    rig.cluster.stop(StopMode::Fast);
    not_run(&rig, &guard(&rig, &["--with", "restore-point"], &["touch", &mark]), "the server cannot be asked");
    not_run(&rig, &guard(&rig, &[], &["touch", &mark]), "");
}

#[test]
fn what_makes_no_sense_is_no_end_of_the_command() {
    let rig = ready();
    for (words, why) in [
        (vec!["--with", "prayer"], "invalid value"),
        (vec!["--keep", "2020-01-01"], "is over already"),
        (vec!["weekly"], "no backup `weekly`"),
        (vec!["--table", "a.b.c"], "--table"),
        (vec!["--plan", "--report", "x"], "cannot be used with"),
    ] {
        let said = guard(&rig, &words, &["true"]);
        assert_eq!(said.code, 125, "{words:?}: {}", said.err);
        assert!(said.err.contains(why), "{words:?}: {}", said.err);
    }
    let said = rig.seawall(&["guard"]);
    assert_eq!(said.code, 125, "{}", said.err);
}

/// What can only be found out when it is tried: the hold goes with it.
#[test]
fn what_cannot_be_started_leaves_no_hold() {
    let rig = ready();
    rig.write("script", "#!/no/such/interpreter\n");
    rig.shell("chmod 755 script");
    let (script, report) = (rig.path("script").display().to_string(), rig.path("report.json"));
    let said = guard(&rig, &["--report", report.to_str().expect("text")], &[&script]);
    assert!(said.code == 127 && said.err.contains("protected by restore point"), "{}: {}", said.code, said.err);
    let report = crate::cli::follows("guard-report", &std::fs::read_to_string(report).expect("a report"));
    assert!(report["protection"].is_null() && report["command"].is_null(), "{report:#}");
    assert_eq!((report["undo"].as_array().map(Vec::len), holds(&rig).len()), (Some(0), 0));
    // Neither does a report that nobody could read.
    let mark = touch(&rig);
    not_run(&rig, &guard(&rig, &["--report", "/no/such/folder/report.json"], &["touch", &mark]), "the report `/no/such/folder");
}

/// A server of the same history writes segments of the same names; what is in them is another matter.
#[test]
fn a_segment_that_another_server_wrote_is_not_taken_for_ones_own() {
    let rig = ready();
    let push = rig.cluster.sql("show archive_command").replace("%p", "$other/pg_wal/$2");
    let other = rig.path("other").display().to_string();
    rig.write(
        "push-other.sh",
        &format!(
            "set -e; other={other}; mkdir -p $other/global $other/pg_wal; cp global/pg_control $other/global/\n\
             LC_ALL=C sed s/guard-touch/other-touch/ \"$1\" > $other/pg_wal/$2; {push}\n"
        ),
    );
    rig.cluster.add_conf(&format!("archive_command = 'sh {} %p %f'", rig.path("push-other.sh").display()));
    rig.cluster.reload();
    let mark = touch(&rig);
    let said = guard(&rig, &["--with", "restore-point"], &["touch", &mark]);
    not_run(&rig, &said, "another server wrote that one");
}

#[test]
fn a_standby_makes_no_restore_points() {
    let pair = crate::standby::rig::Pair::streaming(Version::V15);
    let rig = &pair.rig;
    let (primary, standby) = (rig.cluster.conninfo(), crate::standby::rig::conninfo(rig, pair.port));
    rig.change_policy(&format!("connection: \"{primary}\""), &format!("connection: \"{standby}\""));
    let mark = touch(rig);
    let said = guard(rig, &["--with", "restore-point"], &["touch", &mark]);
    not_run(rig, &said, "leads to a standby");
}
