//! One request and its answer, over HTTP.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Url};

use super::fault::{SendFault, deepest, tame};
use super::runtime::{self, CONNECT, WHOLE};
use crate::world::clock;

/// What is read of an answer.
const MAX_ANSWER: usize = 64 << 10;
/// Nobody may keep an alert back for longer by asking.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What is posted, and where to. The address is a secret as a rule: it is in no message.
pub(super) struct Post {
    pub(super) url: Url,
    /// Names in lower case. What is secret in a value does not show: this type has no `Debug`.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) retry_after: Option<Duration>,
}

/// An address of the policy or of a secret; `path` says which.
pub(super) fn address(text: &str, path: &str) -> Result<Url, SendFault> {
    let good = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    good.ok_or_else(|| {
        SendFault::setup(format!("{path}: it is not an address"), "It begins with `https://` and has a host; look what is in its place.")
    })
}

/// The same, for what must not cross a network unprotected.
pub(super) fn protected_address(text: &str, path: &str) -> Result<Url, SendFault> {
    let url = address(text, path)?;
    let near = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "https" || near {
        return Ok(url);
    }
    Err(SendFault::setup(format!("{path}: a secret would cross the network unprotected"), "The address must begin with `https://`."))
}

fn client() -> Result<&'static Client, SendFault> {
    static CLIENT: OnceLock<Result<Client, String>> = OnceLock::new();
    let build = || {
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            // What is signed for one address is not for another.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("seawall/", env!("CARGO_PKG_VERSION")));
        client.build().map_err(|error| deepest(&error))
    };
    let built = CLIENT.get_or_init(build);
    built.as_ref().map_err(|error| SendFault::setup(format!("no connection can be made: {error}"), "Look at the system's certificates."))
}

/// Any answer is one; what it means is for the caller to say.
pub(super) fn post(post: Post) -> Result<Answer, SendFault> {
    let client = client()?;
    let work = async move {
        let mut request = client.post(post.url).body(post.body);
        for (name, value) in post.headers {
            let mut value = reqwest::header::HeaderValue::from_str(&value)
                .map_err(|_| SendFault::setup(format!("the value of the header `{name}` cannot be sent"), "Look what is in the secret."))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER - body.len())]);
            if body.len() == MAX_ANSWER {
                break;
            }
        }
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), retry_after })
    };
    runtime::wait(work, || "whether it arrived is not known")
}

/// In words without the address, which may be the secret, but for the host and the port that everybody on the way sees.
fn unreachable(error: reqwest::Error) -> SendFault {
    let host = error.url().and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    let host = host.unwrap_or_else(|| "the server".to_owned());
    let error = error.without_url();
    let cause = deepest(&error);
    if error.is_builder() {
        return SendFault::setup("the request cannot be made", "Look at the address.");
    }
    if certificate_refused(&error) {
        let hint = "The authority that signed it must be among the system's, or in the file that SSL_CERT_FILE names.";
        return SendFault::setup(format!("the certificate of {host} is not accepted: {cause}"), hint);
    }
    SendFault::passing(match () {
        () if error.is_connect() => format!("no connection to {host}: {cause}"),
        () if error.is_timeout() => format!("no answer from {host} within {} s", WHOLE.as_secs()),
        () => format!("no answer that makes sense from {host}: {cause}"),
    })
}

pub(super) fn certificate_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(this) = cause {
        if matches!(this.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        // An error wrapped into one of input and output is not among its sources.
        if let Some(inner) = this.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            return certificate_refused(inner);
        }
        cause = this.source();
    }
    false
}

/// In seconds, or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(at.duration_since(clock::now())).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

impl Answer {
    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What the status means where the service says nothing better.
    pub(super) fn fault(&self, said: &str) -> SendFault {
        let said = tame(said);
        let message = if said.is_empty() { format!("answered {}", self.status) } else { format!("answered {}: {said}", self.status) };
        let mut fault = match self.status {
            408 | 425 | 429 | 500..=599 => SendFault::passing(message),
            300..=399 => SendFault::setup(message, "It has moved: give its new address; nobody is followed with a secret."),
            401 | 403 | 404 | 405 | 407 | 410 => {
                SendFault::setup(message, "Look at the address and the secret; one of them is not right any more.")
            }
            _ => SendFault::refused(message, ""),
        };
        fault.retry_after = self.retry_after;
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::FaultKind;
    use super::*;

    #[test]
    fn a_status_says_whether_to_try_again() {
        let kind = |status| Answer { status, body: String::new(), retry_after: None }.fault("").kind;
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(kind(status), FaultKind::Passing, "{status}");
        }
        for status in [301, 308, 401, 403, 404, 410] {
            assert_eq!(kind(status), FaultKind::Setup, "{status}");
        }
        for status in [400, 413, 422] {
            assert_eq!(kind(status), FaultKind::Refused, "{status}");
        }
    }

    #[test]
    fn whoever_asks_for_patience_gets_a_bounded_one() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect("a header"));
            retry_after(&headers)
        };
        assert_eq!(asked("17"), Some(Duration::from_secs(17)));
        assert_eq!(asked("999999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(asked("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("Fri, 31 Dec 2399 23:59:59 GMT"), Some(MAX_RETRY_AFTER));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn a_secret_stays_on_protected_ways() {
        assert!(protected_address("https://hooks.example.com/T0/B0/x", "p").is_ok());
        assert!(protected_address("http://127.0.0.1:8080/x", "p").is_ok());
        for bad in ["http://hooks.example.com/secret", "ftp://x/secret", "secret", "https://"] {
            let fault = protected_address(bad, "receivers.a.slack.webhook").expect_err("bad");
            assert!(!format!("{fault:?}").contains("hooks.example"), "{fault:?}");
            assert_eq!(fault.kind, FaultKind::Setup);
        }
    }
}
