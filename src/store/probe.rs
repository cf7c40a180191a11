//! Does a store keep what it promises? Found out by trying.

use bytes::Bytes;

use super::{Fault, FaultKind, Key, Put, Store};

pub(super) fn conditional_put(store: &Store, below: &str) -> Result<(), Fault> {
    let name = format!("put-if-absent-{:016x}", getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id())));
    let below = below.trim_matches('/');
    let name = if below.is_empty() { name } else { format!("{below}/{name}") };
    let key = Key::new(name).map_err(|error| Fault::new(FaultKind::Config, error.to_string(), ""))?;
    let (first, second) = (Bytes::from_static(b"the first\n"), Bytes::from_static(b"the second\n"));
    let kept = store
        .put_new(&key, first.clone())
        .and_then(|_| Ok((store.put_new(&key, second.clone())?, store.get(&key, first.len().max(second.len()))?)));
    // Also after a fault: the probe is nobody's object.
    let cleaned = store.delete(std::slice::from_ref(&key));
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
