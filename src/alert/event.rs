use serde::{Deserialize, Serialize};

use crate::policy::file::{self, Severity};
use crate::units::Instant;

/// Something that happened and is over at once.
///
/// The outcome of a run is one as well: a failure begins the alert `failed:JOB`, a success ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The same event has the same id, however often it is handed in.
    pub id: String,
    pub kind: file::Event,
    pub severity: Severity,
    /// The job, as a path of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    pub at: Instant,
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<(String, String)>,
}

/// Somebody takes care of an alert. It counts for the alert that was firing when it was given, and for no later one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub key: String,
    pub by: String,
    pub at: Instant,
    /// From then on people are reminded again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Event {
    /// A run went wrong.
    pub(super) fn is_failure(&self) -> bool {
        matches!(self.kind, file::Event::Failed | file::Event::DrillFailed)
    }
    /// A run went well.
    pub(super) fn is_success(&self) -> bool {
        matches!(self.kind, file::Event::Succeeded | file::Event::DrillSucceeded)
    }
    /// Only a route that asks for it hears of it.
    pub(super) fn is_on_request(&self) -> bool {
        self.is_success()
    }
}
