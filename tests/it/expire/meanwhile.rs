//! What happens while a run is under way.

use std::ops::Range;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use seawall::catalog::{Catalog, Measured, Where};
use seawall::execute::expire::{Deed, Done, What, Wishes};
use seawall::execute::run::{BRAKED_SINCE, measure_brakes};
use seawall::units::{Instant, Key, WalFile};

use super::rig::{Ground, day, ids, later};
use crate::repository::fixture::{moment, segment, segment_bytes};

/// A night's backup, with the log of the night.
fn nights(ground: &Ground, range: Range<i64>) {
    for number in range {
        let at = u64::try_from(number).expect("few");
        ground.fixture.wal(WalFile::Segment(segment(1, at)), &segment_bytes(1, at), &day(number));
        ground.backup(&format!("n{number:02}"), &day(number), at);
    }
}

#[test]
fn a_restore_that_begins_keeps_the_log() {
    let mut ground = Ground::keeping("{ last: 1 }");
    ground.add("expire: { brake: 100% }\n");
    nights(&ground, 0..5);
    let noon = later(&day(4), 34);
    ground.expire(&noon);
    ground.expire(&later(&noon, 25));
    ground.backup("odd", &day(2), 2);
    ground.expire(&later(&noon, 26));
    let all = ground.segments(1);
    // The log of three nights is ripe, and so is one more backup. As that goes, somebody begins to restore another.
    let pin = Key::new(format!("{}/pins/n04-db-9-1.json", ground.fixture.repository)).expect("a key");
    let json = r#"{"format":1,"backup":"n04","host":"db-9","since":"2025-01-07T12:00:00Z","why":"restore","wal_from":"0/100028"}"#;
    let begin = |done: Done, deed: &Deed| {
        if done == Done::Deleting && matches!(deed.what, What::Backup { .. } | What::Leftovers { .. }) {
            ground.fixture.store.replace(&pin, json.into()).expect("pinned");
        }
        true
    };
    let done = ground.expire_heard(&later(&noon, 60), Wishes::default(), &begin);
    assert_eq!((ids(&done.deleted).len(), ground.segments(1)), (1, all), "{done:?}");
    assert!(done.remarks.iter().any(|remark| remark.contains("no more log is deleted: a backup in `main` is being restored")), "{done:?}");
    assert!(done.failed.is_empty());
    ground.fixture.store.delete(&[pin]).expect("over");
    ground.expire(&later(&noon, 61));
    assert_eq!(ground.segments(1), [2, 4].into());
}

/// What was acknowledged and marked is decided, although something else goes wrong after it.
#[test]
fn a_brake_is_over_when_the_marks_are_put() {
    let mut ground = Ground::keeping("{ last: 2 }");
    ground.add("expire: { brake: 10% }\n");
    nights(&ground, 0..8);
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = Catalog::open(&Where::Sqlite(folder.path().join("catalog.db"))).expect("a catalog");
    let site = ground.fixture.site();
    let policy = site.policy.name.as_str();
    let is_on = || catalog.latest(policy).expect("read").iter().any(|one| one.name == BRAKED_SINCE && one.value > 0.0);
    let acknowledged = || Wishes { acknowledged: [site.policy.stores.keys().next().expect("a store").clone()].into(), ..Wishes::default() };
    let first = ground.expire_as(&later(&day(7), 10), acknowledged()).expect("it can begin");
    assert_eq!(first.marked.len(), 6, "{first:?}");
    // As many again are to go, and the first ones are ripe.
    nights(&ground, 8..16);
    let noon = later(&day(15), 10);
    let braked = ground.expire(&noon);
    measure_brakes(&site, &catalog, &braked);
    assert!(is_on() && braked.unbraked.is_empty());
    // One that was not looked at stays as it was.
    let named = Measured { name: BRAKED_SINCE, subject: "elsewhere", value: 1.0 };
    catalog.measure(policy, &[named], Instant::now()).expect("measured");
    // That the first ones go cannot be recorded.
    let done = ground.expire_heard(&later(&noon, 1), acknowledged(), &|done, _| done != Done::Deleting);
    assert!(!done.failed.is_empty() && done.marked.len() == 8, "{done:?}");
    measure_brakes(&site, &catalog, &done);
    let latest = catalog.latest(policy).expect("read");
    let on: Vec<&str> = latest.iter().filter(|one| one.name == BRAKED_SINCE && one.value > 0.0).map(|one| one.subject.as_str()).collect();
    assert_eq!(on, ["elsewhere"]);
}

/// Nobody waits for a backup that nothing builds on: two go at the same time.
#[test]
fn chains_that_have_nothing_to_do_with_each_other_go_side_by_side() {
    let mut ground = Ground::keeping("{ last: 2 }");
    ground.add("expire: { brake: 100% }\n");
    nights(&ground, 0..6);
    let noon = later(&day(5), 10);
    ground.expire(&noon);
    let (under_way, more) = (Mutex::new((0_u32, false)), Condvar::new());
    let meet = |done: Done, deed: &Deed| {
        if !matches!(deed.what, What::Backup { .. }) {
            return true;
        }
        let mut now = under_way.lock().expect("nobody panicked");
        match done {
            Done::Deleting => {
                now.0 += 1;
                now.1 |= now.0 >= 2;
                more.notify_all();
                // Only one that is alone waits in vain.
                drop(more.wait_timeout_while(now, Duration::from_secs(20), |now| !now.1).expect("nobody panicked"));
            }
            Done::Deleted => now.0 -= 1,
            _ => {}
        }
        true
    };
    let done = ground.expire_heard(&later(&noon, 25), Wishes::default(), &meet);
    assert_eq!(ids(&done.deleted), ["n00", "n01", "n02", "n03"], "in the order of the decision, whoever was first");
    assert!(under_way.lock().expect("nobody panicked").1, "one after the other");
}

/// Whoever lists the descriptors meets it and fails, as on a disk that cannot be read any more.
fn unreadable(ground: &Ground) -> std::path::PathBuf {
    ground.fixture.store_path().join(ground.fixture.repository.as_str()).join("backups/unreadable")
}

fn is_of(deed: &Deed, backup: &str) -> bool {
    matches!(&deed.what, What::Backup { id, .. } | What::Leftovers { id } if id.as_str() == backup)
}

fn increment_upon(ground: &Ground, parent: &str, id: &str) {
    ground.backup_with(id, &later(&day(0), 12), 0, |descriptor| {
        descriptor.kind = seawall::inventory::BackupKind::Incremental;
        descriptor.parent = Some(parent.parse().expect("an id"));
    });
}

/// The descriptor is gone, and what may keep the backup does not answer.
#[test]
fn what_cannot_be_asked_to_the_end_has_its_descriptor_again() {
    let mut ground = Ground::keeping("{ last: 1 }");
    ground.add("expire: { brake: 100% }\n");
    nights(&ground, 0..4);
    let noon = later(&day(3), 10);
    ground.expire(&noon);
    let arrive = |done: Done, deed: &Deed| {
        if done == Done::Deleting && is_of(deed, "n00") {
            increment_upon(&ground, "n00", "kid");
            std::os::unix::fs::symlink("unreadable", unreadable(&ground)).expect("a link to itself");
        }
        true
    };
    let done = ground.expire_heard(&later(&noon, 25), Wishes::default(), &arrive);
    assert!(!done.failed.is_empty(), "{done:?}");
    assert!(ground.there().contains(&"n00".to_owned()), "{:?}", ground.there());
    std::fs::remove_file(unreadable(&ground)).expect("mended");
    let done = ground.expire(&later(&noon, 26));
    assert!(done.failed.is_empty() && ground.there().contains(&"n00".to_owned()), "{done:?}");
}

/// Between the last look and the moment when its descriptor is away: whoever comes looks for that afterwards, so it is this run that sees him.
#[test]
fn whoever_comes_before_the_descriptor_is_away_is_seen() {
    for by_hold in [false, true] {
        let mut ground = Ground::keeping("{ last: 1 }");
        ground.add("expire: { brake: 100% }\n");
        nights(&ground, 0..4);
        let noon = later(&day(3), 10);
        ground.expire(&noon);
        let root = ground.fixture.store_path().join(ground.fixture.repository.as_str());
        let arrive = |done: Done, deed: &Deed| {
            if done == Done::Deleting && is_of(deed, "n00") {
                let (folder, json) = match by_hold {
                    true => ("holds", r#"{"name":"inquiry","reason":"an auditor came","selects":{"jobs":["nightly"]}}"#),
                    false => (
                        "pins",
                        r#"{"format":1,"backup":"n00","host":"db-9","since":"2025-01-07T12:00:00Z","why":"restore","wal_from":"0/28"}"#,
                    ),
                };
                std::fs::create_dir_all(root.join(folder)).expect("a folder");
                std::fs::write(root.join(folder).join("came.json"), json).expect("placed");
            }
            true
        };
        let done = ground.expire_heard(&later(&noon, 25), Wishes::default(), &arrive);
        assert!(done.waiting.iter().any(|deed| is_of(deed, "n00")), "{done:?}");
        assert!(ground.there().contains(&"n00".to_owned()), "{:?}", ground.there());
        assert!(ground.names("expiring/descriptors").is_empty() && ground.names("leases").is_empty());
    }
}

/// A run was killed after it had taken the descriptor away, and before it had asked to the end. Unless somebody else is removing it too, it comes back.
#[test]
fn a_descriptor_that_was_set_aside_comes_back() {
    for spared in [false, true] {
        let mut ground = Ground::keeping("{ last: 1 }");
        ground.add("expire: { brake: 100% }\n");
        nights(&ground, 0..4);
        let noon = later(&day(3), 10);
        ground.expire(&noon);
        let root = ground.fixture.store_path().join(ground.fixture.repository.as_str());
        let of_n00 = |folder: &str| ground.traces("n00").into_iter().filter(|path| path.starts_with(root.join(folder))).collect::<Vec<_>>();
        let descriptor = of_n00("backups").into_iter().find(|path| path.extension().is_some_and(|end| end == "json")).expect("there");
        let aside = root.join("expiring/descriptors");
        std::fs::create_dir_all(&aside).expect("a folder");
        std::fs::rename(&descriptor, aside.join("n00.json")).expect("moved");
        let long_ago = std::time::SystemTime::from(moment(&day(3)));
        let age = |path: &std::path::Path| {
            std::fs::File::options().write(true).open(path).and_then(|file| file.set_modified(long_ago)).expect("aged");
        };
        of_n00("data").iter().for_each(|path| age(path));
        if spared {
            std::fs::remove_file(root.join("expiring/n00.json")).expect("its mark is off");
        } else {
            increment_upon(&ground, "n00", "kid");
        }
        let sweep = root.join("leases/sweeps/n00/other.json");
        std::fs::create_dir_all(sweep.parent().expect("a folder")).expect("a folder");
        std::fs::write(&sweep, "{}").expect("said");
        let data = of_n00("data").len();
        let done = ground.expire(&later(&noon, 25));
        assert!(!descriptor.exists() && of_n00("data").len() == data, "another run is at it: {done:?}");
        // That one is dead.
        age(&sweep);
        let done = ground.expire(&later(&noon, 26));
        assert!(descriptor.exists(), "{done:?}");
        assert!(ground.names("expiring/descriptors").is_empty());
        assert!(ground.there().contains(&"n00".to_owned()) && of_n00("data").len() == data);
    }
}

/// A run was killed right after the descriptor had gone; what keeps the backup came at the same moment.
#[test]
fn what_was_broken_off_is_asked_about_again() {
    for by_hold in [false, true] {
        let mut ground = Ground::keeping("{ last: 1 }");
        ground.add("expire: { brake: 100% }\n");
        nights(&ground, 0..4);
        let noon = later(&day(3), 10);
        ground.expire(&noon);
        let root = ground.fixture.store_path().join(ground.fixture.repository.as_str());
        let descriptor =
            |path: &&std::path::PathBuf| path.starts_with(root.join("backups")) && path.extension().is_some_and(|end| end == "json");
        let gone = ground.traces("-n00").iter().find(descriptor).expect("its descriptor").clone();
        std::fs::remove_file(gone).expect("gone");
        // Nobody has added to it for hours.
        let long_ago = std::time::SystemTime::from(moment(&day(3)));
        for path in ground.traces("/n00").iter().filter(|path| path.starts_with(root.join("data"))) {
            std::fs::File::options().write(true).open(path).and_then(|file| file.set_modified(long_ago)).expect("aged");
        }
        let data = ground.traces("data/n00").len();
        let hold = root.join("holds/inquiry.json");
        if by_hold {
            std::fs::create_dir_all(root.join("holds")).expect("a folder");
            std::fs::write(&hold, r#"{"name":"inquiry","reason":"an auditor came","selects":{"jobs":["nightly"]}}"#).expect("placed");
        } else {
            increment_upon(&ground, "n00", "kid");
        }
        let done = ground.expire(&later(&noon, 25));
        let says = if by_hold { "the hold `inquiry` may be about it" } else { "kid builds on it" };
        assert!(done.waiting.iter().any(|deed| is_of(deed, "n00") && deed.reason.contains(says)), "{says}: {done:?}");
        assert_eq!(ground.traces("data/n00").len(), data, "{done:?}");
        assert!(ground.names("leases").is_empty(), "nobody is told any more that it is being removed: {:?}", ground.names("leases"));
        if by_hold {
            std::fs::remove_file(hold).expect("over");
            ground.expire(&later(&noon, 26));
            assert!(ground.traces("n00").is_empty(), "{:?}", ground.traces("n00"));
        }
    }
}

/// A copy comes under the name that the original has, before names that were seen.
#[test]
fn what_a_copy_that_came_meanwhile_builds_on_stays() {
    let mut ground = Ground::keeping("{ last: 1 }");
    ground.add("expire: { brake: 100% }\n");
    nights(&ground, 0..4);
    let noon = later(&day(3), 10);
    ground.expire(&noon);
    let arrive = |done: Done, deed: &Deed| {
        if done == Done::Deleting && matches!(&deed.what, What::Backup { id, .. } if id.as_str() == "n00") {
            increment_upon(&ground, "n00", "kid");
        }
        true
    };
    let done = ground.expire_heard(&later(&noon, 25), Wishes::default(), &arrive);
    // The one before was the base of the window until just now.
    assert_eq!(ground.there(), ["kid", "n00", "n02", "n03"], "{done:?}");
    assert!(done.waiting.iter().any(|deed| deed.reason.contains("kid was completed meanwhile")), "{done:?}");
}
