//! Says in the store that a backup is being read, so that nobody expires it under us. Whoever may only read can still restore.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;

use super::choose::Chosen;
use super::plan::RestorePlan;
use crate::format::descriptor::Descriptor;
use crate::format::layout::Repository;
use crate::format::pin::{FORMAT, Pin as Content};
use crate::store::Store;
use crate::units::{BackupId, Instant, Key, Lsn};
use crate::world::files;

/// Renewed so often; it counts for much longer (`format::pin::STALE_SECONDS`).
const RENEW: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub struct Pin {
    store: Store,
    key: Key,
    renewer: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Pin {
    pub fn put(plan: &RestorePlan, host: &str, now: Instant) -> Option<Pin> {
        let Chosen { store, repository, descriptor, .. } = &plan.chosen;
        Pin::of(store, repository, descriptor, "restore", host, now)
    }

    /// For whatever reason it is read.
    pub fn of(store: &Store, repository: &Repository, descriptor: &Descriptor, why: &str, host: &str, now: Instant) -> Option<Pin> {
        Pin::on(store, repository, (&descriptor.id, descriptor.position.start), why, host, now)
    }

    /// The same by the id, and where its log begins.
    pub fn on(
        store: &Store,
        repository: &Repository,
        (id, wal_from): (&BackupId, Lsn),
        why: &str,
        host: &str,
        now: Instant,
    ) -> Option<Pin> {
        let key = Key::new(format!("{repository}/pins/{id}-{host}-{}.json", files::own_word())).ok()?;
        let content = Content { format: FORMAT, backup: id.clone(), host: host.to_owned(), since: now, why: why.to_owned(), wal_from };
        let json = Bytes::from(content.to_json());
        store.replace(&key, json.clone()).ok()?;
        let renewer = renew(store.clone(), key.clone(), json);
        Some(Pin { store: store.clone(), key, renewer })
    }
}

/// As long as it lives, whatever else this run waits for. Without a thread it counts for as long as it was put for.
fn renew(store: Store, key: Key, json: Bytes) -> Option<(Sender<()>, JoinHandle<()>)> {
    let (ended, end) = mpsc::channel();
    let renew = move || {
        while end.recv_timeout(RENEW) == Err(RecvTimeoutError::Timeout) {
            let _ = store.replace(&key, json.clone());
        }
    };
    Some((ended, thread::Builder::new().name("pin".into()).spawn(renew).ok()?))
}

impl Drop for Pin {
    fn drop(&mut self) {
        if let Some((ended, thread)) = self.renewer.take() {
            drop(ended);
            let _ = thread.join();
        }
        // What stays behind is old, and whoever expires things sees how old.
        let _ = self.store.delete(std::slice::from_ref(&self.key));
    }
}
