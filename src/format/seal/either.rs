//! One face over both formats. Which one an object has shows in its first bytes; that its name says so as well is for people.

use std::io::{self, Read};
use std::ops::Range;

use age_core::format::Stanza;
use base64::prelude::{BASE64_STANDARD_NO_PAD as BASE64, Engine};

use super::openpgp::{PgpOpened, PgpSealer, PgpUnsealer, begins_like_ours};
use super::reader::{AgeOpened, AgeUnsealer};
use super::writer::AgeSealer;
use super::{Identities, Recipients, SealError};

/// So much of an object is read at once in search of its header's end.
pub(super) const LOOK: u64 = 4096;

/// A stanza as a line, where there are no stanzas.
pub fn line(stanza: &Stanza) -> String {
    format!("{} {} {}\n", stanza.tag, stanza.args.join(" "), BASE64.encode(&stanza.body))
}

/// Encrypts one object. The body can be made before the header, so that the header can say what the body is.
#[derive(Debug)]
pub enum Sealer {
    Age(Box<AgeSealer>),
    OpenPgp(Box<PgpSealer>),
}

impl Sealer {
    pub fn new(recipients: &Recipients) -> Result<Sealer, SealError> {
        recipients.sealer()
    }

    /// What stands before the body, with `more` for whoever has no key: programs that do not know it pass over it.
    /// Its length depends on theirs alone.
    pub fn header(&self, more: &[Stanza]) -> Vec<u8> {
        match self {
            Sealer::Age(sealer) => sealer.header(more),
            Sealer::OpenPgp(sealer) => sealer.header(more),
        }
    }

    /// How much of the header's end has to be vouched for together with the body.
    pub fn own_header(&self) -> usize {
        match self {
            Sealer::Age(sealer) => sealer.own_header(),
            Sealer::OpenPgp(sealer) => sealer.own_header(),
        }
    }

    /// Appends the encrypted form of `plain` to `out`; some of it waits for what follows.
    pub fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        match self {
            Sealer::Age(sealer) => sealer.push(plain, out),
            Sealer::OpenPgp(sealer) => sealer.push(plain, out),
        }
    }

    /// Appends the end.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.end(out);
    }

    /// Appends the end where the header is made afterwards, because it says what the body is. Nothing may be pushed after it.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        match self {
            Sealer::Age(sealer) => sealer.end(out),
            Sealer::OpenPgp(sealer) => sealer.end(out),
        }
    }
}

/// An object whose header was opened: any part of its body can be decrypted alone. With OpenPGP nothing vouches for a part but what its
/// reader knows of it.
#[derive(Debug)]
pub enum Opened {
    Age(AgeOpened),
    OpenPgp(Box<PgpOpened>),
}

impl Opened {
    /// Opens the header at the beginning of `bytes`, which must hold it and the sixteen bytes after it.
    pub fn open(bytes: &[u8], identities: &Identities) -> Result<Opened, SealError> {
        if begins_like_ours(bytes) {
            PgpOpened::open(bytes, identities).map(|opened| Opened::OpenPgp(Box::new(opened)))
        } else {
            AgeOpened::open(bytes, identities).map(Opened::Age)
        }
    }

    /// How many plain bytes an object of `size` bytes holds.
    #[cfg(test)]
    pub fn plain_size(&self, size: u64) -> Result<u64, SealError> {
        match self {
            Opened::Age(opened) => opened.plain_size(size),
            Opened::OpenPgp(opened) => opened.plain_size(size),
        }
    }

    /// The bytes of the object that hold these plain bytes.
    pub fn sealed_range(&self, plain: Range<u64>, size: u64) -> Range<u64> {
        match self {
            Opened::Age(opened) => opened.sealed_range(plain, size),
            Opened::OpenPgp(opened) => opened.sealed_range(plain, size),
        }
    }

    /// Decrypts what lies in [`Self::sealed_range`] where it lies, and gives exactly the plain bytes asked for, moved together.
    pub fn open_range<'b>(&self, plain: Range<u64>, size: u64, sealed: &'b mut [u8]) -> Result<&'b mut [u8], SealError> {
        match self {
            Opened::Age(opened) => opened.open_range(plain, size, sealed),
            Opened::OpenPgp(opened) => opened.open_range(plain, size, sealed),
        }
    }
}

/// Decrypts an object from end to end while it is read. The end is believed only when the object says itself that it is there.
#[derive(Debug)]
pub enum Unsealer<R> {
    Age(Box<AgeUnsealer<R>>),
    OpenPgp(Box<PgpUnsealer<R>>),
}

impl<R: Read> Unsealer<R> {
    /// Reads and opens the header. What the reader says of its own faults comes out as it is.
    pub fn new(mut from: R, identities: &Identities) -> io::Result<Unsealer<R>> {
        let mut bytes = Vec::with_capacity(4096);
        (&mut from).take(LOOK).read_to_end(&mut bytes)?;
        if begins_like_ours(&bytes) {
            PgpUnsealer::new(bytes, from, identities).map(|unsealer| Unsealer::OpenPgp(Box::new(unsealer)))
        } else {
            AgeUnsealer::new(bytes, from, identities).map(|unsealer| Unsealer::Age(Box::new(unsealer)))
        }
    }
}

impl<R: Read> Read for Unsealer<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Unsealer::Age(unsealer) => unsealer.read(into),
            Unsealer::OpenPgp(unsealer) => unsealer.read(into),
        }
    }
}
