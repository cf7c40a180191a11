use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::inventory::SystemIdentifier;
use crate::plan::Brake;
use crate::units::{BackupId, Instant, Lsn, Name, StorageClass, Timeline};

use super::ExpireFault;

/// What one run did, and what it left for later.
#[derive(Debug, Default)]
pub struct Expired {
    pub marked: Vec<Deed>,
    pub unmarked: Vec<Deed>,
    pub deleted: Vec<Deed>,
    /// Into colder storage classes; also those of which only some objects were, before something stopped it.
    pub moved: Vec<Deed>,
    /// A lock of the store forbids it for now.
    pub deferred: Vec<Deed>,
    /// What no rule wants and what is still there.
    pub waiting: Vec<Deed>,
    pub braked: Vec<Braked>,
    /// Stores whose brake is off: as many may go there as were marked.
    pub unbraked: BTreeSet<Name>,
    /// Stores in which nothing, or nothing more, could be done.
    pub failed: Vec<Failed>,
    /// What people should know beside it: sentences without a full stop.
    pub remarks: Vec<String>,
    /// Of all that was deleted.
    pub bytes: u64,
}

impl Expired {
    /// Nothing was stopped and nothing failed. What waits or is deferred is in order.
    pub fn is_well(&self) -> bool {
        self.braked.is_empty() && self.failed.is_empty()
    }
}

/// What was done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Marked,
    Unmarked,
    /// It goes now; what of it has gone is told by the next word.
    Deleting,
    Deleted,
    Moved,
}

/// One thing that was done, or is to be done, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Deed {
    /// The store.
    pub store: Name,
    /// What was done with, or waits.
    pub what: What,
    /// Why.
    pub reason: String,
    /// In the store.
    pub bytes: u64,
    /// How many objects.
    pub objects: u64,
    /// When it can go on, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// Of what moves: where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<StorageClass>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    Backup {
        id: BackupId,
        job: Name,
    },
    /// Objects without a descriptor.
    Leftovers {
        id: BackupId,
    },
    /// Of one timeline what lies below a position and no backup needs for itself.
    Log {
        system_identifier: SystemIdentifier,
        timeline: Timeline,
        below: Lsn,
    },
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            What::Backup { id, job } => write!(f, "{id} of `{job}`"),
            What::Leftovers { id } => write!(f, "what is left of {id}"),
            What::Log { timeline, below, .. } => write!(f, "log of timeline {timeline} below {below}"),
        }
    }
}

/// A store in which more would go at once than the policy allows without a word from somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Braked {
    pub store: Name,
    pub brake: Brake,
}

#[derive(Debug)]
pub struct Failed {
    pub store: Name,
    pub fault: ExpireFault,
}
