//! Whether a server may still run on a data directory. Its `postmaster.pid` says so, in numbers that mean something on one machine only,
//! and there in one PID namespace: in a container the server's number is another one than here, or nobody's.
//!
//! The file of a server that was killed is passed by only where this is proven: the disk is this machine's own, all of its processes can be
//! seen from here, none has that number, none works in the directory, and none of another container could be that server.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Pid, test_kill_process};

use super::RestoreFault;

/// The first namespace's number, the same on every Linux.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";
/// Disks of this machine alone, as `statfs` names them: ext, XFS, Btrfs, ZFS, F2FS, tmpfs, overlayfs, bcachefs.
const LOCAL: &[u64] = &[0xEF53, 0x5846_5342, 0x9123_683E, 0x2FC1_2FC1, 0xF2F5_2010, 0x0102_1994, 0x794C_7630, 0xCA45_1A4E];

/// A server that runs would write over what is restored, and be destroyed by it.
pub fn refuse_running(path: &Path) -> Result<(), RestoreFault> {
    let file = path.join("postmaster.pid");
    let doubt = match fs::read_to_string(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => format!("it cannot be read: {error}"),
        Ok(text) => {
            let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw);
            if let Some(pid) = pid.filter(|pid| test_kill_process(*pid) != Err(rustix::io::Errno::SRCH)) {
                return Err(RestoreFault::new(
                    format!("a server runs in `{}` (process {})", path.display(), pid.as_raw_nonzero()),
                    "Stop it first; if that process is something else, remove `postmaster.pid`.",
                ));
            }
            match doubt(path) {
                None => return Ok(()),
                Some(doubt) => doubt,
            }
        }
    };
    Err(RestoreFault::new(
        format!("a server may run in `{}`: there is `{}`, and {doubt}", path.display(), file.display()),
        "Stop the server where it runs. When it is certain that it is dead, remove that file and run this again.",
    ))
}

/// The lines of `postmaster.pid`; none where there is no such file.
pub(in crate::execute) fn pid_file(data: &Path) -> Vec<String> {
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What keeps the file from being proven to be left behind.
fn doubt(path: &Path) -> Option<String> {
    let kind = rustix::fs::statfs(path).ok().and_then(|about| u64::try_from(about.f_type).ok());
    if !kind.is_some_and(|kind| LOCAL.contains(&kind)) {
        return Some("another machine may have the directory too".to_owned());
    }
    if namespace("self").as_deref() != Some(FIRST_NAMESPACE) {
        return Some("from this container the processes of the machine cannot be seen".to_owned());
    }
    let Ok(data) = fs::metadata(path) else { return Some("the directory cannot be looked at".to_owned()) };
    let Ok(processes) = fs::read_dir("/proc") else { return Some("the processes of this machine cannot be seen".to_owned()) };
    let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.into_iter().find_map(|number| suspect(number, &data))
}

/// Why this process could be one of that directory's server.
fn suspect(number: u32, data: &fs::Metadata) -> Option<String> {
    let place = format!("/proc/{number}");
    // One that has ended writes nothing.
    let owner = fs::metadata(&place).ok()?.uid();
    let stat = fs::read_to_string(format!("{place}/stat")).ok()?;
    let (name, _) = stat.split_once('(')?.1.rsplit_once(')')?;
    if has_ended(&place) {
        return None;
    }
    let is_server = name.contains("postgres") || name.contains("postmaster");
    // A server's processes all work in its directory.
    match fs::metadata(format!("{place}/cwd")) {
        Ok(works_in) if works_in.dev() == data.dev() && works_in.ino() != data.ino() => return None,
        Ok(works_in) if works_in.dev() == data.dev() && is_server => {
            return Some(format!("process {number} (`{name}`) works in that directory"));
        }
        _ => {}
    }
    // PostgreSQL runs as the owner of its directory, which a container may show on what looks like another disk.
    let could_be = (is_server || owner == data.uid()) && namespace(&number.to_string()).as_deref() != Some(FIRST_NAMESPACE);
    // One that ended while it was looked at has no namespace either.
    (could_be && !has_ended(&place)).then(|| format!("process {number} (`{name}`) may be it, from within a container"))
}

/// Gone, or waiting for its parent to hear of its end.
fn has_ended(place: &str) -> bool {
    let stat = fs::read_to_string(format!("{place}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

fn namespace(process: &str) -> Option<String> {
    fs::read_link(format!("/proc/{process}/ns/pid")).ok().map(|link| link.to_string_lossy().into_owned())
}
