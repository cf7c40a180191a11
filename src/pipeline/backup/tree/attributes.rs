//! What a file has beside its content: owners, access control lists, extended attributes.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::Stat;
use rustix::io::Errno;

use super::{Entry, Shared};
use crate::format::acl::{self, Whose};
use crate::format::index::{Attributes, Bytes};

/// All values of one file.
const MOST_BYTES: usize = 1 << 20;
/// The longest list of names, and the longest value, that Linux has.
const LARGEST: usize = 64 << 10;

/// Where they are asked for. What cannot be opened is named by its directory, which is open: the name alone is looked up, and no link followed.
pub(super) enum Of<'e> {
    Open(&'e OwnedFd),
    Named(Vec<u8>),
}

impl Of<'_> {
    pub(super) fn entry(entry: &Entry) -> Of<'_> {
        if entry.name.is_empty() {
            return Of::Open(&entry.at);
        }
        let place = format!("/proc/self/fd/{}/", entry.at.as_raw_fd());
        Of::Named([place.as_bytes(), &entry.name].concat())
    }

    fn names(&self, into: &mut [u8]) -> rustix::io::Result<usize> {
        match self {
            Of::Open(file) => rustix::fs::flistxattr(file, into),
            Of::Named(path) => rustix::fs::llistxattr(path.as_slice(), into),
        }
    }

    fn value(&self, name: &str, into: &mut [u8]) -> rustix::io::Result<usize> {
        match self {
            Of::Open(file) => rustix::fs::fgetxattr(file, name, into),
            Of::Named(path) => rustix::fs::lgetxattr(path.as_slice(), name, into),
        }
    }
}

/// All but the path. What cannot be read of it is noted.
pub(super) fn read(shared: &Shared, path: &[u8], stat: &Stat, of: &Of<'_>) -> Attributes {
    let mut more = plain(shared, stat);
    if let Err(error) = extended(shared, path, of, &mut more) {
        shared.unread(path, format_args!("its extended attributes: {}", std::io::Error::from(error)));
    }
    more
}

/// Of a folder above a path. It is no part of what was to be copied, so what cannot be read of it is no mistake.
pub(super) fn above(shared: &Shared, path: &[u8], stat: &Stat, of: &Of<'_>) -> Attributes {
    let mut more = Attributes { above: true, ..plain(shared, stat) };
    if let Err(error) = extended(shared, path, of, &mut more) {
        tracing::debug!("extended attributes of /{}: {error}", String::from_utf8_lossy(path));
    }
    more
}

fn plain(shared: &Shared, stat: &Stat) -> Attributes {
    Attributes {
        uid: stat.st_uid,
        gid: stat.st_gid,
        user: shared.accounts.user(stat.st_uid),
        group: shared.accounts.group(stat.st_gid),
        nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        ..Attributes::default()
    }
}

fn extended(shared: &Shared, path: &[u8], of: &Of<'_>, more: &mut Attributes) -> rustix::io::Result<()> {
    // Most files have none, and then the list is empty.
    let mut names = [0; 1024];
    let found = match of.names(&mut names) {
        Ok(0) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
        Ok(length) => names[..length].to_vec(),
        Err(Errno::RANGE) => {
            let mut names = vec![0; LARGEST];
            let length = of.names(&mut names)?;
            names.truncate(length);
            names
        }
        Err(error) => return Err(error),
    };
    let name = |whose: Whose, number: u32| match whose {
        Whose::User => shared.accounts.user(number),
        Whose::Group => shared.accounts.group(number),
    };
    let (mut value, mut all) = (vec![0; LARGEST], 0);
    for attribute in found.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let Ok(attribute) = std::str::from_utf8(attribute) else {
            shared.left_out(path, format_args!("its attribute `{}`: the name is not UTF-8", String::from_utf8_lossy(attribute)));
            continue;
        };
        let length = match of.value(attribute, &mut value) {
            Ok(length) => length,
            // Taken away meanwhile, or only listed.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => continue,
            Err(error) => return Err(error),
        };
        let bytes = &value[..length];
        match attribute {
            "system.posix_acl_access" => more.acl = acl::to_text(bytes, &name),
            "system.posix_acl_default" => more.default_acl = acl::to_text(bytes, &name),
            _ if all + length > MOST_BYTES => shared.unread(path, format_args!("its attribute `{attribute}`: it has too many of them")),
            _ => {
                all += length;
                more.xattrs.insert(attribute.to_owned(), Bytes(bytes.to_vec()));
            }
        }
    }
    Ok(())
}
