use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use seawall::execute::expire::{Deed, What};

use super::Pair;
use crate::expire::rig::{day, files, later};

fn let_go(pair: &Pair, store: &str) -> String {
    let mut said = String::new();
    for _ in 0..2 {
        let run = pair.run(&["expire", store]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        said.push_str(&run.stdout);
        sleep(Duration::from_millis(2100));
    }
    said
}

#[test]
fn a_copy_keeps_by_its_own_rule_and_what_it_let_go_does_not_come_back() {
    let pair = Pair::new("{ off: { keep: { last: 2 } } }");
    pair.backups(0..3);
    pair.copy();
    assert_eq!(pair.whole_in_copy(), ["b1", "b2"]);
    pair.backup(3);
    pair.copy();
    assert_eq!(pair.whole_in_copy(), ["b1", "b2", "b3"]);
    let said = let_go(&pair, "off");
    assert_eq!(pair.whole_in_copy(), ["b2", "b3"], "{said}");
    let again = pair.copy();
    assert_eq!(again["bytes"], 0, "{again}");
    assert_eq!(pair.whole_in_copy(), ["b2", "b3"]);
    assert_eq!(pair.ground.there(), ["b0", "b1", "b2", "b3"], "the original keeps by its own");
}

#[test]
fn what_is_held_in_one_store_is_held_in_its_copy() {
    let pair = Pair::new("{ off: { keep: { last: 3 } } }");
    pair.backups(0..3);
    pair.copy();
    let hold = pair.path("store").join(pair.ground.fixture.repository.as_str()).join("holds/case-7.json");
    std::fs::create_dir_all(hold.parent().expect("a folder")).expect("made");
    std::fs::write(&hold, r#"{"name":"case-7","reason":"a court asks","selects":{"backups":["b0"]}}"#).expect("a hold");
    pair.backups(3..6);
    pair.copy();
    let said = let_go(&pair, "off");
    assert_eq!(pair.whole_in_copy(), ["b0", "b3", "b4", "b5"], "{said}");
}

#[test]
fn what_is_being_copied_is_not_deleted_under_the_copier() {
    let mut pair = Pair::new("{ off: { keep: { last: 7 } } }");
    pair.backups(0..2);
    pair.ground.change("keep: { last: 7 }, store", "keep: { last: 1 }, store");
    let run = pair.run(&["expire", "main"]);
    assert!(run.stdout.contains("1 marked"), "{}{}", run.stdout, run.stderr);
    sleep(Duration::from_millis(2100));
    let mut slow = pair.command(&["copy"]);
    slow.env("SEAWALL_TEST_FAULTS", "slow=4KB/s").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = slow.spawn().expect("it starts");
    let pins = pair.path("store").join(pair.ground.fixture.repository.as_str()).join("pins");
    let is_read =
        || std::fs::read_dir(&pins).into_iter().flatten().flatten().any(|pin| pin.file_name().to_string_lossy().starts_with("b0-"));
    let began = Instant::now();
    while !is_read() {
        assert!(began.elapsed() < Duration::from_secs(120) && child.try_wait().expect("its state").is_none(), "b0 is never read");
        sleep(Duration::from_millis(5));
    }
    let run = pair.run(&["expire", "main"]);
    assert!(run.code == Some(0) && pair.ground.there() == ["b0", "b1"], "{}{}", run.stdout, run.stderr);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(pair.whole_in_copy(), ["b0", "b1"]);
    let run = pair.run(&["expire", "main"]);
    assert_eq!(pair.ground.there(), ["b1"], "{}{}", run.stdout, run.stderr);
    // It stays where it is wanted.
    pair.copy();
    assert!(pair.off().keys().any(|name| name.contains("-b0.json")));
}

/// What a copy missed while it was away is missed by nobody once it has gone in the first store.
#[test]
fn what_a_copy_is_to_have_stays_in_the_first_store_until_it_has_it() {
    let mut pair = Pair::new("{ off: { keep: { last: 10 } } }");
    pair.ground.change("keep: { last: 7 }, store", "keep: { last: 1 }, store");
    pair.backup(0);
    pair.copy();
    let away = pair.path("away");
    std::fs::rename(pair.path("off"), &away).expect("it is away");
    pair.backups(1..3);
    let said = let_go(&pair, "main");
    // Of the first one, too, nobody can tell now whether it lies there.
    assert_eq!(pair.ground.there(), ["b0", "b1", "b2"], "{said}");
    let plan = pair.run(&["expire", "main", "--plan"]);
    let waits = |said: &str, id: &str| said.lines().any(|line| line.contains(id) && line.contains("`off` is to have a copy first"));
    assert!(plan.code == Some(0) && waits(&plan.stdout, "b0") && waits(&plan.stdout, "b1"), "{}{}", plan.stdout, plan.stderr);
    std::fs::rename(&away, pair.path("off")).expect("it is back");
    // One that lost an object has no backup to rely on.
    let data = pair.path("off").join(pair.ground.fixture.repository.as_str()).join("data/b0");
    let lost = files(&data).pop().expect("an object");
    let kept = std::fs::read(&lost).expect("read");
    std::fs::remove_file(&lost).expect("lost");
    let said = let_go(&pair, "main");
    assert_eq!(pair.ground.there(), ["b0", "b1", "b2"], "{said}");
    std::fs::write(&lost, kept).expect("back");
    let said = let_go(&pair, "main");
    assert_eq!(pair.ground.there(), ["b1", "b2"], "{said}");
    assert!(waits(&said, "b1") && said.contains("until the policy copies no such backup of `nightly` to `off`"), "{said}");
    pair.copy();
    assert!(["-b0.json", "-b1.json", "-b2.json"].iter().all(|end| pair.off().keys().any(|name| name.ends_with(end))));
    let said = let_go(&pair, "main");
    assert_eq!(pair.ground.there(), ["b2"], "{said}");
}

#[test]
fn what_no_copy_would_keep_waits_for_none() {
    let mut pair = Pair::new("{ off: { keep: { last: 2 } } }");
    pair.ground.change("keep: { last: 7 }, store", "keep: { last: 1 }, store");
    pair.backup(0);
    pair.copy();
    std::fs::rename(pair.path("off"), pair.path("away")).expect("it is away");
    pair.backups(1..4);
    let said = let_go(&pair, "main");
    assert_eq!(pair.ground.there(), ["b2", "b3"], "{said}");
    // Somebody lets it go on purpose, and sees before what that means.
    let before = std::fs::read_to_string(pair.path("policy.yaml")).expect("a policy");
    pair.ground.change(", copies: { off: { keep: { last: 2 } } }", "");
    std::fs::write(pair.path("before.yaml"), before).expect("written");
    let export = pair.run(&["inventory", "export"]);
    std::fs::write(pair.path("inventory.json"), &export.stdout).expect("written");
    let (before, inventory) = (pair.path("before.yaml"), pair.path("inventory.json"));
    let (before, inventory) = (before.to_str().expect("text"), inventory.to_str().expect("text"));
    let after = pair.path("policy.yaml");
    let diff = pair.run(&["diff", before, after.to_str().expect("text"), "--inventory", inventory]);
    assert!(diff.stdout.contains("b2") && diff.stdout.contains("SW0903"), "{}{}{}", export.stderr, diff.stdout, diff.stderr);
    let said = let_go(&pair, "main");
    assert_eq!(pair.ground.there(), ["b3"], "{said}");
}

/// The copy keeps the weeks, and answers for the window by a base of its own, which is older.
#[test]
fn log_that_a_copy_is_to_have_stays_in_the_first_store_until_it_has_it() {
    let mut pair = Pair::new("{ off: { only: weekly, keep: { weekly: 8 } } }");
    pair.ground.change("keep: { last: 7 }, store", "keep: { last: 2 }, store");
    pair.ground.change("keep: 1d }", "keep: 2d }");
    pair.ground.change("timeout: 60s,", "copies: [off], timeout: 60s,");
    pair.backup(0);
    pair.copy();
    // A segment a day; those of the 6th (a Monday) and after lie in the first store alone.
    pair.backups(1..10);
    let noon = |day_of: i64| later(&day(day_of), 10);
    for hours in [0, 1, 2, 3] {
        let run = pair.ground.expire(&later(&noon(9), hours));
        assert!(run.failed.is_empty(), "{run:?}");
    }
    let run = pair.ground.expire(&later(&noon(9), 4));
    // What the window here begins with, and the week's.
    assert_eq!(pair.ground.there(), ["b5", "b7", "b8", "b9"], "{run:?}");
    // The first night's log is that of its backup in the copy; nobody but the copy wants the seventh segment.
    assert_eq!(pair.ground.segments(1), [1, 6, 7, 8, 9, 10].into(), "{run:?}");
    let waits = |deed: &Deed| matches!(deed.what, What::Log { .. }) && deed.reason.contains("`off` is to have a copy first");
    assert!(run.waiting.iter().any(waits), "{run:?}");
    pair.copy();
    for hours in [5, 6, 7, 8] {
        pair.ground.expire(&later(&noon(9), hours));
    }
    assert_eq!(pair.ground.there(), ["b7", "b8", "b9"]);
    assert_eq!(pair.ground.segments(1), [1, 6, 8, 9, 10].into());
}
