//! Azurite: Azure Blob Storage with signatures.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::{HttpRequest, HttpRequestBody};

use super::{Server, free_ports, must_exist, request};

pub(crate) const ACCOUNT: &str = "devstoreaccount1";
/// Azurite's own, known to everybody.
pub(crate) const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

#[derive(Debug)]
pub(crate) struct Azure {
    pub(crate) server: Server,
    pub(crate) port: u16,
}

impl Azure {
    pub(crate) fn start() -> Azure {
        let program = std::env::var("SEAWALL_TEST_AZURITE").map_or_else(|_| PathBuf::from("azurite-blob"), PathBuf::from);
        let program = must_exist(program, "set SEAWALL_TEST_AZURITE to `azurite-blob` of the npm package azurite (tests/run installs it)");
        let [port] = free_ports();
        let arguments =
            ["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "-l", "data", "--skipApiVersionCheck", "--disableTelemetry"];
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut azure = Azure { server: Server::start(&program, &arguments, &[], tempfile::tempdir().expect("a directory")), port };
        azure.server.wait_until("Azurite", || make_container(port, "container").is_some_and(|status| status < 300 || status == 409));
        azure
    }
}

impl Azure {
    /// Into the container of the tests.
    pub(crate) fn put_blob(&self, name: &str, body: &[u8]) {
        let head = head("PUT", self.port, &format!("container/{name}"), &[("x-ms-blob-type", "BlockBlob")], body);
        assert!(send(self.port, &head, body).is_some_and(|answer| status(&answer) < 300), "{name} is put");
    }

    /// All blobs of the container, and the tier of each.
    pub(crate) fn tiers(&self) -> BTreeMap<String, String> {
        let listed = send(self.port, &head("GET", self.port, "container?restype=container&comp=list", &[], b""), b"").expect("an answer");
        assert!(status(&listed) < 300 && listed.contains("<NextMarker"), "{listed}");
        let between = |text: &str, name: &str| Some(text.split_once(&format!("<{name}>"))?.1.split_once('<')?.0.to_owned());
        listed.split("<Blob>").skip(1).filter_map(|blob| Some((between(blob, "Name")?, between(blob, "AccessTier")?))).collect()
    }
}

/// Azurite behind somebody who has it take its time until a blob is fetched from the archive, as it does in the cloud: Azurite has it there at once.
#[derive(Debug)]
pub(crate) struct Slow {
    pub(crate) azure: Azure,
    pub(crate) port: u16,
    /// What was asked for and is on its way, with the request.
    underway: Underway,
}

type Underway = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

impl Slow {
    pub(crate) fn start() -> Slow {
        let azure = Azure::start();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (server, underway) = (azure.port, Underway::default());
        let told = underway.clone();
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let told = told.clone();
                thread::spawn(move || delay(client, server, &told));
            }
        });
        Slow { azure, port, underway }
    }

    /// All that was asked for is there.
    pub(crate) fn arrive(&self) -> usize {
        let all = std::mem::take(&mut *self.underway.lock().expect("nobody panics with it"));
        for (blob, request) in &all {
            let answer = exchange(self.azure.port, request).expect("an answer");
            assert!(status(&String::from_utf8_lossy(&answer)) < 300, "{blob}");
        }
        all.len()
    }
}

/// One request a connection.
fn delay(client: TcpStream, server: u16, underway: &Underway) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut client = client;
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            None if line.trim_end().is_empty() => break,
            Some((name, _)) if name.eq_ignore_ascii_case("connection") => continue,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            _ => {}
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut words = head.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let blob = target.split('?').next()?.to_owned();
    let request = [format!("{head}connection: close\r\n\r\n").into_bytes(), body].concat();
    let mut waiting = underway.lock().expect("nobody panics with it");
    let is_there = waiting.contains_key(&blob);
    if method == "PUT" && target.ends_with("?comp=tier") && head.to_ascii_lowercase().contains("x-ms-access-tier: hot") {
        let answer = if is_there { "409 Conflict\r\nx-ms-error-code: BlobBeingRehydrated" } else { "202 Accepted" };
        waiting.entry(blob).or_insert(request);
        return write!(client, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok();
    }
    drop(waiting);
    let mut answer = exchange(server, &request)?;
    if is_there && method != "PUT" {
        let line = answer.windows(2).position(|two| two == b"\r\n")? + 2;
        answer.splice(line..line, *b"x-ms-archive-status: rehydrate-pending-to-hot\r\n");
    }
    client.write_all(&answer).ok()
}

fn make_container(port: u16, name: &str) -> Option<u16> {
    request(port, &head("PUT", port, &format!("{name}?restype=container"), &[], b""), "")
}

/// Of a request, signed.
fn head(method: &str, port: u16, what: &str, headers: &[(&'static str, &str)], body: &[u8]) -> String {
    let mut signed = HttpRequest::new(HttpRequestBody::from(body.to_vec()));
    *signed.method_mut() = method.parse().expect("a method");
    *signed.uri_mut() = format!("http://127.0.0.1:{port}/{ACCOUNT}/{what}").parse().expect("an address");
    for (name, value) in headers {
        signed.headers_mut().insert(*name, value.parse().expect("a value"));
    }
    if !body.is_empty() {
        signed.headers_mut().insert("content-length", body.len().into());
    }
    let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(KEY).expect("a key"));
    AzureAuthorizer::new(&credential, ACCOUNT).try_authorize(&mut signed).expect("signed");
    let path = signed.uri().path_and_query().expect("a path").as_str();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}");
    for (header, value) in signed.headers().iter().filter(|(header, _)| header.as_str() != "content-length") {
        head.push_str(&format!("\r\n{header}: {}", value.to_str().expect("text")));
    }
    head
}

fn send(port: u16, head: &str, body: &[u8]) -> Option<String> {
    let head = format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    Some(String::from_utf8_lossy(&exchange(port, &[head.as_bytes(), body].concat())?).into_owned())
}

fn exchange(port: u16, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}
