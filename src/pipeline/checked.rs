//! An object that is read to its end and held against the hash that somebody vouched for.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

use super::{PipelineFault, ReadObject};
use crate::format::codec::Codec;
use crate::format::seal::{Identities, Unsealer};
use crate::store::Store;
use crate::units::Key;
use crate::units::hex;

/// An object that is held against its SHA-256 while it is read: its end comes only when the hash is right.
pub struct Checked {
    key: Key,
    body: ReadObject,
    seen: Arc<Mutex<Seen>>,
    size: u64,
    sha256: String,
    ended: bool,
}

impl std::fmt::Debug for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checked({})", self.key)
    }
}

struct Seen {
    digest: Option<Context>,
    size: u64,
}

struct Watching<R> {
    from: R,
    seen: Arc<Mutex<Seen>>,
}

impl<R: Read> Read for Watching<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(into)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = &mut seen.digest {
            digest.update(&into[..got]);
        }
        seen.size += got as u64;
        Ok(got)
    }
}

impl Checked {
    pub fn open(store: &Store, key: &Key, size: u64, sha256: &str, identities: &Identities) -> Result<Checked, PipelineFault> {
        let (_, codec, envelope) = Codec::of_name(key.file_name());
        let stream = |error: io::Error| PipelineFault::of_stream(key.as_str(), &error);
        let seen = Arc::new(Mutex::new(Seen { digest: Some(Context::new(&SHA256)), size: 0 }));
        let from = Watching { from: store.reader(key, 0..size)?, seen: seen.clone() };
        let reader = io::BufReader::with_capacity(128 << 10, from);
        let body: ReadObject = if envelope.is_sealed() {
            codec.reader(Unsealer::new(reader, identities).map_err(stream)?).map_err(stream)?
        } else {
            codec.reader(reader).map_err(stream)?
        };
        Ok(Checked { key: key.clone(), body, seen, size, sha256: sha256.to_owned(), ended: false })
    }

    /// All of it, and nothing before all of it is right. For whoever would not come to its end by himself: what reads a tar stops at the
    /// tar's own, and what reads at most so much stops there.
    pub fn whole(mut self, most: u64) -> Result<Vec<u8>, PipelineFault> {
        let mut bytes = Vec::new();
        let read = self.by_ref().take(most).read_to_end(&mut bytes).and_then(|_| self.must_end());
        read.map(|()| bytes).map_err(|error| PipelineFault::of_stream(self.key.as_str(), &error))
    }

    /// For whoever has read as much as there may be.
    pub fn must_end(&mut self) -> io::Result<()> {
        match self.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than any that is believed")),
        }
    }

    fn check(&self) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken and not ended: it was found wrong before, and stays so for whoever reads on.
        let is_right = seen.digest.take().is_some_and(|digest| hex(digest.finish().as_ref()) == self.sha256);
        if is_right && seen.size == self.size {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "its SHA-256 is not the one that the backup's descriptor names"))
    }
}

impl Read for Checked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ended || into.is_empty() {
            return Ok(0);
        }
        let got = self.body.read(into)?;
        if got == 0 {
            self.check()?;
            self.ended = true;
        }
        Ok(got)
    }
}
