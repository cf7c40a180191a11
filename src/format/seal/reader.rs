use std::io::{self, Read};
use std::ops::Range;

use age_core::secrecy::ExposeSecret;

use super::stream::{BodyKey, CHUNK, NONCE, SEALED_CHUNK, SealError};
use super::{Header, Identities};

/// An object whose header was opened: any part of its body can be decrypted alone.
#[derive(Debug)]
pub struct AgeOpened {
    key: BodyKey,
    /// Where the first chunk begins in the object.
    body_at: u64,
}

impl AgeOpened {
    /// Opens the header at the beginning of `bytes`, which must hold it and the sixteen bytes after it.
    pub fn open(bytes: &[u8], identities: &Identities) -> Result<AgeOpened, SealError> {
        let header = Header::parse(bytes)?;
        let file_key = identities.unwrap(&header.stanzas)?;
        if !header.is_sealed_with(file_key.expose_secret()) {
            return Err(SealError::Mac);
        }
        let nonce: &[u8; NONCE] =
            bytes.get(header.length..).and_then(|rest| rest.first_chunk()).ok_or(SealError::Header(super::BadHeader::Short))?;
        Ok(AgeOpened { key: BodyKey::new(file_key.expose_secret(), nonce), body_at: (header.length + NONCE) as u64 })
    }

    /// How many plain bytes an object of `size` bytes holds.
    #[cfg(test)]
    pub fn plain_size(&self, size: u64) -> Result<u64, SealError> {
        let body = size.checked_sub(self.body_at).ok_or(SealError::Short)?;
        let chunks = body.div_ceil(SEALED_CHUNK as u64).max(1);
        body.checked_sub(chunks * (SEALED_CHUNK - CHUNK) as u64).ok_or(SealError::Short)
    }

    /// The bytes of the object that hold these plain bytes.
    pub fn sealed_range(&self, plain: Range<u64>, size: u64) -> Range<u64> {
        let first = plain.start / CHUNK as u64;
        let after = plain.end.div_ceil(CHUNK as u64);
        let at = |chunk: u64| (self.body_at + chunk * SEALED_CHUNK as u64).min(size);
        at(first)..at(after)
    }

    /// Decrypts what lies in [`Self::sealed_range`] where it lies, and gives exactly the plain bytes asked for, moved together at the beginning.
    pub fn open_range<'b>(&self, plain: Range<u64>, size: u64, sealed: &'b mut [u8]) -> Result<&'b mut [u8], SealError> {
        let range = self.sealed_range(plain.clone(), size);
        if (range.end - range.start) != sealed.len() as u64 {
            return Err(SealError::Short);
        }
        let mut number = plain.start / CHUNK as u64;
        let (mut from, mut to) = (0, 0);
        while from < sealed.len() {
            let length = (sealed.len() - from).min(SEALED_CHUNK);
            let last = range.start + (from + length) as u64 == size;
            let opened = self.key.open(number, last, &mut sealed[from..from + length])?.len();
            sealed.copy_within(from..from + opened, to);
            from += length;
            to += opened;
            number += 1;
        }
        let skip = usize::try_from(plain.start % CHUNK as u64).map_err(|_| SealError::Short)?;
        let wanted = usize::try_from(plain.end - plain.start).map_err(|_| SealError::Short)?;
        sealed[..to].get_mut(skip..skip + wanted).ok_or(SealError::Short)
    }
}

/// Decrypts an object from end to end while it is read. The end is believed only when the last chunk says that it is the last.
pub struct AgeUnsealer<R> {
    from: R,
    key: BodyKey,
    number: u64,
    /// One chunk and the byte after it, which tells whether it is the last.
    buffer: Vec<u8>,
    filled: usize,
    plain: Range<usize>,
    ended: bool,
}

impl<R> std::fmt::Debug for AgeUnsealer<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgeUnsealer").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<R: Read> AgeUnsealer<R> {
    /// Reads and opens the header, of which `bytes` were read already, at most [`super::LOOK`].
    pub fn new(mut bytes: Vec<u8>, mut from: R, identities: &Identities) -> io::Result<AgeUnsealer<R>> {
        let mut grown = bytes.len();
        let opened = loop {
            match AgeOpened::open(&bytes, identities) {
                Ok(opened) => break opened,
                Err(SealError::Header(super::BadHeader::Short)) if grown > 0 && bytes.len() < super::MAX_HEADER => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
            grown = (&mut from).take(super::LOOK).read_to_end(&mut bytes)?;
        };
        let body_at = usize::try_from(opened.body_at).unwrap_or(bytes.len());
        let mut buffer = vec![0; SEALED_CHUNK + 1];
        // The header ended within the last 4 KiB that were read, so this fits.
        let rest = &bytes[body_at..];
        buffer[..rest.len()].copy_from_slice(rest);
        Ok(AgeUnsealer { from, key: opened.key, number: 0, filled: rest.len(), buffer, plain: 0..0, ended: false })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        // The byte that was read ahead was left behind the chunk.
        while self.filled < self.buffer.len() {
            match self.from.read(&mut self.buffer[self.filled..]) {
                Ok(0) => break,
                Ok(got) => self.filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let last = self.filled < self.buffer.len();
        let ahead = self.buffer[SEALED_CHUNK];
        let length = self.filled.min(SEALED_CHUNK);
        let opened = self
            .key
            .open(self.number, last, &mut self.buffer[..length])
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, if length == 0 { SealError::Short } else { error }))?
            .len();
        self.plain = 0..opened;
        self.number += 1;
        self.ended = last;
        self.buffer[SEALED_CHUNK] = ahead;
        Ok(())
    }
}

impl<R: Read> Read for AgeUnsealer<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.plain.is_empty() {
            if self.ended {
                return Ok(0);
            }
            if self.number > 0 {
                self.buffer[0] = self.buffer[SEALED_CHUNK];
                self.filled = 1;
            }
            self.next_chunk()?;
        }
        let taken = self.plain.len().min(into.len());
        into[..taken].copy_from_slice(&self.buffer[self.plain.start..self.plain.start + taken]);
        self.plain.start += taken;
        Ok(taken)
    }
}
