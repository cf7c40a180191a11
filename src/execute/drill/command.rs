//! The application's own tests, against the copy.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant as Clock};

use crate::execute::hook;
use crate::execute::throwaway::{BESIDE, Place};
use crate::inventory::CommandEnd;
use crate::policy::file;
use crate::world::files;

const USUAL: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(10);
/// Of what it said, the end is kept.
const KEPT: u64 = 4 << 10;
/// More would fill the disk that the copy lies on.
const MOST: u64 = 256 << 20;
/// All that it gets of our environment: what we know of stores and secrets is not its business.
const PASSED_ON: [&str; 10] = ["PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME", "TMPDIR", "SHELL"];

/// Runs it to its end, or to that of its time. Whatever it started goes with it.
pub(super) fn run(program: &file::Command, variables: &[(&str, String)], place: &Place, stop: &AtomicBool) -> CommandEnd {
    let began = Clock::now();
    let shown = program.run.first().cloned().unwrap_or_default();
    let (succeeded, says) = match start(program, variables, place) {
        Ok(mut child) => wait(&mut child, program, &place.output(), stop),
        Err(error) => (false, format!("it cannot be started: {error}")),
    };
    let output = tail(&place.output()).unwrap_or_default();
    CommandEnd { program: shown, succeeded, says, output, millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) }
}

fn start(program: &file::Command, variables: &[(&str, String)], place: &Place) -> io::Result<Child> {
    let (name, arguments) = program.run.split_first().ok_or_else(|| io::Error::other("no program is named"))?;
    let said = files::open_or_make(&place.output(), OpenOptions::new().append(true))?;
    let passed_on = PASSED_ON.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    Command::new(name)
        .args(arguments)
        .env_clear()
        .envs(passed_on)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env(BESIDE, place.id().as_str())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .spawn()
}

fn wait(child: &mut Child, program: &file::Command, output: &Path, stop: &AtomicBool) -> (bool, String) {
    let patience = program.timeout.map_or(USUAL, |timeout| Duration::from_secs(timeout.as_secs()));
    let began = Clock::now();
    loop {
        let why = match child.try_wait() {
            Ok(Some(status)) => {
                // What it left running would use a server that goes now.
                hook::end_group(child);
                return (status.success(), hook::ended(status));
            }
            Err(error) => format!("it cannot be waited for: {error}"),
            Ok(None) if stop.load(Ordering::Relaxed) => "it was ended with the drill".to_owned(),
            Ok(None) if began.elapsed() > patience => format!("it did not end within {} s", patience.as_secs()),
            Ok(None) if fs::metadata(output).is_ok_and(|about| about.len() > MOST) => "it said too much".to_owned(),
            Ok(None) => {
                thread::sleep(LOOK);
                continue;
            }
        };
        hook::end_group(child);
        return (false, why);
    }
}

/// From the beginning of a line.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(KEPT);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(KEPT).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = if from == 0 { text.as_ref() } else { text.split_once('\n').map_or(text.as_ref(), |(_, rest)| rest) };
    Ok(whole.trim_end().to_owned())
}
