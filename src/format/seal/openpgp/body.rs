//! The sealed bytes: AES-256 in cipher feedback mode, from an initial vector of zeros.

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, StreamingEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

pub(super) const BLOCK: usize = 16;
/// Sixteen random bytes, and the last two of them again.
pub(super) const PREFIX: usize = 18;
/// The version of the sealed packet, the first byte of its body.
pub(super) const VERSION: u8 = 1;
/// Before the data: binary, without a name, without a time.
pub(super) const ABOUT: [u8; 6] = [b'b', 0, 0, 0, 0, 0];
/// The packet with the hash.
pub(super) const TAIL: usize = 22;

/// The sealed block before the first that is read, or zeros.
pub(super) type Vector = [u8; BLOCK];

fn unbound(key: &[u8; 32]) -> UnboundCipherKey {
    UnboundCipherKey::new(&AES_256, key).expect("32 bytes are a key")
}

/// Each block is the plain one XOR the encrypted form of the sealed one before it. Those encrypted forms are what chaining (CBC) makes of
/// the same plain blocks when it begins with the first of them, and for chaining there is faster code.
pub(super) struct Encrypting {
    chain: StreamingEncryptingKey,
    /// For the block that comes next.
    next: [u8; BLOCK],
    stream: Vec<u8>,
}

impl Encrypting {
    pub(super) fn new(key: &[u8; 32]) -> Encrypting {
        let zeros = EncryptionContext::Iv128(FixedLength::from(&[0; BLOCK]));
        let chain = StreamingEncryptingKey::less_safe_cbc_pkcs7(unbound(key), zeros).expect("AES has this mode");
        let mut first = Encrypting { chain, next: [0; BLOCK], stream: Vec::new() };
        first.advance(&[0; BLOCK]);
        first
    }

    /// Where they lie: whole blocks, or the last bytes of all.
    pub(super) fn encrypt(&mut self, bytes: &mut [u8]) {
        let whole = bytes.len() / BLOCK * BLOCK;
        let (blocks, end) = bytes.split_at_mut(whole);
        if whole > 0 {
            let before = self.next;
            self.advance(blocks);
            xor(&mut blocks[..BLOCK], &before);
            xor(&mut blocks[BLOCK..], &self.stream[..whole - BLOCK]);
        }
        xor(end, &self.next);
    }

    /// Puts the chain's answer to these blocks into `stream`.
    fn advance(&mut self, blocks: &[u8]) {
        self.stream.resize(blocks.len() + BLOCK, 0);
        self.chain.update(blocks, &mut self.stream).expect("there is room");
        self.next.copy_from_slice(&self.stream[blocks.len() - BLOCK..blocks.len()]);
    }
}

/// Any blocks can be decrypted, given the sealed one before them: all at once, so that the processor works on several.
pub(super) struct Decrypting {
    key: EncryptingKey,
    stream: Vec<u8>,
}

impl Decrypting {
    pub(super) fn new(key: &[u8; 32]) -> Decrypting {
        Decrypting { key: EncryptingKey::ecb(unbound(key)).expect("AES has this mode"), stream: Vec::new() }
    }

    /// Where they lie: whole blocks, or the last bytes of all.
    pub(super) fn decrypt(&mut self, vector: &mut Vector, bytes: &mut [u8]) {
        decrypt(&self.key, vector, bytes, &mut self.stream);
    }

    /// Some of an object, whatever else of it is read beside it.
    pub(super) fn decrypt_part(&self, vector: &mut Vector, bytes: &mut [u8]) {
        decrypt(&self.key, vector, bytes, &mut Vec::new());
    }
}

fn decrypt(key: &EncryptingKey, vector: &mut Vector, bytes: &mut [u8], stream: &mut Vec<u8>) {
    // In steps that stay in the processor's cache.
    for step in bytes.chunks_mut(STEP) {
        let others = step.len().div_ceil(BLOCK).saturating_sub(1) * BLOCK;
        stream.clear();
        stream.extend_from_slice(vector);
        stream.extend_from_slice(&step[..others]);
        if let Some(last) = step.last_chunk() {
            *vector = *last;
        }
        key.less_safe_encrypt(stream, EncryptionContext::None).expect("whole blocks");
        xor(step, stream);
    }
}

const STEP: usize = 64 << 10;

fn xor(bytes: &mut [u8], with: &[u8]) {
    bytes.iter_mut().zip(with).for_each(|(byte, with)| *byte ^= with);
}

impl std::fmt::Debug for Decrypting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decrypting(AES-256)")
    }
}
