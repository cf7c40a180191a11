//! Uploads of a process that was killed: S3 keeps their pieces, shows them in no listing, and charges for them. They are looked for once by each
//! process that uploads in pieces, beside its first upload, and only below the folder that this one goes to, which nobody else writes to.
//!
//! What cannot be asked here, or may not, is no fault: a rule of the bucket's own does the same.

use std::sync::Arc;
use std::time::Duration;

use object_store::client::HttpResponse;
use object_store::path::Path;

use super::answer::element;
use super::{Client, Cloud, runtime};
use crate::units::{Instant, Key};

/// What nobody has sent a piece of for so long is nobody's any more.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// A page has 1,000 entries of at most 2 KiB each.
const LARGEST_PAGE: usize = 16 << 20;
/// S3's limit are ten pages for the pieces of an upload; of uploads more are left to another process.
const MOST_PAGES: usize = 10;

/// An upload that was begun and has not ended.
struct Begun {
    key: String,
    id: String,
    at: Option<Instant>,
}

impl Cloud {
    /// Beside the upload of this object, and not waited for.
    pub(super) fn sweep_abandoned(self: &Arc<Self>, key: &Key) {
        let Some((folder, _)) = key.as_str().split_once('/').filter(|_| matches!(self.client, Client::S3 { .. })) else { return };
        let (this, folder) = (self.clone(), format!("{}{folder}/", self.prefix));
        self.swept.call_once(|| {
            let _ = runtime::spawn(async move { this.abort_abandoned(&folder).await });
        });
    }

    async fn abort_abandoned(&self, folder: &str) -> Option<()> {
        let mut from: Option<(String, String)> = None;
        for _ in 0..MOST_PAGES {
            let mut query = vec![("uploads", ""), ("prefix", folder)];
            query.extend(from.iter().flat_map(|(key, id)| [("key-marker", key.as_str()), ("upload-id-marker", id.as_str())]));
            let response = self.ask("GET", &Path::default(), &query, "").await.ok()?;
            let now = clock_of(&response)?;
            let page = page(response).await?;
            let list = &page[page.find("<ListMultipartUploadsResult")?..];
            // Names of ours need no escapes.
            for upload in entries(list, "Upload").filter_map(begun).filter(|upload| upload.key.starts_with(folder)) {
                self.abort_if_abandoned(&upload, now).await;
            }
            from = Some(element(list, "NextKeyMarker").zip(element(list, "NextUploadIdMarker")).filter(|_| is_truncated(list))?);
        }
        None
    }

    async fn abort_if_abandoned(&self, upload: &Begun, now: Instant) -> Option<()> {
        let long_ago = |at: Instant| now.duration_since(at).unsigned_abs() >= after() && at <= now;
        if upload.at.is_some_and(|at| !long_ago(at)) {
            return None;
        }
        let path = Path::parse(&upload.key).ok()?;
        // Somebody may be at it for days. One without a piece costs nothing, and may have begun just now: not every server knows when.
        let last = self.last_piece(&path, &upload.id).await??;
        if long_ago(last) {
            self.ask("DELETE", &path, &[("uploadId", &upload.id)], "").await.ok()?;
            tracing::info!("an upload of {} to {} that was broken off is removed", upload.key, self.url);
        }
        Some(())
    }

    /// When the newest piece came; nothing where there is none yet. `None` where that cannot be known.
    async fn last_piece(&self, path: &Path, id: &str) -> Option<Option<Instant>> {
        let (mut last, mut from) = (None, String::new());
        for _ in 0..MOST_PAGES {
            let mut query = vec![("uploadId", id)];
            query.extend((!from.is_empty()).then_some(("part-number-marker", from.as_str())));
            let page = page(self.ask("GET", path, &query, "").await.ok()?).await?;
            // Some servers call it a response.
            let list = &page[page.find("<ListParts")?..];
            for piece in entries(list, "Part") {
                last = last.max(Some(element(piece, "LastModified")?.parse().ok()?));
            }
            if !is_truncated(list) {
                return Some(last);
            }
            from = element(list, "NextPartNumberMarker")?;
        }
        None
    }
}

/// The store's own clock, which wrote the times of what lies there.
fn clock_of(response: &HttpResponse) -> Option<Instant> {
    let date = response.headers().get("date")?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp())
}

async fn page(response: HttpResponse) -> Option<String> {
    let body = response.into_body().bytes().await.ok()?;
    std::str::from_utf8(&body).ok().filter(|text| text.len() <= LARGEST_PAGE).map(str::to_owned)
}

fn entries<'x>(list: &'x str, name: &str) -> impl Iterator<Item = &'x str> {
    let (tag, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = list;
    std::iter::from_fn(move || {
        let from = rest.find(&tag)? + tag.len();
        let length = rest[from..].find(&end)?;
        let entry = &rest[from..from + length];
        rest = &rest[from + length..];
        Some(entry)
    })
}

fn begun(entry: &str) -> Option<Begun> {
    let at = element(entry, "Initiated").and_then(|text| text.parse().ok());
    Some(Begun { key: element(entry, "Key")?, id: element(entry, "UploadId")?, at })
}

fn is_truncated(list: &str) -> bool {
    element(list, "IsTruncated").is_some_and(|text| text == "true")
}

/// So that a test need not wait for a day.
fn after() -> Duration {
    let of_test = cfg!(debug_assertions).then(|| std::env::var("SEAWALL_TEST_ABANDONED").ok()?.parse().ok()).flatten();
    of_test.map_or(ABANDONED, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_and_pieces_are_read_from_their_lists() {
        let list = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>\
                    <Upload><Key>p/a</Key><UploadId>one</UploadId><Initiated>2026-11-20T03:00:00.000Z</Initiated></Upload>\
                    <Upload><Key>p/b</Key><UploadId>two</UploadId></Upload><Upload><Key>p/c</Key></Upload></ListMultipartUploadsResult>";
        let uploads: Vec<_> = entries(list, "Upload").filter_map(begun).map(|upload| (upload.key, upload.id, upload.at)).collect();
        let at = "2026-11-20T03:00:00Z".parse().ok();
        assert_eq!(uploads, [("p/a".into(), "one".into(), at), ("p/b".into(), "two".into(), None)]);
        assert!(!is_truncated(list));
    }
}
