use std::io::{self, Cursor, Read};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::super::{Identities, SealError};
use super::body::{ABOUT, BLOCK, Decrypting, PREFIX, TAIL, VERSION, Vector};
use super::keys::session;
use super::packet::{Beginning, HASH, LAST, LAST_LENGTH, LITERAL, MORE, PIECE, Pieces, cut};

/// How much is decrypted at once: whole blocks.
const STEP: usize = 64 << 10;

type Body<R> = Pieces<io::Chain<Cursor<Vec<u8>>, R>>;

/// Decrypts an object from end to end while it is read. The end is believed only when the hash of everything is the one that stands
/// there, and when nothing lies behind it.
pub struct PgpUnsealer<R> {
    body: Option<Body<R>>,
    key: Decrypting,
    vector: Vector,
    hash: Context,
    /// Decrypted; up to `hashed` it is certainly not the end.
    clear: Vec<u8>,
    hashed: usize,
    at: usize,
    /// Of the data's piece that is being read.
    left: usize,
    last: bool,
    /// The hash at the end was right, and nothing came behind it.
    proven: bool,
}

impl<R> std::fmt::Debug for PgpUnsealer<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgpUnsealer").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<R: Read> PgpUnsealer<R> {
    /// `bytes` were read of it already.
    pub fn new(mut bytes: Vec<u8>, mut from: R, identities: &Identities) -> io::Result<PgpUnsealer<R>> {
        let invalid = |error: SealError| io::Error::new(io::ErrorKind::InvalidData, error);
        let beginning = loop {
            match Beginning::parse(&bytes) {
                Ok(beginning) => break beginning,
                Err(super::super::BadHeader::Short) if bytes.len() < super::super::MAX_HEADER => {
                    if (&mut from).take(4096).read_to_end(&mut bytes)? == 0 {
                        return Err(invalid(SealError::Header(super::super::BadHeader::Short)));
                    }
                }
                Err(error) => return Err(invalid(error.into())),
            }
        };
        let session = session(identities.openpgp(), &beginning).map_err(invalid)?;
        let rest = bytes.split_off(beginning.body_at);
        let mut body = Pieces::new(Cursor::new(rest).chain(from));
        let mut version = [0];
        body.read_exact(&mut version).map_err(cut)?;
        if version != [VERSION] {
            return Err(invalid(super::DAMAGED));
        }
        let mut unsealer = PgpUnsealer {
            body: Some(body),
            key: Decrypting::new(&session),
            vector: [0; BLOCK],
            hash: Context::new(&SHA1_FOR_LEGACY_USE_ONLY),
            clear: Vec::with_capacity(STEP + TAIL),
            hashed: 0,
            at: 0,
            left: 0,
            last: false,
            proven: false,
        };
        unsealer.begin()?;
        Ok(unsealer)
    }

    /// Up to the data.
    fn begin(&mut self) -> io::Result<()> {
        self.need(PREFIX + 1)?;
        if self.clear[PREFIX] != LITERAL {
            return Err(damaged(0));
        }
        self.at = PREFIX + 1;
        self.next_length()?;
        self.need(ABOUT.len())?;
        if self.left < ABOUT.len() || self.clear[self.at..self.at + ABOUT.len()] != ABOUT {
            return Err(damaged(0));
        }
        self.at += ABOUT.len();
        self.left -= ABOUT.len();
        Ok(())
    }

    /// Of the data or of a length so many bytes.
    fn need(&mut self, count: usize) -> io::Result<()> {
        while self.hashed - self.at < count {
            if self.body.is_none() {
                return Err(damaged(0));
            }
            self.fill()?;
        }
        Ok(())
    }

    fn next_length(&mut self) -> io::Result<()> {
        self.need(1)?;
        match self.clear[self.at] {
            MORE => {
                self.left = PIECE;
                self.at += 1;
            }
            LAST => {
                self.need(LAST_LENGTH)?;
                let length = self.clear[self.at + 1..].first_chunk().expect("five bytes were asked for");
                (self.left, self.last) = (u32::from_be_bytes(*length) as usize, true);
                self.at += LAST_LENGTH;
            }
            _ => return Err(damaged(0)),
        }
        Ok(())
    }

    /// Decrypts the next bytes; at the end, holds everything against the hash.
    fn fill(&mut self) -> io::Result<()> {
        let Some(body) = &mut self.body else { return Ok(()) };
        self.clear.drain(..self.at);
        self.hashed -= self.at;
        self.at = 0;
        let from = self.clear.len();
        self.clear.resize(from + STEP, 0);
        let mut got = 0;
        // Whole blocks, except at the end.
        while got < STEP {
            match body.read(&mut self.clear[from + got..]) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.clear.truncate(from + got);
        self.key.decrypt(&mut self.vector, &mut self.clear[from..]);
        let known = self.clear.len().saturating_sub(TAIL).max(self.hashed);
        self.hash.update(&self.clear[self.hashed..known]);
        self.hashed = known;
        if got < STEP { self.end() } else { Ok(()) }
    }

    fn end(&mut self) -> io::Result<()> {
        let tail = &self.clear[self.hashed..];
        let (Some(body), Some(hash)) = (self.body.take(), tail.strip_prefix(&HASH)) else { return Err(damaged(0)) };
        self.hash.update(&HASH);
        let right = std::mem::replace(&mut self.hash, Context::new(&SHA1_FOR_LEGACY_USE_ONLY)).finish();
        if right.as_ref() != hash {
            return Err(damaged(0));
        }
        match body.into_inner().read(&mut [0])? {
            0 => self.proven = true,
            _ => return Err(damaged(0)),
        }
        Ok(())
    }
}

/// The hash vouches for all or nothing.
fn damaged(at: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, SealError::Damaged { at })
}

impl<R: Read> Read for PgpUnsealer<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while self.left == 0 {
            if self.last {
                // The hash comes behind the data, and what is behind that is nobody's.
                while self.body.is_some() {
                    self.fill()?;
                }
                return if self.proven && self.hashed == self.at { Ok(0) } else { Err(damaged(0)) };
            }
            self.next_length()?;
        }
        self.need(1)?;
        let taken = into.len().min(self.left).min(self.hashed - self.at);
        into[..taken].copy_from_slice(&self.clear[self.at..self.at + taken]);
        self.at += taken;
        self.left -= taken;
        Ok(taken)
    }
}
