//! The published schema, judged by check-jsonschema, agrees with `seawall validate`.
//!
//! Whatever validate finds against the form of a file (SW01xx) the schema must refuse, and whatever the schema refuses
//! validate must refuse for its form or its YAML (SW00xx). `docs/policy-schema.md` explains where the two cannot agree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::invalid::{findings, root, samples};

const POLICY: &str = "schemas/policy.schema.json";
const FRAGMENT: &str = "schemas/policy-fragment.schema.json";

/// Files on which the two differ, and why they must.
const DIFFERENT: [(&str, &str); 1] =
    [("tests/invalid/parts/incomplete.yaml", "the schema of a part cannot know what the parts lack together")];

/// Files that check-jsonschema cannot finish, and why.
const BEYOND: [(&str, &str); 1] = [("tests/invalid/alias-of-itself.yaml", "check-jsonschema walks in the circle until its stack ends")];

/// The files that check-jsonschema refuses, for their YAML or by the schema.
fn refused(schema: &str, files: &[String]) -> BTreeSet<String> {
    let python = std::env::var("SEAWALL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(&python);
    command.current_dir(root()).args(["-m", "check_jsonschema", "--schemafile", schema, "-v", "-o", "json"]).args(files);
    let wanted = "set SEAWALL_TEST_PYTHON to a Python in which `pip install check-jsonschema==0.39.0` was run";
    let output = command.output().unwrap_or_else(|error| panic!("`{python}` does not start ({error}): {wanted}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("No module named"), "`{python}` has no check-jsonschema: {wanted}");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("check-jsonschema gave no verdict ({error}):\n{}", said.lines().last().unwrap_or_default()));
    let named = |list: &Value| -> BTreeSet<String> {
        let name = |entry: &Value| entry.as_str().or_else(|| entry["filename"].as_str()).expect("a file's name").to_owned();
        list.as_array().into_iter().flatten().map(name).collect()
    };
    let refused: BTreeSet<String> = named(&report["errors"]).into_iter().chain(named(&report["parse_errors"])).collect();
    // When all is well it lists what was checked, otherwise what was right and what was wrong.
    let accepted = named(&report["checked_paths"]).len() + named(&report["successes"]).len();
    assert_eq!(accepted + refused.len(), files.len(), "not every file has a verdict");
    refused
}

/// Of each file the codes that are about its YAML or its form.
fn codes_of_form(files: &[String]) -> BTreeMap<String, BTreeSet<String>> {
    let mut codes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in findings(files) {
        let code = finding["code"].as_str().expect("a code");
        if code.starts_with("SW00") || code.starts_with("SW01") {
            let file = finding["file"].as_str().expect("a place");
            codes.entry(file.to_owned()).or_default().insert(code.to_owned());
        }
    }
    codes
}

fn yaml_below(directory: &str) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(root().join(&directory)).expect("a directory") {
            let name = format!("{directory}/{}", entry.expect("an entry").file_name().to_string_lossy());
            if root().join(&name).is_dir() {
                open.push(name);
            } else if name.ends_with(".yaml") {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}

/// It extends another file, or is there to be extended.
fn is_part(file: &str) -> bool {
    let bytes = std::fs::read(root().join(file)).expect("a file");
    String::from_utf8_lossy(&bytes).lines().any(|line| line.starts_with("extends:") || line.starts_with("abstract: true"))
}

/// Where the two differ, in words.
fn differences(files: &[String]) -> BTreeMap<String, String> {
    let (parts, policies): (Vec<String>, Vec<String>) = files.iter().cloned().partition(|file| is_part(file));
    let mut refused_by_schema = refused(POLICY, &policies);
    if !parts.is_empty() {
        refused_by_schema.extend(refused(FRAGMENT, &parts));
    }
    let ours = codes_of_form(files);
    let mut differences = BTreeMap::new();
    for file in files {
        let codes = ours.get(file).cloned().unwrap_or_default();
        let of_form = codes.iter().any(|code| code.starts_with("SW01"));
        match refused_by_schema.contains(file) {
            true if codes.is_empty() => differences.insert(file.clone(), "only the schema refuses it".to_owned()),
            false if of_form => differences.insert(file.clone(), format!("only validate refuses it, for {codes:?}")),
            _ => None,
        };
    }
    differences
}

#[test]
fn invalid_policies_are_refused_by_both_or_neither() {
    let mut files = samples();
    files.extend(yaml_below("tests/invalid/parts"));
    files.retain(|file| BEYOND.iter().all(|(beyond, _)| beyond != file));
    let found = differences(&files);
    let unexplained: Vec<_> = found.iter().filter(|(file, _)| DIFFERENT.iter().all(|(known, _)| known != file)).collect();
    assert!(unexplained.is_empty(), "the schema and validate differ on {}: {unexplained:#?}", unexplained.len());
    let idle: Vec<_> = DIFFERENT.iter().filter(|(known, _)| !found.contains_key(*known)).collect();
    assert!(idle.is_empty(), "these are no longer different: {idle:?}");
}

#[test]
fn sound_policies_are_accepted_by_both() {
    let mut files = yaml_below("policies");
    files.extend(yaml_below("tests/systems"));
    assert!(files.len() >= 12, "{files:?}");
    assert_eq!(differences(&files), BTreeMap::new());
    assert_eq!(codes_of_form(&files), BTreeMap::new());
}

#[test]
fn the_examples_in_the_schema_are_accepted_by_both() {
    let schema: Value = serde_json::from_slice(&std::fs::read(root().join(POLICY)).expect("the schema")).expect("JSON");
    let assembler = Assembler { schema: &schema };
    let examples = assembler.around(&schema, &json!({ "version": 1, "policy": "examples" }));
    assert!(examples.len() > 400, "{}", examples.len());
    let parent = tempfile::tempdir().expect("a temporary directory");
    // One of them extends it.
    written(parent.path(), "base", &json!({ "version": 1, "abstract": true }));
    let directory = parent.path().join("policies");
    std::fs::create_dir(&directory).expect("a directory");
    let mut files = vec![written(&directory, "all", &assembler.all_at_top())];
    files.extend(examples.iter().enumerate().map(|(number, example)| written(&directory, &format!("{number:04}"), example)));
    let refused: BTreeMap<_, _> =
        refused(POLICY, &files).into_iter().map(|file| (std::fs::read_to_string(&file).expect("the example"), file)).collect();
    assert!(refused.is_empty(), "the schema refuses its own examples: {refused:#?}");
    let refused: BTreeMap<_, _> =
        codes_of_form(&files).into_iter().map(|(file, codes)| (std::fs::read_to_string(&file).expect("the example"), codes)).collect();
    assert!(refused.is_empty(), "validate refuses examples of the schema: {refused:#?}");
}

/// JSON is YAML too.
fn written(directory: &Path, name: &str, policy: &Value) -> String {
    let path = directory.join(format!("{name}.yaml"));
    std::fs::write(&path, policy.to_string()).expect("a policy");
    path.to_string_lossy().into_owned()
}

/// Makes whole policies of the examples that stand at the keys of the schema.
struct Assembler<'s> {
    schema: &'s Value,
}

impl Assembler<'_> {
    /// The examples of all keys at the top in one policy.
    fn all_at_top(&self) -> Value {
        let properties = self.schema["properties"].as_object().expect("keys").iter();
        // It stands alone and is whole.
        let properties = properties.filter(|(key, _)| !["extends", "abstract"].contains(&key.as_str()));
        properties.map(|(key, property)| (key.clone(), property["examples"][0].clone())).collect()
    }

    /// For every example at or below this schema the instance with that example in its place.
    fn around(&self, schema: &Value, instance: &Value) -> Vec<Value> {
        let schema = self.meant(schema);
        let mut all: Vec<Value> = schema["anyOf"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|choice| self.around(choice, &self.of_kind(choice, instance)))
            .collect();
        let named = schema["patternProperties"].as_object().and_then(|patterns| patterns.values().next());
        if let Some(behind) = named.or_else(|| Some(&schema["additionalProperties"]).filter(|behind| behind.is_object())) {
            // An example of another kind has no name to go on with.
            if let Some((name, value)) = instance.as_object().and_then(|object| object.iter().next()) {
                all.extend(self.around(behind, value).into_iter().map(|value| json!({ name: value })));
            }
        }
        if schema["items"].is_object() {
            let item = self.of_kind(&schema["items"], &instance[0]);
            all.extend(self.around(&schema["items"], &item).into_iter().map(|item| json!([item])));
        }
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let put = |value: Value| {
                let mut whole = self.without_rivals(schema, key, instance);
                whole[key] = value;
                whole
            };
            let examples = property["examples"].as_array().expect("an example at every key");
            all.extend(examples.iter().cloned().map(put));
            for example in examples {
                all.extend(self.around(property, &self.of_kind(property, example)).into_iter().map(put));
            }
        }
        all
    }

    /// The schema behind a reference.
    fn meant<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.map_or(schema, |name| &self.schema["$defs"][name])
    }

    /// The instance where it is of the schema's kind, otherwise what the examples of the keys that must stand make up.
    fn of_kind(&self, schema: &Value, instance: &Value) -> Value {
        let schema = self.meant(schema);
        let fits = match schema["type"].as_str() {
            Some("object") => instance.is_object(),
            Some("array") => instance.is_array(),
            _ => return instance.clone(),
        };
        if fits {
            return instance.clone();
        }
        if schema["type"] == "array" {
            return json!([instance]);
        }
        let chosen = schema["oneOf"][0]["required"][0].as_str();
        let keys = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).chain(chosen);
        keys.map(|key| (key.to_owned(), schema["properties"][key]["examples"][0].clone())).collect()
    }

    /// The instance without the keys that cannot stand beside this one, and with those it needs.
    fn without_rivals(&self, schema: &Value, key: &str, instance: &Value) -> Value {
        let mut whole = instance.clone();
        let rivals: Vec<&str> =
            schema["oneOf"].as_array().into_iter().flatten().filter_map(|choice| choice["required"][0].as_str()).collect();
        if rivals.contains(&key) {
            whole.as_object_mut().expect("an element").retain(|other, _| !rivals.contains(&other.as_str()));
        }
        for needed in schema["dependentRequired"][key].as_array().into_iter().flatten().filter_map(Value::as_str) {
            whole[needed] = schema["properties"][needed]["examples"][0].clone();
        }
        if schema["not"]["required"][0] == *key {
            let other = schema["properties"].as_object().expect("keys").iter().find(|(other, _)| *other != key);
            let (other, property) = other.expect("another key");
            whole[other] = property["examples"][0].clone();
        }
        whole
    }
}
