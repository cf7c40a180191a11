//! What came back is on record, and what failed for good is not tried again.

use serde_json::Value;

use super::rig::Ground;
use crate::clusters::Account;
use crate::run::rig::{Said, by_clock};

/// Entries of the audit chain with the newest last, of this kind.
fn entries(ground: &Ground, kind: &str) -> Vec<Value> {
    let out = ground.say(&["audit", "export"]).ends_with_code(0).out;
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter(|line| line["kind"] == kind).collect()
}

#[test]
fn files_that_came_back_are_in_the_audit_chain() {
    let ground = Ground::new(false, "paths: [TREE]");
    ground.rig.shell("mkdir -p tree/etc; echo one > tree/etc/one; head -c 3000000 /dev/urandom > tree/large");
    // It is a run that makes the catalog.
    ground.say(&["run", "system"]).ends_with_code(0);
    let root = ground.file("back").display().to_string();
    ground.say(&["restore", "--files", "--to-root", &root, "--yes"]).ends_with_code(0);
    let [done] = &entries(&ground, "restore.files")[..] else { panic!("one entry") };
    let details: Value = serde_json::from_str(done["details"].as_str().expect("text")).expect("JSON");
    assert_eq!((details["status"].as_str(), details["store"].as_str()), (Some("succeeded"), Some("disk")), "{details}");
    assert_eq!((details["bytes"].as_u64(), details["files"].as_u64()), (Some(3_000_004), Some(2)), "{details}");
    assert!(details["started"].as_str() <= details["ended"].as_str() && details["started"].is_string(), "{details}");
    assert!(details["to"].as_str().is_some_and(|to| to.contains(&root)) && !done["who"].as_str().unwrap_or_default().is_empty(), "{done}");
    assert!(ground.say(&["history", "restore"]).ends_with_code(0).out.contains("succeeded"));
    // What did not come back as well: what is there differs by now, but the refusal comes before anything is begun.
    ground.rig.shell("chmod -R u+w back; echo other > back$PWD/tree/etc/one");
    ground.say(&["restore", "--files", "--to-root", &root, "--yes"]).ends_with_code(1);
    assert!(entries(&ground, "restore.failed").is_empty());
    ground.rig.shell_as_root("for f in store/*/data/*/part-00001.tar.zst.age; do chmod u+w $f; printf damaged | dd of=$f bs=1 seek=40000 conv=notrunc 2>/dev/null; done");
    ground.say(&["restore", "--files", "--to-root", &ground.file("again").display().to_string(), "--yes"]).ends_with_code(1);
    let [failed] = &entries(&ground, "restore.failed")[..] else { panic!("one entry") };
    let details: Value = serde_json::from_str(failed["details"].as_str().expect("text")).expect("JSON");
    assert_eq!((details["kind"].as_str(), details["status"].as_str()), (Some("files"), Some("failed")), "{details}");
    assert!(details["message"].as_str().is_some_and(|why| why.contains("part-00001")), "{details}");
    ground.say(&["audit", "verify"]).ends_with_code(0);
}

/// No waiting makes a file readable: the backup that is there is marked, its alert comes, and the next try is the one of the schedule.
#[test]
fn what_cannot_be_read_is_not_tried_again_before_its_schedule_says_so() {
    let ground = Ground::new(false, "paths: [TREE]");
    ground.rig.shell("mkdir tree; echo fine > tree/fine; echo secret > tree/secret");
    ground.rig.shell_as_root("chown root tree/secret; chmod 600 tree/secret");
    let due = |offset: &str| {
        let command = ground.command(&["run", "--due", "backups.system"]);
        Said::of(by_clock(Account::current(), offset, &command).output().expect("seawall"))
    };
    let backups = || ground.rig.shell("ls store/*/backups/*.json | wc -l").trim().to_owned();
    due("+0").ends_with_code(1).says("1 file could not be read and is missing from backup");
    assert_eq!(backups(), "1");
    due("+0").ends_with_code(0).says("nothing is owed");
    assert_eq!(backups(), "1");
    // A day later it is owed again. By a clock that is off on purpose no backup is taken, and that it is so was asked right before.
    due("+26h").ends_with_code(75).says("no backup is dated by it");
    assert_eq!(backups(), "1");
}
