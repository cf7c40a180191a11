//! The published schema, generated from the types of the file.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::Value;

use super::file::PolicyFile;

/// The schema of a whole policy.
pub fn policy() -> Value {
    SchemaSettings::draft2020_12().with_transform(Published).into_generator().into_root_schema_for::<PolicyFile>().to_value()
}

/// The schema of a file that extends another, or that others extend: the same keys, but nothing has to be there.
pub fn fragment() -> Value {
    let mut schema = policy();
    relax(&mut schema);
    schema["title"] = "Seawall policy, a part of one".into();
    schema["required"] = serde_json::json!(["version"]);
    schema
}

/// What schemars writes, made exact: a key that may be absent may not be empty, and descriptions are one line of text.
#[derive(Debug, Clone)]
struct Published;

impl Transform for Published {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|each| each != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".into(), only);
            }
        }
        if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
            choices.retain(|each| each.get("type").is_none_or(|kind| kind != "null"));
            if let [Value::Object(only)] = choices.as_mut_slice() {
                let only = std::mem::take(only);
                object.remove("anyOf");
                for (key, value) in only {
                    object.entry(key).or_insert(value);
                }
            }
        }
        if object.get("default").is_some_and(|value| {
            value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
        }) {
            object.remove("default");
        }
        if object
            .get("format")
            .and_then(Value::as_str)
            .is_some_and(|format| format.starts_with("uint") || format.starts_with("int") || format == "double")
        {
            object.remove("format");
        }
        if let Some(Value::String(text)) = object.get_mut("description") {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
}

fn relax(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let is_element = object.contains_key("properties");
            if is_element {
                object.remove("required");
                object.remove("oneOf");
                object.remove("dependentRequired");
                object.remove("not");
                object.remove("minProperties");
            }
            object.values_mut().for_each(relax);
        }
        Value::Array(items) => items.iter_mut().for_each(relax),
        _ => {}
    }
}
