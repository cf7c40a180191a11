use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Pair;

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
