//! A small repository, written at run time through the library: every object is as a real backup writes it, with keys that were
//! made a moment ago.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use crc_fast::{CrcAlgorithm::Crc32Iscsi, checksum};
use seawall::cli::here::Here;
use seawall::cli::terminal::Colour;
use seawall::format::codec::{Codec, Compressor};
use seawall::format::descriptor::{By, Cluster, Damage, Descriptor, FORMAT, Object, ObjectKind, Position, Private};
use seawall::format::index::{Frame, Hash, Kind, Piece};
use seawall::format::layout::{Repository, signature_of};
use seawall::format::manifest::{Manifest, WalNeeded};
use seawall::format::page;
use seawall::format::seal::{Identities, Recipients, Sealer};
use seawall::format::signature::{BACKUP, SigningKey};
use seawall::format::stamp::Stamp;
use seawall::format::tarball::{self, Owner, What};
use seawall::inventory::{BackupKind, SystemIdentifier};
use seawall::pipeline::{Lock, ObjectWriter};
use seawall::policy::model::Policy;
use seawall::site::{HostKeys, Site};
use seawall::store::{Put, Store};
use seawall::units::{BackupId, Instant, Key, Lsn, Segment, SegmentSize, Timeline, WalFile};

use crate::cli::{Run, finish, hermetic};

pub const CLUSTER: SystemIdentifier = SystemIdentifier(7_301_234_567_890_123_456);
pub const SEGMENT: u64 = 1 << 20;
const PAGE: usize = 8192;

pub fn size() -> SegmentSize {
    SegmentSize::new(SEGMENT).expect("a size")
}

pub fn moment(text: &str) -> Instant {
    text.parse().expect("a moment")
}

/// How a repository is written.
#[derive(Debug, Clone, Copy)]
pub struct How {
    pub encrypted: bool,
    /// The policy names this host's key.
    pub guarded: bool,
}

#[derive(Debug)]
pub struct Fixture {
    room: tempfile::TempDir,
    pub policy: Policy,
    pub store: Store,
    pub repository: Repository,
    pub keys: HostKeys,
    lock: Lock,
    host_lock: Lock,
}

impl Fixture {
    pub fn new() -> Fixture {
        Fixture::with(How { encrypted: true, guarded: true })
    }

    pub fn with(how: How) -> Fixture {
        let room = tempfile::tempdir().expect("a directory");
        let at = room.path();
        let signing = SigningKey::generate("db-1").expect("a key");
        let identity = age::x25519::Identity::generate();
        private(&at.join("state/keys/signing"), &signing.to_openssh().expect("text"));
        private(&at.join("identity.txt"), age::secrecy::ExposeSecret::expose_secret(&identity.to_string()));
        std::fs::write(at.join("policy.yaml"), policy_text(at, how, &identity.to_public().to_string(), &signing.public()))
            .expect("a policy");
        let here = here(at);
        std::fs::create_dir(at.join("store")).expect("a directory");
        let policy = here.read(Colour::Never).expect("a sound policy");
        let site = here.site(&policy);
        let keys = site.host_keys().expect("keys");
        let store = site.store(&"main".parse().expect("a name")).expect("a store");
        let repository = site.repository(&store, CLUSTER, moment("2026-11-20T00:00:00Z")).expect("a repository");
        let recipients = |lines: &[&str]| match how.encrypted {
            true => Lock::For(Arc::new(Recipients::parse(lines.iter().copied()).expect("recipients"))),
            false => Lock::Open,
        };
        let public = identity.to_public().to_string();
        let (lock, host_lock) = (recipients(&[&public]), recipients(&[&public, &keys.recipient]));
        Fixture { room, policy, store, repository, keys, lock, host_lock }
    }

    pub fn path(&self) -> &Path {
        self.room.path()
    }

    pub fn store_path(&self) -> PathBuf {
        self.path().join("store")
    }

    pub fn file(&self, key: &Key) -> PathBuf {
        self.store_path().join(key.as_str())
    }

    pub fn site(&self) -> Site<'_> {
        here(self.path()).site(&self.policy)
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, &[])
    }

    pub fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
        let mut command = hermetic(std::process::Command::new(env!("CARGO_BIN_EXE_seawall")), self.path());
        command.args(arguments).env("SEAWALL_POLICY", self.path().join("policy.yaml")).env("STATE_DIRECTORY", self.path().join("state"));
        finish(command.envs(environment.iter().copied()), b"")
    }

    /// The same on a machine that has never seen the database: no keys of a host.
    pub fn run_elsewhere(&self, arguments: &[&str]) -> Run {
        let mut command = hermetic(std::process::Command::new(env!("CARGO_BIN_EXE_seawall")), self.path());
        command
            .args(arguments)
            .env("SEAWALL_POLICY", self.path().join("policy.yaml"))
            .env("STATE_DIRECTORY", self.path().join("elsewhere"));
        finish(&mut command, b"")
    }

    /// The recovery identity, and the host's own.
    pub fn identities(&self) -> Identities {
        self.site().identities(Some(&self.path().join("identity.txt"))).expect("an identity")
    }

    fn object(&self, id: &BackupId, name: &str, is: ObjectKind, body: &[u8], plain_size: u64, lock: &Lock) -> Object {
        let end = Codec::DEFAULT.extension(self.lock.envelope());
        let name = format!("{name}{end}");
        let mut writer = ObjectWriter::new(&self.store, &self.repository.data(id, &name), lock).expect("a writer");
        writer.write(body).expect("written");
        let written = writer.finish().expect("put");
        Object { name, is, size: written.size, sha256: hex(&written.sha256), plain_size }
    }

    /// A full backup of a small cluster, and the log that makes it consistent is not written with it.
    pub fn backup(&self, id: &str, stopped: &str, start: Lsn, stop: Lsn) -> Descriptor {
        self.backup_of(id, stopped, start, stop, &files(), |_| ())
    }

    pub fn backup_of(
        &self,
        id: &str,
        stopped: &str,
        start: Lsn,
        stop: Lsn,
        files: &BTreeMap<String, Vec<u8>>,
        change: impl FnOnce(&mut Descriptor),
    ) -> Descriptor {
        let id: BackupId = id.parse().expect("an id");
        let mut compressor = Compressor::new(Codec::DEFAULT).expect("zstd");
        let (tar, index) = part(files, &mut compressor);
        let mut manifest = Vec::new();
        let mut writer = Manifest::begin(16, CLUSTER, &mut manifest);
        for (path, bytes) in files.iter() {
            writer.file(path, bytes.len() as u64, 1_700_000_000, crc(bytes), &mut manifest);
        }
        writer.finish(&[WalNeeded { timeline: Timeline::FIRST, start, end: stop }], &mut manifest);
        let mut squeeze = |bytes: &[u8]| {
            let mut out = Vec::new();
            compressor.frame(bytes, &mut out).expect("zstd");
            out
        };
        let (small_index, small_manifest) = (squeeze(&index), squeeze(&manifest));
        let (config, config_index) = part(
            &BTreeMap::from([("etc/postgresql.conf".to_owned(), b"port = 5432\n".to_vec())]),
            &mut Compressor::new(Codec::DEFAULT).expect("zstd"),
        );
        let _ = config_index;
        let objects = vec![
            self.object(&id, "part-00001.tar", ObjectKind::Part, &tar.body, tar.plain, &self.lock),
            self.object(&id, "part-00001.index", ObjectKind::Index, &small_index, index.len() as u64, &self.host_lock),
            self.object(&id, "backup_manifest", ObjectKind::Manifest, &small_manifest, manifest.len() as u64, &self.host_lock),
            self.object(&id, "config.tar", ObjectKind::Config, &config.body, config.plain, &self.lock),
        ];
        let stopped = moment(stopped);
        let mut descriptor = Descriptor {
            format: FORMAT,
            id,
            job: "nightly".parse().expect("a name"),
            kind: BackupKind::Full,
            parent: None,
            label: None,
            keep: None,
            started: stopped - jiff::SignedDuration::from_mins(10),
            stopped,
            by: By { seawall: "0.1.0".into(), host: "db-1".into(), policy: "shop".into(), digest: "sha256:00".into(), commit: None },
            cluster: Cluster {
                system_identifier: CLUSTER,
                version: 160_004,
                block_size: 8192,
                wal_segment_size: SEGMENT,
                data_checksums: true,
                standby: false,
            },
            position: Position { timeline: Timeline::FIRST, start, stop },
            carries_log: false,
            size: files.values().map(|bytes| bytes.len() as u64).sum(),
            stored_size: objects.iter().map(|object| object.size).sum(),
            files: files.len() as u64,
            objects,
            damage: Damage::default(),
            private: self.sealed_private(&Private { data_directory: "/var/lib/postgresql/16/main".into(), ..Private::default() }),
        };
        change(&mut descriptor);
        self.commit(&descriptor, Some(&self.keys.signing));
        descriptor
    }

    /// Puts the signature, then the descriptor.
    pub fn commit(&self, descriptor: &Descriptor, key: Option<&SigningKey>) -> Key {
        let name = self.repository.descriptor(descriptor.stopped, &descriptor.id);
        let json = descriptor.to_json();
        if let Some(key) = key {
            let armored = key.sign_armored(BACKUP, &json).expect("signed");
            assert_eq!(self.store.put_new(&signature_of(&name), Bytes::from(armored)).expect("put"), Put::Created);
        }
        assert_eq!(self.store.put_new(&name, Bytes::from(json)).expect("put"), Put::Created);
        name
    }

    fn sealed_private(&self, private: &Private) -> String {
        use std::io::Write as _;
        let json = serde_json::to_vec(private).expect("JSON");
        let Lock::For(recipients) = &self.host_lock else { return String::from_utf8(json).expect("text") };
        let mut sealer = Sealer::new(recipients).expect("a sealer");
        let mut sealed = sealer.header(&[]);
        sealer.push(&json, &mut sealed);
        sealer.end(&mut sealed);
        let mut armor = age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor).expect("armour");
        armor.write_all(&sealed).expect("into memory");
        String::from_utf8(armor.finish().expect("into memory")).expect("text")
    }

    /// One file of the log.
    pub fn wal(&self, file: WalFile, plain: &[u8], written: &str) -> Key {
        self.wal_by(file, plain, written, Some(&self.keys.signing), CLUSTER)
    }

    pub fn wal_by(&self, file: WalFile, plain: &[u8], written: &str, key: Option<&SigningKey>, cluster: SystemIdentifier) -> Key {
        let mut compressed = Vec::new();
        Compressor::new(Codec::DEFAULT).expect("zstd").frame(plain, &mut compressed).expect("zstd");
        let mut stamp = Stamp {
            system_identifier: cluster,
            file,
            size: plain.len() as u64,
            content: *blake3::hash(plain).as_bytes(),
            written: moment(written),
            body: [0; 32],
        };
        // What the host must read again: histories.
        let lock = if matches!(file, WalFile::Segment(_) | WalFile::Partial(_)) { &self.lock } else { &self.host_lock };
        let object = match lock {
            Lock::Open => {
                stamp.body = blake3::hash(&compressed).into();
                [stamp.skippable(key).expect("signed"), compressed].concat()
            }
            Lock::For(recipients) => {
                let mut sealer = Sealer::new(recipients).expect("a sealer");
                let mut body = Vec::new();
                sealer.push(&compressed, &mut body);
                sealer.end(&mut body);
                let before = sealer.header(&[]);
                let nonce = &before[before.len() - 16..];
                stamp.body = blake3::Hasher::new().update(nonce).update(&body).finalize().into();
                [sealer.header(&[stamp.stanza(key).expect("signed")]), body].concat()
            }
        };
        let name = self.repository.wal(CLUSTER, file, Codec::DEFAULT, self.lock.envelope());
        assert_eq!(self.store.put_new(&name, Bytes::from(object)).expect("put"), Put::Created);
        name
    }

    /// A segment as PostgreSQL writes it, one minute after the one before it.
    pub fn segment(&self, timeline: u32, number: u64) -> Key {
        let minute = moment("2026-11-20T00:00:00Z") + jiff::SignedDuration::from_mins(i64::try_from(number).expect("few"));
        self.wal(WalFile::Segment(segment(timeline, number)), &segment_bytes(timeline, number), &minute.to_string())
    }

    pub fn history(&self, timeline: u32, text: &str) -> Key {
        self.wal(WalFile::History(self::timeline(timeline)), text.as_bytes(), "2026-11-20T12:00:00Z")
    }
}

pub fn timeline(number: u32) -> Timeline {
    number.to_string().parse().expect("a timeline")
}

pub fn segment(timeline: u32, number: u64) -> Segment {
    Segment::of(self::timeline(timeline), Lsn(number * SEGMENT), size())
}

/// Pages with their headers, and something in them.
pub fn segment_bytes(timeline: u32, number: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SEGMENT as usize);
    for page in 0..SEGMENT / PAGE as u64 {
        let at = number * SEGMENT + page * PAGE as u64;
        let mut header = Vec::new();
        header.extend_from_slice(&0xD113u16.to_le_bytes());
        header.extend_from_slice(&(if page == 0 { 2u16 } else { 0 }).to_le_bytes());
        header.extend_from_slice(&timeline.to_le_bytes());
        header.extend_from_slice(&at.to_le_bytes());
        header.extend_from_slice(&[0; 8]);
        if page == 0 {
            header.extend_from_slice(&CLUSTER.0.to_le_bytes());
            header.extend_from_slice(&u32::try_from(SEGMENT).expect("small").to_le_bytes());
            header.extend_from_slice(&(PAGE as u32).to_le_bytes());
        }
        header.resize(PAGE, (at / 977) as u8);
        bytes.extend_from_slice(&header);
    }
    bytes
}

/// A data directory in small.
pub fn files() -> BTreeMap<String, Vec<u8>> {
    let relation: Vec<u8> = (0..40).flat_map(relation_page).collect();
    BTreeMap::from([
        ("PG_VERSION".into(), b"16\n".to_vec()),
        ("backup_label".into(), b"START WAL LOCATION: 0/100028\n".to_vec()),
        ("base/5/1259".into(), relation),
        ("base/5/PG_VERSION".into(), b"16\n".to_vec()),
        ("empty".into(), Vec::new()),
        ("global/pg_control".into(), vec![7; 8192]),
        ("pg_xact/0000".into(), (0..40_000u32).map(|at| (at % 251) as u8).collect()),
    ])
}

pub fn relation_page(block: u32) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..PAGE as u32).map(|at| (at.wrapping_mul(block + 3) >> 5) as u8).collect();
    bytes[14..16].copy_from_slice(&100u16.to_le_bytes());
    let sum = page::checksum(&bytes, block);
    bytes[8..10].copy_from_slice(&sum.to_le_bytes());
    bytes
}

struct Tar {
    body: Vec<u8>,
    plain: u64,
}

/// A tar in frames of at most 100 kB, and what lies where in it.
fn part(files: &BTreeMap<String, Vec<u8>>, compressor: &mut Compressor) -> (Tar, Vec<u8>) {
    let (mut tar, mut index, mut plain) = (Tar { body: Vec::new(), plain: 0 }, Vec::new(), Vec::new());
    let mut pieces = Vec::new();
    let mut flush = |plain: &mut Vec<u8>, pieces: &mut Vec<Piece>| {
        let mut frame = Vec::new();
        compressor.frame(plain, &mut frame).expect("zstd");
        let of = |length: usize| u32::try_from(length).expect("small");
        Frame { at: tar.body.len() as u64, len: of(frame.len()), raw: of(plain.len()), pieces: std::mem::take(pieces) }.write(&mut index);
        tar.plain += plain.len() as u64;
        tar.body.extend_from_slice(&frame);
        plain.clear();
    };
    let owner = Owner::default();
    tarball::header("base", What::Directory, 0o700, 1_700_000_000, owner, &mut plain);
    pieces.push(Piece { kind: Kind::Directory, mode: 0o700, skip: u32::try_from(plain.len()).expect("small"), ..piece("base") });
    for (path, bytes) in files {
        tarball::header(path, What::File { size: bytes.len() as u64 }, 0o600, 1_700_000_000, owner, &mut plain);
        let mut from = 0;
        loop {
            let length = (bytes.len() - from).min(100_000);
            let chunk = &bytes[from..from + length];
            let last = from + length == bytes.len();
            pieces.push(Piece {
                skip: u32::try_from(plain.len()).expect("small"),
                from: from as u64,
                len: u32::try_from(length).expect("small"),
                hash: Some(Hash(*blake3::hash(chunk).as_bytes())),
                size: bytes.len() as u64,
                crc: last.then(|| crc(bytes)),
                ..piece(path)
            });
            plain.extend_from_slice(chunk);
            from += length;
            if last {
                plain.resize(plain.len() + tarball::padding(bytes.len() as u64), 0);
                break;
            }
            flush(&mut plain, &mut pieces);
        }
    }
    plain.extend_from_slice(&tarball::END);
    flush(&mut plain, &mut pieces);
    (tar, index)
}

fn piece(path: &str) -> Piece {
    Piece {
        path: path.into(),
        kind: Kind::File,
        skip: 0,
        from: 0,
        len: 0,
        hash: None,
        size: 0,
        mode: 0o600,
        mtime: 1_700_000_000,
        crc: None,
        link: None,
        more: None,
        lies: None,
    }
}

pub fn crc(bytes: &[u8]) -> u32 {
    u32::try_from(checksum(Crc32Iscsi, bytes)).expect("32 bits")
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn private(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
    std::fs::write(path, text).expect("a key");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
}

fn here(at: &Path) -> Here {
    Here { policy: Some(at.join("policy.yaml")), state: Some(at.join("state")), host: Some("db-1".parse().expect("a name")) }
}

fn policy_text(at: &Path, how: How, recipient: &str, writer: &str) -> String {
    let lock = match how.encrypted {
        true => format!("age: {{ recipients: [{recipient}] }}"),
        false => "none: { because: a test }".to_owned(),
    };
    let writers = if how.guarded { format!(", writers: {{ db-1: \"{writer}\" }}") } else { String::new() };
    crate::cli::sound("shop")
        .replace("/srv/backups/shop", &at.join("store").display().to_string())
        .replace("none: { because: a sample for tests }", &format!("{lock}{writers}"))
}
