use std::io;
use std::path::Path;

use rustix::fs::Access;
use rustix::io::Errno;
use thiserror::Error;

use crate::postgres;

/// Why the catalog did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CatalogFault {
    pub kind: FaultKind,
    /// Lower case, no full stop. Names the catalog; never a password.
    pub message: String,
    /// How to mend it, as a sentence.
    pub hint: String,
    /// Trying again later may help.
    pub transient: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// There is no room on its disk.
    Full,
    /// Others write into it all the time.
    Busy,
    /// It can be read and not written.
    ReadOnly,
    /// What lies there is no whole catalog.
    Damaged,
    /// A later Seawall made it.
    Newer,
    /// An earlier Seawall made it, and it was opened for reading only.
    Older,
    /// It is somebody else's database.
    Foreign,
    /// We may not.
    Denied,
    /// The server cannot be reached, or the connection broke.
    Unreachable,
    /// There are no tables yet. Never leaves this room.
    Empty,
    /// All of an answer as one text would be more than SQLite lets a text be.
    TooLong,
    /// It holds something else than the caller thinks.
    Conflict,
    /// What was handed in is too long or is no number.
    Refused,
    Other,
}

impl CatalogFault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>, hint: impl Into<String>) -> CatalogFault {
        let transient = matches!(kind, FaultKind::Busy | FaultKind::Unreachable);
        CatalogFault { kind, message: message.into(), hint: hint.into(), transient }
    }

    /// What a file system says of the catalog's file.
    pub(super) fn of_file(error: &io::Error, path: &Path) -> CatalogFault {
        let shown = path.display();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(path),
            io::ErrorKind::PermissionDenied => CatalogFault::new(
                FaultKind::Denied,
                format!("permission is denied for the catalog `{shown}`"),
                "Run as the user who runs the backups, or give that user the file and its folder.",
            ),
            io::ErrorKind::ReadOnlyFilesystem => read_only(path),
            _ => CatalogFault::new(
                FaultKind::Other,
                format!("the catalog `{shown}` cannot be used: {error}"),
                "Check the path, and whether the disk or the mount it lies on is in order.",
            ),
        }
    }

    pub(super) fn of_server(fault: &postgres::Fault) -> CatalogFault {
        use postgres::FaultKind as Server;
        const FULL_DISK: &str = "53100";
        let kind = match (&fault.kind, fault.code()) {
            (_, Some(FULL_DISK)) => FaultKind::Full,
            (_, Some("42P01" | "3F000")) => FaultKind::Empty,
            (_, Some("55P03" | "57014" | "40001" | "40P01")) => FaultKind::Busy,
            (_, Some("25006")) => FaultKind::ReadOnly,
            (_, Some("42501")) | (Server::Denied, _) => FaultKind::Denied,
            (_, Some("XX001" | "XX002")) => FaultKind::Damaged,
            (Server::Unreachable | Server::Refused | Server::Lost | Server::Timeout, _) => FaultKind::Unreachable,
            _ => FaultKind::Other,
        };
        let hint = match kind {
            FaultKind::Full => "Make room on the disk of the catalog's server.".to_owned(),
            FaultKind::Busy => "Others hold the catalog for long: look at pg_stat_activity of its server.".to_owned(),
            FaultKind::ReadOnly => {
                "The catalog is written on a primary: name it, or all hosts with `target_session_attrs=read-write`.".to_owned()
            }
            FaultKind::Damaged => "Restore the catalog's database from its own backup.".to_owned(),
            FaultKind::Denied if fault.hint.is_empty() => "Grant it to the catalog's user.".to_owned(),
            _ => fault.hint.clone(),
        };
        let transient = kind == FaultKind::Busy || fault.is_transient();
        CatalogFault { kind, message: format!("the catalog: {}", fault.message), hint, transient }
    }

    /// By SQLite's result code.
    pub(super) fn of_sqlite(code: i32, said: &str, path: &Path) -> CatalogFault {
        const IO_ERROR: i32 = 10;
        let shown = path.display();
        match code & 0xff {
            13 => full(path),
            // Where the index of the log cannot grow, SQLite only says that reading or writing failed.
            IO_ERROR | 14 if has_no_room(path) => full(path),
            5 | 6 | 15 => CatalogFault::new(
                FaultKind::Busy,
                format!("the catalog `{shown}` is locked by another process"),
                "It is tried for ten seconds. Look with `fuser` who holds the file; it must not lie on a network file system.",
            ),
            8 => read_only(path),
            // The file, or the log and its index beside it.
            14 if may_not_write(path) == Some(Errno::ROFS) => read_only(path),
            14 if may_not_write(path).is_some() => CatalogFault::of_file(&io::ErrorKind::PermissionDenied.into(), path),
            11 | 26 => damaged(path, said),
            3 | 23 => CatalogFault::of_file(&io::ErrorKind::PermissionDenied.into(), path),
            1 if said.contains("no such table") => CatalogFault::new(FaultKind::Empty, said.to_owned(), String::new()),
            code => CatalogFault::new(
                if code == 18 { FaultKind::TooLong } else { FaultKind::Other },
                format!("the catalog `{shown}` cannot be used: {said}"),
                "Check the file, its folder, and the disk it lies on.",
            ),
        }
    }
}

pub(super) fn read_only(path: &Path) -> CatalogFault {
    CatalogFault::new(
        FaultKind::ReadOnly,
        format!("the catalog `{}` can be read and not written", path.display()),
        "Check the file's owner and mode, and whether its file system was mounted read-only after an error.",
    )
}

/// What is lost with the file is said before anybody moves it away.
pub(super) fn damaged(path: &Path, said: &str) -> CatalogFault {
    let shown = path.display();
    CatalogFault::new(
        FaultKind::Damaged,
        format!("the catalog `{shown}` is damaged: {said}"),
        format!(
            "Backups are not touched by this. Restore the file from a copy, or move it aside with its `-wal` (`mv {shown} {shown}.damaged`) and a \
             new one is begun: history, measurements, acknowledgements and undelivered notices are then gone, and the audit chain begins anew \
             after what was copied to the store."
        ),
    )
}

fn full(path: &Path) -> CatalogFault {
    CatalogFault::new(
        FaultKind::Full,
        format!("there is no room on the disk for the catalog `{}`", path.display()),
        "Make room; nothing was half written.",
    )
}

/// Why neither the file nor one beside it could be written.
fn may_not_write(path: &Path) -> Option<Errno> {
    let may = |path: &Path| rustix::fs::access(path, Access::WRITE_OK);
    may(path).and_then(|()| may(folder(path))).err()
}

/// Where a file lies.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn has_no_room(path: &Path) -> bool {
    const LITTLE: u64 = 64 << 10;
    let folder = folder(path);
    rustix::fs::statvfs(folder).is_ok_and(|about| about.f_bavail.saturating_mul(about.f_frsize) < LITTLE || about.f_favail == 0)
}
