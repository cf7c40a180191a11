//! One of PostgreSQL's programs at work: what it writes is taken as it comes, and it ends when nobody wants it any more.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::execute::backup::BackupFault;
use crate::site::SiteFault;

const LOOK: Duration = Duration::from_millis(100);
const BUFFER: usize = 1 << 20;
/// More of what a program says on the side says no more.
const MOST_SAID: usize = 64 << 10;
const MOST_SHOWN: usize = 2000;

/// What may end a dump before its end.
#[derive(Debug)]
pub(in crate::execute) struct Halt<'h> {
    /// Somebody pressed Ctrl-C.
    pub stop: &'h AtomicBool,
    /// Another piece of the same work has failed.
    pub abort: AtomicBool,
    pub deadline: Option<Instant>,
}

impl Halt<'_> {
    pub(in crate::execute) fn check(&self) -> Result<(), BackupFault> {
        if self.stop.load(Ordering::Relaxed) || self.abort.load(Ordering::Relaxed) {
            return Err(BackupFault::Interrupted);
        }
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => {
                Err(BackupFault::refused("the backup took longer than its `timeout`", "Look what was slow, or allow it more."))
            }
            _ => Ok(()),
        }
    }
}

/// Runs it to its end. Only when it ended well, and `each` took all that it wrote, there is no fault.
pub(in crate::execute) fn stream(
    command: Command,
    halt: &Halt<'_>,
    each: &mut dyn FnMut(&[u8]) -> Result<(), BackupFault>,
) -> Result<(), BackupFault> {
    use std::os::unix::process::CommandExt as _;
    let mut command = command;
    let program = name_of(&command);
    halt.check()?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| BackupFault::refused(format!("{program} cannot be started: {error}"), ""))?;
    let (mut out, mut err) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
    let group = group_of(&child);
    let (said, wrong, read) = thread::scope(|scope| {
        let said = scope.spawn(move || listen(&mut err));
        let (done, is_done) = mpsc::channel::<()>();
        // It is not waited for before this thread has ended, so its number is nobody else's.
        let watch = scope.spawn(move || {
            while is_done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if let Err(fault) = halt.check() {
                    end(group);
                    return Some(fault);
                }
            }
            None
        });
        let read = pump(&mut out, each);
        if read.is_err() {
            end(group);
        }
        drop(out);
        drop(done);
        let wrong = watch.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let said = said.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (said, wrong, read)
    });
    let ended = child.wait().map_err(|error| BackupFault::refused(format!("{program} cannot be waited for: {error}"), ""))?;
    match (wrong, read) {
        (Some(fault), _) => Err(fault),
        // What it could not give because it failed itself is told by itself.
        (None, Err(fault)) if ended.success() || ended.code().is_none() => Err(fault),
        (None, _) if !ended.success() => {
            let status = ended.code().map_or_else(|| ended.to_string(), |code| format!("exit status {code}"));
            let fault = SiteFault::new(format!("{program} failed ({status}): {}", shown(&said)), hint(&said));
            Err(SiteFault { transient: may_pass(&said), ..fault }.into())
        }
        (None, read) => {
            if !said.trim().is_empty() {
                tracing::info!("{program}: {}", shown(&said));
            }
            read
        }
    }
}

fn pump(out: &mut impl Read, each: &mut dyn FnMut(&[u8]) -> Result<(), BackupFault>) -> Result<(), BackupFault> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match out.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(got) => each(&buffer[..got])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(BackupFault::refused(format!("what it writes cannot be read: {error}"), "")),
        }
    }
}

/// The beginning of what it says; the rest is taken and left.
pub(in crate::execute) fn listen(err: &mut impl Read) -> String {
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(got @ 1..) = err.read(&mut buffer) {
        if said.len() < MOST_SAID {
            said.extend_from_slice(&buffer[..got]);
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// The program and what it has started.
pub(in crate::execute) fn group_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

pub(in crate::execute) fn end(group: Option<Pid>) {
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn name_of(command: &Command) -> String {
    std::path::Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Its words in one line.
pub(in crate::execute) fn shown(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut text = lines.join("; ");
    if text.len() > MOST_SHOWN {
        let end = (0..=MOST_SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What to do about the faults that are met most.
fn hint(said: &str) -> &'static str {
    const KNOWN: [(&str, &str); 7] = [
        (
            "permission denied for large object",
            "Dump as their owner or as a superuser: `pg_read_all_data` does not open large objects. `unreadable: skip` leaves all of them out, and says so.",
        ),
        (
            "permission denied for",
            "Grant the role `pg_read_all_data` (from PostgreSQL 14 on) or `select`, or leave out what it may not read: `exclude_tables`, or `unreadable: skip`.",
        ),
        // How pg_dump waits for a lock: by a limit on the statement that takes it.
        ("LOCK TABLE", "Somebody changes this table's definition; it is tried again. `logical.lock_timeout` says how long is waited."),
        ("row-level security", "Rows that the role may not see would be missing: give it `bypassrls`."),
        ("server version mismatch", "Install the client programs of the server's version."),
        ("no matching", "Check the patterns in `schemas`: nothing in the database fits one of them."),
        ("server closed the connection", "The server went away; it is tried again."),
    ];
    KNOWN.iter().find(|(words, _)| said.contains(words)).map_or("Its own words say what is wrong.", |(_, hint)| hint)
}

/// A failure that may be none a little later.
pub(in crate::execute) fn may_pass(said: &str) -> bool {
    ["statement timeout", "server closed the connection", "connection to server", "terminating connection", "could not receive data"]
        .iter()
        .any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command
    }

    fn halt(stop: &AtomicBool) -> Halt<'_> {
        Halt { stop, abort: AtomicBool::new(false), deadline: None }
    }

    #[test]
    fn what_it_writes_counts_only_when_it_ends_well() {
        let stop = AtomicBool::new(false);
        let mut all = Vec::new();
        stream(shell("printf one; printf two"), &halt(&stop), &mut |bytes| {
            all.extend_from_slice(bytes);
            Ok(())
        })
        .expect("it ends well");
        assert_eq!(all, b"onetwo");
        let failed = stream(shell("printf one; echo 'permission denied for x' >&2; exit 3"), &halt(&stop), &mut |_| Ok(()));
        let failed = failed.expect_err("it fails");
        assert_eq!(failed.to_string(), "sh failed (exit status 3): permission denied for x");
        assert!(failed.hint().contains("exclude_tables"));
    }

    #[test]
    fn it_ends_when_nobody_wants_it() {
        let began = Instant::now();
        let stop = AtomicBool::new(false);
        let late = Halt { deadline: Some(began + Duration::from_millis(200)), ..halt(&stop) };
        let ended = stream(shell("sleep 30 & sleep 30"), &late, &mut |_| Ok(())).expect_err("too long");
        assert!(ended.to_string().contains("`timeout`") && began.elapsed() < Duration::from_secs(25), "{ended}");
        let refused = stream(shell("yes"), &halt(&stop), &mut |_| Err(BackupFault::refused("no", ""))).expect_err("refused");
        assert_eq!(refused.to_string(), "no");
    }
}
