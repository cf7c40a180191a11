//! What the client library cannot ask S3.

use std::time::Duration;

use object_store::HeaderMap;
use object_store::client::{HttpRequest, HttpRequestBody, HttpResponse};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};

use super::failure::Failure;
use super::{Client, Cloud};

const SIGNED_FOR: Duration = Duration::from_secs(300);

/// What is asked, and how long one answer may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'q> {
    pub(super) method: &'q str,
    pub(super) path: &'q Path,
    pub(super) query: &'q [(&'q str, &'q str)],
    pub(super) headers: &'q HeaderMap,
    pub(super) body: &'q str,
    pub(super) within: Duration,
}

impl Cloud {
    /// Asks about an object, or about the bucket where the path is empty. Signed anew for each attempt.
    pub(super) async fn ask(&self, method: &str, path: &Path, query: &[(&str, &str)], body: &str) -> Result<HttpResponse, Failure> {
        self.ask_with(&Question { method, path, query, headers: &HeaderMap::new(), body, within: self.silence() }).await
    }

    pub(super) async fn ask_with(&self, question: &Question<'_>) -> Result<HttpResponse, Failure> {
        let Client::S3 { client, http, .. } = &self.client else { return Err(Failure::of(&odd())) };
        let Question { method, path, query, headers, body, within } = *question;
        let mut options = SignedUrlOptions::default().with_query(query.iter().copied());
        options.signed_headers = headers.clone();
        let attempt = || async {
            let url = client.signed_url_opts(method.parse().map_err(|_| odd())?, path, SIGNED_FOR, &options).await?;
            let mut request = HttpRequest::new(HttpRequestBody::from(body.to_owned()));
            *request.method_mut() = method.parse().map_err(|_| odd())?;
            *request.uri_mut() = url.as_str().parse().map_err(|_| odd())?;
            request.headers_mut().extend(options.signed_headers.clone());
            let sent = http.execute(request).await;
            sent.map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })
        };
        self.patiently(within, attempt).await
    }
}

fn odd() -> object_store::Error {
    object_store::Error::NotSupported { source: "the request cannot be written".into() }
}
