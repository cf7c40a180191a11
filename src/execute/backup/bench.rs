//! How fast a backup would go, measured: the cluster's own files through the whole pipeline into the store, and away again.
//!
//! What lies there meanwhile looks like a backup that broke off: it has a name of its own and no descriptor. So nobody takes it for one, no
//! other backup of this cluster runs beside it (which would falsify both), and if this process is killed the next backup removes it.

use std::time::Instant as Stopwatch;

use super::lease::Lease;
use super::order::Order;
use super::server::{self, Source};
use super::{BackupFault, Onlooker, Stage, Wishes};
use crate::execute::id::new_id;
use crate::format::layout::Repository;
use crate::inventory::SystemIdentifier;
use crate::pipeline::backup::{Copied, Copy, Job, Pages, scan};
use crate::postgres::{Connection, Server};
use crate::site::Site;
use crate::store::Store;
use crate::units::{BackupId, Bytes, Key, Lsn, Name};
use crate::world::clock;

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Benched {
    pub store: Name,
    /// Plain bytes that were read.
    pub bytes: u64,
    pub files: u64,
    /// Bytes that they became in the store.
    pub stored: u64,
    pub seconds: f64,
    pub workers: usize,
    pub remarks: Vec<String>,
}

/// Reads about so much of the cluster that a job backs up, as that job would.
pub fn bench(site: &Site<'_>, job: &Name, amount: Bytes, onlooker: Onlooker<'_>) -> Result<Benched, BackupFault> {
    (onlooker.stage)(Stage::Checking);
    let order = Order::of(site, job)?;
    if site.policy.stores.get(&order.store).is_some_and(|store| store.immutable.is_some()) {
        let message = format!("what is put into stores.{} cannot be removed again: it is immutable by the policy", order.store);
        return Err(BackupFault::refused(message, "The runs of the job itself are measured: `seawall history` shows them."));
    }
    let keys = site.host_keys()?;
    site.must_be_writer(&keys)?;
    let mut connection = Connection::connect(&site.connection()?)?;
    let server = Server::observe(&mut connection)?;
    server::check(&order, &server)?;
    let Source::Files { root, control } = server::source(&order, &server)? else {
        let hint = "Run it on the host of the database, where `cluster.data_directory` is.";
        return Err(BackupFault::refused("the cluster's files are not on this host, so nothing can be read here", hint));
    };
    let lsn = "select coalesce(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, '0/0') as lsn";
    let start: Lsn = connection.query(lsn, &[])?.one()?.parse("lsn")?;
    drop(connection);
    let store = site.store(&order.store)?;
    let started = clock::now();
    let repository = site.own_repository(&order.store, &store, SystemIdentifier(server.system), started)?;
    let mut listing = scan(&root)?;
    if listing.bytes > amount.get() {
        listing.thin_to(amount.get());
    }
    let place = server::Place { store: &order.store, local: order.local.as_ref(), first_needs: order.first_needs };
    server::check_disk(place, Some(&root), Some(listing.bytes))?;
    let id = new_id(started)?;
    let lease = Lease::take(&store, &repository, &id, &order.job, site.host(), started, Wishes::default().force)?;
    (onlooker.stage)(Stage::Copying);
    onlooker.progress.total.store(listing.bytes, std::sync::atomic::Ordering::Relaxed);
    let (data_lock, index_lock) = (site.lock()?, site.lock_for_host(&keys)?);
    let began = Stopwatch::now();
    let copied = (|| {
        let key = |name: &str| repository.data(&id, name);
        let pages = Pages { block_size: control.block_size, blocks_per_file: control.blocks_per_file, start };
        let copy = Copy::begin(Job {
            store: &store,
            key: &key,
            codec: order.codec,
            data_lock: &data_lock,
            index_lock: &index_lock,
            workers: order.workers,
            pages: control.data_checksums.then_some(pages),
            again: None,
            read_limit: order.read_limit.map(|limit| limit.get()),
            owner: listing.owner,
            major: server.major(),
            cluster: control.system_identifier,
            progress: onlooker.progress,
            put: &|_| {},
            stop: onlooker.stop,
        })?;
        copy.files(&root, &listing)?;
        copy.finish(&[], start)
    })();
    let seconds = began.elapsed().as_secs_f64();
    let remarks = remove(&store, &repository, &id).into_iter().collect();
    drop(lease);
    let copied: Copied = copied?;
    let stored = copied.objects.iter().map(|object| object.size).sum();
    Ok(Benched { store: order.store, bytes: copied.bytes, files: copied.files, stored, seconds, workers: order.workers, remarks })
}

/// All versions of it: what is measured every week must not fill a bucket that keeps them. What is left is said.
fn remove(store: &Store, repository: &Repository, id: &BackupId) -> Option<String> {
    let gone = store.list(&repository.prefix(&format!("data/{id}"))).and_then(|there| {
        let keys: Vec<Key> = there.into_iter().map(|meta| meta.key).collect();
        store.purge(&keys)
    });
    match gone {
        Ok(purged) if purged.locked.is_empty() => purged.doubt,
        Ok(purged) => Some(format!("{} objects of the measurement are locked in the store and stay below data/{id}", purged.locked.len())),
        Err(fault) => Some(format!("what was measured with could not be removed, the next backup does that: {fault}")),
    }
}
