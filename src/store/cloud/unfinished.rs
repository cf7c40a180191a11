//! What a move leaves behind that is killed between the copy and the end of what it was made from, in a bucket that keeps versions. Whoever noted
//! what was to be copied can end it later.

use std::sync::Arc;

use super::failure::Failure;
use super::{Client, Cloud, Doing, runtime};
use crate::store::{Fault, FaultKind, Key};
use crate::units::StorageClass;

impl Cloud {
    /// The version that is the object now; `None` where none are kept, or none are told.
    pub(in crate::store) fn version(self: &Arc<Self>, key: &Key) -> Result<Option<String>, Fault> {
        if !matches!(self.client, Client::S3 { .. }) {
            return Ok(None);
        }
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move {
            let asked = async { this.source(&key, &this.path_of(&key)?, None).await.map(|source| source.version) };
            asked.await.map_err(|failure| this.fault(&failure, Doing::Reading, key.as_str()))
        })
    }

    /// Takes away a version that was noted before it was copied into a class: only where the object is that copy by now. False: it may be copied yet.
    pub(in crate::store) fn finish_move(self: &Arc<Self>, key: &Key, version: &str, class: StorageClass) -> Result<bool, Fault> {
        if !matches!(self.client, Client::S3 { .. }) {
            return Ok(true);
        }
        let (this, key, version) = (self.clone(), key.clone(), version.to_owned());
        runtime::wait(async move {
            let finished = this.take_away_copied(&key, &version, class).await;
            finished.map_err(|failure| this.fault(&failure, Doing::Deleting, key.as_str()))
        })
    }

    async fn take_away_copied(&self, key: &Key, version: &str, class: StorageClass) -> Result<bool, Failure> {
        let versions = match self.versions_of(std::slice::from_ref(key)).await? {
            Ok(mut versions) => versions.remove(key).unwrap_or_default(),
            // Who may not ask what there is takes nothing away.
            Err(_) => return Ok(true),
        };
        let Some(at) = versions.iter().position(|one| one.id == version) else { return Ok(true) };
        if at == 0 {
            return Ok(false);
        }
        let path = self.path_of(key)?;
        let noted = self.source(key, &path, Some(version)).await?;
        // What lies above it are copies of it, the newest of which is the object, or it is somebody's way back.
        for copy in &versions[..at] {
            if copy.is_marker {
                return Ok(true);
            }
            let copy = self.source(key, &path, Some(&copy.id)).await?;
            let is_it = copy.class == Some(class) && copy.size == noted.size && copy.metadata == noted.metadata;
            if !is_it || !noted.class.is_some_and(|from| self.family().is_colder(class, from)) {
                return Ok(true);
            }
        }
        for old in versions[1..=at].iter().rev() {
            match self.ask("DELETE", &path, &[("versionId", &old.id)], "").await {
                Ok(_) => {}
                Err(failure) if matches!(failure.kind, FaultKind::Absent | FaultKind::Denied | FaultKind::Locked) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(true)
    }
}
