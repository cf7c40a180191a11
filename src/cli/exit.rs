//! How a run ends: the one table of exit codes.

use std::process::ExitCode;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    SomethingToDo,
    NotAcknowledged,
    Stale,
    /// `seawall status` and `seawall checklist`: nothing critical, and something to look at.
    Warned,
    /// How `seawall check` ends, which alone follows the convention of Nagios.
    Check(Nagios),
    /// `seawall guard` ends as its command did.
    Command(u8),
    /// `seawall guard`: nothing protects the command, so it was not run.
    NotRun,
    /// `seawall guard`: the command is there and cannot be run.
    NotExecutable,
    /// `seawall guard`: there is no such command.
    NotFound,
    Usage,
    Fault,
    TryAgain,
    Interrupted,
    ClosedPipe,
    Terminated,
    Unfetched,
}

/// The states of Nagios' plugins, with their codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Nagios {
    Ok = 0,
    Warning = 1,
    Critical = 2,
    Unknown = 3,
}

/// Every exit code, and what it means.
pub const TABLE: [(Exit, u8, &str); 16] = [
    (Exit::Done, 0, "done; the policies are sound"),
    (Exit::Failed, 1, "a policy has errors, or the command failed, or `status` finds something critical, or `checklist` answers no"),
    (
        Exit::SomethingToDo,
        2,
        "only with `plan --detailed-exitcode` and `emit --diff`: there is something to do, or a database is not as its policy says",
    ),
    (
        Exit::NotAcknowledged,
        3,
        "the change destroys something and the policy does not acknowledge it, or `expire` has stopped at its brake",
    ),
    (Exit::Stale, 4, "only `run --plan`, `apply` and `restore --merge`: the policy or the world is not as it was shown; look again"),
    (Exit::Warned, 5, "only `status` and `checklist`: nothing critical, but something to look at, or something that is not known"),
    (Exit::Usage, 64, "the command line makes no sense"),
    (Exit::Fault, 70, "a fault of seawall itself; please report it"),
    (
        Exit::TryAgain,
        75,
        "only `run`, `drill` and `restore --table`: failed for a reason that may pass, or somebody else is at it; and `restore`: what lies in an \
         archive class was requested and is on its way; and `promote`: no store answers, or another host promotes. Run it again",
    ),
    (Exit::NotRun, 125, "only `guard`, whose other codes are its command's own: the command was not run, whatever else is wrong"),
    (Exit::NotExecutable, 126, "only `guard`: the command was not run, because it is no program"),
    (Exit::NotFound, 127, "only `guard`: the command was not run, because it is not there"),
    (Exit::Interrupted, 130, "interrupted from the keyboard"),
    (Exit::ClosedPipe, 141, "the reader of the output went away (`seawall … | head`)"),
    (Exit::Terminated, 143, "asked to end by SIGTERM"),
    // Above 125 for PostgreSQL, and neither a shell's nor a signal's number.
    (Exit::Unfetched, 200, "only `wal fetch`: not fetched and not known to be absent; recovery must stop"),
];

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Check(state) => state as u8,
            Exit::Command(code) => code,
            exit => TABLE.iter().find(|(known, ..)| *known == exit).map_or(70, |(_, code, _)| *code),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// The table for `--help`.
pub fn table() -> String {
    let lines: Vec<String> = TABLE.iter().map(|(_, code, meaning)| format!("  {code:>3}  {meaning}")).collect();
    format!("Exit codes (`seawall check` has those of Nagios: 0 ok, 1 warning, 2 critical, 3 unknown):\n{}", lines.join("\n"))
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The command line makes no sense.
    #[error("{message}")]
    Usage { message: String, hint: String },
    /// The work failed.
    #[error("{message}")]
    Failed { message: String, hint: String },
    /// What was to be done no longer fits the world.
    #[error("{message}")]
    Stale { message: String, hint: String },
    /// Nothing is wrong, and it cannot be done yet.
    #[error("{message}")]
    TryAgain { message: String, hint: String },
    /// A fault of this program.
    #[error("{0}")]
    Fault(String),
    /// Nothing more can be printed.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl Trouble {
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Trouble::Usage { message: message.into(), hint: hint.into() }
    }

    pub fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Trouble::Failed { message: message.into(), hint: hint.into() }
    }

    pub fn stale(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Trouble::Stale { message: message.into(), hint: hint.into() }
    }

    pub fn try_again(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Trouble::TryAgain { message: message.into(), hint: hint.into() }
    }

    pub fn fault(message: impl Into<String>) -> Self {
        Trouble::Fault(message.into())
    }

    pub fn exit(&self) -> Exit {
        match self {
            Trouble::Fault(_) => Exit::Fault,
            Trouble::Usage { .. } => Exit::Usage,
            Trouble::Stale { .. } => Exit::Stale,
            Trouble::TryAgain { .. } => Exit::TryAgain,
            Trouble::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::ClosedPipe,
            Trouble::Failed { .. } | Trouble::Output(_) => Exit::Failed,
        }
    }

    pub fn hint(&self) -> Option<&str> {
        match self {
            Trouble::Usage { hint, .. } | Trouble::Failed { hint, .. } | Trouble::Stale { hint, .. } | Trouble::TryAgain { hint, .. } => {
                Some(hint).filter(|hint| !hint.is_empty()).map(String::as_str)
            }
            Trouble::Fault(_) => Some("This is a fault of seawall, not of your policy; please report it with the policy."),
            Trouble::Output(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_a_code_of_its_own() {
        let mut codes: Vec<u8> = TABLE.iter().map(|(_, code, _)| *code).collect();
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
        assert_eq!(Exit::Fault.code(), 70);
    }
}
