//! The store that misbehaves does so as it was told.

use std::io::Read;
use std::process::Command;

use bytes::Bytes;
use seawall::store::{FaultKind, Faults, Put, Store};

use super::contract::{key, noise};
use super::local;

fn faulty(text: &str) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::faulty(local(directory.path()), text.parse::<Faults>().expect(text));
    (directory, store)
}

#[test]
fn without_patience_faults_come_out() {
    let (_kept, store) = faulty("nth=1,kind=transient,on=put-new; nth=2,kind=after-commit,on=put-new; nth=1,kind=permanent,on=get");
    let body = Bytes::from_static(b"body");
    assert_eq!(store.put_new(&key("a"), body.clone()).expect_err("the first").kind, FaultKind::Transient);
    assert_eq!(store.head(&key("a")), Ok(None));
    assert_eq!(store.put_new(&key("a"), body.clone()).expect_err("the second").kind, FaultKind::Transient);
    assert!(store.head(&key("a")).expect("it answers").is_some(), "it was committed all the same");
    assert_eq!(store.put_new(&key("a"), body.clone()), Ok(Put::Exists));
    assert_eq!(store.get(&key("a"), 10).expect_err("the first").kind, FaultKind::Other);
    assert_eq!(store.get(&key("a"), 10), Ok(body));
}

#[test]
fn a_request_that_arrives_twice_creates_once() {
    let (_kept, store) = faulty("nth=1,kind=twice,on=put-new; nth=1,kind=twice,on=delete");
    assert_eq!(store.put_new(&key("a"), Bytes::new()), Ok(Put::Exists));
    store.delete(&[key("a")]).expect("deleted");
    assert_eq!(store.head(&key("a")), Ok(None));
}

#[test]
fn what_lasts_lasts() {
    for (kind, is) in [("vanished", FaultKind::NoStore), ("revoked", FaultKind::Denied)] {
        let (_kept, store) = faulty(&format!("nth=3,kind={kind}; patience=5"));
        let mut upload = store.upload(&key("a")).expect("the first call");
        upload.put(0, noise(9, 1)).expect("the second call");
        assert_eq!(upload.finish().expect_err("the third call").kind, is);
        assert_eq!(store.list("").expect_err("from then on").kind, is);
        assert_eq!(store.head(&key("a")).expect_err("from then on").kind, is);
    }
}

#[test]
fn a_slow_link_is_slow() {
    let (_kept, store) = faulty("slow=1MB/s");
    let since = std::time::Instant::now();
    store.put_new(&key("a"), noise(500_000, 1)).expect("put");
    store.reader(&key("a"), 0..500_000).expect("a stream").read_to_end(&mut Vec::new()).expect("read");
    assert!(since.elapsed().as_millis() > 600, "{:?}", since.elapsed());
}

/// Every store that a process opens, when its environment says so.
#[test]
fn faults_come_by_the_environment() {
    const INSIDE: &str = "SEAWALL_TEST_FAULTS";
    if std::env::var_os(INSIDE).is_some() {
        let directory = tempfile::tempdir().expect("a directory");
        let (one, other) = (local(directory.path()), local(directory.path()));
        one.put_new(&key("a"), Bytes::new()).expect("the first call");
        assert_eq!(other.put_new(&key("b"), Bytes::new()).expect_err("the second call").kind, FaultKind::Transient);
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let count = directory.path().join("calls");
    let run = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "stores::faults::faults_come_by_the_environment"])
        .env(INSIDE, format!("nth=2,kind=throttled;count={}", count.display()))
        .output()
        .expect("it starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    assert_eq!(std::fs::read(&count).expect("counted").len(), 2);
}
