//! One name, one content, for ever.

use std::fs;

use super::room::{Room, keys, name, ready, segment};

#[test]
fn the_same_again_is_success_and_another_content_is_refused() {
    let room = Room::new();
    let (one, two) = (room.data("one-host"), room.data("other-host"));
    let file = name(1);
    ready(&one, &file, &segment(1, 1, 7));
    ready(&two, &file, &segment(1, 1, 7));
    let run = room.push(&one, "one", &file);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let object = room.object("one", &file).expect("it is there");
    let bytes = fs::read(&object).expect("it can be read");
    // From another host after a failover; and again by a host that lost its markers.
    assert_eq!(room.push(&two, "one", &file).code, Some(0));
    fs::remove_dir_all(room.path("state/policies")).expect("markers");
    assert_eq!(room.push(&one, "one", &file).code, Some(0));

    ready(&two, &file, &segment(1, 1, 8));
    for _ in 0..2 {
        let run = room.push(&two, "one", &file);
        assert_eq!(run.code, Some(1), "{run:?}");
        for word in [file.as_str(), "already with other content", "nothing was overwritten", "Two servers write the same timeline"] {
            assert!(run.stderr.contains(word), "{word}: {run:?}");
        }
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
    assert_eq!(fs::read(&object).expect("it can be read"), bytes);
    let (run, got) = room.fetch(&one, "one", &file, &[]);
    assert_eq!((run.code, got), (Some(0), Some(segment(1, 1, 7))), "{}", run.stderr);
}

#[test]
fn another_compression_does_not_make_another_name() {
    let room = Room::new();
    let data = room.data("data");
    let file = name(1);
    ready(&data, &file, &segment(1, 1, 7));
    assert_eq!(room.push(&data, "one", &file).code, Some(0));
    fs::remove_dir_all(room.path("state/policies/shop/wal")).expect("markers");
    let text = fs::read_to_string(room.path("one.yaml")).expect("a policy");
    fs::write(room.path("lz4.yaml"), format!("{text}compression: {{ lz4: {{}} }}\n")).expect("a policy");
    assert_eq!(room.push(&data, "lz4", &file).code, Some(0));
    ready(&data, &file, &segment(1, 1, 8));
    let run = room.push(&data, "lz4", &file);
    assert!(run.code == Some(1) && run.stderr.contains("other content"), "{run:?}");
    assert_eq!(room.objects("one").len(), 1);
    ready(&data, &name(2), &segment(2, 1, 7));
    assert_eq!(room.push(&data, "lz4", &name(2)).code, Some(0));
    assert!(room.objects("one").iter().any(|path| path.ends_with(format!("{}.lz4.age", name(2)))));
    let (run, got) = room.fetch(&data, "one", &name(2), &[]);
    assert_eq!((run.code, got), (Some(0), Some(segment(2, 1, 7))), "{}", run.stderr);
}

#[test]
fn a_host_whose_key_the_policy_does_not_accept_writes_nothing() {
    let room = Room::new();
    let data = room.data("data");
    ready(&data, &name(1), &segment(1, 1, 7));
    let stranger = keys(&room.path("state"), "db-2");
    let run = room.push(&data, "one", &name(1));
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(&stranger.fingerprint()) && run.stderr.contains(&stranger.public()), "{run:?}");
    assert!(room.objects("one").is_empty());
    assert_ne!(room.fingerprint(), stranger.fingerprint());
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_not_archived() {
    let room = Room::new();
    let data = room.data("data");
    let good = segment(1, 1, 7);
    for (file, bytes, said) in [
        (name(1), &good[..1 << 19], "it has 524288 bytes, and its header says 1048576"),
        (name(2), &good[..], "not of this segment"),
        (name(1), &[0; 100][..], "does not begin like a segment"),
        ("junk".to_owned(), &good[..], "is not the name of a file of the write-ahead log"),
    ] {
        ready(&data, &file, bytes);
        let run = room.push(&data, "one", &file);
        assert!(run.code == Some(1) && run.stderr.contains(said), "{run:?}");
    }
    assert!(room.push(&data, "one", &name(9)).stderr.contains("No such file"));
    assert_eq!(room.run(&data, "one", &["push"]).code, Some(64));
    assert!(room.objects("one").is_empty());
}
