//! The schema in a form that is quick to check against: the same document that is published, read back.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde_json::Value as Json;

/// Which shape among all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShapeId(usize);

/// What a value must look like.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    pub description: String,
    pub example: Option<String>,
    pub text: Option<Text>,
    pub number: Option<Number>,
    pub boolean: bool,
    pub list: Option<List>,
    pub map: Option<Map>,
    /// A secret: it may stand here only by reference.
    pub secret: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Text {
    /// The name of the written form, for which `policy::check` has a reader.
    pub format: Option<String>,
    /// The only texts that are allowed, when there are few.
    pub choices: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Number {
    pub integer: bool,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

#[derive(Debug, Clone)]
pub struct List {
    pub item: ShapeId,
    pub min: usize,
}

#[derive(Debug, Clone, Default)]
pub struct Map {
    /// Keys with a meaning of their own.
    pub fields: BTreeMap<String, Field>,
    /// The shape behind every other key, when people choose the keys.
    pub rest: Option<ShapeId>,
    /// Keys that people choose are names.
    pub named: bool,
    /// Of these exactly one must stand.
    pub one_of: Vec<String>,
    pub required: Vec<String>,
    /// Where the first of two keys stands, the second must stand as well.
    pub needs: Vec<(String, String)>,
    pub min: usize,
}

#[derive(Debug, Clone)]
pub struct Field {
    pub shape: ShapeId,
    pub description: String,
    pub example: Option<Json>,
    pub default: Option<Json>,
}

/// All shapes of a policy.
#[derive(Debug)]
pub struct Shapes {
    shapes: Vec<Shape>,
    pub root: ShapeId,
}

impl Shapes {
    /// The shapes of a whole policy.
    pub fn of_policy() -> &'static Shapes {
        static SHAPES: OnceLock<Shapes> = OnceLock::new();
        SHAPES.get_or_init(|| Shapes::read(&super::schema::policy()))
    }

    pub fn get(&self, id: ShapeId) -> &Shape {
        &self.shapes[id.0]
    }

    fn read(schema: &Json) -> Shapes {
        let mut reader = Reading { schema, shapes: Vec::new(), named: HashMap::new() };
        let root = reader.shape(schema);
        Shapes { shapes: reader.shapes, root }
    }
}

struct Reading<'s> {
    schema: &'s Json,
    shapes: Vec<Shape>,
    named: HashMap<String, ShapeId>,
}

impl Reading<'_> {
    fn reserve(&mut self) -> ShapeId {
        self.shapes.push(Shape::default());
        ShapeId(self.shapes.len() - 1)
    }

    fn shape(&mut self, schema: &Json) -> ShapeId {
        if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
            if let Some(known) = self.named.get(name) {
                return *known;
            }
            let id = self.reserve();
            self.named.insert(name.to_owned(), id);
            let definition = self.schema["$defs"][name].clone();
            self.shapes[id.0] = self.inner(&definition);
            return id;
        }
        let id = self.reserve();
        self.shapes[id.0] = self.inner(schema);
        id
    }

    fn inner(&mut self, schema: &Json) -> Shape {
        if let Some(choices) = schema["anyOf"].as_array() {
            let mut shape = Shape { description: text(&schema["description"]), ..Shape::default() };
            for choice in choices {
                let id = self.shape(choice);
                let Shape { text, number, boolean, list, map, .. } = self.shapes[id.0].clone();
                shape.text = shape.text.or(text);
                shape.number = shape.number.or(number);
                shape.boolean |= boolean;
                shape.list = shape.list.or(list);
                shape.map = shape.map.or(map);
            }
            return shape;
        }
        let mut shape = Shape { description: text(&schema["description"]), secret: schema["x-seawall"] == "secret", ..Shape::default() };
        shape.example = schema["examples"].get(0).map(written);
        let constants: Vec<String> = match (&schema["enum"], &schema["oneOf"]) {
            (Json::Array(all), _) => all.iter().map(text).collect(),
            (_, Json::Array(all)) if all.iter().all(|each| each.get("const").is_some()) => {
                all.iter().map(|each| text(&each["const"])).collect()
            }
            _ => Vec::new(),
        };
        match schema["type"].as_str() {
            _ if !constants.is_empty() => shape.text = Some(Text { choices: constants, ..Text::default() }),
            Some("string") => shape.text = Some(Text { format: schema["format"].as_str().map(str::to_owned), choices: Vec::new() }),
            Some("boolean") => shape.boolean = true,
            Some(kind @ ("integer" | "number")) => {
                shape.number =
                    Some(Number { integer: kind == "integer", min: schema["minimum"].as_f64(), max: schema["maximum"].as_f64() });
            }
            Some("array") => {
                let item = self.shape(&schema["items"]);
                shape.list = Some(List { item, min: size(&schema["minItems"]) });
            }
            Some("object") => shape.map = Some(self.map(schema)),
            _ => {}
        }
        shape
    }

    fn map(&mut self, schema: &Json) -> Map {
        let mut map = Map { min: size(&schema["minProperties"]), ..Map::default() };
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let shape = self.shape(property);
            let field = Field {
                shape,
                description: text(&property["description"]),
                example: property["examples"].get(0).cloned(),
                default: property.get("default").cloned(),
            };
            map.fields.insert(key.clone(), field);
        }
        if let Some((_, behind)) = schema["patternProperties"].as_object().and_then(|patterns| patterns.iter().next()) {
            map.rest = Some(self.shape(behind));
            map.named = true;
        } else if schema["additionalProperties"].is_object() {
            map.rest = Some(self.shape(&schema["additionalProperties"]));
        }
        map.required = schema["required"].as_array().into_iter().flatten().map(text).collect();
        let needs = schema["dependentRequired"].as_object().into_iter().flatten();
        map.needs = needs.flat_map(|(key, all)| all.as_array().into_iter().flatten().map(|needed| (key.clone(), text(needed)))).collect();
        map.one_of = schema["oneOf"].as_array().into_iter().flatten().filter_map(|group| group["required"].get(0)).map(text).collect();
        map
    }
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn size(json: &Json) -> usize {
    json.as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(0)
}

/// An example as one would write it in YAML, on one line.
pub fn written(json: &Json) -> String {
    match json {
        Json::String(text) => {
            let safe = !text.is_empty()
                && text.chars().all(|c| c.is_alphanumeric() || "-_./@= +%".contains(c))
                && text.parse::<f64>().is_err()
                && !text.ends_with(' ')
                && !text.starts_with([' ', '@', '%', '-']);
            if safe { text.clone() } else { format!("{text:?}") }
        }
        Json::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Json::Object(object) if object.is_empty() => "{}".into(),
        Json::Object(object) => {
            format!("{{ {} }}", object.iter().map(|(key, value)| format!("{key}: {}", written(value))).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
