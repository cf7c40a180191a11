//! The command that is guarded: its input and output, its signals and its end are its own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::fs::{Access, access};

use crate::world::signals::Relay;

/// Why it does not begin, as a shell tells it: 127 and 126.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCommand {
    NotFound,
    NotExecutable,
}

/// Looks for the program as it will be looked for when it is run.
pub fn find(program: &OsStr) -> Result<(), NoCommand> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_in(program, &std::env::split_paths(&path).collect::<Vec<_>>())
}

fn find_in(program: &OsStr, folders: &[PathBuf]) -> Result<(), NoCommand> {
    let is_path = program.as_encoded_bytes().contains(&b'/');
    let places = if is_path { vec![PathBuf::from(program)] } else { folders.iter().map(|folder| folder.join(program)).collect() };
    let mut found = Err(NoCommand::NotFound);
    for place in places.iter().filter(|place| !program.is_empty() && place.exists()) {
        if runs(place) {
            return Ok(());
        }
        found = Err(NoCommand::NotExecutable);
    }
    found
}

fn runs(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// Runs it to its end, however long that takes.
pub fn run(words: &[OsString], about: &[(&str, String)], relay: &Relay) -> Result<ExitStatus, (NoCommand, io::Error)> {
    let fault = |error: io::Error| {
        let why = if error.kind() == io::ErrorKind::NotFound { NoCommand::NotFound } else { NoCommand::NotExecutable };
        (why, error)
    };
    let Some((program, arguments)) = words.split_first() else { return Err(fault(io::ErrorKind::NotFound.into())) };
    let about = about.iter().map(|(name, value)| (format!("SEAWALL_GUARD_{name}"), value));
    let mut child = Command::new(program).args(arguments).envs(about).spawn().map_err(fault)?;
    relay.begin(child.id());
    let ended = loop {
        match child.wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => break ended,
        }
    };
    relay.end();
    // Where nobody is told of children (SIGCHLD is ignored) it has ended all the same.
    Ok(ended.unwrap_or(ExitStatus::from_raw(UNKNOWN << 8)))
}

/// It ran, and how it ended is not known.
const UNKNOWN: i32 = 255;

/// What a shell says of a program that ended so.
pub fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(UNKNOWN);
    u8::try_from(code & 0xff).unwrap_or(255)
}

/// The same for people.
pub fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "succeeded".to_owned(),
        (Some(code), _) => format!("FAILED with exit status {code}"),
        (None, Some(signal)) => format!("was ENDED by signal {signal}"),
        (None, None) => "ended, nobody knows how".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_finds_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "").expect("a file");
        let folders = [PathBuf::from("/bin"), folder.path().to_owned()];
        let found = |program: &str| find_in(OsStr::new(program), &folders);
        assert_eq!((found("sh"), found("/bin/sh")), (Ok(()), Ok(())));
        assert_eq!((found("plain"), found(&plain.display().to_string())), (Err(NoCommand::NotExecutable), Err(NoCommand::NotExecutable)));
        assert_eq!(
            (found("no-such-program"), found("/bin"), found("")),
            (Err(NoCommand::NotFound), Err(NoCommand::NotExecutable), Err(NoCommand::NotFound))
        );
    }

    #[test]
    fn an_end_is_told_as_a_shell_tells_it() {
        let ended = |script: &str| {
            let words = ["sh", "-c", script].map(OsString::from);
            run(&words, &[("NAME", "n".to_owned())], &Relay::default()).expect("it runs")
        };
        assert_eq!(code(ended("exit 3")), 3);
        assert_eq!(code(ended("kill -9 $$")), 137);
        assert_eq!(code(ended("test \"$SEAWALL_GUARD_NAME\" = n")), 0);
        let missing = run(&["/no/such/program".into()], &[], &Relay::default()).expect_err("it is not there");
        assert_eq!(missing.0, NoCommand::NotFound);
    }
}
