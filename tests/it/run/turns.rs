//! Jobs that wait behind a long one: what is owed is looked at again when their turn comes.

use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use seawall::catalog::Outcome;
use seawall::units::Instant;

use super::hosts::Fleet;
use super::rig::{Run, Said};
use crate::backup::rig::{Policy, daily, weekly};

/// A check that nobody owes.
fn weekly_check() -> String {
    format!("verify: {{ weekly: {{ schedule: {{ {} }} }} }}\n", weekly())
}

/// A backup that is owed, because it is new.
fn another(more: &str) -> String {
    format!("another: {{ physical: {{}}, schedule: {{ {} }}, keep: {{ last: 2 }}, takes: 1m {more} }}", daily())
}

/// A program that tells that it was begun, and ends when it is let go.
pub(super) fn slow(run: &Run, name: &str) {
    let script = format!(
        "cat > {name} <<'END'\n#!/bin/sh\ncd $(dirname $0)\ntouch began-{name}\nuntil test -e go-{name}; do sleep 0.1; done\nEND\nchmod 755 {name}"
    );
    run.rig.shell(&script);
}

fn begin(run: &Run) -> Child {
    run.command(&["run", "--due"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall")
}

pub(super) fn until_begun(run: &Run, name: &str) {
    let begun = || run.file(&format!("began-{name}")).exists();
    assert!((0..1200).any(|_| begun() || (thread::sleep(Duration::from_millis(100)), false).1), "`{name}` never began");
}

fn end(child: Child) -> Said {
    Said::of(child.wait_with_output().expect("its end"))
}

#[test]
fn what_another_runner_did_meanwhile_is_not_done_again() {
    let run = Run::new("", &weekly_check());
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.change("backups: {", &format!("backups: {{ {},", another(&format!(", before: {{ run: [{}] }}", run.file("before").display()))));
    slow(&run, "before");
    run.say(&["watch"]).ends_with_code(0);
    // As if it had been in the policy for ever.
    run.sql("update jobs set first_seen = 0");
    let first = begin(&run);
    until_begun(&run, "before");
    run.say(&["run", "--due"]).ends_with_code(0).says("verify.weekly").says("succeeded");
    run.rig.shell("touch go-before");
    end(first).ends_with_code(0).says("it is owed no longer: next at");
    let count = |of: &str| run.outcomes().iter().filter(|outcome| outcome.starts_with(of)).count();
    assert_eq!((count("verify.weekly succeeded"), count("verify"), count("backups.another succeeded")), (1, 1, 1), "{:?}", run.outcomes());
}

/// Five at once, of two hosts and one catalog: one of them takes the backup that is owed, and one runs each job beside it.
#[test]
fn of_five_runners_one_does_it() {
    let fleet = Fleet::new(&Policy::default(), &weekly_check());
    fleet.say("db-1", &["run", "nightly"]).ends_with_code(0);
    fleet.run.change("backups: {", &format!("backups: {{ {},", another("")));
    fleet.say("db-1", &["watch"]).ends_with_code(0);
    fleet.sql("update jobs set first_seen = 0");
    for _ in 0..2 {
        let hosts = ["db-1", "db-2", "db-1", "db-2", "db-1"];
        let all: Vec<Said> = thread::scope(|scope| {
            let going: Vec<_> = hosts.iter().map(|host| scope.spawn(|| fleet.say(host, &["run", "--due"]))).collect();
            going.into_iter().map(|one| one.join().expect("its words")).collect()
        });
        assert!(all.iter().all(|said| matches!(said.code, Some(0 | 75))), "{all:#?}");
    }
    let runs = fleet.runs();
    let of = |job: &str| runs.iter().filter(|run| run.job == job).collect::<Vec<_>>();
    for job in ["backups.another", "verify.weekly"] {
        assert!(matches!(of(job)[..], [one] if one.outcome == Some(Outcome::Succeeded)), "{job}: {runs:#?}");
    }
    assert!(of("expire").iter().all(|run| run.outcome == Some(Outcome::Succeeded)), "{runs:#?}");
    assert_eq!(fleet.run.backups(), 2);
}

/// By the clock on the wall: a window that closes with the next minute, with two jobs of which the first would never end.
#[test]
fn no_job_begins_when_its_window_has_closed() {
    let (stopped, finished) = (Run::new("", ""), Run::new("", ""));
    let closes = (Instant::now().as_second() + 25 + 59) / 60 * 60;
    let clock = |at: i64| Instant::from_second(at).expect("a moment").strftime("%H:%M").to_string();
    let begin = |run: &Run, overrun: &str| {
        let job = |name: &str| {
            let before = run.file(name).display().to_string();
            slow(run, name);
            format!(
                "{name}: {{ physical: {{}}, schedule: {{ every: 1h }}, keep: {{ last: 2 }}, takes: 1m, window: short, before: {{ run: [{before}] }} }}"
            )
        };
        run.change("backups: { nightly:", &format!("backups: {{ {}, {}, nightly:", job("a"), job("b")));
        let window = format!("from: \"{}\", to: \"{}\", overrun: {overrun}", clock(closes - 7200), clock(closes));
        run.add(&format!("timezone: UTC\nwindows: {{ short: {{ {window} }} }}\n"));
        run.command(&["run", "--due", "a", "b"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall")
    };
    let (one, other) = (begin(&stopped, "stop"), begin(&finished, "finish"));
    until_begun(&stopped, "a");
    until_begun(&finished, "a");
    assert!(Instant::now().as_second() < closes, "both began before it closed");
    let said = end(one).ends_with_code(75).says("it was stopped when the window `short` closed");
    said.says("its turn came when the window `short` was closed");
    assert_eq!(stopped.outcomes(), ["backups.a failed"]);
    while Instant::now().as_second() <= closes {
        thread::sleep(Duration::from_millis(200));
    }
    finished.rig.shell("touch go-a");
    let said = end(other).ends_with_code(0).says("it ran on after the window `short` had closed");
    said.says("its turn came when the window `short` was closed");
    assert_eq!(finished.outcomes(), ["backups.a succeeded", "expire succeeded"]);
    for run in [&stopped, &finished] {
        run.rig.shell("! test -e began-b");
    }
}
