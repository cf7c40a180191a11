use age_core::format::Stanza;
use age_core::secrecy::ExposeSecret;

use super::stream::{BodyKey, CHUNK, NONCE, SealError};
use super::{Recipients, header};

/// Encrypts one object. The body can be made before the header, so that the header can say what the body is.
pub struct Sealer {
    file_key: age_core::format::FileKey,
    stanzas: Vec<Stanza>,
    nonce: [u8; NONCE],
    key: BodyKey,
    number: u64,
    /// A chunk is sealed only when more follows, because the last one is sealed differently; a full one may wait here.
    pending: Vec<u8>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Sealer {
    pub fn new(recipients: &Recipients) -> Result<Sealer, SealError> {
        let random = |into: &mut [u8]| getrandom::fill(into).map_err(|error| SealError::Recipient(error.to_string()));
        let file_key = age_core::format::FileKey::try_init_with_mut(|key| random(&mut key[..]))?;
        let mut nonce = [0; NONCE];
        random(&mut nonce)?;
        let stanzas = recipients.wrap(&file_key)?;
        let key = BodyKey::new(file_key.expose_secret(), &nonce);
        Ok(Sealer { file_key, stanzas, nonce, key, number: 0, pending: Vec::with_capacity(CHUNK) })
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

    /// Appends the last chunk.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.end(out);
    }

    /// Appends the last chunk where the header is made afterwards, because it says what the body is. Nothing may be pushed after it.
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
