//! A policy, line by line, each value with the place it comes from.

use serde_json::Value as Json;

use crate::policy::document::Document;
use crate::policy::path::{PolicyPath, Step};
use crate::policy::shape::{ShapeId, Shapes};
use crate::policy::source::Place;
use crate::policy::yaml::{Node, Resolved, Scalar, Value};

/// One line of the policy as it is shown.
#[derive(Debug)]
pub(super) struct Line {
    pub yaml: String,
    /// `file:line` or `default`; none where only a map or a list begins.
    pub origin: Option<String>,
    pub path: PolicyPath,
    /// The value that stands on this line.
    pub value: Option<Json>,
}

impl Line {
    /// Puts the value where it belongs.
    pub(super) fn put(&self, into: &mut Json, value: &Json) {
        let mut at = into;
        for (step, next) in self.path.steps().iter().zip(self.path.steps().iter().skip(1).map(Some).chain([None])) {
            let missing = || match next {
                None => value.clone(),
                Some(Step::Key(_)) => Json::Object(serde_json::Map::new()),
                Some(Step::Item(_)) => Json::Array(Vec::new()),
            };
            at = match (step, at) {
                (Step::Key(key), Json::Object(object)) => object.entry(key.clone()).or_insert_with(missing),
                (Step::Item(index), Json::Array(items)) => {
                    if items.len() <= *index {
                        items.push(missing());
                    }
                    let last = items.len() - 1;
                    &mut items[last.min(*index)]
                }
                // A path leads through maps and lists only.
                (_, at) => at,
            };
        }
    }
}

/// The policy after everything it extends. `extends` itself is done with, and so not shown.
pub(super) fn lines(document: &Document) -> Vec<Line> {
    let shapes = Shapes::of_policy();
    let mut writer = Writer { shapes, lines: Vec::new() };
    if let Some(node) = &document.checked {
        writer.map(node, Some(shapes.root), &PolicyPath::top(), "", None);
    }
    writer.lines
}

struct Writer {
    shapes: &'static Shapes,
    lines: Vec<Line>,
}

impl Writer {
    fn line(&mut self, yaml: String, origin: Option<String>, path: &PolicyPath, value: Option<Json>) {
        self.lines.push(Line { yaml, origin, path: path.clone(), value });
    }

    /// `lead` is what stands before the first key when the map is an item of a list.
    fn map(&mut self, node: &Node, shape: Option<ShapeId>, path: &PolicyPath, indent: &str, mut lead: Option<String>) {
        let map = shape.and_then(|id| self.shapes.get(id).map.as_ref());
        for entry in node.entries().iter().filter(|entry| !(path.is_top() && entry.key == "extends")) {
            let before = lead.take().unwrap_or_else(|| indent.to_owned());
            let below = map.and_then(|map| map.fields.get(&entry.key).map(|field| field.shape).or(map.rest));
            // A key of the language is never mistaken for anything else; what people choose may be.
            let key =
                if map.is_some_and(|map| map.fields.contains_key(&entry.key)) { entry.key.clone() } else { plain_or_quoted(&entry.key) };
            self.value(&format!("{before}{key}:"), &entry.node, below, &path.key(&entry.key), indent, &entry.key_place);
        }
        for (key, field) in map.into_iter().flat_map(|map| &map.fields) {
            let Some(default) = field.default.as_ref().filter(|_| node.get(key).is_none()) else { continue };
            let before = lead.take().unwrap_or_else(|| indent.to_owned());
            let text = match default {
                Json::String(text) => plain_or_quoted(text),
                other => other.to_string(),
            };
            self.line(format!("{before}{key}: {text}"), Some("default".into()), &path.key(key), Some(default.clone()));
        }
    }

    fn value(&mut self, before: &str, node: &Node, shape: Option<ShapeId>, path: &PolicyPath, indent: &str, key: &Place) {
        let deeper = format!("{indent}  ");
        match &node.value {
            Value::Scalar(scalar) => {
                let shape = shape.map(|id| self.shapes.get(id));
                let wants_text = shape.is_some_and(|shape| shape.text.is_some() && shape.number.is_none());
                self.line(
                    format!("{before} {}", scalar_text(scalar)),
                    Some(origin(&node.place)),
                    path,
                    Some(scalar_json(scalar, wants_text)),
                );
            }
            Value::Null => self.line(format!("{before} null"), Some(origin(key)), path, Some(Json::Null)),
            Value::Map(entries) if entries.is_empty() && !self.has_defaults(shape) => {
                self.line(format!("{before} {{}}"), Some(origin(&node.place)), path, Some(Json::Object(serde_json::Map::new())));
            }
            Value::List(items) if items.is_empty() => {
                self.line(format!("{before} []"), Some(origin(&node.place)), path, Some(Json::Array(Vec::new())));
            }
            Value::Map(_) => {
                self.line(before.to_owned(), None, path, None);
                self.map(node, shape, path, &deeper, None);
            }
            Value::List(items) => {
                self.line(before.to_owned(), None, path, None);
                let item_shape = shape.and_then(|id| self.shapes.get(id).list.as_ref()).map(|list| list.item);
                for (at, item) in items.iter().enumerate() {
                    self.item(item, item_shape, &path.item(at), &deeper);
                }
            }
        }
    }

    fn item(&mut self, item: &Node, shape: Option<ShapeId>, path: &PolicyPath, indent: &str) {
        match &item.value {
            Value::Map(entries) if !entries.is_empty() => self.map(item, shape, path, &format!("{indent}  "), Some(format!("{indent}- "))),
            _ => self.value(&format!("{indent}-"), item, shape, path, indent, &item.place),
        }
    }

    fn has_defaults(&self, shape: Option<ShapeId>) -> bool {
        let map = shape.and_then(|id| self.shapes.get(id).map.as_ref());
        map.is_some_and(|map| map.fields.values().any(|field| field.default.is_some()))
    }
}

fn origin(place: &Place) -> String {
    format!("{}:{}", place.source.name, place.start_position().line)
}

/// As it was written, so that every reader takes it for the same; on one line.
fn scalar_text(scalar: &Scalar) -> String {
    let one_line = !scalar.text.chars().any(crate::cli::terminal::is_wild);
    if scalar.plain && one_line && !scalar.text.is_empty() { scalar.text.clone() } else { quoted(&scalar.text) }
}

fn scalar_json(scalar: &Scalar, wants_text: bool) -> Json {
    match scalar.resolved() {
        Resolved::Bool(value) => value.into(),
        Resolved::Integer(value) if !wants_text => value.into(),
        Resolved::Float(value) if !wants_text => serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number),
        _ => scalar.text.clone().into(),
    }
}

fn plain_or_quoted(text: &str) -> String {
    let named = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-/".contains(&b));
    let word = Scalar { text: text.to_owned(), plain: true };
    let other = word.is_old_boolean() || word.resolved() != Resolved::Text || text.eq_ignore_ascii_case("null");
    if named && !other { text.to_owned() } else { quoted(text) }
}

/// In double quotes, with every sign that is not plainly visible written as its number.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02X}", u32::from(c))),
            c if crate::cli::terminal::is_wild(c) => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
