//! Putting what fits in one request, and deleting.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use object_store::path::Path;
use object_store::{Attribute, Attributes, PutMode, PutOptions};
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use super::wire::{self, CARGO, Cargo};
use super::{Cloud, Doing, crc32c, runtime};
use crate::store::patience::Attempts;
use crate::store::{Fault, FaultKind, Key, Put};

impl Cloud {
    pub(super) fn attributes(&self, bulk: bool) -> Attributes {
        let mut attributes = Attributes::new();
        // What must be read to find anything else cannot lie in an archive.
        if let Some(class) = self.class.as_ref().filter(|class| bulk || !wire::is_frozen(class)) {
            attributes.insert(Attribute::StorageClass, class.clone().into());
        }
        attributes
    }

    pub(super) async fn put_once(&self, path: &Path, body: &Bytes, mode: PutMode, bulk: bool) -> Result<(), Failure> {
        let cargo = Cargo { crc32c: self.client.is_gcs().then(|| crc32c(body)), ..Cargo::default() };
        let attempt = || {
            let options = PutOptions { mode: mode.clone(), attributes: self.attributes(bulk), ..PutOptions::default() };
            CARGO.scope(cargo, self.client.objects().put_opts(path, body.clone().into(), options))
        };
        self.patiently(self.time_for(body.len()), attempt).await.map(drop)
    }

    pub(super) async fn create(&self, key: &Key, body: Bytes, bulk: bool) -> Result<Put, Fault> {
        let path = self.path(key)?;
        match self.put_once(&path, &body, PutMode::Create, bulk).await {
            Ok(()) => Ok(Put::Created),
            Err(failure) if failure.exists && failure.unclear => match self.read_whole(key, body.len()).await {
                // The answer to an earlier attempt was lost, not the attempt.
                Ok(there) if there == body => Ok(Put::Created),
                Ok(_) => Ok(Put::Exists),
                Err(fault) if matches!(fault.kind, FaultKind::Damaged | FaultKind::Frozen) => Ok(Put::Exists),
                Err(fault) => Err(fault),
            },
            Err(failure) if failure.exists => Ok(Put::Exists),
            Err(failure) => Err(self.fault(&failure, Doing::Writing, key.as_str())),
        }
    }

    pub(super) fn keep_pace(&self, bytes: usize) {
        if let Some(pace) = &self.pace {
            pace.wait(bytes);
        }
    }

    pub(in crate::store) fn put_new(self: &Arc<Self>, key: &Key, body: Bytes) -> Result<Put, Fault> {
        self.keep_pace(body.len());
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move { this.create(&key, body, false).await })
    }

    pub(in crate::store) fn replace(self: &Arc<Self>, key: &Key, body: Bytes) -> Result<(), Fault> {
        self.keep_pace(body.len());
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move {
            let path = this.path(&key)?;
            let put = this.put_once(&path, &body, PutMode::Overwrite, false).await;
            put.map_err(|failure| this.fault(&failure, Doing::Writing, key.as_str()))
        })
    }

    pub(in crate::store) fn delete(self: &Arc<Self>, keys: &[Key]) -> Result<(), Fault> {
        let this = self.clone();
        let paths = keys.iter().map(|key| self.path(key)).collect::<Result<Vec<_>, _>>()?;
        let what = match keys {
            [] => return Ok(()),
            [key] => key.to_string(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        };
        runtime::wait(async move { this.remove(paths).await.map_err(|failure| this.fault(&failure, Doing::Deleting, &what)) })
    }

    pub(super) async fn remove(&self, mut paths: Vec<Path>) -> Result<(), Failure> {
        self.is_not_silent()?;
        let mut attempts = Attempts::new(self.patience);
        loop {
            let all = stream::iter(paths.clone().into_iter().map(Ok)).boxed();
            let mut results = self.client.objects().delete_stream(all);
            let mut failed: Option<Failure> = None;
            // Some servers delete without a word what cannot be there.
            let mut absent = self.client.is_custom();
            loop {
                match timeout(self.silence(), results.next()).await {
                    Ok(None) => break,
                    Ok(Some(Ok(done))) => paths.retain(|path| *path != done),
                    Ok(Some(Err(error))) => match Failure::of(&error) {
                        failure if failure.kind == FaultKind::Absent => absent = true,
                        failure => failed = Some(failure),
                    },
                    Err(_) => {
                        failed = Some(Failure::slow(self.silence()));
                        break;
                    }
                }
            }
            let Some(mut failure) = failed else {
                // Deleted already, or is it the bucket that is gone?
                return if absent { self.is_there().await } else { Ok(()) };
            };
            failure.unclear = attempts.unclear();
            match attempts.again() {
                Some(delay) if failure.is_transient() => sleep(delay).await,
                _ => {
                    self.gave_up(&attempts, &failure);
                    return Err(failure);
                }
            }
        }
    }
}
