use std::io;

use thiserror::Error;

use crate::format::seal::{KeyError, SealError};
use crate::store;

/// Why bytes did not get where they should.
#[derive(Debug, Error)]
pub enum PipelineFault {
    #[error("{0}")]
    Store(#[from] store::Fault),
    /// An object that cannot be opened, or is not what it should be.
    #[error("{key}: {error}")]
    Sealed { key: String, error: SealError },
    /// An object whose bytes are not those that were put.
    #[error("{key} is damaged: {what}")]
    Damaged { key: String, what: String },
    #[error("{0}")]
    Key(#[from] KeyError),
    /// A file of this host.
    #[error("{what}: {error}")]
    File { what: String, error: io::Error },
    #[error("it was interrupted")]
    Interrupted,
}

impl PipelineFault {
    pub fn file(what: impl Into<String>, error: io::Error) -> Self {
        PipelineFault::File { what: what.into(), error }
    }

    /// What came out of a stream over an object: the store's own fault, or bytes that do not open.
    pub fn of_stream(key: &str, error: &io::Error) -> Self {
        if let Some(fault) = store::Fault::from_io(error) {
            return PipelineFault::Store(fault.clone());
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<SealError>()) {
            Some(sealed) => PipelineFault::Sealed { key: key.to_owned(), error: sealed.clone() },
            None => PipelineFault::Damaged { key: key.to_owned(), what: error.to_string() },
        }
    }

    pub fn is_transient(&self) -> bool {
        matches!(self, PipelineFault::Store(fault) if fault.is_transient())
    }

    /// The object itself is lost, or not what was put.
    pub fn is_of_object(&self) -> bool {
        match self {
            PipelineFault::Store(fault) => matches!(fault.kind, store::FaultKind::Absent | store::FaultKind::Damaged),
            PipelineFault::Sealed { error, .. } => !matches!(error, SealError::NoKey | SealError::Identity(_)),
            PipelineFault::Damaged { .. } => true,
            PipelineFault::Key(_) | PipelineFault::File { .. } | PipelineFault::Interrupted => false,
        }
    }

    pub fn hint(&self) -> &str {
        match self {
            PipelineFault::Store(fault) => &fault.hint,
            PipelineFault::Sealed { error: SealError::NoKey, .. } => {
                "Give the identity that belongs to one of the recipients of that time; old backups need old identities."
            }
            PipelineFault::Sealed { .. } | PipelineFault::Damaged { .. } => {
                "`seawall verify` says what else is damaged; restore from another copy."
            }
            PipelineFault::Key(_) => "Check the identity that the policy names.",
            PipelineFault::File { .. } | PipelineFault::Interrupted => "",
        }
    }
}
