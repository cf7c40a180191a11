//! Does a tree have the shape of a policy? Every departure is reported, and what departs is cut out, so that the rest can
//! be read and checked for meaning in the same run.

use std::str::FromStr;

use super::file::{ClockTime, FindingCode, MonthDay, ZoneName};
use super::finding::{Code, Finding};
use super::path::PolicyPath;
use super::shape::{Map, Shape, ShapeId, Shapes, Text};
use super::yaml::{Entry, Node, Resolved, Scalar, UNREADABLE_KEY, Value};
use crate::units::{BackupId, Bytes, Duration, Name, Percent, Period, QuantityError, Rate, clipped, nearest};

const OLD_BOOLEAN: Code = Code(9);
const SEXAGESIMAL: Code = Code(10);
const UNKNOWN_KEY: Code = Code(101);
const WRONG_KIND: Code = Code(102);
const MISSING_KEY: Code = Code(103);
const NONE_OF: Code = Code(104);
const SEVERAL_OF: Code = Code(105);
const UNKNOWN_CHOICE: Code = Code(106);
const OUT_OF_RANGE: Code = Code(107);
const BAD_QUANTITY: Code = Code(108);
const BAD_FORM: Code = Code(109);
const TOO_FEW: Code = Code(110);
const LITERAL_SECRET: Code = Code(111);
const NO_VALUE: Code = Code(112);
const BAD_AMOUNT: Code = Code(201);
const NO_SUCH_DATE: Code = Code(209);

/// More keys than this help nobody who reads a message.
const MANY_KEYS: usize = 20;
/// From here on nobody reads hints, and what was meant is not looked for.
const MANY_FINDINGS: usize = 500;
/// Nor do more places that a key may belong to.
const MANY_HOMES: usize = 3;

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

    fn map(
        &mut self,
        entries: Vec<Entry>,
        shape: &Shape,
        map: &Map,
        path: &PolicyPath,
        place: &super::source::Place,
    ) -> Option<Vec<Entry>> {
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
                let example =
                    map.fields.get(missing).and_then(|field| field.example.as_ref()).map(super::shape::written).unwrap_or_default();
                let mut finding = Finding::error(MISSING_KEY, path.clone(), format!("`{missing}` is missing"))
                    .on_key()
                    .label(format!("needs `{missing}`"))
                    .hint(format!("Add `{missing}: {example}`."));
                if path.is_top() {
                    finding = finding.at(super::source::Place::new(&place.source, place.start, place.start));
                }
                self.findings.push(finding);
            }
            if let Some((_, needed)) = map
                .needs
                .iter()
                .find(|(key, needed)| entries.iter().any(|entry| &entry.key == key) && !entries.iter().any(|entry| &entry.key == needed))
            {
                let example =
                    map.fields.get(needed).and_then(|field| field.example.as_ref()).map(super::shape::written).unwrap_or_default();
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

    fn exactly_one(&mut self, entries: &[Entry], map: &Map, path: &PolicyPath, place: &super::source::Place) -> bool {
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
                let example = map.fields.get(first).and_then(|field| field.example.as_ref()).map(super::shape::written).unwrap_or_default();
                // What was chosen instead is reported as the unknown key it is.
                if entries.iter().all(|entry| map.fields.contains_key(&entry.key)) {
                    let message = if only { format!("{all} is missing") } else { format!("one of {all} is missing") };
                    let mut finding = Finding::error(NONE_OF, path.clone(), message)
                        .on_key()
                        .label(if only { format!("needs {all}") } else { "needs one of them".to_owned() })
                        .hint(format!("Add for example `{first}: {example}`."));
                    if path.steps().last().is_some_and(|step| matches!(step, super::path::Step::Item(_))) {
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

    fn unknown_key(&mut self, key: &str, present: &[String], map: &Map, path: &PolicyPath, place: &super::source::Place) {
        let known: Vec<&str> = map.fields.keys().map(String::as_str).collect();
        let shown = clipped(key);
        let message = format!("`{shown}` is not a known key");
        if self.findings.len() >= MANY_FINDINGS {
            self.findings.push(Finding::error(UNKNOWN_KEY, path.key(key), message).at(place.clone()).on_key());
            return;
        }
        let label = if known.is_empty() {
            "nothing can be set here".to_owned()
        } else if known.len() <= 8 {
            format!("expected {}", known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
        } else {
            "not a key of this element".to_owned()
        };
        let inside: Vec<&str> = map
            .fields
            .iter()
            .filter(|(_, field)| self.shapes.get(field.shape).map.as_ref().is_some_and(|below| below.fields.contains_key(key)))
            .map(|(name, _)| name.as_str())
            .collect();
        let root = self.shapes.get(self.shapes.root).map.as_ref();
        let chosen = map.one_of.iter().any(|key| present.contains(key));
        let meant = meant(key, map);
        if let Some(meant) = meant.filter(|meant| present.iter().all(|key| key != meant)) {
            // It is there under another name: nobody complains of its absence.
            self.cut.push(path.key(meant));
        }
        let bare = key.trim_matches(|c: char| c.is_whitespace() || INVISIBLE.contains(&c));
        let hint = if bare != key
            && !key.trim_matches(' ').is_empty()
            && key.contains(|c| !matches!(c, ' ' | '\t') && (c.is_whitespace() || INVISIBLE.contains(&c)))
        {
            "A space that is none (U+00A0 or the like) stands beside it, pasted from a page perhaps: write ordinary spaces.".to_owned()
        } else if is_secret_key(key) && meant.is_none() {
            "Take it out: a policy holds no secrets. Credentials come from the cloud's usual chain, a profile or `{ env: NAME }`. If this is a real one, replace it: it has been written down.".to_owned()
        } else if path.is_top() && matches!(key, "apiVersion" | "kind" | "metadata" | "spec") {
            match key {
                "metadata" => "Take it out: `policy: NAME` at the top of the file says what it is called.".to_owned(),
                "spec" => "Take it out, and move what stands in it to the top of the file.".to_owned(),
                _ => "Take it out: `version: 1` and `policy: NAME` begin a policy.".to_owned(),
            }
        } else if let Some((first, value)) = glued(key).filter(|(first, _)| meant == Some(*first)) {
            format!("A space is missing behind `:`: write `{first}: {}`.", clipped(value))
        } else if let Some(meant) = meant.filter(|meant| SYNONYMS.contains(&(key, *meant))) {
            format!("Here it is called `{meant}`.")
        } else if let Some(near) = meant {
            format!("Did you mean `{near}`?")
        } else if !map.one_of.is_empty() && !chosen {
            format!("Write one of {}.", map.one_of.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
        } else if path.is_top() && key.starts_with("x-") {
            "There are no keys of one's own: set the anchor (`&name`) where the value is first used, or share it with `extends`.".to_owned()
        } else if map.fields.contains_key("cron") && matches!(key, "daily" | "hourly" | "weekly" | "monthly") {
            let rule = match key {
                "daily" => "at: \"02:00\"",
                "hourly" => "every: 1h",
                "weekly" => "on: sunday, at: \"02:00\"",
                _ => "day: 1, of: month, at: \"02:00\"",
            };
            format!("Write for example `schedule: {{ {rule} }}`.")
        } else if let Some(first) = inside.first().filter(|_| !path.is_top() || inside.len() <= MANY_HOMES) {
            let homes = inside.iter().map(|home| format!("`{home}`")).collect::<Vec<_>>().join(" or ");
            format!("It belongs inside {homes}: `{first}: {{ {shown}: … }}`.")
        } else if !path.is_top() && root.is_some_and(|root| root.fields.contains_key(key)) {
            format!("`{shown}` belongs at the top of the file.")
        } else if known.is_empty() {
            "Write `{}` for an element without settings.".to_owned()
        } else if known.len() > MANY_KEYS {
            "Check the spelling and the indentation; `seawall schema policy` describes every key, in an editor as well.".to_owned()
        } else {
            format!("The keys are {}.", known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
        };
        self.findings.push(Finding::error(UNKNOWN_KEY, path.key(key), message).at(place.clone()).on_key().label(label).hint(hint));
    }

    fn no_value(&mut self, shape: &Shape, path: &PolicyPath) {
        let in_list = matches!(path.steps().last(), Some(super::path::Step::Item(_)));
        let hint = match &shape.map {
            _ if in_list => "Write it behind the `-`, or take the item out.".to_owned(),
            Some(_) if path.steps().len() == 1 && shape.map.as_ref().is_some_and(|map| map.rest.is_none()) => {
                self.example_hint(path, shape)
            }
            Some(map) if map.required.is_empty() && map.one_of.is_empty() && map.min == 0 => {
                "Write `{}` if nothing needs to be set, or take the key out.".to_owned()
            }
            _ => self.example_hint(path, shape),
        };
        self.findings.push(
            Finding::error(NO_VALUE, path.clone(), format!("`{path}` has no value"))
                .on_key()
                .label(format!(
                    "expected {}",
                    if hint.starts_with("Write `{}`") { "a map, `{}` for all defaults".to_owned() } else { expected(shape) }
                ))
                .hint(hint),
        );
    }

    fn wrong_kind<T>(&mut self, node: Node, shape: &Shape, path: &PolicyPath) -> Option<T> {
        // The braces of a template are reported as such.
        if let Value::Map(entries) = &node.value
            && !shape.secret
            && entries.iter().any(|entry| entry.key == UNREADABLE_KEY)
        {
            return None;
        }
        let hint = self.meant_hint(&node, shape, path).unwrap_or_else(|| self.example_hint(path, shape));
        let finding = Finding::error(WRONG_KIND, path.clone(), format!("{} cannot stand here", node.kind()))
            .at(node.place)
            .label(format!("expected {}", expected(shape)))
            .hint(hint);
        self.findings.push(if shape.secret { finding.masked() } else { finding });
        None
    }

    /// What somebody probably meant who wrote something of another kind here.
    fn meant_hint(&self, node: &Node, shape: &Shape, path: &PolicyPath) -> Option<String> {
        let Some(super::path::Step::Key(key)) = path.steps().last() else { return None };
        let Value::Scalar(scalar) = &node.value else { return None };
        let map = shape.map.as_ref()?;
        if key == "keep" && map.fields.contains_key("for") && map.fields.contains_key("last") {
            let count = scalar.text.bytes().all(|b| b.is_ascii_digit()) && !scalar.text.is_empty();
            return match (count, scalar.text.parse::<Period>()) {
                (true, _) => Some(format!(
                    "Write `keep: {{ last: {0} }}` for the newest {0}, `keep: {{ daily: {0} }}` for one of each day.",
                    clipped(&scalar.text)
                )),
                (false, Ok(_)) => Some(format!("Write `keep: {{ for: {} }}`.", clipped(&scalar.text))),
                (false, Err(_)) => None,
            };
        }
        if key == "schedule" && map.fields.contains_key("cron") {
            if scalar.text.starts_with('@') || scalar.text.split_whitespace().count() == 5 {
                return Some(format!("Write `schedule: {{ cron: \"{}\" }}`.", clipped(&scalar.text)));
            }
            if ClockTime::is_of_form(&scalar.text) {
                return Some(format!("Write `schedule: {{ at: \"{}\" }}`.", clipped(&scalar.text)));
            }
        }
        None
    }

    fn example_hint(&self, path: &PolicyPath, shape: &Shape) -> String {
        let mut example = shape.example.clone();
        let mut key = None;
        if let Some((super::path::Step::Key(last), before)) = path.steps().split_last() {
            key = Some(last.clone());
            if let Some(field) = self.field(before, last) {
                example = field.example.as_ref().map(super::shape::written).or(example);
            }
        }
        match (key, example) {
            (Some(key), Some(example)) => format!("Write for example `{key}: {example}`."),
            (None, Some(example)) => format!("Write for example `{example}`."),
            _ => format!("Expected is {}.", expected(shape)),
        }
    }

    /// The field that a path names, looked up from the top.
    fn field(&self, before: &[super::path::Step], last: &str) -> Option<&'static super::shape::Field> {
        let mut at = self.shapes.root;
        for step in before {
            let shape = self.shapes.get(at);
            at = match step {
                super::path::Step::Item(_) => shape.list.as_ref()?.item,
                super::path::Step::Key(key) => {
                    let map = shape.map.as_ref()?;
                    map.fields.get(key).map(|field| field.shape).or(map.rest)?
                }
            };
        }
        self.shapes.get(at).map.as_ref()?.fields.get(last)
    }

    fn scalar(&mut self, scalar: Scalar, shape: &Shape, path: &PolicyPath, place: &super::source::Place) -> Option<Scalar> {
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

    fn in_range(&mut self, number: f64, scalar: &Scalar, shape: &Shape, path: &PolicyPath, place: &super::source::Place) -> bool {
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

    fn text(&mut self, scalar: &Scalar, text: &Text, shape: &Shape, path: &PolicyPath, place: &super::source::Place) -> bool {
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
            let every = path.steps().last().is_some_and(|step| matches!(step, super::path::Step::Key(key) if key == "every"));
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

    fn choice(&mut self, scalar: &Scalar, text: &Text, path: &PolicyPath, place: &super::source::Place) -> bool {
        if text.choices.contains(&scalar.text) && scalar.resolved() == Resolved::Text {
            return true;
        }
        let all = text.choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ");
        let synonym = CHOICES.iter().find(|(word, meant)| *word == scalar.text && text.choices.iter().any(|choice| choice == meant));
        let hint = match nearest(&scalar.text, text.choices.iter().map(String::as_str)) {
            Some(near) => format!("Did you mean `{near}`?"),
            None if synonym.is_some() => format!("Here it is called `{}`.", synonym.map(|(_, meant)| *meant).unwrap_or_default()),
            None => format!("Write one of {all}."),
        };
        self.findings.push(
            Finding::error(UNKNOWN_CHOICE, path.clone(), format!("`{}` is not a choice here", clipped(&scalar.text)))
                .at(place.clone())
                .label(format!("expected {all}"))
                .hint(hint),
        );
        false
    }
}

/// Words that other tools use for what has another name here.
const SYNONYMS: [(&str, &str); 13] = [
    ("retention", "keep"),
    ("retain", "keep"),
    ("when", "schedule"),
    ("when", "at"),
    ("tz", "timezone"),
    ("name", "policy"),
    ("storage", "stores"),
    ("hypertable", "hypertables"),
    ("archive_timeout", "timeout"),
    ("notify", "receivers"),
    ("time", "at"),
    ("day_of_week", "on"),
    ("full", "physical"),
];

/// Signs that nobody sees.
const INVISIBLE: [char; 4] = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{feff}'];

/// Only a secret is called this.
fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    ["password", "passwd", "secret", "secret_key", "secret_access_key", "access_key", "access_key_id", "account_key", "sas_token", "token"]
        .iter()
        .any(|word| key == *word || key.strip_prefix("aws_").is_some_and(|rest| rest == *word) || key.ends_with(&format!("_{word}")))
}

/// Keys that are written alike and mean something else.
const STRANGERS: [(&str, &str); 2] = [("rpo", "rto"), ("rto", "rpo")];

/// Words that other tools use for choices that have another name here.
const CHOICES: [(&str, &str); 10] = [
    ("warn", "warning"),
    ("master", "primary"),
    ("leader", "primary"),
    ("replica", "standby"),
    ("slave", "standby"),
    ("error", "critical"),
    ("success", "succeeded"),
    ("failure", "failed"),
    ("ssl", "implicit"),
    ("plain", "custom"),
];

/// The key of this element that an unknown one probably stands for.
fn meant<'m>(key: &str, map: &'m Map) -> Option<&'m str> {
    // `{ store:main }`: to YAML all of it is the key.
    if let Some((known, _)) = glued(key).and_then(|(first, _)| map.fields.get_key_value(first)) {
        return Some(known);
    }
    let synonym = SYNONYMS.iter().find(|(word, meant)| *word == key && map.fields.contains_key(*meant));
    let known = || map.fields.keys().map(String::as_str).filter(|near| !STRANGERS.contains(&(key, near)));
    match synonym {
        Some((_, meant)) => map.fields.get_key_value(*meant).map(|(meant, _)| meant.as_str()),
        None => nearest(key, known()),
    }
}

/// A key and its value without a space between them.
fn glued(key: &str) -> Option<(&str, &str)> {
    key.split_once(':').filter(|(_, value)| !value.is_empty())
}

/// What the unknown keys of an element probably stand for. Of a great many the first are enough.
fn meant_by<'m>(entries: &[Entry], map: &'m Map) -> Vec<&'m str> {
    let unknown = entries.iter().filter(|entry| !map.fields.contains_key(&entry.key)).take(MANY_KEYS);
    unknown.filter_map(|entry| meant(&entry.key, map)).collect()
}

type Reader = fn(&str) -> Result<(), QuantityError>;

fn quantity_reader(format: &str) -> Option<Reader> {
    fn of<T: FromStr<Err = QuantityError>>(text: &str) -> Result<(), QuantityError> {
        text.parse::<T>().map(drop)
    }
    Some(match format {
        "duration-with-unit" => of::<Duration>,
        "calendar-period" => of::<Period>,
        "size-with-unit" => of::<Bytes>,
        "rate-with-unit" => of::<Rate>,
        "percentage" => of::<Percent>,
        "name" => of::<Name>,
        "backup-id" => of::<BackupId>,
        _ => return None,
    })
}

/// What is wrong with a text of the given written form.
fn form_fault(format: &str, text: &str) -> Option<(Code, String, String)> {
    let shown = clipped(text);
    match format {
        "calendar-date" => {
            let digits = text.len() == 10
                && text.bytes().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
            if !digits {
                return Some((BAD_FORM, format!("`{shown}` is not a day"), "Write year-month-day, for example `2027-03-31`.".into()));
            }
            text.parse::<jiff::civil::Date>()
                .is_err()
                .then(|| (NO_SUCH_DATE, format!("there is no day `{shown}`"), "Check the month and how many days it has.".into()))
        }
        "clock-time" => (!ClockTime::is_of_form(text)).then(|| {
            (
                BAD_FORM,
                format!("`{shown}` is not a time of day"),
                meant_time(text).map_or_else(
                    || "Write hours and minutes from \"00:00\" to \"23:59\", for example \"03:00\".".into(),
                    |time| format!("Write \"{time}\"."),
                ),
            )
        }),
        "month-and-day" => (!MonthDay::is_of_form(text))
            .then(|| (BAD_FORM, format!("`{shown}` is not a day of the year"), "Write month-day, for example `01-15`.".into())),
        "time-zone" => (!ZoneName::is_of_form(text)).then(|| {
            (
                BAD_FORM,
                format!("`{shown}` is not a time zone"),
                "Write a name of the IANA database, for example `Europe/Oslo` or `UTC`.".into(),
            )
        }),
        "finding-code" => (!FindingCode::is_of_form(text)).then(|| {
            (BAD_FORM, format!("`{shown}` is not the code of a finding"), "Write it as messages show it, for example `SW0903`.".into())
        }),
        _ => None,
    }
}

/// The time of day that is written otherwise: `6:00`, `2am`, `24:00`, `02:15:00`, or between quotes that only look like such.
fn meant_time(text: &str) -> Option<String> {
    let bare =
        text.trim_matches(|c: char| c.is_whitespace() || "\u{201c}\u{201d}\u{2018}\u{2019}\u{201e}\"'".contains(c)).to_ascii_lowercase();
    let (digits, later) = match (bare.strip_suffix("am"), bare.strip_suffix("pm")) {
        (Some(digits), _) => (digits.trim_end(), Some(0)),
        (_, Some(digits)) => (digits.trim_end(), Some(12)),
        _ => (bare.as_str(), None),
    };
    let mut parts = digits.split([':', 'h']);
    let (hour, minute) = (parts.next()?, parts.next().filter(|part| !part.is_empty()));
    if minute.is_none() && later.is_none() && !digits.ends_with('h') || parts.any(|seconds| seconds != "00") {
        return None;
    }
    let number = |part: &str| part.parse::<u8>().ok().filter(|_| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit()));
    let (hour, minute) = (number(hour)?, minute.map_or(Some(0), number)?);
    let hour = match later {
        Some(later) => (1..=12).contains(&hour).then_some(hour % 12 + later)?,
        None if hour == 24 && minute == 0 => 0,
        None => hour,
    };
    let time = format!("{hour:02}:{minute:02}");
    ClockTime::is_of_form(&time).then_some(time)
}

fn padded(time: &str) -> String {
    if time.find(':') == Some(1) { format!("0{time}") } else { time.to_owned() }
}

/// What a shape accepts, in a few words.
fn expected(shape: &Shape) -> String {
    if shape.secret {
        return "a reference to a secret".into();
    }
    let mut kinds: Vec<String> = Vec::new();
    if let Some(text) = &shape.text {
        if text.choices.is_empty() {
            kinds.push(
                match text.format.as_deref() {
                    Some("duration-with-unit") => "a duration such as `15m`",
                    Some("calendar-period") => "a period such as `30d`",
                    Some("size-with-unit") => "a size such as `500GB`",
                    Some("rate-with-unit") => "a rate such as `200MB/s`",
                    Some("percentage") => "a percentage such as `80%`",
                    Some("name") => "a name",
                    Some("calendar-date") => "a day such as `2027-03-31`",
                    Some("clock-time") => "a time of day such as \"03:00\"",
                    Some("month-and-day") => "a day of the year such as `01-15`",
                    Some("time-zone") => "a time zone such as `Europe/Oslo`",
                    Some("finding-code") => "a code such as `SW0903`",
                    Some("backup-id") => "a backup's id",
                    _ => "a text",
                }
                .into(),
            );
        } else {
            kinds.push(text.choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", "));
        }
    }
    if let Some(number) = &shape.number {
        kinds.push(if number.integer { "a whole number" } else { "a number" }.into());
    }
    if shape.boolean {
        kinds.push("`true` or `false`".into());
    }
    if shape.list.is_some() {
        kinds.push("a list".into());
    }
    if let Some(map) = &shape.map {
        kinds.push(if map.fields.is_empty() && map.rest.is_none() { "`{}`" } else { "a map" }.into());
    }
    match kinds.split_last() {
        None => "something else".into(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_are_written_otherwise_are_understood() {
        let meant = [
            ("6:00", "06:00"),
            ("2am", "02:00"),
            ("12 am", "00:00"),
            ("12pm", "12:00"),
            ("24:00", "00:00"),
            ("02:15:00", "02:15"),
            ("02h15", "02:15"),
            ("\u{201c}02:15\u{201d}", "02:15"),
        ];
        for (written, time) in meant {
            assert_eq!(meant_time(written).as_deref(), Some(time), "{written}");
        }
        for strange in ["", "2", "13pm", "0am", "25:00", "02:60", "02:15:30", "noon", "\u{201c}\u{201d}", "1:2:3:4", "256:00", "+2:00"] {
            assert_eq!(meant_time(strange), None, "{strange}");
        }
    }

    #[test]
    fn keys_of_secrets_are_told_from_others() {
        assert!(["password", "aws_secret_access_key", "secret-key", "api_token", "access_key_id"].into_iter().all(is_secret_key));
        assert!(!["passwords", "tokens", "keep", "keys", "secretary"].into_iter().any(is_secret_key));
    }
}
