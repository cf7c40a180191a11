//! A cluster that is backed up and archived, with drills in its policy.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde_json::Value;

use super::killed::ours;
use crate::clusters::{Options, Version};
use crate::restore::rig::{Rig, Said, said};

pub struct Drills {
    pub rig: Rig,
}

impl Drills {
    /// A backup with rows before it and rows after it, all of it archived.
    pub fn new(version: Version, drills: &str) -> Drills {
        Drills::with(version, Options { segment_mb: 1, ..Options::default() }, drills)
    }

    pub fn with(version: Version, options: Options, drills: &str) -> Drills {
        let rig = Rig::start(version, options);
        let new = Drills { rig };
        new.drills(drills);
        new.rig.series();
        // Nobody else changes a file of the original while a drill is held against it.
        new.rig.cluster.sql("alter table series set (autovacuum_enabled = off)");
        new.rig.load(20);
        new.rig.backup();
        new.rig.load(30);
        new.rig.archive();
        new
    }

    /// More of the policy, at its end.
    pub fn drills(&self, drills: &str) {
        let policy = fs::read_to_string(self.rig.path("policy.yaml")).expect("the policy");
        self.rig.write("policy.yaml", &format!("{policy}{drills}\n"));
    }

    /// With the programs of the cluster's version, wherever they are.
    pub fn command(&self, words: &[&str]) -> Command {
        self.with_programs(self.rig.command(words))
    }

    /// As somebody who works in the cluster's folder names files.
    pub fn command_in_place(&self, words: &[&str]) -> Command {
        let mut command = self.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
        command.args(words).args(["--policy", "policy.yaml", "--state", "state"]).current_dir(self.rig.cluster.folder());
        self.with_programs(command)
    }

    pub fn with_programs(&self, mut command: Command) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.rig.cluster.version().programs().display()));
        command
    }

    pub fn say(&self, words: &[&str]) -> Said {
        said(self.command(words).output().expect("it runs"))
    }

    /// Over a line that brings so much.
    pub fn say_over(&self, line: &str, words: &[&str]) -> Said {
        said(self.command(words).env("SEAWALL_TEST_FAULTS", format!("slow={line}")).output().expect("it runs"))
    }

    /// One that ends with this code; its record.
    pub fn drill(&self, code: i32, words: &[&str]) -> Value {
        let mut all = vec!["drill", "--format", "json"];
        all.extend(words);
        let said = self.say(&all);
        assert_eq!(said.code, code, "{}\n{}", said.out, said.err);
        crate::cli::follows("drill-output", &said.out)
    }

    pub fn begin(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
    }

    pub fn place(&self) -> PathBuf {
        self.rig.path("state/policies/shop/drills")
    }

    /// Folders of drills that are there now.
    pub fn copies(&self) -> Vec<PathBuf> {
        copies(&self.place())
    }

    /// Nothing of any drill runs or lies about.
    pub fn nothing_is_left(&self) {
        assert_eq!(self.copies(), Vec::<PathBuf>::new());
        // What was fetching log for a server that was ended ends a moment after it.
        let began = Instant::now();
        while !servers_below(&self.place()).is_empty() {
            assert!(began.elapsed() < Duration::from_secs(60), "{:?} run on", servers_below(&self.place()));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A drill that is in this phase now, the program itself, and its folder.
    pub fn begin_until(&self, drill: &str, phase: &str) -> (Child, Pid, PathBuf) {
        begin_until(&self.place(), phase, &|| self.begin(&["drill", drill]))
    }

    pub fn history(&self) -> String {
        self.say(&["history"]).out
    }
}

/// A phase may be over before anybody sees it; then once more. Whom to send a signal to is known before there is any hurry.
pub fn begin_until(place: &Path, phase: &str, begin: &dyn Fn() -> Child) -> (Child, Pid, PathBuf) {
    for _ in 0..20 {
        let mut child = begin();
        let process = ours(&child);
        while child.try_wait().expect("asked").is_none() {
            for folder in copies(place).into_iter().filter(|folder| !folder.to_string_lossy().contains("/new-")) {
                let at = fs::read_to_string(folder.join("phase")).unwrap_or_default();
                if at == phase || (phase == "prepare" && at.is_empty()) {
                    return (child, process, folder);
                }
            }
            std::thread::sleep(Duration::from_micros(300));
        }
    }
    panic!("{phase} was never seen");
}

pub fn copies(place: &Path) -> Vec<PathBuf> {
    fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// PostgreSQL's processes that work below this folder, or worked there before it was removed.
pub fn servers_below(folder: &Path) -> Vec<i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let below = |number: &i32| fs::read_link(format!("/proc/{number}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    numbers.filter(below).collect()
}

pub fn phase<'r>(record: &'r Value, name: &str) -> &'r Value {
    let all = record["phases"].as_array().expect("phases");
    all.iter().find(|phase| phase["phase"] == name).unwrap_or_else(|| panic!("no phase {name} in {record:#}"))
}

pub fn millis(record: &Value, name: &str) -> u64 {
    phase(record, name)["millis"].as_u64().expect("a number")
}

/// Bytes in all files below a folder.
pub fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.path().symlink_metadata().ok()?)))
        .map(|(path, about)| if about.is_dir() { bytes_below(&path) } else { about.size() })
        .sum()
}
