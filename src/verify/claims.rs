//! Claims on large segments: small, signed, each for a file of the log.

use super::Ground;
use super::report::FaultKind;
use crate::format::stamp::{Signed, Stamp};
use crate::observe::signer;
use crate::store::{Fault, Meta};

const LIMIT: usize = 16 << 10;

pub(super) fn check(ground: &Ground<'_>) -> Result<(), Fault> {
    for meta in ground.store.list(&ground.repository.prefix("claims"))? {
        match ground.store.get(&meta.key, LIMIT) {
            Ok(bytes) => match judge(ground, &meta, &bytes) {
                Ok(()) => ground.found.object(meta.size, true),
                Err((kind, what)) => ground.found.fault(kind, &meta.key, &what, None),
            },
            Err(fault) if fault.is_absent() => {}
            Err(fault) => ground.found.fault(FaultKind::Unread, &meta.key, &fault.message, None),
        }
        ground.progress.object();
    }
    Ok(())
}

fn judge(ground: &Ground<'_>, meta: &Meta, bytes: &[u8]) -> Result<(), (FaultKind, String)> {
    let (signed, length) = Signed::skippable(bytes).map_err(|error| (FaultKind::Damaged, error.to_string()))?;
    signer(&signed, ground.writers).map_err(|error| (FaultKind::Rejected, error.to_string()))?;
    let Stamp { system_identifier, file, .. } = signed.stamp;
    if ground.repository.wal_claim(system_identifier, file) != meta.key {
        return Err((FaultKind::Rejected, format!("it is the claim on {file} of cluster {system_identifier}")));
    }
    if length != bytes.len() {
        return Err((FaultKind::Damaged, "something follows it".into()));
    }
    Ok(())
}
