//! What changed, typed, and the sentence for it.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::words::{joined, quoted};
use crate::policy::path::PolicyPath;
use crate::units::Name;

/// What a change is about; changes are shown in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    Stops,
    Loosened,
    Retention,
    Holds,
    Stores,
    Encryption,
    People,
    Drills,
    Timescaledb,
    Starts,
    Moves,
    Tightened,
    Other,
}

impl Group {
    pub fn heading(self) -> &'static str {
        match self {
            Group::Stops => "Stops",
            Group::Loosened => "Loosened",
            Group::Retention => "Retention",
            Group::Holds => "Holds",
            Group::Stores => "Stores",
            Group::Encryption => "Encryption",
            Group::People => "People",
            Group::Drills => "Drills and checks",
            Group::Timescaledb => "TimescaleDB and archives",
            Group::Starts => "Starts",
            Group::Moves => "Moves",
            Group::Tightened => "Tightened",
            Group::Other => "Other settings",
        }
    }
}

/// Which way a promise, a limit or a rule went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Loosened,
    Tightened,
    /// Neither, or nobody can say.
    Changed,
}

/// One rule of a `keep`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RuleChange {
    /// The rule: `daily`, `for`, …
    pub rule: String,
    /// What it was. Absent when there was no such rule.
    pub from: Option<String>,
    /// What it is. Absent when there is no such rule any more.
    pub to: Option<String>,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The policy is new.
    PolicyAdded { policy: Name, does: Vec<String> },
    /// The policy is gone.
    PolicyRemoved { policy: Name },
    /// The policy has another name.
    PolicyRenamed { from: Name, to: Name },
    /// Something is declared that was not.
    Starts {
        path: PolicyPath,
        /// What it does, from the most to the least important.
        does: Vec<String>,
    },
    /// Something is no longer declared.
    Stops {
        path: PolicyPath,
        /// What it did.
        did: Vec<String>,
    },
    /// The same thing has another name.
    Renamed { path: PolicyPath, from: PolicyPath },
    /// It runs at another time.
    Moves { path: PolicyPath, from: Option<String>, to: Option<String> },
    /// A promise or a limit.
    Limit { path: PolicyPath, subject: String, from: Option<String>, to: Option<String>, direction: Direction },
    /// How long the backups of a job stay.
    Retention {
        path: PolicyPath,
        job: Name,
        /// Where, when the job's stores differ in it.
        store: Option<Name>,
        rules: Vec<RuleChange>,
        direction: Direction,
    },
    /// Names that came to a list, and that left it.
    List { path: PolicyPath, added: Vec<String>, removed: Vec<String> },
    /// Someone hears of something, or no longer does.
    Hearing { receiver: String, destination: String, of: String, how: Hearing },
    /// Any other setting.
    Setting { path: PolicyPath, from: Option<String>, to: Option<String> },
}

/// How what someone hears of has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hearing {
    NowHears,
    NoLongerHears,
    /// Only while some window is open or closed.
    OnlyAtTimes,
    Later {
        from: String,
        to: String,
    },
    Sooner {
        from: String,
        to: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = |words: &[String]| if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
        match self {
            Change::PolicyAdded { policy, does } => write!(f, "the policy `{policy}` is new{}", after(does)),
            Change::PolicyRemoved { policy } => write!(f, "the policy `{policy}` is gone"),
            Change::PolicyRenamed { from, to } => write!(f, "the policy `{from}` is renamed to `{to}`"),
            Change::Starts { path, does } => write!(f, "{} starts{}", quoted(path), after(does)),
            Change::Stops { path, did } => write!(f, "{} stops{}", quoted(path), after(did)),
            Change::Renamed { path, from } => write!(f, "{} is renamed to {}", quoted(from), quoted(path)),
            Change::Moves { path, from: Some(from), to: Some(to) } => write!(f, "{} moves from {from} to {to}", quoted(path)),
            Change::Moves { path, from: None, to } => {
                write!(f, "{} now runs by itself: {}", quoted(path), to.as_deref().unwrap_or_default())
            }
            Change::Moves { path, from: Some(from), to: None } => {
                write!(f, "{} no longer runs by itself, only when someone asks; it ran {from}", quoted(path))
            }
            Change::Limit { subject, from, to, direction, .. } => limit(f, subject, from.as_deref(), to.as_deref(), *direction),
            Change::Retention { job, store, rules, direction, .. } => {
                let place = store.as_ref().map(|store| format!(" in `{store}`")).unwrap_or_default();
                let word = match direction {
                    Direction::Loosened => "shortened",
                    Direction::Tightened => "lengthened",
                    Direction::Changed => "changed",
                };
                write!(f, "retention of `backups.{job}`{place} is {word}: ")?;
                for (at, rule) in rules.iter().enumerate() {
                    write!(f, "{}{rule}", if at == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Change::List { path, added, removed } => {
                let names = |names: &[String]| joined(names.iter().map(quoted));
                match (added.as_slice(), removed.as_slice()) {
                    (added, []) => write!(f, "{} gains {}", quoted(path), names(added)),
                    ([], removed) => write!(f, "{} loses {}", quoted(path), names(removed)),
                    (added, removed) => write!(f, "{} gains {} and loses {}", quoted(path), names(added), names(removed)),
                }
            }
            Change::Hearing { receiver, destination, of, how } => {
                let who = format!("{} ({})", quoted(receiver), super::words::plain(destination));
                match how {
                    Hearing::NowHears => write!(f, "{who} now hears of {of}"),
                    Hearing::NoLongerHears => write!(f, "{who} no longer hears of {of}"),
                    Hearing::OnlyAtTimes => write!(f, "{who} hears of {of} only at times"),
                    Hearing::Later { from, to } => write!(f, "{who} hears of {of} later: {to} instead of {from}"),
                    Hearing::Sooner { from, to } => write!(f, "{who} hears of {of} sooner: {to} instead of {from}"),
                }
            }
            Change::Setting { path, from: Some(from), to: Some(to) } => {
                write!(f, "{} changes from {} to {}", quoted(path), quoted(from), quoted(to))
            }
            Change::Setting { path, from: None, to } => {
                write!(f, "{} is set to {}", quoted(path), quoted(to.as_deref().unwrap_or_default()))
            }
            Change::Setting { path, from: Some(from), to: None } => write!(f, "{} is no longer set; it was {}", quoted(path), quoted(from)),
        }
    }
}

fn limit(f: &mut fmt::Formatter<'_>, subject: &str, from: Option<&str>, to: Option<&str>, direction: Direction) -> fmt::Result {
    let word = match direction {
        Direction::Loosened => "loosened",
        Direction::Tightened => "tightened",
        Direction::Changed => "changed",
    };
    match (from, to) {
        (Some(from), Some(to)) => write!(f, "{subject} is {word} from {from} to {to}"),
        (Some(from), None) => write!(f, "{subject} is no longer set; it was {from}"),
        (None, Some(to)) => write!(f, "{subject} is set to {to}"),
        (None, None) => write!(f, "{subject} is {word}"),
    }
}

impl fmt::Display for RuleChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = &self.rule;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "{rule} {from} → {to}"),
            (Some(from), None) => write!(f, "{rule} {from} → none"),
            (None, Some(to)) => write!(f, "{rule} none → {to}"),
            (None, None) => f.write_str(rule),
        }
    }
}
