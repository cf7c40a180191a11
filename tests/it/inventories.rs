//! Inventories: the samples are what the published schema asks for, and what cannot be is refused in exact words.

use std::path::Path;

use serde_json::Value;

use super::cli::{golden_at, in_repository};

fn files(directory: &str) -> Vec<String> {
    let listed = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).expect("the samples");
    let names = listed.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"));
    let mut files: Vec<String> = names.filter(|name| name.ends_with(".json")).map(|name| format!("{directory}/{name}")).collect();
    files.sort();
    files
}

fn is_valid(validator: &jsonschema::Validator, file: &str) -> Result<(), String> {
    let text = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a sample");
    let json: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    validator.iter_errors(&json).next().map_or(Ok(()), |error| Err(format!("{file}: {error}")))
}

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&in_repository(&["schema", "inventory"]).stdout).expect("JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema")
}

#[test]
fn the_samples_follow_the_published_schema() {
    let schema = schema();
    let samples = files("tests/inventories");
    assert!(samples.len() >= 6, "{samples:?}");
    for sample in samples {
        assert_eq!(is_valid(&schema, &sample), Ok(()));
        let run = in_repository(&["plan", "--at", "2026-11-21T12:10:00Z", "--inventory", &sample, "policies/quickstart.yaml"]);
        assert_eq!(run.code, Some(0), "{run:?}");
    }
}

/// What a schema can say, it says: the rest is about how parts of the file agree.
#[test]
fn the_schema_refuses_what_it_can() {
    let schema = schema();
    let beyond = ["duplicate-ids", "stop-before-start", "two-problems"];
    for sample in files("tests/inventories/bad") {
        let accepted = is_valid(&schema, &sample).is_ok();
        assert_eq!(accepted, beyond.iter().any(|name| sample.ends_with(&format!("/{name}.json"))), "{sample}");
    }
}

#[test]
fn what_cannot_be_is_refused_in_the_words_beside_it() {
    for sample in files("tests/inventories/bad") {
        let words = sample.replace(".json", ".txt");
        for command in [&["plan"][..], &["diff", "policies/quickstart.yaml"]] {
            let arguments: Vec<&str> = command.iter().copied().chain(["policies/quickstart.yaml", "--inventory", &sample]).collect();
            let run = in_repository(&arguments);
            assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{sample}: {run:?}");
            golden_at(&words, &run.stderr);
        }
    }
}

#[test]
fn what_is_not_there_or_no_file_is_refused() {
    for (name, said) in [("tests/inventories/none.json", "no such file"), ("tests/inventories", "it is a directory, not a file")] {
        let run = in_repository(&["plan", "policies/quickstart.yaml", "--inventory", name]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
        assert!(run.stderr.contains(name) && run.stderr.contains(said), "{run:?}");
    }
}
