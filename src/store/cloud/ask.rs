//! What the client library cannot ask S3.

use std::time::Duration;

use object_store::client::{HttpRequest, HttpRequestBody, HttpResponse};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};

use super::failure::Failure;
use super::{Client, Cloud};

const SIGNED_FOR: Duration = Duration::from_secs(300);

impl Cloud {
    /// Asks about an object, or about the bucket where the path is empty. Signed anew for each attempt.
    pub(super) async fn ask(&self, method: &str, path: &Path, query: &[(&str, &str)], body: &str) -> Result<HttpResponse, Failure> {
        let Client::S3 { client, http, .. } = &self.client else { return Err(Failure::of(&odd())) };
        let attempt = || async {
            let options = SignedUrlOptions::default().with_query(query.iter().copied());
            let url = client.signed_url_opts(method.parse().map_err(|_| odd())?, path, SIGNED_FOR, &options).await?;
            let mut request = HttpRequest::new(HttpRequestBody::from(body.to_owned()));
            *request.method_mut() = method.parse().map_err(|_| odd())?;
            *request.uri_mut() = url.as_str().parse().map_err(|_| odd())?;
            let sent = http.execute(request).await;
            sent.map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })
        };
        self.patiently(self.silence(), attempt).await
    }
}

fn odd() -> object_store::Error {
    object_store::Error::NotSupported { source: "the request cannot be written".into() }
}
