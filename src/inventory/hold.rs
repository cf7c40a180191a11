use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Backup;
use crate::units::{BackupId, Instant, Name};

/// Backups that nobody may delete, whatever their age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// What the hold is called.
    #[schemars(example = &"case-4711")]
    pub name: Name,
    /// Why it exists, for whoever meets it years later.
    #[schemars(example = &"litigation, ask legal@example.com")]
    pub reason: String,
    /// The moment from which it no longer holds. Without one it holds until it is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2029-01-01T00:00:00Z")]
    pub until: Option<Instant>,
    /// Whoever placed it meant it for a while only, as `seawall guard` does: nobody is asked whether it goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(example = true)]
    pub passing: bool,
    /// What it holds.
    #[schemars(example = serde_json::json!({ "jobs": ["nightly"], "from": "2024-01-01T00:00:00Z", "to": "2024-06-30T23:59:59Z" }))]
    pub selects: Selection,
}

/// Which backups a hold is about. All that is given must be true of a backup; a selection that gives nothing selects every backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// These backups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = ["20261121T020000Z-7f3c"])]
    pub backups: Vec<BackupId>,
    /// The backups of these jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = ["nightly"])]
    pub jobs: Vec<Name>,
    /// The backups with one of these labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = ["before-migration-42"])]
    pub labels: Vec<String>,
    /// Backups that ended at this moment or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2024-01-01T00:00:00Z")]
    pub from: Option<Instant>,
    /// Backups that ended at this moment or earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2024-06-30T23:59:59Z")]
    pub to: Option<Instant>,
}

impl Hold {
    pub fn is_active(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Selection {
    pub fn matches(&self, backup: &Backup) -> bool {
        (self.backups.is_empty() || self.backups.contains(&backup.id)) && self.matches_apart_from_ids(backup)
    }

    /// For callers with so many ids that they look them up themselves.
    pub(crate) fn matches_apart_from_ids(&self, backup: &Backup) -> bool {
        let moment = backup.moment();
        (self.jobs.is_empty() || self.jobs.contains(&backup.job))
            && (self.labels.is_empty() || backup.label.as_ref().is_some_and(|label| self.labels.contains(label)))
            && self.from.is_none_or(|from| moment >= from)
            && self.to.is_none_or(|to| moment <= to)
    }
}
