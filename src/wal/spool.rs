//! What was fetched ahead of its turn, waiting beside the place where PostgreSQL wants it: `pg_wal/seawall-ahead/<run>/`.
//!
//! On the disk of `pg_wal`, so that handing a segment over is a rename. Only whole files that were checked have a segment's name there.
//! They are not synced, so the folder's name holds the machine's boot: after a crash of the machine nothing of it is believed,
//! after a crash of the server everything is. It holds at most [`WINDOW`] bytes, and nothing outlives the prefetching process by more
//! than the next call.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::take::{PART, for_group};
use crate::inventory::SystemIdentifier;
use crate::units::Segment;

/// How much may lie there.
pub(super) const WINDOW: u64 = 128 << 20;
/// Of small segments.
pub(super) const MOST: u64 = 32;
const FOLDER: &str = "seawall-ahead";
const AT: &str = "at";
const LOCK: &str = "lock";

/// The spool of one recovery.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

impl Spool {
    /// The spool beside `to`. `how` is everything that decides where the log comes from and whom it is believed. None outside a
    /// data directory, and where the machine's boot cannot be told.
    pub fn beside(to: &Path, cluster: SystemIdentifier, how: &str) -> Option<Spool> {
        let wal = to.parent().filter(|wal| wal.file_name().is_some_and(|name| name == "pg_wal"))?;
        let boot = crate::world::host::boot()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(boot.as_bytes()).update(&cluster.0.to_le_bytes()).update(how.as_bytes());
        let run = hasher.finalize().to_hex()[..16].to_owned();
        Some(Spool { folder: wal.join(FOLDER).join(run) })
    }

    /// As [`Self::folder`] gave it.
    pub fn at(folder: &Path) -> Spool {
        Spool { folder: folder.to_owned() }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700 | for_group(&self.folder)).create(&self.folder)
    }

    pub(super) fn place_of(&self, segment: Segment) -> PathBuf {
        self.folder.join(segment.to_string())
    }

    /// Hands a segment over, if it is there.
    pub fn hand_over(&self, segment: Segment, to: &Path) -> bool {
        fs::rename(self.place_of(segment), to).is_ok()
    }

    /// Somebody is fetching it ahead right now.
    pub fn is_coming(&self, segment: Segment) -> bool {
        let beginning = format!("{segment}{PART}");
        let names = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        names.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(&beginning)) && self.is_manned()
    }

    /// A process fetches ahead.
    pub fn is_manned(&self) -> bool {
        File::open(self.folder.join(LOCK)).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
    }

    /// Makes this process the one that fetches ahead, for as long as the file is open.
    pub(super) fn man(&self) -> Option<File> {
        let file = File::options().create(true).append(true).open(self.folder.join(LOCK)).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok().map(|()| file)
    }

    /// Tells who fetches ahead where PostgreSQL is.
    pub fn tell(&self, segment: Segment, size: u64) -> io::Result<()> {
        self.make()?;
        let beside = self.folder.join(format!("{AT}.{}", std::process::id()));
        fs::write(&beside, format!("{segment} {size}\n"))?;
        fs::rename(&beside, self.folder.join(AT))
    }

    /// Where PostgreSQL is, and how large its segments are.
    pub(super) fn told(&self) -> Option<(Segment, u64)> {
        let text = fs::read_to_string(self.folder.join(AT)).ok()?;
        let (segment, size) = text.trim_end().split_once(' ')?;
        Some((segment.parse().ok()?, size.parse().ok()?))
    }

    /// Removes every segment that is not wanted, whole or not.
    pub(super) fn keep(&self, wanted: impl Fn(Segment) -> bool) {
        let segment = |name: &str| name.split('.').next().and_then(|name| name.parse().ok());
        remove(&self.folder, |name| segment(name).is_some_and(|segment| !wanted(segment)));
    }

    /// Removes what a killed process was just fetching: nobody waits for it.
    pub(super) fn remove_parts(&self) {
        remove(&self.folder, |name| name.contains(PART));
    }

    pub(super) fn has(&self, segment: Segment) -> bool {
        self.place_of(segment).exists()
    }

    /// Removes it all, and what other runs left beside it.
    pub fn clear(&self) {
        let _ = fs::remove_dir_all(&self.folder);
        if let Some(parent) = self.folder.parent() {
            let _ = fs::remove_dir(parent);
        }
    }

    /// Removes what recoveries before this one left: of another boot, or with other words.
    pub fn clear_others(&self) {
        let Some(parent) = self.folder.parent() else { return };
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let other = Spool::at(&entry.path());
            if other.folder != self.folder && !other.is_manned() {
                let _ = fs::remove_dir_all(&other.folder);
            }
        }
        // Calls that were killed left these where PostgreSQL wanted its file.
        if let Some(wal) = parent.parent() {
            remove(wal, |name| name.contains(PART));
        }
    }
}

fn remove(folder: &Path, which: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(&which) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
