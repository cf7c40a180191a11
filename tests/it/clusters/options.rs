//! What a cluster is made with.

use std::path::PathBuf;

/// The default is small and fast, keeps its log for standbys, and archives nothing.
#[derive(Debug, Clone)]
pub struct Options {
    pub checksums: bool,
    pub segment_mb: u32,
    /// Turns archiving on.
    pub archive_command: Option<String>,
    /// Lines for postgresql.conf; a later one wins.
    pub conf: Vec<String>,
    /// Replaces pg_hba.conf, which lets everybody in through the socket and 127.0.0.1.
    pub hba: Option<String>,
    /// Listens on 127.0.0.1 too.
    pub tcp: bool,
    /// A system identifier of its own. Otherwise clusters of the same kind are copies of one template and share it.
    pub own_identity: bool,
    /// Only needed where the machine's crash is played; a killed server loses nothing without it.
    pub fsync: bool,
    /// The folder with the server's programs, when it is not the usual one of its version.
    pub programs: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            checksums: true,
            segment_mb: 16,
            archive_command: None,
            conf: Vec::new(),
            hba: None,
            tcp: false,
            own_identity: false,
            fsync: false,
            programs: None,
        }
    }
}

impl Options {
    #[must_use]
    pub fn with(mut self, line: impl Into<String>) -> Options {
        self.conf.push(line.into());
        self
    }

    #[must_use]
    pub fn archiving(mut self, command: impl Into<String>) -> Options {
        self.archive_command = Some(command.into());
        self
    }

    #[must_use]
    pub fn over_tcp(mut self) -> Options {
        self.tcp = true;
        self
    }

    /// What differs between templates.
    pub(super) fn initdb(&self) -> Vec<String> {
        let mut words = vec![format!("--wal-segsize={}", self.segment_mb)];
        // The default differs between versions, and `--no-data-checksums` came with the new one.
        if self.checksums {
            words.push("--data-checksums".to_owned());
        }
        words
    }

    pub(super) fn lines(&self, sockets: &str, port: u16) -> String {
        let listen = if self.tcp { "127.0.0.1" } else { "" };
        let mut lines = vec![
            format!("listen_addresses = '{listen}'"),
            format!("port = {port}"),
            format!("unix_socket_directories = '{sockets}'"),
            format!("fsync = {}", if self.fsync { "on" } else { "off" }),
            "shared_buffers = 16MB".to_owned(),
            "max_connections = 30".to_owned(),
            "wal_level = replica".to_owned(),
            format!("wal_keep_size = {}MB", 16 * self.segment_mb.max(16)),
            "log_line_prefix = '%m [%p] %q%a '".to_owned(),
        ];
        if let Some(command) = &self.archive_command {
            lines.push("archive_mode = on".to_owned());
            lines.push(format!("archive_command = '{}'", command.replace('\'', "''")));
        }
        lines.extend(self.conf.iter().cloned());
        lines.join("\n") + "\n"
    }
}
