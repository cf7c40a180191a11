//! The log that nothing needs, and all that something does.

use std::collections::BTreeSet;

use seawall::format::codec::{Codec, Envelope};
use seawall::units::{Key, WalFile};

use super::rig::{Ground, day, ids, later};
use crate::repository::fixture::{CLUSTER, SEGMENT, moment, segment, segment_bytes, timeline};

/// A segment a night, with the night's backup in it.
fn nights(ground: &Ground, range: std::ops::Range<i64>) {
    for number in range {
        put(ground, 1, number as u64);
        ground.backup(&format!("n{number:02}"), &day(number), number as u64);
    }
}

fn put(ground: &Ground, line: u32, number: u64) -> Key {
    let written = day(i64::try_from(number).expect("few"));
    ground.fixture.wal(WalFile::Segment(segment(line, number)), &segment_bytes(line, number), &written)
}

fn set(numbers: impl IntoIterator<Item = u64>) -> BTreeSet<u64> {
    numbers.into_iter().collect()
}

#[test]
fn the_log_goes_after_its_backup_and_in_two_phases() {
    let mut ground = Ground::keeping("{ last: 3 }");
    ground.change("keep: 1d }", "keep: 2d }");
    ground.add("expire: { brake: 100% }\n");
    nights(&ground, 0..10);
    // One of the oldest stays on its own account, with its own log.
    ground.backup_with("kept", &day(1), 1, |descriptor| descriptor.keep = Some(seawall::inventory::OwnKeep::Until(moment(&day(900)))));
    // All of them lead there as well.
    let history = ground.fixture.history(2, "1\t0/A00000\tno recovery target specified\n");
    let label: WalFile = format!("{}.00000028.backup", segment(1, 2)).parse().expect("a label");
    let label = ground.fixture.wal(label, b"START WAL LOCATION\n", &day(2));
    let partial = ground.fixture.wal(WalFile::Partial(segment(1, 2)), &segment_bytes(1, 2), &day(2));
    let claim = ground.fixture.repository.wal_claim(CLUSTER, WalFile::Segment(segment(1, 2)));
    ground.fixture.store.replace(&claim, "claim".into()).expect("put");
    let noon = later(&day(9), 10);
    let first = ground.expire(&noon);
    assert_eq!((first.marked.len(), ground.segments(1)), (7, set(0..10)), "{first:?}");
    // The backups go; their log was theirs until now, and is marked.
    let second = ground.expire(&later(&noon, 24));
    assert_eq!((ids(&second.deleted).len(), ground.segments(1)), (7, set(0..10)), "{second:?}");
    assert_eq!(second.marked.len(), 1, "{second:?}");
    assert!(ground.expire(&later(&noon, 47)).deleted.is_empty());
    let third = ground.expire(&later(&noon, 48));
    // The window of two days begins with the newest base before it, and that is the oldest of the last three.
    assert_eq!(ground.segments(1), set([1, 7, 8, 9]), "{third:?}");
    assert_eq!(third.deleted[0].objects, 8, "{third:?}");
    assert!(third.bytes > 0 && third.deleted[0].reason.contains("wal.keep"));
    for (key, stays) in [(&history, true), (&label, false), (&partial, false), (&claim, false)] {
        assert_eq!(ground.fixture.file(key).exists(), stays, "{key}");
    }
    assert!(ground.names("expiring").is_empty());
    assert_eq!(ground.there(), ["kept", "n07", "n08", "n09"]);
}

/// The descriptor of a backup is lost, or hidden: its log was in no mark, and has its own time to be missed in.
#[test]
fn the_log_of_a_backup_that_drops_out_of_view_waits_for_a_time_of_its_own() {
    let mut ground = Ground::keeping("{ last: 3 }");
    ground.add("expire: { brake: 100% }\n");
    nights(&ground, 0..10);
    let kept =
        ground.backup_with("kept", &day(1), 1, |descriptor| descriptor.keep = Some(seawall::inventory::OwnKeep::Until(moment(&day(900)))));
    let noon = later(&day(9), 10);
    ground.expire(&noon);
    ground.expire(&later(&noon, 24));
    let descriptor = ground.fixture.file(&ground.fixture.repository.descriptor(moment(&day(1)), &kept.id));
    let aside = descriptor.with_extension("aside");
    std::fs::rename(&descriptor, &aside).expect("aside");
    let third = ground.expire(&later(&noon, 48));
    assert_eq!(ground.segments(1), set([1, 7, 8, 9]), "{third:?}");
    assert_eq!(third.marked.len(), 1, "{third:?}");
    ground.expire(&later(&noon, 71));
    assert_eq!(ground.segments(1), set([1, 7, 8, 9]));
    // Found again in time, it is whole.
    std::fs::rename(&aside, &descriptor).expect("back");
    let found = ground.expire(&later(&noon, 72));
    assert_eq!((ground.segments(1), found.unmarked.len()), (set([1, 7, 8, 9]), 1), "{found:?}");
    std::fs::rename(&descriptor, &aside).expect("aside");
    for hours in [73, 98] {
        ground.expire(&later(&noon, hours));
    }
    assert_eq!(ground.segments(1), set(7..10));
}

#[test]
fn the_window_keeps_all_of_it_on_all_later_timelines() {
    let mut ground = Ground::keeping("{ last: 2 }");
    ground.change("keep: 1d }", "keep: 4d }");
    ground.add("expire: { brake: 100%, grace: 1h }\n");
    nights(&ground, 0..6);
    ground.fixture.history(2, "1\t0/580000\tno recovery target specified\n");
    (5..12).for_each(|number| drop(put(&ground, 2, number)));
    let noon = later(&day(5), 10);
    for hours in [0, 2, 4, 6] {
        assert!(ground.expire(&later(&noon, hours)).is_well());
    }
    // The base of four days is that of the night before they began.
    assert_eq!(ground.there(), ["n01", "n02", "n04", "n05"]);
    assert_eq!((ground.segments(1), ground.segments(2)), (set(1..6), set(5..12)));
}

#[test]
fn a_mark_is_lowered_when_less_may_go_and_the_log_of_a_longer_window_stays() {
    let mut ground = Ground::keeping("{ last: 9 }");
    ground.change("keep: 1d }", "keep: 2d }");
    (0..20).for_each(|number| drop(put(&ground, 1, number)));
    for number in [10, 12, 14, 16, 18, 19] {
        ground.backup(&format!("n{number:02}"), &day(number), number as u64);
    }
    let noon = later(&day(19), 10);
    let first = ground.expire(&noon);
    assert_eq!(first.marked.len(), 1, "{first:?}");
    // Some of the marked ones are wanted again before they go: for the others too the time begins anew.
    ground.change("keep: 2d }", "keep: 9d }");
    let second = ground.expire(&later(&noon, 12));
    assert_eq!((second.marked.len(), second.deleted.len()), (1, 0), "{second:?}");
    assert!(ground.expire(&later(&noon, 35)).deleted.is_empty());
    assert_eq!(ground.segments(1), set(0..20));
    let third = ground.expire(&later(&noon, 36));
    assert_eq!(ground.segments(1), set(10..20), "{third:?}");
    // And all of them.
    ground.change("keep: 9d }", "keep: 1d }");
    assert_eq!(ground.expire(&later(&noon, 37)).marked.len(), 1);
    ground.change("keep: 1d }", "keep: 30d }");
    let unmarked = ground.expire(&later(&noon, 80));
    assert_eq!((unmarked.unmarked.len(), unmarked.deleted.len()), (1, 0), "{unmarked:?}");
    assert!(ground.names("expiring").is_empty());
}

#[test]
fn nothing_of_the_log_goes_while_a_store_is_unknown_or_a_backup_runs() {
    let mut ground = Ground::keeping("{ last: 3 }");
    ground.change("keep: 1d }", "keep: 2d }");
    ground.add("expire: { brake: 100%, grace: 1h }\n");
    nights(&ground, 0..8);
    let noon = later(&day(7), 10);
    ground.expire(&noon);
    ground.expire(&later(&noon, 2));
    assert_eq!(ground.there().len(), 3);
    let lease = Key::new(format!("{}/leases/backup-runs.json", ground.fixture.repository)).expect("a key");
    let part = Key::new(format!("{}/data/runs/part-00001.tar.zst", ground.fixture.repository)).expect("a key");
    ground.fixture.store.replace(&part, "x".into()).expect("put");
    ground
        .fixture
        .store
        .replace(&lease, r#"{"backup":"runs","job":"nightly","host":"db-2","started":"2025-01-08T00:00:00Z"}"#.into())
        .expect("put");
    let run = |hours: i64, lease_is_of: &str| {
        let time = std::time::SystemTime::from(moment(lease_is_of));
        for key in [&lease, &part] {
            std::fs::File::options().write(true).open(ground.fixture.file(key)).and_then(|file| file.set_modified(time)).expect("aged");
        }
        ground.expire(&later(&noon, hours))
    };
    let running = run(4, &later(&noon, 4));
    assert!(running.remarks.iter().any(|remark| remark.contains("no log is deleted: backup runs")), "{running:?}");
    assert_eq!(ground.segments(1), set(0..8));
    // Dead for hours.
    run(6, &noon);
    let done = run_again(&ground, &later(&noon, 8));
    assert_eq!(ground.segments(1), set(5..8), "{done}");
}

fn run_again(ground: &Ground, now: &str) -> String {
    format!("{:?}", ground.expire(now))
}

#[test]
fn a_hundred_thousand_names_are_deleted_in_bounded_time() {
    // Of four thousand, which is enough to go through several stretches of a listing's pages.
    let mut ground = Ground::keeping("{ last: 2 }");
    ground.add("expire: { brake: 100%, grace: 1h }\n");
    let real = put(&ground, 1, 0);
    let body = std::fs::read(ground.fixture.file(&real)).expect("read");
    for number in 1..4000 {
        let key = ground.fixture.repository.wal(CLUSTER, WalFile::Segment(segment(1, number)), Codec::DEFAULT, Envelope::None);
        let path = ground.fixture.file(&key);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, &body).expect("written");
    }
    (4000..4003).for_each(|number| drop(ground.fixture.segment(1, number)));
    for (number, hour) in [(4000, 0), (4001, 24), (4002, 48)] {
        ground.backup(&format!("n{number}"), &later(&day(0), hour), number);
    }
    let noon = later(&day(2), 10);
    ground.expire(&noon);
    ground.expire(&later(&noon, 2));
    let began = std::time::Instant::now();
    let run = ground.expire(&later(&noon, 4));
    println!("{:?} for {} objects", began.elapsed(), run.deleted[0].objects);
    assert_eq!(ground.segments(1), set([4001, 4002]), "{run:?}");
    assert!(SEGMENT > 0 && timeline(1).0.get() == 1);
}
