//! Owners, rights, attributes and times, in the order in which none undoes another.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::super::PipelineFault;
use super::{Wish, fault};
use crate::format::acl::{self, Whose};
use crate::format::index::{Attributes, Kind, Piece};
use crate::world::accounts::Accounts;

/// Who runs with the rights of a file's owner or group.
const SET_ID: u32 = 0o6000;
/// All that a change of rights can change.
const ALL_RIGHTS: u32 = 0o7777;
/// Access control lists, as the kernel calls them.
const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

/// Gives files what they have beside their content, and counts what could not be given.
#[derive(Debug)]
pub(super) struct Settler {
    accounts: Accounts,
    is_root: bool,
    numeric: bool,
    /// Files that belong to whoever restored them.
    pub not_owned: u64,
    /// Attributes and access control lists that the file system or the rights here do not allow.
    pub without_attributes: u64,
}

/// The thing, open or by its name in an open directory.
pub(super) enum Of<'o> {
    Open(&'o OwnedFd),
    Named(&'o OwnedFd, &'o [u8]),
}

impl Settler {
    pub(super) fn new(wish: &Wish) -> Settler {
        let is_root = rustix::process::geteuid().is_root();
        Settler { accounts: Accounts::default(), is_root, numeric: wish.numeric, not_owned: 0, without_attributes: 0 }
    }

    pub(super) fn settle(&mut self, of: &Of<'_>, piece: &Piece, path: &[u8]) -> Result<(), PipelineFault> {
        let fallback = Attributes::default();
        let more = piece.more.as_deref().unwrap_or(&fallback);
        let of_path = |error: Errno| fault(path, error);
        if self.is_somebody_s_as_it_was(of, piece, more).map_err(of_path)? {
            return Ok(());
        }
        let mut mode = piece.mode;
        // Taking another owner takes the rights of that kind away, so it comes first.
        if !self.own(of, more).map_err(of_path)? {
            self.not_owned += 1;
            // A program must not run as somebody else than it did.
            mode &= !SET_ID;
        }
        for (name, value) in &more.xattrs {
            self.attribute(of, name, &value.0).map_err(of_path)?;
        }
        let time = Timespec { tv_sec: piece.mtime, tv_nsec: more.nanos.into() };
        let times = Timestamps { last_access: time, last_modification: time };
        match of {
            Of::Open(file) => rustix::fs::futimens(file, &times),
            Of::Named(at, name) => rustix::fs::utimensat(at, *name, &times, AtFlags::SYMLINK_NOFOLLOW),
        }
        .map_err(of_path)?;
        // Last: until then it is its owner's alone, and of a directory its rights say that it is finished.
        if piece.kind == Kind::Link { Ok(()) } else { self.rights(of, piece.kind, mode, more).map_err(of_path) }
    }

    /// Nothing of it could be set here, and nothing has to be.
    fn is_somebody_s_as_it_was(&self, of: &Of<'_>, piece: &Piece, more: &Attributes) -> rustix::io::Result<bool> {
        if self.is_root {
            return Ok(false);
        }
        let stat = match of {
            Of::Open(file) => rustix::fs::fstat(file)?,
            Of::Named(at, name) => rustix::fs::statat(at, *name, AtFlags::SYMLINK_NOFOLLOW)?,
        };
        let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
        let has_rights = piece.kind == Kind::Link || stat.st_mode & ALL_RIGHTS == piece.mode & ALL_RIGHTS;
        let is_of_then = stat.st_mtime == piece.mtime && u32::try_from(stat.st_mtime_nsec).is_ok_and(|nanos| nanos == more.nanos);
        let is_same = has_rights && is_of_then && (stat.st_uid, stat.st_gid) == self.owners(more);
        Ok(!is_ours && is_same && self.has_attributes(of, more))
    }

    /// With a list, the group's bits of a mode are the list's mask, which is more than the group may have. So the list comes first; where it
    /// cannot be set, the group gets what the list gives it and no more. Where the backup has no list, none that was inherited stays, or
    /// these bits would open it.
    fn rights(&mut self, of: &Of<'_>, kind: Kind, mut mode: u32, more: &Attributes) -> rustix::io::Result<()> {
        if kind == Kind::Directory {
            self.list(of, DEFAULT, more.default_acl.as_deref())?;
        }
        if !self.list(of, ACCESS, more.acl.as_deref())? {
            remove(of, ACCESS)?;
            mode = mode & !0o070 | more.acl.as_deref().map_or(0, acl::group_rights) << 3;
        }
        chmod(of, Mode::from_raw_mode(mode))
    }

    /// Whether it has the list that it shall have.
    fn list(&mut self, of: &Of<'_>, name: &str, list: Option<&str>) -> rustix::io::Result<bool> {
        let Some(list) = list else { return remove(of, name).map(|()| true) };
        match acl::from_text(list, &|whose, name| self.number(whose, name)) {
            Some(bytes) => self.attribute(of, name, &bytes),
            None => {
                self.without_attributes += 1;
                Ok(false)
            }
        }
    }

    pub(super) fn is_root(&self) -> bool {
        self.is_root
    }

    /// To whom it shall belong here, by their numbers.
    pub(super) fn owners(&self, more: &Attributes) -> (u32, u32) {
        let uid = self.number(Whose::User, &more.user).unwrap_or(more.uid);
        let gid = self.number(Whose::Group, &more.group).unwrap_or(more.gid);
        (uid, gid)
    }

    /// Whether it has each attribute and list that it shall have.
    pub(super) fn has_attributes(&self, of: &Of<'_>, more: &Attributes) -> bool {
        let list = |text: &String| acl::from_text(text, &|whose, name| self.number(whose, name));
        let lists = [("system.posix_acl_access", &more.acl), ("system.posix_acl_default", &more.default_acl)];
        let lists = lists.into_iter().filter_map(|(name, text)| Some((name, list(text.as_ref()?))));
        let attributes = more.xattrs.iter().map(|(name, value)| (name.as_str(), Some(value.0.clone())));
        attributes.chain(lists).all(|(name, wanted)| wanted.is_some_and(|wanted| has_attribute(of, name, &wanted)))
    }

    /// Whether it belongs to whom it did.
    fn own(&self, of: &Of<'_>, more: &Attributes) -> rustix::io::Result<bool> {
        let (uid, gid) = self.owners(more);
        let (owner, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        let given = match of {
            Of::Open(file) => rustix::fs::fchown(file, owner, group),
            Of::Named(at, name) => rustix::fs::chownat(at, *name, owner, group, AtFlags::SYMLINK_NOFOLLOW),
        };
        match given {
            Ok(()) => Ok(true),
            Err(Errno::PERM | Errno::INVAL) if !self.is_root => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn number(&self, whose: Whose, name: &str) -> Option<u32> {
        match (self.numeric, whose) {
            (true, _) => None,
            (false, Whose::User) => self.accounts.uid(name),
            (false, Whose::Group) => self.accounts.gid(name),
        }
    }

    /// Whether it could be set.
    fn attribute(&mut self, of: &Of<'_>, name: &str, value: &[u8]) -> rustix::io::Result<bool> {
        let set = match of {
            Of::Open(file) => rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()),
            Of::Named(at, own) => rustix::fs::lsetxattr(by_number(at, own).as_slice(), name, value, XattrFlags::empty()),
        };
        match set {
            Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSPC | Errno::TOOBIG) => {
                self.without_attributes += 1;
                Ok(false)
            }
            other => other.map(|()| true),
        }
    }
}

/// Takes both lists from what is open, where it has any.
pub(super) fn without_lists(open: &OwnedFd) -> rustix::io::Result<()> {
    [ACCESS, DEFAULT].into_iter().try_for_each(|name| remove(&Of::Open(open), name))
}

fn remove(of: &Of<'_>, name: &str) -> rustix::io::Result<()> {
    // To look is cheaper than to remove what is not there.
    let mut none = [0_u8; 0];
    let there = match of {
        Of::Open(file) => rustix::fs::fgetxattr(file, name, &mut none),
        Of::Named(at, own) => rustix::fs::lgetxattr(by_number(at, own).as_slice(), name, &mut none),
    };
    let removed = there.and_then(|_| match of {
        Of::Open(file) => rustix::fs::fremovexattr(file, name),
        Of::Named(at, own) => rustix::fs::lremovexattr(by_number(at, own).as_slice(), name),
    });
    match removed {
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        other => other,
    }
}

/// A pipe is not opened, and a name could lead elsewhere by now: so what it names is held, looked at, and reached by what holds it.
fn chmod(of: &Of<'_>, mode: Mode) -> rustix::io::Result<()> {
    let (at, name) = match of {
        Of::Open(file) => return rustix::fs::fchmod(file, mode),
        Of::Named(at, name) => (at, *name),
    };
    let held = rustix::fs::openat(at, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&held)?.st_mode) != FileType::Fifo {
        return Err(Errno::LOOP);
    }
    rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), mode)
}

/// A path that begins at an open directory: nothing on the way can be exchanged.
fn by_number(at: &OwnedFd, name: &[u8]) -> Vec<u8> {
    [format!("/proc/self/fd/{}/", at.as_raw_fd()).as_bytes(), name].concat()
}

fn has_attribute(of: &Of<'_>, name: &str, wanted: &[u8]) -> bool {
    // One byte more than it may have: a longer one is another one.
    let mut there = vec![0; wanted.len() + 1];
    let length = match of {
        Of::Open(file) => rustix::fs::fgetxattr(file, name, &mut *there),
        Of::Named(at, own) => rustix::fs::lgetxattr(by_number(at, own).as_slice(), name, &mut *there),
    };
    length.is_ok_and(|length| there[..length] == *wanted)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_pipe_leads_nobody_to_another_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).expect("it").permissions().mode() & 0o7777;
        std::fs::write(folder.path().join("other"), "x").expect("a file");
        std::fs::set_permissions(folder.path().join("other"), std::fs::Permissions::from_mode(0o600)).expect("rights");
        std::os::unix::fs::symlink("other", folder.path().join("link")).expect("a link");
        let at = rustix::fs::open(folder.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("a folder");
        assert_eq!(chmod(&Of::Named(&at, b"link"), Mode::from_raw_mode(0o666)), Err(Errno::LOOP));
        assert_eq!(mode("other"), 0o600);
        rustix::fs::mknodat(&at, "pipe", FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
        chmod(&Of::Named(&at, b"pipe"), Mode::from_raw_mode(0o624)).expect("its rights");
        assert_eq!(mode("pipe"), 0o624);
    }
}
