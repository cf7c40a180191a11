//! A web server that keeps every request, and answers as the address says: `receiver.py`.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Server, free_ports, python_bin};

#[derive(Debug)]
pub(crate) struct Receiver {
    server: Server,
    port: u16,
}

impl Receiver {
    pub(crate) fn open() -> Receiver {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/servers/receiver.py");
        let directory = tempfile::tempdir().expect("a directory");
        let kept = directory.path().join("kept");
        fs::create_dir(&kept).expect("a directory");
        let [port] = free_ports();
        let arguments = [script.to_string_lossy().into_owned(), port.to_string(), kept.to_string_lossy().into_owned()];
        let mut receiver = Receiver { server: Server::start(&python_bin().join("python"), &arguments, &[], directory), port };
        receiver.server.wait_until("the receiver", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        receiver
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A file with a secret in it.
    pub(crate) fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.server.directory.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// Every request, in order: `path`, `headers` and `body`.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let listed = fs::read_dir(self.server.directory.path().join("kept")).expect("what it kept");
        let mut files: Vec<PathBuf> = listed.map(|entry| entry.expect("an entry").path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        files.iter().map(|path| serde_json::from_slice(&fs::read(path).expect("a request")).expect("JSON")).collect()
    }

    /// The bodies of those requests whose path ends so, as JSON.
    pub(crate) fn bodies(&self, end: &str) -> Vec<Value> {
        let matching = self.requests().into_iter().filter(|request| request["path"].as_str().is_some_and(|path| path.ends_with(end)));
        matching.map(|request| serde_json::from_str(request["body"].as_str().expect("text")).expect("JSON")).collect()
    }
}
