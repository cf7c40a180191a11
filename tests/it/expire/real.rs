//! A real cluster: what stays of its backups and its log brings it back to any moment of the window, and no further.

use std::sync::atomic::AtomicBool;

use jiff::SignedDuration;
use seawall::cli::here::Here;
use seawall::cli::terminal::Colour;
use seawall::execute::expire::{Clock, Expired, Onlooker, Wishes, expire};
use seawall::units::Instant;

use crate::clusters::{Options, StopMode, Version};
use crate::restore::rig::{Rig, objects};
use crate::restore::timelines;

fn expire_at(rig: &Rig, now: Instant) -> Expired {
    let here = Here { policy: Some(rig.path("policy.yaml")), state: Some(rig.path("state")), host: Some("db".parse().expect("a name")) };
    let policy = here.read(Colour::Never).expect("a sound policy");
    let stop = AtomicBool::new(false);
    let wishes = Wishes { clock: Clock::Told(now), ..Wishes::default() };
    let run = expire(&here.site(&policy), &wishes, Onlooker { deed: &|_, _| true, stop: &stop }).expect("it begins");
    assert!(run.is_well(), "{run:?}");
    run
}

#[test]
fn what_is_left_of_a_real_cluster_comes_back() {
    let rig = Rig::start(Version::V16, Options { segment_mb: 1, ..Options::default() });
    rig.change_policy("keep: 7d }", "keep: 1h }");
    rig.change_policy("keep: { daily: 7 }", "keep: { last: 1 }");
    rig.change_policy("version: 1", "version: 1\nexpire: { brake: 100%, grace: 1h }");
    rig.series();
    let mut ids = Vec::new();
    for _ in 0..3 {
        rig.load(10);
        ids.push(rig.backup());
    }
    // Two of one second are in no order but that of their random ends.
    let sorted = |ids: &[String]| ids.iter().cloned().collect::<std::collections::BTreeSet<_>>();
    rig.load(10);
    rig.archive();
    let before = objects(&rig.path("store"), "/wal/").len();
    // The window has moved past the third backup.
    let now = Instant::now();
    let hours = |hours: i64| now + SignedDuration::from_hours(hours);
    let marked = expire_at(&rig, hours(2));
    assert_eq!(sorted(&super::rig::ids(&marked.marked)), sorted(&ids[..2]), "{marked:?}");
    let deleted = expire_at(&rig, hours(4));
    assert_eq!(sorted(&super::rig::ids(&deleted.deleted)), sorted(&ids[..2]), "{deleted:?}");
    // Their own log was marked with the rest, and went when they had gone.
    assert_eq!(expire_at(&rig, hours(6)).marked.len(), 0);
    let after = objects(&rig.path("store"), "/wal/").len();
    assert!(after < before && after > 2, "{before} {after} {deleted:?}");
    let left = crate::faults::killing::whole_backups(&rig);
    assert_eq!(left, ids[2..]);
    crate::faults::killing::prove_everything(&rig, &["--deep"]);
    // A moment after the last backup, and the end.
    let restored = rig.bring_back("moment", &["--to", &rig.after_row(35)]);
    assert_eq!(restored.hash(), rig.hash(35));
    restored.remove();
    let restored = rig.bring_back("end", &["--latest"]);
    assert_eq!(restored.hash(), rig.hash(i64::MAX));
    restored.remove();
    let refused = rig.restore("gone", &["--to", &rig.after_row(5)]);
    assert_eq!(refused.code, 1, "{}", refused.out);
    assert!(refused.err.contains("error: ") && refused.err.contains("backup"), "{}", refused.err);
}

/// `LD_PRELOAD` moves this host's clock, and neither the store's nor the database's.
#[test]
fn a_host_whose_clock_is_wrong_deletes_nothing() {
    let rig = Rig::start(Version::V16, Options { segment_mb: 1, ..Options::default() });
    rig.change_policy("keep: { daily: 7 }", "keep: { last: 1 }");
    rig.series();
    for _ in 0..2 {
        rig.load(5);
        rig.backup();
    }
    let clock = crate::faults::hosts::Clock::of(&rig);
    for (days, refused) in [(1, true), (-1, true), (0, false)] {
        clock.set(days);
        let run = clock.command(&["expire"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(!run.status.success(), refused, "{days}: {said}");
        assert!(!refused || said.contains("this host's clock says"), "{said}");
    }
}

/// Set back to before the second backup, the cluster goes on where only the first one leads. What was left behind is newer by the clock.
#[test]
fn a_cluster_that_was_set_back_keeps_the_backup_that_leads_to_it() {
    let rig = Rig::start(Version::V16, Options { segment_mb: 1, ..Options::default() });
    rig.change_policy("keep: 7d }", "keep: 1h }");
    rig.change_policy("keep: { daily: 7 }", "keep: { last: 1 }");
    rig.change_policy("version: 1", "version: 1\nexpire: { brake: 100%, grace: 1h }");
    rig.series();
    rig.load(10);
    let first = rig.backup();
    rig.load(10);
    let (back_to, rows) = (rig.after_row(15), rig.hash(15));
    rig.archive();
    let left_behind = rig.backup();
    rig.load(10);
    rig.archive();
    rig.cluster.stop(StopMode::Fast);
    let second = rig.bring_back("second", &["--to", &back_to]);
    assert_eq!(second.hash(), rows);
    timelines::release(&rig, &second);
    second.sql("insert into series (v) select 'second ' || n from generate_series(1, 5) n");
    let (at_second, rows) = (timelines::moment(&second), second.hash());
    std::thread::sleep(std::time::Duration::from_millis(20));
    second.sql("insert into series (v) values ('not wanted')");
    timelines::archive(&second);
    second.stop();

    let now = Instant::now();
    let hours = |hours: i64| now + SignedDuration::from_hours(hours);
    // Without the identity for recoveries, too: a host reads with its own key where timelines parted.
    rig.shell("mv identity.txt elsewhere");
    for at in [2, 4, 6, 8, 10] {
        let run = expire_at(&rig, hours(at));
        assert!(!super::rig::ids(&run.marked).contains(&first), "{run:?}");
    }
    rig.shell("mv elsewhere identity.txt");
    assert!(crate::faults::killing::whole_backups(&rig).contains(&first), "{first} {left_behind}");
    let again = rig.bring_back("again", &["--to", &at_second]);
    assert_eq!((again.hash(), again.report["timeline"].as_u64()), (rows, Some(2)));
}
