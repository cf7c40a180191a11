//! `restore_command`: a file of the log at the place that PostgreSQL names, or the knowledge that there is none.

use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::existing::{find, still_there};
use super::fault::WalFaultKind;
use super::take::{Trust, take};
use super::{Place, WalFault};
use crate::inventory::SystemIdentifier;
use crate::units::{Name, WalFile};

/// How a store is opened and the cluster's repository found there.
pub type Open = Box<dyn Fn() -> Result<Place, WalFault> + Send + Sync>;

/// A store that may have the log. Opened when it is needed, and again after a fault.
pub struct Source {
    pub name: Name,
    open: Open,
    place: OnceLock<Place>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source {
    /// `open` fails where the store holds no repository: such a store could not be asked (a disk that is not mounted looks like that).
    pub fn new(name: Name, open: Open) -> Source {
        Source { name, open, place: OnceLock::new() }
    }

    fn place(&self) -> Result<&Place, WalFault> {
        if let Some(place) = self.place.get() {
            return Ok(place);
        }
        let place = (self.open)()?;
        Ok(self.place.get_or_init(|| place))
    }
}

/// The stores that may have the log, and how what they hold is judged.
#[derive(Debug)]
pub struct Archive {
    pub cluster: SystemIdentifier,
    /// In the order in which they are asked.
    pub sources: Vec<Source>,
    pub trust: Trust,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// It is in place. What was wrong with other copies of it.
    Done { despite: Vec<String> },
    /// Every store was asked and none has it.
    Absent {
        /// The beginning of this segment is there, archived when its timeline ended.
        partial: bool,
    },
}

impl Archive {
    /// Asks the stores one after the other. One that could not be asked, or whose copy is not to be trusted, is not one without the file.
    pub fn fetch(&self, file: WalFile, to: &Path) -> Result<Fetched, WalFault> {
        let mut faults: Vec<(&Name, WalFault)> = Vec::new();
        for source in &self.sources {
            match self.from(source, file, to) {
                Ok(true) => {
                    let despite = faults.iter().map(|(name, fault)| format!("store `{name}`: {fault}")).collect();
                    return Ok(Fetched::Done { despite });
                }
                Ok(false) => {}
                Err(fault) => faults.push((&source.name, fault)),
            }
        }
        if faults.is_empty() { Ok(Fetched::Absent { partial: self.has_partial(file) }) } else { Err(joined(&faults)) }
    }

    /// The same, again and again for a while when it may pass.
    pub fn fetch_patiently(&self, file: WalFile, to: &Path, patience: Duration) -> Result<Fetched, WalFault> {
        let deadline = Instant::now() + patience;
        let mut pause = Duration::from_millis(100);
        loop {
            match self.fetch(file, to) {
                Err(fault) if fault.may_pass() && Instant::now() + pause < deadline => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
                done => return done,
            }
        }
    }

    fn from(&self, source: &Source, file: WalFile, to: &Path) -> Result<bool, WalFault> {
        let place = source.place()?;
        let Some((key, size)) = find(place, self.cluster, file)? else {
            // The place was opened a while ago.
            return still_there(&place.store, &place.repository).map(|()| false);
        };
        match take(place, (&key, size), &self.trust, (self.cluster, file), to) {
            // It was there a moment ago: look again before anybody calls it absent.
            Err(fault) if fault.kind == WalFaultKind::Absent => Err(WalFault { kind: WalFaultKind::Store, ..fault }),
            taken => taken.map(|()| true),
        }
    }

    fn has_partial(&self, file: WalFile) -> bool {
        let WalFile::Segment(segment) = file else { return false };
        let has = |source: &Source| source.place().and_then(|place| find(place, self.cluster, WalFile::Partial(segment)));
        self.sources.iter().any(|source| has(source).is_ok_and(|found| found.is_some()))
    }
}

fn joined(faults: &[(&Name, WalFault)]) -> WalFault {
    let message = faults.iter().map(|(name, fault)| format!("store `{name}`: {fault}")).collect::<Vec<_>>().join("; ");
    // As long as one of them may pass, it is worth asking again.
    let kind = faults.iter().find(|(_, fault)| fault.may_pass()).unwrap_or(&faults[0]).1.kind;
    let hint = faults.iter().map(|(_, fault)| &fault.hint).find(|hint| !hint.is_empty()).cloned().unwrap_or_default();
    WalFault::new(kind, message, hint)
}
