//! The day on which the first store is gone, with a server of its own.

use crate::clusters::{Options, Version};
use crate::restore::rig::Rig;

#[test]
fn a_lost_store_is_answered_by_its_copy_which_then_takes_its_place() {
    let rig = Rig::start(Version::V15, Options::default());
    let (main, off) = (rig.path("store").display().to_string(), rig.path("off").display().to_string());
    rig.change_policy(
        "other_device: false } }",
        &format!("other_device: false }} }}, off: {{ local: {{ path: {off}, other_device: false }} }}"),
    );
    rig.change_policy("wal: { store: local,", "wal: { store: local, copies: [off],");
    rig.change_policy("keep: { daily: 7 }, takes: 1m }", "keep: { daily: 7 }, takes: 1m, store: local, copies: [off] }");
    rig.shell("mkdir off");
    rig.series();
    rig.load(20);
    // A backup by the job, which its copy follows by itself.
    let ran = rig.seawall(&["run", "nightly", "--format", "json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let runs: Vec<String> = ran.json()["policies"][0]["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| format!("{} {}", run["job"], run["outcome"]))
        .collect();
    assert_eq!(runs, [r#""backups.nightly" "succeeded""#, r#""copies.off" "succeeded""#, r#""expire" "succeeded""#], "{}", ran.err);
    rig.load(20);
    rig.archive();
    let (moment, whole) = (rig.after_row(30), rig.hash(30));
    let all = rig.hash(i64::MAX);
    rig.shell("rm -rf store");
    // Nobody says which store: the one that is gone is passed over, and said to be.
    let back = rig.bring_back("back", &["--latest"]);
    assert_eq!(back.hash(), all);
    assert_eq!(back.report["store"].as_str().unwrap_or("off"), "off", "{}", back.report);
    back.remove();
    let at = rig.bring_back("at", &["--store", "off", "--to", &moment]);
    assert_eq!(at.hash(), whole);
    at.remove();
    // The names change places: what was the copy is written to first, and an empty directory gets the copies.
    rig.change_policy(&format!("path: {main},"), "path: /promoted,");
    rig.change_policy(&format!("path: {off},"), &format!("path: {main}-2,"));
    rig.change_policy("path: /promoted,", &format!("path: {off},"));
    rig.shell("mkdir store-2");
    rig.load(20);
    rig.archive();
    let second = rig.backup();
    let copied = rig.seawall(&["copy", "--format", "json"]);
    assert_eq!(copied.code, 0, "{}{}", copied.out, copied.err);
    let store = &crate::cli::follows("copy-output", &copied.out)["stores"][0];
    assert_eq!((&store["complete"], store["backups"].as_array().map(Vec::len)), (&serde_json::json!(true), Some(2)), "{store}");
    let proved = rig.seawall(&["verify", "--store", "off"]);
    assert_eq!(proved.code, 0, "{}{}", proved.out, proved.err);
    let again = rig.bring_back("again", &["--store", "off", "--backup", &second, "--latest"]);
    assert_eq!(again.hash(), rig.hash(i64::MAX));
}
