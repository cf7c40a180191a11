use age_core::format::{FileKey, Stanza};
use age_core::secrecy::ExposeSecret;

use super::header;
use super::stream::{BodyKey, CHUNK, NONCE, SealError};

/// Encrypts one object to keys of age.
pub struct AgeSealer {
    file_key: FileKey,
    stanzas: Vec<Stanza>,
    nonce: [u8; NONCE],
    key: BodyKey,
    number: u64,
    /// A chunk is sealed only when more follows, because the last one is sealed differently; a full one may wait here.
    pending: Vec<u8>,
}

impl std::fmt::Debug for AgeSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgeSealer").field("number", &self.number).finish_non_exhaustive()
    }
}

impl AgeSealer {
    pub fn new(wrap: &dyn Fn(&FileKey) -> Result<Vec<Stanza>, SealError>) -> Result<AgeSealer, SealError> {
        let random = |into: &mut [u8]| getrandom::fill(into).map_err(|error| SealError::Recipient(error.to_string()));
        let file_key = FileKey::try_init_with_mut(|key| random(&mut key[..]))?;
        let mut nonce = [0; NONCE];
        random(&mut nonce)?;
        let stanzas = wrap(&file_key)?;
        let key = BodyKey::new(file_key.expose_secret(), &nonce);
        Ok(AgeSealer { file_key, stanzas, nonce, key, number: 0, pending: Vec::with_capacity(CHUNK) })
    }

    /// What stands before the body, `more` after the recipients' stanzas: programs that do not know them pass over them.
    /// Its length depends on theirs alone.
    pub fn header(&self, more: &[Stanza]) -> Vec<u8> {
        let check = header::check_stanza(self.file_key.expose_secret());
        let stanzas: Vec<&Stanza> = self.stanzas.iter().chain(more).chain([&check]).collect();
        let mut out = header::write(&stanzas, self.file_key.expose_secret());
        out.extend_from_slice(&self.nonce);
        out
    }

    /// How much of the header is not covered by its own MAC: the nonce, which belongs to the body.
    pub fn own_header(&self) -> usize {
        NONCE
    }

    /// Appends the encrypted form of `plain` to `out`; up to one chunk waits for what follows.
    pub fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) {
        if self.pending.len() + plain.len() <= CHUNK {
            self.pending.extend_from_slice(plain);
            return;
        }
        if !self.pending.is_empty() {
            let (now, later) = plain.split_at(CHUNK - self.pending.len());
            self.seal(false, &[now], out);
            plain = later;
        }
        while plain.len() > CHUNK {
            let (now, later) = plain.split_at(CHUNK);
            self.seal(false, &[now], out);
            plain = later;
        }
        self.pending.extend_from_slice(plain);
    }

    /// Appends the last chunk. Nothing may be pushed after it.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.seal(true, &[], out);
    }

    /// Seals what waits and what is given as one chunk.
    fn seal(&mut self, last: bool, more: &[&[u8]], out: &mut Vec<u8>) {
        let from = out.len();
        out.extend_from_slice(&self.pending);
        self.pending.clear();
        for bytes in more {
            out.extend_from_slice(bytes);
        }
        self.key.seal(self.number, last, out, from);
        self.number += 1;
    }
}
