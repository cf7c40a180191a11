//! Azure's tiers: set in place, and brought back for good.

use std::process::Command;

use super::rig::{FEBRUARY, JANUARY, MARCH};
use crate::cli::{Run, finish, hermetic};
use crate::expire::rig::{Ground, day, files};
use crate::repository::fixture::SEGMENT;
use crate::servers::azure::{ACCOUNT, Azure, KEY};
use seawall::units::Lsn;

fn run(ground: &Ground, words: &[&str]) -> Run {
    let fixture = &ground.fixture;
    let mut command = hermetic(Command::new(env!("CARGO_BIN_EXE_seawall")), fixture.path());
    command
        .args(words)
        .env("SEAWALL_POLICY", fixture.path().join("policy.yaml"))
        .env("STATE_DIRECTORY", fixture.path().join("state"))
        .env("AZURE_STORAGE_ACCOUNT_KEY", KEY);
    finish(&mut command, b"")
}

fn done(ground: &Ground, words: &[&str]) -> serde_json::Value {
    let run = run(ground, words);
    assert_eq!(run.code, Some(0), "{words:?}\n{}{}", run.stdout, run.stderr);
    serde_json::from_str(&run.stdout).expect("JSON")
}

#[test]
fn months_go_to_the_archive_tier_and_come_back_for_a_restore() {
    let server = Azure::start();
    let mut ground = Ground::keeping("{ last: 7 }");
    ground.add("expire: { brake: 100%, grace: 1s }\n");
    for (id, started, segment) in [("jan", JANUARY, 1), ("feb", FEBRUARY, 2), ("mar", MARCH, 3)] {
        let lsn = |offset: u64| Lsn(segment * SEGMENT + offset);
        ground.fixture.backup(id, &day(started), lsn(40), lsn(500));
        ground.fixture.segment(1, segment);
    }
    let root = ground.fixture.store_path();
    for path in files(&root) {
        let name = path.strip_prefix(&root).expect("below it").to_str().expect("text").to_owned();
        server.put_blob(&name, &std::fs::read(&path).expect("read"));
    }
    let endpoint = format!("http://127.0.0.1:{}/{ACCOUNT}", server.port);
    let store = format!("azure: {{ account: {ACCOUNT}, container: container, endpoint: \"{endpoint}\" }}");
    ground.change(&format!("local: {{ path: {} }}", root.display()), &store);
    ground.change("keep: { last: 7 }", "keep: { last: 1, monthly: { count: 24, storage_class: archive } }");
    let moved = |said: &serde_json::Value| said["moved"].as_array().expect("a list").len();
    let said = done(&ground, &["expire", "--format", "json"]);
    assert_eq!((moved(&said), &said["moved"][0]["storage_class"]), (2, &"archive".into()), "{said}");
    assert_eq!(moved(&done(&ground, &["expire", "--format", "json"])), 0, "it lies there");
    let classes = |id: &str| done(&ground, &["show", id, "--format", "json"])["classes"].clone();
    assert_eq!(classes("jan")["part-00001.tar.zst"], "archive");
    assert_eq!(classes("jan")["part-00001.index.zst"], "hot");
    assert_eq!(classes("mar")["part-00001.tar.zst"], "hot");

    let target = ground.fixture.path().join("data");
    let restore = |words: &[&str]| {
        let target = target.to_str().expect("text");
        let all = ["restore", "--target", target, "--backup", "jan", "--immediate", "--owner", "nobody", "--yes"];
        run(&ground, &[&all[..], words].concat())
    };
    let refused = restore(&[]);
    assert_eq!(refused.code, Some(1), "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains("expedited within 1 hour, standard within 15 hours"), "{}", refused.stderr);
    assert!(!target.join("PG_VERSION").exists());
    let restored = restore(&["--thaw", "2", "--wait"]);
    assert_eq!(restored.code, Some(0), "{}{}", restored.stdout, restored.stderr);
    assert_eq!(std::fs::read(target.join("PG_VERSION")).expect("restored"), b"16\n");
    // It is warm for good now: what was requested to be restored is not put away again as long as it was wanted for.
    assert_eq!(classes("jan")["part-00001.tar.zst"], "hot");
    let said = done(&ground, &["expire", "--format", "json"]);
    assert_eq!(moved(&said), 0, "{said}");
}
