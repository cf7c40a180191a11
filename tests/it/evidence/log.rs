//! What waits, by the server and by the store: on a real server whose archive does what it should not.

use std::fs;
use std::time::{Duration, Instant as Clock};

use crate::run::rig::Run;

/// A backup, and all log that was written until then is in the store.
fn archived() -> Run {
    let run = Run::new("", "");
    // What the server does by itself commits too.
    run.rig.cluster.sql("alter system set autovacuum = off");
    run.rig.cluster.sql("select pg_reload_conf()");
    run.say(&["run", "backups.nightly"]).ends_with_code(0);
    run.rig.cluster.sql("create table orders (id int, v text)");
    calm_down(&run);
    run
}

/// Nothing waits any more; what the server itself writes behind a segment may take another one.
pub(super) fn calm_down(run: &Run) {
    let mut seen = None;
    for _ in 0..10 {
        settle(run);
        seen = lost(run);
        if seen == Some(0.0) {
            return;
        }
    }
    panic!("{seen:?} s would be lost: {}", firing(run));
}

/// The newest segment is finished, and the server calls it archived.
fn settle(run: &Run) {
    let newest = run.rig.cluster.sql("select pg_walfile_name(pg_current_wal_lsn())");
    run.rig.cluster.sql("select pg_switch_wal()");
    let began = Clock::now();
    let is_archived = format!("select coalesce(last_archived_wal >= '{newest}', false) from pg_stat_archiver");
    while run.rig.cluster.sql(&is_archived) != "t" {
        assert!(began.elapsed() < Duration::from_secs(180), "{newest} is not archived");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What would be lost, by one look; none where that look could not say.
fn lost(run: &Run) -> Option<f64> {
    run.say(&["watch"]).ends_with_code(0);
    let latest = run.catalog().latest("try").expect("read");
    let seen = |name: &str| latest.iter().find(|one| one.name == name);
    let watched = seen("watched").expect("a look").at;
    seen("recovery_point_seconds").filter(|one| one.at == watched).map(|one| one.value)
}

fn firing(run: &Run) -> String {
    run.say(&["status"]).out
}

/// `/bin/true` archives everything, as PostgreSQL sees it.
#[test]
fn an_archive_command_that_ships_nothing_is_found_out() {
    let run = archived();
    run.rig.shell_as_root("printf '#!/bin/sh\\nexit 0\\n' > archive && chmod 755 archive");
    run.rig.cluster.sql("insert into orders select n, md5(n::text) from generate_series(1, 10000) n");
    let committed = Clock::now();
    settle(&run);
    std::thread::sleep(Duration::from_secs(2));
    let since = committed.elapsed().as_secs_f64().floor();
    let seen = lost(&run).expect("it is known");
    assert!(seen >= since, "{seen} s would be lost, and it was committed {since} s ago");
    // Longer than is promised: somebody is told what is wrong.
    let said = run.say_at("+20m", &["watch"]).ends_with_code(0);
    let status = run.say_at("+20m", &["status"]).out;
    assert!(status.contains("no store of the log has it"), "{status}{said:?}");
    // And again all is well once the log goes where it should, from a backup on.
    run.rig.archive_into_store();
    run.say(&["run", "backups.nightly"]).ends_with_code(0);
    calm_down(&run);
}

/// The newest segments were deleted in the store, and nothing newer was archived since.
#[test]
fn what_the_store_has_lost_again_counts_as_lost() {
    let run = archived();
    let newest = run.rig.cluster.sql("select last_archived_wal from pg_stat_archiver");
    for object in crate::restore::rig::objects(&run.rig.path("store"), &newest) {
        fs::remove_file(object).expect("it was there");
    }
    std::thread::sleep(Duration::from_secs(2));
    assert!(lost(&run).is_some_and(|seen| seen >= 2.0), "{:?}", lost(&run));
}

/// A night without commits is not a night that would be lost.
#[test]
fn what_is_committed_after_a_quiet_time_waits_since_then() {
    let run = archived();
    std::thread::sleep(Duration::from_secs(6));
    let quiet = Clock::now();
    assert_eq!(lost(&run), Some(0.0));
    run.rig.cluster.sql("insert into orders select n, md5(n::text) from generate_series(1, 10000) n");
    std::thread::sleep(Duration::from_secs(1));
    let seen = lost(&run).expect("it is known");
    let since = quiet.elapsed().as_secs_f64();
    assert!(seen >= 1.0 && seen <= since + 1.0, "{seen} s, and {since} s ago nothing waited");
}

/// However few its bytes are.
#[test]
fn a_small_commit_waits_as_a_large_one_does() {
    let run = archived();
    assert_eq!(lost(&run), Some(0.0), "a look writes nothing");
    run.rig.cluster.sql("insert into orders values (1, 'small')");
    std::thread::sleep(Duration::from_secs(1));
    assert!(lost(&run).is_some_and(|seen| seen >= 1.0));
    calm_down(&run);
}

#[test]
fn what_nobody_can_say_is_not_nothing() {
    let run = archived();
    // The store is away.
    run.rig.shell_as_root("mv store away");
    assert_eq!(lost(&run), None);
    run.rig.shell_as_root("mv away store");
    assert_eq!(lost(&run), Some(0.0));
    // The server has forgotten what it archived.
    run.rig.cluster.sql("select pg_stat_reset_shared('archiver')");
    run.rig.shell_as_root("rm -f data/pg_wal/archive_status/*.done");
    assert_eq!(lost(&run), None);
    // And when nobody has been able to say for long, somebody hears why.
    run.say_at("+1m", &["watch"]).ends_with_code(0);
    run.say_at("+33m", &["watch"]).ends_with_code(0);
    let status = run.say_at("+33m", &["status"]).out;
    assert!(status.contains("no segment that was archived"), "{status}");
}
