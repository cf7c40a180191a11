//! How a backup of any kind begins, and how it ends.

use std::path::Path;
use std::time::Instant as Stopwatch;

use super::{BackupFault, Failure, Onlooker, Stage, Taken, Wishes, clocks, commit, lease, server};
use crate::format::descriptor::Descriptor;
use crate::format::layout::Repository;
use crate::inventory::SystemIdentifier;
use crate::postgres::{Connection, Server};
use crate::site::{HostKeys, Site};
use crate::store::Store;
use crate::units::{BackupId, Instant, Key, Name};
use crate::world::clock;

/// Which backup of which job, and since when.
pub(in crate::execute) struct Opening<'o> {
    pub site: &'o Site<'o>,
    pub job: &'o Name,
    pub wishes: &'o Wishes,
    pub started: Instant,
    pub began: Stopwatch,
}

impl<'o> Opening<'o> {
    pub(in crate::execute) fn begin(site: &'o Site<'o>, job: &'o Name, wishes: &'o Wishes, onlooker: Onlooker<'_>) -> Opening<'o> {
        (onlooker.stage)(Stage::Checking);
        Opening { site, job, wishes, started: clock::now(), began: Stopwatch::now() }
    }

    /// Those of this host, whose backups the policy believes.
    pub(in crate::execute) fn keys(&self) -> Result<HostKeys, BackupFault> {
        let keys = self.site.host_keys()?;
        self.site.must_be_writer(&keys)?;
        Ok(keys)
    }

    pub(in crate::execute) fn server(&self) -> Result<(Connection, Server), BackupFault> {
        let mut connection = Connection::connect(&self.site.connection()?)?;
        let server = Server::observe(&mut connection)?;
        Ok((connection, server))
    }

    /// The store, and what it holds of this cluster. It is not on the disk that `root` is on, and has room for as much as `latest` says that
    /// the last one took.
    pub(in crate::execute) fn repository(
        &self,
        place: server::Place<'_>,
        cluster: SystemIdentifier,
        root: Option<&Path>,
        latest: &dyn Fn(&Repository) -> Key,
    ) -> Result<(Store, Repository), BackupFault> {
        let store = self.site.store(place.store)?;
        let repository = self.site.own_repository(place.store, &store, cluster, self.started)?;
        let last_size = commit::latest(&store, &latest(&repository)).map(|latest| latest.stored_size);
        server::check_disk(place, root, last_size)?;
        Ok((store, repository))
    }

    /// Nobody else is at it, and the clocks agree as far as they must; the server's too, where it is asked. Says what people should know of
    /// them.
    pub(in crate::execute) fn lease(
        &self,
        store: &Store,
        repository: &Repository,
        id: &BackupId,
        connection: Option<&mut Connection>,
    ) -> Result<(lease::Lease, Vec<String>), BackupFault> {
        let force = self.wishes.force;
        let lease = lease::Lease::take(store, repository, id, self.job, self.site.host(), self.started, force)?;
        let remarks = clocks::compare(connection, &lease, force)?;
        Ok((lease, remarks))
    }

    /// Whole, or given up.
    pub(in crate::execute) fn end(
        &self,
        store: &Store,
        taken: Result<(Descriptor, Key), BackupFault>,
        mut remarks: Vec<String>,
        abandon: impl FnOnce() -> String,
    ) -> Result<Taken, Failure> {
        match taken {
            Ok((descriptor, key)) => Ok(Taken { descriptor, key, store: store.url(), remarks, took: self.began.elapsed() }),
            Err(fault) => {
                // What may have been committed must keep its objects.
                if !matches!(fault, BackupFault::Unknown { .. }) {
                    remarks.push(abandon());
                }
                Err(Failure { fault, remarks })
            }
        }
    }
}

/// Removes what cannot be gone on with. What cannot be removed now is recognised and removed by a later backup.
pub(in crate::execute) fn abandon(store: &Store, repository: &Repository, id: &BackupId) -> String {
    let there = store.list(&repository.prefix(&format!("data/{id}"))).unwrap_or_default();
    let keys: Vec<Key> = there.into_iter().map(|meta| meta.key).collect();
    let removed =
        keys.is_empty() || lease::is_complete(store, repository, id).is_ok_and(|complete| !complete && store.delete(&keys).is_ok());
    if removed {
        "what was written of this backup was removed".into()
    } else {
        format!("what was written of {id} is left, and goes with a later backup")
    }
}
