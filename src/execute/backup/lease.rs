//! Tells others that a backup is running. Not what makes two of them safe (unique names do): it only makes them rare, and lets
//! leftovers be told from what is still growing. Timed by the store's clock, never by ours.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant as Stopwatch};

use bytes::Bytes;

use super::BackupFault;
use super::sweep::{self, Sweep};
use crate::execute::expire::pins;
use crate::execute::store_clock::stores_time;
use crate::format::layout::{Repository, descriptor_id};
use crate::format::lease::{self, Lease as Content, Process, STALE_SECONDS, is_stale};
use crate::store::{self, Meta, Store};
use crate::units::{BackupId, Instant, Key, Name};
use crate::world::{clock, host};

/// Renewed so often.
const RENEW: Duration = Duration::from_secs(30);
/// Whoever asked at the same time gives way within so long, or is not there any more.
const GIVES_WAY: Duration = Duration::from_secs(20);
const LOOKS_AGAIN: Duration = Duration::from_millis(200);
/// Objects without a lease and without a descriptor are leftovers after so long.
const ORPHAN_SECONDS: i64 = 3600;

#[derive(Debug)]
pub(in crate::execute) struct Lease {
    store: Store,
    key: Key,
    json: Bytes,
    renewer: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Lease {
    /// Takes a lease; refused while another one is alive, unless that is wished.
    pub(in crate::execute) fn take(
        store: &Store,
        repository: &Repository,
        backup: &BackupId,
        job: &Name,
        on: &str,
        started: Instant,
        force: bool,
    ) -> Result<Lease, BackupFault> {
        let (backup, job, on) = (backup.clone(), job.clone(), on.to_owned());
        let content = Content { backup, job, host: on, started, boot: host::boot(), process: process(), asks: !force };
        let key = repository.backup_lease(&content.backup);
        let json = Bytes::from(Content { asks: false, ..content.clone() }.to_json());
        let mut lease = Lease { store: store.clone(), key, json, renewer: None };
        lease.store.replace(&lease.key, Bytes::from(content.to_json()))?;
        if !force {
            if let Some((other, at)) = lease.first(repository)? {
                drop(lease);
                return Err(busy(&other, at));
            }
            lease.store.replace(&lease.key, lease.json.clone())?;
        }
        lease.keep_alive()?;
        Ok(lease)
    }

    /// Who has been at it already, or asked before us. Those that asked at the same time and come after us give way, once they have looked;
    /// one of them may have looked before we asked, and then is at it.
    fn first(&self, repository: &Repository) -> Result<Option<(Content, Instant)>, BackupFault> {
        let began = Stopwatch::now();
        loop {
            let own = self.now()?;
            let place = |key: &Key, at: Instant| (at.as_second(), key.clone());
            let others = self.others(repository, own)?;
            let before_us = |(other, at): &&(Content, Instant)| {
                !other.asks || place(&repository.backup_lease(&other.backup), *at) < place(&self.key, own)
            };
            match (others.iter().find(before_us), others.first()) {
                (Some(first), _) => return Ok(Some(first.clone())),
                (None, None) => return Ok(None),
                (None, Some(silent)) if began.elapsed() > GIVES_WAY => return Ok(Some(silent.clone())),
                (None, Some(_)) => thread::sleep(LOOKS_AGAIN),
            }
        }
    }

    /// Renews it as long as it lives, whatever else this run waits for. A store that cannot be reached for a while is no reason to
    /// stop: what counts is checked again before the backup is committed.
    fn keep_alive(&mut self) -> Result<(), BackupFault> {
        let (store, key, json) = (self.store.clone(), self.key.clone(), self.json.clone());
        let (ended, end) = mpsc::channel();
        let renew = move || {
            while end.recv_timeout(RENEW) == Err(RecvTimeoutError::Timeout) {
                let _ = store.replace(&key, json.clone());
            }
        };
        let thread = thread::Builder::new().name("lease".into()).spawn(renew);
        let thread = thread.map_err(|error| BackupFault::refused(format!("no thread can be started: {error}"), ""))?;
        self.renewer = Some((ended, thread));
        Ok(())
    }

    /// The store's own time, and the moments of this host's between which it was asked.
    pub(in crate::execute) fn compared(&self) -> Result<(Instant, Instant, Instant), BackupFault> {
        let before = clock::now();
        self.store.replace(&self.key, self.json.clone())?;
        let at = self.now()?;
        Ok((before, at, clock::now()))
    }

    /// The store's own time when it was last renewed.
    pub(in crate::execute) fn now(&self) -> Result<Instant, BackupFault> {
        let meta = self.store.head(&self.key)?;
        meta.map(|meta| meta.modified).ok_or_else(|| BackupFault::refused("the lease vanished", "Did somebody delete it? Run it again."))
    }

    /// Those of others that are alive, and when each was last renewed.
    fn others(&self, repository: &Repository, now: Instant) -> Result<Vec<(Content, Instant)>, BackupFault> {
        let all = leases(&self.store, repository)?.into_iter().filter(|meta| meta.key != self.key).collect();
        Ok(alive(&self.store, all, now)?)
    }
}

/// Somebody else is at it, by a look before anything is begun. A store that does not answer says nothing: the backup itself will ask it.
pub(in crate::execute) fn must_be_alone(store: &Store, repository: &Repository) -> Result<(), BackupFault> {
    match running(store, repository) {
        Ok(running) => running.first().map_or(Ok(()), |(other, at)| Err(busy(other, *at))),
        Err(fault) => {
            tracing::debug!("the store was not asked whether a backup is running: {}", fault.message);
            Ok(())
        }
    }
}

fn busy(other: &Content, at: Instant) -> BackupFault {
    let message =
        format!("a backup of this cluster is running: {} of `{}` on {}, begun {}", other.backup, other.job, other.host, other.started);
    let hint = format!(
        "It was last heard of at {at}; when it is dead, wait {} minutes, or say `--force`: two at once do no harm.",
        STALE_SECONDS / 60
    );
    BackupFault::Busy { message, hint }
}

/// The backups that are going on, as far as the store knows, and when each was last heard of.
pub(in crate::execute) fn running(store: &Store, repository: &Repository) -> Result<Vec<(Content, Instant)>, store::Fault> {
    let all = leases(store, repository)?;
    if all.is_empty() {
        return Ok(Vec::new());
    }
    alive(store, all, stores_time(store, repository)?)
}

fn alive(store: &Store, all: Vec<Meta>, now: Instant) -> Result<Vec<(Content, Instant)>, store::Fault> {
    let mut alive = Vec::new();
    for meta in all.into_iter().filter(|meta| !is_stale(meta.modified, now)) {
        match store.get(&meta.key, lease::MAX_BYTES) {
            Ok(json) => {
                let content = Content::read(&json).filter(|content| !is_dead(content.boot.as_deref(), content.process.as_ref()));
                alive.extend(content.map(|content| (content, meta.modified)));
            }
            // It ended just now.
            Err(fault) if fault.is_absent() => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(alive)
}

impl Drop for Lease {
    /// A lease that cannot be removed grows stale.
    fn drop(&mut self) {
        if let Some((ended, thread)) = self.renewer.take() {
            drop(ended);
            let _ = thread.join();
        }
        let _ = self.store.delete(std::slice::from_ref(&self.key));
    }
}

pub(in crate::execute) fn process() -> Option<Process> {
    host::process_space().map(|among| Process { number: std::process::id(), among })
}

/// Its process is gone, and we are where that can be seen. A number may have come to another process: then its time is waited for.
pub(in crate::execute) fn is_dead(boot: Option<&str>, process: Option<&Process>) -> bool {
    let Some(process) = process else { return false };
    let here = boot.is_some() && boot == host::boot().as_deref() && host::process_space().as_ref() == Some(&process.among);
    here && process.number != std::process::id() && !host::is_alive(process.number)
}

fn seconds(from: Instant, to: Instant) -> i64 {
    to.duration_since(from).as_secs()
}

fn leases(store: &Store, repository: &Repository) -> Result<Vec<Meta>, store::Fault> {
    let all = store.list(&repository.prefix("leases"))?;
    Ok(all.into_iter().filter(|meta| meta.key.file_name().starts_with("backup-")).collect())
}

/// Whether a backup may be going on in another run of a machine. A journal of this run says that nobody holds it here; but the state directory
/// may be a copy of another host's, or have outlived a crash.
pub(in crate::execute) fn is_alive_elsewhere(
    store: &Store,
    repository: &Repository,
    backup: &BackupId,
    probe: &BackupId,
) -> Result<bool, BackupFault> {
    let key = repository.backup_lease(backup);
    let Some(meta) = store.head(&key)? else { return Ok(false) };
    let content: Option<Content> = store.get(&key, lease::MAX_BYTES).ok().and_then(|json| Content::read(&json));
    if content.is_some_and(|content| content.boot.is_some() && content.boot == host::boot()) {
        return Ok(false);
    }
    // For the store's own time.
    let probe = repository.backup_lease(probe);
    store.replace(&probe, Bytes::from_static(b"{}"))?;
    let now = store.head(&probe)?.map_or(meta.modified, |meta| meta.modified);
    store.delete(&[probe])?;
    Ok(!is_stale(meta.modified, now))
}

/// Removes what a backup left whose process is certainly dead.
pub(in crate::execute) fn remove_dead(store: &Store, repository: &Repository, backup: &BackupId) -> Result<(), BackupFault> {
    let objects = store.list(&repository.prefix(&format!("data/{backup}")))?;
    let keys: Vec<Key> = objects.into_iter().map(|meta| meta.key).collect();
    store.purge(&keys)?;
    store.withdraw(&[repository.backup_lease(backup)])?;
    Ok(())
}

/// Removes what broken-off backups left: objects without a descriptor that nobody is adding to. Says which backups they were.
pub(in crate::execute) fn clear_leftovers(store: &Store, repository: &Repository, own: &Lease) -> Result<Vec<String>, BackupFault> {
    let now = own.now()?;
    let folders = store.folders(&repository.prefix("data"))?;
    sweep::tidy(store, repository)?;
    if folders.is_empty() {
        return Ok(Vec::new());
    }
    let leases = leases(store, repository)?;
    // Listed after the folders and the leases: whoever committed in between is seen here.
    let (complete, mut signed) = committed(store, repository)?;
    let mut cleared = Vec::new();
    for folder in folders {
        let Ok(id) = folder.parse::<BackupId>() else { continue };
        let key = repository.backup_lease(&id);
        if complete.contains(&id) || key == own.key {
            continue;
        }
        let objects = store.list(&repository.prefix(&format!("data/{id}")))?;
        if !is_abandoned(leases.iter().find(|lease| lease.key == key), &objects, now) {
            continue;
        }
        // Its deletion broke off, and whoever goes on with it asks what may keep it.
        if store.head(&repository.tombstone(&id))?.is_some() || store.head(&repository.set_aside(&id))?.is_some() {
            continue;
        }
        // What is locked stays as it is, and nothing is said of it at every run.
        let all: Vec<Key> = objects.iter().map(|meta| meta.key.clone()).collect();
        if !store.locks(&all)?.is_empty() {
            continue;
        }
        let said = Sweep::announce(store, repository, &id)?;
        // This run may have slept meanwhile, and the other may have gone on: looked at once more, right before.
        let before = leases.iter().find(|lease| lease.key == key).map(|lease| lease.modified);
        let goes_on = store.head(&key)?.map(|meta| meta.modified) != before || is_complete(store, repository, &id)?;
        // Whoever copies a backup to here has no lease, but a pin, and one large object may be on its way for hours.
        let pins = pins(store, repository, now)?;
        if goes_on || pins.backups.contains(&id) || pins.unread.is_some() {
            said.call_off()?;
            continue;
        }
        let were = objects.len();
        // First the signature, which is found only as long as there are data without a descriptor.
        let keys: Vec<Key> = signed.remove(&id).into_iter().chain(objects.into_iter().map(|meta| meta.key)).collect();
        // What a lock of the store keeps can still be completed.
        if store.purge(&keys)?.locked.is_empty() {
            store.withdraw(&[key])?;
            said.end()?;
        }
        if were > 0 {
            cleared.push(id.to_string());
        }
    }
    Ok(cleared)
}

/// Whether nobody adds to these objects any more, which have no descriptor. By the store's clock.
pub(in crate::execute) fn is_abandoned(lease: Option<&Meta>, objects: &[Meta], now: Instant) -> bool {
    let newest = objects.iter().map(|meta| meta.modified).max();
    match lease {
        Some(lease) => is_stale(lease.modified, now),
        None => newest.is_none_or(|newest| seconds(newest, now) > ORPHAN_SECONDS),
    }
}

pub(in crate::execute) fn is_complete(store: &Store, repository: &Repository, backup: &BackupId) -> Result<bool, BackupFault> {
    Ok(committed(store, repository)?.0.contains(backup))
}

/// The backups that have a descriptor, and the signatures of all.
pub(in crate::execute) fn committed(
    store: &Store,
    repository: &Repository,
) -> Result<(HashSet<BackupId>, HashMap<BackupId, Key>), store::Fault> {
    let (mut complete, mut signed) = (HashSet::new(), HashMap::new());
    store.list_each(&repository.prefix("backups"), &mut |meta| {
        complete.extend(descriptor_id(&meta.key));
        let of = meta.key.as_str().strip_suffix(".sig").and_then(|of| descriptor_id(&Key::new(of).ok()?));
        signed.extend(of.map(|id| (id, meta.key)));
        ControlFlow::Continue(())
    })?;
    Ok((complete, signed))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::store::{Place, Settings};

    /// Two that see each other both gave way once, and nobody took a backup.
    #[test]
    fn of_two_that_begin_together_one_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&Settings::new(Place::Local { path: folder.path().join("store") })).expect("a store");
        let repository: Repository = "try-00000000".parse().expect("a repository");
        let job: Name = "nightly".parse().expect("a name");
        for round in 0..50 {
            let (begin, end) = (Barrier::new(2), Barrier::new(2));
            let run = |host: &str| {
                let id: BackupId = format!("20261121T020000Z-{round:04}{host}").parse().expect("an id");
                begin.wait();
                let taken = Lease::take(&store, &repository, &id, &job, host, clock::now(), false);
                end.wait();
                taken.is_ok()
            };
            let (one, other) = thread::scope(|scope| {
                let other = scope.spawn(|| run("b"));
                (run("a"), other.join().expect("nobody panicked"))
            });
            assert!(one != other, "round {round}: {one} {other}");
        }
    }
}
