use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::inventory::{Observed, Size, Timelines};
use crate::retention::{Keep, RetentionInput, Tier, verdicts};
use crate::units::{Duration, Period};

const NOW: &str = "2026-11-21T06:30:00Z";

fn at(text: &str) -> Instant {
    text.parse().expect("a moment")
}

fn name() -> Name {
    "nightly".parse().expect("a name")
}

fn id(text: &str) -> BackupId {
    text.parse().expect("an id")
}

/// One that ended so many days ago.
fn backup(days: i64, parent: Option<&str>) -> Backup {
    let ended = at(NOW) - jiff::SignedDuration::from_hours(24 * days);
    Backup {
        id: id(&format!("b{days:04}")),
        job: name(),
        kind: if parent.is_some() { BackupKind::Incremental } else { BackupKind::Full },
        state: BackupState::Complete,
        parent: parent.map(id),
        started: ended,
        stopped: Some(ended),
        size: None,
        stored_size: Some(Size::new(10)),
        label: None,
        keep: None,
        system_identifier: None,
        timeline: None,
        start_lsn: None,
        stop_lsn: None,
        verified_at: None,
        carries_log: false,
        storage_class: None,
        scope: None,
    }
}

/// `daily: 7, monthly: { count: 12, storage_class: STANDARD_IA }, yearly: { count: 7, storage_class: GLACIER }`
fn rules() -> BTreeMap<Name, Keep> {
    let mut keep = Keep::everything(TimeZone::UTC);
    (keep.daily, keep.monthly, keep.yearly) = (Some(Tier::Count(7)), Some(Tier::Count(12)), Some(Tier::Count(7)));
    BTreeMap::from([(name(), keep)])
}

fn classes() -> BTreeMap<Name, TierClasses> {
    let tiers = [(TierKind::Monthly, StorageClass::StandardIa), (TierKind::Yearly, StorageClass::Glacier)];
    BTreeMap::from([(name(), TierClasses::from(tiers))])
}

#[derive(Default)]
struct World {
    marks: BTreeMap<BackupId, Mark>,
    pinned: BTreeSet<BackupId>,
    window: Option<WalKeep>,
}

impl World {
    fn moves(&self, backups: &[Backup], keeps: &BTreeMap<Name, Keep>, classes: &BTreeMap<Name, TierClasses>) -> Vec<Move> {
        let now = at(NOW);
        let timelines = Timelines::default();
        let input = RetentionInput {
            timelines: &timelines,
            backups: Observed::Known(backups),
            keeps,
            holds: Observed::Known(&[]),
            wal: self.window.as_ref(),
            failed_grace: Duration::from_days(1),
        };
        let (marks, pinned, window) = (&self.marks, &self.pinned, self.window.as_ref());
        moves(&verdicts(&input, now), &MoveTerms { classes, marks, pinned, window, now })
    }

    fn said(&self, backups: &[Backup]) -> Vec<String> {
        let all = self.moves(backups, &rules(), &classes());
        all.iter().map(|one| format!("{} {}: {}", one.id, one.to, one.reason)).collect()
    }
}

/// Every day since 1 January of last year.
fn history() -> Vec<Backup> {
    (0..690).rev().map(|days| backup(days, None)).collect()
}

#[test]
fn what_only_a_tier_still_keeps_moves_and_says_why() {
    let said = World::default().said(&history());
    assert_eq!(said.len(), 13, "{said:#?}");
    assert_eq!(said[0], "b0689 GLACIER: only `keep.yearly` still keeps it");
    assert!(said.iter().any(|line| line == "b0020 STANDARD_IA: only `keep.monthly` still keeps it"), "{said:#?}");
    // The first of this year is one of the twelve months too, and lies as warm as these want it.
    assert!(said.iter().any(|line| line == "b0324 STANDARD_IA: only `keep.monthly` and `keep.yearly` still keep it"), "{said:#?}");
}

#[test]
fn a_longer_tier_without_a_class_of_its_own_lies_where_the_shorter_one_put_it() {
    let only_months = BTreeMap::from([(name(), TierClasses::from([(TierKind::Monthly, StorageClass::Glacier)]))]);
    let moved = World::default().moves(&history(), &rules(), &only_months);
    assert!(moved.len() == 13 && moved.iter().all(|one| one.to == StorageClass::Glacier), "{moved:#?}");
    let only_years = BTreeMap::from([(name(), TierClasses::from([(TierKind::Yearly, StorageClass::Glacier)]))]);
    let moved = World::default().moves(&history(), &rules(), &only_years);
    assert_eq!(moved.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["b0689"]);
}

#[test]
fn nothing_moves_twice_or_to_what_is_warmer_or_out_of_an_archive() {
    let mut backups = history();
    let lie = |backups: &mut Vec<Backup>, class| backups.iter_mut().for_each(|backup| backup.storage_class = Some(class));
    lie(&mut backups, StorageClass::StandardIa);
    assert_eq!(World::default().said(&backups), ["b0689 GLACIER: only `keep.yearly` still keeps it"]);
    lie(&mut backups, StorageClass::Glacier);
    assert!(World::default().said(&backups).is_empty());
    let deep = BTreeMap::from([(name(), TierClasses::from([(TierKind::Monthly, StorageClass::DeepArchive)]))]);
    assert!(World::default().moves(&backups, &rules(), &deep).is_empty(), "it would have to be thawed first");
}

#[test]
fn what_is_used_marked_or_needed_stays_where_it_is() {
    let backups = history();
    let moving = |world: &World| world.said(&backups).len();
    let pinned = BTreeSet::from([id("b0689")]);
    let marks = BTreeMap::from([(id("b0689"), Mark { at: at(NOW), acknowledged: false })]);
    assert_eq!((moving(&World { pinned, ..World::default() }), moving(&World { marks, ..World::default() })), (12, 12));
    let window = |days| Some(WalKeep { period: Period::from_days(days), zone: TimeZone::UTC });
    // The window reaches the present month's, and its base is a backup that stays for that alone.
    assert_eq!(moving(&World { window: window(30), ..World::default() }), 12);
    assert_eq!(moving(&World { window: window(800), ..World::default() }), 0);
    // One that something builds on waits until it is alone, also when what builds on it is about to go.
    let mut chained = backups.clone();
    chained.push(backup(688, Some("b0689")));
    assert!(World::default().said(&chained).iter().all(|line| !line.contains("b0689")));
    let held: Vec<Backup> = backups.iter().cloned().map(|backup| Backup { state: BackupState::Damaged, ..backup }).collect();
    assert!(World::default().said(&held).is_empty(), "what is damaged is looked into, not put away");
}

#[derive(Debug, Clone)]
struct Drawn {
    days: BTreeSet<i64>,
    children: Vec<(usize, usize)>,
    marked: Vec<usize>,
    pinned: Vec<usize>,
    lying: Vec<Option<StorageClass>>,
    window: Option<u32>,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let class = prop::option::of(prop::sample::select(ClassesOfS3.to_vec()));
    (
        prop::collection::btree_set(0_i64..900, 1..60),
        prop::collection::vec((0_usize..60, 0_usize..60), 0..20),
        prop::collection::vec(0_usize..60, 0..6),
        prop::collection::vec(0_usize..60, 0..6),
        prop::collection::vec(class, 60),
        prop::option::of(1_u32..400),
    )
        .prop_map(|(days, children, marked, pinned, lying, window)| Drawn { days, children, marked, pinned, lying, window })
}

#[expect(non_upper_case_globals, reason = "it reads as a list")]
const ClassesOfS3: &[StorageClass] = crate::units::ClassFamily::S3.classes();

proptest! {
    /// What is in a chain, in the window, marked or read never moves; nothing moves twice; nothing moves to what is warmer.
    #[test]
    fn only_what_stands_alone_moves_and_only_to_what_is_colder(drawn in drawn()) {
        let mut backups: Vec<Backup> = drawn.days.iter().rev().map(|days| backup(*days, None)).collect();
        for (at, class) in drawn.lying.iter().take(backups.len()).enumerate() {
            backups[at].storage_class = *class;
        }
        let count = backups.len();
        for (child, parent) in drawn.children.iter().filter(|(child, parent)| parent < child && *child < count) {
            backups[*child].parent = Some(backups[*parent].id.clone());
            backups[*child].kind = BackupKind::Incremental;
        }
        let some = |chosen: &[usize]| chosen.iter().filter_map(|at| Some(backups.get(*at)?.id.clone())).collect::<BTreeSet<_>>();
        let mark = Mark { at: at(NOW), acknowledged: false };
        let world = World {
            marks: some(&drawn.marked).into_iter().map(|id| (id, mark)).collect(),
            pinned: some(&drawn.pinned),
            window: drawn.window.map(|days| WalKeep { period: Period::from_days(days), zone: TimeZone::UTC }),
        };
        let moved = world.moves(&backups, &rules(), &classes());
        let newest = backups.iter().map(Backup::moment).max();
        for one in &moved {
            let backup = backups.iter().find(|backup| backup.id == one.id).expect("it is there");
            prop_assert!(backup.parent.is_none() && !backups.iter().any(|other| other.parent.as_ref() == Some(&one.id)));
            prop_assert!(!world.marks.contains_key(&one.id) && !world.pinned.contains(&one.id));
            prop_assert!(Some(backup.moment()) != newest);
            let age = (at(NOW).as_second() - backup.moment().as_second()) / 86_400;
            prop_assert!(drawn.window.is_none_or(|days| age > i64::from(days)), "{} in a window of {:?}", one.id, drawn.window);
            if let Some(from) = backup.storage_class {
                let place = |class| ClassesOfS3.iter().position(|one| *one == class);
                prop_assert!(place(one.to) > place(from) && !from.needs_thaw());
            }
        }
        // Once it lies there, there is nothing to do.
        for one in &moved {
            backups.iter_mut().filter(|backup| backup.id == one.id).for_each(|backup| backup.storage_class = Some(one.to));
        }
        prop_assert!(world.moves(&backups, &rules(), &classes()).is_empty());
    }
}
