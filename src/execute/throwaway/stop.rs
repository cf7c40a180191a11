//! Ends what was started beside a throw-away copy, and nothing else: a process is ours when it works in the copy's own data directory, or when
//! its environment names the copy. Nothing has to be written down for that, so there is no moment at which a program runs that nobody knows of.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::units::BackupId;

const LOOK: Duration = Duration::from_millis(20);
/// A server that is to end at once gives its own processes five seconds.
const AT_ONCE: Duration = Duration::from_secs(15);
const KILLED: Duration = Duration::from_secs(10);

/// In the environment of the policy's program beside a copy, and so of whatever that starts: the copy's identifier.
pub const BESIDE: &str = "SEAWALL_COPY";

/// Ends whatever was started beside the copy of this identifier, also what left its group or has lost its parent.
pub(super) fn end_programs(id: &BackupId) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let ours = programs(id);
        if ours.is_empty() {
            return Ok(());
        }
        if began.elapsed() > KILLED {
            return Err(format!("processes {ours:?}, started beside the copy, do not end"));
        }
        signal(&ours, Signal::KILL);
        std::thread::sleep(LOOK);
    }
}

/// What has ended and was not waited for has no environment any more.
fn programs(id: &BackupId) -> Vec<i32> {
    let mark = format!("{BESIDE}={id}");
    let own = std::process::id().cast_signed();
    processes()
        .filter(|number| *number != own && environment(*number).split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()))
        .collect()
}

fn environment(process: i32) -> Vec<u8> {
    fs::read(format!("/proc/{process}/environ")).unwrap_or_default()
}

fn processes() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Ends the server of this data directory, without a checkpoint: nothing of it is needed.
pub(super) fn end_server(data: &Path) -> Result<(), String> {
    let ours = servers(data);
    if ours.is_empty() {
        return Ok(());
    }
    let file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let postmaster = file.lines().next().and_then(|line| line.trim().parse::<i32>().ok()).filter(|pid| ours.contains(pid));
    match postmaster {
        Some(postmaster) => signal(&[postmaster], Signal::QUIT),
        // It has just begun, or has just been killed.
        None => signal(&ours, Signal::QUIT),
    }
    if ended(data, AT_ONCE) {
        return Ok(());
    }
    signal(&servers(data), Signal::KILL);
    if ended(data, KILLED) { Ok(()) } else { Err(format!("processes {:?} are still there", servers(data))) }
}

fn signal(processes: &[i32], signal: Signal) {
    for process in processes.iter().filter_map(|process| Pid::from_raw(*process)) {
        let _ = kill_process(process, signal);
    }
}

fn ended(data: &Path, within: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < within {
        if servers(data).is_empty() {
            return true;
        }
        std::thread::sleep(LOOK);
    }
    false
}

/// PostgreSQL's processes that work in this directory.
fn servers(data: &Path) -> Vec<i32> {
    // Through no link: the folder belongs to the server's account, which may lead elsewhere from it.
    let Some(about) = fs::symlink_metadata(data).ok().filter(fs::Metadata::is_dir) else { return Vec::new() };
    processes()
        .filter(|number| {
            let here = fs::metadata(format!("/proc/{number}/cwd")).is_ok_and(|cwd| (cwd.dev(), cwd.ino()) == (about.dev(), about.ino()));
            here && is_server(*number) && fs::metadata(format!("/proc/{number}")).is_ok_and(|process| process.uid() == about.uid())
        })
        .collect()
}

fn is_server(process: i32) -> bool {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    name.starts_with("postgres") || name.starts_with("postmaster")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;

    #[test]
    fn what_was_started_beside_a_copy_is_ended_and_nothing_else_is() {
        let id = |text: &str| text.parse::<BackupId>().expect("an identifier");
        let (ours, other) = (id("20261122T010203Z-aaaaaa"), id("20261122T010203Z-aaaaab"));
        let sleep = |id: &BackupId| std::process::Command::new("sleep").arg("60").env(BESIDE, id.as_str()).process_group(0).spawn();
        let (mut child, mut neighbour) = (sleep(&ours).expect("it starts"), sleep(&other).expect("it starts"));
        assert_eq!(end_programs(&ours), Ok(()));
        assert!(!child.wait().expect("asked").success());
        assert!(neighbour.try_wait().expect("asked").is_none(), "it is beside another copy");
        neighbour.kill().and_then(|()| neighbour.wait()).expect("killed");
    }

    #[test]
    fn only_a_server_in_the_directory_is_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = std::process::Command::new("sleep").arg("60").current_dir(folder.path()).spawn().expect("it starts");
        assert_eq!((servers(folder.path()), end_server(folder.path())), (Vec::new(), Ok(())));
        assert!(child.try_wait().expect("asked").is_none(), "a process that is none of PostgreSQL's is left alone");
        child.kill().and_then(|()| child.wait()).expect("killed");
    }
}
