//! Two hosts at once, and hosts whose clocks are wrong.

use std::fs;
use std::process::{Command, Stdio};

use seawall::format::signature::SigningKey;

use super::killing::{prove_everything, whole_backups};
use crate::clusters::{Options, Version};
use crate::restore::rig::{Rig, objects, said};
use crate::wal::archiving::until;

/// So many backups are on their way: each has a lease, and objects that nobody sees yet.
fn copying(rig: &Rig, number: usize) {
    until("objects are written", || {
        let incoming = fs::read_dir(rig.path("store/.incoming")).map_or(0, Iterator::count);
        objects(&rig.path("store"), "/leases/").len() == number && incoming >= number
    });
}

#[test]
fn two_hosts_take_a_backup_at_once() {
    let rig = Rig::start(Version::V15, Options { segment_mb: 1, ..Options::default() });
    let other = SigningKey::generate("db-2").expect("a key");
    rig.write("state-2/keys/signing", &other.to_openssh().expect("text"));
    rig.cluster.account().own(&rig.path("state-2"));
    rig.change_policy("writers: { ", &format!("writers: {{ db-2: \"{}\", ", other.public()));
    rig.change_policy("physical: {}", "physical: { workers: 1, read_limit: 4MB/s }");
    rig.series();
    rig.load(10);
    let begin = |state: &str, host: &str| {
        let mut command = rig.command_on(state, &["backup", "nightly", "--force", "--format", "json", "--host", host]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
    };
    // What lies elsewhere is put first: so the second one finds things without a descriptor, and they are not its own.
    rig.shell("mkdir etc && echo 'work_mem = 5MB' > etc/more.conf");
    rig.cluster.add_conf(&format!("include '{}'", rig.path("etc/more.conf").display()));
    rig.cluster.reload();
    let first = begin("state", "db");
    until("the first one's first object is there", || !objects(&rig.path("store"), "/data/").is_empty());
    let both = [first, begin("state-2", "db-2")];
    copying(&rig, 2);
    rig.load(50);
    let ids = both.map(|child| {
        let said = said(child.wait_with_output().expect("its end"));
        assert_eq!(said.code, 0, "{}", said.err);
        let of = |field: &str| said.json()[field].as_str().expect("a text").to_owned();
        (said.backup(), of("started"), of("stopped"))
    });
    let [(_, begun, ended), (_, other_begun, other_ended)] = &ids;
    assert!(begun.max(other_begun) < ended.min(other_ended), "one after the other: {ids:?}");
    let ids = ids.map(|(id, ..)| id);
    assert_ne!(ids[0], ids[1]);
    let mut listed = whole_backups(&rig);
    listed.sort();
    let mut sorted = ids.to_vec();
    sorted.sort();
    assert_eq!(listed, sorted);
    rig.load(5);
    rig.archive();
    prove_everything(&rig, &["--deep"]);
    for (id, host) in ids.iter().zip(["db", "db-2"]) {
        let shown = rig.seawall(&["show", id, "--format", "json"]);
        assert!(shown.out.contains(&format!("\"{host}\"")), "{}", shown.out);
        let restored = rig.bring_back("r", &["--backup", id]);
        assert_eq!((restored.hash(), restored.report["signed_by"].as_str()), (rig.hash(i64::MAX), Some(host)));
        restored.remove();
    }
}

/// For `LD_PRELOAD`: a clock that goes wrong by as many seconds as a file says, whenever the file says so.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    const char *path = getenv("SEAWALL_TEST_CLOCK");
    FILE *file = clock == CLOCK_REALTIME && path ? fopen(path, "r") : NULL;
    long seconds = 0;
    if (file) {
        if (fscanf(file, "%ld", &seconds) == 1) now->tv_sec += seconds;
        fclose(file);
    }
    return failed;
}
"#;

pub struct Clock<'r>(&'r Rig);

impl<'r> Clock<'r> {
    pub fn of(rig: &'r Rig) -> Clock<'r> {
        rig.write("clock.c", CLOCK);
        rig.write("clock", "0");
        rig.shell("cc -shared -fPIC -O1 -o clock.so clock.c");
        Clock(rig)
    }

    pub fn set(&self, days: i64) {
        // Replaced as a whole: it is read at any time.
        self.0.shell(&format!("echo {} > clock.new && mv clock.new clock", days * 86_400));
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.0.command(words);
        command.env("LD_PRELOAD", self.0.path("clock.so")).env("SEAWALL_TEST_CLOCK", self.0.path("clock"));
        command
    }
}

const BACKUP: [&str; 4] = ["backup", "nightly", "--format", "json"];

#[test]
fn a_clock_that_is_wrong_by_a_year() {
    let rig = Rig::start(Version::V16, Options { segment_mb: 1, ..Options::default() });
    rig.series();
    let clock = Clock::of(&rig);
    let mut ids = Vec::new();
    for days in [0, 400, -400] {
        rig.load(10);
        clock.set(days);
        let run = |words: &[&str]| said(clock.command(words).output().expect("it runs"));
        if days != 0 {
            let refused = run(&BACKUP);
            assert!(refused.code != 0 && refused.err.contains("clock"), "{days}: {}", refused.err);
        }
        // Who forces it, or did it before that was looked at, still gets a backup that can be found and restored.
        let said = run(&[&BACKUP[..], &["--force"]].concat());
        assert_eq!(said.code, 0, "{days}: {}", said.err);
        ids.push(said.backup());
    }
    rig.load(10);
    rig.archive();
    let year = |id: &str| id[..4].parse::<i32>().expect("a year");
    assert!(year(&ids[1]) > year(&ids[0]) && year(&ids[2]) < year(&ids[0]), "the clock was not believed: {ids:?}");
    let mut listed = whole_backups(&rig);
    let mut sorted = ids.clone();
    listed.sort();
    sorted.sort();
    assert_eq!(listed, sorted);
    prove_everything(&rig, &["--deep"]);
    let again = |name: &str, words: &[&str], rows: &str| {
        let restored = rig.bring_back(name, words);
        assert_eq!(restored.hash(), rows, "{words:?}");
        restored.remove();
    };
    for id in &ids {
        again("each", &["--backup", id], &rig.hash(i64::MAX));
    }
    again("newest", &["--latest"], &rig.hash(i64::MAX));
    // A moment before the backups with the wrong times, and one after them.
    for row in [15, 35] {
        again("moment", &["--to", &rig.after_row(row)], &rig.hash(row));
    }
}

#[test]
fn a_clock_that_jumps_back_during_a_backup() {
    let rig = Rig::start(Version::V16, Options { segment_mb: 1, ..Options::default() });
    rig.series();
    rig.change_policy("physical: {}", "physical: { workers: 1, read_limit: 4MB/s }");
    let clock = Clock::of(&rig);
    let mut child = clock.command(&BACKUP).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    copying(&rig, 1);
    clock.set(-2);
    assert!(child.try_wait().expect("its state").is_none(), "it was too fast");
    rig.load(10);
    let said = said(child.wait_with_output().expect("its end"));
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(whole_backups(&rig), [said.backup()]);
    rig.load(10);
    rig.archive();
    prove_everything(&rig, &[]);
    assert_eq!(rig.bring_back("r", &["--latest"]).hash(), rig.hash(i64::MAX));
}
