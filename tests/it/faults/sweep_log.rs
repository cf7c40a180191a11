//! `wal push` and `wal fetch` with a store that fails at its n-th call.

use std::fs;
use std::path::PathBuf;

use super::sweep::{At, Counter, sweep};
use crate::wal::room::{Room, Run, done, name, names, ready, said, segment};

/// Where the log goes, and whether this host has been there before.
#[derive(Debug, Clone, Copy)]
struct Way {
    name: &'static str,
    stores: &'static [&'static str],
    wal: &'static str,
    used: bool,
    mib: u32,
}

impl Way {
    const ONE: Way = Way { name: "one store", stores: &["one"], wal: "", used: true, mib: 1 };
}

struct Host {
    way: Way,
    room: Room,
    data: PathBuf,
    counter: Counter,
}

impl Host {
    /// Segments 1 to 3 wait, and the history of a timeline.
    fn new(way: Way) -> Host {
        let room = Room::new();
        room.policy("policy", way.stores, way.wal);
        let data = room.data("data");
        let counter = Counter::in_folder(&room.path("state"));
        let host = Host { way, room, data, counter };
        if way.used {
            ready(&host.data, &name(9), &segment(9, 1, 7));
            assert_eq!(host.room.push(&host.data, "policy", &name(9)).code, Some(0));
            done(&host.data, &name(9));
        }
        for file in host.files() {
            ready(&host.data, &file, &host.content(&file));
        }
        host
    }

    fn files(&self) -> Vec<String> {
        let segments = if self.way.mib > 1 { 1 } else { 3 };
        (1..=segments).map(name).chain(["00000002.history".to_owned()]).collect()
    }

    fn content(&self, file: &str) -> Vec<u8> {
        match file.parse::<seawall::units::WalFile>() {
            Ok(seawall::units::WalFile::Segment(_)) => segment(u32::from_str_radix(&file[16..], 16).expect("a number"), self.way.mib, 7),
            _ => b"1\t0/2000000\tno recovery target specified\n".to_vec(),
        }
    }

    fn push(&self, fault: Option<At>) -> (Run, u64) {
        let command = self.room.command(&self.data, "policy", &["push", &format!("pg_wal/{}", name(1))]);
        let (output, calls) = self.counter.run(command, fault);
        (said(output), calls)
    }

    fn has(&self, store: &str, file: &str) {
        self.room.policy("alone", &[store], "");
        let (run, got) = self.room.fetch(&self.data, "alone", file, &[]);
        let same = got.is_some_and(|got| got == self.content(file));
        assert!(run.code == Some(0) && same, "{file} in {store}: {run:?}");
    }
}

fn meets_push(way: Way, few: usize) {
    let (run, calls) = Host::new(way).push(None);
    assert_eq!(run.code, Some(0), "{run:?}");
    sweep(way.name, calls, few, |at| {
        let host = Host::new(way);
        let (run, calls) = host.push(Some(at));
        let acknowledged = match run.code {
            Some(0) => true,
            Some(1) if !at.passes && calls >= at.nth => {
                let names_it = way.stores.iter().any(|store| run.stderr.contains(&host.room.path(store).display().to_string()));
                assert!(names_it && run.stderr.contains("PostgreSQL keeps it and tries again"), "{at:?}: {run:?}");
                false
            }
            _ => panic!("{at:?}: {run:?}"),
        };
        let must: &[&str] = if way.wal.is_empty() { way.stores } else { &way.stores[..1] };
        if acknowledged {
            must.iter().for_each(|store| host.has(store, &name(1)));
            done(&host.data, &name(1));
        }
        // What was shipped ahead is acknowledged by its marker alone, and every file has to be where it must be then.
        for file in host.files().iter().skip(usize::from(acknowledged)) {
            let run = host.room.push(&host.data, "policy", file);
            assert_eq!(run.code, Some(0), "{at:?}: {run:?}");
            must.iter().for_each(|store| host.has(store, file));
            done(&host.data, file);
        }
        // What the second store is owed comes with the next file that is really shipped.
        ready(&host.data, &name(8), &segment(8, 1, 7));
        assert_eq!(host.room.push(&host.data, "policy", &name(8)).code, Some(0));
        for store in way.stores {
            host.files().iter().for_each(|file| host.has(store, file));
            assert_eq!(names(&host.room.path(store).join(".incoming")), [""; 0], "{at:?}");
        }
        calls
    });
}

#[test]
fn push_into_one_store() {
    meets_push(Way::ONE, 5);
}

#[test]
fn the_first_push() {
    meets_push(Way { name: "first push", used: false, ..Way::ONE }, 5);
}

#[test]
fn push_into_two_stores() {
    meets_push(Way { name: "two stores", stores: &["one", "two"], ..Way::ONE }, 5);
}

#[test]
fn push_where_the_first_store_is_enough() {
    meets_push(Way { name: "first is enough", stores: &["one", "two"], wal: ", acknowledged_by: first", ..Way::ONE }, 5);
}

#[test]
fn push_in_pieces() {
    meets_push(Way { name: "in pieces", mib: 32, ..Way::ONE }, 3);
}

/// A file that is there, and one that is not.
fn meets_fetch(name_of_test: &str, way: Way, file: &str, is_there: bool, standby: bool, few: usize) {
    let host = Host::new(way);
    for file in host.files() {
        assert_eq!(host.room.push(&host.data, "policy", &file).code, Some(0));
    }
    let fetch = |fault| {
        let words = ["fetch", file, "pg_wal/got", "--patience", "1s", "--no-prefetch"];
        let words = [&words[..], if standby { &["--standby"] } else { &[] }].concat();
        let (output, calls) = host.counter.run(host.room.command(&host.data, "policy", &words), fault);
        let got = fs::read(host.data.join("pg_wal/got")).ok();
        let _ = fs::remove_file(host.data.join("pg_wal/got"));
        assert!(!names(&host.data.join("pg_wal")).iter().any(|name| name.contains(".seawall-")), "{fault:?}");
        (said(output), got, calls)
    };
    let (run, _, calls) = fetch(None);
    assert_eq!((run.code, calls > 0), (Some(i32::from(!is_there)), true), "{run:?}");
    sweep(name_of_test, calls, few, |at| {
        let (run, got, calls) = fetch(Some(at));
        let met = calls >= at.nth;
        match (run.code, is_there) {
            (Some(0), true) => assert!(got.is_some_and(|got| got == host.content(file)), "{at:?}"),
            // Known to be absent: nothing may have gone wrong on the way to know it, unless it was asked again.
            (Some(1), false) if !met || !at.lasts() => assert_eq!((run.stderr.as_str(), got), ("", None), "{at:?}"),
            (Some(code @ (1 | 200)), _) if met && !at.passes && (code == 1) == standby => {
                let names_it = way.stores.iter().any(|store| run.stderr.contains(&host.room.path(store).display().to_string()));
                assert!(run.stderr.contains("could not be fetched") && names_it, "{at:?}: {run:?}");
                assert_eq!(got, None, "{at:?}");
            }
            _ => panic!("{at:?}, {calls} calls: {run:?}"),
        }
        calls
    });
}

#[test]
fn fetch_what_is_there() {
    meets_fetch("fetch", Way::ONE, &name(2), true, false, 8);
}

#[test]
fn fetch_what_is_not_there() {
    meets_fetch("absent", Way::ONE, "00000009.history", false, false, 8);
}

#[test]
fn fetch_for_a_standby() {
    meets_fetch("for a standby", Way::ONE, "00000002.history", true, true, 4);
}

/// What one of them could not say, the other one may.
#[test]
fn fetch_from_two_stores() {
    let two = Way { name: "two stores", stores: &["one", "two"], ..Way::ONE };
    meets_fetch("from two stores", two, &name(2), true, false, 4);
    meets_fetch("in neither store", two, "00000009.history", false, false, 4);
}
