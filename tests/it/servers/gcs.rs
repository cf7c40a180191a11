//! Google Cloud Storage's XML API. No emulator that can be installed here has its uploads (fake-gcs-server knows only the
//! JSON API's); but it is S3's with other words. So this is SeaweedFS behind a translator of headers, which also compares the
//! checksums as Google does. It keeps nothing and decides nothing else.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};

use super::s3::{self, S3};

#[derive(Debug)]
pub(crate) struct Gcs {
    pub(crate) s3: S3,
    pub(crate) port: u16,
}

impl Gcs {
    /// The bucket is `bucket`.
    pub(crate) fn start() -> Gcs {
        let s3 = S3::start();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let server = s3.http;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || translate(client, server));
            }
        });
        Gcs { s3, port }
    }
}

/// One request a connection.
fn translate(client: TcpStream, server: u16) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut client = client;
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    // What Google's client escapes and nobody needs to: it would have to be signed as it is.
    let first = first.replace("%2F", "/").replace("%2D", "-").replace("%2E", ".").replace("%5F", "_");
    let (mut head, mut length, mut hash) = (first, 0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let (name, value) = match line.trim_end().split_once(": ") {
            Some((name, value)) => (name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        };
        match name.as_str() {
            "authorization" => continue,
            "x-goog-hash" => {
                hash = value.strip_prefix("crc32c=").map(str::to_owned);
                continue;
            }
            "x-goog-if-generation-match" => head.push_str("if-none-match: *\r\n"),
            "content-length" => {
                length = value.parse().ok()?;
                head.push_str(&line);
            }
            "connection" => {}
            "host" => head.push_str(&format!("host: 127.0.0.1:{server}\r\n")),
            _ => head.push_str(&line.replace("x-goog-", "x-amz-")),
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    if hash.is_some_and(|hash| hash != crc32c(&body)) {
        let said = "<Error><Code>BadDigest</Code><Message>crc32c</Message></Error>";
        write!(client, "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}", said.len()).ok()?;
        return Some(());
    }
    head.push_str(&signature(&head, &body, server)?);
    head.push_str("connection: close\r\n\r\n");
    let mut upstream = TcpStream::connect(("127.0.0.1", server)).ok()?;
    upstream.write_all(head.as_bytes()).ok()?;
    upstream.write_all(&body).ok()?;
    std::io::copy(&mut upstream, &mut client).ok()?;
    client.shutdown(Shutdown::Both).ok()
}

/// The headers that S3 wants of those who are known to it.
fn signature(head: &str, body: &[u8], server: u16) -> Option<String> {
    let (first, rest) = head.split_once("\r\n")?;
    let (method, target) = first.split_once(' ')?;
    let mut request = HttpRequest::new(HttpRequestBody::from(body.to_vec()));
    *request.method_mut() = method.parse().ok()?;
    *request.uri_mut() = format!("http://127.0.0.1:{server}{}", target.split(' ').next()?).parse().ok()?;
    // All that begins with `x-amz-` must be signed.
    for (name, value) in rest.lines().filter_map(|line| line.split_once(": ")).filter(|(name, _)| name.starts_with("x-amz-")) {
        let name: &'static str = if name == "x-amz-storage-class" { "x-amz-storage-class" } else { panic!("{name} is new") };
        request.headers_mut().insert(name, value.parse().ok()?);
    }
    let credential = AwsCredential { key_id: s3::KEY.to_owned(), secret_key: s3::SECRET.to_owned(), token: None };
    AwsAuthorizer::new(&credential, "s3", "us-east-1").try_authorize(&mut request, None).ok()?;
    let signed = ["authorization", "x-amz-date", "x-amz-content-sha256"];
    Some(signed.iter().map(|name| format!("{name}: {}\r\n", request.headers()[*name].to_str().expect("text"))).collect())
}

fn crc32c(body: &[u8]) -> String {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, body) as u32;
    BASE64_STANDARD.encode(crc.to_be_bytes())
}
