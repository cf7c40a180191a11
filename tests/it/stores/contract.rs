//! What everybody who uses a store relies on.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Barrier;
use std::thread;

use bytes::Bytes;
use seawall::store::{FaultKind, Key, Put, Store};

pub(super) fn key(text: &str) -> Key {
    Key::new(text).expect(text)
}

/// Bytes of which no two stretches are alike.
pub(super) fn noise(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

pub(super) fn kept_by(store: &Store) {
    put_new_never_overwrites(store);
    put_new_has_one_winner(store);
    replace_replaces(store);
    every_size_comes_back(store);
    pieces_come_in_any_order(store);
    uploads_are_invisible_until_finished(store);
    uploads_never_overwrite(store);
    listings_are_in_the_order_of_names(store);
    listings_go_by_pages(store);
    deleting_twice_is_no_fault(store);
    purging_is_deleting_for_good(store);
    absent_is_said_of_what_is_absent(store);
    the_probe_finds_nothing_wrong(store);
    threads_do_not_disturb_each_other(store);
}

fn put_new_never_overwrites(store: &Store) {
    let key = key("once/object");
    assert_eq!(store.put_new(&key, Bytes::from_static(b"one")), Ok(Put::Created));
    assert_eq!(store.put_new(&key, Bytes::from_static(b"two")), Ok(Put::Exists));
    assert_eq!(store.put_new(&key, Bytes::from_static(b"one")), Ok(Put::Exists));
    assert_eq!(store.get(&key, 100).expect("it is there"), "one");
}

fn put_new_has_one_winner(store: &Store) {
    for round in 0..3 {
        let key = key(&format!("race/{round}"));
        let start = Barrier::new(8);
        let won: Vec<usize> = thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|racer| {
                    let (store, key, start) = (store.clone(), &key, &start);
                    scope.spawn(move || {
                        start.wait();
                        let body = Bytes::from(format!("racer {racer}"));
                        (store.put_new(key, body).expect("it answers") == Put::Created).then_some(racer)
                    })
                })
                .collect();
            racers.into_iter().filter_map(|racer| racer.join().expect("no panic")).collect()
        });
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        assert_eq!(store.get(&key, 100).expect("it is there"), format!("racer {}", won[0]));
    }
}

fn replace_replaces(store: &Store) {
    let key = key("hint/latest");
    for text in ["first", "second, and longer", ""] {
        store.replace(&key, Bytes::from_static(text.as_bytes())).expect("replaced");
        assert_eq!(store.get(&key, 100).expect("it is there"), text);
    }
}

fn every_size_comes_back(store: &Store) {
    let piece = store.upload(&key("size/probe")).expect("begun").piece_size(0);
    for (number, size) in [0, 1, piece - 1, piece, piece + 1, 3 * piece + 4_711].into_iter().enumerate() {
        let body = noise(size, number as u64 + 1);
        let key = key(&format!("size/{size}"));
        let mut upload = store.upload(&key).expect("begun");
        for (index, start) in (0..size).step_by(piece).enumerate() {
            upload.put(index as u32, body.slice(start..size.min(start + piece))).expect("put");
        }
        upload.finish().expect("finished");
        let meta = store.head(&key).expect("it answers").expect("it is there");
        assert_eq!((meta.size, meta.frozen, &meta.key), (size as u64, false, &key));
        assert!(store.get(&key, size).expect("it is there") == body, "size {size}");
        read_in_parts(store, &key, &body);
        if size > 0 {
            assert_eq!(store.get(&key, size - 1).expect_err("too long").kind, FaultKind::Damaged);
        }
        let beyond = store.get_range(&key, 0..size as u64 + 1).expect_err("beyond the end");
        assert_eq!(beyond.kind, FaultKind::Damaged, "{beyond:?}");
    }
}

fn read_in_parts(store: &Store, key: &Key, body: &Bytes) {
    let size = body.len();
    let ranges = [(0, size), (0, size.min(1)), (size / 3, size / 2), (size.saturating_sub(1), size), (size / 2, size)];
    for (start, end) in ranges {
        let (range, expected) = (start as u64..end as u64, body.slice(start..end));
        assert!(store.get_range(key, range.clone()).expect("a range") == expected, "{key} {range:?}");
        let mut read = Vec::new();
        store.reader(key, range.clone()).expect("a stream").read_to_end(&mut read).expect("read");
        assert!(read == expected, "{key} {range:?} as a stream");
    }
    let beyond = store.reader(key, 0..size as u64 + 10).map(|mut reader| reader.read_to_end(&mut Vec::new()));
    assert!(!matches!(beyond, Ok(Ok(_))), "a stream beyond the end: {beyond:?}");
}

fn pieces_come_in_any_order(store: &Store) {
    let key = key("order/object");
    let mut upload = store.upload(&key).expect("begun");
    let piece = upload.piece_size(0);
    let body = noise(2 * piece + 99, 42);
    for index in [2, 0, 1] {
        let start = index * piece;
        upload.put(index as u32, body.slice(start..body.len().min(start + piece))).expect("put");
    }
    upload.finish().expect("finished");
    assert!(store.get(&key, body.len()).expect("it is there") == body);
}

fn uploads_are_invisible_until_finished(store: &Store) {
    let key = key("invisible/object");
    for pieces in [1, 2] {
        let mut upload = store.upload(&key).expect("begun");
        for index in 0..pieces {
            upload.put(index, noise(upload.piece_size(0), 7)).expect("put");
        }
        assert_eq!(store.head(&key), Ok(None));
        assert_eq!(store.list("invisible"), Ok(vec![]));
        drop(upload);
        assert_eq!(store.head(&key), Ok(None));
        assert_eq!(store.list("invisible"), Ok(vec![]));
    }
}

fn uploads_never_overwrite(store: &Store) {
    for pieces in [1_u32, 2] {
        let key = key(&format!("taken/{pieces}"));
        assert_eq!(store.put_new(&key, Bytes::from_static(b"mine")), Ok(Put::Created));
        let mut upload = store.upload(&key).expect("begun");
        for index in 0..pieces {
            upload.put(index, noise(upload.piece_size(0), 8)).expect("put");
        }
        let fault = upload.finish().expect_err("the name is taken");
        assert_eq!(fault.kind, FaultKind::Other, "{fault:?}");
        assert!(fault.message.contains("is there already"), "{fault}");
        assert_eq!(store.get(&key, 100).expect("it is there"), "mine");
    }
}

fn listings_are_in_the_order_of_names(store: &Store) {
    let names = ["list/a-b", "list/a.c/x", "list/a/b", "list/a/c/d", "list/b", "list/b-", "list/b0", "list2/x", "lis/x"];
    for name in names {
        assert_eq!(store.put_new(&key(name), Bytes::from_static(b"x")), Ok(Put::Created), "{name}");
    }
    let list = |prefix: &str| store.list(prefix).expect("listed").into_iter().map(|meta| meta.key.to_string()).collect::<Vec<_>>();
    assert_eq!(list("list"), ["list/a-b", "list/a.c/x", "list/a/b", "list/a/c/d", "list/b", "list/b-", "list/b0"]);
    assert_eq!(list("list/a"), ["list/a/b", "list/a/c/d"]);
    assert_eq!(list("list/a/"), ["list/a/b", "list/a/c/d"]);
    assert_eq!(list("list/nothing"), Vec::<String>::new());
    let all = list("");
    assert!(all.is_sorted() && names.iter().all(|name| all.iter().any(|known| known == name)), "{all:?}");
    assert_eq!(store.folders("list"), Ok(vec!["a".to_owned(), "a.c".to_owned()]));
    assert_eq!(store.folders("list/a"), Ok(vec!["c".to_owned()]));
    assert_eq!(store.folders("list/nothing"), Ok(vec![]));
    assert!(store.folders("").expect("listed").contains(&"list2".to_owned()));

    let after = |start: &str| {
        let mut names = Vec::new();
        let listed = store.list_after("list", Some(&key(start)), &mut |meta| {
            names.push(meta.key.to_string());
            if names.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        listed.expect("listed");
        names
    };
    assert_eq!(after("list/a-b"), ["list/a.c/x", "list/a/b"]);
    assert_eq!(after("list/a/bb"), ["list/a/c/d", "list/b"]);
    assert_eq!(after("list/b-"), ["list/b0"]);
    let one = &store.list("list/a.c").expect("listed")[0];
    assert_eq!((one.size, one.frozen), (1, false));
    assert_eq!(store.head(&key("list/a.c/x")).expect("it answers").expect("it is there").size, 1);
}

/// More names than a page of any service has.
fn listings_go_by_pages(store: &Store) {
    let all: Vec<Key> = (0..1_203).map(|number| key(&format!("pages/{number:05}"))).collect();
    thread::scope(|scope| {
        for chunk in all.chunks(all.len().div_ceil(8)) {
            scope.spawn(move || {
                for key in chunk {
                    assert_eq!(store.put_new(key, Bytes::new()), Ok(Put::Created));
                }
            });
        }
    });
    let listed: Vec<Key> = store.list("pages").expect("listed").into_iter().map(|meta| meta.key).collect();
    assert_eq!(listed, all);
    store.delete(&all).expect("deleted");
    assert_eq!(store.list("pages"), Ok(vec![]));
}

fn deleting_twice_is_no_fault(store: &Store) {
    let keys = [key("gone/a"), key("gone/b"), key("gone/never")];
    for key in &keys[..2] {
        assert_eq!(store.put_new(key, Bytes::from_static(b"x")), Ok(Put::Created));
    }
    for _ in 0..2 {
        store.delete(&keys).expect("deleted");
        assert_eq!(store.head(&keys[0]), Ok(None));
    }
    store.delete(&[]).expect("nothing to do");
    assert_eq!(store.put_new(&keys[0], Bytes::from_static(b"again")), Ok(Put::Created));
}

fn purging_is_deleting_for_good(store: &Store) {
    let keys = [key("purge/a/one"), key("purge/a/two"), key("purge/b/one"), key("purge/nothing")];
    for key in &keys[..3] {
        assert_eq!(store.put_new(key, noise(9, 1)), Ok(Put::Created));
    }
    assert_eq!(store.locks(&keys), Ok(vec![]));
    for _ in 0..2 {
        let purged = store.purge(&keys).expect("purged");
        assert_eq!(purged, seawall::store::Purged::default());
        assert_eq!(store.list("purge"), Ok(vec![]));
    }
    assert_eq!(store.purge(&[]), Ok(seawall::store::Purged::default()));
    assert_eq!(store.put_new(&keys[0], noise(9, 2)), Ok(Put::Created));
    store.purge(&keys).expect("purged");
}

fn absent_is_said_of_what_is_absent(store: &Store) {
    let key = key("absent/object");
    assert_eq!(store.head(&key), Ok(None));
    for fault in [
        store.get(&key, 10).expect_err("it is not there"),
        store.get_range(&key, 0..10).expect_err("it is not there"),
        store.reader(&key, 0..10).map(drop).expect_err("it is not there"),
    ] {
        assert!(fault.is_absent(), "{fault:?}");
        assert!(fault.message.contains("absent/object") && fault.message.contains(&store.url()), "{fault}");
    }
    // A folder is no object.
    assert_eq!(store.head(&super::contract::key("list/a")), Ok(None));
    assert!(store.get(&super::contract::key("list/a"), 10).expect_err("a folder").is_absent());
}

fn the_probe_finds_nothing_wrong(store: &Store) {
    store.check_conditional_put(&key("probe/1")).expect("it keeps what is there");
    assert_eq!(store.list("probe"), Ok(vec![]));
}

fn threads_do_not_disturb_each_other(store: &Store) {
    thread::scope(|scope| {
        for worker in 0..4_u64 {
            scope.spawn(move || {
                let key = key(&format!("threads/{worker}"));
                let mut upload = store.upload(&key).expect("begun");
                let piece = upload.piece_size(0);
                let body = noise(2 * piece + worker as usize, worker + 100);
                for (index, start) in (0..body.len()).step_by(piece).enumerate() {
                    upload.put(index as u32, body.slice(start..body.len().min(start + piece))).expect("put");
                }
                upload.finish().expect("finished");
                let mut read = Vec::new();
                store.reader(&key, 0..body.len() as u64).expect("a stream").read_to_end(&mut read).expect("read");
                assert!(read == body, "worker {worker}");
            });
        }
    });
}
