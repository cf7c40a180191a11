use std::ops::Range;

use super::super::{Identities, SealError};
use super::body::{ABOUT, BLOCK, Decrypting, PREFIX, TAIL};
use super::keys::session;
use super::packet::{Beginning, LAST_LENGTH, PIECE};

/// How bytes of a body lie in its pieces: each behind one octet, the last piece behind five.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// Before the first length.
    from: u64,
    /// Pieces of full length.
    full: u64,
    /// In the last one.
    rest: u64,
}

const PIECE_LEN: u64 = PIECE as u64;

impl Cut {
    /// Of a body that fills, with its lengths, everything between the two.
    fn between(from: u64, to: u64) -> Option<Cut> {
        let body = to.checked_sub(from)?.checked_sub(LAST_LENGTH as u64)?;
        let (full, rest) = (body / (PIECE_LEN + 1), body % (PIECE_LEN + 1));
        (rest < PIECE_LEN).then_some(Cut { from, full, rest })
    }

    fn length(&self) -> u64 {
        self.full * PIECE_LEN + self.rest
    }

    /// Where a byte of the body lies.
    fn place(&self, at: u64) -> u64 {
        let piece = at / PIECE_LEN;
        let wide = if piece == self.full { LAST_LENGTH as u64 - 1 } else { 0 };
        self.from + at + piece + 1 + wide
    }

    /// Where these bytes lie, with the lengths between them.
    fn around(&self, bytes: Range<u64>) -> Range<u64> {
        let from = self.place(bytes.start);
        from..if bytes.is_empty() { from } else { self.place(bytes.end - 1) + 1 }
    }

    /// Moves the bytes of a body together at the beginning of `lying`, which holds all of [`Self::around`].
    fn join(&self, bytes: Range<u64>, lying: &mut [u8]) -> Option<usize> {
        let origin = self.place(bytes.start);
        let (mut at, mut to) = (bytes.start, 0);
        while at < bytes.end {
            let end = ((at / PIECE_LEN + 1) * PIECE_LEN).min(bytes.end);
            let from = usize::try_from(self.place(at) - origin).ok()?;
            let length = usize::try_from(end - at).ok()?;
            lying.get(from..from + length)?;
            lying.copy_within(from..from + length, to);
            (at, to) = (end, to + length);
        }
        Some(to)
    }
}

/// An object whose session key is known: any part of its data can be decrypted alone. That it is what was written is for whoever reads
/// it to know.
#[derive(Debug)]
pub struct PgpOpened {
    key: Decrypting,
    /// Where the sealed packet's first length stands.
    body_at: u64,
}

impl PgpOpened {
    /// Opens the beginning of an object, which must hold its header.
    pub fn open(bytes: &[u8], identities: &Identities) -> Result<PgpOpened, SealError> {
        let beginning = Beginning::parse(bytes)?;
        let session = session(identities.openpgp(), &beginning)?;
        Ok(PgpOpened { key: Decrypting::new(&session), body_at: beginning.body_at as u64 })
    }

    /// How the sealed bytes lie in the object, and the data's in what they stand for.
    fn cuts(&self, size: u64) -> Result<(Cut, Cut), SealError> {
        let outer = Cut::between(self.body_at, size).ok_or(super::DAMAGED)?;
        let clear = outer.length().checked_sub(1 + TAIL as u64).ok_or(SealError::Short)?;
        let inner = Cut::between(PREFIX as u64 + 1, clear).filter(|inner| inner.length() >= ABOUT.len() as u64);
        Ok((outer, inner.ok_or(super::DAMAGED)?))
    }

    /// How many plain bytes an object of `size` bytes holds.
    #[cfg(test)]
    pub fn plain_size(&self, size: u64) -> Result<u64, SealError> {
        self.cuts(size).map(|(_, inner)| inner.length() - ABOUT.len() as u64)
    }

    /// Which sealed bytes stand for these plain ones: from the block before them on, without which they say nothing.
    fn wanted(&self, plain: &Range<u64>, inner: &Cut) -> (Range<u64>, Range<u64>) {
        let data = plain.start + ABOUT.len() as u64..plain.end + ABOUT.len() as u64;
        let clear = inner.around(data.clone());
        let block = BLOCK as u64;
        let from = clear.start / block * block - block;
        // Behind the version of the packet.
        (data, from + 1..clear.end + 1)
    }

    /// The bytes of the object that hold these plain bytes; empty where they lie behind its end.
    pub fn sealed_range(&self, plain: Range<u64>, size: u64) -> Range<u64> {
        match self.cuts(size) {
            Ok((outer, inner)) if plain.start < plain.end && plain.end + ABOUT.len() as u64 <= inner.length() => {
                outer.around(self.wanted(&plain, &inner).1)
            }
            _ => size..size,
        }
    }

    /// Decrypts what lies in [`Self::sealed_range`] where it lies, and gives exactly the plain bytes asked for, moved together at the beginning.
    pub fn open_range<'b>(&self, plain: Range<u64>, size: u64, sealed: &'b mut [u8]) -> Result<&'b mut [u8], SealError> {
        if plain.start == plain.end {
            return Ok(&mut sealed[..0]);
        }
        let range = self.sealed_range(plain.clone(), size);
        if range.is_empty() || (range.end - range.start) != sealed.len() as u64 {
            return Err(SealError::Short);
        }
        let (outer, inner) = self.cuts(size)?;
        let (data, bytes) = self.wanted(&plain, &inner);
        let length = outer.join(bytes.clone(), sealed).ok_or(SealError::Short)?;
        let first = bytes.start - 1;
        // The data never begins within the first block, so there is one before it.
        let mut vector = *sealed.first_chunk().ok_or(SealError::Short)?;
        self.key.decrypt_part(&mut vector, &mut sealed[BLOCK..length]);
        let from = usize::try_from(inner.place(data.start) - first).map_err(|_| SealError::Short)?;
        let joined = inner.join(data, &mut sealed[from..length]).ok_or(SealError::Short)?;
        Ok(&mut sealed[from..from + joined])
    }
}
