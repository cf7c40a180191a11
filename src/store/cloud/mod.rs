//! S3, Azure Blob Storage and Google Cloud Storage.
//!
//! The library that speaks to them tries nothing again by itself here: every attempt is ours, so that its signature is
//! fresh, its time bounded by its size, and so that we know when an earlier attempt may have had its effect without our
//! hearing of it. That is what decides whether "it is there already" means somebody else's object or our own.

mod abandoned;
mod answer;
mod ask;
mod classes;
mod client;
mod credentials;
mod failure;
mod list;
mod open;
mod profile;
mod purge;
mod read;
mod reader;
mod rewrite;
mod runtime;
mod silence;
mod thaw;
mod tier;
mod upload;
mod versions;
mod wire;
mod write;

use std::fmt;
use std::sync::{Arc, Once};
use std::time::Duration;

use object_store::path::Path;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

pub(super) use reader::CloudReader;
pub use silence::Silences;
pub(super) use upload::CloudUpload;

use super::pace::Pace;
use super::patience::Attempts;
use super::{Fault, FaultKind, Growth, Key, Meta, Place, Settings};
use crate::units::{ClassFamily, Instant, StorageClass};
use client::Client;
use failure::Failure;
use silence::Silence;

/// The pieces of a multipart upload begin as the least that S3 takes, because some are always on their way; see [`Growth`].
pub(super) const PIECE_SIZE: usize = 5 << 20;
/// Pieces on their way at the same time, over all uploads of a store: this many times [`PIECE_SIZE`] of memory. A larger one takes several places.
const IN_FLIGHT: u32 = 4;
/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
const SHORTEST_SILENCE: Duration = Duration::from_secs(5);
/// The slowest link that is worth waiting for, bytes a second.
const SLOWEST: u64 = 128 << 10;

pub(super) struct Cloud {
    client: Client,
    /// Empty, or with a `/` at its end.
    prefix: String,
    url: String,
    patience: Duration,
    class: Option<String>,
    pace: Option<Arc<Pace>>,
    slots: Arc<Semaphore>,
    growth: Growth,
    /// What killed processes left was looked for.
    swept: Once,
    silence: Option<Arc<Silence>>,
}

/// Only where it is: what the client holds is nobody's business.
impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What was being done, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Reading,
    Writing,
    Listing,
    Deleting,
    Thawing,
    Moving,
}

impl Cloud {
    pub(super) fn open(settings: &Settings, silences: Option<&Silences>) -> Result<Cloud, Fault> {
        let (client, scheme, bucket, prefix, class) = match &settings.place {
            Place::Local { .. } => unreachable!("a directory is not opened as a cloud"),
            Place::S3 { bucket, prefix, region, endpoint, path_style, ca, profile, storage_class, sse } => {
                let how = open::S3 {
                    bucket,
                    region: region.as_deref(),
                    endpoint: endpoint.as_deref(),
                    path_style: *path_style,
                    ca: ca.as_deref(),
                    profile: profile.as_deref(),
                    sse: sse.as_ref(),
                };
                (open::s3(&how)?, "s3", bucket.clone(), prefix, storage_class)
            }
            Place::Azure { account, container, prefix, endpoint, tier } => {
                let how = open::Azure { account, container, endpoint: endpoint.as_deref(), tier: tier.as_deref() };
                (open::azure(&how)?, "azure", format!("{account}/{container}"), prefix, tier)
            }
            Place::Gcs { bucket, prefix, endpoint, storage_class } => {
                (open::gcs(bucket, endpoint.as_deref())?, "gs", bucket.clone(), prefix, storage_class)
            }
        };
        let prefix = prefix_of(prefix.as_deref())?;
        Ok(Cloud {
            client,
            url: format!("{scheme}://{bucket}/{prefix}").trim_end_matches('/').to_owned(),
            prefix,
            patience: settings.patience,
            class: class.clone(),
            pace: settings.upload_limit.map(|rate| Arc::new(Pace::new(rate))),
            slots: Arc::new(Semaphore::new(IN_FLIGHT as usize)),
            growth: settings.growth,
            swept: Once::new(),
            silence: silences.map(|silences| silences.of(&settings.place)),
        })
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) fn family(&self) -> ClassFamily {
        match self.client {
            Client::S3 { .. } => ClassFamily::S3,
            Client::Azure { .. } => ClassFamily::Azure,
            Client::Gcs { .. } => ClassFamily::Gcs,
        }
    }

    /// What the service says of an object's class; it says nothing of the warmest one. Nothing for a word that is not known here.
    fn class_of(&self, said: Option<&str>) -> Option<StorageClass> {
        said.map_or(Some(self.family().warmest()), |word| self.family().class_of_wire(word))
    }

    fn path(&self, key: &Key) -> Result<Path, Fault> {
        Path::parse(format!("{}{key}", self.prefix)).map_err(|error| Fault::new(FaultKind::Config, error.to_string(), ""))
    }

    /// The same with the store's name and what was being done.
    fn fault(&self, failure: &Failure, doing: Doing, what: &str) -> Fault {
        let doing_what = match doing {
            Doing::Reading => "reading",
            Doing::Writing => "writing",
            Doing::Listing => "listing",
            Doing::Deleting => "deleting",
            Doing::Thawing => "thawing",
            Doing::Moving => "moving",
        };
        let hint = match (failure.kind, failure.hint) {
            (FaultKind::Denied, "") => self.permission(doing),
            (FaultKind::Locked, "") => "It can be deleted or changed when its lock has run out.".to_owned(),
            (_, hint) => hint.to_owned(),
        };
        let gave_up = if failure.is_transient() && failure.unclear { ", again and again" } else { "" };
        Fault::new(failure.kind, format!("{doing_what} {what} in {}: {}{gave_up}", self.url, failure.said), hint)
    }

    fn permission(&self, doing: Doing) -> String {
        let action = match (&self.client, doing) {
            (Client::S3 { .. }, Doing::Reading) => "s3:GetObject and s3:ListBucket",
            (Client::S3 { .. }, Doing::Writing) => "s3:PutObject and s3:AbortMultipartUpload",
            (Client::S3 { .. }, Doing::Listing) => "s3:ListBucket",
            (Client::S3 { .. }, Doing::Deleting) => "s3:DeleteObject and, where the bucket keeps versions, s3:DeleteObjectVersion",
            (Client::S3 { .. }, Doing::Thawing) => "s3:RestoreObject",
            (Client::S3 { .. }, Doing::Moving) => "s3:GetObject, s3:PutObject and, where the bucket keeps versions, s3:DeleteObjectVersion",
            (Client::Azure { .. }, Doing::Reading | Doing::Listing) => "the role Storage Blob Data Reader",
            (Client::Azure { .. }, _) => "the role Storage Blob Data Contributor",
            (Client::Gcs { .. }, Doing::Reading) => "storage.objects.get",
            (Client::Gcs { .. }, Doing::Listing) => "storage.objects.list",
            (Client::Gcs { .. }, Doing::Deleting) => "storage.objects.delete",
            (Client::Gcs { .. }, Doing::Moving) => "storage.objects.get, storage.objects.create and storage.objects.delete",
            (Client::Gcs { .. }, _) => "storage.objects.create",
        };
        format!("The credentials need {action} here.")
    }

    /// How long a server may say nothing. Whoever has little patience does not wait for one answer longer than for all.
    fn silence(&self) -> Duration {
        SILENCE.min(self.patience.max(SHORTEST_SILENCE))
    }

    /// How long an answer to a body of that size may take.
    fn time_for(&self, bytes: usize) -> Duration {
        self.silence() + Duration::from_secs(bytes as u64 / SLOWEST)
    }

    /// Tries until it works, fails for good, or patience is at its end. No attempt lasts longer than `limit`.
    async fn patiently<T, F>(&self, limit: Duration, mut attempt: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        self.is_not_silent()?;
        let mut attempts = Attempts::new(self.patience);
        loop {
            let mut failure = match timeout(limit, attempt()).await {
                Ok(Ok(done)) => {
                    self.answered();
                    return Ok(done);
                }
                Ok(Err(error)) => Failure::of(&error),
                Err(_) => Failure::slow(limit),
            };
            failure.unclear = attempts.unclear();
            if !failure.is_transient() {
                self.answered();
                return Err(failure);
            }
            match attempts.again() {
                Some(delay) => sleep(delay).await,
                None => {
                    self.gave_up(&attempts, &failure);
                    return Err(failure);
                }
            }
        }
    }

    /// Whoever looks around has not just waited for it in vain.
    fn is_not_silent(&self) -> Result<(), Failure> {
        self.silence.as_ref().and_then(|silence| silence.known()).map_or(Ok(()), Err)
    }

    fn answered(&self) {
        self.silence.iter().for_each(|silence| silence.answered());
    }

    fn gave_up(&self, attempts: &Attempts, failure: &Failure) {
        self.silence.iter().for_each(|silence| silence.gave_up(attempts.since(), failure));
    }
}

fn meta(key: Key, about: &object_store::ObjectMeta) -> Meta {
    let modified = Instant::from_millisecond(about.last_modified.timestamp_millis()).unwrap_or(Instant::UNIX_EPOCH);
    Meta { key, size: about.size, modified, class: None, frozen: false }
}

fn crc32c(bytes: &[u8]) -> u32 {
    u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes)).unwrap_or_default()
}

/// Made of what keys are made of, so that nothing in it needs an escape anywhere.
fn prefix_of(text: Option<&str>) -> Result<String, Fault> {
    match text.map(|text| text.trim_matches('/')).filter(|text| !text.is_empty()) {
        None => Ok(String::new()),
        Some(text) => match Key::new(text) {
            Ok(key) => Ok(format!("{key}/")),
            Err(error) => Err(Fault::new(FaultKind::Config, format!("{error}: the store's prefix"), "Use letters, digits and `-_.+=@`.")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_with_one_slash() {
        assert_eq!(prefix_of(None), Ok(String::new()));
        assert_eq!(prefix_of(Some("/")), Ok(String::new()));
        assert_eq!(prefix_of(Some("/a/b/")), Ok("a/b/".to_owned()));
        assert!(prefix_of(Some("a//b")).is_err());
        assert!(prefix_of(Some("../x")).is_err());
    }

    #[test]
    fn the_checksum_is_googles() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    }
}
