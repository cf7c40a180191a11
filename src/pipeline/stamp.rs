//! A WAL object's stamp, with one ranged get or two.

use super::PipelineFault;
use crate::format::codec::{Codec, Envelope};
use crate::format::seal::{BadHeader, Header, MAX_HEADER, openpgp};
use crate::format::stamp::{Signed, StampError};
use crate::store::Store;
use crate::units::Key;

/// What a WAL object says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    pub signed: Signed,
    /// Where what the stamp's `body` covers begins in the object.
    pub body_at: usize,
}

/// More than the stamp and some ten recipients.
const FIRST_LOOK: u64 = 4096;

/// Reads the stamp of the object of `size` bytes.
pub fn read_stamp(store: &Store, key: &Key, size: u64) -> Result<Stamped, PipelineFault> {
    let mut length = FIRST_LOOK;
    loop {
        let bytes = store.get_range(key, 0..size.min(length))?;
        match stamp_of(key, &bytes) {
            Ok(stamped) => return Ok(stamped),
            Err(BadStamp::Short) if length < size && length < MAX_HEADER as u64 => length *= 4,
            Err(error) => return Err(PipelineFault::Damaged { key: key.to_string(), what: error.to_string() }),
        }
    }
}

/// Why an object's beginning has no stamp that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadStamp {
    #[error("its header is cut short")]
    Short,
    #[error("{0}")]
    Header(BadHeader),
    #[error("its header was changed after it was written")]
    Mac,
    #[error("{0}")]
    Stamp(#[from] StampError),
}

/// The stamp at the beginning of an object, as its name says that it must lie there.
pub fn stamp_of(key: &Key, bytes: &[u8]) -> Result<Stamped, BadStamp> {
    let bad = |error: BadHeader| match error {
        BadHeader::Short => BadStamp::Short,
        other => BadStamp::Header(other),
    };
    match Codec::of_name(key.file_name()).2 {
        Envelope::None => {
            let (signed, body_at) = Signed::skippable(bytes)?;
            Ok(Stamped { signed, body_at })
        }
        Envelope::Age => {
            let header = Header::parse(bytes).map_err(bad)?;
            // Every header that is written here can be checked; one that cannot was changed just there.
            if header.is_whole() != Some(true) {
                return Err(BadStamp::Mac);
            }
            Ok(Stamped { signed: Signed::among(&header.stanzas)?, body_at: header.length })
        }
        Envelope::OpenPgp => {
            // Before everything else, so that its hash covers the recipients' packets too.
            let (line, body_at) = openpgp::note(bytes).map_err(bad)?.ok_or(StampError::Missing)?;
            Ok(Stamped { signed: Signed::of_line(line)?, body_at })
        }
    }
}
