//! Where a table comes from when it is wanted as it was: a private server that holds it.
//!
//! Of a physical backup only the system catalogs and the wanted tables are fetched. Every other file is there in its size and empty, so that
//! replaying the log finds what it expects. When the log is replayed, the tables are proven to be made of nothing but what was fetched and
//! what the log made; what was not is fetched, and the log is replayed once more.

mod catalogs;
mod choice;
mod fixed;
mod hold;
mod known;
mod listing;
mod plan;
mod prove;
mod relations;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

pub use crate::execute::restore::RestoreFault as Fault;
use crate::execute::restore::TimelineChoice;
use crate::execute::throwaway::{self, Purpose};
pub use crate::execute::throwaway::{Glance, Progress};
use crate::inventory::Phase;
use crate::recovery::Target;
use crate::site::Site;
use crate::units::{BackupId, Name};

pub use fixed::Fixed;
pub use hold::Held;
pub use known::Known;
pub use plan::{Found, Planned, physical};

const LOOK: Duration = Duration::from_millis(50);

/// A table by its exact name, quoted nowhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// What somebody wants back, and of when.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where it is not said, the policy's only database, or the only one of the cluster that people made.
    pub database: Option<String>,
    pub tables: Vec<TableName>,
    /// Their numbers, where a server of the same moment has told them: by names they are only guessed.
    pub oids: BTreeSet<u32>,
    /// What may be asked for later, with a schema or without: it is fetched where the backup has such a name, and [`Held::has`] proves it.
    pub ahead: Vec<(Option<String>, String)>,
    /// All sequences of the database: with them everything is there that is no row.
    pub sequences: bool,
    pub large_objects: bool,
    /// What was seen in this very backup before.
    pub known: Option<Known>,
    pub target: Target,
    /// Stop just before the target and not just after it.
    pub exclusive: bool,
    pub timeline: TimelineChoice,
    /// This base backup and no other.
    pub backup: Option<BackupId>,
    pub store: Option<Name>,
    pub identity: Option<PathBuf>,
    /// Below which the copy lies for as long as it is needed; usually the policy's own state.
    pub directory: Option<PathBuf>,
    /// PostgreSQL's own programs, where they are not where they usually are.
    pub programs: Option<PathBuf>,
    /// This program, as the server calls it to fetch its log, where it is not the one that runs.
    pub seawall: Option<PathBuf>,
    pub workers: Option<usize>,
    /// A name that is not in the backup is one of a table that was made after it, however much it looks like another one's.
    pub made_later: bool,
    /// Whose copy it is, where not that of somebody who wants the tables.
    pub copy: Option<(BackupId, Purpose)>,
}

impl Wanted {
    /// These tables at this moment, and everything else as it usually is.
    pub fn new(tables: Vec<TableName>, target: Target) -> Wanted {
        Wanted {
            database: None,
            tables,
            oids: BTreeSet::new(),
            ahead: Vec::new(),
            sequences: false,
            large_objects: false,
            known: None,
            target,
            exclusive: false,
            timeline: TimelineChoice::default(),
            backup: None,
            store: None,
            identity: None,
            directory: None,
            programs: None,
            seawall: None,
            workers: None,
            made_later: false,
            copy: None,
        }
    }

    fn purpose(&self) -> Purpose {
        self.copy.as_ref().map_or(Purpose::Tables, |(_, purpose)| purpose.clone())
    }

    fn is_nothing(&self) -> bool {
        self.tables.is_empty() && !self.sequences && !self.large_objects
    }
}

/// Who watches.
#[derive(Clone, Copy)]
pub struct Onlooker<'o> {
    /// A phase begins; those of a drill, as far as they are gone through here, and some of them twice.
    pub phase: &'o (dyn Fn(Phase) + Sync),
    pub stop: &'o AtomicBool,
    /// How far it is.
    pub progress: &'o Progress,
}

impl fmt::Debug for Onlooker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Onlooker").field("stop", self.stop).finish_non_exhaustive()
    }
}

impl Onlooker<'_> {
    fn enter(&self, phase: Phase) {
        self.progress.enter(phase);
        (self.phase)(phase);
    }

    /// Somebody wants it to.
    pub(in crate::execute) fn must_end(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn must_go_on(&self) -> Result<(), Fault> {
        if self.must_end() { Err(Fault::new("it was asked to end", "")) } else { Ok(()) }
    }
}

/// On a thread of its own, because a priority that was lowered cannot be raised again. What is asked to end ends at the next file.
fn quietly<T: Send>(site: &Site<'_>, onlooker: Onlooker<'_>, work: impl FnOnce() -> Result<T, Fault> + Send) -> Result<T, Fault> {
    thread::scope(|scope| {
        let (done, over) = mpsc::channel::<()>();
        let cancelled = &onlooker.progress.files.cancelled;
        scope.spawn(move || {
            while over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if onlooker.stop.load(Ordering::Relaxed) {
                    cancelled.store(true, Ordering::Relaxed);
                }
            }
        });
        let worked = scope.spawn(|| {
            throwaway::lower_priority(site);
            work()
        });
        let worked = worked.join();
        drop(done);
        let worked = worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // Whatever it was in the middle of.
        worked.map_err(|fault| onlooker.must_go_on().err().unwrap_or(fault))
    })
}
