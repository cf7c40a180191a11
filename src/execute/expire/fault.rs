use thiserror::Error;

use crate::site::SiteFault;
use crate::store;

/// Why nothing, or nothing more, was done in a store.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExpireFault {
    #[error("{0}")]
    Site(#[from] SiteFault),
    /// Something is not as it must be before anything may be deleted; lower case, no full stop.
    #[error("{message}")]
    Refused { message: String, hint: String },
    #[error("it was interrupted")]
    Interrupted,
}

impl ExpireFault {
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        ExpireFault::Refused { message: message.into(), hint: hint.into() }
    }

    pub fn hint(&self) -> &str {
        match self {
            ExpireFault::Site(fault) => &fault.hint,
            ExpireFault::Refused { hint, .. } => hint,
            ExpireFault::Interrupted => "",
        }
    }

    /// It may work when it is run again.
    pub fn is_transient(&self) -> bool {
        matches!(self, ExpireFault::Site(fault) if fault.transient)
    }
}

impl From<store::Fault> for ExpireFault {
    fn from(fault: store::Fault) -> Self {
        ExpireFault::Site(fault.into())
    }
}
