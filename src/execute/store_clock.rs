//! A store's own time, by which leases, pins and marks are judged, and how far clocks may be apart.

use bytes::Bytes;
use jiff::SignedDuration;

use crate::format::layout::{PROBE, Repository};
use crate::format::lease::STALE_SECONDS;
use crate::store::{Fault, FaultKind, Meta, Store, fresh_name};
use crate::units::{Instant, Key};

/// Clocks may differ by so much.
pub(in crate::execute) const AGREES: SignedDuration = SignedDuration::from_mins(2);

/// By how much another clock is off that was read somewhere between these two moments of ours. Above zero: it is ahead.
pub(in crate::execute) fn apart(before: Instant, at: Instant, after: Instant) -> SignedDuration {
    if at < before { at.duration_since(before) } else { at.duration_since(after).max(SignedDuration::ZERO) }
}

/// By an object that is put and looked at. Of its own name, so that two that ask at once do not disturb each other.
pub(in crate::execute) fn stores_time(store: &Store, repository: &Repository) -> Result<Instant, Fault> {
    let probe = repository.probe(&fresh_name());
    store.replace(&probe, Bytes::from_static(b"{}"))?;
    let meta = store.head(&probe);
    // Also after a fault: nobody else knows its name.
    let removed = store.withdraw(std::slice::from_ref(&probe));
    let vanished = || Fault::new(FaultKind::Transient, "an object that was put to learn the store's time vanished", "Run it again.");
    let meta = meta?.ok_or_else(vanished)?;
    removed?;
    sweep(store, repository, meta.modified)?;
    Ok(meta.modified)
}

/// What runs that were killed in between left.
fn sweep(store: &Store, repository: &Repository, now: Instant) -> Result<(), Fault> {
    let is_left = |meta: &Meta| meta.key.file_name().starts_with(PROBE) && now.duration_since(meta.modified).as_secs() > STALE_SECONDS;
    let left: Vec<Key> = store.list(&repository.prefix("leases"))?.into_iter().filter(|meta| is_left(meta)).map(|meta| meta.key).collect();
    if !left.is_empty() {
        store.withdraw(&left)?;
    }
    Ok(())
}
