//! What `seawall watch` saw is there for a plan and a runbook too, with its age.

use super::Rig;

#[test]
fn a_plan_and_a_runbook_go_by_what_was_last_seen() {
    let rig = Rig::new("shop");
    let run = |words: &[&str]| {
        let run = rig.room.run(&[words, &["policies/shop.yaml", "--state", "state"]].concat());
        assert_eq!(run.code, Some(0), "{words:?}: {}{}", run.stdout, run.stderr);
        run.stdout
    };
    assert!(run(&["plan"]).contains("without an inventory"));
    assert!(run(&["emit", "runbook"]).contains("Nobody has looked into the stores for it"));
    // Ten minutes ago.
    let rig = rig.lived("shop");
    let run = |words: &[&str]| rig.room.run(&[words, &["policies/shop.yaml", "--state", "state"]].concat()).stdout;
    let (plan, runbook) = (run(&["plan"]), run(&["emit", "runbook"]));
    let newest = rig.json(&[])["policies"][0]["stores"][0]["newest_backup"].as_str().expect("a moment").to_owned();
    let made = plan.lines().find(|line| line.contains("with what `seawall watch` saw in the stores at ")).expect("where it is from");
    assert!(made.trim_end().ends_with(" before"), "{made}");
    assert!(!plan.contains("no inventory was given"), "{plan}");
    let data: serde_json::Value = serde_json::from_str(&run(&["plan", "--format", "json"])).expect("JSON");
    let observed: seawall::units::Instant = data["plans"][0]["observed_at"].as_str().expect("a moment").parse().expect("a time");
    assert_eq!(rig.now.duration_since(observed).as_secs(), 600, "{data:#}");
    assert!(runbook.contains("before this was written") && runbook.contains(&newest[..10]), "{newest}: {runbook}");
    // What somebody gives goes before it; nothing is known before it was seen.
    let exported = serde_json::json!({ "format_version": 1, "observed_at": "2026-01-01T00:00:00Z", "clusters": {} }).to_string();
    std::fs::write(rig.room.path().join("empty.json"), exported).expect("written");
    assert!(run(&["plan", "--inventory", "empty.json"]).contains("without an inventory"));
    assert!(run(&["plan", "--at", "2026-01-01"]).contains("without an inventory"));
}
