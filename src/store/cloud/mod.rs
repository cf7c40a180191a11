//! S3, Azure Blob Storage and Google Cloud Storage.
//!
//! The library that speaks to them tries nothing again by itself here: every attempt is ours, so that its signature is
//! fresh, its time bounded by its size, and so that we know when an earlier attempt may have had its effect without our
//! hearing of it. That is what decides whether "it is there already" means somebody else's object or our own.

mod answer;
mod credentials;
mod failure;
mod list;
mod open;
mod profile;
mod reader;
mod runtime;
mod thaw;
mod upload;
mod wire;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ClientOptions, GetOptions, GetRange, ObjectStore, PutMode, PutOptions};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

pub(super) use reader::CloudReader;
pub(super) use upload::CloudUpload;

use super::pace::Pace;
use super::patience::Attempts;
use super::{Fault, FaultKind, Key, Meta, Place, Put, Settings};
use crate::units::Instant;
use failure::Failure;
use wire::{CARGO, Cargo, Heard};

/// Every piece of a multipart upload but the last. S3 wants at least 5 MiB; 10,000 of them are the longest object: 80 GiB.
pub(super) const PIECE_SIZE: usize = 8 << 20;
/// Pieces on their way at the same time, over all uploads of a store: this many times [`PIECE_SIZE`] of memory.
const IN_FLIGHT: usize = 4;
/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
const SHORTEST_SILENCE: Duration = Duration::from_secs(5);
/// The slowest link that is worth waiting for, bytes a second.
const SLOWEST: u64 = 128 << 10;

enum Client {
    S3 { client: object_store::aws::AmazonS3, options: Box<ClientOptions>, custom: bool },
    Azure { client: object_store::azure::MicrosoftAzure, custom: bool },
    Gcs { client: object_store::gcp::GoogleCloudStorage, custom: bool },
}

impl Client {
    fn objects(&self) -> &dyn ObjectStore {
        match self {
            Client::S3 { client, .. } => client,
            Client::Azure { client, .. } => client,
            Client::Gcs { client, .. } => client,
        }
    }

    fn parts(&self) -> &dyn MultipartStore {
        match self {
            Client::S3 { client, .. } => client,
            Client::Azure { client, .. } => client,
            Client::Gcs { client, .. } => client,
        }
    }

    fn pages(&self) -> &dyn PaginatedListStore {
        match self {
            Client::S3 { client, .. } => client,
            Client::Azure { client, .. } => client,
            Client::Gcs { client, .. } => client,
        }
    }

    /// An endpoint of somebody's own: it may be less exact than the service it imitates.
    fn is_custom(&self) -> bool {
        match self {
            Client::S3 { custom, .. } | Client::Azure { custom, .. } | Client::Gcs { custom, .. } => *custom,
        }
    }

    fn is_gcs(&self) -> bool {
        matches!(self, Client::Gcs { .. })
    }
}

pub(super) struct Cloud {
    client: Client,
    /// Empty, or with a `/` at its end.
    prefix: String,
    url: String,
    patience: Duration,
    class: Option<String>,
    pace: Option<Arc<Pace>>,
    slots: Arc<Semaphore>,
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
}

impl Cloud {
    pub(super) fn open(settings: &Settings) -> Result<Cloud, Fault> {
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
            slots: Arc::new(Semaphore::new(IN_FLIGHT)),
        })
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
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
            (Client::S3 { .. }, Doing::Deleting) => "s3:DeleteObject",
            (Client::S3 { .. }, Doing::Thawing) => "s3:RestoreObject",
            (Client::Azure { .. }, Doing::Reading | Doing::Listing) => "the role Storage Blob Data Reader",
            (Client::Azure { .. }, _) => "the role Storage Blob Data Contributor",
            (Client::Gcs { .. }, Doing::Reading) => "storage.objects.get",
            (Client::Gcs { .. }, Doing::Listing) => "storage.objects.list",
            (Client::Gcs { .. }, Doing::Deleting) => "storage.objects.delete",
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
        let mut attempts = Attempts::new(self.patience);
        loop {
            let mut failure = match timeout(limit, attempt()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => Failure::of(&error),
                Err(_) => Failure::slow(limit),
            };
            failure.unclear = attempts.unclear();
            if !failure.is_transient() {
                return Err(failure);
            }
            match attempts.again() {
                Some(delay) => sleep(delay).await,
                None => return Err(failure),
            }
        }
    }

    fn attributes(&self, bulk: bool) -> Attributes {
        let mut attributes = Attributes::new();
        // What must be read to find anything else cannot lie in an archive.
        if let Some(class) = self.class.as_ref().filter(|class| bulk || !wire::is_frozen(class)) {
            attributes.insert(Attribute::StorageClass, class.clone().into());
        }
        attributes
    }

    async fn put_once(&self, path: &Path, body: &Bytes, mode: PutMode, bulk: bool) -> Result<(), Failure> {
        let cargo = Cargo { crc32c: self.client.is_gcs().then(|| crc32c(body)) };
        let attempt = || {
            let options = PutOptions { mode: mode.clone(), attributes: self.attributes(bulk), ..PutOptions::default() };
            CARGO.scope(cargo, self.client.objects().put_opts(path, body.clone().into(), options))
        };
        self.patiently(self.time_for(body.len()), attempt).await.map(drop)
    }

    async fn create(&self, key: &Key, body: Bytes, bulk: bool) -> Result<Put, Fault> {
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

    fn keep_pace(&self, bytes: usize) {
        if let Some(pace) = &self.pace {
            pace.wait(bytes);
        }
    }

    pub(super) fn put_new(self: &Arc<Self>, key: &Key, body: Bytes) -> Result<Put, Fault> {
        self.keep_pace(body.len());
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move { this.create(&key, body, false).await })
    }

    pub(super) fn replace(self: &Arc<Self>, key: &Key, body: Bytes) -> Result<(), Fault> {
        self.keep_pace(body.len());
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move {
            let path = this.path(&key)?;
            let put = this.put_once(&path, &body, PutMode::Overwrite, false).await;
            put.map_err(|failure| this.fault(&failure, Doing::Writing, key.as_str()))
        })
    }

    /// What the store says, and what else was heard with it.
    async fn look(&self, key: &Key) -> Result<Option<(Meta, Heard)>, Fault> {
        let path = self.path(key)?;
        let asked = |head: bool| {
            let (path, options) = (path.clone(), GetOptions { head, ..GetOptions::default() });
            async move { self.client.objects().get_opts(&path, options).await }
        };
        let mut answer = self.patiently(self.silence(), || asked(true)).await;
        if matches!(&answer, Err(failure) if failure.kind == FaultKind::Absent) {
            // The answer to HEAD has no words. GET's say what it is that is not there: the object or the whole bucket.
            answer = self.patiently(self.silence(), || asked(false)).await;
        }
        match answer {
            Ok(found) => {
                let heard = found.extensions.get::<Heard>().cloned().unwrap_or_default();
                let frozen = heard.class.as_deref().is_some_and(wire::is_frozen) && !thaw::is_thawed(heard.restore.as_deref());
                Ok(Some((Meta { frozen, ..meta(key.clone(), &found.meta) }, heard)))
            }
            Err(failure) if failure.kind == FaultKind::Absent => self.absent(failure, key).await.map(|_| None),
            Err(failure) => Err(self.fault(&failure, Doing::Reading, key.as_str())),
        }
    }

    /// Absent is said only of an object in a store that is there. Some servers say the same of a bucket that is not.
    async fn absent(&self, failure: Failure, key: &Key) -> Result<Fault, Fault> {
        let absent = self.fault(&failure, Doing::Reading, key.as_str());
        if !self.client.is_custom() && !failure.code.is_empty() {
            return Ok(absent);
        }
        self.is_there().await.map(|()| absent).map_err(|failure| self.fault(&failure, Doing::Reading, key.as_str()))
    }

    async fn is_there(&self) -> Result<(), Failure> {
        match self.page(self.prefix.as_str(), None, None, Some(1), false).await {
            Ok(_) => Ok(()),
            // Whoever may read but not list is believed when the server names the object.
            Err(failure) if failure.kind == FaultKind::Denied => Ok(()),
            Err(failure) if failure.kind == FaultKind::Absent => Err(Failure { kind: FaultKind::NoStore, ..failure }),
            Err(failure) => Err(failure),
        }
    }

    /// A failure to read, with absence made sure of.
    async fn unread(&self, failure: Failure, key: &Key) -> Fault {
        if failure.kind == FaultKind::Absent {
            return self.absent(failure, key).await.unwrap_or_else(|fault| fault);
        }
        self.fault(&failure, Doing::Reading, key.as_str())
    }

    pub(super) fn head(self: &Arc<Self>, key: &Key) -> Result<Option<Meta>, Fault> {
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move { Ok(this.look(&key).await?.map(|(meta, _)| meta)) })
    }

    async fn read_whole(&self, key: &Key, limit: usize) -> Result<Bytes, Fault> {
        let path = self.path(key)?;
        let mut attempts = Attempts::new(self.patience);
        loop {
            let mut failure = match self.whole_once(&path, limit).await {
                Ok(Some(bytes)) => return Ok(bytes),
                Ok(None) => {
                    let message = format!("{key} in {} has more than {limit} bytes", self.url);
                    return Err(Fault::new(FaultKind::Damaged, message, "It is not what its name says."));
                }
                Err(failure) => failure,
            };
            failure.unclear = attempts.unclear();
            match attempts.again() {
                Some(delay) if failure.is_transient() => sleep(delay).await,
                _ => return Err(self.unread(failure, key).await),
            }
        }
    }

    /// `None` when it is longer than `limit`.
    async fn whole_once(&self, path: &Path, limit: usize) -> Result<Option<Bytes>, Failure> {
        let answer = timeout(self.silence(), self.client.objects().get_opts(path, GetOptions::default())).await;
        let found = answer.map_err(|_| Failure::slow(self.silence()))?.map_err(|error| Failure::of(&error))?;
        let size = found.meta.size;
        if size > limit as u64 {
            return Ok(None);
        }
        let mut bytes = BytesMut::with_capacity(usize::try_from(size).unwrap_or(usize::MAX).min(2 * PIECE_SIZE));
        drain(found, size, self.silence(), &mut bytes).await?;
        Ok(Some(bytes.freeze()))
    }

    pub(super) fn get(self: &Arc<Self>, key: &Key, limit: usize) -> Result<Bytes, Fault> {
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move { this.read_whole(&key, limit).await })
    }

    pub(super) fn get_range(self: &Arc<Self>, key: &Key, range: Range<u64>) -> Result<Bytes, Fault> {
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move { this.read_range(&key, range).await })
    }

    /// Exactly these bytes. A cut connection is taken up again where it was cut.
    async fn read_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Fault> {
        let path = self.path(key)?;
        let wanted = range.end.saturating_sub(range.start);
        let mut bytes = BytesMut::with_capacity(usize::try_from(wanted).unwrap_or(usize::MAX).min(2 * PIECE_SIZE));
        if wanted == 0 {
            return Ok(bytes.freeze());
        }
        let mut attempts = Attempts::new(self.patience);
        loop {
            let before = bytes.len();
            let rest = range.start + before as u64..range.end;
            let mut failure = match self.range_once(&path, rest, &mut bytes).await {
                Ok(()) => return Ok(bytes.freeze()),
                Err(failure) => failure,
            };
            if bytes.len() > before {
                attempts.progressed();
            }
            failure.unclear = attempts.unclear();
            if failure.senseless {
                // Some servers answer oddly when asked for what is beyond the end.
                match self.look(key).await? {
                    Some((meta, _)) if meta.size < range.end => failure.kind = FaultKind::Damaged,
                    _ => {}
                }
            }
            if failure.kind == FaultKind::Damaged {
                let message = format!("{key} in {} ends before byte {}: {}", self.url, range.end, failure.said);
                return Err(Fault::new(FaultKind::Damaged, message, "The object is cut short."));
            }
            match attempts.again() {
                Some(delay) if failure.is_transient() => sleep(delay).await,
                _ => return Err(self.unread(failure, key).await),
            }
        }
    }

    async fn range_once(&self, path: &Path, range: Range<u64>, into: &mut BytesMut) -> Result<(), Failure> {
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let answer = timeout(self.silence(), self.client.objects().get_opts(path, options)).await;
        let found = answer.map_err(|_| Failure::slow(self.silence()))?.map_err(|error| Failure::of(&error))?;
        if found.meta.size < range.end {
            return Err(Failure::new(FaultKind::Damaged, format!("it has {} bytes", found.meta.size), ""));
        }
        drain(found, range.end - range.start, self.silence(), into).await
    }

    pub(super) fn delete(self: &Arc<Self>, keys: &[Key]) -> Result<(), Fault> {
        let this = self.clone();
        let paths = keys.iter().map(|key| self.path(key)).collect::<Result<Vec<_>, _>>()?;
        let what = match keys {
            [] => return Ok(()),
            [key] => key.to_string(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        };
        runtime::wait(async move { this.remove(paths).await.map_err(|failure| this.fault(&failure, Doing::Deleting, &what)) })
    }

    async fn remove(&self, mut paths: Vec<Path>) -> Result<(), Failure> {
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
                _ => return Err(failure),
            }
        }
    }
}

/// Reads what was promised, and notices when less or more comes.
async fn drain(found: object_store::GetResult, wanted: u64, silence: Duration, into: &mut BytesMut) -> Result<(), Failure> {
    let mut stream = found.into_stream();
    let mut left = wanted;
    while let Some(chunk) = timeout(silence, stream.next()).await.map_err(|_| Failure::slow(silence))? {
        let chunk = chunk.map_err(|error| Failure::of(&error))?;
        let fits = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        into.extend_from_slice(&chunk[..fits]);
        left -= fits as u64;
        if fits < chunk.len() {
            return Err(Failure::new(FaultKind::Damaged, "more came than was asked for", ""));
        }
    }
    if left > 0 { Err(Failure::cut_short()) } else { Ok(()) }
}

fn meta(key: Key, about: &object_store::ObjectMeta) -> Meta {
    let modified = Instant::from_millisecond(about.last_modified.timestamp_millis()).unwrap_or(Instant::UNIX_EPOCH);
    Meta { key, size: about.size, modified, frozen: false }
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
