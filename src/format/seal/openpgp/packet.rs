//! How bytes become packets: a tag, a length, and a body that may come in pieces.

use std::io::{self, Read};

use age_core::format::Stanza;
use pgp::packet::{PacketHeader, PublicKeyEncryptedSessionKey};
use pgp::types::Tag;

use super::super::{BadHeader, LockedFor, line};

/// GnuPG's packet for comments, and one of the private tags that whoever does not know them must pass over (RFC 9580, section 4.3). Of
/// these it is the only one that `gpg` accepts at the beginning of a message.
const NOTE: u8 = 0xc0 | 61;
const SESSION_KEY: u8 = 0xc0 | 1;
pub(super) const SEALED: u8 = 0xc0 | 18;
pub(super) const LITERAL: u8 = 0xc0 | 11;
/// The last packet within the sealed one, with its length.
pub(super) const HASH: [u8; 2] = [0xc0 | 19, 20];

/// A body comes in pieces of this length,
pub(super) const PIECE: usize = 64 << 10;
/// each behind this octet,
pub(super) const MORE: u8 = 0xe0 | 16;
/// and the last one, which is shorter and may be empty, behind five: this and its length.
pub(super) const LAST: u8 = 0xff;
pub(super) const LAST_LENGTH: usize = 5;

pub(super) fn last_length(length: usize) -> [u8; LAST_LENGTH] {
    let [a, b, c, d] = u32::try_from(length).expect("less than a piece").to_be_bytes();
    [LAST, a, b, c, d]
}

/// A line for whoever has no key, before everything else; programs that do not know it pass over it.
pub(super) fn note_of(stanza: &Stanza) -> Vec<u8> {
    let line = line(stanza);
    let length = last_length(line.len());
    [&[NOTE][..], &length, line.as_bytes()].concat()
}

/// The note at the beginning of an object, and how long its packet is. `None`: there is none.
pub fn note(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, BadHeader> {
    match packet(bytes)? {
        (NOTE, at, end) => Ok(Some((&bytes[at..end], end))),
        _ => Ok(None),
    }
}

/// Whether an object begins with a packet; nothing that is text does.
pub(in crate::format::seal) fn begins_like_ours(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| matches!(*first, NOTE | SESSION_KEY))
}

/// A whole packet at the beginning of `bytes`: its tag, where its body begins, and where it ends.
fn packet(bytes: &[u8]) -> Result<(u8, usize, usize), BadHeader> {
    let [tag, rest @ ..] = bytes else { return Err(BadHeader::Short) };
    let (at, length) = match rest {
        [] | [192..=223] | [255] | [255, _] | [255, _, _] | [255, _, _, _] => return Err(BadHeader::Short),
        [short @ 0..=191, ..] => (2, usize::from(*short)),
        [first @ 192..=223, second, ..] => (3, (usize::from(*first) - 192) * 256 + usize::from(*second) + 192),
        [255, a, b, c, d, ..] => (6, u32::from_be_bytes([*a, *b, *c, *d]) as usize),
        _ => return Err(BadHeader::Damaged("a packet before the sealed one comes in pieces")),
    };
    let end = at + length;
    if length > super::super::MAX_HEADER {
        return Err(BadHeader::Damaged("a packet before the sealed one is too long"));
    }
    if bytes.len() < end { Err(BadHeader::Short) } else { Ok((*tag, at, end)) }
}

/// What stands before the sealed packet.
pub(super) struct Beginning {
    pub keys: Vec<PublicKeyEncryptedSessionKey>,
    /// There is one more packet for a recipient that nobody can read; the others open it all the same.
    pub is_damaged: bool,
    /// Where the sealed packet's first length stands.
    pub body_at: usize,
}

impl Beginning {
    pub(super) fn parse(bytes: &[u8]) -> Result<Beginning, BadHeader> {
        let (mut keys, mut is_damaged, mut from) = (Vec::new(), false, 0);
        loop {
            match bytes.get(from) {
                None => return Err(BadHeader::Short),
                Some(&SEALED) => return Ok(Beginning { keys, is_damaged, body_at: from + 1 }),
                Some(&(NOTE | SESSION_KEY)) => {}
                Some(_) => return Err(BadHeader::Damaged("it has a packet that is never written here")),
            }
            let (tag, at, end) = packet(&bytes[from..])?;
            if tag == SESSION_KEY {
                let body = &bytes[from + at..from + end];
                let header = PacketHeader::new_fixed(Tag::PublicKeyEncryptedSessionKey, u32::try_from(body.len()).unwrap_or(u32::MAX));
                match PublicKeyEncryptedSessionKey::try_from_reader(header, body) {
                    // No other version is written here.
                    Ok(key @ PublicKeyEncryptedSessionKey::V3 { .. }) => keys.push(key),
                    Ok(_) | Err(_) => is_damaged = true,
                }
            }
            from += end;
        }
    }
}

/// For whom an object is locked: the last eight bytes of each key's fingerprint.
pub(in crate::format::seal) fn locked_for(bytes: &[u8]) -> Result<Vec<LockedFor>, BadHeader> {
    let beginning = Beginning::parse(bytes)?;
    if beginning.is_damaged {
        return Err(BadHeader::Damaged("a recipient's packet cannot be read"));
    }
    let id = |key: &PublicKeyEncryptedSessionKey| {
        key.id().ok().map(|id| LockedFor::OpenPgp { id: crate::units::hex(id.as_ref()).to_uppercase() })
    };
    Ok(beginning.keys.iter().filter_map(id).collect())
}

/// The body of a packet whose lengths come with it.
pub(super) struct Pieces<R> {
    from: R,
    left: usize,
    last: bool,
}

impl<R: Read> Pieces<R> {
    /// `from` gives the first length next.
    pub(super) fn new(from: R) -> Pieces<R> {
        Pieces { from, left: 0, last: false }
    }

    fn next_length(&mut self) -> io::Result<()> {
        let mut octet = [0];
        self.from.read_exact(&mut octet).map_err(cut)?;
        match octet[0] {
            MORE => self.left = PIECE,
            LAST => {
                let mut length = [0; 4];
                self.from.read_exact(&mut length).map_err(cut)?;
                (self.left, self.last) = (u32::from_be_bytes(length) as usize, true);
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, super::DAMAGED)),
        }
        Ok(())
    }

    /// Whatever lies behind the packet.
    pub(super) fn into_inner(self) -> R {
        self.from
    }
}

/// What ends too early was cut short.
pub(super) fn cut(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(io::ErrorKind::InvalidData, super::SealError::Short),
        _ => error,
    }
}

impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            if self.last {
                return Ok(0);
            }
            self.next_length()?;
        }
        let wanted = into.len().min(self.left);
        let got = self.from.read(&mut into[..wanted])?;
        if got == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, super::SealError::Short));
        }
        self.left -= got;
        Ok(got)
    }
}
