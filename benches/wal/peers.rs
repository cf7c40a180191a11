//! Who archives and fetches.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use age::secrecy::ExposeSecret;
use rustix::process::{Signal, WaitOptions};
use seawall::format::signature::SigningKey;

use super::clusters::Cluster;
use super::folder;

pub trait Archiver {
    fn push(&self, data: &Path, name: &str) -> Command;
    /// Into `pg_wal/RECOVERYXLOG`.
    fn fetch(&self, data: &Path, name: &str) -> Command;
    /// What runs in the background has no more to do.
    fn end(&self, _data: &Path) {}
}

fn quiet(mut command: Command, data: &Path) -> Command {
    command.current_dir(data).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

#[derive(Debug)]
pub struct Seawall {
    room: PathBuf,
}

impl Seawall {
    pub fn new(room: &Path) -> Seawall {
        let keys = folder(room, "state/keys");
        let host = SigningKey::generate("bench").expect("a key");
        let identity = age::x25519::Identity::generate();
        fs::write(keys.join("signing"), host.to_openssh().expect("a key").as_bytes()).expect("written");
        fs::write(keys.join("metadata"), age::x25519::Identity::generate().to_string().expose_secret()).expect("written");
        fs::write(room.join("identity.txt"), identity.to_string().expose_secret()).expect("written");
        let policy = format!(
            "version: 1\npolicy: bench\nowner: dba@example.com\nreview_by: 2099-06-30\n\
             cluster: {{ connection: service=bench, databases: [bench] }}\nobjectives: {{ rpo: 5m, rto: 1h }}\n\
             stores: {{ main: {{ local: {{ path: {} }} }} }}\n\
             encryption:\n  age: {{ recipients: [{}], identity: {{ file: {} }} }}\n  writers: {{ bench: \"{}\" }}\n\
             wal: {{ store: main, timeout: 60s, keep: 7d }}\n\
             backups: {{ nightly: {{ store: main, physical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ daily: 7 }}, takes: 1m }} }}\n",
            room.join("store").display(),
            identity.to_public(),
            room.join("identity.txt").display(),
            host.public(),
        );
        fs::write(room.join("policy.yaml"), policy).expect("written");
        Seawall { room: room.to_owned() }
    }

    pub fn forget(&self) {
        for folder in ["store", "state/policies"] {
            let _ = fs::remove_dir_all(self.room.join(folder));
        }
    }

    fn command(&self, words: &[&str], data: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.arg("wal").args(words).arg("--policy").arg(self.room.join("policy.yaml")).arg("--state").arg(self.room.join("state"));
        quiet(command, data)
    }
}

impl Archiver for Seawall {
    fn push(&self, data: &Path, name: &str) -> Command {
        self.command(&["push", &format!("pg_wal/{name}")], data)
    }

    fn fetch(&self, data: &Path, name: &str) -> Command {
        self.command(&["fetch", name, "pg_wal/RECOVERYXLOG"], data)
    }

    /// It would wait for half a minute whether somebody asks again.
    fn end(&self, _data: &Path) {
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let number = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(rustix::process::Pid::from_raw);
            let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let room = self.room.as_os_str().as_encoded_bytes();
            let ours = words.windows(9).any(|word| word == b"\0prefetch") && words.windows(room.len()).any(|word| word == room);
            if let (Some(number), true) = (number, ours) {
                let _ = rustix::process::kill_process(number, Signal::TERM);
            }
        }
    }
}

/// The uncompressed files, copied.
#[derive(Debug)]
pub struct Cp {
    pub from: PathBuf,
}

impl Archiver for Cp {
    fn push(&self, _data: &Path, _name: &str) -> Command {
        Command::new("true")
    }

    fn fetch(&self, data: &Path, name: &str) -> Command {
        let mut command = Command::new("cp");
        command.arg(self.from.join(name)).arg("pg_wal/RECOVERYXLOG");
        quiet(command, data)
    }
}

/// At its best settings: asynchronous, two processes, zstd 1, encrypted.
#[derive(Debug)]
pub struct PgBackRest {
    room: PathBuf,
    config: PathBuf,
}

impl PgBackRest {
    /// None where it is not installed.
    pub fn new(room: &Path, cluster: &Cluster) -> Option<PgBackRest> {
        Command::new("pgbackrest").arg("version").stdout(Stdio::null()).status().ok()?;
        let room = folder(room, "pgbackrest");
        let place = |name: &str| folder(&room, name).display().to_string();
        let config = format!(
            "[global]\nrepo1-path={}\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=benchmark-of-this-machine\n\
             compress-type=zst\ncompress-level=1\nprocess-max=2\narchive-async=y\nspool-path={}\nlock-path={}\nlog-path={}\n\
             log-level-console=off\nlog-level-file=off\nlog-level-stderr=error\narchive-get-queue-max=128MiB\n\
             [b]\npg1-path={}\npg1-socket-path={}\npg1-port={}\npg1-user=postgres\n",
            place("repo"),
            place("spool"),
            place("lock"),
            place("log"),
            cluster.data().display(),
            cluster.sockets().display(),
            cluster.port(),
        );
        let file = room.join("pgbackrest.conf");
        fs::write(&file, config).expect("written");
        let backrest = PgBackRest { config: file, room };
        let made = backrest.command(&["stanza-create"], Path::new("/")).status().expect("it starts");
        assert!(made.success(), "pgbackrest stanza-create");
        Some(backrest)
    }

    pub fn forget(&self) {
        for folder in ["repo/archive/b/15-1", "spool/archive"] {
            let _ = fs::remove_dir_all(self.room.join(folder));
        }
    }

    fn command(&self, words: &[&str], data: &Path) -> Command {
        let mut command = Command::new("pgbackrest");
        command.arg(format!("--config={}", self.config.display())).arg("--stanza=b").args(words);
        quiet(command, data)
    }
}

impl Archiver for PgBackRest {
    fn push(&self, data: &Path, name: &str) -> Command {
        self.command(&["archive-push", &format!("pg_wal/{name}")], data)
    }

    fn fetch(&self, data: &Path, name: &str) -> Command {
        self.command(&["archive-get", name, "pg_wal/RECOVERYXLOG"], data)
    }

    fn end(&self, _data: &Path) {
        reap();
        let _ = fs::remove_dir_all(self.room.join("spool/archive"));
    }
}

/// Waits for all that was left in the background.
pub fn reap() {
    while rustix::process::wait(WaitOptions::empty()).is_ok_and(|ended| ended.is_some()) {}
}
