//! Putting units in place, and comparing with what is there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::super::cli::{Room, Run, sound};
use super::names;

const TIMER: &str = "units/seawall-shop-backups.nightly.timer";

fn room() -> Room {
    let room = Room::new().with("p.yaml", sound("shop"));
    fs::create_dir(room.path().join("units")).expect("a directory");
    room
}

fn emit(room: &Room, more: &[&str]) -> Run {
    room.run(&[&["emit", "systemd", "--policy", "p.yaml"][..], more].concat())
}

/// The same without the weekly drill.
fn without_drill() -> String {
    let text = sound("shop");
    let (before, rest) = text.split_once("drills:").expect("a drill");
    let (_, after) = rest.split_once("receivers:").expect("receivers");
    format!("{before}receivers:{after}")
}

fn changed_at(path: &Path) -> std::time::SystemTime {
    fs::metadata(path).and_then(|about| about.modified()).expect("a file")
}

#[test]
fn a_second_time_changes_nothing() {
    let room = room();
    let run = emit(&room, &["--out", "units"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.ends_with("6 files written, 0 unchanged\n"), "{run:?}");
    let next = "next:\n  systemctl daemon-reload\n  systemctl enable --now seawall-shop-backups.nightly.timer seawall-shop-drills.weekly.timer seawall-shop-watch.timer\n";
    assert_eq!(run.stderr, next);
    let timer = room.path().join(TIMER);
    let first = changed_at(&timer);
    assert_eq!(fs::metadata(&timer).expect("a file").permissions().mode() & 0o777, 0o644);
    let run = emit(&room, &["--out", "units"]);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("0 files written, 6 unchanged\n", ""));
    assert_eq!(changed_at(&timer), first);
    assert_eq!(names(&room.path().join("units")).len(), 6, "nothing is left beside them");
}

#[test]
fn the_difference_is_a_patch_that_leads_there() {
    let room = room();
    assert_eq!(emit(&room, &["--out", "units"]).code, Some(0));
    assert_eq!(emit(&room, &["--diff", "units"]).code, Some(0));
    let timer = room.path().join(TIMER);
    let wanted = fs::read_to_string(&timer).expect("a timer");
    // The beginning, the middle and the end of it, and a file that is missing.
    let ours = format!("# mine\n{}# no line end", wanted.replace("02:00:00", "03:00:00"));
    fs::write(&timer, &ours).expect("it is written");
    fs::remove_file(room.path().join("units/seawall-shop-watch.timer")).expect("it is removed");
    let run = emit(&room, &["--diff", "units"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stdout.contains("-OnCalendar=*-*-* 03:00:00 UTC\n+OnCalendar=*-*-* 02:00:00 UTC\n"), "{}", run.stdout);
    assert_eq!(fs::read_to_string(&timer).expect("a timer"), ours, "comparing changes nothing");
    fs::write(room.path().join("d.patch"), &run.stdout).expect("a patch");
    let applied = Command::new("git").args(["apply", "-p0", "d.patch"]).current_dir(room.path()).output().expect("git");
    assert!(applied.status.success(), "{}\n{}", String::from_utf8_lossy(&applied.stderr), run.stdout);
    assert_eq!(emit(&room, &["--diff", "units"]).code, Some(0));
}

#[test]
fn what_is_left_of_an_earlier_version_is_named_and_removed_when_asked() {
    let room = room();
    assert_eq!(emit(&room, &["--out", "units"]).code, Some(0));
    fs::write(room.path().join("p.yaml"), without_drill()).expect("it is written");
    let drill = room.path().join("units/seawall-shop-drills.weekly.timer");
    let link = room.path().join("units/timers.target.wants/seawall-shop-drills.weekly.timer");
    fs::create_dir(link.parent().expect("a directory")).expect("it is made");
    symlink(&drill, &link).expect("a link");
    // Of another policy, and of somebody else.
    let others = ["units/seawall-shop-two-watch.timer", "units/seawall-shop-backups.mine.timer"];
    fs::write(room.path().join(others[0]), "# Written by seawall for the policy shop-two.\n").expect("it is written");
    fs::write(room.path().join(others[1]), "[Timer]\n").expect("it is written");
    assert_eq!(emit(&room, &["--diff", "units"]).code, Some(2));
    let run = emit(&room, &["--out", "units"]);
    assert!(run.stdout.contains("stale    units/seawall-shop-drills.weekly.timer (`--prune` removes it)\n"), "{run:?}");
    assert!(run.stderr.contains("systemctl disable --now seawall-shop-drills.weekly.timer"), "{run:?}");
    assert!(drill.exists());
    let run = emit(&room, &["--out", "units", "--prune"]);
    assert!(run.stdout.contains("removed  units/seawall-shop-drills.weekly.timer\n"), "{run:?}");
    assert!(!drill.exists() && fs::symlink_metadata(&link).is_err());
    assert!(others.iter().all(|other| room.path().join(other).exists()));
    assert_eq!(emit(&room, &["--diff", "units"]).code, Some(0));
}

#[test]
fn a_masked_unit_stays_masked() {
    let room = room();
    let masked = room.path().join(TIMER);
    symlink("/dev/null", &masked).expect("a link");
    let run = emit(&room, &["--out", "units"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("masked   units/seawall-shop-backups.nightly.timer is left as it is\n"), "{run:?}");
    assert!(!run.stderr.contains("nightly.timer"), "{run:?}");
    assert_eq!(fs::read_link(&masked).expect("a link"), Path::new("/dev/null"));
    assert_eq!(emit(&room, &["--diff", "units"]).code, Some(0));
}

#[test]
fn a_host_that_the_policy_does_not_know_is_refused() {
    let room =
        Room::new().with("p.yaml", sound("shop").replace("databases: [app]", "databases: [app], hosts: { db-1: { role: primary } }"));
    let run = room.run(&["emit", "systemd", "--policy", "p.yaml", "--host", "db-2"]);
    assert_eq!(run.code, Some(64), "{run:?}");
    assert!(run.stderr.contains("the policy has no host `db-2`") && run.stderr.contains("db-1"), "{run:?}");
    assert_eq!(room.run(&["emit", "systemd", "--policy", "p.yaml", "--host", "db-1"]).code, Some(0));
    assert_eq!(room.run(&["emit", "systemd", "--policy", "p.yaml", "--out", "missing", "--host", "db-1"]).code, Some(1));
    assert_eq!(room.run(&["emit", "systemd", "--prune"]).code, Some(64));
}
