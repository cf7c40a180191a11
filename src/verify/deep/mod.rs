//! What is inside the objects: with an identity they are opened, expanded and looked at, down to PostgreSQL's own pages.

mod dumps;
mod exact;
mod frames;
mod log;
mod manifest;
mod pages;
mod part;
mod references;

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) use log::wal;
pub(super) use references::look as references;

use super::Ground;
use super::backup::{Work, unread};
use super::report::FaultKind;
use crate::format::codec::Codec;
use crate::format::contents::Contents;
use crate::format::descriptor::{Descriptor, Object, ObjectKind};
use crate::format::notes::{MAX_BYTES, Notes};
use crate::format::seal::Unsealer;
use crate::inventory::BackupKind;
use crate::pipeline::{PipelineFault, open_object};
use crate::units::Key;

/// A backup whose objects are being opened.
#[derive(Debug)]
pub(super) struct Deep {
    descriptor: Arc<Descriptor>,
    /// What was found in its parts: path, size and checksum of each file, sixteen bytes of a hash over them.
    files: Mutex<HashSet<u128>>,
    /// Parts that have not been looked at yet.
    remaining: AtomicUsize,
    /// A part could not be read to its end, so the list of files is not whole.
    broken: AtomicBool,
    /// What a backup of dumps says is in them.
    contents: Option<Contents>,
}

/// Everything of a backup that is to be opened.
pub(super) fn begin(ground: &Ground<'_>, descriptor: &Arc<Descriptor>) -> Vec<Work> {
    let id = &descriptor.id;
    if let Err(error) = descriptor.open_private(ground.identities) {
        let key = ground.repository.descriptor(descriptor.stopped, id);
        let fault = PipelineFault::of_stream(key.as_str(), &error);
        unread(ground, &key, &fault, Some(id));
    }
    let parts = descriptor.objects_of(ObjectKind::Part).count();
    let deep = Arc::new(Deep {
        descriptor: descriptor.clone(),
        files: Mutex::default(),
        remaining: AtomicUsize::new(parts),
        broken: AtomicBool::new(false),
        contents: dumps::contents(ground, descriptor),
    });
    let opened = |object: &Object| {
        use ObjectKind::{Attributes, Config, Dump, Globals, Names, Notes, Part, Rows};
        matches!(object.is, Part | Config | Dump | Globals | Rows | Notes | Names | Attributes)
    };
    let numbers = descriptor.objects.iter().enumerate().filter(|(_, object)| opened(object)).map(|(number, _)| number);
    let opened = numbers.map(|number| Work::Open { of: deep.clone(), number });
    let is_increment = descriptor.kind == BackupKind::Files && descriptor.parent.is_some();
    opened.chain(is_increment.then(|| Work::References { of: descriptor.clone() })).collect()
}

pub(super) fn open(ground: &Ground<'_>, deep: &Arc<Deep>, number: usize) {
    let object = &deep.descriptor.objects[number];
    let key = ground.repository.data(&deep.descriptor.id, &object.name);
    let id = Some(&deep.descriptor.id);
    let alone = match object.is {
        ObjectKind::Config | ObjectKind::Attributes => Some(tar_alone(ground, &key, object)),
        ObjectKind::Dump => Some(dumps::look(ground, deep.contents.as_ref(), &key, object)),
        ObjectKind::Rows => Some(dumps::rows(ground, deep.contents.as_ref(), &key, object)),
        ObjectKind::Globals | ObjectKind::Names => Some(dumps::to_the_end(ground, &key, object)),
        ObjectKind::Notes => Some(notes(ground, &key, object)),
        ObjectKind::Part | ObjectKind::Index | ObjectKind::Manifest | ObjectKind::Contents => None,
    };
    if let Some(looked) = alone {
        if let Err(fault) = looked {
            unread(ground, &key, &fault, id);
        }
        return;
    }
    let looked = if deep.descriptor.kind.is_physical() {
        part::look(ground, deep, object, &key)
    } else {
        part::look_exactly(ground, deep, object, &key)
    };
    match looked {
        Ok(files) => deep.files.lock().unwrap_or_else(PoisonError::into_inner).extend(files),
        Err(fault) => {
            deep.broken.store(true, Ordering::Relaxed);
            unread(ground, &key, &fault, id);
        }
    }
    // Only a cluster has a manifest.
    if deep.remaining.fetch_sub(1, Ordering::AcqRel) == 1 && deep.descriptor.kind.is_physical() {
        manifest::compare(ground, deep);
    }
}

/// It says what is missing, and must be able to.
fn notes(ground: &Ground<'_>, key: &Key, object: &Object) -> Result<(), PipelineFault> {
    let stream = |error: io::Error| PipelineFault::of_stream(key.as_str(), &error);
    let mut json = Vec::new();
    open_object(ground.store, key, object.size, ground.identities)?.take(MAX_BYTES).read_to_end(&mut json).map_err(stream)?;
    Notes::from_json(&json).map(drop).map_err(|what| stream(invalid(what)))
}

/// A tar without an index: it must be one, to its end.
fn tar_alone(ground: &Ground<'_>, key: &Key, object: &Object) -> Result<(), PipelineFault> {
    let stream = |error: io::Error| PipelineFault::of_stream(key.as_str(), &error);
    let mut archive = tar::Archive::new(open_object(ground.store, key, object.size, ground.identities)?);
    for entry in archive.entries().map_err(stream)? {
        io::copy(&mut entry.map_err(stream)?, &mut io::sink()).map_err(stream)?;
    }
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(stream)?;
    Ok(())
}

/// What `age -d` or `gpg -d` gives of an object; still compressed.
fn unsealed(ground: &Ground<'_>, key: &Key, size: u64) -> Result<Box<dyn Read>, PipelineFault> {
    let (_, _, envelope) = Codec::of_name(key.file_name());
    let reader = io::BufReader::with_capacity(256 << 10, ground.store.reader(key, 0..size)?);
    if !envelope.is_sealed() {
        return Ok(Box::new(reader));
    }
    let opened = Unsealer::new(reader, ground.identities).map_err(|error| PipelineFault::of_stream(key.as_str(), &error))?;
    Ok(Box::new(opened))
}

/// One file of the backup, as both the parts and the manifest tell it.
fn fingerprint(path: &str, size: u64, crc: u32) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&size.to_le_bytes()).update(&crc.to_le_bytes()).update(path.as_bytes());
    u128::from_le_bytes(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// A fault of one file within an object.
fn inside(ground: &Ground<'_>, key: &Key, deep: &Deep, path: &str, what: &str) {
    ground.found.fault(FaultKind::Damaged, key, &format!("`{path}` in it: {what}"), Some(&deep.descriptor.id));
}
