//! PostgreSQL's own programs, of the right major version.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::SystemTime;

use super::RestoreFault;
use crate::pipeline::restore::Owner;

/// The folder with `postgres` and `pg_ctl` of this major version.
pub fn find(given: Option<&Path>, major: u32) -> Result<PathBuf, RestoreFault> {
    if let Some(folder) = given {
        return match version(folder) {
            Some(found) if found == major => Ok(folder.to_owned()),
            Some(found) => Err(RestoreFault::new(
                format!("`{}` has PostgreSQL {found}, the backup is of {major}", folder.display()),
                "A data directory starts with its own major version only.",
            )),
            None => Err(RestoreFault::new(
                format!("`{}` has no `postgres` that runs", folder.display()),
                "Give the folder that holds `pg_ctl`.",
            )),
        };
    }
    let usual = [
        format!("/usr/lib/postgresql/{major}/bin"),
        format!("/usr/pgsql-{major}/bin"),
        format!("/opt/homebrew/opt/postgresql@{major}/bin"),
        "/usr/local/pgsql/bin".to_owned(),
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = usual.into_iter().map(PathBuf::from).chain(std::env::split_paths(&path));
    folders.filter(|folder| folder.join("pg_ctl").is_file()).find(|folder| version(folder) == Some(major)).ok_or_else(|| {
        RestoreFault::new(
            format!("PostgreSQL {major} is not installed here, or not where it usually is"),
            "Install it, or say where it is with `--start-with DIR`.",
        )
    })
}

/// The folder with the programs of this major version, or else of the next one that is installed: what is no data directory comes back into
/// a newer server too.
pub fn find_from(given: Option<&Path>, least: u32) -> Result<(PathBuf, u32), RestoreFault> {
    /// Up to here installed versions are looked for.
    const NEWEST: u32 = 30;
    if let Some(folder) = given {
        return match version(folder) {
            Some(found) if found >= least => Ok((folder.to_owned(), found)),
            Some(found) => Err(RestoreFault::new(
                format!("`{}` has PostgreSQL {found}, and {least} or a newer one is needed", folder.display()),
                "A dump does not go back into an older server than it was made for.",
            )),
            None => find(given, least).map(|folder| (folder, least)),
        };
    }
    let found = (least..=NEWEST).find_map(|major| find(None, major).ok().map(|folder| (folder, major)));
    found.ok_or_else(|| {
        let message = format!("neither PostgreSQL {least} nor a newer one is installed here, or not where it usually is");
        RestoreFault::new(message, "Install it, or say where it is with `--start-with DIR`.")
    })
}

/// Asked once of each program: starting it takes longer than reading a small catalog.
fn version(folder: &Path) -> Option<u32> {
    /// By what tells one that was upgraded meanwhile from what it was.
    type Known = BTreeMap<(PathBuf, u64, Option<SystemTime>), u32>;
    static KNOWN: Mutex<Known> = Mutex::new(BTreeMap::new());
    let program = folder.join("postgres");
    let about = fs::metadata(&program).ok()?;
    let key = (program, about.len(), about.modified().ok());
    if let Some(known) = KNOWN.lock().ok()?.get(&key) {
        return Some(*known);
    }
    let version = asked(&key.0)?;
    KNOWN.lock().ok()?.insert(key, version);
    Some(version)
}

fn asked(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// A program that runs as the one the data belongs to, because PostgreSQL refuses to run as root.
pub fn as_owner(program: &Path, owner: Option<Owner>) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    if let Some(Owner { uid, gid }) = owner {
        command.uid(uid).gid(gid);
    }
    // What the caller's shell says about other servers must not reach this one.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command.current_dir("/").stdin(Stdio::null());
    command
}
