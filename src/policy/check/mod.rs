//! Does a tree have the shape of a policy? Every departure is reported, and what departs is cut out, so that the rest can
//! be read and checked for meaning in the same run. Here the tree is walked; `messages` says what is wrong and what was probably
//! meant, `forms` knows how times, days and quantities are written.

mod forms;
mod messages;

use std::str::FromStr;

use super::finding::{Code, Finding};
use super::path::{PolicyPath, Step};
use super::shape::{Map, Shape, ShapeId, Shapes, Text, written};
use super::source::Place;
use super::yaml::{Entry, Node, Resolved, Scalar, Value};
use crate::units::{Name, clipped};
use forms::{form_fault, padded, quantity_reader};
use messages::{expected, meant_by};

const OLD_BOOLEAN: Code = Code(9);
const SEXAGESIMAL: Code = Code(10);
const WRONG_KIND: Code = Code(102);
const MISSING_KEY: Code = Code(103);
const NONE_OF: Code = Code(104);
const SEVERAL_OF: Code = Code(105);
const OUT_OF_RANGE: Code = Code(107);
const BAD_QUANTITY: Code = Code(108);
const BAD_FORM: Code = Code(109);
const TOO_FEW: Code = Code(110);
const LITERAL_SECRET: Code = Code(111);
const BAD_AMOUNT: Code = Code(201);

/// What came of it.
#[derive(Debug, Default)]
pub struct Checked {
    /// The tree without what departs from the shape; none when nothing is left.
    pub node: Option<Node>,
    pub findings: Vec<Finding>,
    /// What was cut out, so that nobody complains of its absence.
    pub cut: Vec<PolicyPath>,
}

/// Checks a whole policy. A `fragment` may lack keys that another file brings.
pub fn check(root: Node, fragment: bool) -> Checked {
    let shapes = Shapes::of_policy();
    let mut checker = Checker { shapes, fragment, findings: Vec::new(), cut: Vec::new() };
    let node = checker.node(root, shapes.root, &PolicyPath::top());
    Checked { node, findings: checker.findings, cut: checker.cut }
}

struct Checker {
    shapes: &'static Shapes,
    fragment: bool,
    findings: Vec<Finding>,
    cut: Vec<PolicyPath>,
}

impl Checker {
    fn node(&mut self, node: Node, id: ShapeId, path: &PolicyPath) -> Option<Node> {
        let shape = self.shapes.get(id);
        let Node { value, place } = node;
        let kept = match value {
            Value::Null => {
                self.no_value(shape, path);
                None
            }
            Value::Map(entries) => match &shape.map {
                Some(map) => self.map(entries, shape, map, path, &place).map(Value::Map),
                None => self.wrong_kind(Node { value: Value::Map(entries), place: place.clone() }, shape, path),
            },
            Value::List(items) => match &shape.list {
                Some(list) => {
                    if items.len() < list.min {
                        self.findings.push(
                            Finding::error(TOO_FEW, path.clone(), "the list is empty")
                                .at(place.clone())
                                .label("expected at least one item")
                                .hint(self.example_hint(path, shape)),
                        );
                        None
                    } else {
                        let before = self.findings.len();
                        let kept: Vec<Node> =
                            items.into_iter().enumerate().filter_map(|(at, item)| self.node(item, list.item, &path.item(at))).collect();
                        // A list that lost items has no meaning of its own any more: indices would shift.
                        if self.findings.len() > before && kept.len() < list.min { None } else { Some(Value::List(kept)) }
                    }
                }
                None => self.wrong_kind(Node { value: Value::List(items), place: place.clone() }, shape, path),
            },
            Value::Scalar(scalar) => self.scalar(scalar, shape, path, &place).map(Value::Scalar),
        };
        if kept.is_none() {
            self.cut.push(path.clone());
        }
        kept.map(|value| Node { value, place })
    }

    fn map(&mut self, entries: Vec<Entry>, shape: &Shape, map: &Map, path: &PolicyPath, place: &Place) -> Option<Vec<Entry>> {
        let mut sound = true;
        if !self.fragment {
            sound &= self.exactly_one(&entries, map, path, place);
            let lacking = map.required.iter().any(|key| !entries.iter().any(|entry| &entry.key == key));
            let misspelt = if lacking { meant_by(&entries, map) } else { Vec::new() };
            for missing in map.required.iter().filter(|key| !entries.iter().any(|entry| &entry.key == *key)) {
                sound = false;
                // The key that was meant is reported as the unknown one it is.
                if misspelt.contains(&missing.as_str()) {
                    continue;
                }
                let example = map.fields.get(missing).and_then(|field| field.example.as_ref()).map(written).unwrap_or_default();
                let mut finding = Finding::error(MISSING_KEY, path.clone(), format!("`{missing}` is missing"))
                    .on_key()
                    .label(format!("needs `{missing}`"))
                    .hint(format!("Add `{missing}: {example}`."));
                if path.is_top() {
                    finding = finding.at(Place::new(&place.source, place.start, place.start));
                }
                self.findings.push(finding);
            }
            if let Some((_, needed)) = map
                .needs
                .iter()
                .find(|(key, needed)| entries.iter().any(|entry| &entry.key == key) && !entries.iter().any(|entry| &entry.key == needed))
            {
                let example = map.fields.get(needed).and_then(|field| field.example.as_ref()).map(written).unwrap_or_default();
                self.findings.push(
                    Finding::error(MISSING_KEY, path.clone(), format!("`{needed}` is missing"))
                        .on_key()
                        .label(format!("needs `{needed}`"))
                        .hint(format!("Add `{needed}: {example}`.")),
                );
                sound = false;
            }
            if entries.len() < map.min {
                let keys = map.fields.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
                self.findings.push(
                    Finding::error(TOO_FEW, path.clone(), "nothing is said here")
                        .at(place.clone())
                        .label("expected at least one key")
                        .hint(format!("The keys are {keys}.")),
                );
                sound = false;
            }
        }
        let strange = map.rest.is_none() && entries.iter().any(|entry| !map.fields.contains_key(&entry.key));
        // Only known keys: of unknown ones there may be a great many.
        let known = |entry: &&Entry| strange && map.fields.contains_key(&entry.key);
        let present: Vec<String> = entries.iter().filter(known).map(|entry| entry.key.clone()).collect();
        let mut kept = Vec::with_capacity(entries.len());
        for Entry { key, key_place, node } in entries {
            let below = path.key(&key);
            if let Some(field) = map.fields.get(&key) {
                let required = map.required.contains(&key);
                match self.node(node, field.shape, &below) {
                    Some(node) => kept.push(Entry { key, key_place, node }),
                    None => sound &= !required && !map.one_of.contains(&key),
                }
            } else if let Some(rest) = map.rest {
                if map.named
                    && let Err(error) = Name::from_str(&key)
                {
                    self.findings.push(
                        Finding::error(BAD_FORM, below.clone(), error.message)
                            .at(key_place.clone())
                            .on_key()
                            .label("not a name")
                            .hint(error.hint),
                    );
                    self.cut.push(below);
                    continue;
                }
                if let Some(node) = self.node(node, rest, &below) {
                    kept.push(Entry { key, key_place, node });
                }
            } else {
                self.unknown_key(&key, &present, map, path, &key_place);
                // Whatever stands behind it in place of a reference may be the secret.
                if shape.secret
                    && let Some(finding) = self.findings.last_mut()
                {
                    finding.hidden.push(node.place);
                }
                self.cut.push(below);
            }
        }
        sound.then_some(kept)
    }

    fn exactly_one(&mut self, entries: &[Entry], map: &Map, path: &PolicyPath, place: &Place) -> bool {
        if map.one_of.is_empty() {
            return true;
        }
        let found: Vec<&Entry> = entries.iter().filter(|entry| map.one_of.contains(&entry.key)).collect();
        let all = map.one_of.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let only = map.one_of.len() == 1;
        match found.as_slice() {
            [_] => true,
            [] => {
                let first = map.one_of.first().map(String::as_str).unwrap_or_default();
                let example = map.fields.get(first).and_then(|field| field.example.as_ref()).map(written).unwrap_or_default();
                // What was chosen instead is reported as the unknown key it is.
                if entries.iter().all(|entry| map.fields.contains_key(&entry.key)) {
                    let message = if only { format!("{all} is missing") } else { format!("one of {all} is missing") };
                    let mut finding = Finding::error(NONE_OF, path.clone(), message)
                        .on_key()
                        .label(if only { format!("needs {all}") } else { "needs one of them".to_owned() })
                        .hint(format!("Add for example `{first}: {example}`."));
                    if path.steps().last().is_some_and(|step| matches!(step, Step::Item(_))) {
                        finding = finding.at(place.clone());
                    }
                    self.findings.push(finding);
                }
                false
            }
            [first, rest @ ..] => {
                for extra in rest {
                    let mut finding =
                        Finding::error(SEVERAL_OF, path.key(&extra.key), format!("`{}` cannot stand beside `{}`", extra.key, first.key))
                            .at(extra.key_place.clone())
                            .label(format!("only one of {all} may stand here"))
                            .hint("Keep one of them; give the other an entry of its own.")
                            .related(path.key(&first.key), "the other one");
                    finding.related[0].place = Some(first.key_place.clone());
                    self.findings.push(finding);
                }
                false
            }
        }
    }

    fn scalar(&mut self, scalar: Scalar, shape: &Shape, path: &PolicyPath, place: &Place) -> Option<Scalar> {
        if shape.secret {
            self.findings.push(
                Finding::error(LITERAL_SECRET, path.clone(), "a secret must not stand in a policy")
                    .at(place.clone())
                    .masked()
                    .label("expected a reference")
                    .hint("Write where it can be found: `{ env: NAME }`, `{ file: /path }` or `{ credential: name }`. Replace the secret itself: it has been written down."),
            );
            return None;
        }
        match scalar.resolved() {
            Resolved::Bool(_) if shape.boolean => return Some(scalar),
            Resolved::Integer(number) if shape.number.is_some() => {
                #[expect(clippy::cast_precision_loss, reason = "compared with small limits only")]
                let fits = self.in_range(number as f64, &scalar, shape, path, place);
                return fits.then_some(scalar);
            }
            Resolved::Float(number) if shape.number.as_ref().is_some_and(|limits| !limits.integer) => {
                return self.in_range(number, &scalar, shape, path, place).then_some(scalar);
            }
            _ => {}
        }
        if shape.boolean && shape.text.is_none() {
            let hint = match scalar.text.to_lowercase().as_str() {
                "true" | "false" => format!("Take the quotes off: `{}`.", scalar.text.to_lowercase()),
                "yes" | "on" | "y" => "Write `true`.".to_owned(),
                "no" | "off" | "n" => "Write `false`.".to_owned(),
                _ => self.example_hint(path, shape),
            };
            let node = Node { value: Value::Scalar(scalar), place: place.clone() };
            self.findings.push(
                Finding::error(WRONG_KIND, path.clone(), format!("{} cannot stand here", node.kind()))
                    .at(place.clone())
                    .label("expected `true` or `false`")
                    .hint(hint),
            );
            return None;
        }
        let Some(text) = &shape.text else {
            let unquoted = Scalar { text: scalar.text.clone(), plain: true };
            let quoted =
                shape.number.is_some() && !scalar.plain && matches!(unquoted.resolved(), Resolved::Integer(_) | Resolved::Float(_));
            let none = self.wrong_kind(Node { value: Value::Scalar(scalar), place: place.clone() }, shape, path);
            let whole = shape.number.as_ref().is_some_and(|number| number.integer);
            let fits = |resolved| matches!(resolved, Resolved::Integer(_)) || (!whole && matches!(resolved, Resolved::Float(_)));
            if let Some(finding) = self.findings.last_mut().filter(|_| quoted && fits(unquoted.resolved())) {
                finding.hint = Some(format!("Take the quotes off: `{}`.", clipped(&unquoted.text)));
            }
            return none;
        };
        self.text(&scalar, text, shape, path, place).then_some(scalar)
    }

    fn in_range(&mut self, number: f64, scalar: &Scalar, shape: &Shape, path: &PolicyPath, place: &Place) -> bool {
        let Some(limits) = &shape.number else { return true };
        let low = limits.min.is_some_and(|min| number < min);
        let high = limits.max.is_some_and(|max| number > max);
        if low || high || !number.is_finite() {
            let label = match (limits.min, limits.max) {
                (Some(min), Some(max)) if (min - max).abs() < f64::EPSILON => format!("expected {min}"),
                (Some(min), Some(max)) => format!("expected {min} to {max}"),
                (Some(min), None) => format!("expected {min} or more"),
                (None, Some(max)) => format!("expected {max} or less"),
                (None, None) => "expected a number".to_owned(),
            };
            let hint = if path.to_string() == "version" {
                "This seawall reads version 1 of the policy language; a newer one may read more.".to_owned()
            } else {
                self.example_hint(path, shape)
            };
            let message = match path.to_string().as_str() {
                "version" => format!("version {} of the policy language is not known", clipped(&scalar.text)),
                _ => format!("`{}` is out of range", clipped(&scalar.text)),
            };
            self.findings.push(Finding::error(OUT_OF_RANGE, path.clone(), message).at(place.clone()).label(label).hint(hint));
            return false;
        }
        true
    }

    fn text(&mut self, scalar: &Scalar, text: &Text, shape: &Shape, path: &PolicyPath, place: &Place) -> bool {
        if !text.choices.is_empty() {
            return self.choice(scalar, text, path, place);
        }
        let quantity = text.format.as_deref().and_then(quantity_reader);
        if let Some(read) = quantity {
            let Err(error) = read(&scalar.text) else { return true };
            let code = if error.fault.is_of_value() {
                BAD_AMOUNT
            } else if matches!(text.format.as_deref(), Some("name" | "backup-id" | "lsn")) {
                BAD_FORM
            } else {
                BAD_QUANTITY
            };
            let every = path.steps().last().is_some_and(|step| matches!(step, Step::Key(key) if key == "every"));
            let hint = match scalar.text.to_ascii_lowercase().as_str() {
                "day" if every => "Leave `every` out: `at: \"02:00\"` alone means every day.".to_owned(),
                "hour" if every => "Write `every: 1h`.".to_owned(),
                "minute" if every => "Write `every: 1m`.".to_owned(),
                "week" | "month" | "quarter" | "year" if every => {
                    "Name the day instead, for example `on: sunday` or `day: 1, of: month`.".to_owned()
                }
                _ => error.hint,
            };
            self.findings.push(
                Finding::error(code, path.clone(), error.message)
                    .at(place.clone())
                    .label(format!("expected {}", expected(shape)))
                    .hint(hint),
            );
            return false;
        }
        if scalar.is_sexagesimal() && text.format.as_deref() == Some("clock-time") {
            self.findings.push(
                Finding::error(SEXAGESIMAL, path.clone(), format!("`{}` needs quotes", clipped(&scalar.text)))
                    .at(place.clone())
                    .label("some YAML readers take this for a number to the base of 60")
                    .hint(format!("Write \"{}\".", padded(&scalar.text))),
            );
            return false;
        }
        match scalar.resolved() {
            Resolved::Text => {}
            _ => {
                let node = Node { value: Value::Scalar(scalar.clone()), place: place.clone() };
                self.findings.push(
                    Finding::error(WRONG_KIND, path.clone(), format!("{} cannot stand here", node.kind()))
                        .at(place.clone())
                        .label(format!("expected {}", expected(shape)))
                        .hint(format!("Put it in quotes if the text is meant: \"{}\".", clipped(&scalar.text))),
                );
                return false;
            }
        }
        if scalar.is_old_boolean() {
            self.findings.push(
                Finding::error(OLD_BOOLEAN, path.clone(), format!("`{}` needs quotes", scalar.text))
                    .at(place.clone())
                    .label("some YAML readers take this for true or false")
                    .hint(format!("Write \"{}\" if the word is meant.", scalar.text)),
            );
            return false;
        }
        match text.format.as_deref().and_then(|format| form_fault(format, &scalar.text)) {
            Some((code, message, hint)) => {
                self.findings.push(
                    Finding::error(code, path.clone(), message).at(place.clone()).label(format!("expected {}", expected(shape))).hint(hint),
                );
                false
            }
            None => true,
        }
    }
}
