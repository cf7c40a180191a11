//! A host that sleeps for longer than its lease lasts, and wakes up while another one removes what it left, which falls asleep in its turn.

use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use seawall::format::signature::SigningKey;

use super::chance;
use super::killing::whole_backups;
use super::sweep::Counter;
use super::sweep_backup::small;
use crate::clusters::children;
use crate::restore::rig::{Rig, Said, said};

/// A backup of one of two hosts, which falls asleep at that call.
fn begin(rig: &Rig, (state, host): (&str, &str), asleep: &str) -> Child {
    let mut command = rig.command_on(state, &["backup", "nightly", "--format", "json", "--host", host]);
    command.env("SEAWALL_TEST_FAULTS", format!("kind=stopped,{asleep}"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

/// As root the child is `runuser`, which stops with the command that it runs.
fn processes(child: &Child) -> Vec<Pid> {
    let own = Pid::from_child(child);
    children(own).into_iter().chain([own]).collect()
}

fn is_asleep(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

/// False when it came to its end before.
pub fn falls_asleep(child: &mut Child) -> bool {
    let deadline = Instant::now() + Duration::from_secs(300);
    while child.try_wait().expect("its state").is_none() {
        if processes(child).into_iter().any(is_asleep) {
            return true;
        }
        assert!(Instant::now() < deadline, "it neither sleeps nor ends");
        thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Lets it go on.
pub fn wake(child: &Child) {
    for process in processes(child).into_iter().filter(|process| is_asleep(*process)) {
        let _ = kill_process(process, Signal::CONT);
    }
}

fn wakes_up(mut child: Child) -> Said {
    let deadline = Instant::now() + Duration::from_secs(300);
    while child.try_wait().expect("its state").is_none() {
        wake(&child);
        assert!(Instant::now() < deadline, "it does not end");
        thread::sleep(Duration::from_millis(10));
    }
    said(child.wait_with_output().expect("its end"))
}

/// Whatever two hosts sleep through: what looks complete is whole, and who says that it made a backup made one.
#[test]
fn what_is_completed_after_a_long_sleep_is_whole() {
    let rig = small();
    let other = SigningKey::generate("db-2").expect("a key");
    rig.write("state-2/keys/signing", &other.to_openssh().expect("text"));
    rig.cluster.account().own(&rig.path("state-2"));
    rig.change_policy("writers: { ", &format!("writers: {{ db-2: \"{}\", ", other.public()));
    let counter = Counter::in_folder(&rig.path("state"));
    let (first, calls) = counter.run(rig.command(&["backup", "nightly", "--format", "json"]), None);
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
    let lasts = if chance::is_long() { (0..12).collect::<Vec<u64>>() } else { (3..=10).collect() };
    let (mut refused, mut slept) = (0, 0);
    for last in lasts {
        // Each object that it removes, or takes back, is a call.
        for delete in 1..=4 {
            rig.shell("rm -rf store/*/data store/*/backups store/*/leases store/*/hints");
            let mut sleeper = begin(&rig, ("state", "db"), &format!("nth={}", calls - last));
            let sleeps = falls_asleep(&mut sleeper);
            rig.shell("find store -path '*/leases/*' -type f -exec touch -d '20 minutes ago' {} +");
            let mut tidier = begin(&rig, ("state-2", "db-2"), &format!("on=delete,nth={delete}"));
            slept += u32::from(falls_asleep(&mut tidier) && sleeps);
            let ends = [wakes_up(sleeper), wakes_up(tidier)];
            let whole = whole_backups(&rig);
            for end in &ends {
                match end.code {
                    0 => assert!(whole.contains(&end.backup()), "{last} {delete}: {whole:?} {}", end.out),
                    _ => refused += 1,
                }
            }
            assert!(ends.iter().any(|end| end.code == 0), "{last} {delete}: {}{}", ends[0].err, ends[1].err);
        }
    }
    // Otherwise they never met.
    assert!(refused > 0 && slept > 0, "{refused} {slept}");
}
