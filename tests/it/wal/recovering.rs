//! What PostgreSQL makes of the ends of `wal fetch`: real recoveries, real standbys.

use std::fs;
use std::thread;
use std::time::Duration;

use super::super::clusters::{Cluster, Options, StopMode, Version};
use super::archiving::{archiving, copy_of, fill, promoted, recover, settle, until};
use super::room::{Room, names};

/// Were it taken for the end of the log, the server would be open for writes on a new timeline, without the last rows.
#[test]
fn a_store_that_cannot_be_asked_stops_recovery_and_does_not_end_it() {
    // The second time as `seawall restore` writes it, and with the mount point of a disk that is gone.
    for (version, is_named) in [(Version::V13, false), (Version::V17, true)] {
        let room = Room::for_servers();
        let cluster = archiving(&room, "one", version, 1);
        let base = room.path("base");
        copy_of(&cluster, &base);
        fill(&cluster, 6);
        settle(&cluster);
        let rows = cluster.sql("select count(*) from rows");
        cluster.stop(StopMode::Fast);

        fs::rename(room.path("one"), room.path("away")).expect("moved");
        let named = if is_named { format!(" --repository {}", room.repository("away")) } else { String::new() };
        if is_named {
            fs::create_dir(room.path("one")).expect("a mount point");
            room.own();
        }
        let words = format!("fetch %f %p --patience 1s{named}");
        let (copy, started) = recover(&room, &base, version, 1, &words, "");
        assert!(started.is_err() && !copy.is_running(), "{version}: {}", copy.log_tail());
        assert!(copy.log_tail().contains("exit code 200"), "{version}: {}", copy.log_tail());
        let _ = fs::remove_dir(room.path("one"));
        fs::rename(room.path("away"), room.path("one")).expect("moved");

        // Damage in the middle: the same. The log before it is replayed, and that is where it stops.
        let objects: Vec<_> = room.objects("one").into_iter().filter(|path| !path.to_string_lossy().contains("history")).collect();
        let middle = &objects[objects.len() / 2];
        let whole = fs::read(middle).expect("it can be read");
        fs::write(middle, &whole[..whole.len() - 1]).expect("written");
        until("recovery stops", || {
            let _ = copy.try_resume();
            !copy.is_running()
        });
        assert!(copy.log_tail().contains("is damaged") || copy.log_tail().contains("cut short"), "{version}: {}", copy.log_tail());
        fs::write(middle, whole).expect("written");
        room.own();
        copy.resume();
        promoted(&copy);
        assert_eq!(copy.sql("select count(*) from rows"), rows, "{version}");
        copy.stop(StopMode::Fast);
        until("nothing that was fetched ahead stays", || {
            !names(&copy.data().join("pg_wal")).iter().any(|name| name.starts_with("seawall"))
        });
    }
}

#[test]
fn a_hot_standby_survives_a_blip() {
    let room = Room::for_servers();
    let primary = archiving(&room, "one", Version::V15, 1);
    fill(&primary, 1);
    let base = room.path("base");
    copy_of(&primary, &base);
    settle(&primary);
    let standby = Cluster::prepare(Version::V15, Options { segment_mb: 1, ..Options::default() }.with("hot_standby = on"));
    assert!(std::process::Command::new("cp").arg("-a").arg(&base).arg(standby.data()).status().expect("cp").success());
    standby.configure();
    let fetch = room.words("fetch %f %p --standby --patience 1s", "one");
    standby.add_conf(&format!("archive_mode = off\nwal_retrieve_retry_interval = 200ms\nrestore_command = '{fetch}'"));
    standby.write("standby.signal", "");
    standby.resume();
    primary.sql("create table marks (n int)");
    primary.sql("insert into marks values (1)");
    settle(&primary);
    standby.wait_until("(select count(*) from pg_class where relname = 'marks') = 1");

    fs::rename(room.path("one"), room.path("away")).expect("moved");
    thread::sleep(Duration::from_secs(4));
    assert_eq!(standby.sql("select pg_is_in_recovery()"), "t", "{}", standby.log_tail());
    fs::rename(room.path("away"), room.path("one")).expect("moved");
    primary.sql("insert into marks values (2)");
    settle(&primary);
    standby.wait_until("(select count(*) from marks) = 2");
    standby.stop(StopMode::Fast);
    primary.stop(StopMode::Fast);
}
