//! What differs, as people and programs read it: `tests/timescale` holds a policy, what its databases said, and what is shown.

use crate::cli::{golden_at, in_repository};

fn drift(format: &str) -> String {
    let arguments =
        ["plan", "tests/timescale/policy.yaml", "--inventory", "tests/timescale/inventory.json", "--at", "2026-11-21T12:00:00Z"];
    let run = in_repository(&[&arguments[..], &["--format", format]].concat());
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    run.stdout
}

#[test]
fn differences_read_as_they_did() {
    let text = drift("human");
    let from = text.find("Databases of").expect("the databases");
    let to = text.find("\nwarning[").unwrap_or(text.len());
    golden_at("tests/timescale/drift.txt", &text[from..to]);
    let text = drift("markdown");
    let from = text.find("**Databases of").expect("the databases");
    golden_at("tests/timescale/drift.md", &text[from..]);
    let json: serde_json::Value = serde_json::from_str(&drift("json")).expect("JSON");
    let json = serde_json::to_string_pretty(&json["plans"][0]["databases"]).expect("JSON");
    golden_at("tests/timescale/drift.json", &(json + "\n"));
}
