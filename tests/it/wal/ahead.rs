//! What is shipped ahead of its turn, and what a marker may say of it.

use std::fs;
use std::time::{Duration, SystemTime};

use super::room::{Room, done, name, names, ready, segment};

#[test]
fn one_call_ships_what_is_ready_and_the_next_ones_ask_nobody() {
    let room = Room::new();
    let data = room.data("data");
    for number in 1..=9 {
        ready(&data, &name(number), &segment(number, 1, 7));
    }
    ready(&data, "00000002.history", b"1\t0/2000000\tno recovery target specified\n");
    assert_eq!(room.push(&data, "one", &name(1)).code, Some(0));
    assert_eq!(room.objects("one").len(), 10, "{:?}", room.objects("one"));
    done(&data, &name(1));
    // There is no store to ask, and no key to read.
    fs::rename(room.path("one"), room.path("away")).expect("moved");
    fs::rename(room.path("state/keys"), room.path("keys-away")).expect("moved");
    for number in 2..=9 {
        assert_eq!(room.push(&data, "one", &name(number)).code, Some(0), "{number}");
        done(&data, &name(number));
    }
    assert_eq!(room.push(&data, "one", "00000002.history").code, Some(0));
    done(&data, "00000002.history");
    fs::rename(room.path("away"), room.path("one")).expect("moved");
    fs::rename(room.path("keys-away"), room.path("state/keys")).expect("moved");
    // What PostgreSQL does not wait for any more needs no marker.
    ready(&data, &name(10), &segment(10, 1, 7));
    assert_eq!(room.push(&data, "one", &name(10)).code, Some(0));
    let marked = room.path(&format!("state/policies/shop/wal/{}/marked", super::room::CLUSTER));
    assert_eq!(names(&marked), [name(10)]);
}

#[test]
fn a_marker_does_not_speak_for_a_store_that_was_added() {
    let room = Room::new();
    let data = room.data("data");
    for number in 1..=2 {
        ready(&data, &name(number), &segment(number, 1, 7));
    }
    assert_eq!(room.push(&data, "one", &name(1)).code, Some(0));
    room.policy("both", &["one", "two"], "");
    assert_eq!(room.push(&data, "both", &name(2)).code, Some(0));
    assert!(room.object("two", &name(2)).is_some(), "it was acknowledged, and the new store has not got it");
}

#[test]
fn a_marker_does_not_speak_for_another_content() {
    let room = Room::new();
    let data = room.data("data");
    for number in 1..=3 {
        ready(&data, &name(number), &segment(number, 1, 7));
    }
    assert_eq!(room.push(&data, "one", &name(1)).code, Some(0));
    // Changed with its times put back; and changed by putting another file there.
    let path = data.join("pg_wal").join(name(2));
    let written = fs::metadata(&path).and_then(|about| about.modified()).expect("a time");
    fs::write(&path, segment(2, 1, 8)).expect("written");
    fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(written)).expect("a time");
    let run = room.push(&data, "one", &name(2));
    assert!(run.code == Some(1) && run.stderr.contains("other content"), "{run:?}");
    ready(&data, "beside", &segment(3, 1, 8));
    fs::rename(data.join("pg_wal/beside"), data.join("pg_wal").join(name(3))).expect("moved");
    let run = room.push(&data, "one", &name(3));
    assert!(run.code == Some(1) && run.stderr.contains("other content"), "{run:?}");
}

#[test]
fn a_file_that_was_just_written_is_believed_by_its_content_alone() {
    let room = Room::new();
    let data = room.data("data");
    ready(&data, &name(1), &segment(1, 1, 7));
    ready(&data, &name(2), &segment(2, 1, 7));
    let path = data.join("pg_wal").join(name(2));
    fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now())).expect("a time");
    assert_eq!(room.push(&data, "one", &name(1)).code, Some(0));
    // The very same content in another file: durable, so it is acknowledged without a store.
    let again = segment(2, 1, 7);
    fs::remove_file(&path).expect("removed");
    fs::write(&path, again).expect("written");
    fs::rename(room.path("one"), room.path("away")).expect("moved");
    assert_eq!(room.push(&data, "one", &name(2)).code, Some(0));
    std::thread::sleep(Duration::from_millis(10));
    let marked = room.path(&format!("state/policies/shop/wal/{}/marked/{}", super::room::CLUSTER, name(2)));
    for torn in ["", "seawall-wal-marker-1", "\0\0\0\0"] {
        fs::write(&marked, torn).expect("written");
        assert_eq!(room.push(&data, "one", &name(2)).code, Some(1), "{torn:?}");
    }
}

/// What was remembered of a policy must not outlive it.
#[test]
fn a_policy_that_changed_is_read_again() {
    let room = Room::new();
    let data = room.data("data");
    let hour_ago = |file: &str| {
        let time = SystemTime::now() - Duration::from_secs(3600);
        fs::File::options().append(true).open(room.path(file)).and_then(|file| file.set_modified(time)).expect("a time");
    };
    for number in 1..=4 {
        ready(&data, &name(number), &segment(number, 1, 7));
    }
    room.policy("base", &["one"], "");
    let base = fs::read_to_string(room.path("base.yaml")).expect("a policy");
    fs::write(room.path("base.yaml"), base.replace("policy: shop\n", "abstract: true\n")).expect("a policy");
    fs::write(room.path("child.yaml"), "version: 1\npolicy: shop\nextends: base.yaml\n").expect("a policy");
    for file in ["base.yaml", "child.yaml"] {
        hour_ago(file);
    }
    // The change of the times of a file is itself a change, which must have settled.
    std::thread::sleep(Duration::from_millis(2_200));
    for number in 1..=2 {
        let run = room.push(&data, "child", &name(number));
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    assert_eq!(names(&room.path("state/wal-passes")).len(), 1);
    // Nothing but the base says that there is another store now, and it has the length and the time that it had.
    let text = fs::read_to_string(room.path("base.yaml")).expect("a policy");
    let moved = text.replace(&format!("{}", room.path("one").display()), &format!("{}", room.path("two").display()));
    assert_eq!(moved.len(), text.len());
    fs::write(room.path("base.yaml"), moved).expect("a policy");
    hour_ago("base.yaml");
    assert_eq!(room.push(&data, "child", &name(3)).code, Some(0));
    assert!(room.object("two", &name(3)).is_some(), "it was acknowledged, and the store that the policy names now has not got it");
    fs::remove_file(room.path("base.yaml")).expect("removed");
    assert_eq!(room.push(&data, "child", &name(4)).code, Some(1));
}
