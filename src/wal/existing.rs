//! What a store has already: which name a file lies under, and what its stamp says.

use std::ops::ControlFlow;

use super::fault::WalFaultKind;
use super::{Place, WalFault};
use crate::format::codec::{Codec, Envelope};
use crate::format::layout::Repository;
use crate::format::signature::Writers;
use crate::format::stamp::{Signed, Stamp};
use crate::inventory::SystemIdentifier;
use crate::pipeline;
use crate::store::Store;
use crate::units::{Key, WalFile};

/// All the ways in which a file of the log may be stored; the usual one first.
const FORMS: [(Codec, Envelope); 9] = [
    (Codec::DEFAULT, Envelope::Age),
    (Codec::DEFAULT, Envelope::OpenPgp),
    (Codec::DEFAULT, Envelope::None),
    (Codec::Lz4, Envelope::Age),
    (Codec::Lz4, Envelope::OpenPgp),
    (Codec::Lz4, Envelope::None),
    (Codec::None, Envelope::Age),
    (Codec::None, Envelope::OpenPgp),
    (Codec::None, Envelope::None),
];

/// Where a file of the log lies and how large the object is; `None` when it is known to be absent, in whatever form.
pub fn find(place: &Place, cluster: SystemIdentifier, file: WalFile) -> Result<Option<(Key, u64)>, WalFault> {
    let (usual, others) = FORMS.split_first().expect("there are nine");
    let key = |(codec, envelope): &(Codec, Envelope)| place.repository.wal(cluster, file, *codec, *envelope);
    if let Some(meta) = place.store.head(&key(usual))? {
        return Ok(Some((meta.key, meta.size)));
    }
    // A directory answers at once; elsewhere one short list is cheaper than eight questions.
    if place.store.url().starts_with("file:") {
        for form in others {
            if let Some(meta) = place.store.head(&key(form))? {
                return Ok(Some((meta.key, meta.size)));
            }
        }
        return Ok(None);
    }
    let mut found = None;
    let (folder, name) = (folder(place, cluster, file), file.to_string());
    // Names that begin like this one: at most sixteen segments.
    let before = Key::new(format!("{folder}/{}", &name[..name.len() - 1])).ok();
    place.store.list_after(&folder, before.as_ref(), &mut |meta| {
        if place.repository.wal_object(&meta.key) == Some((cluster, file)) {
            found = Some((meta.key.clone(), meta.size));
        }
        let passed = meta.key.file_name() > name.as_str() && !meta.key.file_name().starts_with(&name);
        if found.is_some() || passed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// What a store does not have is absent only while the repository itself is there: the mount point of a disk that is gone has nothing
/// either, and PostgreSQL would take that for the end of the log and promote.
pub fn still_there(store: &Store, repository: &Repository) -> Result<(), WalFault> {
    if store.head(&repository.about())?.is_some() {
        return Ok(());
    }
    let message = format!("{} does not hold the repository `{repository}`", store.url());
    let hint = "Is its disk mounted? If that store never got the log, or is gone for good, name another one with `--store`.";
    Err(WalFault::new(WalFaultKind::Store, message, hint))
}

/// Where a file of the log lies, with others.
pub(super) fn folder(place: &Place, cluster: SystemIdentifier, file: WalFile) -> String {
    match file {
        WalFile::Segment(segment) | WalFile::Partial(segment) | WalFile::BackupLabel(segment, _) => {
            place.repository.log_prefix(cluster, segment)
        }
        WalFile::History(_) => format!("{}/history", place.repository.wal_prefix(cluster)),
    }
}

/// The stamp of an object, and how many bytes its header has. Readable without any key; one small ranged get.
pub fn read_stamp(place: &Place, key: &Key, size: u64) -> Result<(Signed, u64), WalFault> {
    let stamped = pipeline::read_stamp(&place.store, key, size)?;
    Ok((stamped.signed, stamped.body_at as u64))
}

/// The stamp, once it is known that an accepted writer made it for this very file.
pub(super) fn trusted_stamp(
    place: &Place,
    (key, size): (&Key, u64),
    writers: &Writers,
    (cluster, file): (SystemIdentifier, WalFile),
) -> Result<(Stamp, u64), WalFault> {
    let (signed, header) = read_stamp(place, key, size)?;
    let forged = |what: String| {
        let hint = "Whoever can write to the store may have planted it. Keep it for an inquiry, and find out who wrote it; \
                    a host that should be trusted belongs into `encryption.writers`.";
        WalFault::new(WalFaultKind::Forged, format!("{key} in {} is refused: {what}", place.store.url()), hint)
    };
    if !writers.is_empty() {
        signed.check(writers).map_err(|error| forged(error.to_string()))?;
    }
    let stamp = signed.stamp;
    if (stamp.system_identifier, stamp.file) != (cluster, file) {
        return Err(forged(format!("it is {} of the cluster {}", stamp.file, stamp.system_identifier)));
    }
    Ok((stamp, header))
}

/// The object that has the name already holds the same content, from an accepted writer; anything else is refused, and nothing is
/// overwritten.
pub(super) fn must_be_same(
    place: &Place,
    found: (&Key, u64),
    writers: &Writers,
    of: (SystemIdentifier, WalFile),
    content: &[u8; 32],
) -> Result<(), WalFault> {
    let (stamp, _) = trusted_stamp(place, found, writers, of)?;
    if stamp.content == *content { Ok(()) } else { Err(conflict(place, found.0, of.1, &stamp, content)) }
}

pub(super) fn conflict(place: &Place, key: &Key, file: WalFile, there: &Stamp, content: &[u8; 32]) -> WalFault {
    let short = |hash: &[u8; 32]| blake3::Hash::from_bytes(*hash).to_hex()[..16].to_owned();
    let message = format!(
        "{file} is in {} already with other content: {key} has {} (last written {}), this host's file has {}; nothing was overwritten",
        place.store.url(),
        short(&there.content),
        there.written,
        short(content),
    );
    let hint = "Two servers write the same timeline: find out which one is right and stop the other; a copy that was restored must be promoted to a timeline of its own.";
    WalFault::new(WalFaultKind::Conflict, message, hint)
}
