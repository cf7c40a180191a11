//! The primary is lost.

use super::rig::{Pair, conninfo, wait_for};
use crate::clusters::Version;
use crate::restore::rig::{objects, said};

fn loses_its_primary(version: Version) {
    let pair = Pair::streaming(version);
    pair.rig.load(10);
    pair.caught_up();
    pair.rig.cluster.kill_9();
    let folder = pair.rig.cluster.folder().display().to_string();
    pair.hook("after_promote", &format!("env | grep ^SEAWALL_ | sort >> {folder}/announced.env"), "10s");

    let promotion = pair.promoted(&["--fenced-by-hand", "ann: power cable"]);
    assert_eq!((promotion["kind"].as_str(), promotion["stage"].as_str()), (Some("failover"), Some("done")));
    assert_eq!((promotion["timeline_before"].as_u64(), promotion["timeline"].as_u64()), (Some(1), Some(2)));
    assert_eq!((promotion["fencing"]["by"].as_str(), promotion["fencing"]["words"].as_str()), (Some("hand"), Some("ann: power cable")));
    assert!(
        promotion["steps"].as_array().is_some_and(|steps| steps.iter().all(|step| step["outcome"] == "done" && step["seconds"].is_f64()))
    );
    assert!(promotion["loss"]["words"][0].as_str().is_some_and(|words| words.contains("LOST, if there is any")), "{promotion}");
    assert_eq!(pair.standby.sql("select count(*) from series"), "15");
    pair.standby.sql("insert into series (v) values ('after')");
    let announced = std::fs::read_to_string(pair.rig.path("announced.env")).expect("the hook ran");
    for line in ["SEAWALL_HOOK=after_promote", "SEAWALL_KIND=failover", "SEAWALL_TIMELINE=2", "SEAWALL_HOST=db-2", "SEAWALL_POLICY=shop"] {
        assert!(announced.contains(line), "{line} is not in {announced}");
    }
    // The log goes on in the same repository.
    let store = pair.rig.path("store");
    assert_eq!(objects(&store, "00000002.history").len(), 1);
    assert!(objects(&store, "/00000002/").iter().any(|object| object.to_string_lossy().contains("/000000020000")));
    assert_eq!((promotion["recorded"].as_bool(), pair.audited("promotion.succeeded")), (Some(true), 1));
    let history = said(pair.rig.command_on("state-2", &["history", "promote", "--format", "json"]).output().expect("it runs"));
    assert!(history.out.contains("\"succeeded\"") && history.out.contains("promote"), "{}{}", history.out, history.err);

    // Again: nothing is left to do, and nothing is done twice.
    let again = pair.promoted(&[]);
    assert_eq!(again["stage"], "done");
    assert_eq!(std::fs::read_to_string(pair.rig.path("announced.env")).expect("still").matches("SEAWALL_HOOK").count(), 1);
    assert_eq!(pair.audited("promotion.succeeded"), 1);

    comes_back_and_is_made_a_standby(&pair);
}

/// Somebody starts the old primary after all: what it archives lies on its own timeline and harms nobody. Then it becomes a standby.
fn comes_back_and_is_made_a_standby(pair: &Pair) {
    let rig = &pair.rig;
    rig.cluster.resume();
    rig.load(3);
    rig.archive();
    assert_eq!(rig.cluster.sql("select failed_count from pg_stat_archiver where last_failed_time > last_archived_time"), "");
    let lsn = pair.standby.sql("select pg_walfile_name(pg_switch_wal())");
    pair.standby.wait_until(&format!("coalesce(last_archived_wal, '') >= '{lsn}' from pg_stat_archiver"));
    rig.cluster.stop(crate::clusters::StopMode::Fast);

    let (data, programs) = (rig.cluster.data(), rig.cluster.version().programs());
    let from = conninfo(rig, pair.port);
    let words = ["restore", "--yes", "--delta", "--as-standby", "--timeline", "2", "--target", data.to_str().expect("text")];
    let more = ["--primary-conninfo", &from, "--slot", "db_1", "--format", "json", "--start-with", programs.to_str().expect("text")];
    let made = rig.seawall(&[&words[..], &more[..]].concat());
    assert_eq!(made.code, 0, "{}{}", made.out, made.err);
    assert_eq!(made.json()["reached"]["follows"]["streams"], true, "{}", made.out);
    pair.standby.sql("insert into series (v) values ('to both')");
    let rows = pair.standby.hash();
    wait_for("the old primary follows", || {
        rig.cluster.sql("select pg_is_in_recovery()") == "t" && rig.cluster.sql("select count(*) from series") == "17"
    });
    assert_eq!(rig.hash(i64::MAX), rows);
}

#[test]
fn loses_its_primary_13() {
    loses_its_primary(Version::V13);
}

#[test]
fn loses_its_primary_15() {
    loses_its_primary(Version::V15);
}

#[test]
fn loses_its_primary_18() {
    loses_its_primary(Version::V18);
}

/// The standby lags: what was archived beyond it is replayed before it is promoted, and the plan says so.
#[test]
fn what_was_archived_is_replayed_first() {
    let pair = Pair::archive_only(Version::V15);
    pair.standby.sql("select pg_wal_replay_pause()");
    pair.rig.load(20);
    pair.rig.archive();
    pair.rig.cluster.kill_9();
    let paused = pair.promote(&["--yes", "--fenced-by-hand", "ann: power cable"]);
    assert!(paused.code == 1 && paused.err.contains("replay is paused"), "{}", paused.err);
    pair.standby.sql("select pg_wal_replay_resume()");
    let said = pair.promote(&["--yes", "--fenced-by-hand", "ann: power cable"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("keep the old primary down"), "{}", said.out);
    assert_eq!(pair.standby.sql("select count(*) from series"), "25");
    assert!(!pair.is_standby());
}

/// What the old primary had sent ends wherever it ended, within a record most likely.
#[test]
fn killed_while_it_wrote_a_lot() {
    let pair = Pair::streaming(Version::V15);
    pair.rig.cluster.sql("create table bulk (n bigint, v text)");
    pair.caught_up();
    let mut connection = pair.rig.cluster.connect();
    let writer = std::thread::spawn(move || {
        let sql = "insert into bulk select n, repeat(md5(n::text), 40) from generate_series(1, 100000) n";
        while connection.query(sql, &[]).is_ok() {}
    });
    wait_for("it writes", || pair.standby.sql("select pg_last_wal_receive_lsn() > '0/8000000'") == "t");
    pair.rig.cluster.kill_9();
    writer.join().expect("a writer");
    let promotion = pair.promoted(&["--fenced-by-hand", "ann: power cable"]);
    assert_eq!(promotion["stage"], "done", "{promotion}");
}

/// Another standby was promoted that had less of the log: nobody names it, but the stores have its timeline.
#[test]
fn a_rival_that_had_less() {
    let pair = Pair::streaming(Version::V15);
    pair.rig.shell("mkdir -m 700 -p state-3 && cp -a state/keys state-3/keys");
    let port = super::rig::free_port();
    let restored = super::rig::restore(&pair.rig, "rival", port, &[]);
    assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
    let rival = pair.rig.running("rival", port);
    rival.sql("alter system set restore_command = 'false'");
    rival.sql("select pg_reload_conf()");
    for _ in 0..3 {
        pair.rig.load(3);
        pair.rig.archive();
    }
    pair.caught_up();
    pair.rig.cluster.kill_9();
    rival.sql("select pg_promote()");
    rival.sql("select pg_switch_wal()");
    wait_for("its history is in the store", || objects(&pair.rig.path("store"), "00000002.history").len() == 1);
    let refused = pair.promote(&["--yes", "--fenced-by-hand", "ann: power cable"]);
    assert!(refused.code == 1 && refused.err.contains("another server was promoted already"), "{}{}", refused.out, refused.err);
    assert!(pair.is_standby());
}
