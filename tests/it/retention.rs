//! Calendar retention against an independent simulator that goes day by day with maps of buckets, and what must hold of every
//! verdict whatever the history.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use seawall::inventory::{
    Backup, BackupKind, BackupState, Chains, Fork, Hold, Observed, OwnKeep, Selection, StoreInventory, SystemIdentifier, Timelines,
    WalRange,
};
use seawall::retention::{
    Action, Firing, Keep, KeepReason, RetentionInput, Tier, TierKind, Verdict, WalKeep, WalNeeded, lifetimes, verdicts, wal_needed,
};
use seawall::units::{Duration, Lsn, Name, Period, Timeline};

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn backup(number: usize, started: Timestamp, minutes: i64, state: BackupState) -> Backup {
    let stopped = started + SignedDuration::from_mins(minutes);
    Backup {
        id: format!("b{number}").parse().expect("an id"),
        job: name("nightly"),
        kind: BackupKind::Full,
        state,
        parent: None,
        started,
        stopped: (state != BackupState::Running).then_some(stopped),
        size: None,
        stored_size: None,
        label: None,
        keep: None,
        system_identifier: Some(SystemIdentifier(7)),
        timeline: Some(Timeline::FIRST),
        start_lsn: Some(Lsn(number as u64 * 1_000)),
        stop_lsn: Some(Lsn(number as u64 * 1_000 + 500)),
        verified_at: None,
        carries_log: false,
        storage_class: None,
        scope: None,
    }
}

/// Runs at all hours of most days; some fail, and every failure is seen as one at once.
fn history(seed: u64, days: i64) -> Vec<Backup> {
    let mut dice = Dice(seed);
    let mut backups = Vec::new();
    for day in 0..days {
        let runs = if dice.roll(20) == 0 { 0 } else { 1 + dice.roll(2) };
        for run in 0..runs {
            let minute = (run * 720 + dice.roll(600)) as i64;
            let started = moment("2019-12-15T00:00:00Z") + SignedDuration::from_mins(day * 1_440 + minute);
            let state = if dice.roll(15) == 0 { BackupState::Failed } else { BackupState::Complete };
            backups.push(backup(backups.len(), started, 1 + dice.roll(110) as i64, state));
        }
    }
    backups
}

fn keep_strategy() -> impl Strategy<Value = Keep> {
    fn tier(counts: std::ops::Range<u32>, day_step: u32) -> impl Strategy<Value = Option<Tier>> {
        prop_oneof![
            2 => Just(None),
            4 => counts.clone().prop_map(|count| Some(Tier::Count(count))),
            1 => counts.prop_map(move |count| Some(Tier::For(Period::from_days(count * day_step)))),
        ]
    }
    let zone = prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Asia/Kolkata"), Just("Pacific/Auckland")];
    let within = proptest::option::of(prop_oneof![(1u32..40).prop_map(Period::from_days), (1u32..4).prop_map(Period::from_months)]);
    let tiers = (tier(1..40, 1), tier(1..15, 7), tier(1..15, 31), tier(1..6, 92), tier(1..9, 366));
    (proptest::option::of(1u32..10), within, tier(1..50, 1), tiers, zone).prop_map(
        |(last, within, hourly, (daily, weekly, monthly, quarterly, yearly), zone)| Keep {
            last,
            within,
            hourly,
            daily,
            weekly,
            monthly,
            quarterly,
            yearly,
            zone: TimeZone::get(zone).expect("a zone"),
        },
    )
}

// ---- the independent simulator -------------------------------------------------------------------------------------

/// A good backup with its place in each kind of bucket, read off the calendar once.
#[derive(Clone)]
pub struct Simple {
    pub id: String,
    pub started: Timestamp,
    pub stopped: Timestamp,
    places: Vec<(i64, i64, i64, i64)>,
}

pub fn simple(backup: &Backup, zone: &TimeZone) -> Simple {
    let at = backup.started.to_zoned(zone.clone());
    let (year, month, day) = (i64::from(at.year()), i64::from(at.month()), i64::from(at.day()));
    let week = at.date().iso_week_date();
    // The repeated hour of autumn has two offsets, the larger first.
    let hour = i64::from(at.hour()) * 100_000 + 50_000 - i64::from(at.offset().seconds()) / 60;
    Simple {
        id: backup.id.to_string(),
        started: backup.started,
        stopped: backup.stopped.expect("good ones have stopped"),
        places: vec![
            (year, month, day, hour),
            (year, month, day, 0),
            (i64::from(week.year()), i64::from(week.week()), 0, 0),
            (year, month, 0, 0),
            (year, (month - 1) / 3, 0, 0),
            (year, 0, 0, 0),
        ],
    }
}

fn still_within(period: Period, stopped: Timestamp, zone: &TimeZone, now: Timestamp) -> bool {
    let span: jiff::Span = period.to_string().replace("mo", "months").replace('y', "years").parse().expect("a span");
    now < stopped.to_zoned(zone.clone()).checked_add(span).expect("in range").timestamp()
}

/// What stays of `present`, by the letter of the documentation.
pub fn stays(present: &[Simple], keep: &Keep, now: Timestamp) -> BTreeSet<String> {
    let mut kept = BTreeSet::new();
    let tiers = [keep.hourly, keep.daily, keep.weekly, keep.monthly, keep.quarterly, keep.yearly];
    if keep.last.is_none() && keep.within.is_none() && tiers.iter().all(Option::is_none) {
        return present.iter().map(|one| one.id.clone()).collect();
    }
    let mut by_stop: Vec<&Simple> = present.iter().collect();
    by_stop.sort_by_key(|one| one.stopped);
    kept.extend(by_stop.iter().rev().take(keep.last.unwrap_or(0).max(1) as usize).map(|one| one.id.clone()));
    if let Some(period) = keep.within {
        kept.extend(present.iter().filter(|one| still_within(period, one.stopped, &keep.zone, now)).map(|one| one.id.clone()));
    }
    for (index, tier) in tiers.into_iter().enumerate() {
        let mut buckets: BTreeMap<(i64, i64, i64, i64), &Simple> = BTreeMap::new();
        for one in present {
            let first = buckets.entry(one.places[index]).or_insert(one);
            if one.started < first.started {
                *first = one;
            }
        }
        match tier {
            None => {}
            Some(Tier::Count(count)) => kept.extend(buckets.values().rev().take(count as usize).map(|one| one.id.clone())),
            Some(Tier::For(period)) => {
                kept.extend(buckets.values().filter(|one| still_within(period, one.stopped, &keep.zone, now)).map(|one| one.id.clone()));
            }
        }
    }
    kept
}

// ---- agreement -----------------------------------------------------------------------------------------------------

/// Nothing tells timelines apart.
static ONE_ORDER: std::sync::LazyLock<Timelines> = std::sync::LazyLock::new(Timelines::default);

fn judge<'a>(backups: &'a [Backup], keeps: &'a BTreeMap<Name, Keep>, now: Timestamp) -> Vec<Verdict<'a>> {
    let input = RetentionInput {
        backups: Observed::Known(backups),
        timelines: &ONE_ORDER,
        keeps,
        holds: Observed::Known(&[]),
        wal: None,
        failed_grace: Duration::from_days(7),
    };
    verdicts(&input, now)
}

fn surviving(verdicts: &[Verdict<'_>]) -> BTreeSet<String> {
    let kept = verdicts.iter().filter(|verdict| verdict.good && !verdict.is_deletable());
    kept.map(|verdict| verdict.backup.id.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() })]

    /// Three ways to the same answer: day by day with maps, all at once with `verdicts`, and by `lifetimes`.
    #[test]
    fn ten_years_agree_with_a_simulator_that_goes_day_by_day(seed in any::<u64>(), keep in keep_strategy()) {
        let all = history(seed, 3_650);
        let keeps = BTreeMap::from([(name("nightly"), keep.clone())]);
        let runs: Vec<Firing> = all.iter().filter(|one| one.state == BackupState::Complete)
            .map(|one| Firing { started: one.started, stopped: one.stopped.expect("stopped") }).collect();
        let lives = lifetimes(&runs, &keep);
        // Tiers that are a number of backups leave the same however often expiry runs. Where a tier is an age, a later backup of a
        // bucket may outlive the first by another rule and then be taken for the first: it stays longer, never shorter.
        let steady = keep.tiers().all(|(_, tier)| matches!(tier, Tier::Count(_)));
        let mut present: Vec<Simple> = Vec::new();
        let mut seldom: Vec<Simple> = Vec::new();
        let mut next = 0;
        let mut ours: Vec<Backup> = Vec::new();
        for day in 1..=3_650i64 {
            let now = moment("2019-12-15T06:00:00Z") + SignedDuration::from_hours(day * 24);
            while next < all.len() && all[next].moment() <= now {
                if all[next].state == BackupState::Complete {
                    present.push(simple(&all[next], &keep.zone));
                    seldom.push(simple(&all[next], &keep.zone));
                }
                ours.push(all[next].clone());
                next += 1;
            }
            let kept = stays(&present, &keep, now);
            present.retain(|one| kept.contains(&one.id));
            if day % 61 != 0 && day != 3_650 {
                continue;
            }
            // Expiry every two months leaves what the simulator leaves, and if every tier is a number, what expiry every day leaves …
            let verdicts_now = judge(&ours, &keeps, now);
            let left = stays(&seldom, &keep, now);
            seldom.retain(|one| left.contains(&one.id));
            prop_assert_eq!(&surviving(&verdicts_now), &left, "expiry of what was left, day {}", day);
            if steady {
                prop_assert_eq!(&left, &kept, "expiry every day, day {}", day);
            }
            no_tier_starves(&all[..next], &verdicts_now, &keep)?;
            let gone: BTreeSet<String> =
                verdicts_now.iter().filter(|verdict| verdict.is_deletable()).map(|verdict| verdict.backup.id.to_string()).collect();
            ours.retain(|one| !gone.contains(one.id.as_str()));
            // … as expiry today for the first time, and as the forecast that was made on the first day.
            if day % 610 == 0 || day == 3_650 {
                let simple_all: Vec<Simple> =
                    all[..next].iter().filter(|one| one.state == BackupState::Complete).map(|one| simple(one, &keep.zone)).collect();
                let at_once = stays(&simple_all, &keep, now);
                prop_assert_eq!(&surviving(&judge(&all[..next], &keeps, now)), &at_once, "expiry of everything, day {}", day);
                let forecast: BTreeSet<Timestamp> = lives.iter().filter(|life| life.exists_at(now)).map(|life| life.stopped).collect();
                let simulated: BTreeSet<Timestamp> =
                    simple_all.iter().filter(|one| at_once.contains(&one.id)).map(|one| one.stopped).collect();
                prop_assert_eq!(forecast, simulated, "forecast, day {}", day);
            }
        }
    }
}

/// Each counting tier holds as many backups as it should, or as there ever were buckets.
fn no_tier_starves(ever: &[Backup], verdicts: &[Verdict<'_>], keep: &Keep) -> Result<(), TestCaseError> {
    for (index, (kind, tier)) in
        TierKind::ALL.into_iter().zip([keep.hourly, keep.daily, keep.weekly, keep.monthly, keep.quarterly, keep.yearly]).enumerate()
    {
        let Some(Tier::Count(count)) = tier else { continue };
        let good = ever.iter().filter(|one| one.state == BackupState::Complete);
        let buckets: BTreeSet<_> = good.map(|one| simple(one, &keep.zone).places[index]).collect();
        let of_tier = |reason: &KeepReason| matches!(reason, KeepReason::TierCount { bucket, .. } if bucket.tier == kind);
        let held = verdicts.iter().filter(|one| matches!(&one.action, Action::Keep(reasons) if reasons.iter().any(of_tier))).count();
        prop_assert_eq!(held, buckets.len().min(count as usize), "{}", kind);
    }
    Ok(())
}

// ---- what holds of every verdict -----------------------------------------------------------------------------------

/// Two jobs, chains, two clusters, holds, own keeps, all states, and clocks that are wrong.
fn tangle(seed: u64) -> Vec<Backup> {
    let mut dice = Dice(seed);
    let mut all: Vec<Backup> = Vec::new();
    let mut at = moment("2025-06-01T00:00:00Z");
    for number in 0..(20 + dice.roll(120) as usize) {
        at += SignedDuration::from_mins(60 + dice.roll(3_000) as i64);
        let state = match dice.roll(12) {
            0 => BackupState::Failed,
            1 => BackupState::Damaged,
            2 => BackupState::Running,
            _ => BackupState::Complete,
        };
        let mut one = backup(number, at, 30, state);
        one.system_identifier = Some(SystemIdentifier(if number < 40 { 9 } else { 3 }));
        if dice.roll(3) != 0 && number > 0 {
            one.kind = BackupKind::Incremental;
            one.job = name("quarterly-hours");
            let parent = number - 1 - dice.roll((number as u64).min(6)) as usize;
            one.parent = Some(if dice.roll(25) == 0 { "gone".parse().expect("an id") } else { all[parent].id.clone() });
        }
        if dice.roll(10) == 0 {
            one.keep = Some(OwnKeep::For(Period::from_days(1 + dice.roll(60) as u32)));
        }
        if dice.roll(15) == 0 {
            one.label = Some("before-migration".into());
        }
        if dice.roll(20) == 0 {
            one.job = name("renamed-job");
        }
        all.push(one);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_must_never_go_never_goes(seed in any::<u64>(), keep in keep_strategy(), other in keep_strategy(), days in 0i64..400, with_wal in any::<bool>()) {
        let backups = tangle(seed);
        let now = moment("2025-06-10T00:00:00Z") + SignedDuration::from_hours(24 * days);
        let keeps = BTreeMap::from([(name("nightly"), keep), (name("quarterly-hours"), other)]);
        let holds = [
            Hold { name: name("migration"), reason: String::new(), until: None, passing: false, selects: Selection { labels: vec!["before-migration".into()], ..Selection::default() } },
            Hold { name: name("over"), reason: String::new(), until: Some(now), passing: false, selects: Selection::default() },
        ];
        let wal = WalKeep { period: Period::from_days(20), zone: TimeZone::UTC };
        let timelines = Timelines::of(&[&store_of(backups.clone(), Vec::new(), Vec::new())]);
        let input = RetentionInput {
            backups: Observed::Known(&backups), timelines: &timelines, keeps: &keeps, holds: Observed::Known(&holds),
            wal: with_wal.then_some(&wal), failed_grace: Duration::from_days(3),
        };
        let judged = verdicts(&input, now);
        prop_assert_eq!(judged.len(), backups.len());
        let gone: BTreeSet<&str> = judged.iter().filter(|one| one.is_deletable()).map(|one| one.backup.id.as_str()).collect();
        let chains = Chains::of(&backups);
        for (at, verdict) in judged.iter().enumerate() {
            let one = verdict.backup;
            if let Action::Keep(reasons) = &verdict.action {
                prop_assert!(!reasons.is_empty());
            }
            if !gone.contains(one.id.as_str()) {
                if let Some(links) = chains.links(at) {
                    prop_assert!(links.iter().all(|link| !gone.contains(link.id.as_str())), "a parent of {} would go", one.id);
                }
                continue;
            }
            prop_assert!(one.state != BackupState::Running && one.moment() <= now && one.started <= now);
            prop_assert!(one.label.is_none(), "{} is held", one.id);
            if verdict.good {
                let better = judged.iter().any(|other| {
                    other.good && other.backup.job == one.job && other.backup.system_identifier == one.system_identifier
                        && other.backup.moment() > one.moment() && !other.is_deletable()
                });
                prop_assert!(better, "{} was the newest good one", one.id);
            }
        }
        if with_wal && judged.iter().any(|one| one.good) {
            window_has_a_base(&input, &judged, now)?;
        }
        // Once what may go is gone, nothing more goes at that moment.
        let left: Vec<Backup> = backups.iter().filter(|one| !gone.contains(one.id.as_str())).cloned().collect();
        let again = verdicts(&RetentionInput { backups: Observed::Known(&left), ..input.clone() }, now);
        prop_assert!(again.iter().all(|one| !one.is_deletable()), "{:?}", again.iter().find(|one| one.is_deletable()));
        // Unknown is not empty.
        let unknown = verdicts(&RetentionInput { holds: Observed::unknown("offline"), ..input.clone() }, now);
        prop_assert!(unknown.iter().all(|one| !one.is_deletable()));
        let nothing = verdicts(&RetentionInput { backups: Observed::unknown("offline"), ..input }, now);
        prop_assert!(nothing.is_empty());
    }
}

/// If any good base is at or before the window's beginning, one of those stays, and the log from it on.
fn window_has_a_base(input: &RetentionInput<'_>, judged: &[Verdict<'_>], now: Timestamp) -> Result<(), TestCaseError> {
    let WalNeeded::Ranges { needs, window_from: Some(from) } = wal_needed(input, judged, now) else {
        return Err(TestCaseError::fail("there are bases, and all positions are known"));
    };
    let newest = judged.iter().filter(|one| one.good && one.backup.moment() <= from).max_by_key(|one| one.backup.moment());
    if let Some(base) = newest {
        prop_assert!(!base.is_deletable());
        prop_assert!(needs.iter().any(|need| Some(need.from) == base.backup.start_lsn && need.to == seawall::retention::WalEnd::Newest));
    }
    for kept in judged.iter().filter(|one| one.good && !one.is_deletable()) {
        prop_assert!(needs.iter().any(|need| Some(need.from) == kept.backup.start_lsn));
    }
    Ok(())
}

// ---- timelines -----------------------------------------------------------------------------------------------------

fn store_of(backups: Vec<Backup>, wal: Vec<WalRange>, forks: Vec<Fork>) -> StoreInventory {
    StoreInventory { backups, wal, forks, used: Observed::unknown("not asked") }
}

/// A cluster that is backed up, and now and then set back to one of the backups that lead to where it is. Which ones still do is noted while it
/// happens, not worked out afterwards.
struct Branched {
    store: StoreInventory,
    /// The good ones on the way to where it is, in the order of time.
    way: Vec<Backup>,
    ended: Timestamp,
}

fn branched(seed: u64) -> Branched {
    let mut dice = Dice(seed);
    let cluster = Some(SystemIdentifier(7));
    let mut at = moment("2025-06-01T00:00:00Z");
    let (mut number, mut lsn) = (1u32, 1_000u64);
    let timeline = |number: u32| number.to_string().parse::<Timeline>().expect("a timeline");
    let (mut began, mut from) = (at, lsn);
    let (mut store, mut way) = (store_of(Vec::new(), Vec::new(), Vec::new()), Vec::<Backup>::new());
    let range = |number: u32, lsn: (u64, u64), time: (Timestamp, Timestamp)| WalRange {
        system_identifier: cluster,
        timeline: timeline(number),
        from_lsn: Lsn(lsn.0),
        to_lsn: Lsn(lsn.1),
        from_time: time.0,
        to_time: time.1,
    };
    for run in 0..(10 + dice.roll(60) as usize) {
        at += SignedDuration::from_mins(60 + dice.roll(3_000) as i64);
        if dice.roll(6) == 0 && !way.is_empty() {
            store.wal.push(range(number, (from, lsn + 1_000), (began, at)));
            way.truncate(1 + dice.roll(way.len() as u64) as usize);
            let last = way.last().expect("one is left");
            let (parent, at_lsn) = (last.timeline.expect("known"), last.stop_lsn.expect("known"));
            number += 1;
            store.forks.push(Fork { system_identifier: cluster, timeline: timeline(number), parent, at_lsn, at_time: None });
            at += SignedDuration::from_mins(10 + dice.roll(600) as i64);
            (lsn, from, began) = (at_lsn.0, at_lsn.0, at);
            continue;
        }
        let state = if dice.roll(6) == 0 { BackupState::Failed } else { BackupState::Complete };
        let (start, stop) = (lsn + 1 + dice.roll(500), lsn + 600 + dice.roll(500));
        lsn = stop;
        let of_run = backup(run, at, 30, state);
        let one = Backup { timeline: Some(timeline(number)), start_lsn: Some(Lsn(start)), stop_lsn: Some(Lsn(stop)), ..of_run };
        at += SignedDuration::from_mins(30);
        if state == BackupState::Complete {
            way.push(one.clone());
        }
        store.backups.push(one);
    }
    store.wal.push(range(number, (from, lsn + 1_000), (began, at)));
    Branched { store, way, ended: at }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was left behind, and however little is known of where timelines parted: the way to where the cluster is stays.
    #[test]
    fn the_way_to_where_a_cluster_is_never_goes(
        seed in any::<u64>(), keep in keep_strategy(), days in 0i64..60, window in 1u32..40, forgotten in any::<u64>(),
    ) {
        let Branched { mut store, way, ended } = branched(seed);
        let mut dice = Dice(forgotten);
        if dice.roll(2) == 0 {
            store.forks.retain(|_| dice.roll(3) != 0);
        }
        let now = ended + SignedDuration::from_hours(24 * days);
        let keeps = BTreeMap::from([(name("nightly"), keep)]);
        let (timelines, wal) = (Timelines::of(&[&store]), WalKeep { period: Period::from_days(window), zone: TimeZone::UTC });
        let input = RetentionInput {
            backups: Observed::Known(store.backups.as_slice()), timelines: &timelines, keeps: &keeps, holds: Observed::Known(&[]),
            wal: Some(&wal), failed_grace: Duration::ZERO,
        };
        let judged = verdicts(&input, now);
        let Some(newest) = way.last() else { return Ok(()) };
        let goes = |wanted: &Backup| judged.iter().any(|one| one.backup.id == wanted.id && one.is_deletable());
        prop_assert!(!goes(newest), "{} is the newest that leads to where the cluster is", newest.id);
        let WalNeeded::Ranges { needs, window_from: Some(from) } = wal_needed(&input, &judged, now) else {
            return Err(TestCaseError::fail("all positions are known"));
        };
        let base = way.iter().rev().find(|one| one.moment() <= from).unwrap_or(&way[0]);
        prop_assert!(!goes(base), "{} is where the window begins", base.id);
        let stays = needs.iter().any(|need| {
            need.to == seawall::retention::WalEnd::Newest && Some(need.timeline) <= base.timeline
                && (Some(need.timeline) < base.timeline || Some(need.from) <= base.start_lsn)
        });
        prop_assert!(stays, "the log from {} on would go", base.id);
        let doomed: BTreeSet<_> = judged.iter().filter(|one| one.is_deletable()).map(|one| &one.backup.id).collect();
        prop_assert_eq!(seawall::plan::lint_deletions(&store.backups, &[&store], &[], &doomed, now), vec![]);
        // The second look sees by itself what must not go.
        let faults = seawall::plan::lint_deletions(&store.backups, &[&store], &[], &BTreeSet::from([&newest.id]), now);
        prop_assert!(!faults.is_empty(), "{} could go, by the second look", newest.id);
    }
}
