//! One object from one store into another, in pieces, held against the hash that somebody vouched for before it gets its name.

use std::io::Read as _;
use std::sync::atomic::Ordering;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use super::ground::{Pair, Side};
use crate::format::stamp::Stamp;
use crate::inventory::SystemIdentifier;
use crate::observe::accept_stamp;
use crate::pipeline::{PipelineFault, read_stamp, stamp_of};
use crate::site::SiteFault;
use crate::store::{self, Store};
use crate::units::{Key, SegmentSize, WalFile, hex};

/// So many objects are on their way at once: one is read while the other is written. More would only take more memory.
pub(super) const WORKERS: usize = 2;
/// When what arrived is read once more.
const PIECE: usize = 4 << 20;

/// One object that is to be there.
#[derive(Debug)]
pub(super) struct Wanted<'o> {
    pub key: Key,
    pub to: Key,
    pub size: u64,
    pub proof: Proof<'o>,
    /// What arrived is read once more.
    pub reads_back: bool,
}

/// What it is held against.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof<'o> {
    Sha256(&'o str),
    /// The stamp at its beginning.
    Log(SystemIdentifier, WalFile, Option<SegmentSize>),
    /// Nobody vouches for it: its size is all there is.
    Size,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Copied,
    WasThere,
}

/// Why it is not there.
#[derive(Debug)]
pub(super) enum Miss {
    /// The original is lost or not what was put.
    Damaged(String),
    /// Something else has its name in the copy.
    Differs(String),
    /// The original was deleted since it was listed.
    Gone,
    /// One of the stores does not do what it should, or somebody asked it to end.
    Fault(SiteFault),
}

impl From<store::Fault> for Miss {
    fn from(fault: store::Fault) -> Miss {
        Miss::Fault(fault.into())
    }
}

impl Pair<'_> {
    /// Puts an object where nothing has its name.
    pub fn bring(&self, from: &Side, wanted: &Wanted<'_>) -> Result<Done, Miss> {
        let mut reader = from.store.reader(&wanted.key, 0..wanted.size).map_err(|fault| of_original(PipelineFault::Store(fault)))?;
        let mut upload = self.to.store.upload(&wanted.to)?;
        let mut check = Check::new(wanted, self)?;
        let mut at = 0;
        for index in 0.. {
            self.onlooker.may_go_on().map_err(Miss::Fault)?;
            let length = (upload.piece_size(index) as u64).min(wanted.size - at);
            let mut piece = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
            let read = reader.read_exact(&mut piece);
            read.map_err(|error| of_original(PipelineFault::of_stream(wanted.key.as_str(), &error)))?;
            check.push(&piece).map_err(Miss::Damaged)?;
            upload.put(index, Bytes::from(piece))?;
            self.onlooker.progress.read.fetch_add(length, Ordering::Relaxed);
            self.onlooker.progress.stored.fetch_add(length, Ordering::Relaxed);
            at += length;
            if at == wanted.size {
                break;
            }
        }
        // Before it gets its name, which it has for ever.
        check.end().map_err(Miss::Damaged)?;
        match upload.finish() {
            Ok(()) if wanted.reads_back => self.read_back(wanted).map(|()| Done::Copied),
            Ok(()) => Ok(Done::Copied),
            Err(fault) => match self.to.store.head(&wanted.to)? {
                // Another run, or the archive command, was faster; or the answer was lost.
                Some(_) => self.must_be_same(from, wanted).map(|()| Done::Copied),
                None => Err(fault.into()),
            },
        }
    }

    /// What has the name in the copy is the very thing, as far as can be told without paying for all of it.
    pub fn was_there(&self, from: &Side, wanted: &Wanted<'_>) -> Result<Done, Miss> {
        self.must_be_same(from, wanted)?;
        self.onlooker.progress.read.fetch_add(wanted.size, Ordering::Relaxed);
        // Whoever put it may have died before its name was durable.
        self.to.store.settle(&wanted.to)?;
        Ok(Done::WasThere)
    }

    fn must_be_same(&self, from: &Side, wanted: &Wanted<'_>) -> Result<(), Miss> {
        let Some(meta) = self.to.store.head(&wanted.to)? else {
            let message = format!("{} in {} was there and is gone", wanted.to, self.to.store.url());
            return Err(Miss::Fault(SiteFault {
                transient: true,
                ..SiteFault::new(message, "Something deletes objects there; run it again.")
            }));
        };
        if let Proof::Log(..) = wanted.proof {
            return self.must_be_same_log(from, wanted, meta.size);
        }
        if meta.size != wanted.size {
            return Err(Miss::Differs(format!("it has {} bytes, and {} in `{}`", meta.size, wanted.size, from.name)));
        }
        if wanted.reads_back { self.read_back(wanted) } else { Ok(()) }
    }

    /// The same content, whoever sealed it: encrypted twice it is never the same bytes.
    fn must_be_same_log(&self, from: &Side, wanted: &Wanted<'_>, size: u64) -> Result<(), Miss> {
        let Proof::Log(cluster, file, segment) = wanted.proof else { return Ok(()) };
        let original = read_stamp(&from.store, &wanted.key, wanted.size).map_err(of_original)?.signed.stamp;
        let there = match read_stamp(&self.to.store, &wanted.to, size) {
            Ok(stamped) => stamped.signed,
            Err(fault) if fault.is_of_object() => return Err(Miss::Differs(fault.to_string())),
            Err(fault) => return Err(Miss::Fault(fault.into())),
        };
        accept_stamp(&there, cluster, file, segment, self.writers).map_err(Miss::Differs)?;
        if there.stamp.content != original.content {
            return Err(Miss::Differs(format!("it is not the content that lies in `{}`", from.name)));
        }
        Ok(())
    }

    /// Every byte of what arrived.
    fn read_back(&self, wanted: &Wanted<'_>) -> Result<(), Miss> {
        let mut check = Check::new(wanted, self)?;
        let of_copy = |fault: PipelineFault| match fault.is_of_object() {
            true => Miss::Differs(fault.to_string()),
            false => Miss::Fault(fault.into()),
        };
        let mut reader = self.to.store.reader(&wanted.to, 0..wanted.size).map_err(|fault| of_copy(fault.into()))?;
        let mut piece = Vec::new();
        loop {
            self.onlooker.may_go_on().map_err(Miss::Fault)?;
            piece.clear();
            let got = (&mut reader).take(PIECE as u64).read_to_end(&mut piece);
            let got = got.map_err(|error| of_copy(PipelineFault::of_stream(wanted.to.as_str(), &error)))?;
            if got == 0 {
                break;
            }
            check.push(&piece).map_err(Miss::Differs)?;
        }
        check.end().map_err(Miss::Differs)
    }
}

fn of_original(fault: PipelineFault) -> Miss {
    match &fault {
        PipelineFault::Store(inner) if inner.is_absent() => Miss::Gone,
        _ if fault.is_of_object() => Miss::Damaged(fault.to_string()),
        _ => Miss::Fault(fault.into()),
    }
}

/// Held against what somebody vouched for, as it goes by.
enum Check<'c> {
    Sha256(Context, &'c str),
    Log { wanted: &'c Wanted<'c>, pair: &'c Pair<'c>, body: Box<blake3::Hasher>, stamp: Option<Stamp> },
    Size,
}

impl<'c> Check<'c> {
    fn new(wanted: &'c Wanted<'c>, pair: &'c Pair<'c>) -> Result<Check<'c>, Miss> {
        Ok(match wanted.proof {
            Proof::Sha256(sum) => Check::Sha256(Context::new(&SHA256), sum),
            Proof::Log(..) => Check::Log { wanted, pair, body: Box::default(), stamp: None },
            Proof::Size => Check::Size,
        })
    }

    /// The first piece holds the whole header.
    fn push(&mut self, piece: &[u8]) -> Result<(), String> {
        match self {
            Check::Sha256(digest, _) => digest.update(piece),
            Check::Log { body, stamp: Some(_), .. } => _ = body.update(piece),
            Check::Log { wanted, pair, body, stamp } => {
                let Proof::Log(cluster, file, size) = wanted.proof else { return Ok(()) };
                let stamped = stamp_of(&wanted.key, piece).map_err(|error| error.to_string())?;
                accept_stamp(&stamped.signed, cluster, file, size, pair.writers)?;
                body.update(&piece[stamped.body_at..]);
                *stamp = Some(stamped.signed.stamp);
            }
            Check::Size => {}
        }
        Ok(())
    }

    fn end(self) -> Result<(), String> {
        match self {
            Check::Sha256(digest, sum) => {
                let found = hex(digest.finish().as_ref());
                if found == sum { Ok(()) } else { Err(format!("its SHA-256 is {found} instead of {sum}")) }
            }
            Check::Log { body, stamp: Some(stamp), .. } if body.finalize() == stamp.body => Ok(()),
            Check::Log { .. } => Err("its body is not the one that its stamp was made for".into()),
            Check::Size => Ok(()),
        }
    }
}

/// The whole of something small; none where it was deleted.
pub(super) fn small(store: &Store, key: &Key, limit: usize) -> Result<Option<Bytes>, SiteFault> {
    match store.get(key, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(fault) if fault.is_absent() => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}
