//! The encrypted bytes: chunks of 64 KiB, each under ChaCha20-Poly1305 with its number as the nonce, the last one marked.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use thiserror::Error;

use super::header::derive;

/// Plain bytes in a chunk.
pub const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
/// The same encrypted.
pub const SEALED_CHUNK: usize = CHUNK + TAG;
pub(super) const NONCE: usize = 16;

/// Why sealed bytes could not be made or opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SealError {
    #[error("none of the identities opens it")]
    NoKey,
    #[error("the identity does not open it: {0}")]
    Identity(String),
    #[error("{0}")]
    Header(#[from] super::BadHeader),
    #[error("its header was changed after it was written")]
    Mac,
    #[error("the bytes from {at} on were changed after they were written")]
    Damaged { at: u64 },
    #[error("it is cut short")]
    Short,
    #[error("no recipient could be used: {0}")]
    Recipient(String),
}

/// The key of one object's body.
#[derive(Debug)]
pub(super) struct BodyKey(LessSafeKey);

impl BodyKey {
    pub(super) fn new(file_key: &[u8; 16], nonce: &[u8; NONCE]) -> BodyKey {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        derive(file_key, nonce, b"payload", key.as_mut());
        BodyKey(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).expect("32 bytes are a key")))
    }

    fn nonce(number: u64, last: bool) -> Nonce {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = last.into();
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts `out[from..]` where it lies, and appends the tag.
    pub(super) fn seal(&self, number: u64, last: bool, out: &mut Vec<u8>, from: usize) {
        let tag = self
            .0
            .seal_in_place_separate_tag(Self::nonce(number, last), Aad::empty(), &mut out[from..])
            .expect("a chunk of 64 KiB is not too long");
        out.extend_from_slice(tag.as_ref());
    }

    /// Decrypts a chunk with its tag where it lies; gives the plain part.
    pub(super) fn open<'b>(&self, number: u64, last: bool, chunk: &'b mut [u8]) -> Result<&'b mut [u8], SealError> {
        self.0.open_in_place(Self::nonce(number, last), Aad::empty(), chunk).map_err(|_| SealError::Damaged { at: number * CHUNK as u64 })
    }
}
