//! Archive classes: an object must be asked for, and comes hours later.

use std::sync::Arc;

use super::failure::Failure;
use super::{Client, Cloud, Doing, runtime};
use crate::store::{Fault, FaultKind, Key, Thaw};
use crate::units::Haste;

/// Whether what a service says of the thawing means that the object can be read now.
pub(super) fn is_thawed(restore: Option<&str>) -> bool {
    restore.is_some_and(|restore| restore.contains("ongoing-request=\"false\""))
}

fn is_thawing(restore: Option<&str>) -> bool {
    restore.is_some_and(|restore| restore.contains("ongoing-request=\"true\"") || restore.starts_with("rehydrate-pending"))
}

impl Cloud {
    pub(in crate::store) fn thaw_state(self: &Arc<Self>, key: &Key) -> Result<Option<Thaw>, Fault> {
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move {
            Ok(this.look(&key).await?.map(|(meta, heard)| match heard.restore.as_deref() {
                restore if is_thawing(restore) => Thaw::Underway,
                _ if meta.frozen => Thaw::Frozen,
                _ => Thaw::Readable,
            }))
        })
    }

    /// S3 makes a copy that can be read for some days. Azure brings it back for good.
    pub(in crate::store) fn thaw(self: &Arc<Self>, key: &Key, days: u32, haste: Haste) -> Result<(), Fault> {
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move {
            let asked = match this.client {
                Client::S3 { .. } => this.request_copy(&key, days, haste).await,
                Client::Azure { .. } => this.rehydrate(&key, haste).await,
                // Nothing there is ever frozen.
                Client::Gcs { .. } => Ok(()),
            };
            match asked {
                Ok(()) => Ok(()),
                Err(failure) => Err(this.thaw_fault(failure, &key).await),
            }
        })
    }

    async fn request_copy(&self, key: &Key, days: u32, haste: Haste) -> Result<(), Failure> {
        let tier = match haste {
            Haste::Expedited => "Expedited",
            Haste::Standard => "Standard",
            Haste::Bulk => "Bulk",
        };
        let body =
            format!("<RestoreRequest><Days>{days}</Days><GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters></RestoreRequest>");
        match self.ask("POST", &self.path_of(key)?, &[("restore", "")], &body).await {
            Ok(_) => Ok(()),
            // Asked for before.
            Err(failure) if failure.code == "RestoreAlreadyInProgress" => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    async fn thaw_fault(&self, failure: Failure, key: &Key) -> Fault {
        if failure.kind == FaultKind::Absent { self.unread(failure, key).await } else { self.fault(&failure, Doing::Thawing, key.as_str()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_of_thawing_are_told_apart() {
        assert!(is_thawing(Some("ongoing-request=\"true\"")));
        assert!(is_thawing(Some("rehydrate-pending-to-hot")));
        assert!(is_thawed(Some("ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"")));
        assert!(!is_thawed(None) && !is_thawing(None));
    }
}
