//! Deleting for good. Where a bucket keeps versions, a plain delete only hides: so every version goes by its own name, and the marker that
//! hides them goes last, or an older version would come to light again.
//!
//! Only S3 is asked for its versions. What Azure and Google's storage keep of deleted objects (soft delete, versions) they keep for the time
//! that is set there, and remove it by themselves.

use std::sync::Arc;

use futures_util::StreamExt;
use object_store::path::Path;

use super::failure::Failure;
use super::versions::{Version, Versions, are_kept};
use super::{Client, Cloud, Doing, runtime};
use crate::store::{Fault, FaultKind, Key, Locked, Purged};

/// Requests on their way at the same time.
pub(super) const AT_ONCE: usize = 24;

impl Cloud {
    pub(in crate::store) fn purge(self: &Arc<Self>, keys: &[Key]) -> Result<Purged, Fault> {
        if !matches!(self.client, Client::S3 { .. }) || keys.is_empty() {
            return self.delete(keys).map(|()| Purged::default());
        }
        let (this, keys) = (self.clone(), keys.to_vec());
        runtime::wait(async move {
            let what = this.what(&keys);
            this.purge_all(&keys).await.map_err(|failure| this.fault(&failure, Doing::Deleting, &what))
        })
    }

    pub(in crate::store) fn locks(self: &Arc<Self>, keys: &[Key]) -> Result<Vec<Locked>, Fault> {
        if !matches!(self.client, Client::S3 { .. }) || keys.is_empty() {
            return Ok(Vec::new());
        }
        let (this, keys) = (self.clone(), keys.to_vec());
        runtime::wait(async move {
            let asked = async {
                match this.versions_of(&keys).await? {
                    Ok(versions) => this.locks_on(versions).await,
                    // Then the delete itself will tell.
                    Err(_) => Ok(Vec::new()),
                }
            };
            asked.await.map_err(|failure| this.fault(&failure, Doing::Reading, &this.what(&keys)))
        })
    }

    fn what(&self, keys: &[Key]) -> String {
        match keys {
            [key] => key.to_string(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
            [] => "nothing".to_owned(),
        }
    }

    async fn purge_all(self: &Arc<Self>, keys: &[Key]) -> Result<Purged, Failure> {
        let versions = match self.versions_of(keys).await? {
            Ok(versions) => versions,
            Err(why) => {
                self.remove_plainly(keys.iter()).await?;
                let doubt = format!("{why}; where it keeps any, what was deleted is only hidden");
                return Ok(Purged { locked: Vec::new(), doubt: Some(doubt) });
            }
        };
        // A delete of what is absent would leave a marker. It is asked all the same: a list of nothing proves nothing.
        let mut plain: Vec<Key> = Vec::new();
        for key in keys.iter().filter(|key| !versions.contains_key(*key)) {
            if self.is_seen(key).await? {
                plain.push(key.clone());
            }
        }
        if !are_kept(&versions) {
            // Many with one request.
            plain.extend(versions.into_keys());
            return self.remove_plainly(plain.iter()).await.map(|()| Purged::default());
        }
        self.remove_plainly(plain.iter()).await?;
        let locked = self.remove_versions(versions).await?;
        Ok(Purged { locked, doubt: None })
    }

    async fn is_seen(&self, key: &Key) -> Result<bool, Failure> {
        match self.ask("HEAD", &self.path_of(key)?, &[], "").await {
            Ok(_) => Ok(true),
            Err(failure) if failure.kind == FaultKind::Absent => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn remove_plainly<'k>(&self, keys: impl Iterator<Item = &'k Key>) -> Result<(), Failure> {
        let paths: Vec<Path> = keys.map(|key| self.path_of(key)).collect::<Result<_, _>>()?;
        if paths.is_empty() { Ok(()) } else { self.remove(paths).await }
    }

    pub(super) fn path_of(&self, key: &Key) -> Result<Path, Failure> {
        self.path(key).map_err(|fault| Failure::new(fault.kind, fault.message, ""))
    }

    async fn remove_versions(self: &Arc<Self>, versions: Versions) -> Result<Vec<Locked>, Failure> {
        let removed = versions.into_iter().map(|(key, versions)| {
            let this = self.clone();
            async move { this.remove_one(&key, &versions).await }
        });
        let mut removed = futures_util::stream::iter(removed.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        let mut locked = Vec::new();
        while let Some(one) = removed.next().await {
            locked.extend(one?);
        }
        Ok(locked)
    }

    /// The oldest version first, the markers last: nothing comes to light that was covered.
    async fn remove_one(&self, key: &Key, versions: &[Version]) -> Result<Option<Locked>, Failure> {
        let path = self.path_of(key)?;
        let (markers, real): (Vec<&Version>, Vec<&Version>) = versions.iter().rev().partition(|version| version.is_marker);
        for version in real.into_iter().chain(markers) {
            match self.ask("DELETE", &path, &[("versionId", &version.id)], "").await {
                Ok(_) => {}
                Err(failure) if failure.kind == FaultKind::Absent => {}
                Err(failure) if matches!(failure.kind, FaultKind::Denied | FaultKind::Locked) => {
                    // A lock refuses in the words of a missing permission.
                    let lock = self.lock_of(key, &path, version).await?;
                    return match (lock, failure.kind) {
                        (Some(lock), _) => Ok(Some(lock)),
                        (None, FaultKind::Locked) => Ok(Some(Locked { key: key.clone(), until: None, legal_hold: false })),
                        (None, _) => Err(failure),
                    };
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }
}
