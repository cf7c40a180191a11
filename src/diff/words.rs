//! How a change is put into words.

use std::fmt;

use serde_json::Value;

pub use crate::plan::words::{counted, joined, plain, quoted};
use crate::retention::{Keep, Tier};
use crate::units::Period;

/// How much one rule of a `keep` keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    Count(u32),
    For(Period),
}

impl Amount {
    /// Less than the other; `None` when a number stands against an age, or it is less on some days and more on others.
    pub fn is_less_than(self, other: Amount) -> Option<bool> {
        match (self, other) {
            (Amount::Count(one), Amount::Count(other)) => Some(one < other),
            (Amount::For(one), Amount::For(other)) => match (one.may_be_shorter(other), other.may_be_shorter(one)) {
                (true, true) => None,
                (shorter, _) => Some(shorter),
            },
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
