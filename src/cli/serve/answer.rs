//! What is answered to whom.

use std::net::IpAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};

use super::board::{Asked, Board, Said};
use crate::report::html::CONTENT_POLICY;

/// Where requests come in.
pub(super) struct Door {
    board: Arc<Board>,
    /// Only this host may ask, so only its own names are answered to: a page from elsewhere could have its name point here.
    loopback: bool,
}

type Answer = Response<Full<Bytes>>;

impl Door {
    pub(super) fn new(board: Arc<Board>, loopback: bool) -> Door {
        Door { board, loopback }
    }

    pub(super) async fn answer<B: Body>(&self, request: &Request<B>) -> Answer {
        if self.loopback && !is_of_this_host(request) {
            return plain(StatusCode::MISDIRECTED_REQUEST, "this is not the host that was asked for\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD: nothing can be changed here\n");
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return last(answer);
        }
        // A body has no meaning here, and is not waited for.
        if !request.body().is_end_stream() {
            return last(plain(StatusCode::BAD_REQUEST, "a request has no body here\n"));
        }
        let asked = match request.uri().path() {
            "/" => Asked::Page,
            "/report.json" => Asked::Json,
            "/metrics" => Asked::Metrics,
            "/healthz" => Asked::Health,
            path => match path.strip_prefix("/policy/").filter(|name| !name.is_empty() && name.len() <= 100) {
                Some(name) => Asked::Policy(name.to_owned()),
                None => return plain(StatusCode::NOT_FOUND, "there is no such page; `/` has them all\n"),
            },
        };
        let board = Arc::clone(&self.board);
        // Reading the record waits for disks, and for a database.
        let said = tokio::task::spawn_blocking(move || board.say(&asked)).await;
        match said {
            Ok(said) => of(said),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "this is a fault of seawall; please report it\n"),
        }
    }
}

fn of(said: Said) -> Answer {
    let mut answer = with(said.status, said.kind, Bytes::from_owner(said.body));
    if said.kind == Said::HTML {
        let policy = format!("{}; frame-ancestors 'none'", CONTENT_POLICY.as_str());
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
    answer
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    with(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn with(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    answer
}

/// What may follow is not read.
fn last(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Was it asked for by a name that can only be this host? A name that somebody else controls may point at 127.0.0.1 for a moment, and then
/// that somebody's page could read what is served here.
fn is_of_this_host<B>(request: &Request<B>) -> bool {
    let named = request.headers().get_all(header::HOST);
    let mut named = named.iter();
    let host = match (named.next(), named.next()) {
        (Some(host), None) => host.to_str().ok(),
        // Old programs name none; no browser is one of them.
        (None, None) => return request.version() == Version::HTTP_10,
        _ => None,
    };
    // A whole address in the first line must name the same.
    let of_line = request.uri().host();
    host.is_some_and(|host| is_own_name(without_port(host))) && of_line.is_none_or(is_own_name)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    }
}

fn is_own_name(name: &str) -> bool {
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_host_are_answered_to() {
        for own in ["localhost", "LOCALHOST:9187", "127.0.0.1", "127.0.0.1:9187", "127.1.2.3:80", "[::1]", "[::1]:9187", "::1"] {
            assert!(is_own_name(without_port(own)), "{own}");
        }
        for foreign in
            ["", "evil.example", "localhost.evil.example:9187", "10.0.0.1", "0.0.0.0", "[::]:9187", "127.0.0.1.evil.example", "2130706433"]
        {
            assert!(!is_own_name(without_port(foreign)), "{foreign}");
        }
    }
}
