//! A policy on this host: its stores opened, its keys read, its repository found. What the executor and the commands stand on.

mod candidates;
pub mod connection;
mod keys;
pub mod known;
mod memory;
mod openpgp;
mod places;
mod record;
mod repository;

use std::path::{Path, PathBuf};

use thiserror::Error;

pub use candidates::{Found, PassedOver};
pub use keys::HostKeys;
pub use repository::About;

use crate::policy::model::Policy;
use crate::store::Silences;
use crate::units::Name;

/// Why the policy cannot be put to work here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SiteFault {
    /// Lower case, no full stop; names the policy's path.
    pub message: String,
    /// How to mend it, as a sentence.
    pub hint: String,
    pub transient: bool,
}

impl SiteFault {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        SiteFault { message: message.into(), hint: hint.into(), transient: false }
    }

    /// Somebody wanted it so; the next run goes on.
    pub fn interrupted() -> Self {
        SiteFault { message: "it was asked to end".into(), hint: String::new(), transient: true }
    }
}

impl From<crate::pipeline::PipelineFault> for SiteFault {
    fn from(fault: crate::pipeline::PipelineFault) -> Self {
        match fault {
            crate::pipeline::PipelineFault::Interrupted => SiteFault::interrupted(),
            fault => SiteFault { transient: fault.is_transient(), hint: fault.hint().to_owned(), message: fault.to_string() },
        }
    }
}

impl From<crate::store::Fault> for SiteFault {
    fn from(fault: crate::store::Fault) -> Self {
        let transient = fault.is_transient();
        SiteFault { message: fault.message, hint: fault.hint, transient }
    }
}

/// A policy, and the place on this host where its state is kept.
#[derive(Debug)]
pub struct Site<'p> {
    pub policy: &'p Policy,
    state: PathBuf,
    state_is_given: bool,
    host: String,
    commit: Option<String>,
    file: Option<PathBuf>,
    silences: Option<Silences>,
}

impl<'p> Site<'p> {
    /// `host` is the policy's name for this host, where it differs from the host's own.
    pub fn new(policy: &'p Policy, state: Option<&Path>, host: Option<&Name>) -> Site<'p> {
        let state_is_given = state.is_some() || crate::world::host::given_state_directory().is_some();
        let state = state.map_or_else(crate::world::host::state_directory, Path::to_owned);
        let host = host.map_or_else(crate::world::host::name, Name::to_string);
        Site { policy, state, state_is_given, host, commit: None, file: None, silences: None }
    }

    /// The policy's file, for those who name it to another process.
    #[must_use]
    pub fn of_file(self, file: PathBuf) -> Site<'p> {
        Site { file: Some(file), ..self }
    }

    /// For one look at the world, perhaps with other policies: a store that did not answer one of them is not waited for again.
    #[must_use]
    pub fn within(self, silences: &Silences) -> Site<'p> {
        Site { silences: Some(silences.clone()), ..self }
    }

    /// The policy's file, where it is known.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Where this host's state lies, if somebody said so: for a process of another account, whose usual place is another one.
    pub fn given_state(&self) -> Option<&Path> {
        self.state_is_given.then_some(&self.state)
    }

    /// The git commit of the policy's files, for those who write it down.
    #[must_use]
    pub fn at_commit(self, commit: Option<String>) -> Site<'p> {
        Site { commit, ..self }
    }

    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where this host keeps what it must not forget: keys, markers.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Where what belongs to this policy alone is kept.
    pub fn policy_state(&self) -> PathBuf {
        self.state.join("policies").join(self.policy.name.as_str())
    }

    /// Where what must not be forgotten of the log is kept.
    pub fn log_state(&self) -> PathBuf {
        self.policy_state().join("wal")
    }
}
