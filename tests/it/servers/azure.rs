//! Azurite: Azure Blob Storage with signatures.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

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
        let head = head(self.port, &format!("container/{name}"), &[("x-ms-blob-type", "BlockBlob")], body);
        assert!(send(self.port, &head, body).is_some_and(|status| status < 300), "{name} is put");
    }
}

fn make_container(port: u16, name: &str) -> Option<u16> {
    request(port, &head(port, &format!("{name}?restype=container"), &[], b""), "")
}

/// Of a PUT, signed.
fn head(port: u16, what: &str, headers: &[(&'static str, &str)], body: &[u8]) -> String {
    let mut signed = HttpRequest::new(HttpRequestBody::from(body.to_vec()));
    *signed.method_mut() = "PUT".parse().expect("a method");
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
    let mut head = format!("PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}");
    for (header, value) in signed.headers().iter().filter(|(header, _)| header.as_str() != "content-length") {
        head.push_str(&format!("\r\n{header}: {}", value.to_str().expect("text")));
    }
    head
}

fn send(port: u16, head: &str, body: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}
