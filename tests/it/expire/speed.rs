//! A hundred thousand backups in one store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration as Span, Instant as Stopwatch};

use jiff::tz::TimeZone;
use seawall::inventory::{Backup, BackupKind, BackupState, Observed, StoreInventory, Timelines};
use seawall::plan::{ExpiryTerms, Mark, expiry, lint_deletions};
use seawall::retention::{Keep, RetentionInput, Tier, verdicts};
use seawall::units::{BackupId, Duration, Instant, Lsn, Name, Percent, Timeline};

use crate::repository::fixture::{CLUSTER, moment};

/// One an hour: a full one each week, and increments on it.
fn backup(number: u64) -> Backup {
    let stopped = moment("2015-01-01T00:00:00Z") + jiff::SignedDuration::from_hours(number as i64);
    let parent = (!number.is_multiple_of(168)).then(|| id(number - 1));
    Backup {
        id: id(number),
        job: name(),
        kind: if parent.is_some() { BackupKind::Incremental } else { BackupKind::Full },
        state: BackupState::Complete,
        parent,
        started: stopped - jiff::SignedDuration::from_mins(10),
        stopped: Some(stopped),
        size: None,
        stored_size: None,
        label: None,
        keep: None,
        system_identifier: Some(CLUSTER),
        timeline: Some(Timeline::FIRST),
        start_lsn: Some(Lsn(number * 1000)),
        stop_lsn: Some(Lsn(number * 1000 + 500)),
        verified_at: None,
        carries_log: false,
        storage_class: None,
        scope: None,
    }
}

fn id(number: u64) -> BackupId {
    format!("b{number:06}").parse().expect("an id")
}

fn name() -> Name {
    "hourly".parse().expect("a name")
}

#[test]
fn a_hundred_thousand_backups_are_decided_in_a_second() {
    let backups: Vec<Backup> = (0..100_000).map(backup).collect();
    let now: Instant = moment("2026-11-21T08:00:00Z");
    let keep = Keep { hourly: Some(Tier::Count(24)), daily: Some(Tier::Count(30)), ..Keep::everything(TimeZone::UTC) };
    let keeps = BTreeMap::from([(name(), keep)]);
    let marks = backups.iter().map(|backup| (backup.id.clone(), Mark { at: moment("2026-11-01T00:00:00Z"), acknowledged: true })).collect();
    let began = Stopwatch::now();
    let store = StoreInventory { backups, wal: Vec::new(), forks: Vec::new(), used: Observed::unknown("not asked") };
    let (backups, timelines) = (&store.backups, Timelines::of(&[&store]));
    let input = RetentionInput {
        backups: Observed::Known(backups.as_slice()),
        timelines: &timelines,
        keeps: &keeps,
        holds: Observed::Known(&[]),
        wal: None,
        failed_grace: Duration::ZERO,
    };
    let judged = verdicts(&input, now);
    let terms = ExpiryTerms {
        marks: &marks,
        pinned: &BTreeSet::new(),
        awaited: &BTreeMap::new(),
        keeps: &keeps,
        grace: Duration::from_hours(24),
        brake: Percent::new(20),
        acknowledged: false,
        now,
    };
    let decided = expiry(&judged, &terms);
    let doomed = decided.delete.iter().map(|doomed| &doomed.id).collect();
    let faults = lint_deletions(backups, &[&store], &[], &doomed, now);
    println!("{} of {} go, decided in {:?}", decided.delete.len(), backups.len(), began.elapsed());
    // Also where something else runs beside it, unoptimised: what is square in the number of backups takes minutes.
    assert!(faults.is_empty() && decided.delete.len() > 99_000, "{} {faults:?}", decided.delete.len());
    // The second is meant for an optimised program.
    let limit = if cfg!(debug_assertions) { 60 } else { 1 };
    assert!(began.elapsed() < Span::from_secs(limit), "{:?}", began.elapsed());
}
