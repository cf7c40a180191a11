//! Schemas: kept in the repository, complete, and true of what is printed.

use std::path::Path;

use serde_json::Value;

use super::{Room, in_repository, sound};

fn schema(name: &str) -> Value {
    serde_json::from_str(&Room::new().run(&["schema", name]).stdout).expect("JSON")
}

fn names() -> Vec<String> {
    Room::new().run(&["schema"]).stdout.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn the_schemas_in_the_repository_are_those_of_the_program() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let room = Room::new();
    for name in names() {
        let kept = std::fs::read_to_string(directory.join(format!("{name}.schema.json"))).unwrap_or_default();
        assert!(
            kept == room.run(&["schema", &name]).stdout,
            "schemas/{name}.schema.json is stale; refresh it with `seawall schema --write schemas`"
        );
    }
    let kept = std::fs::read_dir(&directory).expect("schemas").count();
    assert_eq!(kept, names().len(), "`schemas` holds files that are not schemas of this program");
}

#[test]
fn every_key_of_a_policy_is_described_and_has_an_example() {
    let schema = schema("policy");
    let mut bare = Vec::new();
    walk(&schema, "", &schema, &mut bare, &mut Vec::new());
    assert!(bare.is_empty(), "without a description or an example: {bare:#?}");
}

fn walk<'s>(root: &'s Value, path: &str, at: &'s Value, bare: &mut Vec<String>, seen: &mut Vec<&'s str>) {
    if !at.is_object() {
        return;
    }
    if let Some(reference) = at["$ref"].as_str() {
        if !seen.contains(&reference) {
            seen.push(reference);
            let target = root.pointer(reference.trim_start_matches('#')).expect("a reference leads somewhere");
            walk(root, path, target, bare, seen);
        }
        return;
    }
    for (key, property) in at["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        let described = property["description"].as_str().is_some_and(|text| !text.trim().is_empty());
        let shown = property["examples"].as_array().is_some_and(|examples| !examples.is_empty());
        if !described || !shown {
            bare.push(path.clone());
        }
        walk(root, &path, property, bare, seen);
    }
    for pattern in at["patternProperties"].as_object().into_iter().flatten().map(|(_, behind)| behind) {
        walk(root, &format!("{path}.*"), pattern, bare, seen);
    }
    for below in ["additionalProperties", "items"] {
        walk(root, &format!("{path}.*"), &at[below], bare, seen);
    }
    for choice in ["anyOf", "oneOf", "allOf"].iter().flat_map(|word| at[word].as_array().into_iter().flatten()) {
        walk(root, path, choice, bare, seen);
    }
}

#[test]
fn what_is_printed_follows_its_schema() {
    let room = Room::new()
        .with("a.yaml", sound("a-one"))
        .with("b.yaml", "version: 1\nfoo: 1\nstores: { a: { s3: {} , local: {} } }\n")
        .with("new/a.yaml", sound("a-one").replace("daily: 30", "daily: 7"))
        .with("old/a.yaml", sound("a-one"));
    for (name, arguments) in [
        ("validate-output", &["validate", "--format", "json", "a.yaml", "b.yaml", "missing.yaml"][..]),
        ("policy-output", &["policy", "show", "--format", "json", "a.yaml"]),
        ("plan", &["plan", "--format", "json", "--until", "2200-01-01", "a.yaml", "b.yaml"]),
        ("diff", &["diff", "--format", "json", "old", "new"]),
    ] {
        let printed: Value = serde_json::from_str(&room.run(arguments).stdout).expect("JSON");
        let validator = jsonschema::validator_for(&schema(name)).expect("a schema");
        let faults: Vec<String> = validator.iter_errors(&printed).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
        assert_eq!(printed["format_version"], 1);
    }
}

#[test]
fn a_shown_policy_follows_the_policy_schema() {
    let room = Room::new().with("a.yaml", sound("a-one"));
    let printed: Value = serde_json::from_str(&room.run(&["policy", "show", "--format", "json", "a.yaml"]).stdout).expect("JSON");
    let validator = jsonschema::validator_for(&schema("policy")).expect("a schema");
    let faults: Vec<String> = validator.iter_errors(&printed["policy"]).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn the_output_about_shipped_policies_follows_its_schema() {
    let at = ["--at", "2026-11-21T12:00:00Z"];
    for (name, arguments) in [
        ("plan", &["plan", "--format", "json", "policies"][..]),
        ("plan", &["plan", "--format", "json", "tests/systems"]),
        ("plan", &["plan", "--format", "json", "--until", "2028-02-29", "--inventory", "tests/inventories/pricing-agent.json", "policies"]),
        ("plan", &["plan", "--format", "json", "--inventory", "tests/inventories/pricing-agent-unknown-store.json", "policies"]),
        (
            "diff",
            &[
                "diff",
                "--format",
                "json",
                "--inventory",
                "tests/inventories/pricing-agent.json",
                "tests/systems/pricing-agent.yaml",
                "policies/pricing-agent.yaml",
            ],
        ),
        ("validate-output", &["validate", "--format", "json", "policies", "tests/systems"]),
    ] {
        let run = in_repository(&[arguments, &at[..]].concat());
        let printed: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", run.stderr));
        let validator = jsonschema::validator_for(&schema(name)).expect("a schema");
        let faults: Vec<String> = validator.iter_errors(&printed).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{arguments:?}: {faults:?}");
    }
}
