//! One object on its way out of a store.

use std::io::{self, Read};
use std::ops::Range;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};

use super::PipelineFault;
use crate::format::codec::Codec;
use crate::format::seal::{BadHeader, Identities, MAX_HEADER, Opened, SealError, Unsealer};
use crate::store::{Reader, Store};
use crate::units::Key;
use crate::units::hex;

/// A whole object as a stream, decrypted and expanded, as its name says it must be.
pub type ReadObject = Box<dyn Read + Send>;

/// Opens an object from end to end. What is wrong with it comes out while it is read ([`PipelineFault::of_stream`]).
pub fn open_object(store: &Store, key: &Key, size: u64, identities: &Identities) -> Result<ReadObject, PipelineFault> {
    let (_, codec, envelope) = Codec::of_name(key.file_name());
    let stream = |error: io::Error| PipelineFault::of_stream(key.as_str(), &error);
    let reader = io::BufReader::with_capacity(256 << 10, store.reader(key, 0..size)?);
    if envelope.is_sealed() {
        let plain = Unsealer::new(reader, identities).map_err(stream)?;
        expand(codec, plain).map_err(stream)
    } else {
        expand(codec, reader).map_err(stream)
    }
}

fn expand(codec: Codec, from: impl Read + Send + 'static) -> io::Result<ReadObject> {
    codec.reader(from)
}

/// How much is read at once.
const BUFFER: usize = 1 << 20;

/// The SHA-256 of an object as it lies in the store, in hexadecimal. `each` hears how much was read, and gives false to end it.
pub fn hash_object(store: &Store, key: &Key, size: u64, each: &mut dyn FnMut(usize) -> bool) -> Result<String, PipelineFault> {
    let mut reader = store.reader(key, 0..size)?;
    let mut digest = Context::new(&SHA256);
    let mut buffer = vec![0; BUFFER];
    loop {
        let got = reader.read(&mut buffer).map_err(|error| PipelineFault::of_stream(key.as_str(), &error))?;
        if got == 0 {
            break;
        }
        digest.update(&buffer[..got]);
        if !each(got) {
            return Err(PipelineFault::Interrupted);
        }
    }
    Ok(hex(digest.finish().as_ref()))
}

/// An object of which parts are read, each alone.
#[derive(Debug)]
pub struct RangedObject {
    store: Store,
    key: Key,
    size: u64,
    opened: Option<Opened>,
}

impl RangedObject {
    pub fn open(store: &Store, key: &Key, size: u64, identities: &Identities) -> Result<RangedObject, PipelineFault> {
        let (_, _, envelope) = Codec::of_name(key.file_name());
        let opened = if envelope.is_sealed() { Some(open_header(store, key, size, identities)?) } else { None };
        Ok(RangedObject { store: store.clone(), key: key.clone(), size, opened })
    }

    /// Bytes of the body (what `age -d` or `gpg -d` gives). `buffer` is only there to be used again.
    pub fn read<'b>(&self, range: Range<u64>, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], PipelineFault> {
        self.read_timed(range, buffer).map(|(plain, _)| plain)
    }

    /// The same, and how long the store took for it.
    pub fn read_timed<'b>(&self, range: Range<u64>, buffer: &'b mut Vec<u8>) -> Result<(&'b [u8], Duration), PipelineFault> {
        let sealed = match &self.opened {
            Some(opened) => opened.sealed_range(range.clone(), self.size),
            None => range.clone(),
        };
        buffer.clear();
        let length = usize::try_from(sealed.end - sealed.start).unwrap_or(usize::MAX);
        buffer.resize(length, 0);
        let asked = Instant::now();
        let mut reader: Reader = self.store.reader(&self.key, sealed)?;
        reader.read_exact(buffer).map_err(|error| PipelineFault::of_stream(self.key.as_str(), &error))?;
        let waited = asked.elapsed();
        match &self.opened {
            Some(opened) => opened
                .open_range(range, self.size, buffer)
                .map(|plain| (&*plain, waited))
                .map_err(|error| PipelineFault::Sealed { key: self.key.to_string(), error }),
            None => Ok((buffer, waited)),
        }
    }
}

fn open_header(store: &Store, key: &Key, size: u64, identities: &Identities) -> Result<Opened, PipelineFault> {
    let mut length = 4096;
    loop {
        let bytes = store.get_range(key, 0..size.min(length))?;
        match Opened::open(&bytes, identities) {
            Err(SealError::Header(BadHeader::Short)) if length < size && length < MAX_HEADER as u64 => length *= 4,
            Ok(opened) => return Ok(opened),
            Err(error) => return Err(PipelineFault::Sealed { key: key.to_string(), error }),
        }
    }
}
