use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::{Pair, damage};
use crate::faults::chance;
use crate::faults::sweep::{Counter, sweep};

fn object(pair: &Pair, store: &str, name: &str) -> std::path::PathBuf {
    pair.path(store).join(pair.ground.fixture.repository.as_str()).join(name)
}

#[test]
fn whatever_fails_at_any_call_the_next_run_completes_it() {
    let counter = |pair: &Pair| Counter::in_folder(pair.ground.fixture.path());
    let fresh = || {
        let pair = Pair::new("[off]");
        pair.backups(0..2);
        pair
    };
    let pair = fresh();
    let (_, calls) = counter(&pair).run(pair.command(&["copy"]), None);
    sweep("copies", calls, 24, |at| {
        let pair = fresh();
        let (output, calls) = counter(&pair).run(pair.command(&["copy"]), Some(at));
        let said = format!("{at:?} {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!at.passes || output.status.success(), "{said}");
        // Whatever has a descriptor is whole.
        pair.whole_in_copy();
        let again = pair.run(&["copy"]);
        assert_eq!(again.code, Some(0), "{said}{}{}", again.stdout, again.stderr);
        pair.is_same(&said);
        calls
    });
}

#[test]
fn killed_again_and_again_it_goes_on_from_what_is_there() {
    let pair = Pair::new("[off]");
    pair.backups(0..4);
    let mut lot = chance::lot("copies killed");
    for _ in 0..chance::rounds(6, 60) {
        let mut command = pair.command(&["copy"]);
        command.env("SEAWALL_TEST_FAULTS", "slow=40KB/s").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(30 + lot.below(1500) as u64));
        child.kill().expect("killed");
        child.wait().expect("ended");
        pair.whole_in_copy();
    }
    pair.copy();
    pair.is_same("");
    assert_eq!(pair.copy()["bytes"], 0);
}

#[test]
fn what_is_damaged_is_named_and_its_backup_is_not_committed() {
    let pair = Pair::new("[off]");
    pair.backups(0..3);
    let part = object(&pair, "store", "data/b1/part-00001.tar.zst");
    damage(&part);
    let said = pair.copy_in_vain();
    let flaws = said["flaws"].as_array().expect("flaws");
    assert_eq!(flaws.len(), 1, "{said}");
    assert_eq!((&flaws[0]["store"], &flaws[0]["backup"]), (&Value::from("main"), &Value::from("b1")), "{said}");
    assert!(flaws[0]["key"].as_str().is_some_and(|key| key.ends_with("data/b1/part-00001.tar.zst")), "{said}");
    assert_eq!((&said["left"][0]["id"], &said["transient"]), (&Value::from("b1"), &Value::from(false)));
    assert_eq!(pair.whole_in_copy(), ["b0", "b2"]);
    // From another copy, or by a disk that reads again.
    damage(&part);
    let done = pair.copy();
    assert!(done["backups"][0]["was_there"]["objects"].as_u64().is_some_and(|there| there >= 3), "{done}");
    pair.is_same("");
    // What is lost is as bad.
    pair.backup(3);
    std::fs::remove_file(object(&pair, "store", "data/b3/config.tar.zst")).expect("removed");
    let said = pair.copy_in_vain();
    assert!(said["flaws"][0]["what"].as_str().is_some_and(|what| what.contains("not there")), "{said}");
    assert_eq!(pair.whole_in_copy(), ["b0", "b1", "b2"]);
}

#[test]
fn a_log_that_is_not_whole_makes_no_backup_of_it() {
    let pair = Pair::new("[off]");
    pair.backups(0..1);
    pair.ground.backup("b1", &crate::expire::rig::day(1), 2);
    let said = pair.copy_in_vain();
    assert!(said["flaws"][0]["what"].as_str().is_some_and(|what| what.contains("the log that makes b1 consistent is not whole")), "{said}");
    assert_eq!(pair.whole_in_copy(), ["b0"]);
    let key = pair.ground.fixture.segment(1, 2);
    let segment = pair.ground.fixture.file(&key);
    damage(&segment);
    let said = pair.copy_in_vain();
    assert!(said["flaws"][0]["key"].as_str().is_some_and(|key| key.contains("/wal/")), "{said}");
    damage(&segment);
    pair.copy();
    pair.is_same("");
}

#[test]
fn what_is_something_else_in_the_copy_is_told_and_left_as_it_is() {
    let pair = Pair::new("[off]");
    pair.backups(0..2);
    pair.copy();
    pair.backup(2);
    let name = "data/b2/part-00001.tar.zst";
    let (original, other) = (object(&pair, "store", name), object(&pair, "off", name));
    std::fs::create_dir_all(other.parent().expect("a folder")).expect("made");
    std::fs::copy(&original, &other).expect("copied");
    damage(&other);
    let planted = std::fs::read(&other).expect("an object");
    let said = pair.copy_in_vain();
    assert_eq!((&said["flaws"][0]["store"], &said["flaws"][0]["backup"]), (&Value::from("off"), &Value::from("b2")), "{said}");
    assert_eq!(std::fs::read(&other).expect("an object"), planted, "nothing is put over it");
    assert_eq!(pair.whole_in_copy(), ["b0", "b1"]);
    std::fs::remove_file(&other).expect("taken away");
    // What a committed copy has lost is put again.
    std::fs::remove_file(object(&pair, "off", "data/b0/config.tar.zst")).expect("lost");
    let done = pair.copy();
    assert_eq!(done["backups"].as_array().map(Vec::len), Some(2), "{done}");
    pair.is_same("");
    // Cut short, it is not.
    let cut = object(&pair, "off", "data/b0/part-00001.tar.zst");
    std::fs::write(&cut, b"short").expect("cut");
    let said = pair.copy_in_vain();
    assert_eq!((&said["flaws"][0]["store"], &said["flaws"][0]["backup"]), (&Value::from("off"), &Value::from("b0")), "{said}");
    assert_eq!(std::fs::read(&cut).expect("an object"), b"short");
}

#[test]
fn a_disk_that_is_gone_is_not_begun_anew() {
    let pair = Pair::new("[off]");
    pair.backups(0..1);
    pair.copy();
    std::fs::rename(pair.path("off"), pair.path("unmounted")).expect("gone");
    let said = pair.copy_in_vain();
    assert!(said["message"].as_str().is_some_and(|message| message.contains("does not hold the repository")), "{said}");
    std::fs::create_dir(pair.path("off")).expect("a mount point");
    let said = pair.copy_in_vain();
    assert!(said["message"].as_str().is_some_and(|message| message.contains("does not hold the repository")), "{said}");
    assert!(pair.off().is_empty());
}
