//! What is to be copied, as compactly as a million relations ask for: some forty bytes each.

use crate::format::tarball::{Owner, What, header_len, padded};

/// Files, directories in front of what is in them.
#[derive(Debug, Default)]
pub struct Listing {
    /// Names without their directories, one behind the other.
    names: String,
    directories: Vec<Box<str>>,
    entries: Vec<Entry>,
    pub owner: Owner,
    /// Bytes of all files.
    pub bytes: u64,
    pub files: u64,
    /// What people should know about what was found: sentences without a full stop.
    pub remarks: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    size: u64,
    mtime: i64,
    name: u32,
    directory: u32,
    mode: u16,
    name_len: u8,
    is_directory: bool,
}

/// One entry with its path put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Within the data directory.
    pub path: String,
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    pub mode: u32,
    pub is_directory: bool,
}

impl Listed {
    pub fn what(&self) -> What<'static> {
        if self.is_directory { What::Directory } else { What::File { size: self.size } }
    }

    /// How much of a tar it takes.
    pub fn tar_size(&self) -> u64 {
        header_len(&self.path, self.what()) as u64 + if self.is_directory { 0 } else { padded(self.size) }
    }
}

/// More than fits: four billion bytes of names, or of directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are more files than can be listed")]
pub struct TooMany;

impl Listing {
    pub(super) fn of(owner: Owner) -> Listing {
        Listing { owner, ..Listing::default() }
    }

    /// A directory that entries will be put into; the cluster's own is the empty path.
    pub(super) fn directory(&mut self, path: &str) -> Result<u32, TooMany> {
        let number = u32::try_from(self.directories.len()).map_err(|_| TooMany)?;
        self.directories.push(path.into());
        Ok(number)
    }

    pub(super) fn push(&mut self, directory: u32, name: &str, about: About) -> Result<(), TooMany> {
        let entry = Entry {
            size: about.size,
            mtime: about.mtime,
            name: u32::try_from(self.names.len()).map_err(|_| TooMany)?,
            directory,
            mode: u16::try_from(about.mode & 0o7777).expect("twelve bits"),
            name_len: u8::try_from(name.len()).map_err(|_| TooMany)?,
            is_directory: about.is_directory,
        };
        self.names.push_str(name);
        self.entries.push(entry);
        if !about.is_directory {
            self.bytes += about.size;
            self.files += 1;
        }
        Ok(())
    }

    /// Leaves out what is taken; `bytes` and `files` still say what there is.
    pub(super) fn leave_out(&mut self, taken: &[bool]) {
        let mut taken = taken.iter();
        self.entries.retain(|_| taken.next() != Some(&true));
    }

    /// About so many bytes of it, from everywhere in equal shares: who only measures need not read all of a large cluster.
    pub fn thin_to(&mut self, bytes: u64) {
        let (all, wanted) = (u128::from(self.bytes.max(1)), u128::from(bytes));
        let (mut seen, mut kept, mut files) = (0_u128, 0_u128, 0);
        self.entries.retain(|entry| {
            if entry.is_directory {
                return true;
            }
            seen += u128::from(entry.size);
            let keep = kept < wanted && kept * all <= seen * wanted;
            if keep {
                kept += u128::from(entry.size);
                files += 1;
            }
            keep
        });
        self.bytes = u64::try_from(kept).unwrap_or(u64::MAX);
        self.files = files;
    }

    /// Directories first, as they came; then files, those first that have not been changed for longest: what is changed all the time is copied
    /// last, and parts of what is never changed are the same in the next copy.
    pub(super) fn put_in_order(&mut self) {
        self.entries.sort_unstable_by_key(|entry| (!entry.is_directory, if entry.is_directory { 0 } else { entry.mtime }, entry.name));
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn get(&self, index: usize) -> Option<Listed> {
        let entry = self.entries.get(index)?;
        let from = entry.name as usize;
        let name = &self.names[from..from + usize::from(entry.name_len)];
        let directory = &self.directories[entry.directory as usize];
        let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        Some(Listed { path, size: entry.size, mtime: entry.mtime, mode: entry.mode.into(), is_directory: entry.is_directory })
    }

    pub fn iter(&self) -> impl Iterator<Item = Listed> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// What the file system says of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    pub size: u64,
    pub mtime: i64,
    pub mode: u32,
    pub is_directory: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small_and_comes_back() {
        assert_eq!(size_of::<Entry>(), 32);
        let mut listing = Listing::default();
        let root = listing.directory("").expect("room");
        let base = listing.directory("base/5").expect("room");
        let about = About { size: 3, mtime: -1, mode: 0o100_600, is_directory: false };
        listing.push(root, "PG_VERSION", about).expect("room");
        listing.push(base, "1259", about).expect("room");
        let paths: Vec<String> = listing.iter().map(|listed| listed.path).collect();
        assert_eq!(paths, ["PG_VERSION", "base/5/1259"]);
        assert_eq!((listing.bytes, listing.get(1).expect("it").mode), (6, 0o600));
    }
}
