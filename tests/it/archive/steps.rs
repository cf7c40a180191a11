//! A plain table, and whoever moves its rows killed at every step: each call of the store, and each step of the database between them.

use std::collections::BTreeSet;
use std::process::Stdio;

use super::rig::ORDERS;
use super::scene::{CLOSED, End, Scene, Shelf};
use crate::faults::chance;
use crate::run::rig::Run;
use crate::servers::s3::S3;

const JOB: [&str; 2] = ["run", "old-orders"];
const BACK: [&str; 6] = ["archive", "restore", "--table", "orders", "--into", "orders"];
/// An extent as it grows, call by call, until nothing is left to be said of it.
pub const GROWS: [&str; 9] = [
    "",
    "rows.parquet.age",
    "rows.csv.zst.age rows.parquet.age",
    "json.sig rows.csv.zst.age rows.parquet.age",
    "json json.sig rows.csv.zst.age rows.parquet.age",
    "json json.sig read-back.sig rows.csv.zst.age rows.parquet.age",
    "json json.sig read-back.json read-back.sig rows.csv.zst.age rows.parquet.age",
    "json json.sig leaving.json read-back.json read-back.sig rows.csv.zst.age rows.parquet.age",
    "json json.sig leaving.json read-back.json read-back.sig removed.json rows.csv.zst.age rows.parquet.age",
];

/// Those that some call is sure to find. Both forms of the rows become durable side by side: whether one is seen without the other is chance.
pub fn surely_seen() -> impl Iterator<Item = &'static str> {
    GROWS.into_iter().filter(|grown| *grown != GROWS[1])
}

fn scene(shelf: Shelf) -> Scene {
    let store = if matches!(shelf, Shelf::Disk) { "disk" } else { "cold" };
    let run = Run::new("", &format!("archive: {{ old-orders: {{ table: orders, column: placed_at, after: 2y, store: {store} }} }}\n"));
    if let Shelf::Bucket(s3) = &shelf {
        let cold = format!("s3: {{ bucket: bucket, endpoint: \"http://127.0.0.1:{}\", path_style: true }}", s3.http);
        run.change("nightly: { physical", "nightly: { store: disk, physical");
        run.change("stores: {", &format!("stores: {{ cold: {{ {cold} }},"));
    }
    let make = ORDERS.to_owned()
        + " insert into orders (id, placed_at) values (2000, now()), (2001, now()); \
           create table written as select * from orders";
    Scene {
        run,
        shelf,
        job: "old-orders",
        table: "orders",
        make: make.leak(),
        columns: "id, placed_at, customer, note, amount, ratio, raw, tags",
        old: "placed_at < now() - interval '2 years'",
    }
    .ready()
}

/// Killed before each of its calls, or before a few of them.
pub fn killed_at_each_call(scene: &Scene, few: Option<u64>) -> BTreeSet<String> {
    scene.begin();
    let words = ["run", scene.job];
    let calls = scene.calls_of(&words);
    scene.ends_well("undisturbed");
    let mut seen = BTreeSet::from([scene.there()]);
    let mut lot = chance::lot("an archiver is killed");
    let each: Vec<u64> = match few {
        Some(few) => (0..few).map(|at| 1 + at * calls / few + lot.below(usize::try_from(calls / few).expect("few")) as u64).collect(),
        None => (1..=calls).collect(),
    };
    for call in each {
        scene.begin();
        assert!(scene.killed_at(&words, call), "call {call} of {calls}");
        let there = scene.there();
        scene.ends_well(&format!("killed before call {call} of {calls}: {there}"));
        seen.insert(there);
    }
    seen
}

#[test]
fn an_archiver_is_killed_at_each_call_of_the_store() {
    let scene = scene(Shelf::Disk);
    let seen = killed_at_each_call(&scene, None);
    for grown in surely_seen() {
        assert!(seen.contains(grown), "never killed at `{grown}`: {seen:#?}");
    }
}

#[test]
fn an_archiver_is_killed_at_calls_of_a_bucket() {
    let scene = scene(Shelf::Bucket(S3::start()));
    let few = if chance::is_long() { None } else { Some(6) };
    killed_at_each_call(&scene, few);
}

/// The server waits where it is killed. What it was told it still does, or its session ends.
#[test]
fn an_archiver_is_killed_while_the_database_is_at_work() {
    let scene = scene(Shelf::Disk);
    let steps = [
        ("recording", "trigger gate before insert on seawall.archived", false),
        ("deleting", "trigger gate before delete on orders", false),
        ("committing", "constraint trigger gate after insert on seawall.archived deferrable initially deferred", true),
    ];
    for (step, trigger, is_last) in steps {
        for end in [End::GoesOn, End::Ends] {
            let at = format!("{step}, and the session {end:?}");
            scene.begin();
            scene.gate(trigger);
            scene.killed_while_it_waits(&JOB, CLOSED, end, || scene.is_whole(&format!("{at}, while it waits")));
            // Nobody heard that it was committed.
            let hot = if is_last && end == End::GoesOn { "0" } else { "1500" };
            assert_eq!((scene.hot().as_str(), scene.there().contains("removed.json")), (hot, false), "{at}");
            scene.ends_well(&at);
            assert_eq!(scene.there(), GROWS[8], "{at}");
        }
    }
}

/// The next run begins while the dead one's session has not come to its end, which ends it later.
#[test]
fn the_session_of_a_dead_archiver_commits_beside_the_next_run() {
    let scene = scene(Shelf::Disk);
    scene.begin();
    scene.gate("constraint trigger gate after insert on seawall.archived deferrable initially deferred");
    scene.killed_while_it_waits(&JOB, CLOSED, End::GoesOn, || {
        scene.say(&JOB).ends_with_code(0).says("locked by somebody");
        assert_eq!(scene.hot(), "1500");
    });
    assert_eq!(scene.hot(), "0");
    scene.ends_well("the dead one's session has committed");
    assert_eq!(scene.there(), GROWS[8]);
}

/// It is noted in the store that the rows are about to leave, and Seawall's own record of it is not written yet.
#[test]
fn an_archiver_is_killed_before_its_deed_is_on_record() {
    let scene = scene(Shelf::Disk);
    scene.begin();
    let calls = scene.calls_of(&JOB);
    let noting = (1..=calls).rev().find(|call| {
        scene.begin();
        assert!(scene.killed_at(&JOB, *call), "call {call}");
        scene.there() == GROWS[6]
    });
    let noting = noting.expect("it is noted before they leave");
    scene.begin();
    let hold = || {
        let mut python = std::process::Command::new("python3");
        let code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('begin exclusive'); \
                    print('held', flush=True); sys.stdin.read()";
        let catalog = scene.run.file("state").join("catalog.db");
        let mut holder = python.args(["-c", code]).arg(catalog).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python");
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().expect("a pipe")), &mut line).expect("a line");
        assert_eq!(line.trim(), "held");
        Holder(holder)
    };
    scene.killed_after(&JOB, noting, hold, || scene.there() == GROWS[7]);
    assert_eq!(scene.hot(), "1500");
    scene.ends_well("noted in the store and not on record");
}

/// Gone with its pipe.
struct Holder(std::process::Child);

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("its end");
    }
}

#[test]
fn whoever_reads_back_is_killed_at_each_call_of_the_store() {
    let scene = scene(Shelf::Disk);
    scene.begin();
    scene.run.rig.shell("cp identity.txt elsewhere.txt");
    let identity = scene.run.file("elsewhere.txt").display().to_string();
    let words = ["archive", "verify", "--all", "--identity", &identity];
    let exported = || {
        scene.begin();
        scene.run.rig.shell("mv identity.txt away.txt");
        scene.say(&JOB).ends_with_code(0).says("archive verify");
        scene.run.rig.shell("mv away.txt identity.txt");
        assert_eq!(scene.hot(), "1500");
    };
    exported();
    for call in 1..=scene.calls_of(&words) {
        exported();
        assert!(scene.killed_at(&words, call), "call {call}");
        scene.say(&words).ends_with_code(0).says("1 extent read back");
        scene.ends_well(&format!("read back, killed before call {call}"));
    }
}

#[test]
fn whoever_brings_rows_back_is_killed_at_every_step() {
    let scene = scene(Shelf::Disk);
    let back = || {
        scene.begin();
        scene.say(&JOB).ends_with_code(0);
        assert_eq!(scene.hot(), "0");
    };
    back();
    let calls = scene.calls_of(&BACK);
    assert_eq!(scene.hot(), "1500");
    for call in 1..=calls {
        back();
        assert!(scene.killed_at(&BACK, call), "call {call} of {calls}");
        scene.ends_well(&format!("brought back, killed before call {call} of {calls}"));
    }
    let steps = [
        ("taking it off the record", "trigger gate before delete on seawall.archived"),
        ("inserting", "trigger gate before insert on orders"),
        ("committing", "constraint trigger gate after delete on seawall.archived deferrable initially deferred"),
    ];
    for (step, trigger) in steps {
        for end in [End::GoesOn, End::Ends] {
            let at = format!("{step}, and the session {end:?}");
            back();
            scene.gate(trigger);
            scene.killed_while_it_waits(&BACK, CLOSED, end, || ());
            let is_back = step == "committing" && end == End::GoesOn;
            assert_eq!(scene.hot(), if is_back { "1500" } else { "0" }, "{at}");
            scene.ends_well(&at);
        }
    }
}
