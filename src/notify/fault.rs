//! Why a message was not delivered.

use std::time::Duration;

use thiserror::Error;

use crate::units::visible;

/// Whether it is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It may pass by itself: no connection, no answer, too much at once.
    Passing,
    /// Somebody has to mend something here or there; then the same message can be delivered.
    Setup,
    /// This message will never be taken.
    Refused,
}

/// Why a message was not delivered. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SendFault {
    pub kind: FaultKind,
    /// Lower case, no full stop.
    pub message: String,
    /// How to mend it, as a sentence; may be empty.
    pub hint: String,
    /// The receiver asked not to be tried again before that.
    pub retry_after: Option<Duration>,
    /// Who has it already, of several: they do not get it again.
    pub reached: Vec<String>,
}

/// What others say may be long, and may act on a terminal.
const MAX_SAID: usize = 300;

impl SendFault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>, hint: impl Into<String>) -> SendFault {
        SendFault { kind, message: message.into(), hint: hint.into(), retry_after: None, reached: Vec::new() }
    }

    pub(super) fn passing(message: impl Into<String>) -> SendFault {
        SendFault::new(FaultKind::Passing, message, "")
    }

    pub(super) fn setup(message: impl Into<String>, hint: impl Into<String>) -> SendFault {
        SendFault::new(FaultKind::Setup, message, hint)
    }

    pub(super) fn refused(message: impl Into<String>, hint: impl Into<String>) -> SendFault {
        SendFault::new(FaultKind::Refused, message, hint)
    }

    /// Later it may be taken: it passes, or somebody mends it.
    pub fn is_transient(&self) -> bool {
        self.kind != FaultKind::Refused
    }
}

/// What a server said, on one line.
pub(super) fn tame(said: &str) -> String {
    let said: String = said.trim().chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { visible(c) }).collect();
    match said.char_indices().nth(MAX_SAID) {
        Some((at, _)) => format!("{}…", &said[..at]),
        None => said,
    }
}

/// The innermost cause, in short: the outer ones repeat it.
pub(super) fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    tame(&deepest.to_string())
}
