//! How a change is put into words.

use std::fmt;

use serde_json::Value;

use crate::retention::{Keep, Tier};
use crate::units::Period;

/// How much one rule of a `keep` keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    Count(u32),
    For(Period),
}

impl Amount {
    /// Less than the other; `None` when a number stands against an age and nobody can say.
    pub fn is_less_than(self, other: Amount) -> Option<bool> {
        match (self, other) {
            (Amount::Count(one), Amount::Count(other)) => Some(one < other),
            (Amount::For(one), Amount::For(other)) => Some(one < other),
            _ => None,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Count(count) => write!(f, "{count}"),
            Amount::For(period) => write!(f, "{period}"),
        }
    }
}

/// The rules of a `keep`, by the policy's keys.
pub fn keep_rules(keep: &Keep) -> Vec<(&'static str, Amount)> {
    let tiers = keep.tiers().map(|(kind, tier)| {
        let amount = match tier {
            Tier::Count(count) => Amount::Count(count),
            Tier::For(period) => Amount::For(period),
        };
        (kind.as_str(), amount)
    });
    let last = keep.last.map(|last| ("last", Amount::Count(last)));
    let within = keep.within.map(|period| ("for", Amount::For(period)));
    last.into_iter().chain(within).chain(tiers).collect()
}

/// `kept daily 30, weekly 12`
pub fn keep_words(keep: &Keep) -> String {
    let rules = keep_rules(keep);
    if rules.is_empty() {
        return "kept for ever".into();
    }
    let words: Vec<String> = rules.iter().map(|(rule, amount)| format!("{rule} {amount}")).collect();
    format!("kept {}", words.join(", "))
}

/// `file /run/credentials/pg`: where a secret is, which is no secret.
pub fn secret_words(value: &Value) -> Option<String> {
    let map = value.as_object()?;
    let kinds = ["env", "file", "credential"];
    if map.len() != kinds.len() || !kinds.iter().all(|kind| map.contains_key(*kind)) {
        return None;
    }
    let said = |kind: &&str| map.get(*kind).and_then(Value::as_str).map(|place| format!("{kind} {place}"));
    Some(kinds.iter().filter_map(said).collect::<Vec<_>>().join(", "))
}

/// Somebody's own words between backticks: whatever they are, they stay there.
pub fn quoted(text: impl fmt::Display) -> String {
    let text = plain(text);
    if text.is_empty() { "`\"\"`".into() } else { format!("`{text}`") }
}

/// Somebody's own words, on one line, without a sign that would act on a terminal or end a quotation.
pub fn plain(text: impl fmt::Display) -> String {
    const LIMIT: usize = 400;
    let text = text.to_string();
    let tame = |c: char| match c {
        '`' => '\'',
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control()
            || ('\u{200b}'..='\u{200f}').contains(&c)
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c) =>
        {
            '\u{fffd}'
        }
        c => c,
    };
    let mut shown: String = text.chars().take(LIMIT).map(tame).collect();
    if text.chars().nth(LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

/// `a`, `a and b`, `a, b and c`
pub fn joined(words: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let mut words: Vec<String> = words.into_iter().map(|word| word.to_string()).collect();
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} and {last}", words.join(", ")),
        Some(last) => last,
        None => String::new(),
    }
}

/// `1 backup`, `2 backups`
pub fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}
