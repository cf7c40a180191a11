//! A restore point is not enough, so a backup is taken.

use super::rig::{audited, bring_back, guard, holds, psql, undo};
use crate::clusters::{Options, Version};
use crate::restore::rig::Rig;

#[test]
fn without_a_backup_one_is_taken_and_a_point_made_after_it() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.series();
    rig.load(10);
    let before = rig.hash(i64::MAX);
    let conninfo = rig.cluster.conninfo();
    let said = guard(&rig, &["--label", "before-42"], &psql(&conninfo, "truncate series"));
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("no store has a backup from which the log leads to now"), "{}", said.err);
    assert!(said.err.contains("backups.nightly`, and a restore point after it"), "{}", said.err);
    let listed = rig.seawall(&["list", "--format", "json"]).out;
    assert!(listed.contains("before-42"), "{listed}");
    assert!(holds(&rig).is_empty(), "it keeps itself");
    assert!(undo(&said).contains("--to-name guard-before-42-"), "{}", said.err);
    assert_eq!(bring_back(&rig, &said, "undone").hash(), before);
    assert_eq!(audited(&rig).len(), 2);
    // The next one needs none.
    let said = guard(&rig, &[], &["true"]);
    assert!(said.err.contains("a restore point is enough"), "{}", said.err);
    // Its hold is meant to end, and nobody is asked about that.
    assert!(matches!(&holds(&rig)[..], [one] if one["passing"] == true), "{:?}", holds(&rig));
    let hold = rig.cluster.folder().join("store").join(holds_key(&rig));
    let asked = || {
        // The stores are looked at anew.
        rig.shell("rm -f state/policies/shop/observed.json");
        rig.seawall(&["watch"]);
        let status = rig.seawall(&["status", "--format", "json"]).out;
        let list = rig.seawall(&["checklist", "--format", "json"]).json();
        let questions = list["policies"][0]["questions"].as_array().expect("questions").clone();
        let of_holds = questions.into_iter().find(|question| question["key"] == "holds").expect("it is asked");
        (status, of_holds["answer"].clone())
    };
    let (status, answer) = asked();
    assert!(!status.contains("hold_ending") && answer == "yes", "{answer} {status}");
    // One that somebody else placed is another matter, and lies in the store.
    let text = std::fs::read_to_string(&hold).expect("a hold").replace("\"passing\":true,", "");
    rig.write(hold.strip_prefix(rig.cluster.folder()).expect("below it").to_str().expect("text"), &text);
    let (status, answer) = asked();
    assert!(status.contains("which lies in the store and not in the policy") && answer == "no", "{answer} {status}");
}

/// Where the only hold lies.
fn holds_key(rig: &Rig) -> String {
    let found = rig.shell("cd store && find . -path '*/holds/*.json'");
    assert_eq!(found.lines().count(), 1, "{found}");
    found
}

#[test]
fn a_log_that_goes_too_soon_is_not_relied_on() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.backup();
    rig.load(10);
    let before = rig.hash(i64::MAX);
    let conninfo = rig.cluster.conninfo();
    let said = guard(&rig, &["--keep", "90d"], &psql(&conninfo, "truncate series"));
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("`wal.keep` lets the log go after 7d"), "{}", said.err);
    assert!(undo(&said).contains("--immediate"), "{}", said.err);
    assert_eq!(bring_back(&rig, &said, "undone").hash(), before);
}

#[test]
fn a_gap_in_the_log_is_seen() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    let gone = rig.cluster.sql("select last_archived_wal from pg_stat_archiver");
    rig.load(5);
    rig.archive();
    rig.shell(&format!("rm store/*/wal/*/*/*/{gone}.*"));
    let said = guard(&rig, &["--with", "restore-point"], &["true"]);
    assert!(said.code == 125 && said.err.contains("has a gap"), "{} {}", said.code, said.err);
    let said = guard(&rig, &[], &["true"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("a backup by `backups.nightly`"), "{}", said.err);
}
