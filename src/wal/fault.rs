use std::io;
use std::path::Path;

use thiserror::Error;

use crate::pipeline::PipelineFault;
use crate::store;

/// Why a file of the log did not get where it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct WalFault {
    pub kind: WalFaultKind,
    /// Lower case, no full stop; names the object or the file.
    pub message: String,
    /// How to mend it, as a sentence; may be empty.
    pub hint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalFaultKind {
    /// It is not there, and that is known.
    Absent,
    /// Another file has the name already.
    Conflict,
    /// Its writer is not accepted.
    Forged,
    /// It is not what was put there.
    Damaged,
    /// No key here opens it, or none can be read.
    Key,
    /// A store did not answer, or not as it should.
    Store,
    /// A store answered that it will not: who asks may not, it has no room, it is not there any more.
    Refused,
    /// A file of this host.
    Local,
}

impl WalFault {
    pub fn new(kind: WalFaultKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        WalFault { kind, message: message.into(), hint: hint.into() }
    }

    pub(super) fn local(path: &Path, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "Run it as the user that PostgreSQL runs as.",
            io::ErrorKind::StorageFull => "Make room on that disk.",
            _ => "",
        };
        WalFault::new(WalFaultKind::Local, format!("`{}`: {error}", path.display()), hint)
    }

    pub(super) fn damaged(key: impl std::fmt::Display, what: impl std::fmt::Display) -> Self {
        let hint = "`seawall verify` says what else is damaged; another store's copy may be whole.";
        WalFault::new(WalFaultKind::Damaged, format!("{key} is damaged: {what}"), hint)
    }

    /// It may be otherwise when it is tried again.
    pub fn may_pass(&self) -> bool {
        matches!(self.kind, WalFaultKind::Store | WalFaultKind::Refused)
    }

    /// Waiting alone will hardly mend it.
    pub fn needs_somebody(&self) -> bool {
        self.kind != WalFaultKind::Store
    }
}

impl From<store::Fault> for WalFault {
    fn from(fault: store::Fault) -> Self {
        let kind = match fault.kind {
            store::FaultKind::Absent => WalFaultKind::Absent,
            store::FaultKind::Damaged => WalFaultKind::Damaged,
            store::FaultKind::Transient => WalFaultKind::Store,
            _ => WalFaultKind::Refused,
        };
        WalFault::new(kind, fault.message, fault.hint)
    }
}

impl From<PipelineFault> for WalFault {
    fn from(fault: PipelineFault) -> Self {
        let hint = fault.hint().to_owned();
        match fault {
            PipelineFault::Store(fault) => fault.into(),
            PipelineFault::Sealed { error: crate::format::seal::SealError::NoKey, .. } | PipelineFault::Key(_) => {
                WalFault::new(WalFaultKind::Key, fault.to_string(), hint)
            }
            PipelineFault::File { .. } | PipelineFault::Interrupted => WalFault::new(WalFaultKind::Local, fault.to_string(), hint),
            PipelineFault::Sealed { .. } | PipelineFault::Damaged { .. } => WalFault::new(WalFaultKind::Damaged, fault.to_string(), hint),
        }
    }
}
