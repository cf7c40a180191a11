//! Marked, waited for, deleted; and everything that happens in between.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use seawall::execute::expire::{Clock, Deed, Done, Onlooker, What, Wishes, expire};

use super::rig::{Ground, day, ids, later};
use crate::repository::fixture::moment;

/// Backups of so many nights, one a night from the first on.
fn nights(ground: &Ground, count: i64) {
    for number in 0..count {
        ground.backup(&format!("n{number:02}"), &day(number), number as u64 + 1);
    }
}

#[test]
fn what_no_rule_wants_is_marked_and_goes_a_day_later_without_a_trace() {
    let ground = Ground::keeping("{ last: 6 }");
    nights(&ground, 7);
    let noon = later(&day(6), 10);
    let first = ground.expire(&noon);
    assert!(first.is_well(), "{first:?}");
    assert_eq!((ids(&first.marked), ids(&first.deleted)), (vec!["n00".to_owned()], vec![]));
    assert_eq!(first.marked[0].reason, "not one of the last 6");
    assert_eq!(ground.there().len(), 7);
    let tombstone = ground.traces("n00").into_iter().find(|path| path.to_string_lossy().contains("/expiring/n00.json")).expect("marked");
    let said: serde_json::Value = serde_json::from_slice(&std::fs::read(tombstone).expect("read")).expect("JSON");
    assert_eq!((said["backup"].as_str(), said["by"]["host"].as_str()), (Some("n00"), Some("db-1")));
    assert_eq!(said["by"]["digest"].as_str(), Some(ground.fixture.policy.digest.as_str()));

    let early = ground.expire(&later(&noon, 23));
    assert_eq!((ids(&early.waiting), early.deleted.len()), (vec!["n00".to_owned()], 0));
    let ripe = ground.expire(&later(&noon, 24));
    assert_eq!(ids(&ripe.deleted), ["n00"]);
    assert!(ripe.bytes > 0 && ripe.deleted[0].bytes == ripe.bytes && ripe.deleted[0].objects == 4, "{ripe:?}");
    assert!(ground.traces("n00").is_empty(), "{:?}", ground.traces("n00"));
    assert_eq!(ground.there(), ["n01", "n02", "n03", "n04", "n05", "n06"]);
    // Nothing is left to do, and what is left is whole.
    let again = ground.expire(&later(&noon, 48));
    assert_eq!((again.marked.len(), again.deleted.len(), again.waiting.len()), (0, 0, 0));
    let verified = ground.fixture.run(&["verify", "--format", "json"]);
    assert!(!verified.stdout.contains("data/n"), "{}", verified.stdout);
}

#[test]
fn what_is_wanted_again_loses_its_mark_and_starts_anew() {
    let mut ground = Ground::keeping("{ last: 6 }");
    nights(&ground, 7);
    let noon = later(&day(6), 10);
    ground.expire(&noon);
    // A hold, placed in the store.
    let hold = br#"{"name":"case-4711","reason":"litigation","selects":{"backups":["n00"]}}"#;
    let key = seawall::units::Key::new(format!("{}/holds/case-4711.json", ground.fixture.repository)).expect("a key");
    ground.fixture.store.replace(&key, hold.to_vec().into()).expect("placed");
    let held = ground.expire(&later(&noon, 30));
    assert_eq!((ids(&held.unmarked), held.deleted.len()), (vec!["n00".to_owned()], 0));
    assert_eq!(held.unmarked[0].reason, "kept: under hold `case-4711`");
    ground.fixture.store.delete(&[key]).expect("taken away");
    let marked = ground.expire(&later(&noon, 31));
    assert_eq!(ids(&marked.marked), ["n00"]);
    assert!(ground.expire(&later(&noon, 50)).deleted.is_empty());
    // The policy is changed.
    ground.change("last: 6", "last: 7");
    assert_eq!(ids(&ground.expire(&later(&noon, 60)).unmarked), ["n00"]);
    assert_eq!(ground.there().len(), 7);
}

#[test]
fn the_brake_holds_until_somebody_says_so_and_then_for_both_phases() {
    let mut ground = Ground::keeping("{ last: 9 }");
    nights(&ground, 10);
    let noon = later(&day(9), 10);
    assert_eq!(ids(&ground.expire(&noon).marked), ["n00"]);
    ground.change("last: 9", "last: 2");
    let braked = ground.expire(&later(&noon, 24));
    assert!(braked.marked.is_empty() && braked.deleted.is_empty() && !braked.is_well(), "{braked:?}");
    assert_eq!(braked.braked[0].brake.to_string(), "7 of 10 backups would be marked as expired at once, and `expire.brake` is 20%");
    assert_eq!(ground.there().len(), 10);
    let spoken = Wishes { acknowledged: ground.fixture.site().policy.stores.keys().cloned().collect(), ..Wishes::default() };
    let marked = ground.expire_as(&later(&noon, 25), spoken).expect("it begins");
    assert_eq!((marked.marked.len(), ids(&marked.deleted)), (7, vec!["n00".to_owned()]));
    let deleted = ground.expire(&later(&noon, 50));
    assert_eq!(deleted.deleted.len(), 7, "{deleted:?}");
    assert_eq!(ground.there(), ["n08", "n09"]);
}

#[test]
fn chains_go_from_their_ends_and_stay_while_anything_builds_on_them() {
    let mut ground = Ground::keeping("{ last: 1 }");
    ground.change("schedule: { at: \"02:00\" }, keep", "schedule: { at: \"02:00\" }, keep");
    let child = |id: &str, number: i64, parent: &str| {
        let parent = parent.parse().expect("an id");
        ground.backup_with(id, &day(number), number as u64 + 1, |descriptor| {
            descriptor.kind = seawall::inventory::BackupKind::Incremental;
            descriptor.parent = Some(parent);
        });
    };
    ground.backup("full", &day(0), 1);
    child("one", 1, "full");
    child("two", 2, "one");
    ground.backup("next", &day(3), 4);
    let noon = later(&day(3), 34);
    assert_eq!(ids(&ground.expire(&noon).marked).len(), 3);
    // The last of the chain is being restored.
    let pin = seawall::units::Key::new(format!("{}/pins/two-db-9-1.json", ground.fixture.repository)).expect("a key");
    let json = r#"{"format":1,"backup":"two","host":"db-9","since":"2025-01-04T12:00:00Z","why":"restore","wal_from":"0/100028"}"#;
    ground.fixture.store.replace(&pin, json.into()).expect("pinned");
    let pinned = ground.expire(&later(&noon, 30));
    assert!(pinned.deleted.is_empty(), "{pinned:?}");
    let why: Vec<&str> = pinned.waiting.iter().map(|deed| deed.reason.as_str()).collect();
    assert!(why.iter().any(|why| why.contains("being restored")) && why.iter().any(|why| why.contains("two builds on it")), "{why:?}");
    ground.fixture.store.delete(&[pin]).expect("over");
    assert_eq!(ids(&ground.expire(&later(&noon, 31)).deleted), ["two", "one", "full"]);
    assert_eq!(ground.there(), ["next"]);
}

#[test]
fn a_deletion_that_broke_off_is_finished() {
    // What is left at each boundary, in the order of the deletion.
    for stage in 0..5 {
        let ground = Ground::keeping("{ last: 6 }");
        nights(&ground, 7);
        let noon = later(&day(6), 10);
        ground.expire(&noon);
        let traces = ground.traces("n00");
        let gone = |part: &str| {
            traces.iter().filter(|path| path.to_string_lossy().contains(part)).for_each(|path| drop(std::fs::remove_file(path)))
        };
        gone("00Z-n00.json");
        if stage == 0 {
            // Only the descriptor was: `gone` took its signature too, so it is put back.
            std::fs::write(traces.iter().find(|path| path.to_string_lossy().ends_with(".sig")).expect("one"), b"x").expect("put");
        }
        if stage >= 2 {
            gone("part-00001.tar");
        }
        if stage >= 3 {
            gone("/data/");
        }
        // Its objects are old, and nobody holds a lease.
        for path in ground.traces("n00") {
            let old = std::time::SystemTime::from(crate::repository::fixture::moment(&day(0)));
            if !path.to_string_lossy().contains("expiring") {
                std::fs::File::options().write(true).open(path).and_then(|file| file.set_modified(old)).expect("aged");
            }
        }
        let finished = ground.expire(&later(&noon, 1));
        // Of a mark alone nothing is told: what it was of has gone before.
        let told: &[&str] = if stage >= 3 { &[] } else { &["n00"] };
        assert_eq!(ids(&finished.deleted), told, "{stage}: {finished:?}");
        assert!(ground.traces("n00").is_empty(), "{stage}: {:?}", ground.traces("n00"));
        assert_eq!(ground.there().len(), 6);
    }
}

/// A run that is killed in the middle leaves no deletion of which nobody knows; what cannot be written down does not go.
#[test]
fn that_it_goes_is_on_record_before_anything_of_it_does() {
    let mut ground = Ground::keeping("{ last: 1 }");
    ground.add("expire: { brake: 100% }\n");
    for number in 0..3 {
        ground.backup(&format!("n{number}"), &day(number), number as u64);
    }
    ground.expire(&day(10));
    let heard = Mutex::new(Vec::new());
    let run = |writes: bool| {
        let deed = |done: Done, deed: &Deed| {
            let What::Backup { id, .. } = &deed.what else { return true };
            let is_whole = ground.there().contains(&id.to_string()) && !ground.traces(&format!("data/{id}")).is_empty();
            heard.lock().expect("one at a time").push((done, id.to_string(), is_whole));
            writes
        };
        let stop = AtomicBool::new(false);
        let wishes = Wishes { clock: Clock::Told(moment(&day(12))), ..Wishes::default() };
        let run = expire(&ground.fixture.site(), &wishes, Onlooker { deed: &deed, stop: &stop }).expect("it begins");
        (run, std::mem::take(&mut *heard.lock().expect("nobody panicked")))
    };
    let (run_1, heard_1) = run(false);
    // Two may go side by side.
    assert!(!heard_1.is_empty() && heard_1.iter().all(|(done, _, is_whole)| *done == Done::Deleting && *is_whole), "{heard_1:?}");
    assert!(run_1.deleted.is_empty() && run_1.failed[0].fault.to_string().contains("cannot be recorded"), "{run_1:?}");
    assert_eq!(ground.there(), ["n0", "n1", "n2"]);
    let (_, mut heard_2) = run(true);
    heard_2.sort_by(|(_, one, _), (_, other, _)| one.cmp(other));
    let expected = ["n0", "n1"].map(|id| [(Done::Deleting, id.to_owned(), true), (Done::Deleted, id.to_owned(), false)]).concat();
    assert_eq!(heard_2, expected);
    assert_eq!(ground.there(), ["n2"]);
}
