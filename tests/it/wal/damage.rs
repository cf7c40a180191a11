//! What somebody planted or a disk changed is never put in place, and never called absent.

use std::fs;

use super::room::{Room, keys, name, ready, segment};

/// Two stores with the same segment.
fn both() -> (Room, std::path::PathBuf) {
    let room = Room::new();
    room.policy("both", &["one", "two"], "");
    let data = room.data("data");
    ready(&data, &name(1), &segment(1, 1, 7));
    ready(&data, &name(2), &segment(2, 1, 7));
    assert_eq!(room.push(&data, "both", &name(1)).code, Some(0));
    (room, data)
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let (room, data) = both();
    let object = room.object("one", &name(1)).expect("it is there");
    let whole = fs::read(&object).expect("it can be read");
    let length = whole.len();
    // The header's every part, and the body's beginning, middle and end.
    let places = (0..2048).step_by(97).chain([length / 2, length - 65_600, length - 17, length - 1]);
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(&object, &bytes).expect("written");
        let (run, got) = room.fetch(&data, "one", &name(1), &[]);
        assert_eq!((run.code, got), (Some(200), None), "byte {at}: {}", run.stderr);
        assert!(run.stderr.contains(&name(1)), "{run:?}");
    }
    for kept in [0, 100, 5000, length - 1] {
        fs::write(&object, &whole[..kept]).expect("written");
        let (run, got) = room.fetch(&data, "one", &name(1), &[]);
        assert_eq!((run.code, got), (Some(200), None), "{kept} bytes: {}", run.stderr);
    }
    fs::write(&object, [&whole[..], b"more"].concat()).expect("written");
    assert_eq!(room.fetch(&data, "one", &name(1), &[]).0.code, Some(200));
    // Another store's copy is whole, and it is said that this one is not.
    let (run, got) = room.fetch(&data, "both", &name(1), &[]);
    assert_eq!((run.code, got), (Some(0), Some(segment(1, 1, 7))), "{}", run.stderr);
    assert!(run.stderr.contains("store `one`") && run.stderr.contains("taken from another store"), "{run:?}");
}

#[test]
fn a_segment_under_another_name_is_refused() {
    let (room, data) = both();
    let (one, two) = (room.object("one", &name(1)).expect("there"), room.object("one", &name(2)).expect("there"));
    fs::copy(&one, &two).expect("copied");
    let (run, got) = room.fetch(&data, "one", &name(2), &[]);
    assert_eq!((run.code, got), (Some(200), None), "{}", run.stderr);
    assert!(run.stderr.contains("is refused"), "{run:?}");
}

/// Mallory has the bucket, the policy with its public keys, and a key of his own.
#[test]
fn what_was_planted_is_refused_and_named() {
    let (room, data) = both();
    let accepted = fs::read_to_string(room.path("one.yaml")).expect("a policy");
    let mallory = keys(&room.path("mallory"), "mallory");
    room.policy_with("mallory", &["one"], "", &format!("writers: {{ mallory: \"{}\" }}", mallory.public()));
    let theirs = room.data("theirs");
    ready(&theirs, &name(5), &segment(5, 1, 66));
    let planted = room
        .account
        .command(env!("CARGO_BIN_EXE_seawall"))
        .args(["wal", "push", &format!("pg_wal/{}", name(5)), "--policy"])
        .arg(room.path("mallory.yaml"))
        .arg("--state")
        .arg(room.path("mallory"))
        .current_dir(&theirs)
        .status()
        .expect("it starts");
    assert!(planted.success());
    assert_eq!(fs::read_to_string(room.path("one.yaml")).expect("a policy"), accepted);
    let (run, got) = room.fetch(&data, "one", &name(5), &[]);
    assert_eq!((run.code, got), (Some(200), None), "{}", run.stderr);
    assert!(run.stderr.contains(&mallory.fingerprint()) && run.stderr.contains("does not accept"), "{run:?}");
    // The host whose segment it would be hears of it, even if the content were the same.
    for seed in [5, 66] {
        ready(&data, &name(5), &segment(5, 1, seed));
        let run = room.push(&data, "one", &name(5));
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stderr.contains("is refused") && run.stderr.contains(&mallory.fingerprint()), "{run:?}");
    }
}
