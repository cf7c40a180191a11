use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

use super::PipelineFault;
use crate::format::codec::Codec;
use crate::format::descriptor::{Descriptor, Object, ObjectKind};
use crate::format::layout::Repository;
use crate::format::seal::{Identities, Unsealer};
use crate::pipeline::{RangedObject, ReadObject};
use crate::store::Store;
use crate::units::Key;

/// Where a backup's files come from.
#[derive(Debug)]
pub struct Source<'s> {
    pub store: &'s Store,
    pub identities: &'s Identities,
    pub parts: Vec<PartSource>,
}

/// A part and what says what lies where in it.
#[derive(Debug, Clone)]
pub struct PartSource {
    pub part: Key,
    pub part_size: u64,
    pub index: Key,
    pub index_size: u64,
    /// Of the index as it lies in the store.
    pub index_sha256: String,
}

impl<'s> Source<'s> {
    /// All parts that a descriptor names. The descriptor's signature was checked before.
    pub fn of(
        store: &'s Store,
        repository: &Repository,
        descriptor: &Descriptor,
        identities: &'s Identities,
    ) -> Result<Source<'s>, PipelineFault> {
        let key = |object: &Object| object_key(repository, descriptor, object);
        let stem = |object: &Object| object.name.split('.').next().unwrap_or_default().to_owned();
        let mut parts = Vec::new();
        for part in descriptor.objects_of(ObjectKind::Part) {
            let index = descriptor
                .objects_of(ObjectKind::Index)
                .find(|index| stem(index) == stem(part))
                .ok_or_else(|| PipelineFault::Damaged { key: part.name.clone(), what: "the descriptor names no index for it".into() })?;
            parts.push(PartSource {
                part: key(part)?,
                part_size: part.size,
                index: key(index)?,
                index_size: index.size,
                index_sha256: index.sha256.clone(),
            });
        }
        Ok(Source { store, identities, parts })
    }
}

/// Where an object of a backup lies. A descriptor is signed, but a name is still only believed when it can be one.
pub fn object_key(repository: &Repository, descriptor: &Descriptor, object: &Object) -> Result<Key, PipelineFault> {
    let key = Key::new(format!("{repository}/data/{}/{}", descriptor.id, object.name));
    key.map_err(|error| PipelineFault::Damaged { key: descriptor.id.to_string(), what: error.to_string() })
}

impl PartSource {
    pub(super) fn open(&self, source: &Source<'_>) -> Result<RangedObject, PipelineFault> {
        RangedObject::open(source.store, &self.part, self.part_size, source.identities)
    }

    pub(super) fn open_index(&self, source: &Source<'_>) -> Result<Checked, PipelineFault> {
        Checked::open(source.store, &self.index, self.index_size, &self.index_sha256, source.identities)
    }
}

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
        let (_, codec, encrypted) = Codec::of_name(key.file_name());
        let stream = |error: io::Error| PipelineFault::of_stream(key.as_str(), &error);
        let seen = Arc::new(Mutex::new(Seen { digest: Some(Context::new(&SHA256)), size: 0 }));
        let from = Watching { from: store.reader(key, 0..size)?, seen: seen.clone() };
        let reader = io::BufReader::with_capacity(128 << 10, from);
        let body: ReadObject = if encrypted {
            codec.reader(Unsealer::new(reader, identities).map_err(stream)?).map_err(stream)?
        } else {
            codec.reader(reader).map_err(stream)?
        };
        Ok(Checked { key: key.clone(), body, seen, size, sha256: sha256.to_owned(), ended: false })
    }

    fn check(&self) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(digest) = seen.digest.take() else { return Ok(()) };
        let found: String = digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if seen.size == self.size && found == self.sha256 {
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
