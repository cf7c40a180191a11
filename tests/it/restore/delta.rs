//! Into a directory that is not empty: only what differs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::rig::{Rig, flip, objects};
use crate::clusters::{Options, Version};

#[test]
fn only_what_differs_is_fetched() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.series();
    rig.cluster.sql("create table much as select n, md5(n::text) as v from generate_series(1, 100000) n");
    rig.cluster.sql("checkpoint");
    rig.backup();
    rig.load(5);
    rig.archive();
    let rows = rig.hash(5);
    assert_eq!(rig.restore("r", &[]).code, 0);
    let data = rig.path("r");
    let relation = data.join(rig.cluster.sql("select pg_relation_filepath('much')"));
    let mut bytes = fs::read(&relation).expect("a relation");
    bytes[8192 * 100 + 77] ^= 0xFF;
    fs::write(&relation, &bytes).expect("damaged");
    fs::remove_file(data.join(rig.cluster.sql("select pg_relation_filepath('series')"))).expect("gone");
    fs::write(data.join("base/stranger"), "x").expect("extra");

    let said = rig.restore("r", &[]);
    assert!(said.code == 1 && said.err.contains("--delta"), "{}", said.err);
    let restored = rig.bring_back("r", &["--delta"]);
    assert_eq!((restored.hash(), restored.sql("select count(*) from much")), (rows, "100000".into()));
    let (fetched, frames) =
        (restored.report["frames_fetched"].as_u64().expect("a number"), restored.report["frames"].as_u64().expect("a number"));
    assert!(fetched < frames && fetched <= 6, "{fetched} of {frames}");
    assert!(!data.join("base/stranger").exists());
    // It runs now.
    let said = rig.restore("r", &["--delta"]);
    assert!(said.code == 1 && said.err.contains("a server runs in"), "{}", said.err);
}

#[test]
fn killed_and_done_again() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.cluster.sql("create table much as select n, md5(n::text) as v from generate_series(1, 200000) n");
    rig.backup();
    rig.load(5);
    rig.archive();
    let rows = rig.hash(5);
    let target = rig.path("r");
    for wait in [60, 120, 200, 400] {
        let mut restore = rig.command(&["restore", "--yes", "--delta", "--target", target.to_str().expect("text")]);
        let mut child = restore.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        std::thread::sleep(Duration::from_millis(wait));
        kill(&target, &mut child);
        if target.join("seawall.restoring").exists() {
            assert!(!target.join("global/pg_control").exists(), "what is not whole must not start");
        }
    }
    let restored = rig.bring_back("r", &["--delta"]);
    assert_eq!((restored.hash(), restored.sql("select count(*) from much")), (rows, "200000".into()));
}

/// Our program may run below another one that changes the account, and outlive it: everything that works on this folder ends.
fn kill(folder: &Path, child: &mut std::process::Child) {
    let folder = folder.to_str().expect("text");
    loop {
        let processes = fs::read_dir("/proc").expect("processes").flatten();
        let numbered = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let ours: Vec<i32> = numbered
            .filter(|pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(folder)))
            .collect();
        for pid in &ours {
            if let Some(pid) = rustix::process::Pid::from_raw(*pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = child.try_wait();
        if ours.is_empty() {
            let _ = child.wait();
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_full_disk_leaves_nothing_that_starts() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can mount a small file system");
        return;
    }
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.cluster.sql("create table much as select n, md5(n::text) as v from generate_series(1, 100000) n");
    rig.backup();
    rig.archive();
    let mount = rig.path("small");
    fs::create_dir(&mount).expect("a mount point");
    let mut command = std::process::Command::new("mount");
    let mounted = command.args(["-t", "tmpfs", "-o", "size=20m,mode=777", "tmpfs"]).arg(&mount).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("nothing can be mounted here");
        return;
    }
    let early = rig.restore("small/r", &[]);
    // The check before is passed by, as by another process that fills the disk meanwhile.
    fs::create_dir(mount.join("r")).expect("a directory");
    fs::write(mount.join("r/PG_VERSION"), "16\n").expect("a file");
    rig.cluster.account().own(&mount.join("r"));
    let late = rig.restore("small/r", &["--delta"]);
    let left = mount.join("r/global/pg_control").exists();
    let _ = std::process::Command::new("umount").arg(&mount).status();
    assert!(early.code == 1 && early.err.contains("needs"), "{}", early.err);
    assert!(late.code == 1 && late.err.contains("No space left") && late.err.contains("--delta"), "{}", late.err);
    assert!(!left);
}

/// What lies in the directory is the account's own, and so may be the links in it: root would follow them to what the account may not touch.
#[test]
fn root_is_not_led_out_of_the_directory() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can be led where others may not go");
        return;
    }
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    assert_eq!(rig.restore("r", &[]).code, 0);
    let (data, etc) = (rig.path("r"), rig.path("etc"));
    fs::create_dir_all(etc.join("1")).expect("a folder of root's");
    fs::write(etc.join("shadow"), "secret").expect("a file of root's");
    fs::set_permissions(&etc, fs::Permissions::from_mode(0o755)).expect("root's");
    let before = rig.shell("stat -c '%n %a %U %s' etc etc/1 etc/shadow && cat etc/shadow");
    let target = data.to_str().expect("text");
    let as_root = || {
        let mut command = std::process::Command::new(super::rig::program());
        command.args(["restore", "--yes", "--delta", "--target", target, "--state"]).arg(rig.path("state-of-root"));
        super::rig::said(command.arg("-p").arg(rig.path("policy.yaml")).output().expect("it runs"))
    };
    for (link, to) in [("pg_wal", "etc"), ("base", "etc"), ("seawall.restoring", "etc/shadow"), ("backup_manifest", "etc/shadow")] {
        let at = data.join(link);
        let aside = rig.path("aside");
        let was_there = fs::rename(&at, &aside).is_ok();
        std::os::unix::fs::symlink(rig.path(to), &at).expect("a link");
        let said = as_root();
        assert!(said.code == 1 && said.err.contains("root writes into no directory"), "{link}: {}{}", said.out, said.err);
        // With its own rights the account does no harm there.
        let said = rig.restore("r", &["--delta"]);
        assert_eq!(said.code, 1, "{link}: {}{}", said.out, said.err);
        assert_eq!(rig.shell("stat -c '%n %a %U %s' etc etc/1 etc/shadow && cat etc/shadow"), before, "{link}");
        fs::remove_file(&at).expect("the link");
        if was_there {
            fs::rename(&aside, &at).expect("back");
        }
    }
    assert_eq!(rig.bring_back("r", &["--delta"]).hash(), rig.hash(5));
}

/// Root may begin one, in an empty directory that it gives away; the account goes on with it.
#[test]
fn what_root_began_its_owner_ends() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root gives files away");
        return;
    }
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    let index = objects(&rig.path("store"), ".index").pop().expect("an index");
    flip(&index);
    let target = rig.path("r");
    let mut command = std::process::Command::new(super::rig::program());
    command.args(["restore", "--yes", "--owner", "postgres", "--target", target.to_str().expect("text"), "--state"]);
    let said = super::rig::said(command.arg(rig.path("state-of-root")).arg("-p").arg(rig.path("policy.yaml")).output().expect("it runs"));
    assert!(said.code == 1 && target.join("seawall.restoring").exists(), "{}{}", said.out, said.err);
    flip(&index);
    rig.cluster.account().own(&rig.path("store"));
    assert_eq!(rig.bring_back("r", &["--delta"]).hash(), rig.hash(5));
}

#[test]
fn the_report_says_what_was_done() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    let id = rig.backup();
    rig.archive();
    let said = rig.restore("r", &["--format", "json"]);
    let report: Value = crate::cli::follows("restore-output", &said.out);
    assert_eq!(
        (report["format_version"].as_u64(), report["backup"].as_str(), report["signed_by"].as_str()),
        (Some(1), Some(id.as_str()), Some("db"))
    );
    assert_eq!(report["written"], report["size"]);
    let kept: Value = serde_json::from_slice(&fs::read(rig.path("state/policies/shop/restore-report.json")).expect("kept")).expect("JSON");
    assert_eq!(kept, report);
}
