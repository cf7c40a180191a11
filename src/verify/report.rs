use std::fmt;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use crate::units::BackupId;

/// More of them say no more.
const MAX_FAULTS: usize = 10_000;

/// What was found in one store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Report {
    /// In the order of their objects.
    pub faults: Vec<Fault>,
    /// How many more there were.
    pub more_faults: u64,
    /// Every backup that was looked at.
    pub backups: Vec<Sound>,
    pub objects: u64,
    pub bytes: u64,
    pub wal_objects: u64,
    /// What was not checked: unknown is not fine.
    pub unchecked: Vec<String>,
    pub notes: Vec<String>,
}

/// How a backup came out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sound {
    pub backup: BackupId,
    pub faults: usize,
}

/// An object that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Fault {
    pub key: String,
    pub kind: FaultKind,
    pub what: String,
    /// The backup that suffers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Its bytes are not those that were put.
    Damaged,
    Missing,
    /// Nothing of ours put it there.
    Extra,
    /// Nobody whom the policy accepts has signed it, or it is not what its name says.
    Rejected,
    /// It could not be read, so nothing is known of it.
    Unread,
    /// A chain of backups or the log is broken.
    Broken,
}

impl FaultKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            FaultKind::Damaged => "damaged",
            FaultKind::Missing => "missing",
            FaultKind::Extra => "extra",
            FaultKind::Rejected => "rejected",
            FaultKind::Unread => "unread",
            FaultKind::Broken => "broken",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// A report while many threads write it.
#[derive(Debug, Default)]
pub(super) struct Findings(Mutex<Report>);

impl Findings {
    fn with<R>(&self, change: impl FnOnce(&mut Report) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn fault(&self, kind: FaultKind, key: impl fmt::Display, what: &str, backup: Option<&BackupId>) {
        let fault = Fault { key: key.to_string(), kind, what: what.to_owned(), backup: backup.map(ToString::to_string) };
        self.with(|report| match report.faults.len() {
            ..MAX_FAULTS => report.faults.push(fault),
            _ => report.more_faults += 1,
        });
    }

    pub(super) fn unchecked(&self, what: String) {
        self.with(|report| report.unchecked.push(what));
    }

    pub(super) fn note(&self, what: String) {
        self.with(|report| report.notes.push(what));
    }

    pub(super) fn object(&self, bytes: u64, of_wal: bool) {
        self.with(|report| {
            report.objects += 1;
            report.bytes += bytes;
            report.wal_objects += u64::from(of_wal);
        });
    }

    pub(super) fn report(self, backups: Vec<BackupId>, note: String) -> Report {
        let mut report = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.notes.extend(Some(note).filter(|note| !note.is_empty()));
        report.faults.sort();
        report.faults.dedup();
        for list in [&mut report.unchecked, &mut report.notes] {
            list.sort();
            list.dedup();
        }
        let faults = |id: &BackupId| report.faults.iter().filter(|fault| fault.backup.as_deref() == Some(id.as_str())).count();
        report.backups = backups.into_iter().map(|backup| Sound { faults: faults(&backup), backup }).collect();
        report
    }
}
