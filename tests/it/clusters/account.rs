//! Who servers run as.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Ourselves, or `postgres` when we are root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    Own,
    Postgres,
}

impl Account {
    pub fn current() -> Account {
        if rustix::process::geteuid().is_root() { Account::Postgres } else { Account::Own }
    }

    /// A program that will run as this account, without the caller's PG* variables.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self {
            Account::Own => Command::new(program),
            Account::Postgres => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C.UTF-8").current_dir("/").stdin(Stdio::null());
        command
    }

    /// Hands a folder and everything in it to this account.
    pub fn own(self, path: &Path) {
        if self == Account::Postgres {
            run(Command::new("chown").args(["-R", "postgres:"]).arg(path));
        }
    }
}

/// Runs to the end; a failure shows what was said.
pub(super) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
