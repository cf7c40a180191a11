//! What a change does to what is there.

use schemars::JsonSchema;
use serde::Serialize;

use super::words::counted;
use crate::inventory::Size;
use crate::policy::finding::{Code, Finding, Weight};
use crate::policy::path::PolicyPath;
use crate::units::{BackupId, Bytes, Instant, Name};

/// One consequence of a change.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Consequence {
    /// The stable code; `seawall explain CODE` has more.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String", regex(pattern = r"^SW[0-9]{4}$"))]
    pub code: Code,
    /// How much it weighs.
    pub severity: Weight,
    /// Something may be lost for good: it must be acknowledged.
    pub destructive: bool,
    /// Where in the new policy, or in the old one when it is gone from the new.
    pub path: PolicyPath,
    /// What happens.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The reason for which the new policy accepts it, if it does.
    pub acknowledged: Option<String>,
    /// The existing backups that it is about. Absent when it is not about any.
    pub existing: Option<Existing>,
}

/// The existing backups that a consequence is about.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Existing {
    Known {
        /// How much room they take together, as far as it is known.
        bytes: Size,
        /// Every one of them, the newest first.
        backups: Vec<ExistingBackup>,
    },
    Unknown {
        /// Why it is not known, as a sentence whose quotations are closed.
        reason: String,
    },
}

/// A backup that is there.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExistingBackup {
    /// Its id.
    pub id: BackupId,
    /// The job that took it.
    pub job: Name,
    /// The store it lies in.
    pub store: Name,
    /// When it ended; when it began, while it runs.
    pub moment: Instant,
    /// The room it takes.
    pub size: Option<Size>,
    /// What the old policy makes of it.
    pub before: String,
    /// What the new policy makes of it.
    pub after: String,
}

fn as_text<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(code)
}

impl Existing {
    pub fn known(mut backups: Vec<ExistingBackup>) -> Self {
        backups.sort_by(|one, other| other.moment.cmp(&one.moment).then_with(|| (&one.id, &one.store).cmp(&(&other.id, &other.store))));
        let bytes = backups.iter().filter_map(|backup| backup.size).fold(Bytes::ZERO, |sum, size| sum.saturating_add(size.bytes()));
        Existing::Known { bytes: Size(bytes), backups }
    }

    pub fn unknown(reason: impl Into<String>) -> Self {
        Existing::Unknown { reason: reason.into() }
    }

    pub fn is_known_empty(&self) -> bool {
        matches!(self, Existing::Known { backups, .. } if backups.is_empty())
    }

    /// `12 backups, 1.4 TB`
    pub fn summary(&self) -> String {
        match self {
            Existing::Unknown { reason } => format!("unknown which existing backups this affects: {reason}"),
            Existing::Known { backups, .. } if backups.is_empty() => "no existing backup".into(),
            Existing::Known { bytes, backups } if bytes.bytes() == Bytes::ZERO => counted(backups.len(), "backup"),
            Existing::Known { bytes, backups } => format!("{}, {}", counted(backups.len(), "backup"), bytes.bytes().rounded()),
        }
    }

    /// What is made of them before and now, when that is the same for all of several.
    pub fn alike(&self) -> Option<(&str, &str)> {
        let [first, others @ ..] = self.backups() else { return None };
        let same = |other: &ExistingBackup| other.before == first.before && other.after == first.after;
        (!others.is_empty() && others.iter().all(same)).then_some((first.before.as_str(), first.after.as_str()))
    }

    pub fn backups(&self) -> &[ExistingBackup] {
        match self {
            Existing::Known { backups, .. } => backups,
            Existing::Unknown { .. } => &[],
        }
    }
}

impl Consequence {
    pub fn new(code: u16, severity: Weight, path: PolicyPath, message: impl Into<String>) -> Self {
        Consequence {
            code: Code(code),
            severity,
            destructive: false,
            path,
            message: message.into(),
            hint: None,
            acknowledged: None,
            existing: None,
        }
    }

    /// Something may be lost for good.
    pub fn destructive(code: u16, path: PolicyPath, message: impl Into<String>) -> Self {
        Consequence { destructive: true, ..Self::new(code, Weight::Error, path, message) }
    }

    pub fn warning(code: u16, path: PolicyPath, message: impl Into<String>) -> Self {
        Self::new(code, Weight::Warning, path, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn existing(mut self, existing: Existing) -> Self {
        self.existing = Some(existing);
        self
    }

    pub fn needs_acknowledgement(&self) -> bool {
        self.destructive && self.acknowledged.is_none()
    }

    /// As every other finding, for whoever shows them.
    pub fn finding(&self) -> Finding {
        let message = match &self.existing {
            Some(existing) => format!("{} ({})", self.message, existing.summary()),
            None => self.message.clone(),
        };
        let mut finding = Finding::new(self.code, self.severity, self.path.clone(), message);
        finding.hint.clone_from(&self.hint);
        finding.acknowledged.clone_from(&self.acknowledged);
        finding
    }
}

/// Every code of this room: what it says, how much it weighs, whether it can be destructive.
pub const CODES: &[(u16, &str, Weight, bool)] = &[
    (901, "a backup job is removed, or no longer holds what it held", Weight::Error, true),
    (902, "an objective is loosened", Weight::Warning, false),
    (903, "existing backups become deletable", Weight::Error, true),
    (904, "the window for recovery to any moment becomes shorter", Weight::Error, true),
    (905, "a hold is released or narrowed", Weight::Error, true),
    (906, "someone no longer hears of a failure", Weight::Warning, false),
    (907, "a copy is no longer made", Weight::Error, true),
    (908, "encryption is weakened, or somebody new can read", Weight::Warning, false),
    (909, "a drill or a check is removed or weakened", Weight::Warning, false),
    (910, "rows are dropped sooner, archived sooner, or no longer archived", Weight::Error, true),
    (911, "immutability is dropped or shortened", Weight::Error, true),
    (912, "a policy is removed or renamed", Weight::Error, true),
    (913, "a store is pointed elsewhere", Weight::Error, true),
    (914, "something runs less often", Weight::Warning, false),
    (915, "a limit is loosened or an alert silenced", Weight::Warning, false),
];
