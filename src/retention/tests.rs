use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::*;
use crate::inventory::{Backup, BackupKind, BackupState, Fork, Observed, OwnKeep, StoreInventory, SystemIdentifier, Timelines, WalRange};
use crate::units::{Duration, Instant, Lsn, Name, Period, Timeline};

fn at(text: &str) -> Instant {
    text.parse().expect("a moment")
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// A good one whose position in the log is `lsn` to `lsn + 10`.
fn full(id: &str, stopped: &str, lsn: u64) -> Backup {
    Backup {
        id: id.parse().expect("an id"),
        job: name("nightly"),
        kind: BackupKind::Full,
        state: BackupState::Complete,
        parent: None,
        started: at(stopped),
        stopped: Some(at(stopped)),
        size: None,
        stored_size: None,
        label: None,
        keep: None,
        system_identifier: Some(SystemIdentifier(7)),
        timeline: Some(Timeline::FIRST),
        start_lsn: Some(Lsn(lsn)),
        stop_lsn: Some(Lsn(lsn + 10)),
        verified_at: None,
        carries_log: false,
        storage_class: None,
        scope: None,
    }
}

/// A full backup each night of November 2026, from the 1st to this day.
fn november(until: u8) -> Vec<Backup> {
    (1..=until).map(|day| full(&format!("n{day:02}"), &format!("2026-11-{day:02}T02:00:00Z"), u64::from(day) * 100)).collect()
}

fn rules(change: impl FnOnce(&mut Keep)) -> BTreeMap<Name, Keep> {
    let mut keep = Keep::everything(TimeZone::UTC);
    change(&mut keep);
    BTreeMap::from([(name("nightly"), keep)])
}

/// Nothing tells timelines apart.
static ONE_ORDER: std::sync::LazyLock<Timelines> = std::sync::LazyLock::new(Timelines::default);

fn input<'a>(backups: &'a [Backup], keeps: &'a BTreeMap<Name, Keep>, holds: &'a [Hold]) -> RetentionInput<'a> {
    let (backups, holds) = (Observed::Known(backups), Observed::Known(holds));
    RetentionInput { backups, timelines: &ONE_ORDER, keeps, holds, wal: None, failed_grace: Duration::from_days(7) }
}

fn said(verdicts: &[Verdict<'_>], id: &str) -> String {
    verdicts.iter().find(|verdict| verdict.backup.id.as_str() == id).expect("it is judged").action.to_string()
}

fn kept(verdicts: &[Verdict<'_>]) -> Vec<String> {
    verdicts.iter().filter(|verdict| !verdict.is_deletable()).map(|verdict| verdict.backup.id.to_string()).collect()
}

#[test]
fn verdicts_say_why() {
    let backups = november(21);
    let keeps = rules(|keep| {
        keep.within = Some(Period::from_days(3));
        keep.weekly = Some(Tier::Count(3));
        keep.monthly = Some(Tier::For(Period::from_years(1)));
    });
    let judged = verdicts(&input(&backups, &keeps, &[]), at("2026-11-21T12:00:00Z"));
    assert_eq!(kept(&judged), ["n01", "n02", "n09", "n16", "n19", "n20", "n21"]);
    assert_eq!(said(&judged, "n01"), "kept: monthly for 1y, month 2026-11, until 2027-11-01T02:00:00Z");
    assert_eq!(said(&judged, "n02"), "kept: 3rd of 3 weekly, week 2026-W45");
    assert_eq!(said(&judged, "n03"), "deletable: older than 3d and in no tier");
    assert_eq!(said(&judged, "n21"), "kept: the newest good backup of `nightly`; for 3d, until 2026-11-24T02:00:00Z");
}

#[test]
fn only_good_ones_fill_a_place() {
    let mut backups = november(4);
    backups[1].state = BackupState::Damaged;
    backups[2].state = BackupState::Failed;
    backups[3].state = BackupState::Running;
    backups[3].stopped = None;
    let keeps = rules(|keep| keep.last = Some(1));
    let judged = verdicts(&input(&backups, &keeps, &[]), at("2026-11-05T00:00:00Z"));
    assert_eq!(said(&judged, "n01"), "kept: the newest good backup of `nightly`; 1st of the last 1");
    assert!(said(&judged, "n02").starts_with("kept: damaged, but its job has nothing newer that is good"));
    assert_eq!(said(&judged, "n03"), "kept: leftovers of a failed run, until 2026-11-10T02:00:00Z");
    assert_eq!(said(&judged, "n04"), "kept: it is running");
    let later = verdicts(&input(&backups, &keeps, &[]), at("2026-11-10T02:00:00Z"));
    assert_eq!(said(&later, "n03"), "deletable: leftovers of a run that failed at 2026-11-03T02:00:00Z");
}

#[test]
fn an_upgraded_cluster_begins_anew_and_the_old_one_keeps_its_own() {
    let mut backups = november(6);
    for new in &mut backups[4..] {
        // Lower than the old number and on timeline 1 again: neither says anything about age.
        new.system_identifier = Some(SystemIdentifier(2));
    }
    let keeps = rules(|keep| keep.daily = Some(Tier::Count(2)));
    let judged = verdicts(&input(&backups, &keeps, &[]), at("2026-11-06T12:00:00Z"));
    assert_eq!(kept(&judged), ["n03", "n04", "n05", "n06"]);
}

#[test]
fn thousands_of_holds_are_counted() {
    let (backups, keeps) = (november(3), rules(|keep| keep.last = Some(1)));
    let hold = |at: usize| Hold {
        name: name(&format!("h{at}")),
        reason: "r".into(),
        until: None,
        passing: false,
        selects: crate::inventory::Selection::default(),
    };
    let holds: Vec<Hold> = (0..3_000).map(hold).collect();
    let judged = verdicts(&input(&backups, &keeps, &holds), at("2026-11-04T00:00:00Z"));
    let said = said(&judged, "n01");
    assert!(said.starts_with("kept: under hold `h0`; under hold `h1`; "), "{said}");
    assert!(said.ends_with("under hold `h9`; under 2990 more holds"), "{said}");
}

#[test]
fn holds_chains_and_own_keeps() {
    let mut backups = november(10);
    backups[8].kind = BackupKind::Incremental;
    backups[8].parent = Some(backups[2].id.clone());
    backups[0].label = Some("evidence".into());
    backups[1].keep = Some(OwnKeep::For(Period::from_days(30)));
    backups[3].keep = Some(OwnKeep::Until(at("2026-11-09T00:00:00Z")));
    let holds = [Hold {
        name: name("case-4711"),
        reason: "litigation".into(),
        until: Some(at("2029-01-01T00:00:00Z")),
        passing: false,
        selects: Selection { labels: vec!["evidence".into()], ..Selection::default() },
    }];
    let keeps = rules(|keep| keep.last = Some(2));
    let judged = verdicts(&input(&backups, &keeps, &holds), at("2026-11-10T12:00:00Z"));
    assert_eq!(kept(&judged), ["n01", "n02", "n03", "n09", "n10"]);
    assert_eq!(said(&judged, "n01"), "kept: under hold `case-4711` until 2029-01-01T00:00:00Z");
    assert_eq!(said(&judged, "n02"), "kept: its own keep, until 2026-12-02T02:00:00Z");
    assert_eq!(said(&judged, "n03"), "kept: n09 builds on it");
    assert_eq!(said(&judged, "n04"), "deletable: its own keep ended at 2026-11-09T00:00:00Z");
    let released = verdicts(&input(&backups, &keeps, &holds), at("2029-01-01T00:00:00Z"));
    assert_eq!(said(&released, "n01"), "deletable: not one of the last 2");
}

#[test]
fn what_is_unknown_or_strange_stays() {
    let mut backups = november(5);
    backups[0].job = name("retired");
    backups[4].started = at("2031-01-01T00:00:00Z");
    backups[4].stopped = Some(at("2031-01-01T01:00:00Z"));
    let keeps = rules(|keep| keep.last = Some(1));
    let known = verdicts(&input(&backups, &keeps, &[]), at("2026-11-10T00:00:00Z"));
    assert_eq!(kept(&known), ["n01", "n04", "n05"]);
    assert!(said(&known, "n05").contains("a clock is wrong"));
    let no_such_job = BTreeMap::new();
    let retired = verdicts(&input(&backups[1..2], &no_such_job, &[]), at("2026-11-10T00:00:00Z"));
    assert_eq!(kept(&retired), ["n02"]);
    let unknown = RetentionInput { holds: Observed::unknown("catalog is down"), ..input(&backups, &keeps, &[]) };
    let judged = verdicts(&unknown, at("2026-11-10T00:00:00Z"));
    assert_eq!(said(&judged, "n02"), "undecided, so kept: the holds are unknown: catalog is down");
}

#[test]
fn the_window_for_any_moment_keeps_its_base_and_the_next() {
    let backups = november(21);
    let keeps = rules(|keep| keep.last = Some(3));
    let wal = WalKeep { period: Period::from_days(7), zone: TimeZone::UTC };
    let now = at("2026-11-21T12:00:00Z");
    let with_window = RetentionInput { wal: Some(&wal), ..input(&backups, &keeps, &[]) };
    let judged = verdicts(&with_window, now);
    assert_eq!(kept(&judged), ["n14", "n15", "n19", "n20", "n21"]);
    let needed = wal_needed(&with_window, &judged, now);
    let range = |from, to, until| WalRange {
        system_identifier: Some(SystemIdentifier(7)),
        timeline: Timeline::FIRST,
        from_lsn: Lsn(from),
        to_lsn: Lsn(to),
        from_time: at("2026-11-01T00:00:00Z"),
        to_time: at(until),
    };
    assert!(!needed.needs(&range(1_000, 1_400, "2026-11-14T01:00:00Z")));
    assert!(needed.needs(&range(1_000, 1_401, "2026-11-14T03:00:00Z")));
    let unknown = RetentionInput { backups: Observed::unknown("no listing"), ..with_window };
    assert!(matches!(wal_needed(&unknown, &[], now), WalNeeded::Everything(_)));
}

#[test]
fn a_newer_base_of_another_cluster_does_not_stand_in_for_ours() {
    let mut backups = vec![full("ours", "2026-11-10T02:00:00Z", 100), full("ours-newest", "2026-11-20T02:00:00Z", 300)];
    backups.push(Backup { system_identifier: Some(SystemIdentifier(8)), ..full("theirs", "2026-11-13T02:00:00Z", 100) });
    let keeps = rules(|keep| keep.last = Some(1));
    let wal = WalKeep { period: Period::from_days(7), zone: TimeZone::UTC };
    let with_window = RetentionInput { wal: Some(&wal), ..input(&backups, &keeps, &[]) };
    let judged = verdicts(&with_window, at("2026-11-21T12:00:00Z"));
    assert_eq!(kept(&judged), ["ours", "ours-newest", "theirs"]);
}

#[test]
fn without_a_window_each_backup_keeps_its_own_log() {
    let backups = november(3);
    let keeps = rules(|keep| keep.last = Some(1));
    let case = input(&backups, &keeps, &[]);
    let judged = verdicts(&case, at("2026-11-03T12:00:00Z"));
    let WalNeeded::Ranges { needs, window_from: None } = wal_needed(&case, &judged, at("2026-11-03T12:00:00Z")) else { panic!() };
    assert_eq!(needs.iter().map(|need| (need.from, need.to)).collect::<Vec<_>>(), [(Lsn(300), WalEnd::At(Lsn(310)))]);
}

#[test]
fn the_window_s_beginning_never_moves_back() {
    let (zone, month) = (TimeZone::UTC, Period::from_months(1));
    let mut before = Instant::MIN;
    for hour in 0..24 * 800 {
        let start = window_start(month, &zone, at("2027-01-01T00:00:00Z") + jiff::SignedDuration::from_hours(hour));
        assert!(start >= before, "{start}");
        before = start;
    }
}

#[test]
fn a_backup_s_end_is_known_in_advance() {
    let backups = november(2);
    let keeps = rules(|keep| {
        keep.last = Some(2);
        keep.weekly = Some(Tier::Count(2));
    });
    let nightly = |day: i64| {
        let stopped = at("2026-11-02T02:00:00Z") + jiff::SignedDuration::from_hours(24 * day);
        Firing { started: stopped, stopped }
    };
    let future: Vec<Firing> = (1..60).map(nightly).collect();
    let until = |id: &str, runs: &[Firing]| {
        kept_until(&backups, &id.parse().expect("an id"), &keeps[&name("nightly")], runs).expect("it is good").until
    };
    // Sunday 1 November is the first of its week; two more weeks must begin, on Monday 2 and Monday 9.
    assert_eq!(until("n01", &future), Some(at("2026-11-09T02:00:00Z")));
    assert_eq!(until("n02", &future), Some(at("2026-11-16T02:00:00Z")));
    assert_eq!(until("n02", &future[..5]), None);
}

#[test]
fn a_forecast_keeps_parents_of_what_exists() {
    let day = |day: i64, hour: i64| {
        let stopped = at("2026-11-01T02:00:00Z") + jiff::SignedDuration::from_hours(24 * day + hour);
        Firing { started: stopped, stopped }
    };
    let keep = |last| Keep { last: Some(last), ..Keep::everything(TimeZone::UTC) };
    let weekly = JobForecast {
        job: name("weekly"),
        keep: keep(1),
        runs: (0..4).map(|week| day(week * 7, 0)).collect(),
        builds_on: None,
        upon_previous: BTreeSet::new(),
    };
    let daily = JobForecast {
        job: name("daily"),
        keep: keep(3),
        runs: (0..28).map(|number| day(number, 12)).collect(),
        builds_on: Some(BuildsOn { job: name("weekly"), chained: true }),
        upon_previous: BTreeSet::new(),
    };
    let forecast = simulate(&[weekly, daily]);
    // The increments of the 20th, 21st and 22nd are kept by the rule; the links from the full one of the 15th to the 20th stay too,
    // and that of the 21st stands on them.
    let existing = forecast.at(at("2026-11-22T16:00:00Z"));
    let existing: Vec<String> = existing.map(|(job, life)| format!("{job} {}", life.stopped.strftime("%d"))).collect();
    let daily: Vec<String> = (15..=22).map(|day| format!("daily {day}")).collect();
    assert_eq!(existing, [vec!["weekly 15".to_owned(), "weekly 22".to_owned()], daily].concat());
}

#[test]
fn a_forecast_keeps_what_increments_of_the_same_job_build_on() {
    let day = |day: i64| {
        let stopped = at("2026-11-01T02:00:00Z") + jiff::SignedDuration::from_hours(24 * day);
        Firing { started: stopped, stopped }
    };
    let runs: Vec<Firing> = (0..22).map(day).collect();
    // Every seventh is a full one.
    let upon_previous = runs.iter().enumerate().filter(|(number, _)| number % 7 != 0).map(|(_, run)| run.started).collect();
    let keep = Keep { last: Some(3), ..Keep::everything(TimeZone::UTC) };
    let files = JobForecast { job: name("files"), keep, runs, builds_on: None, upon_previous };
    let forecast = simulate(&[files]);
    let exists =
        |moment: &str| -> Vec<String> { forecast.at(at(moment)).map(|(_, life)| life.stopped.strftime("%d").to_string()).collect() };
    // The 18th is the last that the rule keeps, and stands on all from the full one of the 15th on.
    assert_eq!(exists("2026-11-20T12:00:00Z"), ["15", "16", "17", "18", "19", "20"]);
    // The rule keeps the 15th, a full one: what was before it goes.
    assert_eq!(exists("2026-11-17T12:00:00Z"), ["15", "16", "17"]);
    assert_eq!(exists("2026-11-16T12:00:00Z"), ["08", "09", "10", "11", "12", "13", "14", "15", "16"]);
}

fn timeline(number: u32) -> Timeline {
    number.to_string().parse().expect("a timeline")
}

fn on(number: u32, backup: Backup) -> Backup {
    Backup { timeline: Some(timeline(number)), ..backup }
}

fn fork(of: u32, parent: u32, lsn: u64) -> Fork {
    Fork { system_identifier: Some(SystemIdentifier(7)), timeline: timeline(of), parent: timeline(parent), at_lsn: Lsn(lsn), at_time: None }
}

/// What was written of a timeline, from when to when.
fn log(of: u32, lsn: (u64, u64), time: (&str, &str)) -> WalRange {
    WalRange {
        system_identifier: Some(SystemIdentifier(7)),
        timeline: timeline(of),
        from_lsn: Lsn(lsn.0),
        to_lsn: Lsn(lsn.1),
        from_time: at(time.0),
        to_time: at(time.1),
    }
}

/// Monday's and Tuesday's backup; on Wednesday the cluster was set back to Monday noon.
fn set_back() -> StoreInventory {
    StoreInventory {
        backups: vec![full("monday", "2026-11-02T02:00:00Z", 100), full("tuesday", "2026-11-03T02:00:00Z", 200)],
        wal: vec![
            log(1, (0, 400), ("2026-11-01T00:00:00Z", "2026-11-04T09:00:00Z")),
            log(2, (150, 300), ("2026-11-04T10:00:00Z", "2026-11-05T09:00:00Z")),
        ],
        forks: vec![fork(2, 1, 150)],
        used: Observed::unknown("not asked"),
    }
}

fn judged_at<T>(store: &StoreInventory, wal: Option<&WalKeep>, now: &str, read: impl FnOnce(&[Verdict<'_>], WalNeeded) -> T) -> T {
    let (keeps, timelines) = (rules(|keep| keep.last = Some(1)), Timelines::of(&[store]));
    let case = RetentionInput { wal, timelines: &timelines, ..input(&store.backups, &keeps, &[]) };
    let judged = verdicts(&case, at(now));
    let needed = wal_needed(&case, &judged, at(now));
    read(&judged, needed)
}

#[test]
fn a_branch_that_was_left_behind_displaces_nothing() {
    let mut store = set_back();
    judged_at(&store, None, "2026-11-30T00:00:00Z", |judged, _| {
        let newest = "kept: the newest good backup of `nightly` that leads to timeline 2; 1st of the last 1";
        assert_eq!(said(judged, "monday"), newest);
        assert_eq!(said(judged, "tuesday"), "kept: the newest good backup of `nightly`; 1st of the last 1");
    });
    // The first of the new branch takes both places.
    store.backups.push(on(2, full("thursday", "2026-11-05T02:00:00Z", 250)));
    judged_at(&store, None, "2026-11-30T00:00:00Z", |judged, _| assert_eq!(kept(judged), ["thursday"]));
}

#[test]
fn the_window_of_a_branch_begins_on_the_way_to_it() {
    let mut store = set_back();
    store.backups.push(on(2, full("thursday", "2026-11-05T02:00:00Z", 250)));
    let wal = WalKeep { period: Period::from_days(7), zone: TimeZone::UTC };
    // The window begins on Wednesday: after Tuesday's, and before the first of the new branch.
    judged_at(&store, Some(&wal), "2026-11-11T12:00:00Z", |judged, needed| {
        assert_eq!(said(judged, "monday"), "kept: the base for recovery to any moment from 2026-11-04T12:00:00Z");
        assert_eq!(kept(judged), ["monday", "thursday"]);
        assert!(needed.needs(&log(1, (100, 160), ("2026-11-02T02:00:00Z", "2026-11-02T12:00:00Z"))));
        assert!(needed.needs(&log(2, (150, 160), ("2026-11-04T10:00:00Z", "2026-11-04T11:00:00Z"))));
    });
    judged_at(&store, Some(&wal), "2026-11-12T12:00:00Z", |judged, needed| {
        assert_eq!(kept(judged), ["thursday"]);
        assert!(!needed.needs(&log(1, (100, 400), ("2026-11-02T02:00:00Z", "2026-11-04T09:00:00Z"))));
        assert!(!needed.needs(&log(2, (150, 160), ("2026-11-04T10:00:00Z", "2026-11-04T11:00:00Z"))));
    });
}

#[test]
fn each_of_two_branches_that_are_lived_on_keeps_its_own() {
    let mut store = set_back();
    // The second left the third's way; the fourth is a copy of the first, and both the third and it go on.
    store.backups.push(on(2, full("thursday", "2026-11-05T02:00:00Z", 250)));
    store.wal.push(log(3, (260, 500), ("2026-11-06T00:00:00Z", "2026-11-09T00:00:00Z")));
    store.wal.push(log(4, (120, 500), ("2026-11-07T00:00:00Z", "2026-11-09T00:00:00Z")));
    store.forks.extend([fork(3, 2, 265), fork(4, 1, 140)]);
    judged_at(&store, None, "2026-11-09T00:00:00Z", |judged, _| {
        assert_eq!(kept(judged), ["monday", "thursday"]);
        assert_eq!(said(judged, "monday"), "kept: the newest good backup of `nightly` that leads to timeline 4; 1st of the last 1");
        assert_eq!(said(judged, "thursday"), "kept: the newest good backup of `nightly` that leads to timeline 3; 1st of the last 1");
        assert_eq!(said(judged, "tuesday"), "deletable: not one of the last 1");
    });
}

#[test]
fn while_a_fork_is_unknown_all_that_may_lead_there_stays() {
    let mut store = StoreInventory { forks: Vec::new(), ..set_back() };
    let doubt = "undecided, so kept: it may be on the way to timeline 2: where that one left the others is not known";
    judged_at(&store, None, "2026-11-05T00:00:00Z", |judged, _| assert_eq!(said(judged, "monday"), doubt));
    store.backups.push(on(2, full("thursday", "2026-11-05T02:00:00Z", 250)));
    judged_at(&store, None, "2026-11-06T00:00:00Z", |judged, _| assert_eq!(kept(judged), ["thursday"]));
    let wal = WalKeep { period: Period::from_days(7), zone: TimeZone::UTC };
    judged_at(&store, Some(&wal), "2026-11-11T12:00:00Z", |judged, needed| {
        assert_eq!(said(judged, "monday"), doubt);
        assert!(needed.needs(&log(1, (100, 160), ("2026-11-02T02:00:00Z", "2026-11-02T12:00:00Z"))));
    });
    judged_at(&store, Some(&wal), "2026-11-12T12:00:00Z", |judged, _| assert_eq!(kept(judged), ["thursday"]));
}
