use thiserror::Error;

use crate::execute::hook::HookFault;
use crate::execute::restore::RestoreFault;
use crate::postgres;
use crate::site::SiteFault;
use crate::store;

/// Why nobody is promoted, or not to the end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct PromoteFault {
    pub kind: PromoteFaultKind,
    pub message: String,
    /// What to do, as a sentence.
    pub hint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromoteFaultKind {
    Failed,
    /// Somebody else is at it, or a store does not answer: later it may work.
    MayPass,
    /// It was asked to end.
    Stopped,
}

impl PromoteFault {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        PromoteFault { kind: PromoteFaultKind::Failed, message: message.into(), hint: hint.into() }
    }

    pub(super) fn may_pass(message: impl Into<String>, hint: impl Into<String>) -> Self {
        PromoteFault { kind: PromoteFaultKind::MayPass, ..PromoteFault::new(message, hint) }
    }

    pub(super) fn stopped(doing: &str) -> Self {
        PromoteFault { kind: PromoteFaultKind::Stopped, ..PromoteFault::new(format!("it was asked to end while it {doing}"), "") }
    }
}

impl From<postgres::Fault> for PromoteFault {
    fn from(fault: postgres::Fault) -> Self {
        PromoteFault::new(fault.message, fault.hint)
    }
}

impl From<SiteFault> for PromoteFault {
    fn from(fault: SiteFault) -> Self {
        PromoteFault::new(fault.message, fault.hint)
    }
}

impl From<store::Fault> for PromoteFault {
    fn from(fault: store::Fault) -> Self {
        PromoteFault::new(fault.message, fault.hint)
    }
}

impl From<RestoreFault> for PromoteFault {
    fn from(fault: RestoreFault) -> Self {
        PromoteFault::new(fault.message, fault.hint)
    }
}

impl From<HookFault> for PromoteFault {
    fn from(fault: HookFault) -> Self {
        let kind = match fault {
            HookFault::Interrupted { .. } => PromoteFaultKind::Stopped,
            HookFault::Failed { .. } => PromoteFaultKind::Failed,
        };
        PromoteFault { kind, ..PromoteFault::new(fault.to_string(), fault.hint()) }
    }
}
