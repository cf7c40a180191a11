//! Credentials come by the environment, and a test's own environment cannot be changed. So the part of a test that needs
//! other credentials is this program again, with another environment.

use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use seawall::store::{Fault, FaultKind, Growth, Moved, Place, Put, Settings, Sse, Store, Thaw};
use seawall::units::{Haste, StorageClass};

use super::contract::{self, key, noise};

const WHAT: &str = "SEAWALL_TEST_STORE_WHAT";

/// What a child does with which store.
#[derive(Debug, Clone, Default)]
pub(super) struct Errand {
    pub(super) variables: Vec<(&'static str, String)>,
}

impl Errand {
    pub(super) fn new(what: &str) -> Errand {
        Errand::default().with(WHAT, what)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Errand {
        self.variables.push((name, value.to_string()));
        self
    }

    /// What it printed.
    pub(super) fn run(&self) -> String {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "stores::child::errand", "--nocapture", "--test-threads=1"]);
        for (name, _) in std::env::vars().filter(|(name, _)| ["AWS_", "AZURE_", "GOOGLE_"].iter().any(|cloud| name.starts_with(cloud))) {
            command.env_remove(name);
        }
        // No machine's identity is asked for in a test: nobody answers there at once.
        let child =
            command.env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9").env("HOME", "/nonexistent").envs(self.variables.iter().cloned());
        let output = child.output().expect("it starts");
        assert!(
            output.status.success(),
            "{:?}\n{}{}",
            self.variables,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn store() -> Store {
    Store::open(&settings()).expect("it opens")
}

fn settings() -> Settings {
    let wanted = |name: &str| variable(name).unwrap_or_else(|| panic!("{name} is set"));
    let (endpoint, prefix) = (variable("STORE_ENDPOINT"), variable("STORE_PREFIX"));
    let bucket = wanted("STORE_BUCKET");
    let place = match wanted("STORE_KIND").as_str() {
        "s3" => Place::S3 {
            bucket,
            prefix,
            region: variable("STORE_REGION"),
            endpoint,
            path_style: true,
            ca: variable("STORE_CA").map(PathBuf::from),
            profile: variable("STORE_PROFILE"),
            storage_class: variable("STORE_CLASS"),
            sse: variable("STORE_SSE").map(|key| if key == "s3" { Sse::S3 } else { Sse::Kms(key) }),
        },
        "azure" => Place::Azure { account: wanted("STORE_ACCOUNT"), container: bucket, prefix, endpoint, tier: variable("STORE_CLASS") },
        _ => Place::Gcs { bucket, prefix, endpoint, storage_class: variable("STORE_CLASS") },
    };
    let patience = Duration::from_secs(variable("STORE_PATIENCE").map_or(30, |text| text.parse().expect("seconds")));
    Settings { patience, ..Settings::new(place) }
}

#[test]
fn errand() {
    let Some(what) = variable(WHAT) else { return };
    if what == "unopened" {
        let fault = Store::open(&settings()).expect_err("its credentials make no sense");
        assert_eq!(fault.kind, FaultKind::Config, "{fault:?}");
        return;
    }
    let store = store();
    match what.as_str() {
        "contract" => contract::kept_by(&store),
        "no-store" => every_call_says(&store, FaultKind::NoStore),
        "no-store-to-read" => every_reading_call_says(&store, FaultKind::NoStore),
        "denied" => every_call_says(&store, FaultKind::Denied),
        "config" => every_call_says(&store, FaultKind::Config),
        "transient" => every_call_says(&store, FaultKind::Transient),
        "read-only" => {
            let fault = store.put_new(&key("x"), noise(10, 1)).expect_err("it may not");
            assert_eq!(fault.kind, FaultKind::Denied, "{fault:?}");
            assert!(fault.hint.contains("s3:PutObject"), "{fault:?}");
            let fault = store.purge(&[key("once/object")]).expect_err("nor delete");
            assert_eq!(fault.kind, FaultKind::Denied, "{fault:?}");
            assert_eq!(store.head(&key("x")), Ok(None));
        }
        "measure" => {
            let since = Instant::now();
            drop(self::store());
            println!("a second client opens in {:?}", since.elapsed());
            super::measure::speed_of(&store);
        }
        "put-each-way" => {
            store.put_new(&key("new"), noise(100, 1)).expect("put");
            store.replace(&key("replaced"), noise(100, 1)).expect("put");
            put(&store, "one-piece", 1_000);
            put(&store, "pieces", 9_000_000);
        }
        "uploads" => put(&store, &format!("ours/data/{}", std::process::id()), 12_000_000),
        "write" => put(&store, "far/large", LARGE),
        "read" => {
            let (body, mut read) = (noise(LARGE, 1), Vec::new());
            store.reader(&key("far/large"), 0..LARGE as u64).expect("a stream").read_to_end(&mut read).expect("read");
            assert!(read == body);
            assert!(store.get_range(&key("far/large"), 7..LARGE as u64 - 7).expect("a range") == body.slice(7..LARGE - 7));
        }
        "put-new-again" => {
            assert_eq!(store.put_new(&key("far/new"), noise(100, 3)), Ok(Put::Created));
            assert_eq!(store.put_new(&key("far/new"), noise(100, 4)), Ok(Put::Exists));
            assert_eq!(store.get(&key("far/new"), 100), Ok(noise(100, 3)));
        }
        "upload-again" => {
            put(&store, "again", LARGE);
            assert_eq!(store.get(&key("again"), LARGE), Ok(noise(LARGE, 1)));
        }
        "growing" => {
            // What takes hundreds of gibibytes otherwise.
            let store = Store::open(&Settings { growth: Growth { alike: 2, each: 1 }, ..settings() }).expect("it opens");
            let body = noise(47 << 20, 5);
            let mut upload = store.upload(&key("far/growing")).expect("begun");
            let (mut at, mut sizes) = (0, Vec::new());
            while at < body.len() {
                let piece = body.slice(at..body.len().min(at + upload.piece_size(sizes.len() as u32)));
                at += piece.len();
                upload.put(sizes.len() as u32, piece.clone()).expect("it takes it");
                sizes.push(piece.len() >> 20);
            }
            upload.finish().expect("it is there");
            assert_eq!(sizes, [5, 5, 10, 20, 7]);
            assert!(store.get(&key("far/growing"), body.len()).expect("whole") == body);
        }
        "strong" => store.check_conditional_put(&key("probe")).expect("it keeps what is there"),
        "weak" => {
            let fault = store.check_conditional_put(&key("below/probe")).expect_err("it does not");
            assert_eq!(fault.kind, FaultKind::Config, "{fault:?}");
            assert!(fault.message.contains("overwrites what must not be overwritten"), "{fault}");
            assert_eq!(store.list(""), Ok(vec![]));
        }
        "frozen" => frozen(&store),
        "colder" => colder(&store),
        "moved-unheard" | "moved-endlessly" => {
            let to = variable("STORE_TO").expect("set").parse().expect("a class");
            put(&store, "cold/one", 1_000);
            let moved = store.move_to(&key("cold/one"), to);
            let now = store.head(&key("cold/one")).expect("it answers").expect("it is there").class;
            if variable("STORE_PATIENCE").is_none() {
                assert_eq!((moved, now), (Ok(Moved::Done { left: None }), Some(to)));
                assert!(store.get(&key("cold/one"), 1_000).expect("read") == noise(1_000, 1));
            } else {
                assert_eq!(moved.expect_err("it never ends").kind, FaultKind::Transient);
                assert_ne!(now, Some(to));
            }
        }
        "versions" => versions(&store),
        "locked" => locked(&store),
        "transient-soon" => {
            let since = Instant::now();
            let fault = store.get(&key("far/new"), 100).expect_err("nobody answers");
            assert_eq!(fault.kind, FaultKind::Transient, "{fault:?}");
            assert!(since.elapsed() < Duration::from_secs(25), "{:?}", since.elapsed());
        }
        other => panic!("nobody knows what `{other}` is"),
    }
}

const LARGE: usize = 30_000_000;

fn put(store: &Store, name: &str, size: usize) {
    let body = noise(size, 1);
    let mut upload = store.upload(&key(name)).expect("begun");
    let piece = upload.piece_size(0);
    for (index, start) in (0..size).step_by(piece).enumerate() {
        upload.put(index as u32, body.slice(start..size.min(start + piece))).expect("put");
    }
    upload.finish().expect("finished");
}

/// What is uploaded goes to the archive; what everything else is found by does not.
fn frozen(store: &Store) {
    assert_eq!(store.put_new(&key("descriptor"), noise(9, 1)), Ok(Put::Created));
    put(store, "one-piece", 1_000);
    put(store, "pieces", 9_000_000);
    let listed: Vec<_> = store.list("").expect("listed").into_iter().map(|meta| (meta.key.to_string(), meta.frozen)).collect();
    assert_eq!(listed, [("descriptor".to_owned(), false), ("one-piece".to_owned(), true), ("pieces".to_owned(), true)]);
    assert_eq!(store.thaw_state(&key("descriptor")), Ok(Some(Thaw::Readable)));
    assert_eq!(store.thaw_state(&key("nothing")), Ok(None));
    for name in ["one-piece", "pieces"] {
        assert!(store.head(&key(name)).expect("it answers").expect("it is there").frozen);
        assert_eq!(store.thaw_state(&key(name)), Ok(Some(Thaw::Frozen)));
        for fault in [
            store.get(&key(name), 1 << 30).map(drop).expect_err("frozen"),
            store.get_range(&key(name), 0..9).map(drop).expect_err("frozen"),
            store.reader(&key(name), 0..9).map(drop).expect_err("frozen"),
        ] {
            assert_eq!(fault.kind, FaultKind::Frozen, "{fault:?}");
        }
        store.thaw(&key(name), 3, Haste::Standard).expect("asked for");
        store.thaw(&key(name), 3, Haste::Standard).expect("asked for again");
        // This server thaws while one asks how far it is.
        let states: Vec<_> = (0..3).map(|_| store.thaw_state(&key(name)).expect("it answers")).collect();
        assert!(states.contains(&Some(Thaw::Underway)) || states.contains(&Some(Thaw::Readable)), "{states:?}");
        assert_eq!(states.last(), Some(&Some(Thaw::Readable)), "{states:?}");
        assert_eq!(
            store.get(&key(name), 1 << 30).expect("thawed").len() as u64,
            store.head(&key(name)).expect("it answers").expect("there").size
        );
    }
    assert!(store.thaw(&key("nothing"), 3, Haste::Standard).expect_err("it is not there").is_absent());
}

/// From class to class, in one piece and in several, once and again; never warmer, and what is in it stays the same.
fn colder(store: &Store) {
    let family = store.classes().expect("it has classes");
    let to: StorageClass = variable("STORE_TO").expect("set").parse().expect("a class");
    put(store, "cold/small", 1_000);
    put(store, "cold/large", 12_000_000);
    let class = |name: &str| store.head(&key(name)).expect("it answers").expect("it is there").class;
    for (name, size) in [("cold/small", 1_000), ("cold/large", 12_000_000)] {
        assert_eq!(class(name), Some(family.warmest()), "{name}");
        assert_eq!(store.move_to(&key(name), to), Ok(Moved::Done { left: None }), "{name}");
        assert_eq!(class(name), Some(to), "{name}");
        assert_eq!(store.move_to(&key(name), to), Ok(Moved::Already), "{name}");
        assert_eq!(store.move_to(&key(name), family.warmest()), Ok(Moved::Already), "{name}: nothing becomes warmer");
        if !to.needs_thaw() {
            assert!(store.get(&key(name), size).expect("read") == noise(size, 1), "{name}");
        }
    }
    let listed: Vec<_> = store.list("cold").expect("listed").into_iter().map(|meta| (meta.size, meta.class, meta.frozen)).collect();
    assert_eq!(listed, [(12_000_000, Some(to), to.needs_thaw()), (1_000, Some(to), to.needs_thaw())]);
    let fault = store.move_to(&key("cold/nothing"), to).expect_err("it is not there");
    assert!(fault.is_absent(), "{fault:?}");
}

/// A bucket that keeps versions: what was overwritten and hidden goes too.
fn versions(store: &Store) {
    let keys: Vec<_> = (0..30).map(|number| key(&format!("kept/{number:02}"))).collect();
    for key in &keys {
        store.put_new(key, noise(9, 1)).expect("put");
    }
    for _ in 0..3 {
        store.replace(&keys[0], noise(9, 2)).expect("put");
    }
    store.delete(&keys[..2]).expect("hidden");
    // What it tries with is nobody's object, and none of its versions stays.
    store.check_conditional_put(&key("kept/probe")).expect("it keeps what is there");
    // Beside it, and nobody's to delete.
    store.put_new(&key("kept/02-beside"), noise(9, 1)).expect("put");
    let purged = store.purge(&keys).expect("purged");
    assert_eq!(purged, seawall::store::Purged::default());
    assert_eq!(store.list("kept").expect("listed").len(), 1);
    store.put_new(&keys[0], noise(9, 3)).expect("the name is free");
    store.purge(&keys[..1]).expect("purged");
}

fn locked(store: &Store) {
    let [retained, held, free] = ["locked/retained", "locked/held", "locked/free"].map(key);
    let keys = [retained.clone(), held.clone(), free.clone()];
    let mut locks = store.locks(&keys).expect("asked");
    locks.sort_by(|one, other| one.key.cmp(&other.key));
    let purged = store.purge(&keys).expect("what can be deleted is");
    for locks in [locks, purged.locked] {
        assert_eq!(locks.len(), 2, "{locks:?}");
        let lock = |key| locks.iter().find(|lock| lock.key == key).expect("it is locked");
        assert!(lock(held.clone()).legal_hold && lock(held.clone()).until.is_none(), "{locks:?}");
        let until = lock(retained.clone()).until.expect("it says until when");
        let left = until.duration_since(seawall::units::Instant::now()).as_hours();
        assert!(!lock(retained.clone()).legal_hold && (22..=24).contains(&left), "{locks:?}");
    }
    let left: Vec<_> = store.list("locked").expect("listed").into_iter().map(|meta| meta.key).collect();
    assert_eq!(left, [held, retained]);
    // What was said for a while goes out of sight; no lock forbids that.
    store.withdraw(&keys).expect("hidden");
    assert_eq!(store.list("locked").expect("listed"), []);
    assert!(keys.iter().all(|key| store.head(key).expect("asked").is_none()));
}

fn every_call_says(store: &Store, kind: FaultKind) {
    let key = key("some/object");
    let two = || {
        let mut upload = store.upload(&key)?;
        upload.put(0, noise(upload.piece_size(0), 1))?;
        upload.put(1, noise(9, 1))?;
        upload.finish()
    };
    says(store, "put_new", kind, store.put_new(&key, noise(9, 1)));
    says(store, "replace", kind, store.replace(&key, noise(9, 1)));
    says(store, "upload", kind, two());
    every_reading_call_says(store, kind);
}

fn every_reading_call_says(store: &Store, kind: FaultKind) {
    let key = key("some/object");
    says(store, "head", kind, store.head(&key));
    says(store, "get", kind, store.get(&key, 9));
    says(store, "get_range", kind, store.get_range(&key, 0..9));
    says(store, "reader", kind, store.reader(&key, 0..9));
    says(store, "list", kind, store.list(""));
    says(store, "folders", kind, store.folders(""));
    says(store, "delete", kind, store.delete(std::slice::from_ref(&key)));
    says(store, "purge", kind, store.purge(std::slice::from_ref(&key)));
}

fn says<T: std::fmt::Debug>(store: &Store, call: &str, kind: FaultKind, result: Result<T, Fault>) {
    let fault = result.expect_err(call);
    println!("{call}: {fault}\n    {}", fault.hint);
    assert_eq!(fault.kind, kind, "{call}: {fault:?}");
    assert!(fault.message.contains(&store.url()), "{call}: {fault:?}");
    for secret in ["not-the-secret", "seawall-secret-of-the-test", "Eby8vdM02"] {
        assert!(!format!("{fault:?} {store:?}").contains(secret), "{call}: {fault:?}");
    }
}
