//! Guarded commands, and what they print.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::clusters::{Account, children};
use crate::restore::rig::{Restored, Rig, Said, program, said};

/// Guard, as the server's account: what is said to it, and the command.
pub fn command(rig: &Rig, words: &[&str], guarded: &[&str]) -> Command {
    let account: Account = rig.cluster.account();
    let mut command = account.command(program());
    command.arg("guard").arg("-p").arg(rig.path("policy.yaml")).arg("--state").arg(rig.path("state"));
    command.args(words).arg("--").args(guarded);
    command
}

pub fn guard(rig: &Rig, words: &[&str], guarded: &[&str]) -> Said {
    said(command(rig, words, guarded).output().expect("it runs"))
}

/// What psql is told, as a command.
pub fn psql<'a>(conninfo: &'a str, sql: &'a str) -> Vec<&'a str> {
    vec!["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", conninfo, "-c", sql]
}

/// The last of the lines that it prints.
pub fn undo(said: &Said) -> String {
    let mut lines = said.err.lines().filter(|line| line.starts_with("  seawall restore "));
    lines.next_back().unwrap_or_else(|| panic!("no way back: {}", said.err)).trim().to_owned()
}

/// Runs a printed line as somebody would who reads it elsewhere, with what a person adds.
pub fn follow(rig: &Rig, line: &str, more: &str) -> Said {
    let rest = line.strip_prefix("seawall ").expect("a line of ours");
    let text = format!("cd / && exec {} {rest} --yes {more}", program());
    said(rig.cluster.account().command("bash").args(["-c", &text]).output().expect("a shell"))
}

/// Brings a whole cluster back by the printed line, and starts it.
pub fn bring_back(rig: &Rig, said: &Said, name: &str) -> Restored {
    let port = crate::standby::rig::free_port();
    let target = rig.path(name);
    let line = undo(said).replace("--target DIR", &format!("--target {}", target.display()));
    assert!(line.contains(&target.display().to_string()), "{line}");
    let followed = follow(rig, &line, &format!("--set port={port} --start-with {}", rig.cluster.programs().display()));
    let log = fs::read_to_string(target.join("seawall-recovery.log")).unwrap_or_default();
    assert_eq!(followed.code, 0, "{line}\n{}{}\n{log}", followed.out, followed.err);
    rig.running(name, port)
}

/// The holds in the store.
pub fn holds(rig: &Rig) -> Vec<Value> {
    let read = |path: &Path| serde_json::from_slice(&fs::read(path).expect("a hold")).expect("JSON");
    crate::restore::rig::objects(&rig.path("store"), "/holds/").iter().map(|path| read(path)).collect()
}

/// The kinds of what the audit chain has of it.
pub fn audited(rig: &Rig) -> Vec<(String, String)> {
    let said = rig.seawall(&["audit", "show", "--format", "json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let entries = said.json()["entries"].as_array().expect("entries").clone();
    let text = |entry: &Value, field: &str| entry[field].as_str().expect("text").to_owned();
    let all = entries.iter().map(|entry| (text(entry, "kind"), entry.to_string()));
    all.filter(|(kind, _)| kind.starts_with("guard.")).collect()
}

/// One that goes on while something is done to it.
pub struct Going(Child);

impl Going {
    pub fn start(mut command: Command) -> Going {
        Going(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs"))
    }

    /// The guard itself: where another program changes the account for it, it is that one's child.
    fn pid(&self) -> Pid {
        let started = Pid::from_child(&self.0);
        let name = |pid: Pid| fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).unwrap_or_default();
        if name(started).trim() == "seawall" { started } else { children(started).first().copied().expect("a guard") }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it is there");
    }

    pub fn end(self) -> Said {
        said(self.0.wait_with_output().expect("it ends"))
    }
}

#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
