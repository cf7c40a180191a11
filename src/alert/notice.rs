use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::file::Severity;
use crate::units::{Instant, Name};

/// A message to one receiver, before it has the form of mail, of Slack or of anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// The same message has the same id, whoever works it out and however often: it is sent once.
    pub id: String,
    /// The policy it speaks of.
    pub policy: Name,
    /// A receiver of that policy.
    pub receiver: Name,
    /// Why it is sent.
    pub kind: NoticeKind,
    /// The worst of what it tells.
    pub severity: Severity,
    /// When that was worked out.
    pub at: Instant,
    /// One line.
    pub subject: String,
    /// What it tells, worst first; more than one thing is a digest.
    pub items: Vec<Item>,
    /// What is sent with it where that is possible: by mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enclosed: Option<Enclosed>,
}

/// A report that goes with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Enclosed {
    /// What the page is called as a file.
    pub file: String,
    /// The page.
    pub html: String,
    /// The same for those who read text.
    pub text: String,
}

/// Why a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// Something became wrong.
    Firing,
    /// It still is, and nobody has acknowledged it.
    Reminder,
    /// Nobody has acknowledged it, so somebody else is told.
    Escalation,
    /// It is right again.
    Resolved,
    /// Something happened that is over at once: a backup succeeded, a hold ends.
    Event,
    /// A sample that somebody asked for.
    Sample,
}

/// One thing that a message tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// What it is about, the same from its beginning to its end: `backup_age:nightly`. Messages about one thing are kept together by it,
    /// and `seawall ack` takes it.
    pub key: String,
    /// How urgent it is.
    pub severity: Severity,
    /// One line: `the newest backup of nightly is 27 h old`.
    pub title: String,
    /// What else is known, in sentences; may be empty.
    pub text: String,
    /// What to do, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The job, as a path of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
    /// Until when, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// Figures, in the order in which they are shown: `("limit", "25h")`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<(String, String)>,
}
