//! One object on its way into a store: what is given is compressed already; here it is encrypted, hashed and put.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use super::PipelineFault;
use crate::format::codec::Envelope;
use crate::format::seal::{Recipients, Sealer};
use crate::store::{Store, Upload};
use crate::units::Key;

/// What a frame may add to a piece that is nearly full.
const SLACK: usize = 3 << 20;

/// How objects are locked: to whom, or not at all because the policy says so.
#[derive(Debug, Clone)]
pub enum Lock {
    For(Arc<Recipients>),
    Open,
}

impl Lock {
    pub fn is_encrypted(&self) -> bool {
        self.recipients().is_some()
    }

    /// How what it locks ends in its name.
    pub fn envelope(&self) -> Envelope {
        self.recipients().map_or(Envelope::None, Recipients::envelope)
    }

    pub fn recipients(&self) -> Option<&Recipients> {
        match self {
            Lock::For(recipients) => Some(recipients.as_ref()),
            Lock::Open => None,
        }
    }
}

/// What was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub size: u64,
    /// Of the object as it lies in the store.
    pub sha256: [u8; 32],
}

/// An object that is put as a stream, header first. Memory: one piece of the store's size.
#[derive(Debug)]
pub struct ObjectWriter {
    key: Key,
    upload: Upload,
    sealer: Option<Sealer>,
    digest: Digest,
    piece: Vec<u8>,
    piece_size: usize,
    next: u32,
    size: u64,
    /// Bytes of the body before encryption.
    plain: u64,
}

struct Digest(Context);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SHA-256")
    }
}

impl ObjectWriter {
    pub fn new(store: &Store, key: &Key, lock: &Lock) -> Result<ObjectWriter, PipelineFault> {
        let sealed = |error| PipelineFault::Sealed { key: key.to_string(), error };
        let sealer = lock.recipients().map(Sealer::new).transpose().map_err(sealed)?;
        let upload = store.upload(key)?;
        let piece_size = upload.piece_size(0);
        let piece = sealer.as_ref().map(|sealer| sealer.header(&[])).unwrap_or_default();
        let digest = Digest(Context::new(&SHA256));
        Ok(ObjectWriter { key: key.clone(), upload, sealer, digest, piece, piece_size, next: 0, size: 0, plain: 0 })
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Where in the body (what `age -d` or `gpg -d` gives) the next byte will lie.
    pub fn position(&self) -> u64 {
        self.plain
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), PipelineFault> {
        self.plain += bytes.len() as u64;
        match &mut self.sealer {
            Some(sealer) => sealer.push(bytes, &mut self.piece),
            None => self.piece.extend_from_slice(bytes),
        }
        while self.piece.len() >= self.piece_size {
            let piece = self.cut();
            self.put(piece)?;
        }
        Ok(())
    }

    /// The next piece, in no more memory than it needs: several of them are on their way at a time.
    fn cut(&mut self) -> Vec<u8> {
        let mut rest = Vec::with_capacity(self.piece_size + SLACK);
        rest.extend_from_slice(&self.piece[self.piece_size..]);
        self.piece.truncate(self.piece_size);
        self.piece.shrink_to_fit();
        std::mem::replace(&mut self.piece, rest)
    }

    fn put(&mut self, piece: Vec<u8>) -> Result<(), PipelineFault> {
        self.digest.0.update(&piece);
        self.size += piece.len() as u64;
        self.upload.put(self.next, Bytes::from(piece))?;
        self.next += 1;
        self.piece_size = self.upload.piece_size(self.next);
        Ok(())
    }

    /// Durable when it returns.
    pub fn finish(mut self) -> Result<Written, PipelineFault> {
        if let Some(sealer) = self.sealer.take() {
            sealer.finish(&mut self.piece);
        }
        // The last chunk may have filled more than the piece.
        while self.piece.len() > self.piece_size {
            let piece = self.cut();
            self.put(piece)?;
        }
        let last = std::mem::take(&mut self.piece);
        if !last.is_empty() || self.next == 0 {
            self.put(last)?;
        }
        let sha256 = self.digest.0.finish().as_ref().try_into().expect("SHA-256 has 32 bytes");
        self.upload.finish()?;
        Ok(Written { size: self.size, sha256 })
    }
}
