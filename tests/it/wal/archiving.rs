//! Real servers that archive with Seawall, and copies that recover from it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::super::clusters::{Cluster, Options, StopMode, Version};
use super::room::Room;

/// A server whose log goes to the stores of a policy.
pub fn archiving(room: &Room, policy: &str, version: Version, segment_mb: u32) -> Cluster {
    let options = Options { segment_mb, own_identity: true, ..Options::default() };
    Cluster::start(version, options.archiving(room.words("push %p", policy)).with("max_wal_size = 4GB"))
}

/// The data directory as it is now, from a server that stands still for it.
pub fn copy_of(cluster: &Cluster, to: &Path) {
    cluster.stop(StopMode::Fast);
    assert!(Command::new("cp").arg("-a").arg(cluster.data()).arg(to).status().expect("cp").success());
    cluster.resume();
}

/// A server that recovers from the stores: a copy without its log.
pub fn recover(room: &Room, base: &Path, version: Version, segment_mb: u32, words: &str, conf: &str) -> (Cluster, Result<(), String>) {
    let options = Options { segment_mb, ..Options::default() }.archiving(room.words("push %p", "one"));
    let cluster = Cluster::prepare(version, options);
    assert!(Command::new("cp").arg("-a").arg(base).arg(cluster.data()).status().expect("cp").success());
    for folder in ["pg_wal", "pg_wal/archive_status"] {
        for entry in fs::read_dir(cluster.data().join(folder)).expect("a folder").flatten() {
            if entry.path().is_file() {
                fs::remove_file(entry.path()).expect("removed");
            }
        }
    }
    cluster.configure();
    cluster.add_conf(&format!("restore_command = '{}'\n{conf}", room.words(words, "one")));
    cluster.write("recovery.signal", "");
    let started = cluster.try_resume();
    (cluster, started)
}

pub fn fill(cluster: &Cluster, rounds: u32) {
    cluster.sql("create table if not exists rows (n int, t text)");
    for round in 0..rounds {
        cluster.sql(&format!("insert into rows select {round}, repeat(md5(g::text), 8) from generate_series(1, 3000) g"));
        cluster.sql("select pg_switch_wal()");
    }
}

/// Everything that was written until now is archived.
pub fn settle(cluster: &Cluster) {
    let last = cluster.sql("select pg_walfile_name(pg_current_wal_lsn())");
    cluster.sql("create table if not exists settled (n int)");
    cluster.sql("insert into settled values (1)");
    cluster.sql("select pg_switch_wal()");
    cluster.wait_until(&format!("last_archived_wal >= '{last}' from pg_stat_archiver"));
}

pub fn promoted(cluster: &Cluster) {
    cluster.wait_until("not pg_is_in_recovery()");
}

const HASH: &str = "select count(*), md5(string_agg(n || t, '' order by n, t)) from rows";

#[test]
fn three_timelines_in_one_repository() {
    for (version, segment_mb) in [(Version::V13, 1), (Version::V15, 16), (Version::V17, 64)] {
        let room = Room::for_servers();
        let first = archiving(&room, "one", version, segment_mb);
        let base = room.path("base");
        copy_of(&first, &base);
        fill(&first, 4);
        settle(&first);
        let rows = first.sql(HASH);
        first.stop(StopMode::Fast);

        let (second, started) = recover(&room, &base, version, segment_mb, "fetch %f %p", "");
        started.unwrap_or_else(|said| panic!("{version}: {said}\n{}", second.log_tail()));
        promoted(&second);
        assert_eq!(second.sql(HASH), rows, "{version}");
        fill(&second, 2);
        settle(&second);
        let rows = second.sql(HASH);
        second.stop(StopMode::Fast);

        let (third, started) = recover(&room, &base, version, segment_mb, "fetch %f %p", "");
        started.unwrap_or_else(|said| panic!("{version}: {said}\n{}", third.log_tail()));
        promoted(&third);
        assert_eq!(third.sql(HASH), rows, "{version}");
        fill(&third, 1);
        settle(&third);
        assert_eq!(third.sql("select timeline_id from pg_control_checkpoint()"), "3", "{version}");
        for history in ["00000002.history", "00000003.history"] {
            assert!(room.object("one", history).is_some(), "{version}: {history}");
        }
        third.stop(StopMode::Fast);
        age_and_zstd_read_it(&room);
    }
}

/// Other people's programs read what lies in the store.
fn age_and_zstd_read_it(room: &Room) {
    let history = room.object("one", "00000003.history").expect("there");
    let line = format!("age -d -i '{}' '{}' | zstd -dcq", room.path("identity.txt").display(), history.display());
    let output = Command::new("sh").arg("-c").arg(line).output().expect("age and zstd");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("1\t0/"), "{output:?}");
}

#[test]
fn while_the_store_is_away_nothing_is_archived_and_nothing_is_lost() {
    let room = Room::for_servers();
    let cluster = archiving(&room, "one", Version::V15, 1);
    let base = room.path("base");
    copy_of(&cluster, &base);
    fill(&cluster, 2);
    settle(&cluster);
    fs::rename(room.path("one"), room.path("away")).expect("moved");
    let before: u32 = cluster.sql("select archived_count from pg_stat_archiver").parse().expect("a number");
    fill(&cluster, 5);
    cluster.wait_until("failed_count >= 2 from pg_stat_archiver");
    let after: u32 = cluster.sql("select archived_count from pg_stat_archiver").parse().expect("a number");
    // The one whose call was on its way already may count.
    assert!(after <= before + 1, "{before} {after}");
    assert!(cluster.log_tail().contains("PostgreSQL keeps it and tries again"), "{}", cluster.log_tail());
    // A call that was on its way may have begun a folder in the store's place, as it would below an empty mount point.
    let _ = fs::remove_dir_all(room.path("one"));
    fs::rename(room.path("away"), room.path("one")).expect("moved");
    let rows = cluster.sql(HASH);
    // After three failures PostgreSQL waits for a minute, unless it is started anew.
    cluster.restart();
    settle(&cluster);
    cluster.stop(StopMode::Fast);
    let (copy, started) = recover(&room, &base, Version::V15, 1, "fetch %f %p", "");
    started.unwrap_or_else(|said| panic!("{said}\n{}", copy.log_tail()));
    promoted(&copy);
    assert_eq!(copy.sql(HASH), rows);
    copy.stop(StopMode::Fast);
}

/// Waits for something outside a server.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}
