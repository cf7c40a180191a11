//! Does a store keep what it promises? Found out by trying.

use bytes::Bytes;

use super::{Fault, FaultKind, Key, Put, Store};

/// The name of a probe that nobody else has.
pub fn fresh_name() -> String {
    format!("{:016x}", getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id())))
}

pub(super) fn conditional_put(store: &Store, key: &Key) -> Result<(), Fault> {
    let (first, second) = (Bytes::from_static(b"the first\n"), Bytes::from_static(b"the second\n"));
    let kept = store
        .put_new(key, first.clone())
        .and_then(|_| Ok((store.put_new(key, second.clone())?, store.get(key, first.len().max(second.len()))?)));
    // Also after a fault: the probe is nobody's object. For good: where versions are kept, a plain delete would leave it there unseen.
    let cleaned = store.purge(std::slice::from_ref(key));
    let (answer, there) = kept?;
    cleaned?;
    match answer {
        Put::Exists if there == first => Ok(()),
        _ => Err(Fault::new(
            FaultKind::Config,
            format!("{} overwrites what must not be overwritten (it ignores If-None-Match)", store.url()),
            "Two hosts could destroy each other's backups there: use a store that honours conditional writes.",
        )),
    }
}
