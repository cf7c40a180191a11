//! Google Cloud Storage's XML API. No emulator that can be installed here has its uploads (fake-gcs-server knows only the
//! JSON API's); but it is S3's with other words. So this is SeaweedFS behind a translator of headers, which also compares the
//! checksums as Google does, and of the few questions that are asked in JSON. It keeps nothing and decides nothing else.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Rewriting goes on for ever.
    endless: Arc<AtomicBool>,
}

impl Gcs {
    /// The bucket is `bucket`.
    pub(crate) fn start() -> Gcs {
        let s3 = S3::start();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let server = s3.http;
        let endless: Arc<AtomicBool> = Arc::default();
        let told = endless.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let told = told.clone();
                thread::spawn(move || translate(client, server, &told));
            }
        });
        Gcs { s3, port, endless }
    }

    pub(crate) fn never_finish(&self) {
        self.endless.store(true, Ordering::SeqCst);
    }
}

/// One request a connection.
fn translate(client: TcpStream, server: u16, endless: &AtomicBool) -> Option<()> {
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
            // SeaweedFS has S3's classes only: this one can be read at once, too.
            "x-goog-storage-class" if value == "ARCHIVE" => head.push_str("x-amz-storage-class: GLACIER_IR\r\n"),
            "host" => head.push_str(&format!("host: 127.0.0.1:{server}\r\n")),
            _ => head.push_str(&line.replace("x-goog-", "x-amz-")),
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    if let Some(asked) = Asked::read(&head) {
        let (status, answer) = asked.answer(&body, server, endless.load(Ordering::SeqCst));
        write!(client, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}", answer.len()).ok()?;
        return Some(());
    }
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

/// A question in Google's other language, about one object: what it is, to rewrite it into another class, to delete what it was.
struct Asked {
    method: String,
    object: String,
    query: String,
}

/// What an object is, in that language. Its generation is made of what changes with each writing.
const ABOUT: &str = "def about():\n    h = s3.head_object(Bucket='bucket', Key=key)\n    kind = h.get('StorageClass', 'STANDARD')\n    \
                     return {'generation': str(int(h['LastModified'].timestamp()) * 100 + len(kind)), 'storageClass': kind, \
                     'size': str(h['ContentLength']), 'contentType': h['ContentType']}\n\
                     if not s3.list_objects_v2(Bucket='bucket', Prefix=key).get('KeyCount'):\n    print(404, {})\n    sys.exit()\n\
                     found = about()\n";

impl Asked {
    fn read(head: &str) -> Option<Asked> {
        let mut words = head.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let rest = target.strip_prefix("/storage/v1/b/bucket/o/")?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let object = path.split("/rewriteTo/").next()?.to_owned();
        Some(Asked { method: method.to_owned(), object, query: query.to_owned() })
    }

    fn given(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// Google rewrites in as many answers as it likes: here always in two.
    fn answer(&self, body: &[u8], server: u16, endless: bool) -> (u16, String) {
        let given = |name: &str| self.given(name).unwrap_or_default();
        let lines = match self.method.as_str() {
            "GET" => "print(200, json.dumps(found))".to_owned(),
            "DELETE" => format!("print(204 if found['generation'] == '{}' else 404, {{}})", given("generation")),
            "POST" => {
                let wanted: serde_json::Value = serde_json::from_slice(body).expect("JSON");
                let class = wanted["storageClass"].as_str().expect("a class");
                assert!(wanted["contentType"].is_string(), "what is not said again is lost: {wanted}");
                // Slashes came back above.
                let is_more = !endless && self.given("rewriteToken").is_some_and(|token| token == "more/to%2Bcome%3D");
                format!(
                    "if [found['generation']] * 2 != ['{}', '{}']:\n    print(412, {{}})\n\
                     elif {}:\n    print(200, json.dumps({{'done': False, 'rewriteToken': 'more/to+come='}}))\n\
                     else:\n    s3.copy_object(Bucket='bucket', Key=key, CopySource={{'Bucket': 'bucket', 'Key': key}}, \
                     StorageClass='{class}', MetadataDirective='REPLACE')\n    \
                     print(200, json.dumps({{'done': True, 'resource': about()}}))",
                    given("ifGenerationMatch"),
                    given("ifSourceGenerationMatch"),
                    if is_more { "False" } else { "True" },
                )
            }
            other => panic!("{other} is new"),
        };
        let said = s3::boto3(server, "admin", &format!("key = '{}'\n{ABOUT}{lines}", self.object));
        let (status, answer) = said.split_once(' ').expect("two words");
        (status.parse().expect("a status"), answer.to_owned())
    }
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
