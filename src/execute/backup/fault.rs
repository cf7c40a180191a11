use thiserror::Error;

use crate::pipeline::PipelineFault;
use crate::site::SiteFault;
use crate::wal::WalFault;
use crate::{postgres, store};

/// Why there is no backup.
#[derive(Debug, Error)]
pub enum BackupFault {
    #[error("{0}")]
    Site(#[from] SiteFault),
    #[error("{0}")]
    Postgres(#[from] postgres::Fault),
    #[error("{0}")]
    Pipeline(#[from] PipelineFault),
    /// Of its own log.
    #[error("{0}")]
    Log(#[from] WalFault),
    /// Something is not as it must be; lower case, no full stop.
    #[error("{message}")]
    Refused { message: String, hint: String },
    /// The store did not say whether it has the descriptor.
    #[error("it is not known whether the backup {backup} was committed: {fault}")]
    Unknown { backup: String, fault: store::Fault },
    /// Somebody else is at it; lower case, no full stop.
    #[error("{message}")]
    Busy { message: String, hint: String },
    #[error("it was interrupted")]
    Interrupted,
}

/// A backup that did not come to its end.
#[derive(Debug, Error)]
#[error("{fault}")]
pub struct Failure {
    #[source]
    pub fault: BackupFault,
    /// What people should know beside it: what became of what was written. Sentences without a full stop.
    pub remarks: Vec<String>,
}

impl<F: Into<BackupFault>> From<F> for Failure {
    fn from(fault: F) -> Self {
        Failure { fault: fault.into(), remarks: Vec::new() }
    }
}

impl BackupFault {
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        BackupFault::Refused { message: message.into(), hint: hint.into() }
    }

    /// The same may go well a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            BackupFault::Site(fault) => fault.transient,
            BackupFault::Postgres(fault) => fault.is_transient(),
            BackupFault::Pipeline(fault) => fault.is_transient(),
            BackupFault::Log(fault) => fault.may_pass(),
            BackupFault::Refused { .. } => false,
            BackupFault::Unknown { .. } | BackupFault::Busy { .. } | BackupFault::Interrupted => true,
        }
    }

    pub fn hint(&self) -> &str {
        match self {
            BackupFault::Site(fault) => &fault.hint,
            BackupFault::Postgres(fault) => &fault.hint,
            BackupFault::Pipeline(fault) => fault.hint(),
            BackupFault::Log(fault) => &fault.hint,
            BackupFault::Refused { hint, .. } | BackupFault::Busy { hint, .. } => hint,
            BackupFault::Unknown { .. } => {
                "When the store answers again, `seawall list` tells; what is not committed is removed by a later backup."
            }
            BackupFault::Interrupted => "",
        }
    }
}

impl From<store::Fault> for BackupFault {
    fn from(fault: store::Fault) -> Self {
        BackupFault::Pipeline(fault.into())
    }
}
