//! Segments that are too large to be put in one piece.
//!
//! An upload in pieces cannot be put "only if the name is free" in every store. So a small claim is put first, in one piece and only
//! if it is absent: who holds the claim for this content may upload it, everybody else is refused. The order: claim, pieces, the
//! first piece with the header last, and then the object is there, whole. A crash leaves a claim, which stands for
//! the same content when it is tried again.

use std::fs::File;
use std::io::Read;

use bytes::Bytes;

use super::cluster::Plain;
use super::existing::conflict;
use super::fault::WalFaultKind;
use super::packer::{FRAME, Packer, cannot};
use super::ship::Run;
use super::{Place, WalFault};
use crate::format::stamp::{Signed, Stamp};
use crate::store::{Put, Upload};
use crate::units::Key;

const MAX_CLAIM: usize = 16 << 10;

/// `known` has the content's hash already.
pub(super) fn put(run: &Run, place: &Place, plain: &Plain, known: &Stamp) -> Result<(), WalFault> {
    let key = run.settings.key(&place.repository, run.cluster, plain.file);
    claim(run, place, known)?;
    if place.store.head(&key)?.is_some() {
        return run.same_as_there(place, &key, known);
    }
    let uploaded = upload(run, place, plain, known, &key);
    match &uploaded {
        // Another host, with the same claim, was faster.
        Err(fault) if fault.may_pass() && place.store.head(&key)?.is_some() => run.same_as_there(place, &key, known),
        _ => uploaded,
    }
}

pub(super) fn claim(run: &Run, place: &Place, known: &Stamp) -> Result<(), WalFault> {
    let claim = place.repository.wal_claim(run.cluster, known.file);
    // Without a body's hash it can never pass for an object.
    let bytes = known.skippable(Some(&run.settings.signing)).map_err(cannot)?;
    if place.store.put_new(&claim, bytes.into())? == Put::Created {
        return Ok(());
    }
    let there = place.store.get(&claim, MAX_CLAIM)?;
    let (signed, _) = Signed::skippable(&there).map_err(|error| WalFault::damaged(&claim, error))?;
    if !run.settings.writers.is_empty() {
        signed.check(&run.settings.writers).map_err(|error| {
            let message = format!("{claim} in {} is refused: {error}", place.store.url());
            WalFault::new(
                WalFaultKind::Forged,
                message,
                "Find out who wrote it; a host that should be trusted belongs into `encryption.writers`.",
            )
        })?;
    }
    let same = (signed.stamp.system_identifier, signed.stamp.file) == (known.system_identifier, known.file)
        && signed.stamp.content == known.content;
    if same { Ok(()) } else { Err(conflict(place, &claim, known.file, &signed.stamp, &known.content)) }
}

fn upload(run: &Run, place: &Place, plain: &Plain, known: &Stamp, key: &Key) -> Result<(), WalFault> {
    let of = |error: &std::io::Error| WalFault::local(&plain.path, error);
    let settings = &run.settings;
    let mut file = File::open(&plain.path).map_err(|error| of(&error))?;
    let mut pieces = Pieces::begin(place.store.upload(key)?);
    let mut frame = Vec::new();
    let mut packer = Packer::new(settings.codec(), settings.lock(plain.file), &settings.signing, known, &mut frame, &mut pieces.rest)?;
    let mut buffer = Vec::with_capacity(FRAME);
    loop {
        buffer.clear();
        if (&mut file).take(FRAME as u64).read_to_end(&mut buffer).map_err(|error| of(&error))? == 0 {
            break;
        }
        packer.push(&buffer, &mut pieces.rest)?;
        pieces.send_full()?;
    }
    let (stamp, beginning) = packer.finish(known.clone(), &mut pieces.rest)?;
    if stamp.content != known.content {
        let message = format!("`{}` was changed while it was read", plain.path.display());
        return Err(WalFault::new(WalFaultKind::Local, message, "PostgreSQL does not change finished files: find out who does."));
    }
    pieces.finish(&beginning)
}

/// An upload whose first piece waits for the header.
struct Pieces {
    upload: Upload,
    size: usize,
    first: Option<Vec<u8>>,
    next: u32,
    rest: Vec<u8>,
}

impl Pieces {
    fn begin(upload: Upload) -> Pieces {
        // Of the longest segment, all are alike.
        let size = upload.piece_size(0);
        Pieces { upload, size, first: None, next: 0, rest: Vec::with_capacity(size + FRAME) }
    }

    fn send_full(&mut self) -> Result<(), WalFault> {
        while self.rest.len() > self.size {
            let more = self.rest.split_off(self.size);
            let piece = std::mem::replace(&mut self.rest, more);
            self.send(piece)?;
        }
        Ok(())
    }

    fn send(&mut self, piece: Vec<u8>) -> Result<(), WalFault> {
        if self.next == 0 {
            self.first = Some(piece);
        } else {
            self.upload.put(self.next, Bytes::from(piece))?;
        }
        self.next += 1;
        Ok(())
    }

    fn finish(mut self, beginning: &[u8]) -> Result<(), WalFault> {
        self.send_full()?;
        let last = std::mem::take(&mut self.rest);
        self.send(last)?;
        let mut first = self.first.take().expect("there is at least the piece that was just sent");
        first[..beginning.len()].copy_from_slice(beginning);
        self.upload.put(0, Bytes::from(first))?;
        Ok(self.upload.finish()?)
    }
}
