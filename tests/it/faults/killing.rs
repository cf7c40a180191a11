//! `kill -9`, and what must hold after it.

use std::process::Child;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::clusters::children;
use crate::restore::rig::{Rig, program};

/// Kills a command. As root the child is `runuser`, and the command is its child.
pub fn kill_9(child: &mut Child) {
    let own = Pid::from_child(child);
    let mut alone = 0;
    while child.try_wait().expect("its state").is_none() {
        let below = children(own);
        for process in &below {
            let _ = kill_process(*process, Signal::KILL);
        }
        // Where the command slept, who started it sleeps too, and would not see that it is dead.
        let _ = kill_process(own, Signal::CONT);
        // It has not begun anything yet, or it is the command itself.
        alone += u32::from(below.is_empty());
        if alone > 20 || !rustix::process::geteuid().is_root() {
            let _ = child.kill();
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// What was left is old by now, and nobody is at it any more.
pub fn next_night(rig: &Rig) {
    rig.shell("find store -not -path '*/wal/*' -exec touch -d '20 hours ago' {} +");
}

/// The backups that `list` shows as complete, each of which is proved to be.
pub fn whole_backups(rig: &Rig) -> Vec<String> {
    let listed = rig.seawall(&["list", "--format", "json"]);
    assert_eq!(listed.code, 0, "{}{}", listed.out, listed.err);
    let store = &listed.json()["stores"][0];
    assert_eq!((&store["rejected"], &store["doubts"]), (&Value::Array(vec![]), &Value::Array(vec![])), "{store}");
    let complete = store["backups"].as_array().expect("backups").iter().filter(|backup| backup["state"] == "complete");
    let ids: Vec<String> = complete.map(|backup| backup["id"].as_str().expect("an id").to_owned()).collect();
    if !ids.is_empty() {
        let verify: Vec<&str> = ["verify", "--format", "json"].into_iter().chain(ids.iter().map(String::as_str)).collect();
        let proved = rig.seawall(&verify);
        assert_eq!(proved.code, 0, "{}{}", proved.out, proved.err);
    }
    ids
}

/// Everything that lies in the store, when nobody writes to it.
pub fn prove_everything(rig: &Rig, words: &[&str]) {
    let proved = rig.seawall(&[&["verify", "--format", "json"], words].concat());
    assert_eq!((proved.code, &proved.json()["sound"]), (0, &Value::Bool(true)), "{}{}", proved.out, proved.err);
}

/// Kills a `wal push` that the cluster's server called, if there is one.
pub fn kill_a_push(rig: &Rig) -> bool {
    let words = format!("{}\0wal\0push\0", program());
    let policy = rig.path("policy.yaml").display().to_string();
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let push = numbers.find(|number| {
        let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.starts_with(&words) && line.contains(&policy)
    });
    push.and_then(Pid::from_raw).is_some_and(|process| kill_process(process, Signal::KILL).is_ok())
}
