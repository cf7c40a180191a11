//! OpenPGP as every `gpg` since version 2.0 opens it: a session key for each recipient, then one packet under AES-256 in cipher
//! feedback mode with a hash of its content at the end (version 1 of the packet; `gpg` does not read the later ones). Packets are
//! written and read here, in pieces of one size, so that any part of an object can be read alone; keys are the `pgp` crate's.
//! Nothing is compressed by it: what is given is compressed already.
//!
//! Unlike age's chunks, the hash vouches only for the whole. Whoever reads a part alone holds what comes out against what he knows of
//! it otherwise: a backup's index has the hash of every piece.

mod body;
mod certificates;
mod keys;
mod packet;
mod places;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use certificates::{Certificates, KeyStanding};
pub use keys::{PgpIdentity, PgpRecipient};
pub use packet::note;
pub(super) use packet::{begins_like_ours, locked_for};
pub(super) use places::PgpOpened;
pub(super) use reader::PgpUnsealer;
pub(super) use writer::PgpSealer;

use super::SealError;

const DAMAGED: SealError = SealError::Header(super::BadHeader::Damaged("its packets are none that are written here"));

/// The text of OpenPGP's armour.
pub(in crate::format) fn armor(sealed: &[u8]) -> String {
    struct Bytes<'b>(&'b [u8]);
    impl pgp::ser::Serialize for Bytes<'_> {
        fn to_writer<W: std::io::Write>(&self, to: &mut W) -> pgp::errors::Result<()> {
            to.write_all(self.0).map_err(Into::into)
        }
        fn write_len(&self) -> usize {
            self.0.len()
        }
    }
    let mut text = Vec::new();
    pgp::armor::write(&Bytes(sealed), pgp::armor::BlockType::Message, &mut text, None, true).expect("memory takes all");
    String::from_utf8(text).expect("armour is text")
}

/// The bytes in such a text.
pub(in crate::format) fn dearmor(text: &str) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut sealed = Vec::new();
    pgp::armor::Dearmor::new(text.as_bytes()).read_to_end(&mut sealed)?;
    Ok(sealed)
}

pub(in crate::format) const ARMOR: &str = "-----BEGIN PGP MESSAGE-----";
