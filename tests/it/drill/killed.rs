//! Whatever ends a drill, nothing of it stays for longer than until the next run.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::rig::{Drills, begin_until, copies, servers_below};
use crate::clusters::{Cluster, Version};

const SLOW: &str = r#"
drills:
  slow:
    restore: { latest: nightly }
    expect: { slow: { sql: "select pg_sleep(1)", some_rows: true } }
    run: { run: [sh, -c, "sleep LONG & sleep 5"] }
"#;

/// Of the program itself and not of `runuser` before it.
pub fn ours(child: &Child) -> Pid {
    let began = Instant::now();
    let own = Pid::from_raw(i32::try_from(child.id()).expect("a number")).expect("a process");
    while began.elapsed() < Duration::from_secs(60) {
        for candidate in [vec![own], crate::clusters::children(own)].concat() {
            let name = fs::read_to_string(format!("/proc/{}/comm", candidate.as_raw_nonzero())).unwrap_or_default();
            if name.starts_with("seawall") {
                return candidate;
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("seawall is not among what was started");
}

/// How long somebody sleeps tells those of one test from those of another, and from those of the same test that runs elsewhere or ran before.
pub(super) fn long(seconds: u32) -> String {
    format!("{seconds}.{}", std::process::id())
}

fn slow(long: &str) -> String {
    SLOW.replace("LONG", long)
}

pub(super) fn sleepers(long: &str) -> usize {
    let words = format!("sleep\0{long}\0");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|is| is == words.as_bytes())).count()
}

#[test]
fn killed_in_each_phase_it_is_found_and_removed() {
    let drills = killed_in(Version::V15, long(601));
    // The original has noticed nothing, and a drill passes after all that.
    assert!(drills.rig.cluster.is_running());
    drills.drill(0, &["slow"]);
    drills.nothing_is_left();
}

#[test]
fn killed_on_13_it_is_found_and_removed() {
    killed_in(Version::V13, long(605));
}

#[test]
fn killed_on_18_it_is_found_and_removed() {
    killed_in(Version::V18, long(606));
}

const PHASES: [&str; 7] = ["prepare", "files", "consistent", "replay", "expect", "command", "remove"];
/// Over such a line files and log take a moment.
const LINE: &str = "slow=3MB/s";
/// One of the copy's processes stands still, so its server takes the five seconds that it gives each of them to end.
const STUBBORN: &str = r#"
server=$(head -n 1 "$PGHOST/../data/postmaster.pid")
read -r first others < "/proc/$server/task/$server/children"
kill -STOP "$first"
sleep LONG &
sleep 5
"#;

fn killed_in(version: Version, long: String) -> Drills {
    let drills = Drills::new(version, "");
    let rig = &drills.rig;
    rig.write("stubborn", &STUBBORN.replace("LONG", &long));
    let script = format!("run: [sh, {}]", rig.path("stubborn").display());
    drills.drills(&slow(&long).replace(&format!(r#"run: [sh, -c, "sleep {long} & sleep 5"]"#), &script));
    // Files take a moment.
    rig.cluster.sql("create table much as select n, md5(n::text) as v from generate_series(1, 300000) n");
    rig.backup();
    rig.cluster.sql("insert into much select n, md5(n::text) as v from generate_series(1, 100000) n");
    rig.load(5);
    rig.archive();
    let mut killed = Vec::new();
    let begin = || {
        let mut drill = drills.command(&["drill", "slow"]);
        drill.env("SEAWALL_TEST_FAULTS", LINE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs")
    };
    for phase in PHASES {
        // On a busy machine it may be in the next one by the time it is killed: then once more.
        let mut is_met = false;
        for _ in 0..10 {
            let (mut child, process, folder) = begin_until(&drills.place(), phase, &begin);
            if phase == "command" {
                wait(&|| sleepers(&long) == 1);
            }
            let _ = kill_process(process, Signal::KILL);
            child.wait().expect("it ended");
            let at = fs::read_to_string(folder.join("phase")).unwrap_or_default();
            // The next one of this host, whatever it does, finds it.
            let next = if phase == "expect" { drills.say(&["watch"]) } else { drills.say(&["run", "--due", "drills.slow"]) };
            assert!(next.code == 0, "{phase}: {}{}", next.out, next.err);
            wait(&|| servers_below(&drills.place()).is_empty());
            drills.nothing_is_left();
            assert_eq!(sleepers(&long), 0, "{phase}: what the program had started runs on");
            is_met = at == phase || (phase == "prepare" && at.is_empty());
            killed.push((phase, at));
            if is_met {
                break;
            }
        }
        assert!(is_met, "{phase} was never met: {killed:?}");
    }
    let history = drills.history();
    assert!(history.matches("lost").count() >= PHASES.len(), "{history}");
    drills
}

pub fn wait(until: &dyn Fn() -> bool) {
    let began = Instant::now();
    while !until() {
        assert!(began.elapsed() < Duration::from_secs(120), "it takes too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn asked_to_end_it_clears_away_first() {
    let long = long(602);
    let drills = Drills::new(Version::V18, &slow(&long));
    for (signal, code, phase) in [(Signal::INT, 130, "expect"), (Signal::TERM, 143, "command"), (Signal::INT, 130, "consistent")] {
        let (mut child, process, _) = drills.begin_until("slow", phase);
        kill_process(process, signal).expect("it lives");
        let status = child.wait().expect("it ended");
        assert_eq!(status.code(), Some(code), "{phase}");
        drills.nothing_is_left();
        assert_eq!(sleepers(&long), 0, "{phase}");
    }
    assert!(drills.history().contains("stopped"), "{}", drills.history());
}

/// Where the copy lay is found by what the state directory knows, and not by what the policy says by now.
#[test]
fn a_directory_that_the_policy_no_longer_names_is_cleared_too() {
    let long = long(604);
    let drills = Drills::new(Version::V15, "");
    let before = fs::read_to_string(drills.rig.path("policy.yaml")).expect("the policy");
    let elsewhere = drills.rig.path("elsewhere");
    let with = format!("    directory: {}\n    restore: {{ latest: nightly }}", elsewhere.display());
    let slow = slow(&long).replace("    restore: { latest: nightly }", &with);
    drills.drills(&slow);
    let (mut child, process, _) = begin_until(&elsewhere, "expect", &|| drills.begin(&["drill", "slow"]));
    kill_process(process, Signal::KILL).expect("it lives");
    child.wait().expect("it ended");
    assert_eq!(copies(&elsewhere).len(), 1);
    drills.rig.write("policy.yaml", &before);
    drills.say(&["watch"]);
    assert_eq!(copies(&elsewhere), Vec::<std::path::PathBuf>::new());
    wait(&|| servers_below(&elsewhere).is_empty());
    drills.nothing_is_left();
    // Neither does one that ends by itself leave its link behind.
    drills.drills(&slow.replace("sleep 5", "true"));
    drills.drill(0, &["slow"]);
    assert_eq!(copies(&elsewhere), Vec::<std::path::PathBuf>::new());
    drills.nothing_is_left();
}

/// A folder that only looks like a drill's, with the data directory of a server that is not one, is left alone.
#[test]
fn nobody_elses_server_is_ever_ended() {
    let drills = Drills::new(Version::V15, &slow(&long(603)));
    let (mut child, process, folder) = drills.begin_until("slow", "expect");
    kill_process(process, Signal::KILL).expect("it lives");
    child.wait().expect("it ended");
    // Its own server goes; in place of its number stands another one's.
    let pid = fs::read_to_string(folder.join("data/postmaster.pid")).expect("it runs");
    let number: i32 = pid.lines().next().and_then(|line| line.trim().parse().ok()).expect("a number");
    kill_process(Pid::from_raw(number).expect("a process"), Signal::QUIT).expect("it lives");
    wait(&|| servers_below(&folder).is_empty());
    let other = fs::read_to_string(drills.rig.cluster.data().join("postmaster.pid")).expect("the original runs");
    fs::write(folder.join("data/postmaster.pid"), &other).expect("planted");
    let innocent = Cluster::start(Version::V15, crate::clusters::Options::default());
    drills.say(&["watch"]);
    drills.nothing_is_left();
    assert!(drills.rig.cluster.is_running() && innocent.is_running());
    assert_eq!(drills.rig.cluster.sql("select count(*) from series"), "50");
}
