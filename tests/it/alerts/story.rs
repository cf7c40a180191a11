//! Reads a story and tells what people were sent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use seawall::alert::{Acknowledgement, Event, Facts, Judged, Memory, Notice, NoticeKind, Seen, conditions, judge};
use seawall::policy::document::Document;
use seawall::policy::model::Policy;
use seawall::policy::resolve::resolve;
use seawall::units::{Duration, Instant};
use serde_json::Value;

const HEAD: &str = "version: 1
policy: shop
encryption: { age: { recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p] }, proven_within: 30d }
smtp: { host: mail.example.com, from: seawall@example.com }
";

pub fn policy_of(body: &str) -> Policy {
    let head: String = match body.contains("\nencryption:") {
        true => HEAD.lines().filter(|line| !line.starts_with("encryption:")).map(|line| format!("{line}\n")).collect(),
        false => HEAD.to_owned(),
    };
    let text = format!("{head}{body}");
    let document = Document::load("story.yaml", Path::new("story.yaml"), &|_| Ok(text.as_bytes().to_vec()));
    let resolved = resolve(&document, jiff::civil::date(2026, 1, 1));
    let said = |finding: &seawall::policy::finding::Finding| format!("{}: {}", finding.path, finding.message);
    let findings: Vec<String> = document.findings.iter().chain(&resolved.findings).map(said).collect();
    resolved.policy.unwrap_or_else(|| panic!("{text}\n{findings:#?}"))
}

struct World {
    policy: Option<Policy>,
    facts: Value,
    events: Vec<Event>,
    acknowledgements: Vec<Acknowledgement>,
    memory: Memory,
    now: Instant,
    /// Every message by id, with the look at which it came up.
    sent: BTreeMap<String, Instant>,
    told: String,
}

pub fn told(story: &str) -> String {
    let mut world = World {
        policy: None,
        facts: serde_json::to_value(Facts::default()).expect("facts"),
        events: Vec::new(),
        acknowledgements: Vec::new(),
        memory: Memory::default(),
        now: Instant::UNIX_EPOCH,
        sent: BTreeMap::new(),
        told: String::new(),
    };
    let mut lines = story.lines();
    while let Some(line) = lines.next() {
        if line == "policy:" {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "end").collect();
            world.policy = Some(policy_of(&(body.join("\n") + "\n")));
        } else if !line.is_empty() && !line.starts_with('#') {
            world.read(line);
        }
    }
    world.told
}

fn instant(text: &str) -> Instant {
    text.parse().unwrap_or_else(|error| panic!("`{text}` is no moment: {error}"))
}

impl World {
    fn read(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "see" => {
                let (path, json) = rest.split_once(" = ").unwrap_or_else(|| panic!("no value: {line}"));
                *place(&mut self.facts, path) = serde_json::from_str(json).unwrap_or_else(|error| panic!("{line}: {error}"));
            }
            "event" => self.events.push(serde_json::from_str(rest).unwrap_or_else(|error| panic!("{line}: {error}"))),
            "ack" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let (key, by, until) = match words.as_slice() {
                    [key, "by", by] => (key, by, None),
                    [key, "by", by, "until", until] => (key, by, Some(instant(until))),
                    _ => panic!("not an acknowledgement: {line}"),
                };
                let (key, by) = ((*key).to_owned(), (*by).to_owned());
                self.acknowledgements.push(Acknowledgement { key, by, at: self.now, until, note: None });
            }
            "restart" => self.memory = Memory::from_json(&self.memory.to_json()).expect("a memory"),
            "look" => {
                let words: Vec<&str> = rest.split(' ').collect();
                match words.as_slice() {
                    [at] => self.look(instant(at), true),
                    [at, "every", step, "until", end] => {
                        let step: Duration = step.parse().expect("a step");
                        let (mut at, end) = (instant(at), instant(end));
                        while at <= end {
                            self.look(at, false);
                            at += step.to_signed();
                        }
                    }
                    _ => panic!("not a look: {line}"),
                }
            }
            _ => panic!("not a line of a story: {line}"),
        }
    }

    fn look(&mut self, now: Instant, always_shown: bool) {
        self.now = now;
        let policy = self.policy.as_ref().expect("a policy");
        let facts: Facts = serde_json::from_value(self.facts.clone()).expect("facts");
        let conditions = conditions(policy, &facts, now);
        let seen = Seen {
            host: "db1",
            conditions: Some(&conditions),
            events: &self.events,
            acknowledgements: &self.acknowledgements,
            failing: &facts.failing,
            digest: Some(&policy.digest),
        };
        let judged = judge(policy, self.memory.clone(), &seen, now);
        let again = judge(policy, judged.memory.clone(), &seen, now);
        assert_eq!(again.notices, [], "judged twice at {now}, it is said twice");
        assert_eq!(again.memory, judged.memory);
        for notice in &judged.notices {
            let earlier = self.sent.insert(notice.id.clone(), now);
            assert_eq!(earlier, None, "an id comes twice: {notice:?}");
        }
        if always_shown || !judged.notices.is_empty() {
            self.show(now, &judged);
        }
        self.memory = judged.memory;
        self.events.clear();
        self.acknowledgements.clear();
    }

    fn show(&mut self, now: Instant, judged: &Judged) {
        writeln!(self.told, "{now}").expect("text");
        for notice in &judged.notices {
            self.told.push_str(&shown(notice));
        }
        for firing in &judged.firing {
            let by = firing.acknowledged_by.as_ref().map(|by| format!(", acknowledged by {by}")).unwrap_or_default();
            let gone = if firing.gone { ", gone for now" } else { "" };
            writeln!(self.told, "  = {} since {}{by}{gone}", firing.key, firing.since).expect("text");
        }
        for unheard in &judged.unheard {
            writeln!(self.told, "  ! nobody heard of {}: {:?}", unheard.key, unheard.why).expect("text");
        }
        self.told.push('\n');
    }
}

fn shown(notice: &Notice) -> String {
    let kind = match notice.kind {
        NoticeKind::Firing => "firing",
        NoticeKind::Reminder => "reminder",
        NoticeKind::Escalation => "escalation",
        NoticeKind::Resolved => "resolved",
        NoticeKind::Event => "event",
        NoticeKind::Sample => "sample",
    };
    let mut text = format!("  {} <- {kind}: {}\n", notice.receiver, notice.subject);
    for item in &notice.items {
        let facts: Vec<String> = item.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let hint = item.hint.as_ref().map(|hint| format!(" > {hint}")).unwrap_or_default();
        text.push_str(&format!("      {}: {} | {}{hint} | {}\n", item.key, item.title, item.text, facts.join(", ")));
    }
    text
}

/// The place in the facts that a path names, made where there is none.
fn place<'v>(facts: &'v mut Value, path: &str) -> &'v mut Value {
    path.split('/').fold(facts, |value, key| {
        if !value.is_object() {
            *value = Value::Object(Default::default());
        }
        value.as_object_mut().expect("an object").entry(key).or_insert(Value::Null)
    })
}
