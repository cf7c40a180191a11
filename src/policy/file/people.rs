use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Command, Schedule};
use crate::units::{Duration, Name};

/// A person or a team.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// The name.
    #[schemars(example = &"DBA on call")]
    pub name: String,
    /// What they do.
    #[schemars(example = &"restores databases")]
    pub role: Option<String>,
    /// The address.
    #[schemars(example = &"oncall@example.com")]
    pub email: Option<String>,
    /// The telephone number.
    #[schemars(example = &"+47 555 01 234")]
    pub phone: Option<String>,
    /// When and how they can be reached.
    #[schemars(example = &"weekdays 08:00-17:00, otherwise through the pager")]
    pub hours: Option<String>,
}

/// A level of escalation.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationLevel {
    /// Who is called.
    #[schemars(example = &"on-call-dba")]
    pub contact: Name,
    /// How long after the beginning; at once without it.
    #[schemars(example = &"30m")]
    pub after: Option<Duration>,
    /// What they are called for.
    #[schemars(example = &"decides whether to fail over")]
    pub r#for: Option<String>,
}

/// A recurring duty of people.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Duty {
    /// What has to be done.
    #[schemars(example = &"review who can read the bucket")]
    pub what: String,
    /// Who does it.
    #[schemars(example = &"security")]
    pub who: Name,
    /// When it is due. Without it: it is a standing responsibility and nobody is reminded.
    #[schemars(example = serde_json::json!({ "first": "monday", "of": "quarter", "at": "09:00" }))]
    pub schedule: Option<Schedule>,
}

/// Programs to run around recoveries and promotions.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    /// Before anything is overwritten: stop the application.
    #[schemars(example = serde_json::json!({ "run": ["systemctl", "stop", "app"] }))]
    pub before_restore: Option<Command>,
    /// After a recovery was released: run migrations, start the application.
    #[schemars(example = serde_json::json!({ "run": ["systemctl", "start", "app"] }))]
    pub after_restore: Option<Command>,
    /// Fences the old primary, or stops it for a switchover (`SEAWALL_KIND`); `seawall promote` goes on only if it ends with 0.
    #[schemars(example = serde_json::json!({ "run": ["/usr/local/bin/fence-old-primary"] }))]
    pub before_promote: Option<Command>,
    /// After a promotion, once the new primary archives: connection strings, DNS.
    #[schemars(example = serde_json::json!({ "run": ["/usr/local/bin/point-dns-here"] }))]
    pub after_promote: Option<Command>,
}
