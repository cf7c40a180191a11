//! `restore --as-standby`: what follows a primary afterwards, and what could never follow it.

use super::rig::{Pair, conninfo, free_port, primary, restore};
use crate::clusters::{Options, StopMode, Version};
use crate::restore::rig::{Restored, Rig};

fn streams(version: Version) {
    let rig = primary(version, Options::default());
    // Raised since the backup: a standby that has less stops or pauses.
    rig.cluster.add_conf("max_connections = 140");
    rig.cluster.restart();
    let from = rig.cluster.conninfo();
    let port = free_port();
    let said = restore(&rig, "standby", port, &["--primary-conninfo", &from, "--slot", "db_2"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let report = crate::cli::follows("restore-output", &said.out);
    let follows = &report["reached"]["follows"];
    assert_eq!((follows["streams"].as_bool(), follows["slot"].as_str()), (Some(true), Some("db_2")), "{report}");
    assert!(follows["behind_bytes"].as_u64().is_some_and(|bytes| bytes < 1 << 20), "{follows}");
    let standby = rig.running("standby", port);
    rig.load(5);
    standby.wait_until("(select count(*) from series) = 10");
    assert_eq!(rig.cluster.sql("select active from pg_replication_slots where slot_name = 'db_2'"), "t");
    assert_eq!(standby.sql("show max_connections"), "140");
    // It archives nothing now, and will when it is promoted.
    assert!(standby.sql("show archive_command").contains(" wal push %p "));
    assert_eq!(standby.sql("select archived_count + failed_count from pg_stat_archiver"), "0");
    assert!(standby.sql("show restore_command").ends_with(" --standby"));

    let other = restore(&rig, "other", free_port(), &["--primary-conninfo", &from, "--slot", "db_2"]);
    assert!(other.code == 1 && other.err.contains("cannot be taken: somebody streams from it"), "{}", other.err);
    assert!(!rig.path("other").exists());
}

#[test]
fn streams_13() {
    streams(Version::V13);
}

#[test]
fn streams_15() {
    streams(Version::V15);
}

#[test]
fn streams_18() {
    streams(Version::V18);
}

fn refused(rig: &Rig, words: &[&str], code: i32, says: &str) {
    let said = restore(rig, "refused", free_port(), words);
    assert!(said.code == code && said.err.contains(says), "{words:?}: {} {}{}", said.code, said.out, said.err);
    assert!(!rig.path("refused").exists());
}

#[test]
fn what_could_never_follow_is_refused_before_anything_is_fetched() {
    let rig = primary(Version::V15, Options::default());
    let from = rig.cluster.conninfo();
    refused(&rig, &["--primary-conninfo", &format!("{from} password=geheim")], 1, "holds a password");
    let uri = "postgresql://repl:geheim@127.0.0.1/postgres";
    let said = restore(&rig, "refused", free_port(), &["--primary-conninfo", uri]);
    assert!(said.code == 1 && !said.err.contains("geheim") && !said.out.contains("geheim"), "{}{}", said.out, said.err);
    refused(&rig, &["--primary-conninfo", &from, "--set", "max_connections=5"], 1, "below the primary's");
    refused(&rig, &["--primary-conninfo", &from, "--slot", "Db-2"], 64, "lower case");
    refused(&rig, &["--slot", "db_2"], 64, "--primary-conninfo");
    refused(&rig, &["--to-lsn", "0/1"], 64, "cannot be used with");
    rig.cluster.sql("select pg_create_physical_replication_slot('unused')");
    // Nobody uses that one: taken over. Before it is, another cluster is told from ours.
    let stranger = crate::clusters::Cluster::start(Version::V15, Options { own_identity: true, ..Options::default() });
    refused(&rig, &["--primary-conninfo", &stranger.conninfo()], 1, "is another cluster");
    let port = free_port();
    let said = restore(&rig, "standby", port, &["--primary-conninfo", &from, "--slot", "unused"]);
    assert!(said.code == 0 && said.err.contains("which is there and unused"), "{}{}", said.out, said.err);
    let _standby = rig.running("standby", port);
}

/// Known only when everything else is done. What is told as a failure does not start, and the same call goes on.
#[test]
fn a_slot_that_cannot_be_made_leaves_nothing_that_starts() {
    let rig = primary(Version::V15, Options::default());
    let from = rig.cluster.conninfo();
    let all = "generate_series(1, current_setting('max_replication_slots')::int) n";
    let psql = rig.cluster.programs().join("psql");
    let take = format!("select pg_create_physical_replication_slot('other_' || n) from {all}");
    rig.write("take.sh", &format!("#!/bin/sh\nexec {} -d '{from}' -c \"{take}\"\n", psql.display()));
    let hook = format!("hooks: {{ before_restore: {{ run: [sh, {}] }} }}\nbackups:", rig.path("take.sh").display());
    rig.change_policy("backups:", &hook);
    let words = ["--primary-conninfo", &from, "--slot", "db_2"];
    let said = restore(&rig, "standby", free_port(), &words);
    assert!(said.code == 1 && said.err.contains("the slot `db_2` cannot be made"), "{}{}", said.out, said.err);
    assert!(rig.path("standby/seawall.restoring").exists() && !rig.path("standby/global/pg_control").exists());
    rig.cluster.sql(&format!("select pg_drop_replication_slot('other_' || n) from {all}"));
    rig.change_policy(&hook, "backups:");
    let port = free_port();
    let said = restore(&rig, "standby", port, &[&words[..], &["--delta"]].concat());
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let _standby = rig.running("standby", port);
}

/// The primary is away: said, and the archive is followed until it is back.
#[test]
fn without_its_primary_it_follows_the_archive() {
    let rig = primary(Version::V15, Options::default());
    let from = rig.cluster.conninfo();
    rig.cluster.stop(StopMode::Fast);
    let with_slot = restore(&rig, "slot", free_port(), &["--primary-conninfo", &from, "--slot", "db_2"]);
    assert!(with_slot.code == 1 && with_slot.err.contains("cannot be asked for a slot"), "{}", with_slot.err);
    let port = free_port();
    let said = restore(&rig, "standby", port, &["--primary-conninfo", &from]);
    assert!(said.code == 0 && said.err.contains("follows the archive alone until it answers"), "{}{}", said.out, said.err);
    assert_eq!(said.json()["reached"]["follows"]["streams"], false);
    let standby: Restored = rig.running("standby", port);
    standby.wait_until("(select count(*) from series) = 5");
    rig.cluster.resume();
    rig.load(1);
    standby.wait_until("(select count(*) from series) = 6");
    standby.wait_until("(select status = 'streaming' from pg_stat_wal_receiver)");
}

/// The connection is cut in the middle: what is archived meanwhile comes from there, and then it streams again.
#[test]
fn a_cut_connection_is_bridged_by_the_archive() {
    let pair = Pair::archive_only(Version::V15);
    assert_eq!(pair.standby.report["reached"]["follows"]["why_not"], "no primary is named");
    pair.rig.load(5);
    pair.rig.archive();
    pair.standby.wait_until("(select count(*) from series) = 10");
    assert_eq!(conninfo(&pair.rig, pair.port).matches("port=").count(), 1);
}
