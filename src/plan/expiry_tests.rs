use super::*;
use crate::inventory::{BackupKind, Size};
use crate::retention::{DeleteReason, KeepReason};

fn at(text: &str) -> Instant {
    text.parse().expect("a moment")
}

fn id(text: &str) -> BackupId {
    text.parse().expect("an id")
}

fn backup(name: &str, job: &str, parent: Option<&str>) -> Backup {
    Backup {
        id: id(name),
        job: job.parse().expect("a name"),
        kind: if parent.is_some() { BackupKind::Incremental } else { BackupKind::Full },
        state: BackupState::Complete,
        parent: parent.map(id),
        started: at("2026-11-01T02:00:00Z"),
        stopped: Some(at("2026-11-01T02:10:00Z")),
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

fn judged<'b>(backups: &'b [Backup], going: &[&str]) -> Vec<Verdict<'b>> {
    let action = |backup: &Backup| match going.contains(&backup.id.as_str()) {
        true => Action::Delete(DeleteReason::Expired { last: Some(1), within: None, tiers: false }),
        false => Action::Keep(vec![KeepReason::NoRule]),
    };
    backups.iter().map(|backup| Verdict { backup, good: true, action: action(backup) }).collect()
}

/// Marked this long before now.
fn marks(marked: &[(&str, i64)]) -> BTreeMap<BackupId, Mark> {
    let mark = |hours: i64| Mark { at: at(NOW) - jiff::SignedDuration::from_hours(hours), acknowledged: false };
    marked.iter().map(|(name, hours)| (id(name), mark(*hours))).collect()
}

static NO_KEEPS: BTreeMap<Name, Keep> = BTreeMap::new();
static NOT_AWAITED: BTreeMap<BackupId, Awaited> = BTreeMap::new();
const NOW: &str = "2026-11-21T06:30:00Z";

fn decided(verdicts: &[Verdict<'_>], marked: &BTreeMap<BackupId, Mark>, pinned: &[&str], acknowledged: bool) -> Expiry {
    let pinned = pinned.iter().map(|name| id(name)).collect();
    let terms = ExpiryTerms {
        marks: marked,
        pinned: &pinned,
        awaited: &NOT_AWAITED,
        keeps: &NO_KEEPS,
        grace: Duration::from_hours(24),
        brake: Percent::new(20),
        acknowledged,
        now: at(NOW),
    };
    expiry(verdicts, &terms)
}

fn ids(doomed: &[Doomed]) -> Vec<&str> {
    doomed.iter().map(|doomed| doomed.id.as_str()).collect()
}

fn many(count: usize) -> Vec<Backup> {
    (0..count).map(|number| backup(&format!("b{number:02}"), "nightly", None)).collect()
}

#[test]
fn marked_first_deleted_a_grace_period_later_and_spared_when_wanted_again() {
    let backups = many(10);
    let verdicts = judged(&backups, &["b00", "b01", "b02"]);
    let run = decided(&verdicts, &marks(&[("b01", 23), ("b02", 24), ("b05", 400)]), &[], false);
    assert_eq!((ids(&run.mark), ids(&run.delete)), (vec!["b00"], vec!["b02"]));
    assert_eq!(run.waiting[0].why, WhyWaiting::Grace { until: at("2026-11-21T07:30:00Z") });
    assert_eq!((run.waiting.len(), run.unmark[0].id.as_str(), run.unmark.len()), (1, "b05", 1));
    assert_eq!(run.unmark[0].reason, "kept: its job keeps everything");
}

#[test]
fn a_mark_from_the_future_is_not_old() {
    let backups = many(3);
    let run = decided(&judged(&backups, &["b00"]), &marks(&[("b00", -1)]), &[], false);
    assert!(run.delete.is_empty() && run.waiting.len() == 1, "{run:?}");
}

#[test]
fn children_go_before_their_parents_and_keep_them() {
    let mut backups = vec![backup("full", "weekly", None)];
    backups.push(backup("one", "hourly", Some("full")));
    backups.push(backup("two", "hourly", Some("one")));
    backups.push(backup("also", "hourly", Some("one")));
    backups.extend(many(20));
    let chain = ["full", "one", "two", "also"];
    let all = judged(&backups, &chain);
    let marked = marks(&[("full", 30), ("one", 30), ("two", 30), ("also", 30)]);
    let run = decided(&all, &marked, &[], false);
    let order = ids(&run.delete);
    let place = |name: &str| order.iter().position(|one| *one == name).expect("it goes");
    assert!(place("two") < place("one") && place("also") < place("one") && place("one") < place("full"), "{order:?}");
    // One child is not ripe, or is being restored: all that it builds on stays.
    for (marked, pinned) in [(marks(&[("full", 30), ("one", 30), ("two", 30), ("also", 1)]), &[][..]), (marked, &["also"][..])] {
        let run = decided(&all, &marked, pinned, false);
        assert_eq!(ids(&run.delete), ["two"]);
        let why = |name: &str| run.waiting.iter().find(|waiting| waiting.doomed.id.as_str() == name).map(|waiting| waiting.why.clone());
        assert_eq!((why("one"), why("full")), (Some(WhyWaiting::Child(id("also"))), Some(WhyWaiting::Child(id("one")))));
    }
}

#[test]
fn a_circle_of_parents_ends() {
    let backups = [backup("one", "hourly", Some("two")), backup("two", "hourly", Some("one")), backup("three", "hourly", None)];
    let run = decided(&judged(&backups, &["one", "two"]), &marks(&[("one", 30), ("two", 30)]), &[], false);
    assert!(run.delete.is_empty() && run.waiting.len() == 2, "{run:?}");
}

#[test]
fn the_brake_stops_everything_until_somebody_speaks() {
    let backups = many(10);
    // Two of ten are the share itself.
    assert_eq!(decided(&judged(&backups, &["b00", "b01"]), &marks(&[]), &[], false).braked, None);
    let verdicts = judged(&backups, &["b00", "b01", "b02", "b03"]);
    let run = decided(&verdicts, &marks(&[("b03", 30)]), &[], false);
    assert_eq!(run.braked, Some(Brake { would: 3, of: 10, limit: Percent::new(20), marking: true }));
    assert!(run.mark.is_empty() && run.delete.is_empty() && run.waiting.iter().all(|waiting| waiting.why == WhyWaiting::Braked));
    assert_eq!(run.waiting.len(), 4);
    let run = decided(&verdicts, &marks(&[("b03", 30)]), &[], true);
    assert_eq!((run.mark.len(), run.delete.len(), run.braked), (3, 1, None));
}

#[test]
fn what_gathered_while_nobody_ran_is_braked_too_unless_it_was_acknowledged() {
    let backups = many(10);
    let verdicts = judged(&backups, &["b00", "b01", "b02"]);
    let mut marked = marks(&[("b00", 30), ("b01", 30), ("b02", 30)]);
    let run = decided(&verdicts, &marked, &[], false);
    assert_eq!(run.braked, Some(Brake { would: 3, of: 10, limit: Percent::new(20), marking: false }));
    marked.values_mut().for_each(|mark| mark.acknowledged = true);
    assert_eq!(decided(&verdicts, &marked, &[], false).delete.len(), 3);
}

#[test]
fn a_small_store_goes_its_ordinary_course() {
    // `last: 3`, and each of two jobs makes one a night.
    let mut backups: Vec<Backup> = (0..4).map(|number| backup(&format!("a{number}"), "nightly", None)).collect();
    backups.extend((0..4).map(|number| backup(&format!("b{number}"), "weekly", None)));
    assert_eq!(decided(&judged(&backups, &["a0", "b0"]), &marks(&[]), &[], false).mark.len(), 2);
    assert!(decided(&judged(&backups, &["a0", "a1"]), &marks(&[]), &[], false).braked.is_some());
    // A week's chain is one.
    let mut chain = vec![backup("full", "nightly", None)];
    chain.extend((0..6).map(|number| backup(&format!("i{number}"), "nightly", Some("full"))));
    let going: Vec<String> = chain.iter().map(|backup| backup.id.to_string()).collect();
    chain.push(backup("next", "nightly", None));
    let going: Vec<&str> = going.iter().map(String::as_str).collect();
    assert_eq!(decided(&judged(&chain, &going), &marks(&[]), &[], false).mark.len(), 7);
}
