//! The directory that shall hold the restored cluster: what is there now, and whether it may be overwritten.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::RestoreFault;
use super::request::Request;
pub use super::running::refuse_running;
use crate::format::descriptor::Descriptor;
use crate::inventory::SystemIdentifier;
use crate::pipeline::restore::{Owner, PG_CONTROL};
use crate::units::Bytes;

/// Lies in a directory while it is being restored; whoever restores holds a lock on it.
pub const MARKER: &str = "seawall.restoring";

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Nothing, or an empty directory.
    Empty,
    /// A stopped cluster, the same one.
    Cluster,
    /// What an interrupted restore left.
    Interrupted,
}

/// A directory that may be restored into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    pub standing: Standing,
    pub owner: Option<Owner>,
    /// The account's name, where it is known.
    pub account: String,
    /// As the restored server will run.
    pub uid: u32,
}

pub fn examine(request: &Request, descriptor: &Descriptor) -> Result<Directory, RestoreFault> {
    let path = &request.directory;
    let shown = path.display();
    let parent = path.parent().filter(|parent| parent.is_dir());
    let Some(parent) = parent else {
        return Err(RestoreFault::new(format!("`{shown}` has no parent directory"), "Make the parent first; is the disk mounted?"));
    };
    refuse_inside(path)?;
    let standing = standing(path)?;
    if standing == Standing::Empty {
        can_write(if path.is_dir() { path } else { parent })?;
    } else {
        refuse_restoring(path)?;
        refuse_running(path)?;
        if !request.delta {
            let (message, hint) = match standing {
                Standing::Interrupted => (
                    format!("`{shown}` holds a restore that was interrupted"),
                    "`--delta` goes on with it: what is there and right stays, the rest is fetched.",
                ),
                _ => (
                    format!("`{shown}` is not empty"),
                    "Give an empty directory, or say `--delta`: then what differs from the backup is overwritten and what it does not have is removed.",
                ),
            };
            return Err(RestoreFault::new(message, hint));
        }
        refuse_other(path, descriptor)?;
    }
    let (owner, account) = owner(request, path)?;
    if standing != Standing::Empty {
        refuse_root(path, &account)?;
    }
    refuse_small(request, path, parent, standing, descriptor)?;
    let uid = owner.map_or_else(|| rustix::process::geteuid().as_raw(), |owner| owner.uid);
    Ok(Directory { standing, owner, account, uid })
}

/// Whoever restores holds a lock on the mark; what an interrupted restore left has nobody's.
pub fn refuse_restoring(path: &Path) -> Result<(), RestoreFault> {
    // It may be the account's own link: nothing is followed, and nothing written.
    let (flags, mode) =
        (rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty());
    let Ok(marker) = rustix::fs::open(path.join(MARKER), flags, mode) else { return Ok(()) };
    match fs::File::from(marker).try_lock_shared() {
        Err(fs::TryLockError::WouldBlock) => Err(goes_on(path)),
        _ => Ok(()),
    }
}

pub(super) fn goes_on(path: &Path) -> RestoreFault {
    RestoreFault::new(format!("another restore into `{}` is going on", path.display()), "Wait for it, or end it.")
}

/// A data directory within another one, or within a store, would be taken for a part of it.
fn refuse_inside(path: &Path) -> Result<(), RestoreFault> {
    for above in path.ancestors().skip(1) {
        let what = if above.join(PG_CONTROL).is_file() && above.join("PG_VERSION").is_file() {
            "a data directory"
        } else if fs::read_dir(above).into_iter().flatten().flatten().any(|entry| entry.path().join("repository.json").is_file()) {
            "a store of backups"
        } else {
            continue;
        };
        let message = format!("`{}` lies within `{}`, which is {what}", path.display(), above.display());
        return Err(RestoreFault::new(message, "Give a directory outside of it."));
    }
    Ok(())
}

/// Before anything is fetched.
fn can_write(path: &Path) -> Result<(), RestoreFault> {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).map_err(|error| {
        let message = format!("`{}` cannot be written: {}", path.display(), std::io::Error::from(error));
        RestoreFault::new(message, "Run as the user that shall own it, or as root with `--owner`; or give another directory.")
    })
}

fn standing(path: &Path) -> Result<Standing, RestoreFault> {
    let unreadable = |error: std::io::Error| {
        RestoreFault::new(format!("`{}` cannot be looked into: {error}", path.display()), "Run as the user that shall own it, or as root.")
    };
    let mut entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Standing::Empty),
        other => other.map_err(unreadable)?,
    };
    // A file system's own directory is nobody's data.
    let anything = entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "lost+found"));
    match (anything, path.join(MARKER).exists(), path.join("PG_VERSION").exists()) {
        (false, ..) => Ok(Standing::Empty),
        (true, true, _) => Ok(Standing::Interrupted),
        (true, false, true) => Ok(Standing::Cluster),
        (true, false, false) => Err(RestoreFault::new(
            format!("`{}` is not empty and not a data directory of PostgreSQL", path.display()),
            "Give an empty directory; nothing else than a data directory is ever overwritten.",
        )),
    }
}

fn refuse_other(path: &Path, descriptor: &Descriptor) -> Result<(), RestoreFault> {
    let major = descriptor.cluster.version / 10_000;
    if let Ok(there) = fs::read_to_string(path.join("PG_VERSION"))
        && there.trim() != major.to_string()
    {
        return Err(RestoreFault::new(
            format!("`{}` is of PostgreSQL {}, the backup of {major}", path.display(), there.trim()),
            "Give an empty directory.",
        ));
    }
    let identifiers =
        [PG_CONTROL, "global/pg_control.seawall", "global/pg_control.before-restore"].map(|name| identifier(&path.join(name)));
    match identifiers.into_iter().flatten().find(|there| *there != descriptor.cluster.system_identifier) {
        Some(other) => Err(RestoreFault::new(
            format!(
                "`{}` holds another cluster (system identifier {other}; the backup's is {})",
                path.display(),
                descriptor.cluster.system_identifier
            ),
            "Give an empty directory.",
        )),
        None => Ok(()),
    }
}

/// The first eight bytes of `pg_control`, in the machine's own order.
fn identifier(path: &Path) -> Option<SystemIdentifier> {
    let bytes = crate::world::files::read(path, 64 << 10).ok()?;
    bytes.first_chunk().map(|number| SystemIdentifier(u64::from_ne_bytes(*number)))
}

/// An account of this machine, by its name or number.
fn account(wanted: &dyn Fn(&str, u32) -> bool) -> Option<(String, Owner)> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd.lines().find_map(|line| {
        let mut words = line.split(':');
        let (name, uid, gid) = (words.next()?, words.nth(1)?.parse().ok()?, words.next()?.parse().ok()?);
        wanted(name, uid).then(|| (name.to_owned(), Owner { uid, gid }))
    })
}

/// What lies there was made by another account, and can be changed by it at any time: a link that it put there would lead root to files that
/// account may not touch. It follows its own links with its own rights, as the server does.
fn refuse_root(path: &Path, account: &str) -> Result<(), RestoreFault> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(RestoreFault::new(
        format!("`{}` is not empty, and root writes into no directory in which links of `{account}` may lie", path.display()),
        format!(
            "Run it as `{account}` (`sudo -u {account} seawall restore --delta …`; if something in it is root's, `chown -R {account}` first), or give \
             an empty directory."
        ),
    ))
}

/// Whose everything will be. PostgreSQL does not start as root, so what root restores has to be given away.
fn owner(request: &Request, path: &Path) -> Result<(Option<Owner>, String), RestoreFault> {
    let own = rustix::process::geteuid();
    let name_of = |uid: u32| account(&|_, of| of == uid).map_or_else(|| uid.to_string(), |(name, _)| name);
    if !own.is_root() {
        return match &request.owner {
            Some(name) if *name != name_of(own.as_raw()) => {
                Err(RestoreFault::new(format!("only root can give files to `{name}`"), "Run it as root, or as that user."))
            }
            _ => Ok((None, name_of(own.as_raw()))),
        };
    }
    if let Some(name) = &request.owner {
        let found = account(&|of, _| of == name).ok_or_else(|| {
            RestoreFault::new(format!("there is no account `{name}` on this machine"), "Name the one that the server runs as.")
        })?;
        return Ok((Some(found.1), found.0));
    }
    if let Ok(about) = fs::metadata(path)
        && about.uid() != 0
    {
        return Ok((Some(Owner { uid: about.uid(), gid: about.gid() }), name_of(about.uid())));
    }
    usual_account("Say with `--owner NAME` whose it shall be.")
}

/// As whom a server runs that is made here: as ourselves, and for root as `postgres`.
pub fn server_account() -> Result<(Option<Owner>, String), RestoreFault> {
    let own = rustix::process::geteuid();
    if own.is_root() {
        return usual_account("Run it as an account that PostgreSQL may run as.");
    }
    Ok((None, account(&|_, of| of == own.as_raw()).map_or_else(|| own.as_raw().to_string(), |(name, _)| name)))
}

fn usual_account(hint: &str) -> Result<(Option<Owner>, String), RestoreFault> {
    let found = account(&|name, _| name == "postgres").map(|(name, owner)| (Some(owner), name));
    found.ok_or_else(|| RestoreFault::new("PostgreSQL does not start as root, and there is no account `postgres` here", hint))
}

/// Room for all of it, where nothing is there yet. What a delta needs is known only when it is done.
fn refuse_small(request: &Request, path: &Path, parent: &Path, standing: Standing, descriptor: &Descriptor) -> Result<(), RestoreFault> {
    // Whoever makes a throw-away copy knows how much of it comes back, and looks for the room.
    if standing != Standing::Empty || request.throw_away.is_some() {
        return Ok(());
    }
    let elsewhere: Vec<&PathBuf> = request.tablespaces.iter().map(|remapped| &remapped.to).collect();
    let place = if path.is_dir() { path } else { parent };
    let device = |path: &Path| fs::metadata(path).map(|about| about.dev()).ok();
    // What lies in tablespaces on other disks is not known before it is there.
    if elsewhere.iter().any(|other| device(other) != device(place)) {
        return Ok(());
    }
    let Ok(system) = rustix::fs::statvfs(place) else { return Ok(()) };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if free >= descriptor.size {
        return Ok(());
    }
    let sizes = (Bytes::new(descriptor.size).rounded(), Bytes::new(free).rounded());
    Err(RestoreFault::new(
        format!("the backup needs {} and `{}` has {} left", sizes.0, place.display(), sizes.1),
        "Make room, or give another directory; the write-ahead log that is replayed needs room too.",
    ))
}

/// Whether an account can read a file: so that the server will be able to fetch its log.
pub fn can_read(path: &Path, owner: Option<Owner>) -> bool {
    let Some(Owner { uid, gid }) = owner else { return fs::File::open(path).is_ok() };
    let allowed = |path: &Path, bits: [u32; 3]| {
        let Ok(about) = fs::metadata(path) else { return false };
        let bit = if about.uid() == uid {
            bits[0]
        } else if about.gid() == gid {
            bits[1]
        } else {
            bits[2]
        };
        about.mode() & bit != 0
    };
    allowed(path, [0o400, 0o040, 0o004]) && path.ancestors().skip(1).all(|above| allowed(above, [0o100, 0o010, 0o001]))
}
