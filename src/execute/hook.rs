//! The policy's own programs, before and after what Seawall does.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;

use crate::policy::file;
use crate::policy::model::Policy;

const USUAL: Duration = Duration::from_secs(300);
/// How long a program that is asked to end may take over it.
const MERCY: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// A hook that did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HookFault {
    #[error("the hook `{path}` {what}")]
    Failed { path: String, what: String },
    #[error("it was interrupted during the hook `{path}`")]
    Interrupted { path: String },
}

impl HookFault {
    pub fn hint(&self) -> &'static str {
        match self {
            HookFault::Failed { .. } => "Mend what it says, or the policy; then run it again.",
            HookFault::Interrupted { .. } => "",
        }
    }
}

/// When one of a policy's programs around a recovery runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

impl When {
    fn of(self, policy: &Policy) -> Option<(&'static str, &file::Command)> {
        let all = policy.file.hooks.as_ref()?;
        match self {
            When::Before => Some(("hooks.before_restore", all.before_restore.as_ref()?)),
            When::After => Some(("hooks.after_restore", all.after_restore.as_ref()?)),
        }
    }
}

/// `hooks.before_restore` or `hooks.after_restore`, if the policy has it.
pub fn around_restore(policy: &Policy, when: When, about: &[(&str, String)], stop: &AtomicBool) -> Result<(), HookFault> {
    match when.of(policy) {
        Some((path, hook)) => run(path, hook, about, Some(stop)),
        None => Ok(()),
    }
}

/// Where they are about to run, for people who are asked.
pub fn around_restore_says(policy: &Policy) -> Option<String> {
    let names = |when: When, what: &str| when.of(policy).map(|(path, _)| format!("`{path}` {what}"));
    let both = [names(When::Before, "runs before anything is changed"), names(When::After, "runs when all of it is done")];
    let both: Vec<String> = both.into_iter().flatten().collect();
    (!both.is_empty()).then(|| both.join(", "))
}

/// Runs a hook to its end. What it prints goes to the log, not among our results. `path` is where the policy has it; `about` is what it
/// can read from its environment, as `SEAWALL_NAME`.
///
/// Who can be told to `stop` runs it in a group of processes of its own, which is ended as a whole. For others a signal to them, or Ctrl-C,
/// must reach the hook by itself.
pub fn run(path: &str, hook: &file::Command, about: &[(&str, String)], stop: Option<&AtomicBool>) -> Result<(), HookFault> {
    let Some((program, arguments)) = hook.run.split_first() else { return Ok(()) };
    let fault = |what: String| HookFault::Failed { path: path.to_owned(), what };
    let mut command = Command::new(program);
    if stop.is_some() {
        command.process_group(0);
    }
    let mut child = command
        .args(arguments)
        .envs(about.iter().map(|(name, value)| (format!("SEAWALL_{name}"), value)))
        .env("SEAWALL_HOOK", path.rsplit('.').next().unwrap_or(path))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .spawn()
        .map_err(|error| fault(format!("cannot be started: {error}")))?;
    let patience = hook.timeout.map_or(USUAL, |timeout| Duration::from_secs(timeout.as_secs()));
    let began = Stopwatch::now();
    loop {
        match child.try_wait().map_err(|error| fault(format!("cannot be waited for: {error}")))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(fault(format!("failed ({})", ended(status)))),
            None if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) => {
                end_group(&mut child);
                return Err(HookFault::Interrupted { path: path.to_owned() });
            }
            None if began.elapsed() > patience => {
                match stop {
                    Some(_) => end_group(&mut child),
                    None => end_one(&mut child),
                }
                return Err(fault(format!("did not end within {} s", patience.as_secs())));
            }
            None => thread::sleep(LOOK),
        }
    }
}

pub(super) fn ended(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit status {code}"))
}

fn end_one(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Asks the whole group to end, and after a while ends it.
pub(super) fn end_group(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let signal = |signal: Signal| group.map(|group| kill_process_group(group, signal));
    let asked = Stopwatch::now();
    let _ = signal(Signal::TERM);
    while asked.elapsed() < MERCY && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(LOOK);
    }
    // Also when the program itself is gone: what it left in the group goes with it.
    let _ = signal(Signal::KILL);
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Option<&str>) -> file::Command {
        file::Command {
            run: vec!["sh".into(), "-c".into(), script.into()],
            timeout: timeout.map(|timeout| timeout.parse().expect("a duration")),
        }
    }

    #[test]
    fn a_hook_is_waited_for_told_what_it_is_about_and_judged_by_its_end() {
        let never = AtomicBool::new(false);
        let about = [("JOB", "nightly".to_owned())];
        let script = r#"test "$SEAWALL_JOB" = nightly && test "$SEAWALL_HOOK" = before"#;
        assert_eq!(run("backups.nightly.before", &shell(script, None), &about, Some(&never)), Ok(()));
        let failed = run("backups.nightly.before", &shell("exit 3", None), &[], Some(&never)).expect_err("it fails");
        assert_eq!(failed.to_string(), "the hook `backups.nightly.before` failed (exit status 3)");
        let missing = file::Command { run: vec!["/nowhere/to/be/found".into()], timeout: None };
        assert!(run("x", &missing, &[], Some(&never)).expect_err("it is not there").to_string().contains("cannot be started"));
    }

    #[test]
    fn its_children_end_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = folder.path().join("mark");
        let script = format!("(sleep 6; touch {}) & sleep 30", mark.display());
        let late = run("x", &shell(&script, Some("1s")), &[], Some(&AtomicBool::new(false))).expect_err("too long");
        assert!(late.to_string().contains("did not end within 1 s"), "{late}");
        let stopped = run("x", &shell(&script, None), &[], Some(&AtomicBool::new(true))).expect_err("stopped");
        assert_eq!(stopped, HookFault::Interrupted { path: "x".into() });
        thread::sleep(Duration::from_secs(7));
        assert!(!mark.exists());
    }
}
