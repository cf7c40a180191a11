//! Stores that are not there: nothing is acknowledged that is not where it must be, and nothing is called absent that was not looked for.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use seawall::format::layout::Repository;
use seawall::format::seal::{Identities, Unsealer};
use seawall::format::signature::Writers;
use seawall::inventory::SystemIdentifier;
use seawall::wal::{Archive, Fetched, Place, Source, Trust};
use serde_json::Value;

use super::room::{CLUSTER, Room, done, name, ready, said, segment};

#[test]
fn with_two_stores_both_must_have_it() {
    let room = Room::new();
    room.policy("both", &["one", "two"], "");
    let data = room.data("data");
    ready(&data, &name(1), &segment(1, 1, 7));
    // A file where the store's folder should be.
    fs::write(room.path("two"), "").expect("written");
    let run = room.push(&data, "both", &name(1));
    assert!(run.code == Some(1) && run.stderr.contains("store `two`"), "{run:?}");
    assert!(run.stderr.contains("PostgreSQL keeps it and tries again"), "{run:?}");
    assert!(room.object("one", &name(1)).is_some());
    fs::remove_file(room.path("two")).expect("removed");
    assert_eq!(room.push(&data, "both", &name(1)).code, Some(0));
    let (one, two) = (room.object("one", &name(1)), room.object("two", &name(1)));
    assert!(one.is_some() && two.is_some());
}

#[test]
fn where_the_first_is_enough_the_others_get_it_later() {
    let room = Room::new();
    room.policy("first", &["one", "two"], ", acknowledged_by: first");
    let data = room.data("data");
    fs::write(room.path("two"), "").expect("written");
    for number in 1..=3 {
        ready(&data, &name(number), &segment(number, 1, 7));
        assert_eq!(room.push(&data, "first", &name(number)).code, Some(0));
        done(&data, &name(number));
        fs::remove_file(data.join("pg_wal").join(name(number))).expect("recycled");
    }
    fs::remove_file(room.path("two")).expect("removed");
    ready(&data, &name(4), &segment(4, 1, 7));
    assert_eq!(room.push(&data, "first", &name(4)).code, Some(0));
    assert_eq!(room.objects("two").len(), 4);
    fs::remove_dir_all(room.path("one")).expect("removed");
    for number in 1..=4 {
        let (run, got) = room.fetch(&data, "first", &name(number), &[]);
        assert_eq!((run.code, got), (Some(0), Some(segment(number, 1, 7))), "{}", run.stderr);
    }
    // The first store is the one that must have it.
    ready(&data, &name(5), &segment(5, 1, 7));
    let run = room.push(&data, "first", &name(5));
    assert!(run.code == Some(1) && run.stderr.contains("store `one`"), "{run:?}");
}

/// What `wal status` says of the store that is owed.
fn owed(room: &Room, data: &std::path::Path) -> Value {
    let output = room.command(data, "first", &["status", "--format", "json"]).output().expect("it starts");
    crate::cli::follows("wal-status-output", &String::from_utf8(output.stdout).expect("text"))["here"]["owed"].clone()
}

/// Two servers write one timeline, and only the copy's store shows it.
#[test]
fn what_a_copy_refuses_is_not_passed_over_in_silence() {
    let room = Room::new();
    room.policy("second", &["two"], "");
    let other = room.data("other");
    ready(&other, &name(1), &segment(1, 1, 9));
    assert_eq!(room.push(&other, "second", &name(1)).code, Some(0));
    room.policy("first", &["one", "two"], ", acknowledged_by: first");
    let data = room.data("data");
    for number in 1..=3 {
        ready(&data, &name(number), &segment(number, 1, 7));
        assert_eq!(room.push(&data, "first", &name(number)).code, Some(0));
        done(&data, &name(number));
        let owed = owed(&room, &data);
        assert_eq!((&owed[0]["store"], &owed[0]["files"], &owed[0]["refused"]), (&"two".into(), &1.into(), &1.into()), "{number}: {owed}");
        assert!(owed[0]["why"].as_str().is_some_and(|why| why.contains("already with other content")), "{owed}");
        assert!(owed[0]["hint"].as_str().is_some_and(|hint| hint.contains("Two servers write the same timeline")), "{owed}");
    }
    let output = room.command(&data, "first", &["status"]).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains(&format!("    no waiting brings 1 of them there: {} is in ", name(1))), "{text}");
    // Whoever watches over this host tells of it, and of its end.
    let watch = |words: &[&str]| {
        let output = room.command_of(&data, "first", words).output().expect("it starts");
        String::from_utf8(output.stdout).expect("text")
    };
    watch(&["watch", "--host", "db-1"]);
    assert!(watch(&["status"]).contains("wal_owed:two"), "{}", watch(&["status"]));
    // Another host has no such note, and does not take that for the end of it.
    let (notes, aside) = (room.path(&format!("state/policies/shop/wal/{CLUSTER}/owed")), room.path("aside"));
    fs::rename(&notes, &aside).expect("hidden");
    watch(&["watch", "--host", "db-2"]);
    assert!(watch(&["status"]).contains("wal_owed:two"));
    fs::rename(&aside, &notes).expect("seen again");
    fs::remove_file(room.object("two", &name(1)).expect("the other server's")).expect("somebody made up his mind");
    ready(&data, &name(4), &segment(4, 1, 7));
    assert_eq!(room.push(&data, "first", &name(4)).code, Some(0));
    assert_eq!(owed(&room, &data), Value::Array(vec![]));
    watch(&["watch", "--host", "db-1"]);
    assert!(!watch(&["status"]).contains("wal_owed:two"), "{}", watch(&["status"]));
}

/// What expiry has let go of in the first store is wanted nowhere any more; what is missing in the middle is.
#[test]
fn only_what_was_lost_stays_owed() {
    let room = Room::new();
    room.policy("first", &["one", "two"], ", acknowledged_by: first");
    let data = room.data("data");
    fs::write(room.path("two"), "").expect("written");
    let push = |file: &str, content: &[u8]| {
        ready(&data, file, content);
        assert_eq!(room.push(&data, "first", file).code, Some(0));
        done(&data, file);
    };
    (1..=6).for_each(|number| push(&name(number), &segment(number, 1, 7)));
    let later = |number: u32| name(number).replacen("00000001", "00000002", 1);
    push(&later(7), &segment(7, 2, 7));
    for number in [1, 2, 3, 5] {
        fs::remove_file(room.object("one", &name(number)).expect("there")).expect("removed");
    }
    fs::remove_file(room.path("two")).expect("removed");
    push(&later(8), &segment(8, 2, 7));
    let left = owed(&room, &data);
    assert_eq!((&left[0]["files"], &left[0]["refused"]), (&1.into(), &1.into()), "{left}");
    assert!(left[0]["why"].as_str().is_some_and(|why| why.starts_with(&format!("{} was lost in ", name(5)))), "{left}");
    // In time the whole timeline goes.
    for number in [4, 6] {
        fs::remove_file(room.object("one", &name(number)).expect("there")).expect("removed");
    }
    push(&later(9), &segment(9, 2, 7));
    assert_eq!(owed(&room, &data), Value::Array(vec![]));
    // A disk that was away gets what it has missed.
    fs::rename(room.path("two"), room.path("away")).expect("moved");
    push(&later(10), &segment(10, 2, 7));
    fs::rename(room.path("away"), room.path("two")).expect("moved");
    push(&later(11), &segment(11, 2, 7));
    assert_eq!(owed(&room, &data), Value::Array(vec![]));
    assert!(room.object("two", &later(10)).is_some());
}

#[test]
fn a_store_that_vanished_is_not_begun_anew() {
    let room = Room::new();
    let data = room.data("data");
    ready(&data, &name(1), &segment(1, 1, 7));
    assert_eq!(room.push(&data, "one", &name(1)).code, Some(0));
    done(&data, &name(1));
    fs::rename(room.path("one"), room.path("away")).expect("moved");
    ready(&data, &name(2), &segment(2, 1, 7));
    for mounted in [false, true] {
        if mounted {
            // The mount point is there, and its disk is not.
            fs::create_dir(room.path("one")).expect("a folder");
        }
        let run = room.push(&data, "one", &name(2));
        assert!(run.code == Some(1) && run.stderr.contains("mounted?"), "{run:?}");
        let (run, got) = room.fetch(&data, "one", &name(1), &[]);
        assert_eq!((run.code, got), (Some(200), None), "{}", run.stderr);
        let (run, got) = room.fetch(&data, "one", &name(9), &["--standby"]);
        assert_eq!((run.code, got), (Some(1), None), "{}", run.stderr);
        assert!(run.stderr.contains("could not be fetched"), "{run:?}");
        assert!(room.objects("one").is_empty());
    }
    fs::remove_dir(room.path("one")).expect("removed");
    fs::rename(room.path("away"), room.path("one")).expect("moved");
    assert_eq!(room.push(&data, "one", &name(2)).code, Some(0));
}

/// `seawall restore` names the repository, so that nobody looks for it.
#[test]
fn a_named_repository_has_to_be_there() {
    let room = Room::new();
    let data = room.data("data");
    ready(&data, &name(1), &segment(1, 1, 7));
    assert_eq!(room.push(&data, "one", &name(1)).code, Some(0));
    let repository = room.repository("one");
    let named = ["--repository", repository.as_str()];
    assert_eq!(room.fetch(&data, "one", &name(1), &named).0.code, Some(0));
    assert_eq!(room.fetch(&data, "one", &name(9), &named).0.code, Some(1));
    fs::rename(room.path("one"), room.path("away")).expect("moved");
    for mounted in [false, true] {
        if mounted {
            fs::create_dir(room.path("one")).expect("a folder");
        }
        for number in [1, 9] {
            let (run, got) = room.fetch(&data, "one", &name(number), &named);
            assert_eq!((run.code, got), (Some(200), None), "{}", run.stderr);
            assert!(run.stderr.contains("mounted?"), "{}", run.stderr);
        }
    }
}

/// A store that was opened when it was there, as a process that lives long has it.
#[test]
fn a_store_that_goes_away_after_it_was_opened_has_not_lost_its_log() {
    let room = Room::new();
    let data = room.data("data");
    for number in [1, 2] {
        ready(&data, &name(number), &segment(number, 1, 7));
        assert_eq!(room.push(&data, "one", &name(number)).code, Some(0));
    }
    let repository: Repository = room.repository("one").parse().expect("an id");
    let root = room.path("one");
    let open = move || Ok(Place { store: crate::stores::local(&root), repository: repository.clone() });
    let source = Source::new("one".parse().expect("a name"), Box::new(open));
    let identities = Identities::parse(&fs::read(room.path("identity.txt")).expect("a key"), None).expect("an identity");
    let trust = Trust { identities, writers: Writers::default() };
    let archive = Archive { cluster: SystemIdentifier(CLUSTER), sources: vec![source], trust };
    let fetch = |number| archive.fetch(name(number).parse().expect("a segment"), &data.join("pg_wal/got"));
    assert!(matches!(fetch(1), Ok(Fetched::Done { .. })));
    assert_eq!(fetch(9), Ok(Fetched::Absent { partial: false }));
    fs::rename(room.path("one"), room.path("away")).expect("moved");
    fs::create_dir(room.path("one")).expect("a mount point");
    for number in [2, 9] {
        let fault = fetch(number).expect_err("it could not be asked");
        assert!(fault.may_pass() && fault.hint.contains("mounted?"), "{fault:?}");
    }
    fs::remove_dir(room.path("one")).expect("removed");
    fs::rename(room.path("away"), room.path("one")).expect("mounted");
    assert!(matches!(fetch(2), Ok(Fetched::Done { .. })));
}

/// While one call waits, PostgreSQL archives nothing else, and does not stop either.
#[test]
fn a_store_that_hangs_is_not_waited_for_as_long_as_it_likes() {
    let room = Room::new();
    let data = room.data("data");
    ready(&data, &name(1), &segment(1, 1, 7));
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let [nobody] = crate::clusters::free_ports();
    for port in [silent.local_addr().expect("its address").port(), nobody] {
        room.policy("cloud", &["one"], "");
        let text = fs::read_to_string(room.path("cloud.yaml")).expect("a policy").replace("timeout: 60s", "timeout: 15s");
        let (before, after) = text.split_once("one: { local: { path: ").expect("a store");
        let after = after.split_once("} }").expect("its end").1;
        let s3 = format!(
            "{before}one: {{ s3: {{ bucket: logs, region: eu, endpoint: \"http://127.0.0.1:{port}\", path_style: true }} }}{after}"
        );
        fs::write(room.path("cloud.yaml"), s3).expect("a policy");
        let began = Instant::now();
        let mut command = room.command(&data, "cloud", &["push", &format!("pg_wal/{}", name(1))]);
        let run = said(command.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b").output().expect("it starts"));
        assert!(run.code == Some(1) && run.stderr.contains("is not archived"), "{run:?}");
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}: {}", began.elapsed(), run.stderr);
    }
}

#[test]
fn only_the_store_that_is_named_is_asked() {
    let room = Room::new();
    room.policy("both", &["one", "two"], "");
    let data = room.data("data");
    ready(&data, &name(1), &segment(1, 1, 7));
    assert_eq!(room.push(&data, "both", &name(1)).code, Some(0));
    fs::rename(room.path("one"), room.path("away")).expect("moved");
    // The first is gone for good, so that what no store has cannot be told from what the first one had.
    assert_eq!(room.fetch(&data, "both", &name(9), &[]).0.code, Some(200));
    let two = ["--store", "two"];
    let (run, got) = room.fetch(&data, "both", &name(1), &two);
    assert_eq!((run.code, got, run.stderr.as_str()), (Some(0), Some(segment(1, 1, 7)), ""));
    assert_eq!(room.fetch(&data, "both", &name(9), &two).0.code, Some(1));
    // And nothing but it.
    fs::rename(room.path("two"), room.path("gone")).expect("moved");
    fs::rename(room.path("away"), room.path("one")).expect("moved");
    assert_eq!(room.fetch(&data, "both", &name(1), &two).0.code, Some(200));
    let (run, _) = room.fetch(&data, "both", &name(1), &["--store", "three"]);
    assert!(run.code == Some(200) && run.stderr.contains("no store `three`") && run.stderr.contains("one, two"), "{run:?}");
}

/// Not even when the file of the log is for the host itself: it reads them to know its timelines.
#[test]
fn this_host_opens_histories_and_labels_and_nothing_else() {
    let room = Room::new();
    let data = room.data("data");
    let label = format!("{}.00000028.backup", name(1));
    ready(&data, "00000002.history", b"1\t0/2000000\tno recovery target specified\n");
    ready(&data, &label, b"START WAL LOCATION: 0/1000028 (file 000000010000000000000001)\n");
    ready(&data, &name(1), &segment(1, 1, 7));
    let own = fs::read(room.path("state/keys/metadata")).expect("a key");
    let own = Identities::parse(&own, None).expect("an identity");
    for (file, opens) in [("00000002.history", true), (&*label, true), (&*name(1), false)] {
        assert_eq!(room.push(&data, "one", file).code, Some(0), "{file}");
        let sealed = fs::read(room.object("one", file).expect(file)).expect("an object");
        assert_eq!(Unsealer::new(&sealed[..], &own).is_ok(), opens, "{file}");
    }
}

#[test]
fn absent_is_what_every_store_was_asked_for() {
    let room = Room::new();
    room.policy("both", &["one", "two"], "");
    let data = room.data("data");
    ready(&data, &name(1), &segment(1, 1, 7));
    ready(&data, &format!("{}.partial", name(2)), &segment(2, 1, 7));
    assert_eq!(room.push(&data, "both", &name(1)).code, Some(0));
    for file in [&name(3), "00000002.history"] {
        let (run, _) = room.fetch(&data, "both", file, &[]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""), "{file}");
    }
    let (run, _) = room.fetch(&data, "both", &name(2), &[]);
    assert!(run.code == Some(1) && run.stderr.contains(&format!("{}.partial", name(2))), "{run:?}");
    fs::rename(room.path("two"), room.path("away")).expect("moved");
    let (run, _) = room.fetch(&data, "both", &name(3), &[]);
    assert_eq!(run.code, Some(200), "{run:?}");
    // What one of them has is there, whatever the other one says.
    let (run, got) = room.fetch(&data, "both", &name(1), &[]);
    assert_eq!((run.code, got), (Some(0), Some(segment(1, 1, 7))), "{}", run.stderr);
}

#[test]
fn nothing_that_is_wrong_on_the_command_line_looks_like_absent() {
    let room = Room::new();
    let data = room.data("data");
    for words in [&["fetch"][..], &["fetch", "junk", "pg_wal/got"], &["fetch", &name(1), "pg_wal/got", "--patience", "soon"]] {
        let run = room.run(&data, "one", words);
        assert_eq!(run.code, Some(200), "{run:?}");
    }
    let run = room.run(&data, "no-such-policy", &["fetch", &name(1), "pg_wal/got"]);
    assert_eq!(run.code, Some(200), "{run:?}");
    fs::remove_file(data.join("global/pg_control")).expect("removed");
    let (run, _) = room.fetch(&data, "one", &name(1), &[]);
    assert_eq!(run.code, Some(200), "{run:?}");
}
