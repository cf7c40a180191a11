use std::path::PathBuf;
use std::sync::Arc;

use super::Progress;
use crate::recovery::Target;
use crate::units::{BackupId, Name};

/// What somebody wants otherwise than the policy says, for this once.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    pub backup: Option<BackupId>,
    pub target: Option<Target>,
    /// A moment by chance.
    pub random: bool,
    pub store: Option<Name>,
    pub identity: Option<PathBuf>,
    /// The copy stays, and its server runs on.
    pub keep: bool,
    pub workers: Option<usize>,
    /// PostgreSQL's own programs, where they are not where they usually are.
    pub programs: Option<PathBuf>,
    /// For whoever watches.
    pub progress: Option<Arc<Progress>>,
}
