//! Jobs that wait behind a long one: what is owed is looked at again when their turn comes.

use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use seawall::units::Instant;

use super::rig::{Run, Said};

/// A program that tells that it was begun, and ends when it is let go.
fn slow(run: &Run, name: &str) {
    let script = format!(
        "cat > {name} <<'END'\n#!/bin/sh\ncd $(dirname $0)\ntouch began-{name}\nuntil test -e go-{name}; do sleep 0.1; done\nEND\nchmod 755 {name}"
    );
    run.rig.shell(&script);
}

fn begin(run: &Run) -> Child {
    run.command(&["run", "--due"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall")
}

fn until_begun(run: &Run, name: &str) {
    let begun = || run.file(&format!("began-{name}")).exists();
    assert!((0..1200).any(|_| begun() || (thread::sleep(Duration::from_millis(100)), false).1), "`{name}` never began");
}

fn end(child: Child) -> Said {
    Said::of(child.wait_with_output().expect("its end"))
}

#[test]
fn what_another_runner_did_meanwhile_is_not_done_again() {
    let run = Run::new(", before: { run: [./before] }", "verify: { weekly: { schedule: { on: sunday, at: \"06:00\" } } }\n");
    run.change("./before", &run.file("before").display().to_string());
    slow(&run, "before");
    run.say(&["watch"]).ends_with_code(0);
    // As if it had been in the policy for ever.
    run.sql("update jobs set first_seen = 0");
    let first = begin(&run);
    until_begun(&run, "before");
    run.say(&["run", "--due"]).ends_with_code(75).says("is running already").says("verify.weekly");
    run.rig.shell("touch go-before");
    end(first).ends_with_code(0).says("it is owed no longer: next at");
    let count = |of: &str| run.outcomes().iter().filter(|outcome| outcome.starts_with(of)).count();
    assert_eq!((count("verify.weekly succeeded"), count("verify"), count("backups.nightly succeeded")), (1, 1, 1), "{:?}", run.outcomes());
}

/// By the clock on the wall: windows that close with the next minutes.
#[test]
fn no_job_begins_when_its_window_has_closed() {
    let run = Run::new("", "");
    let clock = |at: i64| Instant::from_second(at).expect("a moment").strftime("%H:%M").to_string();
    let now = Instant::now().as_second();
    let closes = (now + 15).div_ceil(60) * 60;
    let window = |name: &str, closes: i64, overrun: &str| {
        format!("{name}: {{ from: \"{}\", to: \"{}\", overrun: {overrun} }}", clock(closes - 7200), clock(closes))
    };
    let job = |name: &str, window: &str| {
        let before = run.file(name).display().to_string();
        format!("{name}: {{ physical: {{}}, schedule: {{ every: 1h }}, keep: {{ last: 2 }}, takes: 1m, window: {window}, before: {{ run: [{before}] }} }}")
    };
    let names = [("a", "short"), ("b", "long"), ("c", "long"), ("d", "short")];
    run.change("backups: { nightly:", &format!("backups: {{ {}, nightly:", names.map(|(name, window)| job(name, window)).join(", ")));
    run.add(&format!("timezone: UTC\nwindows: {{ {}, {} }}\n", window("short", closes, "stop"), window("long", closes + 60, "finish")));
    for (name, _) in names {
        slow(&run, name);
    }
    let child = run.command(&["run", "--due", "a", "b", "c", "d"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall");
    until_begun(&run, "a");
    // The first is ended by its window, and so the second begins.
    until_begun(&run, "b");
    assert!(Instant::now().as_second() >= closes);
    while Instant::now().as_second() < closes + 61 {
        thread::sleep(Duration::from_millis(200));
    }
    run.rig.shell("touch go-b");
    let said = end(child).ends_with_code(75).says("it was stopped when the window `short` closed");
    let said = said.says("it ran on after the window `long` had closed").says("its turn came when the window `long` was closed");
    said.says("its turn came when the window `short` was closed");
    assert_eq!(run.outcomes(), ["backups.a failed", "backups.b succeeded", "expire succeeded"]);
    run.rig.shell("! test -e began-c && ! test -e began-d");
}
