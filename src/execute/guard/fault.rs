use crate::execute::backup::BackupFault;
use crate::plan::guard::Unprotected;
use crate::postgres;
use crate::site::SiteFault;
use crate::store;

/// Why nothing protects the command, which is then not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GuardFault {
    /// Lower case, no full stop.
    pub message: String,
    /// As a sentence.
    pub hint: String,
    /// Somebody wanted it to end.
    pub is_interrupted: bool,
}

impl GuardFault {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> GuardFault {
        GuardFault { message: message.into(), hint: hint.into(), is_interrupted: false }
    }

    pub fn interrupted() -> GuardFault {
        GuardFault { is_interrupted: true, ..GuardFault::new("it was interrupted", "") }
    }
}

impl From<Unprotected> for GuardFault {
    fn from(fault: Unprotected) -> Self {
        GuardFault::new(fault.message, fault.hint)
    }
}

impl From<SiteFault> for GuardFault {
    fn from(fault: SiteFault) -> Self {
        GuardFault::new(fault.message, fault.hint)
    }
}

impl From<postgres::Fault> for GuardFault {
    fn from(fault: postgres::Fault) -> Self {
        GuardFault::new(fault.message, fault.hint)
    }
}

impl From<store::Fault> for GuardFault {
    fn from(fault: store::Fault) -> Self {
        GuardFault::new(fault.message, fault.hint)
    }
}

impl From<BackupFault> for GuardFault {
    fn from(fault: BackupFault) -> Self {
        match fault {
            BackupFault::Interrupted => GuardFault::interrupted(),
            fault => GuardFault::new(fault.to_string(), fault.hint()),
        }
    }
}
