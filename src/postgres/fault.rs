use thiserror::Error;

/// Why a server could not be asked, or what it answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Fault {
    pub kind: FaultKind,
    /// Lower case, no full stop. Names host, port and user; never a password.
    pub message: String,
    /// How to mend it, as a sentence.
    pub hint: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Nobody answers there.
    Unreachable,
    /// A server answers and takes nobody just now: it starts, stops, or is full.
    Refused,
    /// Who we are is not accepted by the server, or who the server is is not accepted by us.
    Denied,
    /// The server did not do what it was asked, and says why by SQLSTATE.
    Sql { code: String },
    /// The connection broke. What was under way may or may not have happened.
    Lost,
    /// Nothing was heard for too long.
    Timeout,
    /// What was said is not PostgreSQL's protocol as we know it.
    Protocol,
    /// What was configured cannot work.
    Config,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { kind, message: message.into(), hint: hint.into() }
    }

    /// A server that answers well and is not one that can be worked with.
    pub(crate) fn unexpected(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault::new(FaultKind::Config, message, hint)
    }

    pub(super) fn config(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault::new(FaultKind::Config, message, hint)
    }

    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Fault::new(
            FaultKind::Protocol,
            message,
            "Check that a PostgreSQL server of version 13 or later listens there, not a pooler or a proxy.",
        )
    }

    /// Trying again later may help.
    pub fn is_transient(&self) -> bool {
        match &self.kind {
            FaultKind::Unreachable | FaultKind::Refused | FaultKind::Lost | FaultKind::Timeout => true,
            FaultKind::Denied | FaultKind::Protocol | FaultKind::Config => false,
            FaultKind::Sql { code } => is_passing(code),
        }
    }

    /// The SQLSTATE, if the server gave one.
    pub fn code(&self) -> Option<&str> {
        match &self.kind {
            FaultKind::Sql { code } => Some(code),
            _ => None,
        }
    }
}

/// Connection trouble, serialization, missing resources but a full disk, locks, a server that stops or starts.
fn is_passing(code: &str) -> bool {
    const FULL_DISK: &str = "53100";
    let class = code.get(..2).unwrap_or_default();
    match class {
        "08" | "40" => true,
        "53" => code != FULL_DISK,
        _ => ["55P03", "57P01", "57P02", "57P03"].contains(&code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_transient() {
        for (code, passes) in
            [("40001", true), ("53300", true), ("53100", false), ("57P03", true), ("57014", false), ("42601", false), ("", false)]
        {
            assert_eq!(Fault::new(FaultKind::Sql { code: code.into() }, "", "").is_transient(), passes, "{code}");
        }
        assert!(Fault::new(FaultKind::Lost, "", "").is_transient());
        assert!(!Fault::new(FaultKind::Denied, "", "").is_transient());
    }
}
