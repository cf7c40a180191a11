//! Moving an object into another storage class. S3 copies it onto itself; the others have calls of their own (`tier`, `rewrite`).
//!
//! An object under a lock is left alone: the copy would not have the lock, and what is locked would stay beside it and be paid for twice.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use object_store::client::HttpResponse;
use object_store::path::Path;
use object_store::{HeaderMap, HeaderValue};

use super::answer::element;
use super::ask::Question;
use super::failure::Failure;
use super::versions::{Version, lock_in};
use super::wire::{CARGO, Cargo};
use super::{Client, Cloud, Doing, runtime};
use crate::store::{Fault, FaultKind, Key, Locked, Moved};
use crate::units::{Instant, StorageClass};

/// The largest that S3 copies with one request.
const LARGEST_COPY: u64 = 5 << 30;
/// What is larger is copied in pieces of this size.
const COPIED_PIECE: u64 = 1 << 30;
/// Pieces on their way at the same time.
const AT_ONCE: usize = 4;
/// The slowest that a service copies within itself, bytes a second.
const SLOWEST_COPY: u64 = 8 << 20;

/// An object of S3, as it stands right before it is copied.
struct Source {
    size: u64,
    etag: String,
    class: Option<StorageClass>,
    version: Option<String>,
    /// To the second.
    modified: Option<Instant>,
    lock: Option<Locked>,
    /// How the server encrypted it; a copy is not encrypted alike by itself.
    encryption: HeaderMap,
    /// What somebody said of it, and its type.
    metadata: HeaderMap,
}

impl Cloud {
    pub(in crate::store) fn move_to(self: &Arc<Self>, key: &Key, class: StorageClass) -> Result<Moved, Fault> {
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move {
            let moved = match this.client {
                Client::S3 { .. } => this.copy_onto_itself(&key, class).await,
                Client::Azure { .. } => this.set_tier(&key, class).await,
                Client::Gcs { .. } => this.rewrite(&key, class).await,
            };
            match moved {
                Ok(moved) => Ok(moved),
                // Some services have no other word for it.
                Err(failure) if failure.kind == FaultKind::Locked => {
                    Ok(Moved::Locked(Locked { key: key.clone(), until: None, legal_hold: false }))
                }
                Err(failure) if failure.kind == FaultKind::Absent => Err(this.unread(failure, &key).await),
                Err(failure) => Err(this.fault(&failure, Doing::Moving, key.as_str())),
            }
        })
    }

    /// Whether there is anything to move: only ever to what is colder, and only from where it can be read.
    pub(super) fn is_to_move(&self, from: Option<StorageClass>, to: StorageClass) -> Result<bool, Failure> {
        let unmovable = |said: String| Err(Failure::new(FaultKind::Config, said, "Move it by the service's own means."));
        match from {
            None => unmovable("it lies in a class that is not known here".to_owned()),
            Some(from) if !self.family().is_colder(to, from) => Ok(false),
            Some(from) if from.needs_thaw() => unmovable(format!("it cannot be moved from {from} without being thawed")),
            Some(_) => Ok(true),
        }
    }

    /// How long copying so much may take.
    pub(super) fn time_to_copy(&self, bytes: u64) -> Duration {
        4 * self.silence() + Duration::from_secs(bytes / SLOWEST_COPY)
    }

    async fn copy_onto_itself(&self, key: &Key, class: StorageClass) -> Result<Moved, Failure> {
        let path = self.path_of(key)?;
        let source = self.source(key, &path, None).await?;
        if !self.is_to_move(source.class, class)? {
            return Ok(Moved::Already);
        }
        if let Some(lock) = source.lock {
            return Ok(Moved::Locked(lock));
        }
        let limit = limit_of_test().unwrap_or(LARGEST_COPY);
        let copied = match source.size <= limit {
            true => self.copy_whole(&path, &source, class).await,
            false => self.copy_in_pieces(&path, &source, class, COPIED_PIECE.min(limit)).await,
        };
        let made = match copied {
            // Some servers name a version also where none are kept.
            Ok(copied) => version_in(&copied).filter(|_| source.version.is_some()),
            Err(failure) if failure.is_transient() => return Err(failure),
            // Was another run faster?
            Err(failure) => match self.source(key, &path, None).await {
                Ok(now) if now.size == source.size && now.class == Some(class) => return Ok(Moved::Already),
                _ => return Err(failure),
            },
        };
        // Some servers take the request and not the class.
        let now = match self.source(key, &path, made.as_deref()).await {
            // Another run copied it once more, and took ours away.
            Err(failure) if failure.kind == FaultKind::Absent => self.source(key, &path, None).await?,
            looked => looked?,
        };
        if now.class != Some(class) || now.size != source.size {
            let said = format!("after it was copied it does not lie in {class}");
            return Err(Failure::new(FaultKind::Config, said, "Take `storage_class` out of `keep`: this server has no such class."));
        }
        let left = match made {
            Some(made) => self.forget_versions(key, &path, &made, &source).await?,
            None => None,
        };
        Ok(Moved::Done { left })
    }

    async fn source(&self, key: &Key, path: &Path, version: Option<&str>) -> Result<Source, Failure> {
        let query: Vec<(&str, &str)> = version.map(|version| ("versionId", version)).into_iter().collect();
        let response = self.ask("HEAD", path, &query, "").await?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let size = header("content-length").and_then(|text| text.parse().ok());
        let encryption = [
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-aws-kms-key-id",
            "x-amz-server-side-encryption-bucket-key-enabled",
        ];
        let those = |wanted: &dyn Fn(&str) -> bool| {
            let headers = response.headers().iter().filter(|(name, _)| wanted(name.as_str()));
            headers.map(|(name, value)| (name.clone(), value.clone())).collect::<HeaderMap>()
        };
        Ok(Source {
            size: size.ok_or_else(|| Failure::new(FaultKind::Other, "the server does not say its size", ""))?,
            etag: header("etag").unwrap_or_default(),
            class: self.class_of(header("x-amz-storage-class").as_deref()),
            version: version_in(&response),
            modified: header("last-modified").and_then(|text| jiff::fmt::rfc2822::parse(&text).ok()).map(|date| date.timestamp()),
            lock: lock_in(key, &response),
            encryption: those(&|name| encryption.contains(&name)),
            metadata: those(&|name| name == "content-type" || name.starts_with("x-amz-meta-")),
        })
    }

    /// What names the very bytes that were looked at, also when something else has that name meanwhile.
    fn copy_source(&self, path: &Path, source: &Source) -> Result<HeaderMap, Failure> {
        let Client::S3 { bucket, .. } = &self.client else { return Ok(HeaderMap::new()) };
        let at = format!("/{bucket}/{}", escaped(path.as_ref(), true));
        match &source.version {
            Some(version) => headers(&[("x-amz-copy-source", &format!("{at}?versionId={}", escaped(version, false)))]),
            None if source.etag.is_empty() => headers(&[("x-amz-copy-source", &at)]),
            None => headers(&[("x-amz-copy-source", &at), ("x-amz-copy-source-if-match", &source.etag)]),
        }
    }

    async fn copy_whole(&self, path: &Path, source: &Source, class: StorageClass) -> Result<HttpResponse, Failure> {
        let mut copy = self.copy_source(path, source)?;
        copy.extend(headers(&[
            ("x-amz-storage-class", class.on_wire()),
            ("x-amz-metadata-directive", "COPY"),
            ("x-amz-checksum-algorithm", "SHA256"),
        ])?);
        copy.extend(source.encryption.clone());
        let within = self.time_to_copy(source.size);
        match self.ask_with(&Question { method: "PUT", path, query: &[], headers: &copy, body: "", within }).await {
            // Servers that imitate S3 may not take another class for a change. So they are told what is said of it anew: the same.
            Err(failure) if self.client.is_custom() && failure.code == "InvalidRequest" => {
                copy.extend(headers(&[("x-amz-metadata-directive", "REPLACE")])?);
                copy.extend(source.metadata.clone());
                self.ask_with(&Question { method: "PUT", path, query: &[], headers: &copy, body: "", within }).await
            }
            copied => copied,
        }
    }

    async fn copy_in_pieces(&self, path: &Path, source: &Source, class: StorageClass, piece: u64) -> Result<HttpResponse, Failure> {
        let mut about = headers(&[("x-amz-storage-class", class.on_wire())])?;
        about.extend(source.encryption.clone().into_iter().chain(source.metadata.clone()));
        let begin = Question { method: "POST", path, query: &[("uploads", "")], headers: &about, body: "", within: self.silence() };
        let begun = text_of(self.ask_with(&begin).await?).await?;
        let id = element(&begun, "UploadId").ok_or_else(|| Failure::new(FaultKind::Other, "the server begins no upload", ""))?;
        // Each piece has its own time; together they have that of the whole.
        let limit = self.time_to_copy(source.size);
        let sent = tokio::time::timeout(limit, self.send_pieces(path, source, &id, piece)).await;
        let finished = sent.unwrap_or_else(|_| Err(Failure::slow(limit)));
        if finished.is_err() {
            // What stays of it costs money until the bucket's own rule removes it.
            let _ = self.ask("DELETE", path, &[("uploadId", &id)], "").await;
        }
        finished
    }

    async fn send_pieces(&self, path: &Path, source: &Source, id: &str, piece: u64) -> Result<HttpResponse, Failure> {
        let starts: Vec<u64> = (0..source.size).step_by(usize::try_from(piece).unwrap_or(usize::MAX)).collect();
        let sent = starts
            .iter()
            .enumerate()
            .map(|(at, &start)| self.send_piece(path, source, id, at + 1, start..(start + piece).min(source.size)));
        let mut sending = futures_util::stream::iter(sent.collect::<Vec<_>>()).buffered(AT_ONCE);
        let mut parts = String::new();
        let mut number = 0;
        while let Some(etag) = sending.next().await {
            number += 1;
            parts.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", etag?));
        }
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let within = self.time_to_copy(source.size);
        let complete = Question { method: "POST", path, query: &[("uploadId", id)], headers: &HeaderMap::new(), body: &body, within };
        // Every other upload is completed only if nothing has its name; this one takes the place of what it was made from.
        let over = Cargo { replaces: true, ..Cargo::default() };
        match CARGO.scope(over, self.ask_with(&complete)).await {
            // The answer to an earlier attempt was lost; how the object stands is looked at next.
            Err(failure) if failure.unclear && failure.code == "NoSuchUpload" => self.ask("HEAD", path, &[], "").await,
            done => done,
        }
    }

    async fn send_piece(
        &self,
        path: &Path,
        source: &Source,
        id: &str,
        number: usize,
        range: std::ops::Range<u64>,
    ) -> Result<String, Failure> {
        let mut copy = self.copy_source(path, source)?;
        copy.extend(headers(&[("x-amz-copy-source-range", &format!("bytes={}-{}", range.start, range.end - 1))])?);
        let (number, within) = (number.to_string(), self.time_to_copy(range.end - range.start));
        let query = [("partNumber", number.as_str()), ("uploadId", id)];
        let copied =
            text_of(self.ask_with(&Question { method: "PUT", path, query: &query, headers: &copy, body: "", within }).await?).await?;
        element(&copied, "ETag").ok_or_else(|| Failure::new(FaultKind::Other, "the server does not say what it copied", ""))
    }

    /// Takes away the version that was copied, and what other runs copied from it meanwhile: all that is older than our copy and not
    /// older than its source. What is older than that is somebody's reason to keep versions, and what is newer is not ours to judge.
    async fn forget_versions(&self, key: &Key, path: &Path, made: &str, source: &Source) -> Result<Option<String>, Failure> {
        let copied = source.version.as_deref().unwrap_or(super::versions::UNVERSIONED);
        if made == copied {
            return Ok(None);
        }
        let versions = match self.versions_of(std::slice::from_ref(key)).await? {
            Ok(mut versions) => versions.remove(key).unwrap_or_default(),
            Err(why) => return Ok(Some(why)),
        };
        let since = |at: Instant| source.modified.is_some_and(|modified| at.as_second() > modified.as_second() + 1);
        let is_of_move = |version: &&Version| version.id == copied || version.modified.is_some_and(since);
        let older = versions.iter().skip_while(|version| version.id != made).skip(1).filter(|version| !version.is_marker);
        for version in older.filter(is_of_move).collect::<Vec<_>>().into_iter().rev() {
            match self.ask("DELETE", path, &[("versionId", &version.id)], "").await {
                Ok(_) => {}
                Err(failure) if failure.kind == FaultKind::Absent => {}
                Err(failure) if matches!(failure.kind, FaultKind::Denied | FaultKind::Locked) => {
                    return Ok(Some(format!("the version that {key} was before cannot be deleted: {}", failure.said)));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }
}

fn headers(all: &[(&'static str, &str)]) -> Result<HeaderMap, Failure> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Failure::new(FaultKind::Other, "the request cannot be written", ""));
    let mut headers = HeaderMap::new();
    for (name, text) in all {
        headers.insert(*name, value(text)?);
    }
    Ok(headers)
}

fn version_in(response: &HttpResponse) -> Option<String> {
    response.headers().get("x-amz-version-id").and_then(|value| value.to_str().ok()).map(str::to_owned)
}

async fn text_of(response: HttpResponse) -> Result<String, Failure> {
    let body = response.into_body().bytes().await.map_err(|_| Failure::cut_short())?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// As it stands in an address.
pub(super) fn escaped(text: &str, slashes: bool) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b) || (slashes && b == b'/');
    text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

/// So that a test need not store five gigabytes.
fn limit_of_test() -> Option<u64> {
    if cfg!(debug_assertions) { std::env::var("SEAWALL_TEST_COPY_LIMIT").ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_an_address_is_escaped() {
        assert_eq!(escaped("a/b+c=d@e.f", true), "a/b%2Bc%3Dd%40e.f");
        assert_eq!(escaped("a/b", false), "a%2Fb");
    }
}
