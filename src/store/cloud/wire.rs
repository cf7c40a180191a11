//! What every request and answer passes: between the client library and the network.
//!
//! Here the server's own words about a refusal are kept (the library would throw them away), and here is added what the
//! library cannot say: that a multipart upload is completed only if nothing has its name, its tier on Azure, its checksum on
//! Google's storage. And what it does not listen to: which objects lie in an archive class.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use object_store::azure::{AzureAuthorizer, AzureCredential};
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector};
use object_store::{ClientOptions, CredentialProvider, HeaderValue};

use super::answer::{Answer, element};

/// More than any error document has.
const LARGEST_ERROR: usize = 64 << 10;
/// A page of a listing has 1,000 names (Azure: 5,000) of at most 1 KiB each.
const LARGEST_LISTING: usize = 16 << 20;

tokio::task_local! {
    /// What the request under way carries besides what the library puts into it.
    pub(super) static CARGO: Cargo;
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cargo {
    /// Of the body.
    pub(super) crc32c: Option<u32>,
    /// It takes the place of what is there.
    pub(super) replaces: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    S3,
    Azure,
    Gcs,
}

/// What an answer says beyond what the library reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    /// Of one object.
    pub(super) class: Option<String>,
    /// Of one object: how far its thawing is, as the service says it.
    pub(super) restore: Option<String>,
    /// Of a page of a listing, by full names.
    pub(super) listed: Option<Arc<Listed>>,
}

/// What a page of a listing says of its entries that the library does not hand on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Those that do not lie in the warmest class, with the service's word for theirs.
    pub(super) classes: HashMap<String, String>,
    /// Objects that stand for a folder, as consoles make them: `folder/`. The library drops the slash.
    pub(super) folders: HashSet<String>,
}

/// What a connection of this store is made with.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    dialect: Dialect,
    shared: Arc<Shared>,
}

struct Shared {
    /// Azure's tier for what is uploaded in parts.
    tier: Option<HeaderValue>,
    account: String,
    signer: OnceLock<Arc<dyn CredentialProvider<Credential = AzureCredential>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Dial {
    pub(super) fn new(dialect: Dialect) -> Dial {
        Dial { dialect, shared: Arc::new(Shared { tier: None, account: String::new(), signer: OnceLock::new() }) }
    }

    pub(super) fn azure(account: &str, tier: Option<HeaderValue>) -> Dial {
        let shared = Shared { tier, account: account.to_owned(), signer: OnceLock::new() };
        Dial { dialect: Dialect::Azure, shared: Arc::new(shared) }
    }

    /// Who signs what was changed here. Known only once the client is there.
    pub(super) fn signs(&self, signer: Arc<dyn CredentialProvider<Credential = AzureCredential>>) {
        let _ = self.shared.signer.set(signer);
    }
}

impl HttpConnector for Dial {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let network = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Wire { network, dial: self.clone() }))
    }
}

#[derive(Debug)]
struct Wire {
    network: HttpClient,
    dial: Dial,
}

type Answered<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Wire {
    fn call<'life, 'future>(&'life self, request: HttpRequest) -> Answered<'future>
    where
        'life: 'future,
        Self: 'future,
    {
        Box::pin(self.exchange(request))
    }
}

/// What a request is about, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Completing,
    Copying,
    Listing,
    DeletingMany,
    Else,
}

impl Wire {
    async fn exchange(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let about = self.about(&request);
        match about {
            About::Completing => self.only_if_new(&mut request).await?,
            _ => self.add_checksum(&mut request),
        }
        let response = self.network.execute(request).await?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        match about {
            About::Listing => self.listen(response).await,
            About::Completing | About::Copying | About::DeletingMany if self.dial.dialect == Dialect::S3 => doubted(response).await,
            _ => Ok(with_class(response)),
        }
    }

    fn about(&self, request: &HttpRequest) -> About {
        let query = request.uri().query().unwrap_or_default();
        let has = |wanted: &str| query.split('&').any(|pair| pair.starts_with(wanted));
        let replaces = CARGO.try_with(|cargo| cargo.replaces).unwrap_or(false);
        match (self.dial.dialect, request.method().as_str()) {
            (Dialect::S3, "POST") if has("uploadId=") && replaces => About::Copying,
            (Dialect::Azure, "PUT") if has("comp=blocklist") => About::Completing,
            (Dialect::Azure, "GET") if has("comp=list") => About::Listing,
            (Dialect::S3 | Dialect::Gcs, "POST") if has("uploadId=") => About::Completing,
            (Dialect::S3, "PUT") if request.headers().contains_key("x-amz-copy-source") => About::Copying,
            (Dialect::S3, "POST") if query == "delete" || query == "delete=" => About::DeletingMany,
            (Dialect::S3 | Dialect::Gcs, "GET") if has("list-type=2") => About::Listing,
            _ => About::Else,
        }
    }

    /// What is put in parts is as immutable as what is put in one piece.
    async fn only_if_new(&self, request: &mut HttpRequest) -> Result<(), HttpError> {
        let headers = request.headers_mut();
        match self.dial.dialect {
            Dialect::S3 => {
                headers.insert("if-none-match", HeaderValue::from_static("*"));
            }
            Dialect::Gcs => {
                headers.insert("x-goog-if-generation-match", HeaderValue::from_static("0"));
            }
            Dialect::Azure => {
                headers.insert("if-none-match", HeaderValue::from_static("*"));
                if let Some(tier) = &self.dial.shared.tier {
                    headers.insert("x-ms-access-tier", tier.clone());
                }
                self.sign_again(request).await?;
            }
        }
        Ok(())
    }

    /// Azure's shared key covers the headers just added; its other credentials do not.
    async fn sign_again(&self, request: &mut HttpRequest) -> Result<(), HttpError> {
        let Some(signer) = self.dial.shared.signer.get() else { return Ok(()) };
        let unsigned = |error| HttpError::new(HttpErrorKind::Unknown, error);
        let credential = signer.get_credential().await.map_err(unsigned)?;
        if let AzureCredential::AccessKey(_) = &*credential {
            request.headers_mut().remove("authorization");
            AzureAuthorizer::new(&credential, &self.dial.shared.account).try_authorize(request).map_err(unsigned)?;
        }
        Ok(())
    }

    /// Google's storage compares it with what it received. (S3's checksums are the library's.)
    fn add_checksum(&self, request: &mut HttpRequest) {
        if self.dial.dialect == Dialect::Gcs
            && request.method().as_str() == "PUT"
            && let Ok(Some(crc)) = CARGO.try_with(|cargo| cargo.crc32c)
            && let Ok(value) = HeaderValue::from_str(&format!("crc32c={}", BASE64_STANDARD.encode(crc.to_be_bytes())))
        {
            request.headers_mut().insert("x-goog-hash", value);
        }
    }

    async fn listen(&self, response: HttpResponse) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = response.into_parts();
        let body = collect(body, LARGEST_LISTING).await?;
        if let Ok(text) = std::str::from_utf8(&body) {
            let listed = heard_in(self.dial.dialect, text);
            if listed != Listed::default() {
                parts.extensions.insert(Heard { listed: Some(Arc::new(listed)), ..Heard::default() });
            }
        }
        Ok(HttpResponse::from_parts(parts, bytes::Bytes::from(body).into()))
    }
}

/// Whether an object of this class must be thawed before it can be read. Google's archive class can be read at once.
pub(super) fn is_frozen(class: &str) -> bool {
    matches!(class, "GLACIER" | "DEEP_ARCHIVE" | "Archive")
}

fn heard_in(dialect: Dialect, xml: &str) -> Listed {
    let (each, name, class, warmest) = match dialect {
        Dialect::S3 | Dialect::Gcs => ("<Contents>", "Key", "StorageClass", "<StorageClass>STANDARD<"),
        Dialect::Azure => ("<Blob>", "Name", "AccessTier", "<AccessTier>Hot<"),
    };
    let mut listed = Listed::default();
    // Nearly always there is nothing to hear, and a page is long.
    let is_warm = xml.matches(&format!("<{class}>")).count() == xml.matches(warmest).count();
    if is_warm && !xml.contains("/</") {
        return listed;
    }
    let warmest = warmest.trim_start_matches(&format!("<{class}>")).trim_end_matches('<');
    for entry in xml.split(each).skip(1) {
        let Some(called) = element(entry, name) else { continue };
        match called.strip_suffix('/') {
            Some(folder) => drop(listed.folders.insert(folder.to_owned())),
            None => drop(element(entry, class).filter(|class| class != warmest).map(|class| listed.classes.insert(called, class))),
        }
    }
    listed
}

fn with_class(mut response: HttpResponse) -> HttpResponse {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let class = header("x-amz-storage-class").or_else(|| header("x-ms-access-tier")).or_else(|| header("x-goog-storage-class"));
    let restore = header("x-amz-restore").or_else(|| header("x-ms-archive-status"));
    if class.is_some() || restore.is_some() {
        response.extensions_mut().insert(Heard { class, restore, listed: None });
    }
    response
}

async fn refused(response: HttpResponse) -> HttpError {
    let (parts, body) = response.into_parts();
    let code = parts.headers.get("x-ms-error-code").and_then(|value| value.to_str().ok());
    // The status alone says enough when its words are cut off.
    let body = collect(body, LARGEST_ERROR).await.unwrap_or_default();
    HttpError::new(HttpErrorKind::Unknown, Answer::new(parts.status.as_u16(), code, &body))
}

async fn doubted(response: HttpResponse) -> Result<HttpResponse, HttpError> {
    let (parts, body) = response.into_parts();
    let body = collect(body, LARGEST_LISTING).await?;
    match Answer::within_success(&body) {
        Some(answer) => Err(HttpError::new(HttpErrorKind::Unknown, answer)),
        None => Ok(HttpResponse::from_parts(parts, bytes::Bytes::from(body).into())),
    }
}

async fn collect(body: object_store::client::HttpResponseBody, limit: usize) -> Result<Vec<u8>, HttpError> {
    let mut stream = body.bytes_stream();
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await {
        all.extend_from_slice(&chunk?);
        if all.len() > limit {
            return Err(HttpError::new(HttpErrorKind::Decode, std::io::Error::other("the answer is longer than it can be")));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_heard_in_listings() {
        let s3 = "<R><Contents><Key>a</Key><StorageClass>STANDARD</StorageClass></Contents>\
                  <Contents><Key>p/b</Key><StorageClass>GLACIER</StorageClass></Contents>\
                  <Contents><Key>c</Key><StorageClass>GLACIER_IR</StorageClass></Contents></R>";
        let classes = |dialect, xml| {
            let mut heard: Vec<_> = heard_in(dialect, xml).classes.into_iter().collect();
            heard.sort();
            heard.into_iter().map(|(name, class)| format!("{name} {class}")).collect::<Vec<_>>()
        };
        assert_eq!(classes(Dialect::S3, s3), ["c GLACIER_IR", "p/b GLACIER"]);
        assert!(classes(Dialect::S3, "<Contents><Key>a</Key><StorageClass>STANDARD</StorageClass></Contents>").is_empty());
        let folder = "<Contents><Key>p/</Key><Size>0</Size></Contents><Contents><Key>p</Key></Contents>";
        assert_eq!(heard_in(Dialect::S3, folder).folders, HashSet::from(["p".to_owned()]));
        let azure = "<Blobs><Blob><Name>x</Name><Properties><AccessTier>Archive</AccessTier></Properties></Blob>\
                     <Blob><Name>y</Name><Properties><AccessTier>Hot</AccessTier></Properties></Blob></Blobs>";
        assert_eq!(classes(Dialect::Azure, azure), ["x Archive"]);
    }
}
