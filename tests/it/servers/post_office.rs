//! A mail server that keeps what it gets, and misbehaves as it is told: `post_office.py`.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Server, certificates, free_ports, python_bin};

#[derive(Debug)]
pub(crate) struct PostOffice {
    server: Server,
    pub(crate) port: u16,
}

impl PostOffice {
    pub(crate) fn open(more: &[&str]) -> PostOffice {
        let [port] = free_ports();
        PostOffice::open_at(port, more)
    }

    /// Where it was before, or where others expect it.
    pub(crate) fn open_at(port: u16, more: &[&str]) -> PostOffice {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/servers/post_office.py");
        let directory = tempfile::tempdir().expect("a directory");
        certificates(directory.path());
        let mails = directory.path().join("mails");
        fs::create_dir(&mails).expect("a directory");
        let mut arguments = vec![script.to_string_lossy().into_owned(), port.to_string(), mails.to_string_lossy().into_owned()];
        arguments.extend(more.iter().map(|&word| word.to_owned()));
        let mut office = PostOffice { server: Server::start(&python_bin().join("python"), &arguments, &[], directory), port };
        office.server.wait_until("the mail server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        office
    }

    /// A file of its folder: the authority `ca.pem`, or a stranger, `other.pem`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.server.directory.path().join(name)
    }

    /// Every mail that it was given, in order.
    pub(crate) fn mails(&self) -> Vec<Value> {
        let listed = fs::read_dir(self.file("mails")).expect("its mails");
        let mut files: Vec<PathBuf> = listed.map(|entry| entry.expect("an entry").path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        let read = |path: &PathBuf| serde_json::from_slice(&fs::read(path).expect("a mail")).expect("JSON");
        let mails: Vec<Value> = files.iter().map(read).collect();
        for mail in &mails {
            assert_eq!(mail.get("error"), None, "Python's library does not take it: {mail}");
        }
        mails
    }
}

/// The values of a header, in order.
pub(crate) fn header(mail: &Value, name: &str) -> Vec<String> {
    let headers = mail["mail"]["headers"].as_array().expect("headers");
    let named = headers.iter().filter(|header| header[0].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name)));
    named.map(|header| header[1].as_str().expect("text").to_owned()).collect()
}
