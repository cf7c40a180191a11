//! What an object of the write-ahead log says of itself in its header, readable without any key: whose log it is, what its
//! plain bytes are, who wrote it.
//!
//! age encrypts the same bytes differently each time, so "the same segment again" can only be told by the plain bytes' hash.
//! The stamp is a stanza that other readers of age pass over; in OpenPGP a packet that other readers pass over, and where nothing is
//! encrypted a skippable frame of zstd or lz4.

use age_core::format::Stanza;
use base64::prelude::{BASE64_STANDARD_NO_PAD as BASE64, Engine};
use thiserror::Error;

use super::seal::line;
use super::signature::{SignatureError, SigningKey, WAL, Writers};
use crate::inventory::SystemIdentifier;
use crate::units::{Instant, WalFile};

const TAG: &str = "seawall-wal";
const VERSION: &str = "1";
/// zstd and lz4 both pass over a frame with this number and what it holds.
const SKIPPABLE: [u8; 4] = 0x184D_2A5Au32.to_le_bytes();

/// What one object of the write-ahead log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub system_identifier: SystemIdentifier,
    pub file: WalFile,
    /// Of the plain file.
    pub size: u64,
    /// BLAKE3 of the plain file.
    pub content: [u8; 32],
    /// When PostgreSQL last wrote to the file: what was committed until about then is in it or before it.
    pub written: Instant,
    /// BLAKE3 of everything in the object that follows the header's last line (so from age's nonce on), or the stamp's packet, or the skippable frame.
    pub body: [u8; 32],
}

/// A stamp and its signature, as they lie in the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub stamp: Stamp,
    signature: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StampError {
    #[error("it has no stamp")]
    Missing,
    #[error("its stamp cannot be read")]
    Unreadable,
    #[error("{0}")]
    Signature(#[from] SignatureError),
}

impl Stamp {
    fn words(&self) -> [String; 7] {
        [
            VERSION.into(),
            self.system_identifier.to_string(),
            self.file.to_string(),
            self.size.to_string(),
            BASE64.encode(self.content),
            // Of one length always, so that the header's length is known before its content.
            format!("{:013}", self.written.as_millisecond().max(0)),
            BASE64.encode(self.body),
        ]
    }

    fn message(&self) -> Vec<u8> {
        format!("{TAG} {}", self.words().join(" ")).into_bytes()
    }

    /// The stamp as a stanza, signed when this host has a key.
    pub fn stanza(&self, key: Option<&SigningKey>) -> Result<Stanza, SignatureError> {
        let body = key.map(|key| key.sign(WAL, &self.message())).transpose()?.unwrap_or_default();
        Ok(Stanza { tag: TAG.into(), args: self.words().into(), body })
    }

    /// The stamp as a frame that zstd and lz4 pass over.
    pub fn skippable(&self, key: Option<&SigningKey>) -> Result<Vec<u8>, SignatureError> {
        let text = line(&self.stanza(key)?);
        let length = u32::try_from(text.len()).expect("a line of some hundred bytes");
        Ok([&SKIPPABLE[..], &length.to_le_bytes(), text.as_bytes()].concat())
    }
}

impl Signed {
    /// Finds the stamp among a header's stanzas.
    pub fn among(stanzas: &[Stanza]) -> Result<Signed, StampError> {
        let stanza = stanzas.iter().find(|stanza| stanza.tag == TAG).ok_or(StampError::Missing)?;
        let words: Vec<&str> = stanza.args.iter().map(String::as_str).collect();
        Ok(Signed { stamp: read(&words).ok_or(StampError::Unreadable)?, signature: stanza.body.clone() })
    }

    /// Reads the skippable frame at the beginning of an object; gives its length too.
    pub fn skippable(bytes: &[u8]) -> Result<(Signed, usize), StampError> {
        let rest = bytes.strip_prefix(&SKIPPABLE).ok_or(StampError::Missing)?;
        let length = rest.first_chunk().map(|length| u32::from_le_bytes(*length) as usize).ok_or(StampError::Unreadable)?;
        let text = rest.get(4..4 + length).ok_or(StampError::Unreadable)?;
        Ok((Signed::of_line(text)?, 8 + length))
    }

    /// Reads a stamp that is a line of its own, as in OpenPGP.
    pub fn of_line(line: &[u8]) -> Result<Signed, StampError> {
        let line = std::str::from_utf8(line).map_err(|_| StampError::Unreadable)?;
        let words: Vec<&str> = line.trim_end_matches('\n').split(' ').collect();
        let [tag, words @ .., signature] = words.as_slice() else { return Err(StampError::Unreadable) };
        let signature = BASE64.decode(signature).map_err(|_| StampError::Unreadable)?;
        match (*tag == TAG, read(words)) {
            (true, Some(stamp)) => Ok(Signed { stamp, signature }),
            _ => Err(StampError::Unreadable),
        }
    }

    /// Whether the signature belongs to the stamp, whoever made it. Gives the fingerprint of its key.
    pub fn check_whole(&self) -> Result<String, SignatureError> {
        match self.signature.as_slice() {
            [] => Err(SignatureError::Missing),
            signature => Writers::check_whole(WAL, &self.stamp.message(), signature),
        }
    }

    /// Whose stamp it is; refused when it is nobody's that the policy names.
    pub fn check<'w>(&self, writers: &'w Writers) -> Result<&'w str, SignatureError> {
        if self.signature.is_empty() {
            return Err(SignatureError::Missing);
        }
        writers.check(WAL, &self.stamp.message(), &self.signature)
    }
}

fn read(words: &[&str]) -> Option<Stamp> {
    let [version, system_identifier, file, size, content, written, body] = words else { return None };
    let hash = |text: &str| BASE64.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    (*version == VERSION).then_some(())?;
    Some(Stamp {
        system_identifier: system_identifier.parse().ok()?,
        file: file.parse().ok()?,
        size: size.parse().ok()?,
        content: hash(content)?,
        written: Instant::from_millisecond(written.parse().ok()?).ok()?,
        body: hash(body)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp {
            system_identifier: SystemIdentifier(7_301_234_567_890_123_456),
            file: "000000010000000A000000FE".parse().expect("a segment"),
            size: 16 << 20,
            content: [7; 32],
            written: "2026-11-21T08:15:30.123Z".parse().expect("a moment"),
            body: [9; 32],
        }
    }

    #[test]
    fn a_stamp_is_read_back_and_its_writer_known() {
        let key = SigningKey::generate("db-1").expect("a key");
        let line = key.public();
        let writers = Writers::parse([("db-1", line.as_str())]).expect("a key");
        let stanza = stamp().stanza(Some(&key)).expect("signed");
        let signed = Signed::among(std::slice::from_ref(&stanza)).expect("a stamp");
        assert_eq!((signed.stamp.clone(), signed.check(&writers)), (stamp(), Ok("db-1")));
        let frame = stamp().skippable(Some(&key)).expect("signed");
        let (again, length) = Signed::skippable(&frame).expect("a stamp");
        assert_eq!((again.stamp.clone(), length, again.check(&writers)), (stamp(), frame.len(), Ok("db-1")));
        let changed = Signed { stamp: Stamp { size: 1, ..stamp() }, ..signed };
        assert!(changed.check(&writers).is_err());
        let unsigned = Signed::among(&[stamp().stanza(None).expect("a stanza")]).expect("a stamp");
        assert_eq!(unsigned.check(&writers), Err(SignatureError::Missing));
    }
}
