//! YAML text → a tree in which every key and value knows its place.
//!
//! The only module, with `yaml_fault`, that knows the YAML parser. It works with an explicit stack and a budget, so that no input, however
//! nested or however often it refers to itself, takes more than a bounded time and memory.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span};

use super::finding::{Code, Finding};
use super::path::PolicyPath;
use super::source::{Place, Source};
use super::yaml_fault::{is_open_quote, template_words, words};

/// A value of a policy file, and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    pub value: Value,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub enum Value {
    /// A key with nothing behind it, `null` or `~`.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and what stands behind it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub key_place: Place,
    pub node: Node,
}

/// A single value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    pub text: String,
    /// Without quotes: YAML readers may take it for something else than text.
    pub plain: bool,
}

/// What YAML 1.2 takes a plain scalar for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text,
}

impl Scalar {
    /// What it is by the core schema of YAML 1.2.
    pub fn resolved(&self) -> Resolved {
        if !self.plain {
            return Resolved::Text;
        }
        match self.text.as_str() {
            "true" | "True" | "TRUE" => return Resolved::Bool(true),
            "false" | "False" | "FALSE" => return Resolved::Bool(false),
            ".inf" | ".Inf" | ".INF" | "+.inf" => return Resolved::Float(f64::INFINITY),
            "-.inf" => return Resolved::Float(f64::NEG_INFINITY),
            ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
            _ => {}
        }
        let unsigned = self.text.strip_prefix(['-', '+']).unwrap_or(&self.text);
        if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
            return self.text.parse().map_or_else(|_| Resolved::Float(self.text.parse().unwrap_or(f64::INFINITY)), Resolved::Integer);
        }
        for (prefix, radix) in [("0x", 16), ("0o", 8)] {
            if let Some(number) = self
                .text
                .strip_prefix(prefix)
                .filter(|rest| !rest.starts_with(['-', '+']))
                .and_then(|rest| i64::from_str_radix(rest, radix).ok())
            {
                return Resolved::Integer(number);
            }
        }
        let numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && unsigned.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
        match self.text.parse::<f64>() {
            Ok(number) if numeric => Resolved::Float(number),
            _ => Resolved::Text,
        }
    }

    /// Readers of YAML 1.1 take it for true or false.
    pub fn is_old_boolean(&self) -> bool {
        self.plain && ["yes", "no", "on", "off", "y", "n"].iter().any(|word| self.text.eq_ignore_ascii_case(word))
    }

    /// Readers of YAML 1.1 take it for a number to the base of 60 (`03:00` is 180).
    pub fn is_sexagesimal(&self) -> bool {
        let mut parts = self.text.split(':');
        self.plain && self.text.contains(':') && parts.all(|part| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
    }
}

impl Node {
    pub fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }
    /// What it is, for messages.
    pub fn kind(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
            Value::Scalar(scalar) => {
                let shown = crate::units::clipped(&scalar.text);
                match scalar.resolved() {
                    Resolved::Bool(_) => format!("the boolean `{shown}`"),
                    Resolved::Integer(_) | Resolved::Float(_) => format!("the number `{shown}`"),
                    Resolved::Text => format!("the text `{shown}`"),
                }
            }
        }
    }
}

/// Stands for a key that is a list or a map.
pub(super) const UNREADABLE_KEY: &str = "?";

/// Limits on one file.
pub const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 100_000;

const SYNTAX: Code = Code(4);
const LIMIT: Code = Code(5);
const DUPLICATE: Code = Code(6);
const DOCUMENTS: Code = Code(7);
const EMPTY: Code = Code(8);
const ALIAS: Code = Code(11);
const KEY: Code = Code(12);

/// Reads one file. A tree may come back beside findings: what could be read is read on.
pub fn parse(source: &Arc<Source>) -> (Option<Node>, Vec<Finding>) {
    let mut reader = Reader { source, findings: Vec::new(), anchors: HashMap::new(), nodes: 0, read_until: 0 };
    let root = reader.read();
    (root, reader.findings)
}

struct Reader<'s> {
    source: &'s Arc<Source>,
    findings: Vec<Finding>,
    /// The finished node of each anchor, and how many nodes it holds.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    /// Where the last sign stands that was understood.
    read_until: usize,
}

enum Frame {
    List { items: Vec<Node>, anchor: usize, start: Place, nodes_before: usize },
    Map { entries: Vec<Entry>, key: Option<(String, Place)>, anchor: usize, start: Place, nodes_before: usize },
}

impl Reader<'_> {
    fn read(&mut self) -> Option<Node> {
        let text = self.source.text.strip_prefix('\u{feff}').unwrap_or(&self.source.text);
        let shift = self.source.text.len() - text.len();
        let options = granit_parser::options! { flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
        let mut stack: Vec<Frame> = Vec::new();
        let mut root = None;
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    self.syntax_error(&error, shift);
                    return None;
                }
            };
            let place = self.place(&span, shift);
            self.read_until = place.end;
            let finished = match event {
                Event::DocumentStart(..) if root.is_some() => {
                    self.findings.push(
                        Finding::error(DOCUMENTS, PolicyPath::top(), "a second document begins here")
                            .at(place)
                            .label("one file is one policy")
                            .hint("Move it to a file of its own."),
                    );
                    return root;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    if !self.spend(1, &place) {
                        return None;
                    }
                    let plain = style == ScalarStyle::Plain && tag.is_none();
                    let value = if plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL") {
                        Value::Null
                    } else {
                        Value::Scalar(Scalar { text: text.into_owned(), plain })
                    };
                    let node = Node { value, place };
                    if anchor != 0 {
                        self.anchors.insert(anchor, (node.clone(), 1));
                    }
                    Some(node)
                }
                Event::SequenceStart(_, anchor, _) => {
                    if !self.open(&stack, &place) {
                        return None;
                    }
                    stack.push(Frame::List { items: Vec::new(), anchor, start: place, nodes_before: self.nodes });
                    None
                }
                Event::MappingStart(_, anchor, _) => {
                    if !self.open(&stack, &place) {
                        return None;
                    }
                    stack.push(Frame::Map { entries: Vec::new(), key: None, anchor, start: place, nodes_before: self.nodes });
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => stack.pop().map(|frame| self.close(frame, &place)),
                Event::Alias(id) => match self.anchors.get(&id).map(|(node, size)| (node.clone(), *size)) {
                    Some((node, size)) => {
                        if !self.spend(size, &place) {
                            return None;
                        }
                        Some(node)
                    }
                    None => {
                        self.findings.push(
                            Finding::error(ALIAS, PolicyPath::top(), "an alias refers to what it is itself a part of")
                                .at(place)
                                .hint("Write the value out."),
                        );
                        return None;
                    }
                },
                _ => None,
            };
            let Some(node) = finished else { continue };
            match stack.last_mut() {
                None => root = Some(node),
                Some(Frame::List { items, .. }) => items.push(node),
                Some(Frame::Map { entries, key, .. }) => match key.take() {
                    Some((name, key_place)) => entries.push(Entry { key: name, key_place, node }),
                    None => *key = Some(self.key_text(node)),
                },
            }
        }
        if root.as_ref().is_none_or(|node: &Node| matches!(node.value, Value::Null)) {
            let place = Place::new(self.source, 0, 0);
            self.findings.push(
                Finding::error(EMPTY, PolicyPath::top(), "the file is empty")
                    .at(place)
                    .hint("Begin with `version: 1` and `policy: NAME`; the README shows a small one."),
            );
            return None;
        }
        root
    }

    fn place(&self, span: &Span, shift: usize) -> Place {
        let range = span.byte_range().unwrap_or(0..0);
        Place::new(self.source, range.start + shift, range.end + shift)
    }

    /// Counts nodes against the budget, so that aliases of aliases end soon.
    fn spend(&mut self, nodes: usize, place: &Place) -> bool {
        self.nodes = self.nodes.saturating_add(nodes);
        let within = self.nodes <= MAX_NODES;
        if !within {
            self.findings.push(
                Finding::error(LIMIT, PolicyPath::top(), format!("the file has more than {MAX_NODES} values"))
                    .at(place.clone())
                    .hint("Split it into several policies; aliases count each time they are used."),
            );
        }
        within
    }

    fn open(&mut self, stack: &[Frame], place: &Place) -> bool {
        let within = stack.len() < MAX_DEPTH;
        if !within {
            self.too_deep(place.clone());
        }
        within && self.spend(1, place)
    }

    fn too_deep(&mut self, place: Place) {
        self.findings.push(
            Finding::error(LIMIT, PolicyPath::top(), format!("nested more than {MAX_DEPTH} levels deep"))
                .at(place)
                .hint("No policy needs that; look for a bracket that is never closed."),
        );
    }

    fn close(&mut self, frame: Frame, end: &Place) -> Node {
        let (node, anchor, before) = match frame {
            Frame::List { items, anchor, start, nodes_before } => {
                let place = enclosing(&start, items.last().map(|node| &node.place), end);
                (Node { value: Value::List(items), place }, anchor, nodes_before)
            }
            Frame::Map { entries, anchor, start, nodes_before, .. } => {
                let place = enclosing(&start, entries.last().map(|entry| &entry.node.place), end);
                let entries = self.without_duplicates(entries);
                (Node { value: Value::Map(entries), place }, anchor, nodes_before)
            }
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        node
    }

    fn key_text(&mut self, node: Node) -> (String, Place) {
        match node.value {
            Value::Scalar(scalar) => (scalar.text, node.place),
            Value::Null => (String::new(), node.place),
            Value::List(_) | Value::Map(_) => {
                self.findings.push(
                    Finding::error(KEY, PolicyPath::top(), "a key must be a name, not a list or a map")
                        .at(node.place.clone())
                        .hint("Check for braces around it: `{{ name }}` of a template must be replaced before this is read."),
                );
                (UNREADABLE_KEY.into(), node.place)
            }
        }
    }

    /// Keys are unique; `<<` brings in the keys of another map that are not here already.
    fn without_duplicates(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut merged = Vec::new();
        for entry in entries {
            if entry.key == "<<" && matches!(entry.node.value, Value::Map(_) | Value::List(_)) {
                merged.push(entry.node);
                continue;
            }
            if let Some(first) = known.get(&entry.key).map(|at| &kept[*at]) {
                let mut finding =
                    Finding::error(DUPLICATE, PolicyPath::top(), format!("`{}` stands here twice", crate::units::clipped(&entry.key)))
                        .at(entry.key_place.clone())
                        .label("the second one")
                        .hint("Keep one of them: which one counts would depend on the reader.")
                        .related(PolicyPath::top(), "the first one");
                finding.related[0].place = Some(first.key_place.clone());
                self.findings.push(finding);
                continue;
            }
            known.insert(entry.key.clone(), kept.len());
            kept.push(entry);
        }
        for node in merged {
            let maps = match node.value {
                Value::List(items) => items,
                _ => vec![node],
            };
            for entry in maps.into_iter().flat_map(|map| if let Value::Map(entries) = map.value { entries } else { Vec::new() }) {
                if !known.contains_key(&entry.key) {
                    known.insert(entry.key.clone(), kept.len());
                    kept.push(entry);
                }
            }
        }
        kept
    }

    fn syntax_error(&mut self, error: &granit_parser::ScanError, shift: usize) {
        let text = &self.source.text;
        let offset = (error.marker().byte_offset().unwrap_or(text.len()) + shift).min(text.len());
        let place = Place::new(self.source, offset, (offset + 1).min(text.len()));
        if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
            self.too_deep(place);
            return;
        }
        let line_start = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
        let indent = text[line_start..].len() - text[line_start..].trim_start_matches([' ', '\t']).len();
        let tab = text[line_start..line_start + indent].find('\t').map(|at| line_start + at);
        let first_on_line = !text[line_start..place.start].contains(": ");
        let quote = || text.get(self.read_until..)?.find(['"', '\'']).map(|at| self.read_until + at);
        // Whatever the parser makes of it, a tab in the indentation is what has to go.
        let (place, (message, hint)) = match tab {
            Some(at) => (Place::new(self.source, at, at + 1), words(&ErrorKind::TabInIndentation)),
            None if is_open_quote(error.kind()) => {
                let opened = quote().map_or(place, |at| Place::new(self.source, at, at + 1));
                (opened, words(error.kind()))
            }
            None if let Some(colon) = colon_without_space(text, line_start) => {
                (Place::new(self.source, colon, colon + 1), words(&ErrorKind::InvalidMappingValueWhitespace))
            }
            None if text[..place.start].ends_with('$') && text[place.start..].starts_with('{') => (place, template_words()),
            // A line that is indented too far goes on with the text above it.
            None if first_on_line && matches!(error.kind(), ErrorKind::MappingValueNotAllowed) => {
                (Place::new(self.source, line_start + indent, offset), words(&ErrorKind::InvalidIndentation))
            }
            None => (place, words(error.kind())),
        };
        self.findings.push(Finding::error(SYNTAX, PolicyPath::top(), message).at(place).label("not YAML").hint(hint));
    }
}

/// The colon of the line before this one, where that line is one word like `rpo:5m`: the parser objects only to what follows.
fn colon_without_space(text: &str, line_start: usize) -> Option<usize> {
    let before = text[..line_start].trim_end();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let word = before[start..].trim_start().trim_start_matches("- ");
    let (key, value) = word.split_once(':')?;
    let name = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    (name && !value.is_empty() && !value.contains(char::is_whitespace)).then(|| before.len() - value.len() - 1)
}

/// A collection reaches from its first sign to the end of its last value, not into the next line.
fn enclosing(start: &Place, last: Option<&Place>, end: &Place) -> Place {
    let flow = end.end > end.start;
    let stop =
        if flow { end.end } else { last.filter(|place| Arc::ptr_eq(&place.source, &start.source)).map_or(start.end, |place| place.end) };
    Place { source: start.source.clone(), start: start.start, end: stop.max(start.start) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let source = Source::new("tested.yaml", "tested.yaml", text.to_owned());
        let show = |finding: Finding| {
            format!(
                "{} {}",
                finding.place.map_or("", |place| text.get(place.start..place.end).unwrap_or_default()).to_owned(),
                finding.message
            )
        };
        parse(&source).1.into_iter().map(show).collect()
    }

    #[test]
    fn the_line_that_is_wrong_is_named_not_the_one_behind_it() {
        assert_eq!(faults("a:\n  rpo:5m\n  rto: 3h\n"), [": a space is missing behind `:`"]);
        assert_eq!(faults("a:\n  b: 1\n   c: 2\n"), ["c the indentation does not fit"]);
    }

    #[test]
    fn templates_are_recognized() {
        assert_eq!(faults("a: { b: ${NAME} }\n"), ["{ a bracket cannot stand inside a text without quotes"]);
        assert_eq!(faults("a: {{ name }}\n"), ["{ name } a key must be a name, not a list or a map"]);
    }
}
