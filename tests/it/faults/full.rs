//! Full disks: of the store, and of what Seawall keeps on the host. (A full disk where a cluster is restored to is in `restore/delta.rs`.)

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::killing::{prove_everything, whole_backups};
use super::small::Small;
use crate::clusters::{Options, Version};
use crate::restore::rig::{Place, Rig};
use crate::wal::room::{Room, done, name, names, ready, segment};

fn is_there(room: &Room, data: &std::path::Path, number: u32) {
    let (run, got) = room.fetch(data, "one", &name(number), &[]);
    assert!(run.code == Some(0) && got == Some(segment(number, 1, 7)), "{number}: {}", run.stderr);
}

#[test]
fn the_store_has_no_room_for_the_log() {
    let room = Room::new();
    let Some(small) = Small::mount(&room.path("one"), "3m") else { return };
    let data = room.data("data");
    for number in 1..=10 {
        ready(&data, &name(number), &segment(number, 1, 7));
    }
    let mut next = 1;
    let refused = loop {
        let run = room.push(&data, "one", &name(next));
        if run.code != Some(0) {
            break run;
        }
        done(&data, &name(next));
        next += 1;
    };
    assert!((2..=9).contains(&next), "{next} fitted");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for words in ["No space left", "PostgreSQL keeps it and tries again", "Make room"] {
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    assert_eq!(names(&room.path("one/.incoming")), [""; 0]);
    (1..next).for_each(|number| is_there(&room, &data, number));
    small.resize("64m");
    for number in next..=10 {
        assert_eq!(room.push(&data, "one", &name(number)).code, Some(0));
        done(&data, &name(number));
    }
    (1..=10).for_each(|number| is_there(&room, &data, number));
}

#[test]
fn the_state_has_no_room() {
    let room = Room::new();
    let keys = room.path("state/keys");
    std::fs::rename(&keys, room.path("keys")).expect("moved");
    let Some(small) = Small::mount(&room.path("state"), "1m") else { return };
    let data = room.data("data");
    (1..=4).for_each(|number| ready(&data, &name(number), &segment(number, 1, 7)));
    // A host's first day, without room for its keys: nothing half of them is left behind.
    room.policy_with("anybody", &["one"], "", "");
    small.fill(0);
    let run = room.push(&data, "anybody", &name(1));
    assert!(run.code == Some(1) && run.stderr.contains("No space left"), "{run:?}");
    small.make_room();
    let run = room.push(&data, "anybody", &name(1));
    assert_eq!(run.code, Some(0), "{run:?}");
    std::fs::remove_dir_all(room.path("one")).expect("removed");
    std::fs::remove_dir_all(room.path("state/policies")).expect("removed");
    std::fs::remove_dir_all(&keys).expect("removed");
    assert!(Command::new("cp").arg("-r").arg(room.path("keys")).arg(&keys).status().expect("cp").success());

    // What is kept between two calls only spares time; with or without it nothing is acknowledged that is not there.
    small.fill(0);
    for number in 1..=2 {
        let run = room.push(&data, "one", &name(number));
        assert_eq!(run.code, Some(0), "{run:?}");
        is_there(&room, &data, number);
        done(&data, &name(number));
    }
    // But for what the second store is owed: who cannot write that down must not acknowledge.
    room.policy("first", &["one", "two"], ", acknowledged_by: first");
    std::fs::write(room.path("two"), "").expect("written");
    small.no_more_files();
    let run = room.push(&data, "first", &name(3));
    assert!(run.code == Some(1) && run.stderr.contains("No space left") && run.stderr.contains("/owed/two"), "{run:?}");
    small.more_files();
    small.make_room();
    assert_eq!(room.push(&data, "first", &name(3)).code, Some(0));
    std::fs::remove_file(room.path("two")).expect("removed");
    ready(&data, &name(5), &segment(5, 1, 7));
    assert_eq!(room.push(&data, "first", &name(5)).code, Some(0));
    assert_eq!(room.objects("two").len(), 3);
}

/// Stands for the server that recovers.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What waits there is fetched ahead of its turn, on the server's own disk: that must have room for the log first.
#[test]
fn there_is_no_room_for_what_is_fetched_ahead() {
    let room = Room::new();
    let (data, copy) = (room.data("data"), room.data("copy"));
    for number in 1..=40 {
        ready(&data, &name(number), &segment(number, 1, 7));
    }
    assert_eq!(room.push(&data, "one", &name(1)).code, Some(0));
    assert_eq!(room.objects("one").len(), 40);
    let Some(small) = Small::mount(&copy.join("pg_wal"), "700m") else { return };
    let server = Server(Command::new("sleep").arg("3600").spawn().expect("a process"));
    std::fs::write(copy.join("postmaster.pid"), format!("{}\n", server.0.id())).expect("written");
    let spool = copy.join("pg_wal/seawall-ahead");
    let waits = || names(&spool).iter().any(|run| names(&spool.join(run)).iter().any(|name| name.len() == 24));
    is_there(&room, &copy, 1);
    wait_until("something is fetched ahead", waits);
    // Others need the disk: whatever waits there makes way.
    small.resize("100m");
    wait_until("it makes way", || !spool.exists());
    is_there(&room, &copy, 2);
    wait_until("it makes way again", || !spool.exists());
    small.fill(0);
    let (run, got) = room.fetch(&copy, "one", &name(3), &[]);
    assert_eq!((run.code, got), (Some(200), None), "{}", run.stderr);
    assert!(run.stderr.contains("No space left") && run.stderr.contains("nothing is lost"), "{}", run.stderr);
    small.make_room();
    is_there(&room, &copy, 3);
    small.resize("700m");
    is_there(&room, &copy, 4);
    wait_until("there is room again", waits);
    (5..=40).for_each(|number| is_there(&room, &copy, number));
    drop(server);
    wait_until("it ends with the server", || !spool.exists());
}

#[test]
fn the_store_has_no_room_for_a_backup() {
    let mut small = None;
    let rig = Rig::start_with(Version::V16, Options { segment_mb: 1, ..Options::default() }, |folder| {
        small = Small::mount(&folder.join("small"), "200m");
        Place { store: format!("local: {{ path: {}/small/store, other_device: false }}", folder.display()), ..Place::default() }
    });
    let Some(small) = small else { return };
    rig.series();
    rig.cluster.sql("create table much as select n, md5(n::text) || md5((-n)::text) as v from generate_series(1, 100000) n");
    rig.archive();
    small.fill(3 << 20);
    // By what the policy says there is no room, and the first backup is not begun.
    let refused = rig.seawall(&["backup", "nightly"]);
    let named = refused.err.contains("has room for 3.1 MB") && refused.err.contains("500 MB") && refused.err.contains("`size`");
    assert!(refused.code == 1 && named, "{}", refused.err);
    // It may say too little.
    rig.change_policy("nightly: { physical: {},", "nightly: { physical: {}, size: 4MB,");
    let refused = rig.seawall(&["backup", "nightly"]);
    assert!(refused.code == 1 && refused.err.contains("No space left") && refused.err.contains("Make room"), "{}", refused.err);
    assert_eq!(whole_backups(&rig), [""; 0]);
    small.make_room();
    rig.load(5);
    let id = rig.backup();
    assert_eq!(whole_backups(&rig), [id]);
    // What the last one took is known by now.
    small.fill(1 << 20);
    let refused = rig.seawall(&["backup", "nightly"]);
    assert!(refused.code == 1 && refused.err.contains("has room for"), "{}", refused.err);
    small.make_room();
    rig.archive();
    prove_everything(&rig, &["--deep"]);
    let restored = rig.bring_back("r", &["--latest"]);
    assert_eq!((restored.hash(), restored.sql("select count(*) from much")), (rig.hash(i64::MAX), "100000".into()));
}
