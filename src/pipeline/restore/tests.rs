use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use age::secrecy::ExposeSecret;

use super::*;
use crate::format::codec::{Codec, Compressor};
use crate::format::index::{Frame, Hash, Kind, Piece};
use crate::format::seal::{Identities, Recipients};
use crate::pipeline::{Lock, ObjectWriter};
use crate::store::{Place, Settings, Store};
use crate::units::{Key, hex};

/// A backup as the writer makes it, in small: frames of at most `FRAME` bytes.
const FRAME: usize = 64 << 10;

struct Made {
    _folder: tempfile::TempDir,
    root: std::path::PathBuf,
    store: Store,
    identities: Identities,
    parts: Vec<PartSource>,
}

fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at as u8).wrapping_mul(seed) ^ (at / 977) as u8).collect()
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("PG_VERSION", b"15\n".to_vec()),
        ("base/5/1259", bytes(3, 300_000)),
        ("base/5/empty", Vec::new()),
        ("global/pg_control", bytes(9, 8192)),
        ("pg_tblspc/16385/PG_15_202209061/5/2", bytes(5, 100_000)),
        ("base/5/big", bytes(7, 1_500_000)),
    ]
}

fn piece(path: &str, kind: Kind) -> Piece {
    let mode = if kind == Kind::Directory { 0o700 } else { 0o600 };
    Piece {
        path: path.into(),
        kind,
        skip: 0,
        from: 0,
        len: 0,
        hash: None,
        size: 0,
        mode,
        mtime: 1_700_000_000,
        crc: None,
        link: None,
        more: None,
        lies: None,
    }
}

fn frames_of(files: &[(&str, Vec<u8>)]) -> Vec<(Vec<u8>, Vec<Piece>)> {
    let mut first = vec![piece("base", Kind::Directory), piece("pg_wal", Kind::Directory), piece("pg_tblspc/16385", Kind::Link)];
    first[2].link = Some("/elsewhere".into());
    let mut frames = vec![(vec![0; 512], first)];
    for (path, content) in files {
        let chunks: Vec<&[u8]> = if content.is_empty() { vec![&[]] } else { content.chunks(FRAME).collect() };
        for (at, chunk) in chunks.into_iter().enumerate() {
            let mut tar = vec![0; 512];
            tar.extend_from_slice(chunk);
            let hash = Some(Hash(*blake3::hash(chunk).as_bytes()));
            let (from, len, size) = ((at * FRAME) as u64, chunk.len() as u32, content.len() as u64);
            frames.push((tar, vec![Piece { skip: 512, from, len, hash, size, ..piece(path, Kind::File) }]));
        }
    }
    frames
}

fn make(codec: Codec, encrypted: bool) -> Made {
    make_of(frames_of(&files()), codec, encrypted)
}

fn make_of(frames: Vec<(Vec<u8>, Vec<Piece>)>, codec: Codec, encrypted: bool) -> Made {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&Settings::new(Place::Local { path: folder.path().join("store") })).expect("a store");
    let key = age::x25519::Identity::generate();
    let identities = Identities::parse(key.to_string().expose_secret().as_bytes(), None).expect("an identity");
    let recipients = Recipients::parse([key.to_public().to_string().as_str()]).expect("a recipient");
    let lock = if encrypted { Lock::For(Arc::new(recipients)) } else { Lock::Open };
    let end = codec.extension(lock.envelope());
    let (part, index) = (Key::new(format!("r/data/b/part-00001.tar{end}")), Key::new(format!("r/data/b/part-00001.index{end}")));
    let (part, index) = (part.expect("a key"), index.expect("a key"));
    let mut writer = ObjectWriter::new(&store, &part, &lock).expect("a part");
    let mut compressor = Compressor::new(codec).expect("a codec");
    let (mut lines, mut out) = (Vec::new(), Vec::new());
    for (tar, pieces) in frames {
        compressor.frame(&tar, &mut out).expect("it compresses");
        Frame { at: writer.position(), len: out.len() as u32, raw: tar.len() as u32, pieces }.write(&mut lines);
        writer.write(&out).expect("it is written");
    }
    let part_size = writer.finish().expect("durable").size;
    let mut writer = ObjectWriter::new(&store, &index, &lock).expect("an index");
    compressor.frame(&lines, &mut out).expect("it compresses");
    writer.write(&out).expect("it is written");
    let written = writer.finish().expect("durable");
    let index_sha256 = hex(&written.sha256);
    let parts = vec![PartSource { part, part_size, index, index_size: written.size, index_sha256 }];
    Made { root: folder.path().to_owned(), _folder: folder, store, identities, parts }
}

impl Made {
    fn ground(&self) -> Ground {
        let tablespace = self.root.join("space");
        fs::create_dir_all(&tablespace).expect("a tablespace");
        Ground { root: self.root.join("data"), tablespaces: [(16385, tablespace)].into(), owner: None }
    }

    fn source(&self) -> Source<'_> {
        Source { store: &self.store, identities: &self.identities, parts: self.parts.clone(), others: Default::default() }
    }

    fn restore(&self, delta: bool) -> Result<Progress, PipelineFault> {
        let progress = Progress::default();
        let restored = restore(&self.source(), &self.ground(), How { workers: 2, delta, only: None }, &progress)?;
        assert!(!self.root.join("data/global/pg_control").exists(), "it cannot be started before it is durable");
        if delta {
            Extras::remove(&self.ground(), restored.names)?;
        }
        make_durable(&self.ground(), restored.written)?;
        arm(&self.ground())?;
        Ok(progress)
    }

    fn check(&self) {
        for (path, content) in files() {
            let at = path
                .strip_prefix("pg_tblspc/16385")
                .map_or(self.root.join("data").join(path), |rest| self.root.join("space").join(rest.trim_start_matches('/')));
            assert!(fs::read(&at).unwrap_or_else(|error| panic!("{path}: {error}")) == content, "{path}");
            let about = fs::metadata(&at).expect("it is there");
            assert_eq!((about.mode() & 0o777, about.mtime()), (0o600, 1_700_000_000), "{path}");
        }
        assert!(self.root.join("data/pg_wal").is_dir());
        assert!(!self.root.join("data/pg_tblspc/16385").exists(), "the link is made from where the tablespace is now");
    }

    /// Changes one byte of an object.
    fn flip(&self, key: &Key, at: u64) {
        use std::os::unix::fs::FileExt;
        let path = self.root.join("store").join(key.as_str());
        let mut permissions = fs::metadata(&path).expect("an object").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
        fs::set_permissions(&path, permissions).expect("ours");
        let file = fs::File::options().read(true).write(true).open(path).expect("an object");
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("a byte");
        file.write_all_at(&[byte[0] ^ 1], at).expect("a byte");
    }
}

#[test]
fn what_was_packed_comes_out() {
    for (codec, encrypted) in [(Codec::DEFAULT, true), (Codec::DEFAULT, false), (Codec::Lz4, true), (Codec::None, false)] {
        let made = make(codec, encrypted);
        let progress = made.restore(false).expect("it restores");
        let size: usize = files().iter().map(|(_, content)| content.len()).sum();
        assert_eq!(progress.written.into_inner(), size as u64);
        made.check();
    }
}

#[test]
fn a_delta_fetches_what_differs() {
    let made = make(Codec::DEFAULT, true);
    made.restore(false).expect("it restores");
    let data = made.root.join("data");
    // The control file is always written anew.
    let untouched = made.restore(true).expect("nothing to do");
    assert_eq!(untouched.frames_fetched.into_inner(), 1);
    fs::write(data.join("base/5/1259"), bytes(3, 200_000)).expect("shortened");
    fs::remove_file(data.join("base/5/empty")).expect("gone");
    fs::write(data.join("base/5/extra"), "x").expect("extra");
    fs::create_dir(data.join("base/6")).expect("an extra directory");
    fs::write(data.join("base/6/7"), "x").expect("extra");
    let mut longer = files().remove(5).1;
    longer.extend_from_slice(b"more");
    fs::write(data.join("base/5/big"), longer).expect("lengthened");
    fs::write(data.join("pg_wal/000000010000000000000001"), "x").expect("a segment");
    let extras = Extras::find(&made.ground(), Names::read(&made.source()).expect("names")).expect("it is looked at");
    assert_eq!(extras.files, 3, "{extras:?}");
    let progress = made.restore(true).expect("it mends");
    // Of 300,000 bytes the last 100,000 are missing: the frames from 196,608 on.
    assert_eq!(progress.frames_fetched.into_inner(), 4);
    made.check();
    assert!(!data.join("base/6").exists() && !data.join("base/5/extra").exists());
}

#[test]
fn damage_is_named_and_leaves_nothing_that_starts() {
    for (which, at, word) in [(0, 50_000, "part-00001.tar"), (1, 300, "part-00001.index")] {
        for encrypted in [true, false] {
            let made = make(Codec::DEFAULT, encrypted);
            let key = if which == 0 { &made.parts[0].part } else { &made.parts[0].index };
            made.flip(key, at);
            let fault = made.restore(false).expect_err("it is damaged").to_string();
            assert!(fault.contains(word), "{fault}");
            assert!(!made.root.join("data/global/pg_control").exists());
        }
    }
    let mut made = make(Codec::DEFAULT, true);
    made.parts[0].index_sha256 = "00".repeat(32);
    let fault = made.restore(false).expect_err("another index").to_string();
    assert!(fault.contains("SHA-256"), "{fault}");
    made.identities = Identities::default();
    assert!(matches!(made.restore(false), Err(PipelineFault::Sealed { .. })));
}

/// Unmounts when it goes.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn mount(words: &[&str], at: &std::path::Path) -> Option<Mounted> {
        fs::create_dir(at).expect("a mount point");
        let status = std::process::Command::new("mount").args(words).arg(at).stderr(std::process::Stdio::null()).status();
        status.is_ok_and(|status| status.success()).then(|| Mounted(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).stderr(std::process::Stdio::null()).status();
    }
}

/// A disk that fails when the kernel writes back, and a monitor's `sync` that is told of it first.
#[test]
fn what_somebody_elses_sync_was_told_is_heard_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(_small) = Mounted::mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"], &folder.path().join("small")) else {
        eprintln!("nothing can be mounted here");
        return;
    };
    // It says that it is larger than what lies under it.
    let image = folder.path().join("small/image");
    fs::File::create(&image).and_then(|file| file.set_len(64 << 20)).expect("an image");
    let made = std::process::Command::new("mkfs.ext4").args(["-q", "-O", "^has_journal"]).arg(&image).status();
    let words = ["-o", "loop", image.to_str().expect("text")];
    let Some(disk) = made.ok().filter(std::process::ExitStatus::success).and_then(|_| Mounted::mount(&words, &folder.path().join("disk")))
    else {
        eprintln!("no disk that fails can be made here");
        return;
    };
    let ground = Ground { root: disk.0.join("data"), tablespaces: [].into(), owner: None };
    ground.make_directory(&ground.root).expect("a directory");
    let disks = ground.hold().expect("held");
    fs::write(ground.root.join("much"), bytes(11, 24 << 20)).expect("it is in the cache");
    let sync = || fs::File::open(&ground.root).map(rustix::fs::syncfs).expect("opened");
    assert!(sync().is_err(), "the disk fails");
    assert!(sync().is_ok(), "whoever comes later hears nothing");
    assert!(disks.sync(&ground).is_err());
}

#[derive(Debug)]
struct OnlyLarge(&'static str);

impl Choice for OnlyLarge {
    fn take(&self, piece: &Piece) -> Take {
        match piece.path.as_str() {
            path if path == self.0 || path == PG_CONTROL => Take::Whole,
            path if path.starts_with("pg_tblspc/") => Take::Nothing,
            _ => Take::Hollow,
        }
    }
}

/// One file comes back with what is in it, the others in their size; of the part only the frames are read that hold anything of it.
#[test]
fn some_files_come_back_whole_and_the_others_hollow() {
    let made = make(Codec::DEFAULT, true);
    let (wanted, content) = files().into_iter().max_by_key(|(_, content)| content.len()).expect("files");
    let progress = Progress::default();
    let only = OnlyLarge(wanted);
    let how = How { workers: 2, delta: false, only: Some(&only) };
    let restored = restore(&made.source(), &made.ground(), how, &progress).expect("it is restored");
    make_durable(&made.ground(), restored.written).expect("it is durable");
    arm(&made.ground()).expect("it starts");
    let data = made.root.join("data");
    assert!(fs::read(data.join(wanted)).expect("it is there") == content);
    for (path, content) in files().iter().filter(|(path, _)| *path != wanted && *path != PG_CONTROL) {
        if path.starts_with("pg_tblspc/") {
            assert!(!data.join(path).exists() && !made.root.join("space").join(path.rsplit('/').next().expect("a name")).exists());
            continue;
        }
        let there = fs::read(data.join(path)).expect("it is there");
        assert!(there.len() == content.len() && there.iter().all(|byte| *byte == 0), "{path}");
    }
    let (frames, fetched) = (progress.frames.load(Ordering::Relaxed), progress.frames_fetched.load(Ordering::Relaxed));
    assert!(fetched < frames && progress.written.load(Ordering::Relaxed) < files().iter().map(|(_, content)| content.len() as u64).sum());
}

#[test]
fn what_was_disarmed_in_vain_is_as_it_was() {
    let made = make(Codec::None, false);
    let ground = made.ground();
    assert!(!ground.disarm().expect("nothing is there"));
    fs::create_dir_all(ground.root.join("global")).expect("a directory");
    fs::write(ground.root.join("global/pg_control"), "of before").expect("a file");
    assert!(ground.disarm().expect("renamed"));
    assert!(!ground.root.join("global/pg_control").exists());
    assert!(!ground.disarm().expect("it is done"), "and not by the second");
    ground.rearm().expect("renamed back");
    assert_eq!(fs::read(ground.root.join("global/pg_control")).expect("a file"), b"of before");
    assert!(ground.disarm().expect("renamed again"));
}

/// The disk's own folder is no part of a cluster, beside the log on a disk of its own too; the log's is behind a link.
#[test]
fn what_belongs_to_the_file_system_is_left_alone() {
    let made = make(Codec::DEFAULT, false);
    made.restore(false).expect("it is there");
    let (data, disk) = (made.root.join("data"), made.root.join("disk"));
    fs::create_dir(&disk).expect("a disk");
    fs::remove_dir(data.join("pg_wal")).expect("empty");
    std::os::unix::fs::symlink(&disk, data.join("pg_wal")).expect("a link");
    let saved = [data.join("lost+found/#12"), disk.join("lost+found/#13")];
    for file in &saved {
        fs::create_dir(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, "x").expect("a file");
    }
    fs::write(disk.join("stray"), "x").expect("a file");
    made.restore(true).expect("it is there again");
    assert!(saved.iter().all(|file| file.exists()) && !disk.join("stray").exists());
}

/// A link that is not made is a file that is not there.
#[test]
fn more_links_than_any_cluster_has_are_not_left_out_in_silence() {
    let link = |number: usize| Piece { link: Some("/elsewhere".into()), ..piece(&format!("links/{number}"), Kind::Link) };
    let frames: Vec<(Vec<u8>, Vec<Piece>)> =
        (0..101).map(|frame| (vec![0; 512], (0..1000).map(|number| link(frame * 1000 + number)).collect())).collect();
    let made = make_of(frames, Codec::DEFAULT, false);
    let fault = made.restore(false).expect_err("some would be missing");
    assert!(fault.to_string().contains("symbolic links"), "{fault}");
    assert!(!made.root.join("data/global/pg_control").exists());
}
