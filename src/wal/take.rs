//! One object of the log out of a store and into place. Nothing has the file's name before its writer, its bytes and its content are
//! known to be right.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::existing::trusted_stamp;
use super::{Place, WalFault};
use crate::format::codec::Codec;
use crate::format::seal::{Identities, Unsealer};
use crate::format::signature::Writers;
use crate::format::stamp::Stamp;
use crate::inventory::SystemIdentifier;
use crate::pipeline::PipelineFault;
use crate::units::{Key, WalFile};

const BUFFER: usize = 1 << 20;

/// With what objects are opened and judged.
#[derive(Debug)]
pub struct Trust {
    pub identities: Identities,
    /// Empty: nobody can be refused, and whoever calls says so.
    pub writers: Writers,
}

/// Puts an object's content at `to`: written beside it, checked, renamed. Not synced: who crashes asks again.
pub(super) fn take(
    place: &Place,
    (key, size): (&Key, u64),
    trust: &Trust,
    (cluster, file): (SystemIdentifier, WalFile),
    to: &Path,
) -> Result<(), WalFault> {
    let (stamp, header) = trusted_stamp(place, (key, size), &trust.writers, (cluster, file))?;
    let beside = Beside::new(to).map_err(|error| WalFault::local(to, &error))?;
    unpack(place, (key, size), header, &stamp, trust, &beside)?;
    beside.into_place(to).map_err(|error| WalFault::local(to, &error))
}

fn unpack(place: &Place, (key, size): (&Key, u64), header: u64, stamp: &Stamp, trust: &Trust, to: &Beside) -> Result<(), WalFault> {
    let stream = |error: io::Error| WalFault::from(PipelineFault::of_stream(key.as_str(), &error));
    let (_, codec, envelope) = Codec::of_name(key.file_name());
    let beginning = place.store.get_range(key, 0..header)?;
    let mut body = Hashed { from: place.store.reader(key, header..size)?, hash: blake3::Hasher::new() };
    let content = {
        let object = io::BufReader::with_capacity(256 << 10, &mut body);
        if envelope.is_sealed() {
            let plain = Unsealer::new(Cursor::new(beginning).chain(object), &trust.identities).map_err(stream)?;
            copy(codec.reader(plain).map_err(stream)?, stamp.size, to, key)?
        } else {
            copy(codec.reader(object).map_err(stream)?, stamp.size, to, key)?
        }
    };
    // What the decoder did not want belongs to the object all the same.
    io::copy(&mut body, &mut io::sink()).map_err(stream)?;
    if body.hash.finalize() != stamp.body {
        return Err(WalFault::damaged(key, "its bytes are not those that were signed"));
    }
    if content != stamp.content {
        return Err(WalFault::damaged(key, "its content is not the one that was signed"));
    }
    Ok(())
}

/// Gives the content's hash.
fn copy(mut from: impl Read, size: u64, to: &Beside, key: &Key) -> Result<[u8; 32], WalFault> {
    let mut buffer = vec![0; BUFFER];
    let mut hasher = blake3::Hasher::new();
    let mut written = 0;
    loop {
        let got = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(PipelineFault::of_stream(key.as_str(), &error).into()),
        };
        written += got as u64;
        if written > size {
            return Err(WalFault::damaged(key, format_args!("it holds more than the {size} bytes that were signed")));
        }
        hasher.update(&buffer[..got]);
        (&to.file).write_all(&buffer[..got]).map_err(|error| WalFault::local(&to.path, &error))?;
    }
    if written != size {
        return Err(WalFault::damaged(key, format_args!("it holds {written} bytes, and {size} were signed")));
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Hashes what is read through it.
struct Hashed<R> {
    from: R,
    hash: blake3::Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(into)?;
        self.hash.update(&into[..got]);
        Ok(got)
    }
}

/// A file beside its place, gone again unless it gets there.
#[derive(Debug)]
struct Beside {
    file: File,
    path: PathBuf,
}

/// How the names of files that are not in their place yet go on after the file's own: then follow the process and `.part`.
pub(super) const PART: &str = ".seawall-";

/// What the group may do with what is put there: what it may do in the server's `pg_wal`, and nothing elsewhere.
pub(super) fn for_group(path: &Path) -> u32 {
    let wal = path.ancestors().skip(1).find(|above| above.file_name().is_some_and(|name| name == "pg_wal"));
    wal.and_then(|wal| fs::metadata(wal).ok()).map_or(0, |about| about.mode() & 0o050)
}

impl Beside {
    fn new(to: &Path) -> io::Result<Beside> {
        let name = to.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
        let path = to.with_file_name(format!("{name}{PART}{}.part", std::process::id()));
        let mode = 0o600 | (for_group(&path) & 0o040);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&path)?;
        Ok(Beside { file, path })
    }

    fn into_place(self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // After the rename there is nothing of that name.
        let _ = fs::remove_file(&self.path);
    }
}
