//! Durable markers of what was shipped ahead: `<state>/wal/<system-id>/marked/<file>`.
//!
//! A marker says: a file with this content is durable in this set of stores. It is left only after the stores said so. Losing one
//! costs a repetition, which is harmless, so markers are not synced; one that is torn is not a marker.
//!
//! **When a marker acknowledges without reading the file.** The file must be the one that was read: same device, inode, size,
//! time of change of its content and of its metadata. That alone is not enough, because a change right after the reading can fall
//! into the same tick of the file system's clock as the change before it and leave the same times (git calls such entries racy).
//! So the times are believed only when they lie more than [`SETTLED_NS`] before the moment at which the reading began: a
//! later change would then carry a later time. A marker that was left sooner is not wrong; the content decides, which
//! costs one pass of BLAKE3.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::inventory::SystemIdentifier;
use crate::units::WalFile;
use crate::world::files;

/// The clocks of file systems tick every few milliseconds; those of old ones and of network drives every second.
const SETTLED_NS: i128 = 2_000_000_000;
const FIRST_WORD: &str = "seawall-wal-marker-1";
const MAX_MARKER: u64 = 1024;

/// Which file it was, as the system sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    pub size: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl Identity {
    pub(super) fn of(about: &fs::Metadata) -> Identity {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Identity {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified_ns: ns(about.mtime(), about.mtime_nsec()),
            changed_ns: ns(about.ctime(), about.ctime_nsec()),
        }
    }
}

/// A file as it was when its content was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub identity: Identity,
    /// When the reading began.
    pub read_ns: i128,
    /// BLAKE3 of the content.
    pub content: [u8; 32],
}

impl Seen {
    /// The file still has this content, as far as its times can tell.
    pub(super) fn is_certainly(&self, now: &Identity) -> bool {
        let settled = self.identity.modified_ns.max(self.identity.changed_ns) + SETTLED_NS < self.read_ns;
        settled && self.identity == *now
    }

    /// As it lies in a marker or a pass.
    pub(super) fn words(&self) -> String {
        let Identity { device, inode, size, modified_ns, changed_ns } = self.identity;
        format!("{} {device} {inode} {size} {modified_ns} {changed_ns} {}", hex(&self.content), self.read_ns)
    }

    /// What [`Self::words`] wrote, and what follows it on the line.
    pub(super) fn parse(line: &str) -> Option<(Seen, &str)> {
        let mut words = line.splitn(8, ' ');
        let mut word = || words.next();
        let content = blake3::Hash::from_hex(word()?).ok()?.into();
        let (device, inode, size) = (word()?.parse().ok()?, word()?.parse().ok()?, word()?.parse().ok()?);
        let (modified_ns, changed_ns, read_ns) = (word()?.parse().ok()?, word()?.parse().ok()?, word()?.parse().ok()?);
        let seen = Seen { identity: Identity { device, inode, size, modified_ns, changed_ns }, read_ns, content };
        Some((seen, word().unwrap_or_default()))
    }
}

pub(super) fn now_ns() -> i128 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

/// The markers of one policy on this host.
#[derive(Debug, Clone)]
pub struct Markers {
    root: PathBuf,
    destinations: [u8; 32],
}

impl Markers {
    /// `destinations` is [`super::destinations_digest`] of the policy as it is now.
    pub fn new(state: &Path, destinations: [u8; 32]) -> Markers {
        Markers { root: state.to_owned(), destinations }
    }

    pub(super) fn parts(&self) -> (&Path, &[u8; 32]) {
        (&self.root, &self.destinations)
    }

    fn folder(&self, cluster: SystemIdentifier) -> PathBuf {
        self.root.join(cluster.to_string()).join("marked")
    }

    /// This very file is durable already wherever the policy wants it. Asks no store, and reads the file only in case of doubt.
    pub fn acknowledge(&self, path: &Path) -> bool {
        let file = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let plain = file.and_then(|file| super::cluster::Plain::look(path, file).ok());
        plain.is_some_and(|plain| self.acknowledges(&plain))
    }

    pub(super) fn acknowledges(&self, plain: &super::cluster::Plain) -> bool {
        let read = || {
            let seen = self.read(plain.cluster, plain.file)?;
            let now = Identity::of(&fs::metadata(&plain.path).ok()?);
            let same = seen.is_certainly(&now) || (now.size == seen.identity.size && hash(&plain.path).ok()? == seen.content);
            same.then_some(())
        };
        read().is_some()
    }

    fn read(&self, cluster: SystemIdentifier, file: WalFile) -> Option<Seen> {
        let mut text = String::new();
        File::open(self.folder(cluster).join(file.to_string())).ok()?.take(MAX_MARKER).read_to_string(&mut text).ok()?;
        let (first, rest) = text.strip_suffix('\n')?.split_once(' ')?;
        let (destinations, seen) = rest.split_once(' ')?;
        if first != FIRST_WORD || destinations != hex(&self.destinations) {
            return None;
        }
        Seen::parse(seen).map(|(seen, _)| seen)
    }

    /// Only after every store that must have the file said that it does.
    pub(super) fn leave(&self, cluster: SystemIdentifier, file: WalFile, seen: &Seen) -> io::Result<()> {
        let text = format!("{FIRST_WORD} {} {}\n", hex(&self.destinations), seen.words());
        let folder = self.folder(cluster);
        files::make_folders(&folder)?;
        let beside = folder.join(format!(".{file}.{}", std::process::id()));
        files::open_or_make(&beside, OpenOptions::new().write(true).truncate(true))?.write_all(text.as_bytes())?;
        fs::rename(&beside, folder.join(file.to_string()))
    }

    /// Removes the markers of files that PostgreSQL does not wait for any more.
    pub(super) fn sweep(&self, cluster: SystemIdentifier, is_ready: impl Fn(&str) -> bool) {
        for entry in fs::read_dir(self.folder(cluster)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // What an interrupted run was just writing has no marker's name, and is nobody's after a while.
            if !is_ready(&name) && (!name.starts_with('.') || !is_young(&entry)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn is_young(entry: &fs::DirEntry) -> bool {
    let age = entry.metadata().and_then(|about| about.modified()).ok().and_then(|time| time.elapsed().ok());
    age.is_none_or(|age| age.as_secs() < 60)
}

fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// BLAKE3 of a file.
pub(super) fn hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(*hasher.finalize().as_bytes()),
            got => hasher.update(&buffer[..got]),
        };
    }
}
