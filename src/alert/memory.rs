//! What was already said, and to whom: all that a judgement has to know of the ones before it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::condition::Condition;
use super::event::{Acknowledgement, Event};
use crate::policy::file::{self, Severity};
use crate::units::{Instant, Name};

/// The version of a memory's JSON.
const VERSION: u32 = 1;

/// What was already said. Written as JSON and read back, it is the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// When it was last judged, by the clock of that time.
    #[serde(default)]
    pub(super) judged: Option<Instant>,
    /// How many alerts have fired. Together with the moment it tells one firing of a key from all others, even when a clock was set
    /// back to the same moment.
    #[serde(default)]
    pub(super) fired: u64,
    #[serde(default)]
    pub(super) alerts: BTreeMap<String, Alert>,
    /// When each key fired within the last hour.
    #[serde(default)]
    pub(super) recent: BTreeMap<String, Vec<Instant>>,
    #[serde(default)]
    pub(super) events: BTreeMap<String, Happened>,
    /// The digest of the policy by which each host last looked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) policies: BTreeMap<String, String>,
}

/// Something that is wrong, from when it was first seen until all have heard that it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alert {
    /// What it was when it was last seen wrong.
    pub last: Last,
    /// When it began, by the clock of that time. This never changes, whatever happens to clocks.
    pub began: Instant,
    /// Since when it has been wrong without a break.
    pub pending: Instant,
    /// When it had lasted long enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired: Option<Instant>,
    #[serde(default)]
    pub number: u64,
    /// It comes and goes, and has gone at this moment: whether it is over is not yet said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Instant>,
    #[serde(default)]
    pub told: BTreeMap<Name, Told>,
    /// Acknowledgements from before are void.
    pub acknowledgeable: Instant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
}

/// What an alert says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Last {
    pub severity: Severity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<file::Event>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Name>,
}

/// What one receiver has heard of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// When it was told of this severity first: what comes later is counted from then.
    pub first: Instant,
    pub last: Instant,
    pub times: u32,
    pub severity: Severity,
}

/// An event that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Happened {
    pub heard: Instant,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub told: BTreeSet<Name>,
    /// Somebody hears of it when a window opens or closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Event>,
}

/// Why a text is no memory.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MemoryError {
    #[error("the memory of alerts has version {0}, and this program knows version {VERSION} at most")]
    OfTheFuture(u64),
    #[error("the memory of alerts cannot be read: {0}")]
    Unreadable(String),
}

impl MemoryError {
    pub fn hint(&self) -> &'static str {
        match self {
            MemoryError::OfTheFuture(_) => "Upgrade seawall on this host to the newest version in use.",
            MemoryError::Unreadable(_) => "Restore the catalog, or remove the memory: alerts that are firing are then told once more.",
        }
    }
}

impl Memory {
    pub fn to_json(&self) -> String {
        let written = serde_json::to_value(self).map(|mut json| {
            if let Some(object) = json.as_object_mut() {
                object.insert("version".into(), VERSION.into());
            }
            json.to_string()
        });
        written.expect("a memory has text keys only")
    }

    pub fn from_json(text: &str) -> Result<Memory, MemoryError> {
        let unreadable = |error: serde_json::Error| MemoryError::Unreadable(error.to_string());
        let json: serde_json::Value = serde_json::from_str(text).map_err(unreadable)?;
        match json.get("version").and_then(serde_json::Value::as_u64) {
            None | Some(0) => Err(MemoryError::Unreadable("it has no version".into())),
            Some(version) if version > u64::from(VERSION) => Err(MemoryError::OfTheFuture(version)),
            Some(_) => serde_json::from_value(json).map_err(unreadable),
        }
    }

    /// Somebody has been told of this, and not yet that it is over.
    pub fn is_firing(&self, key: &str) -> bool {
        self.alerts.get(key).is_some_and(|alert| alert.fired.is_some())
    }

    /// The clock was set back: what was counted goes on from where it was.
    pub(super) fn follow_clock(&mut self, now: Instant) {
        if let Some(judged) = self.judged.filter(|judged| *judged > now) {
            let back = judged.duration_since(now);
            let shift = |instant: &mut Instant| *instant = instant.saturating_sub(back).unwrap_or(Instant::MIN);
            for alert in self.alerts.values_mut() {
                shift(&mut alert.pending);
                shift(&mut alert.acknowledgeable);
                alert.fired.as_mut().map(shift);
                alert.gone.as_mut().map(shift);
                for told in alert.told.values_mut() {
                    shift(&mut told.first);
                    shift(&mut told.last);
                }
            }
            self.recent.values_mut().flatten().for_each(shift);
            self.events.values_mut().for_each(|event| shift(&mut event.heard));
        }
        self.judged = Some(now);
    }
}

impl From<&Condition> for Last {
    fn from(condition: &Condition) -> Self {
        let Condition { severity, event, job, title, text, hint, facts, because, about, .. } = condition.clone();
        Last { severity, event, job, title, text, hint, facts, because, about }
    }
}

impl Alert {
    pub fn is_acknowledged(&self, now: Instant) -> bool {
        self.acknowledged.as_ref().is_some_and(|given| given.until.is_none_or(|until| now < until))
    }
    /// It is wrong now, as far as is known, and has been for long enough.
    pub fn is_burning(&self) -> bool {
        self.fired.is_some() && self.gone.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_understood_is_an_error_and_never_an_empty_memory() {
        for text in ["", "{}", "[]", "null", r#"{"version":0}"#, r#"{"version":1,"alerts":3}"#, r#"{"version":"1"}"#] {
            assert!(matches!(Memory::from_json(text), Err(MemoryError::Unreadable(_))), "{text}");
        }
        let later = Memory::from_json(r#"{"version":2,"alerts":"of another shape"}"#);
        assert_eq!(later, Err(MemoryError::OfTheFuture(2)));
    }

    #[test]
    fn a_memory_of_the_first_version_is_read() {
        let text = r#"{"version":1,"judged":"2026-11-21T02:10:00Z","fired":7,"alerts":{"wal_lag":{
            "last":{"severity":"critical","title":"written data has not been archived for 20m"},
            "began":"2026-11-21T02:00:00Z","pending":"2026-11-21T02:00:00Z","fired":"2026-11-21T02:05:00Z","number":7,
            "told":{"dba":{"first":"2026-11-21T02:05:00Z","last":"2026-11-21T02:05:00Z","times":1,"severity":"critical"}},
            "acknowledgeable":"2026-11-21T02:00:00Z"}}}"#;
        let memory = Memory::from_json(text).expect("a memory");
        assert!(memory.is_firing("wal_lag") && !memory.is_firing("server"));
        assert_eq!(Memory::from_json(&memory.to_json()), Ok(memory));
    }

    #[test]
    fn an_empty_memory_is_written_and_read() {
        assert_eq!(Memory::from_json(&Memory::default().to_json()), Ok(Memory::default()));
    }
}
