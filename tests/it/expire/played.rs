//! Two years, night by night, in a real directory, against the simulator of `retention`; and the log with them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use seawall::format::codec::{Codec, Envelope};
use seawall::inventory::{Backup, BackupKind, BackupState};
use seawall::retention::{Keep, Tier};
use seawall::units::{Lsn, Timeline, WalFile};

use super::rig::{Ground, day, later};
use crate::faults::chance;
use crate::repository::fixture::{CLUSTER, SEGMENT, moment, segment, segment_bytes};
use crate::retention::{Simple, simple, stays};

fn as_backup(number: i64) -> Backup {
    let stopped = moment(&day(number));
    Backup {
        id: format!("n{number:04}").parse().expect("an id"),
        job: "nightly".parse().expect("a name"),
        kind: BackupKind::Full,
        state: BackupState::Complete,
        parent: None,
        started: stopped - jiff::SignedDuration::from_mins(10),
        stopped: Some(stopped),
        size: None,
        stored_size: None,
        label: None,
        keep: None,
        system_identifier: Some(CLUSTER),
        timeline: Some(Timeline::FIRST),
        start_lsn: Some(Lsn(number as u64 * SEGMENT + 40)),
        stop_lsn: Some(Lsn(number as u64 * SEGMENT + 500)),
        verified_at: None,
        carries_log: false,
        storage_class: None,
        scope: None,
    }
}

#[test]
fn two_years_of_nights() {
    let mut ground = Ground::keeping("{ last: 2, daily: 5, weekly: 4, monthly: 3, yearly: 2 }");
    ground.change("keep: 1d }", "keep: 3d }");
    let keep = Keep {
        last: Some(2),
        daily: Some(Tier::Count(5)),
        weekly: Some(Tier::Count(4)),
        monthly: Some(Tier::Count(3)),
        yearly: Some(Tier::Count(2)),
        ..Keep::everything(TimeZone::UTC)
    };
    let nights = chance::rounds(120, 730) as i64;
    let mut present: Vec<Simple> = Vec::new();
    let mut marked: BTreeMap<String, i64> = BTreeMap::new();
    for number in 1..=nights {
        ground.fixture.wal(WalFile::Segment(segment(1, number as u64)), &segment_bytes(1, number as u64), &day(number));
        ground.backup(&format!("n{number:04}"), &day(number), number as u64);
        present.push(simple(&as_backup(number), &keep.zone));
        // Some mornings nobody runs it.
        if number % 11 == 5 {
            continue;
        }
        let now = later(&day(number), 4);
        let run = ground.expire(&now);
        assert!(run.is_well(), "{number}: {run:?}");
        let kept = kept(&present, &keep, &now);
        let was_there: BTreeSet<String> = present.iter().map(|one| one.id.clone()).collect();
        present.retain(|one| kept.contains(&one.id) || marked.get(&one.id).is_none_or(|since| *since >= number));
        marked.retain(|id, _| !kept.contains(id) && was_there.contains(id));
        for one in &present {
            if !kept.contains(&one.id) {
                marked.entry(one.id.clone()).or_insert(number);
            }
        }
        let expected: Vec<String> = present.iter().map(|one| one.id.clone()).collect();
        assert_eq!(ground.there(), expected, "night {number}: {run:?}");
        log_is_there(&ground, &present, number);
    }
    // Two more runs without a backup: everything that nothing needs is gone, and not more.
    for later_by in [1, 2, 3, 4] {
        ground.expire(&later(&day(nights + later_by), 4));
    }
    let backups: BTreeSet<u64> = ground.there().iter().map(|id| id[1..].parse().expect("a number")).collect();
    // The base of the last three days is the newest before them; what follows it stays.
    let base = backups.iter().copied().rfind(|number| (*number as i64) <= nights + 1).expect("one");
    let expected: BTreeSet<u64> = backups.iter().copied().chain(base..=nights as u64).collect();
    assert_eq!(ground.segments(1), expected);
    let name = ground.fixture.repository.wal(CLUSTER, WalFile::Segment(segment(1, nights as u64)), Codec::DEFAULT, Envelope::None);
    assert!(ground.fixture.file(&name).exists());
    println!("{nights} nights: {} backups are left", backups.len());
}

/// What the rules want, and the base of the log's window with its successor.
fn kept(present: &[Simple], keep: &Keep, now: &str) -> BTreeSet<String> {
    let now = moment(now);
    let mut kept = stays(present, keep, now);
    let from = now - jiff::SignedDuration::from_hours(72);
    let before = present.iter().filter(|one| one.stopped <= from).max_by_key(|one| one.stopped);
    let after = present.iter().filter(|one| one.stopped > from).min_by_key(|one| one.stopped);
    kept.extend(before.into_iter().chain(after).map(|one| one.id.clone()));
    kept
}

/// Of every backup its own, and everything from the window's base on.
fn log_is_there(ground: &Ground, present: &[Simple], tonight: i64) {
    let there = ground.segments(1);
    let base = present.iter().filter_map(|one| one.id[1..].parse::<i64>().ok()).filter(|number| *number <= tonight - 3).max();
    for one in present {
        let number: u64 = one.id[1..].parse().expect("a number");
        assert!(there.contains(&number), "night {tonight}: the log of {} is gone", one.id);
    }
    for number in base.unwrap_or(1)..=tonight {
        assert!(there.contains(&(number as u64)), "night {tonight}: segment {number} is gone");
    }
}
