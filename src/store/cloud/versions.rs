//! The versions that a bucket keeps of its objects, as S3 lists them, and the locks on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use object_store::client::HttpResponse;
use object_store::path::Path;

use super::Cloud;
use super::answer::element;
use super::failure::Failure;
use super::purge::AT_ONCE;
use crate::store::{FaultKind, Key, Locked};
use crate::units::Instant;

/// A page has 1,000 entries of at most 2 KiB each.
const LARGEST_PAGE: usize = 16 << 20;
/// Without versions an object is its own only one, of this name.
pub(super) const UNVERSIONED: &str = "null";

/// One version of an object, or the marker that hides the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) modified: Option<Instant>,
    pub(super) is_marker: bool,
}

impl Version {
    pub(super) fn is_kept_by_bucket(&self) -> bool {
        self.is_marker || self.id != UNVERSIONED
    }
}

/// Of each key that has any, the newest first.
pub(super) type Versions = BTreeMap<Key, Vec<Version>>;

/// Either what was asked for, or why it cannot be known here.
pub(super) type Told<T> = Result<T, String>;

struct Page {
    entries: Vec<(String, Version)>,
    next: Option<(String, String)>,
}

impl Cloud {
    /// All versions of these objects, seen through the markers that hide them.
    pub(super) async fn versions_of(&self, keys: &[Key]) -> Result<Told<Versions>, Failure> {
        let mut by_folder: BTreeMap<&str, Vec<&Key>> = BTreeMap::new();
        for key in keys {
            by_folder.entry(key.as_str().rsplit_once('/').map_or("", |(folder, _)| folder)).or_default().push(key);
        }
        let mut all = Versions::new();
        for keys in by_folder.values() {
            let wanted: BTreeMap<String, &Key> = keys.iter().map(|key| (format!("{}{key}", self.prefix), *key)).collect();
            let prefix = common_prefix(wanted.keys().map(String::as_str));
            let last = wanted.keys().next_back().cloned().unwrap_or_default();
            let mut from: Option<(String, String)> = None;
            loop {
                let page = match self.page_of_versions(&prefix, from.as_ref()).await? {
                    Ok(page) => page,
                    Err(why) => return Ok(Err(why)),
                };
                let is_past = page.entries.last().is_some_and(|(name, _)| *name > last);
                for (name, version) in page.entries {
                    if let Some(key) = wanted.get(&name) {
                        all.entry((*key).clone()).or_default().push(version);
                    }
                }
                match page.next {
                    Some(next) if !is_past => from = Some(next),
                    _ => break,
                }
            }
        }
        Ok(Ok(all))
    }

    async fn page_of_versions(&self, prefix: &str, from: Option<&(String, String)>) -> Result<Told<Page>, Failure> {
        let mut query = vec![("versions", ""), ("prefix", prefix)];
        if let Some((key, version)) = from {
            query.push(("key-marker", key));
            if !version.is_empty() {
                query.push(("version-id-marker", version));
            }
        }
        let response = match self.ask("GET", &Path::default(), &query, "").await {
            Ok(response) => response,
            Err(failure) if failure.kind == FaultKind::Denied => {
                return Ok(Err(format!("which versions the bucket keeps may not be asked (s3:ListBucketVersions): {}", failure.said)));
            }
            // This server does not know the question.
            Err(failure) if matches!(failure.kind, FaultKind::Config | FaultKind::Other) => {
                return Ok(Err(format!("which versions the bucket keeps cannot be asked: {}", failure.said)));
            }
            Err(failure) => return Err(failure),
        };
        let body = response.into_body().bytes().await.map_err(|_| Failure::cut_short())?;
        let text = std::str::from_utf8(&body).ok().filter(|text| text.len() <= LARGEST_PAGE);
        Ok(text.and_then(read).ok_or_else(|| "the list of versions that the bucket keeps is none".to_owned()))
    }

    /// What keeps a version, if a lock does. `None` when nothing does, or nothing that the store tells.
    pub(super) async fn lock_of(&self, key: &Key, path: &Path, version: &Version) -> Result<Option<Locked>, Failure> {
        let response = match self.ask("HEAD", path, &[("versionId", &version.id)], "").await {
            Ok(response) => response,
            Err(failure) if matches!(failure.kind, FaultKind::Absent | FaultKind::Denied) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        Ok(lock_in(key, &response))
    }

    /// The locks on whatever the bucket keeps of these objects.
    pub(super) async fn locks_on(self: &Arc<Self>, versions: Versions) -> Result<Vec<Locked>, Failure> {
        let kept = versions.into_iter().flat_map(|(key, versions)| versions.into_iter().map(move |version| (key.clone(), version)));
        let lockable = kept.filter(|(_, version)| version.is_kept_by_bucket() && !version.is_marker);
        let asked = lockable.map(|(key, version)| {
            let this = self.clone();
            async move {
                let path = this.path_of(&key)?;
                this.lock_of(&key, &path, &version).await
            }
        });
        let mut asked = futures_util::stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        let mut locks = Vec::new();
        while let Some(lock) = asked.next().await {
            locks.extend(lock?);
        }
        Ok(locks)
    }
}

/// The lock that an answer about an object speaks of.
pub(super) fn lock_in(key: &Key, response: &HttpResponse) -> Option<Locked> {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let legal_hold = header("x-amz-object-lock-legal-hold") == Some("ON");
    let until: Option<Instant> = header("x-amz-object-lock-retain-until-date").and_then(|text| text.parse().ok());
    // By the store's own clock, which decides it.
    let now = header("date").and_then(|text| jiff::fmt::rfc2822::parse(text).ok()).map(|date| date.timestamp());
    let until = until.filter(|until| now.is_none_or(|now| *until > now));
    (legal_hold || until.is_some()).then(|| Locked { key: key.clone(), until, legal_hold })
}

fn common_prefix<'n>(mut names: impl Iterator<Item = &'n str>) -> String {
    let first = names.next().unwrap_or_default();
    let length = names.fold(first.len(), |length, name| {
        let same = first.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count();
        length.min(same)
    });
    first[..length].to_owned()
}

/// `None` for what is no list of versions: some servers answer a question that they do not know with another list.
fn read(xml: &str) -> Option<Page> {
    let list = &xml[xml.find("<ListVersionsResult")?..];
    let mut entries = Vec::new();
    let mut rest = list;
    loop {
        let next = ["<Version>", "<DeleteMarker>"].iter().filter_map(|tag| Some((rest.find(tag)?, *tag))).min();
        let Some((at, tag)) = next else { break };
        let end = format!("</{}", &tag[1..]);
        let length = rest[at..].find(&end)?;
        let entry = &rest[at..at + length];
        // Names of ours need no escapes, and those of others are compared with ours only.
        let modified = element(entry, "LastModified").and_then(|text| text.parse().ok());
        let version = Version { id: element(entry, "VersionId")?, modified, is_marker: tag == "<DeleteMarker>" };
        entries.push((element(entry, "Key")?, version));
        rest = &rest[at + length..];
    }
    let truncated = element(list, "IsTruncated").is_some_and(|text| text == "true");
    let next = || Some((element(list, "NextKeyMarker")?, element(list, "NextVersionIdMarker").unwrap_or_default()));
    match (truncated, next()) {
        (false, _) => Some(Page { entries, next: None }),
        (true, Some(next)) => Some(Page { entries, next: Some(next) }),
        // More, and no way to ask for it.
        (true, None) => None,
    }
}

/// Whether the bucket keeps versions of any of them.
pub(super) fn are_kept(versions: &Versions) -> bool {
    versions.values().flatten().any(Version::is_kept_by_bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_versions_is_read_in_its_order() {
        let xml = "<?xml version=\"1.0\"?><ListVersionsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>\
                   <IsTruncated>true</IsTruncated><NextKeyMarker>p/b</NextKeyMarker><NextVersionIdMarker>v9</NextVersionIdMarker>\
                   <DeleteMarker><Key>p/a</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest></DeleteMarker>\
                   <Version><Key>p/a</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest></Version>\
                   <Version><Key>p/b</Key><VersionId>null</VersionId></Version></ListVersionsResult>";
        let page = read(xml).expect("it is one");
        let said: Vec<String> = page.entries.iter().map(|(name, version)| format!("{name} {} {}", version.id, version.is_marker)).collect();
        assert_eq!(said, ["p/a v2 true", "p/a v1 false", "p/b null false"]);
        assert_eq!(page.next, Some(("p/b".to_owned(), "v9".to_owned())));
        assert!(page.entries[0].1.is_kept_by_bucket() && page.entries[1].1.is_kept_by_bucket() && !page.entries[2].1.is_kept_by_bucket());
        assert!(read("<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>").is_none());
        assert!(read("<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>").is_none());
        assert!(read("<ListVersionsResult><Version><Key>a</Key></Version></ListVersionsResult>").is_none());
    }

    #[test]
    fn the_longest_prefix_that_all_have() {
        assert_eq!(common_prefix(["a/b1", "a/b2", "a/b"].into_iter()), "a/b");
        assert_eq!(common_prefix(["a/b1"].into_iter()), "a/b1");
    }
}
