use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Size, SystemIdentifier};
use crate::units::{BackupId, Instant, Lsn, Name, Period, StorageClass, Timeline};

/// One backup in one store, as its descriptor tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// What tells this backup from all others, for ever.
    #[schemars(example = &"20261121T020000Z-7f3c")]
    pub id: BackupId,
    /// The job of the policy that made it.
    #[schemars(example = &"nightly")]
    pub job: Name,
    /// What sort of backup it is.
    #[schemars(example = &"full")]
    pub kind: BackupKind,
    /// How it stands: only a complete one can be restored.
    #[schemars(example = &"complete")]
    pub state: BackupState,
    /// The backup that an incremental one builds on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"20261120T020000Z-51aa")]
    pub parent: Option<BackupId>,
    /// When it began.
    #[schemars(example = &"2026-11-21T02:00:00Z")]
    pub started: Instant,
    /// When it ended, well or badly. Absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-11-21T02:41:07Z")]
    pub stopped: Option<Instant>,
    /// Bytes read from the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"500GB")]
    pub size: Option<Size>,
    /// Bytes that lie in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"120GB")]
    pub stored_size: Option<Size>,
    /// A word for people, given to a backup made on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"before-migration-42")]
    pub label: Option<String>,
    /// How long this one backup is kept, instead of by its job's `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "for": "90d" }))]
    pub keep: Option<OwnKeep>,
    /// The cluster it was taken from. Absent where that was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"7301234567890123456")]
    pub system_identifier: Option<SystemIdentifier>,
    /// The timeline it was taken on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 1)]
    pub timeline: Option<Timeline>,
    /// Where in the write-ahead log replay has to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"16/B3000028")]
    pub start_lsn: Option<Lsn>,
    /// Where in the write-ahead log the copy is consistent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"16/B374D848")]
    pub stop_lsn: Option<Lsn>,
    /// The log that makes it consistent was put beside it when it was taken: nothing was archived then, so it leads to its own end and no further.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(example = true)]
    pub carries_log: bool,
    /// When its content was last read back and found right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-11-21T03:10:00Z")]
    pub verified_at: Option<Instant>,
    /// The warmest storage class that any of its data lie in. Absent where nobody looked, and in a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"GLACIER")]
    pub storage_class: Option<StorageClass>,
    /// What a dump of databases or a copy of files has, whatever its job has now. Absent where that was not recorded or could not be opened
    /// here; of the whole cluster and of chosen tables nothing is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "databases": { "names": ["app"], "whole": true } }))]
    pub scope: Option<Scope>,
}

/// What a backup has that is no copy of a whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Scope {
    /// A dump of databases.
    #[schemars(example = serde_json::json!({ "names": ["app", "crm"], "whole": true }))]
    Databases {
        names: Vec<String>,
        /// Nothing of any of them was left out.
        whole: bool,
    },
    /// A copy of files.
    #[schemars(example = serde_json::json!({ "paths": ["/etc/postgresql"], "excluded": ["*.log"] }))]
    Files {
        /// As the policy named them.
        paths: Vec<String>,
        /// Patterns of what was left out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        excluded: Vec<String>,
    },
}

impl Scope {
    /// A backup of this kind and scope has all of a database; none where nobody can say. By the name of none, of whatever is in the cluster.
    pub fn has_all_of(kind: BackupKind, scope: Option<&Scope>, database: &str) -> Option<bool> {
        match (kind, scope) {
            (BackupKind::Full | BackupKind::Incremental, _) => Some(true),
            (BackupKind::Logical, Some(Scope::Databases { names, whole })) => Some(*whole && names.iter().any(|name| name == database)),
            (BackupKind::Logical | BackupKind::Provider, _) => None,
            (BackupKind::Tables | BackupKind::Files, _) => Some(false),
        }
    }
}

/// What sort of backup it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackupKind {
    /// A physical copy of the whole cluster.
    Full,
    /// A physical copy of what changed since its parent.
    Incremental,
    /// A dump of a database.
    Logical,
    /// A dump of chosen tables.
    Tables,
    /// Files beside the database, with its global objects.
    Files,
    /// A managed provider's own backup.
    Provider,
}

impl BackupKind {
    /// A copy of the data directory: of use only with the WAL from its start to its stop, and a base for recovery to any later moment.
    pub const fn is_physical(self) -> bool {
        matches!(self, BackupKind::Full | BackupKind::Incremental)
    }
}

/// How a backup stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackupState {
    /// Its descriptor is written and its last WAL segment is in the store.
    Complete,
    /// It is being taken.
    Running,
    /// It ended without being complete: leftovers.
    Failed,
    /// It was complete; a check found it wrong.
    Damaged,
}

/// How long one backup is kept on its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OwnKeep {
    /// Until this moment.
    #[schemars(example = &"2027-03-31T00:00:00Z")]
    Until(Instant),
    /// For so long after it was complete.
    #[schemars(example = &"90d")]
    For(Period),
}

impl Backup {
    /// When it ended; for one that has not, when it began.
    pub fn moment(&self) -> Instant {
        self.stopped.unwrap_or(self.started)
    }

    /// All of a database is in it; none where nobody can say.
    pub fn has_all_of(&self, database: &str) -> Option<bool> {
        Scope::has_all_of(self.kind, self.scope.as_ref(), database)
    }
}
