//! A directory as a store.
//!
//! The order in which bytes become durable: write under `.incoming`, sync the file, link or rename it to its name, sync the
//! directory (and those above it that are new). A crash leaves at most something in `.incoming`, which nobody reads.

mod list;
mod write;
mod writing;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, Once};

use bytes::Bytes;

use super::pace::Pace;
use super::{Fault, FaultKind, Key, Meta};
use crate::units::{Instant, Rate};

pub(super) use write::LocalUpload;

pub(super) const PIECE_SIZE: usize = 4 << 20;
const INCOMING: &str = ".incoming";

#[derive(Debug)]
pub(super) struct Local {
    root: PathBuf,
    next: AtomicU64,
    /// Leftovers are looked for once, before the first object that is written.
    swept: Once,
    /// The folders, by device and inode, whose names are known to be durable.
    durable: Mutex<HashSet<(u64, u64)>>,
    pace: Option<Pace>,
}

impl Local {
    pub(super) fn open(path: &Path, upload_limit: Option<Rate>) -> Result<Local, Fault> {
        if !path.is_absolute() {
            let message = format!("the path of a local store must be absolute: `{}`", path.display());
            return Err(Fault::new(FaultKind::Config, message, "Write it from the root on: `/srv/backups`."));
        }
        Ok(Local {
            root: path.to_owned(),
            next: AtomicU64::new(0),
            swept: Once::new(),
            durable: Mutex::default(),
            pace: upload_limit.map(Pace::new),
        })
    }

    pub(super) fn url(&self) -> String {
        format!("file://{}", self.root.display())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn fault(&self, error: &io::Error, what: impl std::fmt::Display) -> Fault {
        Fault::of_io(error, &format!("{what} in {}", self.url()))
    }

    fn keep_pace(&self, bytes: usize) {
        if let Some(pace) = &self.pace {
            pace.wait(bytes);
        }
    }

    /// Absent only when the store itself is there.
    fn absent_or(&self, error: &io::Error, what: impl std::fmt::Display) -> Fault {
        use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
        match error.kind() {
            NotFound | NotADirectory if !self.root.is_dir() => self.not_there(),
            // A folder has the name, or an object has that of the folder: no object has this one.
            NotADirectory | IsADirectory => Fault::new(FaultKind::Absent, format!("{what} in {}: it is not there", self.url()), ""),
            _ => self.fault(error, what),
        }
    }

    pub(super) fn file(&self, key: &Key) -> Result<File, Fault> {
        let open = || {
            let file = File::open(self.path(key))?;
            if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
        };
        open().map_err(|error| self.absent_or(&error, format_args!("reading {key}")))
    }

    pub(super) fn head(&self, key: &Key) -> Result<Option<Meta>, Fault> {
        match fs::metadata(self.path(key)) {
            Ok(about) if about.is_file() => Ok(Some(meta(key.clone(), &about))),
            Ok(_) => Ok(None),
            Err(error) => match self.absent_or(&error, format_args!("looking at {key}")) {
                fault if fault.is_absent() => Ok(None),
                fault => Err(fault),
            },
        }
    }

    pub(super) fn get(&self, key: &Key, limit: usize) -> Result<Bytes, Fault> {
        let mut bytes = Vec::new();
        let file = self.file(key)?;
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|error| self.fault(&error, format_args!("reading {key}")))?;
        if bytes.len() > limit {
            let message = format!("{key} in {} has more than {limit} bytes", self.url());
            return Err(Fault::new(FaultKind::Damaged, message, "It is not what its name says."));
        }
        Ok(bytes.into())
    }

    pub(super) fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Fault> {
        let file = self.file(key)?;
        // Before any memory is taken for it: the range may come from a damaged index.
        let size = file.metadata().map_err(|error| self.fault(&error, format_args!("reading {key}")))?.len();
        let length = range.end.min(size).saturating_sub(range.start);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let whole = if range.end > size { Err(io::ErrorKind::UnexpectedEof.into()) } else { file.read_exact_at(&mut bytes, range.start) };
        whole.map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::new(
                FaultKind::Damaged,
                format!("{key} in {} ends before byte {}", self.url(), range.end),
                "The object is cut short.",
            ),
            _ => self.fault(&error, format_args!("reading {key}")),
        })?;
        Ok(bytes.into())
    }

    /// An unmounted disk is not an empty store.
    fn must_be_there(&self) -> Result<(), Fault> {
        match fs::metadata(&self.root) {
            Ok(about) if about.is_dir() => Ok(()),
            Ok(_) => Err(self.not_there()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.not_there()),
            Err(error) => Err(self.fault(&error, "looking at the directory")),
        }
    }

    fn not_there(&self) -> Fault {
        let message = format!("the directory of the store is not there: {}", self.url());
        Fault::new(
            FaultKind::NoStore,
            message,
            "Is the disk mounted? Is this the right path? A store that was used before is never made anew.",
        )
    }
}

impl Local {
    pub(super) fn no_classes(&self, key: &Key) -> Fault {
        let message = format!("{key} in {}: a directory has no storage classes", self.url());
        Fault::new(FaultKind::Config, message, "Take `storage_class` out of the `keep` of what lies there.")
    }
}

fn meta(key: Key, about: &fs::Metadata) -> Meta {
    let modified = about.modified().ok().and_then(|time| Instant::try_from(time).ok()).unwrap_or(Instant::UNIX_EPOCH);
    Meta { key, size: about.len(), modified, class: None, frozen: false }
}
