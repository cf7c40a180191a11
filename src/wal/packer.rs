//! A plain file on its way to the bytes of an object: hash, compress, encrypt, hash. One pass, piece by piece.

use super::WalFault;
use super::fault::WalFaultKind;
use crate::format::codec::{Codec, Compressor};
use crate::format::seal::Sealer;
use crate::format::signature::SigningKey;
use crate::format::stamp::Stamp;
use crate::pipeline::Lock;

/// How much plain log is one frame. The layout allows 8 MiB; smaller ones stay in the processor's cache and compress as well.
pub(super) const FRAME: usize = 2 << 20;

/// Buffers that a worker uses again and again: fresh ones for every segment would cost more than the encryption.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub plain: Vec<u8>,
    pub frame: Vec<u8>,
    pub object: Vec<u8>,
}

/// Makes one object. What it appends to `out` begins with room for the header, which is known only at the end.
pub(super) struct Packer<'k> {
    compressor: Compressor,
    sealer: Option<Sealer>,
    signing: &'k SigningKey,
    frame: &'k mut Vec<u8>,
    plain: blake3::Hasher,
    body: blake3::Hasher,
    /// Of the header, without what belongs to the body.
    header: usize,
}

impl std::fmt::Debug for Packer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<'k> Packer<'k> {
    /// `like` has what is known of the stamp already; all stamps of one file are of one length.
    pub(super) fn new(
        codec: Codec,
        lock: &Lock,
        signing: &'k SigningKey,
        like: &Stamp,
        frame: &'k mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Packer<'k>, WalFault> {
        let compressor = Compressor::new(codec).map_err(cannot)?;
        let sealer = lock.recipients().map(Sealer::new).transpose().map_err(cannot)?;
        let mut packer =
            Packer { compressor, sealer, signing, frame, plain: blake3::Hasher::new(), body: blake3::Hasher::new(), header: 0 };
        let beginning = packer.beginning(like)?;
        packer.header = beginning.len() - packer.sealer.as_ref().map_or(0, Sealer::own_header);
        packer.body.update(&beginning[packer.header..]);
        out.extend_from_slice(&beginning);
        Ok(packer)
    }

    /// What stands before the sealed bytes: the header with the stamp, and the nonce.
    fn beginning(&self, stamp: &Stamp) -> Result<Vec<u8>, WalFault> {
        match &self.sealer {
            Some(sealer) => Ok(sealer.header(&[stamp.stanza(Some(self.signing)).map_err(cannot)?])),
            None => stamp.skippable(Some(self.signing)).map_err(cannot),
        }
    }

    /// Appends what stands for `plain` to `out`.
    pub(super) fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), WalFault> {
        self.plain.update(plain);
        self.compressor.frame(plain, self.frame).map_err(cannot)?;
        let from = out.len();
        match &mut self.sealer {
            Some(sealer) => sealer.push(self.frame, out),
            None => out.extend_from_slice(self.frame),
        }
        self.body.update(&out[from..]);
        Ok(())
    }

    /// Appends the end to `out`, and gives the true header for its room.
    pub(super) fn finish(mut self, known: Stamp, out: &mut Vec<u8>) -> Result<(Stamp, Vec<u8>), WalFault> {
        let from = out.len();
        if let Some(sealer) = &mut self.sealer {
            sealer.end(out);
        }
        self.body.update(&out[from..]);
        let stamp = Stamp { content: self.plain.finalize().into(), body: self.body.finalize().into(), ..known };
        let beginning = self.beginning(&stamp)?;
        Ok((stamp, beginning))
    }
}

pub(super) fn cannot(error: impl std::fmt::Display) -> WalFault {
    WalFault::new(WalFaultKind::Key, format!("it cannot be compressed, encrypted or signed: {error}"), "")
}
