//! Moving an object of Google's storage into another class. Its S3-like language cannot do that with large objects; the JSON one
//! rewrites them piece by piece within the service, and goes on where it was when it is asked again.

use std::time::Duration;

use object_store::HeaderValue;
use object_store::client::{HttpRequest, HttpRequestBody};
use serde::Deserialize;
use serde_json::{Value, json};

use super::classes::escaped;
use super::failure::Failure;
use super::{Client, Cloud};
use crate::store::{FaultKind, Key, Locked, Moved};
use crate::units::{Instant, StorageClass};

/// More answers than any object of ours needs.
const MOST_CALLS: usize = 10_000;

/// What the service says of an object, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    generation: String,
    storage_class: String,
    size: String,
    #[serde(default)]
    temporary_hold: bool,
    #[serde(default)]
    event_based_hold: bool,
    retention_expiration_time: Option<Instant>,
    content_type: Option<String>,
    metadata: Option<Value>,
    crc32c: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rewritten {
    done: bool,
    rewrite_token: Option<String>,
    resource: Option<About>,
}

impl About {
    /// The same bytes, written once more.
    fn is_rewritten_from(&self, before: &About) -> bool {
        self.generation != before.generation && (&self.size, &self.crc32c) == (&before.size, &before.crc32c)
    }

    fn lock(&self, key: &Key) -> Option<Locked> {
        let legal_hold = self.temporary_hold || self.event_based_hold;
        // A lock that has just run out is one that the service itself forgets.
        let until = self.retention_expiration_time;
        (legal_hold || until.is_some()).then(|| Locked { key: key.clone(), until, legal_hold })
    }
}

impl Cloud {
    pub(super) async fn rewrite(&self, key: &Key, class: StorageClass) -> Result<Moved, Failure> {
        let object = self.path_of(key).map(|path| escaped(path.as_ref(), false))?;
        let about: About = self.ask_google("GET", &format!("/o/{object}"), "", self.silence()).await?;
        if !self.is_to_move(self.class_of(Some(&about.storage_class)), class)? {
            return Ok(Moved::Already);
        }
        if let Some(lock) = about.lock(key).filter(|lock| lock.legal_hold || lock.until.is_some_and(|until| until > Instant::now())) {
            return Ok(Moved::Locked(lock));
        }
        // What is not said again is lost.
        let said = [("contentType", about.content_type.clone().map(Value::from)), ("metadata", about.metadata.clone())];
        let mut resource = json!({ "storageClass": class.on_wire() });
        for (name, value) in said.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            resource[name] = value;
        }
        let made = match self.rewritten(&object, &about, &resource.to_string()).await {
            Ok(made) => made,
            // It may have been done, and the answer lost: asked again, the service has no such generation any more. Or another run was faster.
            Err(failure) => match self.ask_google::<About>("GET", &format!("/o/{object}"), "", self.silence()).await {
                Ok(now) if now.is_rewritten_from(&about) && self.class_of(Some(&now.storage_class)) == Some(class) => now,
                _ => return Err(failure),
            },
        };
        if self.class_of(Some(&made.storage_class)) != Some(class) || made.size != about.size {
            let said = format!("after it was rewritten it lies in {}", made.storage_class);
            return Err(Failure::new(FaultKind::Config, said, "Take `storage_class` out of `keep`: this server has no such class."));
        }
        let left = match made.generation == about.generation {
            true => None,
            false => self.forget_generation(key, &object, &about.generation).await?,
        };
        Ok(Moved::Done { left })
    }

    /// What it was before, where the bucket keeps versions; elsewhere it is gone already.
    async fn forget_generation(&self, key: &Key, object: &str, generation: &str) -> Result<Option<String>, Failure> {
        let address = format!("/o/{object}?generation={generation}");
        match self.ask_google_plainly("DELETE", &address, "", self.silence()).await {
            Ok(_) => Ok(None),
            Err(failure) if failure.kind == FaultKind::Absent => Ok(None),
            Err(failure) if matches!(failure.kind, FaultKind::Denied | FaultKind::Locked) => {
                Ok(Some(format!("the version that {key} was before cannot be deleted: {}", failure.said)))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Only from and over what was looked at.
    async fn rewritten(&self, object: &str, about: &About, resource: &str) -> Result<About, Failure> {
        let Client::Gcs { bucket, .. } = &self.client else { return Err(Failure::of(&odd())) };
        let name = bucket.rsplit('/').next().unwrap_or_default();
        let generation = &about.generation;
        let to = format!("/o/{object}/rewriteTo/b/{name}/o/{object}?ifGenerationMatch={generation}&ifSourceGenerationMatch={generation}");
        let mut token = String::new();
        let (begun, limit) = (std::time::Instant::now(), self.time_to_copy(about.size.parse().unwrap_or(0)));
        for _ in 0..MOST_CALLS {
            if begun.elapsed() > limit {
                return Err(Failure::slow(limit));
            }
            let address = if token.is_empty() { to.clone() } else { format!("{to}&rewriteToken={}", escaped(&token, false)) };
            let answer: Rewritten = self.ask_google("POST", &address, resource, 4 * self.silence()).await?;
            match (answer.done, answer.resource, answer.rewrite_token) {
                (true, Some(made), _) => return Ok(made),
                (false, _, Some(next)) => token = next,
                _ => break,
            }
        }
        Err(Failure::new(FaultKind::Other, "the service does not finish rewriting it", ""))
    }

    async fn ask_google<T: for<'de> Deserialize<'de>>(&self, method: &str, rest: &str, body: &str, within: Duration) -> Result<T, Failure> {
        let answer = self.ask_google_plainly(method, rest, body, within).await?;
        serde_json::from_slice(&answer).map_err(|_| Failure::new(FaultKind::Other, "the service's answer makes no sense", ""))
    }

    async fn ask_google_plainly(&self, method: &str, rest: &str, body: &str, within: Duration) -> Result<Vec<u8>, Failure> {
        let Client::Gcs { client, http, bucket, .. } = &self.client else { return Err(Failure::of(&odd())) };
        let attempt = || async {
            let mut request = HttpRequest::new(HttpRequestBody::from(body.to_owned()));
            *request.method_mut() = method.parse().map_err(|_| odd())?;
            *request.uri_mut() = format!("{bucket}{rest}").parse().map_err(|_| odd())?;
            let bearer = client.credentials().get_credential().await?;
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", bearer.bearer)).map_err(|_| odd())?;
            bearer.set_sensitive(true);
            request.headers_mut().insert("authorization", bearer);
            request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
            let failed = |error| object_store::Error::Generic { store: "GCS", source: Box::new(error) };
            let answer = http.execute(request).await.map_err(failed)?;
            answer.into_body().bytes().await.map(|bytes| bytes.to_vec()).map_err(failed)
        };
        self.patiently(within, attempt).await
    }
}

fn odd() -> object_store::Error {
    object_store::Error::NotSupported { source: "the request cannot be written".into() }
}
