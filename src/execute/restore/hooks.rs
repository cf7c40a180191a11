//! The policy's own programs, before and after.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant as Clock};

use super::RestoreFault;
use crate::policy::file;

const USUAL: Duration = Duration::from_secs(300);

/// Runs a hook to its end. What it prints goes to the log, not among our results.
pub fn run(name: &str, hook: &file::Command, about: &[(&str, String)]) -> Result<(), RestoreFault> {
    let Some((program, arguments)) = hook.run.split_first() else { return Ok(()) };
    let fault =
        |what: String| RestoreFault::new(format!("the hook `hooks.{name}` {what}"), "Mend what it says, or the policy; then run it again.");
    let mut child = Command::new(program)
        .args(arguments)
        .envs(about.iter().map(|(name, value)| (format!("SEAWALL_{name}"), value)))
        .env("SEAWALL_HOOK", name)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .spawn()
        .map_err(|error| fault(format!("cannot be started: {error}")))?;
    let patience = hook.timeout.map_or(USUAL, |timeout| Duration::from_secs(timeout.as_secs()));
    let began = Clock::now();
    loop {
        match child.try_wait().map_err(|error| fault(format!("cannot be waited for: {error}")))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(fault(format!("failed ({status})"))),
            None if began.elapsed() > patience => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(fault(format!("did not end within {} s", patience.as_secs())));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
