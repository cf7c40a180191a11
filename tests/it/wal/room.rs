//! A policy with stores and keys, and data directories to archive from: made-up ones for what needs no server.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use age::secrecy::ExposeSecret;
use seawall::format::signature::SigningKey;
use tempfile::TempDir;

use super::super::clusters::Account;

pub const CLUSTER: u64 = 7_301_234_567_890_123_456;

/// A folder with a policy, its stores, and this host's keys.
#[derive(Debug)]
pub struct Room {
    folder: TempDir,
    pub account: Account,
    binary: PathBuf,
    host: SigningKey,
    recipient: String,
}

#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stderr: String,
}

impl Room {
    /// For made-up data directories, as whoever runs the test.
    pub fn new() -> Room {
        Room::of(Account::Own)
    }

    /// For servers, which may run as another account.
    pub fn for_servers() -> Room {
        Room::of(Account::current())
    }

    fn of(account: Account) -> Room {
        let folder = tempfile::Builder::new().prefix("sw-wal-").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder that the server may enter");
        let binary = match account {
            Account::Own => PathBuf::from(env!("CARGO_BIN_EXE_seawall")),
            Account::Postgres => {
                let copy = folder.path().join("seawall");
                fs::copy(env!("CARGO_BIN_EXE_seawall"), &copy).expect("a program that the server may run");
                copy
            }
        };
        let identity = age::x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let host = keys(&folder.path().join("state"), "db-1");
        let room = Room { folder, account, binary, host, recipient };
        fs::write(room.path("identity.txt"), identity.to_string().expose_secret()).expect("an identity");
        room.policy("one", &["one"], "");
        room.own();
        room
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Hands everything to the account that the commands run as.
    pub fn own(&self) {
        self.account.own(self.folder.path());
    }

    /// Writes `NAME.yaml`, in which the log goes to the stores given, the first one first. The policy's name is always the same.
    pub fn policy(&self, name: &str, stores: &[&str], wal: &str) {
        let accepted = format!("writers: {{ db-1: \"{}\" }}", self.host.public());
        self.policy_with(name, stores, wal, &accepted);
    }

    pub fn policy_with(&self, name: &str, stores: &[&str], wal: &str, encryption: &str) {
        let store = |store: &&str| format!("  {store}: {{ local: {{ path: {} }} }}\n", self.path(store).display());
        let listed: String = stores.iter().map(store).collect();
        let (recipient, identity) = (&self.recipient, self.path("identity.txt"));
        let text = format!(
            "version: 1\npolicy: shop\nowner: dba@example.com\nreview_by: 2099-06-30\n\
             cluster: {{ connection: service=shop, databases: [shop] }}\nobjectives: {{ rpo: 5m, rto: 1h }}\n\
             stores:\n{listed}encryption:\n  age: {{ recipients: [{recipient}], identity: {{ file: {} }} }}\n  {encryption}\n\
             wal: {{ store: {}, copies: [{}], timeout: 60s, keep: 7d{wal} }}\n\
             backups: {{ nightly: {{ store: {}, physical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ daily: 7 }}, takes: 1m }} }}\n",
            identity.display(),
            stores[0],
            stores[1..].join(", "),
            stores[0],
        );
        fs::write(self.path(&format!("{name}.yaml")), text).expect("a policy");
        self.own();
    }

    /// The command line for `archive_command` and `restore_command`.
    pub fn words(&self, command: &str, policy: &str) -> String {
        let (binary, policy, state) = (self.binary.display(), self.path(&format!("{policy}.yaml")), self.path("state"));
        format!("{binary} wal {command} --policy {} --state {}", policy.display(), state.display())
    }

    /// `seawall wal …` in a data directory.
    pub fn command(&self, data: &Path, policy: &str, words: &[&str]) -> Command {
        self.command_of(data, policy, &[&["wal"], words].concat())
    }

    /// `seawall …` in a data directory.
    pub fn command_of(&self, data: &Path, policy: &str, words: &[&str]) -> Command {
        let mut command = self.account.command(&self.binary);
        command.args(words).arg("--policy").arg(self.path(&format!("{policy}.yaml")));
        command.arg("--state").arg(self.path("state")).current_dir(data);
        command
    }

    pub fn run(&self, data: &Path, policy: &str, words: &[&str]) -> Run {
        said(self.command(data, policy, words).output().expect("it starts"))
    }

    pub fn push(&self, data: &Path, policy: &str, file: &str) -> Run {
        self.run(data, policy, &["push", &format!("pg_wal/{file}")])
    }

    /// Fetches into `got`; says how it ended, and what was there then.
    pub fn fetch(&self, data: &Path, policy: &str, file: &str, more: &[&str]) -> (Run, Option<Vec<u8>>) {
        let words: Vec<&str> = ["fetch", file, "pg_wal/got", "--patience", "1s"].into_iter().chain(more.iter().copied()).collect();
        let run = self.run(data, policy, &words);
        let got = fs::read(data.join("pg_wal/got")).ok();
        let _ = fs::remove_file(data.join("pg_wal/got"));
        let left: Vec<String> = names(&data.join("pg_wal")).into_iter().filter(|name| name.contains(".seawall-")).collect();
        assert!(left.is_empty(), "{left:?}");
        (run, got)
    }

    /// A data directory with nothing in it but what whose it is says.
    pub fn data(&self, name: &str) -> PathBuf {
        let data = self.path(name);
        fs::create_dir_all(data.join("global")).expect("a folder");
        fs::create_dir_all(data.join("pg_wal/archive_status")).expect("a folder");
        fs::write(data.join("global/pg_control"), [&CLUSTER.to_ne_bytes()[..], &[0; 64]].concat()).expect("a control file");
        data
    }

    /// Every object of a store that is a file of the log, by its name.
    pub fn objects(&self, store: &str) -> Vec<PathBuf> {
        let mut open = vec![self.path(store)];
        let mut found = Vec::new();
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_name().to_string_lossy() {
                    name if name.starts_with('.') || name == "claims" => {}
                    _ if entry.path().is_dir() => open.push(entry.path()),
                    name if name.ends_with(".json") => {}
                    _ => found.push(entry.path()),
                }
            }
        }
        found.sort();
        found
    }

    /// The repository that a store holds.
    pub fn repository(&self, store: &str) -> String {
        names(&self.path(store)).into_iter().find(|name| !name.starts_with('.')).expect("a repository")
    }

    pub fn object(&self, store: &str, file: &str) -> Option<PathBuf> {
        let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy() == format!("{file}.zst.age"));
        self.objects(store).into_iter().find(is_it)
    }

    pub fn fingerprint(&self) -> String {
        self.host.fingerprint()
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

pub fn said(output: Output) -> Run {
    Run { code: output.status.code(), stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// The keys of a host, as they lie in its state directory.
pub fn keys(state: &Path, host: &str) -> SigningKey {
    let key = SigningKey::generate(host).expect("a key");
    fs::create_dir_all(state.join("keys")).expect("a folder");
    fs::write(state.join("keys/signing"), key.to_openssh().expect("a key").as_bytes()).expect("a key");
    fs::write(state.join("keys/metadata"), age::x25519::Identity::generate().to_string().expose_secret()).expect("a key");
    key
}

pub fn name(number: u32) -> String {
    format!("0000000100000000{number:08X}")
}

/// A segment whose content depends on `seed`: half of it compresses well.
pub fn segment(number: u32, mib: u32, seed: u64) -> Vec<u8> {
    let size = u64::from(mib) << 20;
    let mut bytes = Vec::with_capacity(usize::try_from(size).expect("it fits"));
    bytes.extend_from_slice(&0xD10Du16.to_ne_bytes());
    bytes.extend_from_slice(&2u16.to_ne_bytes());
    bytes.extend_from_slice(&1u32.to_ne_bytes());
    bytes.extend_from_slice(&(u64::from(number) * size).to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&CLUSTER.to_ne_bytes());
    bytes.extend_from_slice(&(mib << 20).to_ne_bytes());
    bytes.extend_from_slice(&8192u32.to_ne_bytes());
    let mut random = blake3::Hasher::new().update(&seed.to_le_bytes()).update(&number.to_le_bytes()).finalize_xof();
    let mut block = [0; 4096];
    while (bytes.len() as u64) < size {
        random.fill(&mut block[..2048]);
        let room = usize::try_from(size).expect("it fits") - bytes.len();
        bytes.extend_from_slice(&block[..room.min(4096)]);
    }
    bytes
}

/// Puts a file into `pg_wal`, ready to be archived, and last written an hour ago.
pub fn ready(data: &Path, file: &str, bytes: &[u8]) {
    let path = data.join("pg_wal").join(file);
    let mut written = fs::File::create(&path).expect("a file");
    written.write_all(bytes).expect("written");
    written.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("a time");
    fs::write(data.join(format!("pg_wal/archive_status/{file}.ready")), "").expect("a status");
}

/// PostgreSQL heard that it is archived.
pub fn done(data: &Path, file: &str) {
    let status = data.join("pg_wal/archive_status");
    fs::rename(status.join(format!("{file}.ready")), status.join(format!("{file}.done"))).expect("it was ready");
}
