//! What five teams said, taken at its word, and what Seawall finds in it; and the shipped policies, which are sound.
//!
//! The answers lie beside the policies in `tests/systems`; they are the product's best demonstration.

use serde_json::Value;

use super::cli::{golden_at, in_repository};

/// Reviews, holds and acknowledgements are judged as of this day.
const AT: &str = "2026-11-21";

/// What must be found at least, and where; `tests/systems/README.md` says why it cannot hold.
const FOUND: [(&str, &[(&str, &str)]); 5] = [
    (
        "agent-safe-grid",
        &[
            ("SW0401", "objectives.rpo"),
            ("SW0401", "objectives.scenarios.total-loss.rpo"),
            ("SW0404", "objectives.scenarios.accidental-deletion"),
        ],
    ),
    ("document-management", &[("SW0801", "drills.weekly")]),
    ("insightdesk", &[("SW0216", "")]),
    ("pricing-agent", &[("SW0405", "objectives.reach_back.some_backup")]),
    ("trading", &[("SW0407", "wal.timeout"), ("SW0404", "objectives.scenarios.accidental-deletion"), ("SW0401", "objectives.rpo")]),
];

#[test]
fn what_the_teams_said_is_answered_as_it_was() {
    for (name, findings) in FOUND {
        let file = format!("tests/systems/{name}.yaml");
        let run = in_repository(&["validate", "--color", "never", "--at", AT, &file]);
        assert!(run.stderr.is_empty(), "{run:?}");
        let json: Value = serde_json::from_str(&in_repository(&["validate", "--at", AT, "--format", "json", &file]).stdout).expect("JSON");
        let all: Vec<(&str, &str)> = json["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .map(|finding| (finding["code"].as_str().expect("a code"), finding["path"].as_str().expect("a path")))
            .collect();
        for wanted in findings {
            assert!(all.contains(wanted), "{name}: {wanted:?} is not among {all:?}");
        }
        assert_eq!(run.code, Some(if json["summary"]["sound"] == true { 0 } else { 1 }), "{name}");
        golden_at(&format!("tests/systems/{name}.txt"), &run.stdout);
    }
}

#[test]
fn every_system_is_here() {
    let listed = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/systems")).expect("the systems");
    let names = listed.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"));
    let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned)).collect();
    names.sort();
    assert_eq!(names, FOUND.map(|(name, _)| name));
}

#[test]
fn the_shipped_policies_are_sound() {
    let run = in_repository(&["validate", "--strict", "--color", "never", "--at", AT, "policies"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
    golden_at("tests/systems/shipped.txt", &run.stdout);
}
