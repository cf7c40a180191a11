//! The objects of the write-ahead log against their stamps.

use std::io::Read as _;
use std::ops::ControlFlow;

use super::Ground;
use super::backup::{Work, unread};
use super::deep;
use super::report::FaultKind;
use crate::format::seal::MAX_HEADER;
use crate::format::stamp::Signed;
use crate::inventory::SystemIdentifier;
use crate::observe::{self, Listed, accept_stamp};
use crate::pipeline::{BadStamp, PipelineFault, stamp_of};
use crate::store::{Fault, Meta};
use crate::units::{Segment, WalFile};

/// Every folder of every cluster's log.
pub(super) fn folders(ground: &Ground<'_>) -> Result<Vec<Work>, Fault> {
    let mut all = Vec::new();
    let wal = ground.repository.prefix("wal");
    for cluster in ground.store.folders(&wal)? {
        for timeline in ground.store.folders(&format!("{wal}/{cluster}"))? {
            let prefix = format!("{wal}/{cluster}/{timeline}");
            match ground.store.folders(&prefix)? {
                logs if logs.is_empty() => all.push(Work::WalFolder(prefix)),
                logs => all.extend(logs.into_iter().map(|log| Work::WalFolder(format!("{prefix}/{log}")))),
            }
        }
    }
    Ok(all)
}

/// The log that the chosen backups need to be consistent.
pub(super) fn of_backups(ground: &Ground<'_>, chosen: &[&Listed]) -> Result<Vec<Work>, Fault> {
    let mut all = Vec::new();
    for listed in chosen {
        let Ok(crate::observe::Read::Good(descriptor, _)) =
            crate::observe::read_descriptor(ground.store, ground.repository, &listed.key, true, ground.policy, ground.writers)
        else {
            // Said when the backup itself is looked at.
            continue;
        };
        if !descriptor.kind.is_physical() {
            continue;
        }
        let (position, size) = (descriptor.position, listed.segment_size);
        let first = Segment::of(position.timeline, position.start, size);
        let last = Segment::before(position.timeline, position.stop, size);
        let mut log = None;
        let mut segment = first;
        while segment <= last {
            if log != Some(segment.log) {
                log = Some(segment.log);
                let prefix = ground.repository.log_prefix(listed.system_identifier, segment);
                let needed = |meta: &Meta| matches!(ground.repository.wal_object(&meta.key), Some((_, WalFile::Segment(one))) if (first..=last).contains(&one));
                all.extend(ground.store.list(&prefix)?.into_iter().filter(needed).map(Work::Wal));
            }
            segment = segment.next(size);
        }
    }
    Ok(all)
}

pub(super) fn folder(ground: &Ground<'_>, prefix: &str, more: &mut Vec<Work>) {
    let since = ground.wanted.since;
    let listed = ground.store.list_each(prefix, &mut |meta| {
        if since.is_none_or(|since| meta.modified >= since) {
            more.push(Work::Wal(meta));
        }
        ControlFlow::Continue(())
    });
    if let Err(fault) = listed {
        ground.found.fault(FaultKind::Unread, prefix, &fault.message, None);
    }
}

pub(super) fn object(ground: &Ground<'_>, meta: &Meta) {
    ground.progress.object();
    let Some((cluster, file)) = ground.repository.wal_object(&meta.key) else {
        return ground.found.fault(FaultKind::Extra, &meta.key, "it is no file of the write-ahead log, or lies in a wrong place", None);
    };
    match check(ground, meta, cluster, file) {
        Ok(Checked::Sound(signed)) => {
            ground.found.object(meta.size, true);
            if ground.wanted.deep {
                deep::wal(ground, meta, &signed.stamp);
            }
        }
        Ok(Checked::Fault(kind, what)) => ground.found.fault(kind, &meta.key, &what, None),
        // Expired since it was listed; unless the store goes on listing what it has lost.
        Err(PipelineFault::Store(fault)) if fault.is_absent() => {
            if let Ok(true) = observe::is_listed(ground.store, &meta.key) {
                ground.found.fault(FaultKind::Missing, &meta.key, "the store lists it, and does not give it", None);
            }
        }
        Err(fault) => unread(ground, &meta.key, &fault, None),
    }
}

enum Checked {
    Sound(Box<Signed>),
    Fault(FaultKind, String),
}

/// The stamp, and everything that follows it against the stamp's hash.
fn check(ground: &Ground<'_>, meta: &Meta, cluster: SystemIdentifier, file: WalFile) -> Result<Checked, PipelineFault> {
    let stream = |error: std::io::Error| PipelineFault::of_stream(meta.key.as_str(), &error);
    let mut reader = ground.store.reader(&meta.key, 0..meta.size)?;
    let mut buffer = Vec::new();
    let stamped = loop {
        let got = (&mut reader).take(64 << 10).read_to_end(&mut buffer).map_err(stream)?;
        match stamp_of(&meta.key, &buffer) {
            Ok(stamped) => break stamped,
            Err(BadStamp::Short) if got > 0 && buffer.len() < MAX_HEADER => {}
            Err(error) => return Ok(Checked::Fault(FaultKind::Damaged, error.to_string())),
        }
    };
    if let Err(why) = accept_stamp(&stamped.signed, cluster, file, ground.sizes.get(&cluster).copied(), ground.writers) {
        return Ok(Checked::Fault(FaultKind::Rejected, why));
    }
    let mut digest = blake3::Hasher::new();
    digest.update(&buffer[stamped.body_at..]);
    ground.progress.read(buffer.len());
    buffer.resize(256 << 10, 0);
    loop {
        match reader.read(&mut buffer).map_err(stream)? {
            0 => break,
            got => {
                digest.update(&buffer[..got]);
                ground.progress.read(got);
            }
        }
    }
    if digest.finalize() != stamped.signed.stamp.body {
        return Ok(Checked::Fault(FaultKind::Damaged, "its body is not the one that its stamp was made for".into()));
    }
    Ok(Checked::Sound(Box::new(stamped.signed)))
}
