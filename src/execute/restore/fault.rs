use std::sync::Arc;

use thiserror::Error;

use super::archive::Asleep;
use crate::execute::extensions::Lacking;
use crate::execute::hook::HookFault;
use crate::pipeline::PipelineFault;
use crate::site::SiteFault;
use crate::store;

/// Why a restore cannot be done, or did not end well.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct RestoreFault {
    pub message: String,
    /// What to do, as a sentence.
    pub hint: String,
    /// An object of the backup is lost or damaged: another backup may serve.
    pub(super) of_object: bool,
    /// The same may go well a little later.
    pub passing: bool,
    /// The backup lies in an archive class: what can be requested, and waited for.
    pub asleep: Option<Arc<Asleep>>,
}

impl RestoreFault {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        RestoreFault { message: message.into(), hint: hint.into(), of_object: false, passing: false, asleep: None }
    }

    /// With more words about it.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        RestoreFault { message: message.into(), ..self }
    }

    /// For somebody who does something else about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        RestoreFault { hint: hint.into(), ..self }
    }

    #[must_use]
    pub fn passing_if(self, passing: bool) -> Self {
        RestoreFault { passing, ..self }
    }

    pub(super) fn of_object(message: impl Into<String>) -> Self {
        RestoreFault { of_object: true, ..RestoreFault::new(message, "") }
    }
}

impl From<HookFault> for RestoreFault {
    fn from(fault: HookFault) -> Self {
        RestoreFault::new(fault.to_string(), fault.hint())
    }
}

impl From<Lacking> for RestoreFault {
    fn from(lacking: Lacking) -> Self {
        RestoreFault::new(lacking.message, lacking.hint)
    }
}

impl From<SiteFault> for RestoreFault {
    fn from(fault: SiteFault) -> Self {
        RestoreFault { passing: fault.transient, ..RestoreFault::new(fault.message, fault.hint) }
    }
}

impl From<store::Fault> for RestoreFault {
    fn from(fault: store::Fault) -> Self {
        RestoreFault { passing: fault.is_transient(), ..RestoreFault::new(fault.message, fault.hint) }
    }
}

impl From<PipelineFault> for RestoreFault {
    fn from(fault: PipelineFault) -> Self {
        let hint = match &fault {
            PipelineFault::File { error, .. } if error.kind() == std::io::ErrorKind::StorageFull => {
                "The disk is full; nothing in the directory can be started. Make room and run it again with `--delta`, which goes on where it stopped."
            }
            PipelineFault::File { .. } => "Nothing in the directory can be started. Mend what is named and run it again with `--delta`.",
            other => other.hint(),
        };
        RestoreFault { of_object: fault.is_of_object(), passing: fault.is_transient(), ..RestoreFault::new(fault.to_string(), hint) }
    }
}

impl From<crate::postgres::Fault> for RestoreFault {
    fn from(fault: crate::postgres::Fault) -> Self {
        RestoreFault { passing: fault.is_transient(), ..RestoreFault::new(fault.message, fault.hint) }
    }
}
