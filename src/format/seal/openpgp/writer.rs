use age_core::format::Stanza;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use zeroize::Zeroizing;

use super::super::{MAX_HEADER, SealError};
use super::PgpRecipient;
use super::body::{ABOUT, BLOCK, Encrypting, PREFIX, VERSION};
use super::packet::{HASH, LITERAL, MORE, PIECE, SEALED, last_length, note_of};

/// Room for what is said before the keys.
const MOST_NOTES: usize = 4096;

/// Encrypts one object.
pub struct PgpSealer {
    /// The session key for each recipient, and the sealed packet's tag.
    beginning: Vec<u8>,
    key: Encrypting,
    hash: Context,
    /// Of the data, less than a piece.
    data: Vec<u8>,
    /// Less than a block, on its way to be encrypted.
    clear: Vec<u8>,
    /// Encrypted, less than a piece.
    sealed: Vec<u8>,
}

impl std::fmt::Debug for PgpSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgpSealer").finish_non_exhaustive()
    }
}

impl PgpSealer {
    pub fn new(recipients: &[PgpRecipient]) -> Result<PgpSealer, SealError> {
        let random = |into: &mut [u8]| getrandom::fill(into).map_err(|error| SealError::Recipient(error.to_string()));
        let mut session = Zeroizing::new([0; 32]);
        random(session.as_mut())?;
        let mut prefix = [0; PREFIX];
        random(&mut prefix[..BLOCK])?;
        prefix.copy_within(BLOCK - 2..BLOCK, BLOCK);
        let mut beginning = Vec::new();
        for recipient in recipients {
            beginning.extend(recipient.wrap(&session)?);
        }
        if beginning.is_empty() {
            return Err(SealError::Recipient("there is none".into()));
        }
        // What stands before all is short; who reads looks no further.
        if beginning.len() > MAX_HEADER - MOST_NOTES {
            return Err(SealError::Recipient("they are too many for one object".into()));
        }
        beginning.push(SEALED);
        let mut sealer = PgpSealer {
            beginning,
            key: Encrypting::new(&session),
            hash: Context::new(&SHA1_FOR_LEGACY_USE_ONLY),
            data: Vec::with_capacity(PIECE),
            clear: Vec::with_capacity(PIECE + 64),
            sealed: Vec::with_capacity(2 * PIECE),
        };
        sealer.data.extend(ABOUT);
        sealer.sealed.push(VERSION);
        sealer.take(&prefix);
        sealer.take(&[LITERAL]);
        Ok(sealer)
    }

    /// What stands before the body, with `more` before all. Its length depends on theirs and the recipients' alone.
    pub fn header(&self, more: &[Stanza]) -> Vec<u8> {
        let mut out: Vec<u8> = more.iter().flat_map(note_of).collect();
        out.extend_from_slice(&self.beginning);
        out
    }

    /// How much of the header is no note.
    pub fn own_header(&self) -> usize {
        self.beginning.len()
    }

    /// Appends the encrypted form of `plain` to `out`; less than two pieces wait for what follows.
    pub fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) {
        while self.data.len() + plain.len() >= PIECE {
            let (now, later) = plain.split_at(PIECE - self.data.len());
            self.data.extend_from_slice(now);
            plain = later;
            self.take(&[MORE]);
            let mut piece = std::mem::take(&mut self.data);
            self.take(&piece);
            piece.clear();
            self.data = piece;
            self.put(out);
        }
        self.data.extend_from_slice(plain);
    }

    /// Appends the end. Nothing may be pushed after it.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        let data = std::mem::take(&mut self.data);
        self.take(&last_length(data.len()));
        self.take(&data);
        self.take(&HASH);
        let hash = std::mem::replace(&mut self.hash, Context::new(&SHA1_FOR_LEGACY_USE_ONLY)).finish();
        self.clear.extend_from_slice(hash.as_ref());
        self.key.encrypt(&mut self.clear);
        self.sealed.append(&mut self.clear);
        self.put(out);
        out.extend(last_length(self.sealed.len()));
        out.append(&mut self.sealed);
    }

    /// Hashes and encrypts; what is no whole block waits.
    fn take(&mut self, clear: &[u8]) {
        self.hash.update(clear);
        self.clear.extend_from_slice(clear);
        let whole = self.clear.len() / BLOCK * BLOCK;
        if whole > 0 {
            self.key.encrypt(&mut self.clear[..whole]);
            self.sealed.extend_from_slice(&self.clear[..whole]);
            self.clear.drain(..whole);
        }
    }

    fn put(&mut self, out: &mut Vec<u8>) {
        let whole = self.sealed.len() / PIECE * PIECE;
        for piece in self.sealed[..whole].chunks(PIECE) {
            out.push(MORE);
            out.extend_from_slice(piece);
        }
        self.sealed.drain(..whole);
    }
}
