//! The server that is backed up: what it must be, and where its files are.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::BackupFault;
use super::order::Order;
use crate::format::control::{self, BadControl, Control};
use crate::pipeline::PipelineFault;
use crate::policy::file::ReadFrom;
use crate::postgres::Server;
use crate::site::Site;
use crate::units::{Bytes, Name};

/// Where the files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// This host has them.
    Files { root: PathBuf, control: Control },
    /// The server sends them.
    Protocol,
}

/// The server is one that can be backed up, and the one that the policy means.
pub(super) fn check(order: &Order, server: &Server) -> Result<(), BackupFault> {
    let major = server.major();
    if !(13..=18).contains(&major) {
        return Err(BackupFault::refused(format!("the server is PostgreSQL {major}"), "Backups are taken of PostgreSQL 13 to 18."));
    }
    check_role(order.from, server)?;
    // A standby's own settings say nothing about who archives; and who brings his own log needs nobody who does.
    if server.in_recovery || order.wal_store.is_none() {
        return Ok(());
    }
    archives(server)
}

/// It is the one of the cluster's servers that the policy means.
pub(in crate::execute) fn check_role(from: Option<ReadFrom>, server: &Server) -> Result<(), BackupFault> {
    match (from, server.in_recovery) {
        (Some(ReadFrom::Primary), true) => {
            let hint = "Run it on the primary, or say `from: any`.";
            Err(BackupFault::refused("the policy has backups from the primary, and this server is a standby", hint))
        }
        (Some(ReadFrom::Standby), false) => {
            let hint = "Run it on a standby, or say `from: any`.";
            Err(BackupFault::refused("the policy has backups from a standby, and this server is the primary", hint))
        }
        _ => Ok(()),
    }
}

/// Without an archiver the backup would wait for ever for its last segment.
fn archives(server: &Server) -> Result<(), BackupFault> {
    let hint = "Set `archive_mode = on` and `archive_command = 'seawall wal push %p'`; the first needs a restart.";
    match server.setting("archive_mode") {
        Some("off") => return Err(BackupFault::refused("the server does not archive its log: `archive_mode` is off", hint)),
        // Not visible to this role: then the wait at the end finds out.
        None => return Ok(()),
        Some(_) => {}
    }
    let is_empty = |name: &str| server.setting(name).is_some_and(|value| matches!(value.trim(), "" | "(disabled)"));
    if is_empty("archive_command") && server.setting("archive_library").is_none_or(|library| library.trim().is_empty()) {
        return Err(BackupFault::refused("the server does not archive its log: `archive_command` is empty", hint));
    }
    Ok(())
}

/// Finds the files, and makes sure that they are this server's.
pub(super) fn source(order: &Order, server: &Server) -> Result<Source, BackupFault> {
    let Some(root) = order.data_directory.as_deref().filter(|root| root.join("PG_VERSION").exists()) else { return Ok(Source::Protocol) };
    let control = read_control(root)?.1;
    let elsewhere = server.setting("data_directory").is_some_and(|named| !same(Path::new(named), root));
    if control.system_identifier.0 != server.system || elsewhere {
        let message = format!("cluster.data_directory: {} is not the data directory of the server that answers", root.display());
        let hint = match server.setting("data_directory") {
            Some(named) => format!("The server says that its own is {named}."),
            None => "Is the connection the one to the server on this host?".to_owned(),
        };
        return Err(BackupFault::refused(message, hint));
    }
    Ok(Source::Files { root: root.to_owned(), control })
}

/// What this process cannot see of a tablespace would be missing in a copy that looks whole.
pub(super) fn sees_tablespaces(root: &Path, server: &Server) -> Result<(), BackupFault> {
    let own = format!("PG_{}_", server.major());
    for space in &server.tablespaces {
        let link = root.join(format!("pg_tblspc/{}", space.oid));
        let is_own = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&own);
        let fault = match fs::read_dir(&link).map(|mut entries| entries.any(|entry| entry.is_ok_and(&is_own))) {
            Ok(true) => continue,
            Ok(false) => format!("it has no `{own}…` in it"),
            Err(error) => error.to_string(),
        };
        // Dropped since the server was asked.
        if fs::symlink_metadata(&link).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            continue;
        }
        let message = format!("the tablespace `{}` cannot be seen from here: {fault}", space.path);
        let hint = "A unit of systemd hides `/tmp` (`PrivateTmp=`) and `/home` (`ProtectHome=`): allow it with a drop-in (docs/timers.md). \
                    Without `cluster.data_directory` the server sends its files itself.";
        return Err(BackupFault::refused(message, hint));
    }
    Ok(())
}

fn same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        // A container's path; the system identifier has to do.
        (Err(_), _) => true,
        _ => false,
    }
}

/// Reads `pg_control` until it is whole: the server may be writing it just now.
pub(super) fn read_control(root: &Path) -> Result<(Vec<u8>, Control), BackupFault> {
    const TRIES: u32 = 50;
    let path = root.join(control::PATH);
    let mut tried = 0;
    loop {
        let bytes = fs::read(&path).map_err(|error| PipelineFault::file(format!("reading {}", path.display()), error))?;
        match Control::parse(&bytes) {
            Ok(control) => return Ok((bytes, control)),
            Err(BadControl::Checksum | BadControl::Short(_)) if tried < TRIES => {
                tried += 1;
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(BackupFault::refused(error.to_string(), "Does the server itself start from these files?")),
        }
    }
}

const OF_A_FIRST: &str =
    "Make room. Before the first backup half of its job's `size` is taken for it, or of `objectives.assume.cluster_size`: is that right?";

/// Where a backup goes.
#[derive(Debug, Clone, Copy)]
pub(in crate::execute) struct Place<'p> {
    pub store: &'p Name,
    /// The store's directory, if it is one, and whether it may be on the cluster's own disk.
    pub local: Option<&'p (PathBuf, bool)>,
    pub first_needs: Option<Bytes>,
}

/// The store is not on the disk whose loss it shall survive, and has room.
pub(in crate::execute) fn check_disk(order: Place<'_>, root: Option<&Path>, last_size: Option<u64>) -> Result<(), BackupFault> {
    let Some((path, same_device_is_fine)) = order.local else { return Ok(()) };
    // Before the first backup the directory may not be there.
    let Some(there) = path.ancestors().find(|path| path.is_dir()) else { return Ok(()) };
    let device = |path: &Path| fs::metadata(path).ok().map(|about| about.dev());
    if let Some(root) = root
        && !same_device_is_fine
        && device(there).is_some()
        && device(there) == device(root)
    {
        let message = format!("stores.{}: {} is on the same device as the data directory", order.store, path.display());
        let hint = format!("One broken disk would take both. If that is meant, say `stores.{}.local.other_device: false`.", order.store);
        return Err(BackupFault::refused(message, hint));
    }
    let needed = last_size.or(order.first_needs.map(|size| size.get()));
    if let (Some(needed), Ok(about)) = (needed, rustix::fs::statvfs(there)) {
        let free = about.f_bavail.saturating_mul(about.f_frsize);
        if free < needed {
            let shown = |bytes: u64| Bytes::new(bytes).rounded();
            let message = format!("stores.{} has room for {}, and a backup takes about {}", order.store, shown(free), shown(needed));
            let hint = if last_size.is_some() { "Make room, or let `expire` run first." } else { OF_A_FIRST };
            return Err(BackupFault::refused(message, hint));
        }
    }
    Ok(())
}

/// On a quiet server a segment is not full for hours, and nothing of it is archived until then.
pub(super) fn late_archiving(site: &Site<'_>, server: &Server) -> Option<String> {
    let promised = site.policy.wal.as_ref()?.timeout.to_signed().as_secs();
    let seconds: i64 = server.setting("archive_timeout")?.parse().ok()?;
    let said = if seconds == 0 { "is off".to_owned() } else { format!("is {seconds} s") };
    (seconds == 0 || seconds > promised).then(|| {
        format!("`archive_timeout` {said}, and the policy's `wal.timeout` promises {promised} s: set `archive_timeout = {promised}` in the server, or what is written may stay unarchived for longer")
    })
}
