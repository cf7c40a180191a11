//! `pg_restore`, fed with what comes out of a store.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::own::MAKE_ROLES;
use crate::execute::dump::child::{Halt, end, group_of, listen, may_pass, shown};
use crate::execute::restore::RestoreFault;
use crate::pipeline::PipelineFault;

const LOOK: Duration = Duration::from_millis(100);
const TAKEN: Duration = Duration::from_millis(2);
const BUFFER: usize = 1 << 20;

/// What a program is given.
pub(in crate::execute) struct Source<'s> {
    pub from: &'s mut dyn Read,
    /// Bytes of it that were read.
    pub fed: &'s AtomicU64,
    /// It has taken all of it.
    pub given: &'s dyn Fn(),
}

/// Gives a program all of `source`, if there is one, and waits for its end.
pub(super) fn feed(command: Command, halt: &Halt<'_>, key: &str, source: Option<Source<'_>>) -> Result<(), RestoreFault> {
    feed_and_hear(command, halt, key, source)?
}

/// The same, with what the program itself found wrong apart from what kept it from its work.
pub(in crate::execute) fn feed_and_hear(
    command: Command,
    halt: &Halt<'_>,
    key: &str,
    source: Option<Source<'_>>,
) -> Result<Result<(), RestoreFault>, RestoreFault> {
    use std::os::unix::process::CommandExt as _;
    let mut command = tethered(command);
    let stdin = if source.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let cannot = |error: std::io::Error| RestoreFault::new(format!("pg_restore cannot be run: {error}"), "");
    let mut child = command.spawn().map_err(cannot)?;
    let (to, mut err) = (child.stdin.take(), child.stderr.take().expect("it is piped"));
    let group = group_of(&child);
    let (said, wrong, read, ended) = thread::scope(|scope| {
        let said = scope.spawn(move || listen(&mut err));
        let (done, is_done) = mpsc::channel::<()>();
        let watch = scope.spawn(move || {
            while is_done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if halt.check().is_err() {
                    end(group);
                    return true;
                }
            }
            false
        });
        let read = match (source, to) {
            (Some(source), Some(mut to)) => {
                let given = source.given;
                let read = pump(source, &mut to, key);
                if read.is_ok() && taken(&to, &child, halt) {
                    given();
                }
                read
            }
            _ => Ok(()),
        };
        if read.is_err() {
            end(group);
        }
        drop(done);
        let mut wrong = watch.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // It has all, and may build indexes for hours. Not collected yet, its number is its own.
        let ended = loop {
            match child.try_wait() {
                Ok(None) => thread::sleep(LOOK),
                other => break other,
            }
            if !wrong && halt.check().is_err() {
                wrong = true;
                end(group);
            }
        };
        (said.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), wrong, read, ended)
    });
    read?;
    if wrong {
        return Err(RestoreFault::new("it was interrupted", ""));
    }
    match ended.map_err(cannot)? {
        Some(status) if status.success() => Ok(Ok(())),
        _ => {
            let mut fault = RestoreFault::new(format!("pg_restore failed: {}", shown(&without_data(&said))), hint(&said));
            fault.passing = may_pass(&said);
            Ok(Err(fault))
        }
    }
}

/// Behind the rows it reads nothing more for hours: it would not see that whoever feeds it was killed, and would go on making indexes. Where this
/// system has what can tie it to this process, it ends with it.
fn tethered(command: Command) -> Command {
    static CAN: OnceLock<bool> = OnceLock::new();
    let tie = || {
        let mut tie = Command::new("setpriv");
        tie.args(["--pdeathsig", "KILL"]).stdin(Stdio::null());
        tie
    };
    let can = || tie().arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !*CAN.get_or_init(can) {
        return command;
    }
    let mut tied = tie();
    tied.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => tied.env(name, value),
            None => tied.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        tied.current_dir(folder);
    }
    tied
}

/// Waits until it has read what lies in the pipe, which of a small dump is all of it. False where it ends before.
fn taken(to: &ChildStdin, child: &Child, halt: &Halt<'_>) -> bool {
    // It is not collected here, so that its number stays its own.
    let has_ended = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
    };
    while rustix::io::ioctl_fionread(to).is_ok_and(|left| left > 0) {
        if has_ended() || halt.check().is_err() {
            return false;
        }
        thread::sleep(TAKEN);
    }
    true
}

/// A program that takes no more has ended, and says itself why.
fn pump(source: Source<'_>, to: &mut impl Write, key: &str) -> Result<(), RestoreFault> {
    let mut buffer = vec![0; BUFFER];
    let mut takes = true;
    loop {
        let got = source.from.read(&mut buffer).map_err(|error| PipelineFault::of_stream(key, &error))?;
        if got == 0 {
            return Ok(());
        }
        source.fed.fetch_add(got as u64, Ordering::Relaxed);
        takes = takes && to.write_all(&buffer[..got]).is_ok();
        if !takes {
            return Ok(());
        }
    }
}

/// It repeats statements, in which there may be passwords, and rows.
fn without_data(said: &str) -> String {
    let before = said.split("Command was:").next().unwrap_or_default();
    let line = |line: &str| match line.find("CONTEXT:  COPY").and_then(|at| line[at..].find(": \"").map(|cut| at + cut)) {
        Some(cut) => line[..cut].to_owned(),
        None => line.to_owned(),
    };
    before.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn hint(said: &str) -> &'static str {
    if said.contains("role") && said.contains("does not exist") {
        MAKE_ROLES
    } else if said.contains("already exists") {
        "Something of it is in this database already: restore into a new one with `--create`."
    } else if said.contains("unrecognized configuration parameter") {
        "This pg_restore is newer than the server: dump with the server's own version, or restore into a newer server."
    } else {
        "Its own words say what is wrong."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_statements_nor_rows_are_repeated() {
        let said = "pg_restore: error: could not execute query: ERROR:  must be superuser\nCommand was: CREATE SUBSCRIPTION s CONNECTION 'password=secret';\n";
        assert_eq!(without_data(said), "pg_restore: error: could not execute query: ERROR:  must be superuser");
        let copied =
            "pg_restore: error: COPY failed for table \"t\": ERROR:  invalid input\nCONTEXT:  COPY t, line 1, column a: \"secret\"";
        assert!(without_data(copied).ends_with("CONTEXT:  COPY t, line 1, column a"), "{}", without_data(copied));
    }
}
