use super::*;
use crate::inventory::{Backup, BackupKind, BackupState, Fork, Observed, Size, StoreInventory, SystemIdentifier, WalRange};
use crate::units::{Instant, Lsn, SegmentSize, Timeline};

fn day(day: u8, hour: u8) -> Instant {
    format!("2026-11-{day:02}T{hour:02}:00:00Z").parse().expect("a moment")
}

fn line(number: u32) -> Timeline {
    number.to_string().parse().expect("a timeline")
}

const CLUSTER: Option<SystemIdentifier> = Some(SystemIdentifier(7));

/// Done at 02:00 of this day; on timeline 1, from `100 × day` to ten beyond.
fn full(on: u8) -> Backup {
    Backup {
        id: format!("n{on:02}").parse().expect("an id"),
        job: "nightly".parse().expect("a name"),
        kind: BackupKind::Full,
        state: BackupState::Complete,
        parent: None,
        started: day(on, 1),
        stopped: Some(day(on, 2)),
        size: None,
        stored_size: None,
        label: None,
        keep: None,
        system_identifier: CLUSTER,
        timeline: Some(Timeline::FIRST),
        start_lsn: Some(Lsn(u64::from(on) * 100)),
        stop_lsn: Some(Lsn(u64::from(on) * 100 + 10)),
        verified_at: None,
        carries_log: false,
        storage_class: None,
        scope: None,
    }
}

fn wal(timeline: u32, from: (u64, Instant), to: (u64, Instant)) -> WalRange {
    WalRange {
        system_identifier: CLUSTER,
        timeline: line(timeline),
        from_lsn: Lsn(from.0),
        to_lsn: Lsn(to.0),
        from_time: from.1,
        to_time: to.1,
    }
}

/// Backups of the 1st, 3rd and 5th; the log whole from the 1st to noon of the 6th.
fn store() -> StoreInventory {
    StoreInventory {
        backups: vec![full(5), full(1), full(3)],
        wal: vec![wal(1, (300, day(3, 0)), (660, day(6, 12))), wal(1, (100, day(1, 0)), (300, day(3, 0)))],
        forks: Vec::new(),
        used: Observed::Known(Size::new(0)),
    }
}

fn to(store: &StoreInventory, target: Target) -> Result<(Vec<String>, Vec<WalStretch>), Missing> {
    find_path(store, &Aim::at(target)).map(|path| (path.chain.iter().map(|link| link.id.to_string()).collect(), path.wal))
}

fn stretch(timeline: u32, from: u64, to: u64) -> WalStretch {
    WalStretch { timeline: line(timeline), from: Lsn(from), to: Lsn(to) }
}

#[test]
fn the_base_is_the_newest_that_ends_before_the_target() {
    let store = store();
    assert_eq!(to(&store, Target::Latest), Ok((vec!["n05".into()], vec![stretch(1, 500, 660)])));
    assert_eq!(to(&store, Target::Time(day(5, 1))), Ok((vec!["n03".into()], vec![stretch(1, 300, 660)])));
    assert_eq!(to(&store, Target::Lsn(Lsn(509))), Ok((vec!["n03".into()], vec![stretch(1, 300, 509)])));
    assert_eq!(to(&store, Target::Lsn(Lsn(510))), Ok((vec!["n05".into()], vec![stretch(1, 500, 510)])));
    assert_eq!(to(&store, Target::Immediate(None)), Ok((vec!["n05".into()], vec![stretch(1, 500, 510)])));
    let id = "n01".parse().expect("an id");
    assert_eq!(to(&store, Target::Immediate(Some(id))), Ok((vec!["n01".into()], vec![stretch(1, 100, 110)])));
    let path = find_path(&store, &Aim::at(Target::Time(day(4, 0)))).expect("it is there");
    assert_eq!(path.reason.to_string(), "the newest backup that ends before the target");
}

#[test]
fn a_target_that_cannot_be_met_says_what_is_missing() {
    let mut store = store();
    assert!(matches!(to(&store, Target::Time(day(1, 0))), Err(Missing::BaseBefore { oldest, .. }) if oldest.as_str() == "n01"));
    let beyond = to(&store, Target::Time(day(6, 13))).expect_err("the log ends at noon");
    assert_eq!(beyond.to_string(), "the write-ahead log of timeline 1 ends at 0/294, before the target 2026-11-06T13:00:00Z");
    assert!(matches!(to(&store, Target::Lsn(Lsn(661))), Err(Missing::WalEndsBefore { .. })));
    store.backups.clear();
    assert_eq!(to(&store, Target::Latest), Err(Missing::NoBase));
}

#[test]
fn a_gap_is_gone_around_or_named() {
    let mut store = store();
    store.wal = vec![wal(1, (100, day(1, 0)), (505, day(5, 1))), wal(1, (520, day(5, 4)), (660, day(6, 12)))];
    // The backup of the 5th lost a part of its own log, but the log up to there is whole from the 3rd.
    let path = find_path(&store, &Aim::at(Target::Time(day(5, 1)))).expect("before the gap");
    assert_eq!(path.chain[0].id.as_str(), "n03");
    let gap = Missing::Wal { timeline: line(1), from: Lsn(505), to: Some(Lsn(510)) };
    assert_eq!(to(&store, Target::Latest), Err(gap));
    store.wal[0].to_lsn = Lsn(330);
    store.wal[0].to_time = day(3, 9);
    store.wal[1].from_lsn = Lsn(490);
    assert_eq!(to(&store, Target::Latest), Ok((vec!["n05".into()], vec![stretch(1, 500, 660)])));
    let error = to(&store, Target::Time(day(4, 12))).expect_err("it lies in the gap");
    assert_eq!(error, Missing::Wal { timeline: line(1), from: Lsn(330), to: Some(Lsn(490)) });
    let reach = reach_back(&store, None);
    let windows: Vec<_> = reach.windows.iter().map(|window| (window.from, window.to, window.base.as_str())).collect();
    assert_eq!(windows, [(day(1, 2), day(3, 9), "n01"), (day(5, 2), day(6, 12), "n05")]);
    assert_eq!(reach.gaps, [Gap { from: day(3, 9), to: day(5, 2) }]);
    assert_eq!((reach.oldest(), reach.any_moment_since()), (Some(day(1, 2)), Some(day(5, 2))));
}

/// The 3rd and the 5th brought their own log, and between them nothing was archived.
fn carried() -> StoreInventory {
    let mut store = store();
    store.backups = vec![full(5), full(3)];
    store.backups.iter_mut().for_each(|backup| backup.carries_log = true);
    store.wal = vec![wal(1, (300, day(3, 0)), (320, day(3, 2))), wal(1, (500, day(5, 0)), (520, day(5, 2)))];
    store
}

#[test]
fn what_brought_its_own_log_leads_to_its_end_and_no_further() {
    let mut store = carried();
    assert_eq!(to(&store, Target::Latest), Ok((vec!["n05".into()], vec![stretch(1, 500, 520)])));
    let id = "n03".parse().expect("an id");
    assert_eq!(to(&store, Target::Immediate(Some(id))), Ok((vec!["n03".into()], vec![stretch(1, 300, 310)])));
    assert!(matches!(to(&store, Target::Time(day(4, 0))), Err(Missing::WalEndsBefore { end: Lsn(320), .. })));
    // A run that broke off left log of a later stretch, and the newest backup is gone.
    store.backups.remove(0);
    assert_eq!(to(&store, Target::Latest), Ok((vec!["n03".into()], vec![stretch(1, 300, 320)])));
}

#[test]
fn one_that_brought_its_own_log_does_not_stand_in_for_archived_log_that_is_lost() {
    let mut store = carried();
    store.backups[0].carries_log = false;
    store.wal.push(wal(1, (560, day(5, 4)), (660, day(6, 12))));
    assert_eq!(to(&store, Target::Latest), Err(Missing::Wal { timeline: line(1), from: Lsn(520), to: Some(Lsn(560)) }));
}

#[test]
fn a_newer_base_that_does_not_lead_there_is_passed_over_and_named() {
    let mut store = store();
    // The newest base begins in log that is lost on a stretch of its own; an older one on the next timeline's history is whole.
    store.backups[0].start_lsn = Some(Lsn(700));
    store.backups[0].stop_lsn = Some(Lsn(710));
    let path = find_path(&store, &Aim::at(Target::Time(day(6, 0)))).expect("from the 3rd");
    assert_eq!(path.chain[0].id.as_str(), "n03");
    assert_eq!(path.reason.skipped[0].backup.as_str(), "n05");
}

#[test]
fn increments_bring_their_chain_and_broken_ones_are_not_used() {
    let mut store = store();
    store.backups[0].kind = BackupKind::Incremental;
    store.backups[0].parent = Some(store.backups[2].id.clone());
    assert_eq!(to(&store, Target::Latest).map(|path| path.0), Ok(vec!["n03".into(), "n05".into()]));
    store.backups[2].state = BackupState::Damaged;
    assert_eq!(to(&store, Target::Latest).map(|path| path.0), Ok(vec!["n01".into()]));
    let error = to(&store, Target::Immediate(Some(store.backups[0].id.clone()))).expect_err("its parent is damaged");
    assert!(matches!(error, Missing::Chain { .. }), "{error}");
}

#[test]
fn recovery_follows_the_newest_timeline_back_through_its_fork() {
    let mut store = store();
    // On the 6th the cluster went back to the state of the 4th, at 450: the backup of the 5th is on the abandoned branch.
    let fork = Fork { system_identifier: CLUSTER, timeline: line(2), parent: line(1), at_lsn: Lsn(450), at_time: Some(day(4, 0)) };
    store.forks.push(fork);
    store.wal.push(wal(2, (450, day(6, 13)), (800, day(8, 0))));
    assert_eq!(to(&store, Target::Latest), Ok((vec!["n03".into()], vec![stretch(1, 300, 450), stretch(2, 450, 800)])));
    assert_eq!(to(&store, Target::Time(day(3, 20))), Ok((vec!["n03".into()], vec![stretch(1, 300, 450)])));
    let abandoned = Aim { timeline: Some(line(1)), ..Aim::at(Target::Time(day(5, 12))) };
    assert_eq!(find_path(&store, &abandoned).map(|path| path.chain[0].id.to_string()), Ok("n05".into()));
    let reach = reach_back(&store, None);
    assert_eq!(reach.windows.len(), 1);
    assert_eq!(reach.windows[0].to, day(8, 0));
    assert_eq!(to(&store, Target::Latest).map(|path| path.0), Ok(vec!["n03".into()]));
    assert_eq!(find_path(&store, &Aim { timeline: Some(line(3)), ..Aim::at(Target::Latest) }), Err(Missing::NoSuchTimeline(line(3))));
}

#[test]
fn what_the_older_timeline_has_past_the_fork_is_left_behind_whatever_its_age() {
    let size = SegmentSize::new(16 << 20).expect("a size");
    let segment = |number: u64| Lsn(number * size.bytes());
    let mut store = store();
    let fork = |at: Lsn| Fork { system_identifier: CLUSTER, timeline: line(2), parent: line(1), at_lsn: at, at_time: None };
    let ends = |to: u64| wal(1, (segment(1).0, day(1, 1)), (segment(to).0, day(6, 12)));
    store.wal = vec![ends(9), wal(2, (segment(9).0, day(6, 12)), (segment(10).0, day(6, 13)))];
    let left = |store: &StoreInventory| left_behind(store, CLUSTER, line(2), size).map(|left| left.to_string());
    assert_eq!(left(&store), None, "where timeline 2 comes from is not known");
    // It ended where the new one began, or within its last segment.
    for at in [segment(9), Lsn(segment(9).0 - 100)] {
        store.forks = vec![fork(at)];
        assert_eq!(left(&store), None, "{at}");
    }
    store.wal[0] = ends(10);
    store.forks = vec![fork(segment(9))];
    assert_eq!(
        left(&store).as_deref(),
        Some("timeline 1 has log past 0/9000000, where timeline 2 left it: up to 0/A000000, written until 2026-11-06T12:00:00Z")
    );
    assert_eq!(left_behind(&store, CLUSTER, line(1), size), None);
}

#[test]
fn a_copy_that_was_released_beside_its_original_does_not_hide_it() {
    let mut store = store();
    // A copy of the state of the 4th, promoted on the 5th, while the original went on to the 6th.
    let fork = Fork { system_identifier: CLUSTER, timeline: line(2), parent: line(1), at_lsn: Lsn(450), at_time: Some(day(4, 0)) };
    store.forks.push(fork);
    store.wal.push(wal(2, (450, day(5, 3)), (480, day(5, 4))));
    let rivals = Missing::Rivals { timeline: line(2), rival: line(1), rival_end: day(6, 12) };
    assert_eq!(to(&store, Target::Latest), Err(rivals.clone()));
    assert_eq!(to(&store, Target::Time(day(5, 12))), Err(rivals.clone()));
    // Beyond the fork, and within what both have; the newest backup is another one on each, and so may be a transaction or a name.
    for target in [Target::Lsn(Lsn(470)), Target::Immediate(None), Target::Xid(4711), Target::Named("seen".into())] {
        assert_eq!(to(&store, target.clone()), Err(rivals.clone()), "{target}");
    }
    // Whoever names the backup has said which.
    assert_eq!(to(&store, Target::Immediate(Some("n05".parse().expect("an id")))).map(|path| path.0), Ok(vec!["n05".into()]));
    // Before they parted there is only one.
    assert_eq!(to(&store, Target::Time(day(3, 12))).map(|path| path.0), Ok(vec!["n03".into()]));
    assert_eq!(to(&store, Target::Lsn(Lsn(450))).map(|path| path.0), Ok(vec!["n03".into()]));
    for (timeline, base, end) in [(1, "n05", stretch(1, 500, 660)), (2, "n03", stretch(2, 450, 480))] {
        let path = find_path(&store, &Aim { timeline: Some(line(timeline)), ..Aim::at(Target::Latest) }).expect("it was named");
        assert_eq!((path.chain[0].id.as_str(), path.wal.last()), (base, Some(&end)));
    }
    assert_eq!(rivals_in(&store), Some(rivals));
    // Nothing of the copy has been archived yet but its history.
    store.wal.pop();
    assert!(matches!(to(&store, Target::Latest), Err(Missing::Rivals { .. })));
}

#[test]
fn dumps_and_backups_with_no_further_log_are_points() {
    let mut store = store();
    store.wal = vec![wal(1, (100, day(1, 1)), (110, day(1, 2))), wal(1, (500, day(5, 1)), (600, day(6, 0)))];
    let mut dump = full(2);
    dump.kind = BackupKind::Logical;
    store.backups.push(dump);
    for kind in [BackupKind::Tables, BackupKind::Files] {
        let mut part = full(3);
        (part.kind, part.id) = (kind, format!("p-{kind:?}").to_lowercase().parse().expect("an id"));
        store.backups.push(part);
    }
    let reach = reach_back(&store, None);
    let points: Vec<_> = reach.points.iter().map(|point| (point.backup.as_str(), point.at)).collect();
    assert_eq!(points, [("n01", day(1, 2)), ("n02", day(2, 1))]);
    assert_eq!(reach.unusable.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["n03"]);
    assert_eq!(reach.windows.len(), 1);
}
