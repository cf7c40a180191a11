//! What is wrong, what may stand there, and what was probably meant: by other tools' words, by spelling, by place.

use super::{Checker, WRONG_KIND};
use crate::policy::file::ClockTime;
use crate::policy::finding::{Code, Finding};
use crate::policy::path::{PolicyPath, Step};
use crate::policy::shape::{Field, Map, Shape, Text, written};
use crate::policy::source::Place;
use crate::policy::yaml::{Entry, Node, Resolved, Scalar, UNREADABLE_KEY, Value};
use crate::units::{Period, clipped, nearest};

const UNKNOWN_KEY: Code = Code(101);
const UNKNOWN_CHOICE: Code = Code(106);
const NO_VALUE: Code = Code(112);

/// More keys than this help nobody who reads a message.
const MANY_KEYS: usize = 20;
/// From here on nobody reads hints, and what was meant is not looked for.
const MANY_FINDINGS: usize = 500;
/// Nor do more places that a key may belong to.
const MANY_HOMES: usize = 3;

impl Checker {
    pub(super) fn unknown_key(&mut self, key: &str, present: &[String], map: &Map, path: &PolicyPath, place: &Place) {
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

    pub(super) fn no_value(&mut self, shape: &Shape, path: &PolicyPath) {
        let in_list = matches!(path.steps().last(), Some(Step::Item(_)));
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

    pub(super) fn wrong_kind<T>(&mut self, node: Node, shape: &Shape, path: &PolicyPath) -> Option<T> {
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
        let Some(Step::Key(key)) = path.steps().last() else { return None };
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

    pub(super) fn example_hint(&self, path: &PolicyPath, shape: &Shape) -> String {
        let mut example = shape.example.clone();
        let mut key = None;
        if let Some((Step::Key(last), before)) = path.steps().split_last() {
            key = Some(last.clone());
            if let Some(field) = self.field(before, last) {
                example = field.example.as_ref().map(written).or(example);
            }
        }
        match (key, example) {
            (Some(key), Some(example)) => format!("Write for example `{key}: {example}`."),
            (None, Some(example)) => format!("Write for example `{example}`."),
            _ => format!("Expected is {}.", expected(shape)),
        }
    }

    /// The field that a path names, looked up from the top.
    fn field(&self, before: &[Step], last: &str) -> Option<&'static Field> {
        let mut at = self.shapes.root;
        for step in before {
            let shape = self.shapes.get(at);
            at = match step {
                Step::Item(_) => shape.list.as_ref()?.item,
                Step::Key(key) => {
                    let map = shape.map.as_ref()?;
                    map.fields.get(key).map(|field| field.shape).or(map.rest)?
                }
            };
        }
        self.shapes.get(at).map.as_ref()?.fields.get(last)
    }

    pub(super) fn choice(&mut self, scalar: &Scalar, text: &Text, path: &PolicyPath, place: &Place) -> bool {
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
pub(super) fn meant_by<'m>(entries: &[Entry], map: &'m Map) -> Vec<&'m str> {
    let unknown = entries.iter().filter(|entry| !map.fields.contains_key(&entry.key)).take(MANY_KEYS);
    unknown.filter_map(|entry| meant(&entry.key, map)).collect()
}

/// What a shape accepts, in a few words.
pub(super) fn expected(shape: &Shape) -> String {
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
    fn keys_of_secrets_are_told_from_others() {
        assert!(["password", "aws_secret_access_key", "secret-key", "api_token", "access_key_id"].into_iter().all(is_secret_key));
        assert!(!["passwords", "tokens", "keep", "keys", "secretary"].into_iter().any(is_secret_key));
    }
}
