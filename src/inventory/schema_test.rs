use serde_json::Value;

use super::Inventory;

/// Every key of every structure that the inventory's file has, with its schema.
fn keys<'s>(schema: &'s Value, place: &str, found: &mut Vec<(String, &'s Value)>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        found.extend(properties.iter().map(|(key, value)| (format!("{place}.{key}"), value)));
    }
    if let Some(definitions) = schema.get("$defs").and_then(Value::as_object) {
        for (name, definition) in definitions {
            keys(definition, name, found);
        }
    }
}

#[test]
fn every_key_has_a_description_and_an_example() {
    let schema = schemars::schema_for!(Inventory).to_value();
    let mut found = Vec::new();
    keys(&schema, "Inventory", &mut found);
    assert!(found.len() > 45, "{}", found.len());
    let bare = |value: &Value| value.get("description").is_none() || value.get("examples").is_none();
    // What a measurement's value is depends on what is measured, and is described there.
    let of_any_kind = |place: &str| [".value", ".p50", ".p95"].iter().any(|end| place.ends_with(end));
    let bare: Vec<&String> = found.iter().filter(|(place, value)| bare(value) && !of_any_kind(place)).map(|(place, _)| place).collect();
    assert!(bare.is_empty(), "{bare:?}");
}

#[test]
fn the_examples_are_what_the_schema_asks_for() {
    let schema = schemars::schema_for!(Inventory).to_value();
    let mut found = Vec::new();
    keys(&schema, "Inventory", &mut found);
    for (place, value) in found {
        let mut alone = value.clone();
        alone["$defs"] = schema["$defs"].clone();
        let validator = jsonschema::validator_for(&alone).expect("a schema");
        for example in value["examples"].as_array().into_iter().flatten() {
            assert!(validator.is_valid(example), "{place}: {example}");
        }
    }
}
