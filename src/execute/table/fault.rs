use std::io;
use std::sync::Arc;

use thiserror::Error;

use crate::execute::backup::BackupFault;
use crate::execute::hook::HookFault;
use crate::execute::restore::{Asleep, RestoreFault};
use crate::pipeline::PipelineFault;
use crate::postgres;
use crate::site::SiteFault;

/// Why a table did not come back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct TableFault {
    /// Lower case, no full stop.
    pub message: String,
    /// What to do, as a sentence.
    pub hint: String,
    pub why: Why,
    /// The backup lies in an archive class: what can be requested, and waited for.
    pub asleep: Option<Arc<Asleep>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It cannot be done, or was not.
    Failed,
    /// The rows are no longer those that were shown.
    Stale,
    /// Somebody wanted it to end.
    Stopped,
    /// It was done, or it was not: nobody can tell from here.
    Unknown,
    /// It may be done a little later.
    Passing,
}

/// What went wrong where rows are written out: on one side or the other.
#[derive(Debug)]
pub enum Broken {
    Read(TableFault),
    Write(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Write(error)
    }
}

impl TableFault {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> TableFault {
        TableFault { message: message.into(), hint: hint.into(), why: Why::Failed, asleep: None }
    }

    pub fn stale(message: impl Into<String>, hint: impl Into<String>) -> TableFault {
        TableFault { why: Why::Stale, ..TableFault::new(message, hint) }
    }

    pub fn unknown(message: impl Into<String>, hint: impl Into<String>) -> TableFault {
        TableFault { why: Why::Unknown, ..TableFault::new(message, hint) }
    }

    /// Of a table the programs are named otherwise.
    pub(super) fn by_our_words(fault: RestoreFault) -> TableFault {
        let hint = fault.hint.replace("--start-with", "--programs");
        fault.with_hint(hint).into()
    }

    pub fn stopped() -> TableFault {
        TableFault { why: Why::Stopped, ..TableFault::new("it was asked to end", "") }
    }
}

impl From<postgres::Fault> for TableFault {
    fn from(fault: postgres::Fault) -> Self {
        let why = if fault.is_transient() { Why::Passing } else { Why::Failed };
        TableFault { why, ..TableFault::new(fault.message, fault.hint) }
    }
}

impl From<RestoreFault> for TableFault {
    fn from(fault: RestoreFault) -> Self {
        let why = if fault.passing { Why::Passing } else { Why::Failed };
        TableFault { message: fault.message, hint: fault.hint, why, asleep: fault.asleep }
    }
}

impl From<HookFault> for TableFault {
    fn from(fault: HookFault) -> Self {
        match fault {
            HookFault::Interrupted { .. } => TableFault::stopped(),
            failed => TableFault::new(failed.to_string(), failed.hint()),
        }
    }
}

impl From<SiteFault> for TableFault {
    fn from(fault: SiteFault) -> Self {
        let why = if fault.transient { Why::Passing } else { Why::Failed };
        TableFault { why, ..TableFault::new(fault.message, fault.hint) }
    }
}

impl From<PipelineFault> for TableFault {
    fn from(fault: PipelineFault) -> Self {
        SiteFault::from(fault).into()
    }
}

impl From<BackupFault> for TableFault {
    fn from(fault: BackupFault) -> Self {
        match fault {
            BackupFault::Interrupted => TableFault::stopped(),
            fault => {
                let why = if fault.is_transient() { Why::Passing } else { Why::Failed };
                TableFault { message: fault.to_string(), hint: fault.hint().to_owned(), why, asleep: None }
            }
        }
    }
}
