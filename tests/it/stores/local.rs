//! What can go wrong with a directory.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use seawall::store::{FaultKind, Place, Put, Settings, Store};

use super::contract::{key, noise};
use super::local;

fn incoming(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join(".incoming")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[test]
fn an_unmounted_disk_is_not_an_empty_store() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("not/mounted");
    let store = local(&root);
    for fault in [
        store.head(&key("a")).map(drop).expect_err("head"),
        store.get(&key("a"), 1).map(drop).expect_err("get"),
        store.get_range(&key("a"), 0..1).map(drop).expect_err("get_range"),
        store.reader(&key("a"), 0..1).map(drop).expect_err("reader"),
        store.list("").map(drop).expect_err("list"),
        store.folders("a").map(drop).expect_err("folders"),
        store.delete(&[key("a")]).expect_err("delete"),
    ] {
        assert_eq!(fault.kind, FaultKind::NoStore, "{fault:?}");
        assert!(fault.message.contains(&format!("file://{}", root.display())), "{fault}");
    }
    assert!(!root.exists(), "looking makes nothing");
    store.put_new(&key("a/b"), Bytes::new()).expect("the first object makes it");
    for made in [&root, &root.join("a"), &root.join(".incoming")] {
        assert_eq!(fs::metadata(made).expect("it is there").permissions().mode() & 0o777, 0o700, "{}", made.display());
    }
    assert_eq!(fs::metadata(root.join("a/b")).expect("it is there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn nothing_is_left_of_what_failed_or_was_given_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = local(directory.path());
    store.put_new(&key("taken"), Bytes::from_static(b"x")).expect("put");
    assert_eq!(store.put_new(&key("taken"), Bytes::from_static(b"y")), Ok(Put::Exists));
    // An object where a folder would have to be.
    store.put_new(&key("taken/below"), Bytes::new()).expect_err("no folder can be made there");
    store.replace(&key("taken/below"), Bytes::new()).expect_err("no folder can be made there");
    let mut upload = store.upload(&key("given/up")).expect("begun");
    upload.put(0, noise(100, 1)).expect("put");
    assert_eq!(incoming(directory.path()).len(), 1);
    drop(upload);
    assert_eq!(incoming(directory.path()), Vec::<String>::new());
    assert!(!directory.path().join("given").exists());
}

#[test]
fn leftovers_of_the_dead_are_swept_before_the_first_object() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join(".incoming")).expect("made");
    let left = directory.path().join(".incoming/4194305-0-0badcafe");
    File::create(&left).expect("made").set_modified(SystemTime::now() - Duration::from_secs(48 * 3600)).expect("set");
    let store = local(directory.path());
    assert_eq!(store.list("").expect("listed"), vec![]);
    assert!(left.exists(), "looking sweeps nothing");
    store.put_new(&key("a"), Bytes::new()).expect("put");
    assert!(!left.exists());
}

#[test]
fn the_upload_limit_is_kept_by_all_together() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = Place::Local { path: directory.path().to_owned() };
    let store = Store::open(&Settings { upload_limit: Some("8MB/s".parse().expect("a rate")), ..Settings::new(place) }).expect("it opens");
    let since = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let store = store.clone();
            scope.spawn(move || {
                let mut upload = store.upload(&key(&format!("limited/{worker}"))).expect("begun");
                for index in 0..2 {
                    upload.put(index, noise(if index == 0 { upload.piece_size(0) } else { 200_000 }, 1)).expect("put");
                }
                upload.finish().expect("finished");
            });
        }
    });
    // 17.6 MB, less what may go ahead.
    assert!(since.elapsed() > Duration::from_millis(1_700), "{:?}", since.elapsed());
}

/// As root: a small file system of its own, and a directory that root may not write to.
#[test]
fn a_full_disk_and_one_that_is_read_only() {
    if !rustix::process::geteuid().is_root() {
        println!("not as root: nothing can be mounted");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("small");
    fs::create_dir(&root).expect("made");
    let mount = |options: &str| {
        let run = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&root).status().expect("mount starts");
        run.success()
    };
    if !mount("size=12m") {
        println!("mounting is not allowed here");
        return;
    }
    let _unmounted_at_the_end = Mounted(root.clone());
    let store = local(&root);
    store.put_new(&key("kept"), noise(1 << 20, 1)).expect("there is room");
    let large = || {
        let mut upload = store.upload(&key("large"))?;
        (0..4).try_for_each(|index| upload.put(index, noise(upload.piece_size(0), 2)))?;
        upload.finish()
    };
    let fault = large().expect_err("no room");
    assert_eq!(fault.kind, FaultKind::Full, "{fault:?}");
    assert_eq!(store.put_new(&key("large"), noise(12 << 20, 2)).expect_err("no room").kind, FaultKind::Full);
    assert_eq!(store.replace(&key("kept"), noise(12 << 20, 2)).expect_err("no room").kind, FaultKind::Full);
    assert_eq!(incoming(&root), Vec::<String>::new());
    assert_eq!(store.list("").expect("listed").len(), 1);
    assert_eq!(store.get(&key("kept"), 1 << 20).expect("it is there"), noise(1 << 20, 1));
    store.put_new(&key("small"), noise(1 << 20, 3)).expect("there is room again");

    assert!(mount("remount,ro"), "it can be made read-only");
    for fault in [
        store.put_new(&key("more"), Bytes::new()).map(drop).expect_err("read-only"),
        store.replace(&key("kept"), Bytes::new()).expect_err("read-only"),
        store.upload(&key("more")).map(drop).expect_err("read-only"),
        store.delete(&[key("kept")]).expect_err("read-only"),
    ] {
        assert_eq!(fault.kind, FaultKind::Denied, "{fault:?}");
    }
    assert!(store.head(&key("kept")).expect("it answers").is_some());
}

struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
