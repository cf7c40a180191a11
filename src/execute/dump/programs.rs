//! PostgreSQL's own programs for dumps: found where they usually are, or where the policy says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::execute::backup::BackupFault;

/// Up to here installed versions are looked for by their usual places.
const NEWEST: u32 = 30;

/// A folder with `pg_dump`, `pg_dumpall` and `pg_restore`.
#[derive(Debug, Clone)]
pub(in crate::execute) struct Programs {
    folder: PathBuf,
    pub major: u32,
    /// As the program says it: `pg_dump (PostgreSQL) 16.4`.
    pub version: String,
}

impl Programs {
    /// For a server: those of its own version, or the oldest of the newer ones. An older `pg_dump` does not know what a newer server has.
    pub(in crate::execute) fn find(named: Option<&Path>, server: u32) -> Result<Programs, BackupFault> {
        if let Some(folder) = named {
            let found = Programs::at(folder).ok_or_else(|| {
                let message = format!("`{}` has no `pg_dump` that runs", folder.display());
                BackupFault::refused(message, "Let `logical.programs` name the folder that holds it.")
            })?;
            return if found.major >= server { Ok(found) } else { Err(older(&found, server)) };
        }
        let usual = (server..=NEWEST).flat_map(usual_folders);
        let path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
        let mut too_old = None;
        let mut newer: Option<Programs> = None;
        for found in usual.chain(path).filter_map(|folder| Programs::at(&folder)) {
            match found.major {
                major if major == server => return Ok(found),
                major if major < server => too_old = Some(found),
                major if newer.as_ref().is_none_or(|known| major < known.major) => newer = Some(found),
                _ => {}
            }
        }
        match (newer, too_old) {
            (Some(newer), _) => Ok(newer),
            (None, Some(old)) => Err(older(&old, server)),
            (None, None) => Err(BackupFault::refused(
                format!("there is no `pg_dump` for PostgreSQL {server} here, or not where it usually is"),
                format!("Install PostgreSQL {server}'s client programs, or let `logical.programs` name their folder."),
            )),
        }
    }

    pub(in crate::execute) fn folder(&self) -> &Path {
        &self.folder
    }

    fn at(folder: &Path) -> Option<Programs> {
        let program = folder.join("pg_dump");
        if !program.is_file() {
            return None;
        }
        let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let major = number.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()?;
        Some(Programs { folder: folder.to_owned(), major, version })
    }

    /// One of them, which asks nobody and speaks English.
    pub(in crate::execute) fn command(&self, program: &str, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.args(arguments.into_iter().map(Into::into)).env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        command
    }
}

fn usual_folders(major: u32) -> [PathBuf; 3] {
    [format!("/usr/lib/postgresql/{major}/bin"), format!("/usr/pgsql-{major}/bin"), format!("/opt/homebrew/opt/postgresql@{major}/bin")]
        .map(PathBuf::from)
}

fn older(found: &Programs, server: u32) -> BackupFault {
    BackupFault::refused(
        format!("`{}` is version {}, and the server is PostgreSQL {server}", found.folder.join("pg_dump").display(), found.major),
        format!("pg_dump refuses servers that are newer than itself: install PostgreSQL {server}'s client programs."),
    )
}
