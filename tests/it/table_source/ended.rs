//! Whatever ends it, nothing of the copy stays for longer than until the next time.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{self, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use seawall::execute::table::{TableFault, Why};
use seawall::inventory::Phase;
use seawall::recovery::Target;

use super::rig::{Tables, hash};
use crate::clusters::{Account, Options, Version};
use crate::drill::rig::servers_below;
use crate::restore::rig::Rig;

const FOLDER: &str = "SEAWALL_TEST_TABLE_FOLDER";
const PROGRAMS: &str = "SEAWALL_TEST_TABLE_PROGRAMS";
const TABLE: &str = "SEAWALL_TEST_TABLE";
const WAITS: &str = "SEAWALL_TEST_TABLE_WAITS";

/// A table that is held by a process of its own.
pub struct Child(process::Child, BufReader<ChildStdout>);

/// What it says when it has it.
#[derive(Debug)]
pub struct Said {
    pub hash: String,
    pub fetched: u64,
    pub fetch: u64,
    pub fetch_of: u64,
}

impl Child {
    pub fn begin(rig: &Rig, version: Version, table: &str, waits: bool) -> Child {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "table_source::ended::in_a_process_of_its_own", "--ignored", "--nocapture"]);
        command.env(FOLDER, rig.cluster.folder()).env(PROGRAMS, version.programs()).env(TABLE, table).envs(rig.environment());
        if waits {
            command.env(WAITS, "yes");
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        Child(child, out)
    }

    /// Waits for its words.
    pub fn said(&mut self) -> Said {
        let mut all = String::new();
        for line in (&mut self.1).lines().map_while(Result::ok) {
            if let Some((_, words)) = line.split_once("HELD|") {
                let words: Vec<&str> = words.split('|').collect();
                let number = |at: usize| words[at].parse().expect("a number");
                return Said { hash: words[0].to_owned(), fetched: number(1), fetch: number(2), fetch_of: number(3) };
            }
            all.push_str(&line);
            all.push('\n');
        }
        panic!("{all}");
    }

    pub fn end(mut self) -> Said {
        let said = self.said();
        (&mut self.1).lines().for_each(drop);
        assert!(self.0.wait().expect("it ends").success());
        said
    }

    fn kill(mut self) {
        kill_process(Pid::from_raw(i32::try_from(self.0.id()).expect("a number")).expect("a process"), Signal::KILL).expect("it lives");
        self.0.wait().expect("it ended");
    }
}

#[test]
#[ignore = "what other tests start"]
fn in_a_process_of_its_own() {
    let word = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is said by whoever starts this"));
    let tables = Tables::in_folder(&PathBuf::from(word(FOLDER)), Account::current(), word(PROGRAMS).into());
    let name = word(TABLE);
    let got = tables.hold(&tables.wanted(&[&name], Target::Latest)).unwrap_or_else(|fault| panic!("{fault} {}", fault.hint));
    println!("HELD|{}|{}|{}|{}", got.sql(&hash(&name)), got.held.fetched, got.fetch, got.fetch_of);
    if std::env::var_os(WAITS).is_some() {
        std::thread::sleep(Duration::from_secs(600));
    }
}

fn rig() -> Rig {
    let rig = Rig::start(Version::V15, Options { segment_mb: 1, ..Options::default() });
    rig.cluster.sql("create table wanted as select n, md5(n::text) as t from generate_series(1, 300000) n");
    rig.backup();
    rig.cluster.sql("update wanted set t = md5(t)");
    rig.archive();
    rig
}

#[test]
fn killed_it_is_found_and_removed() {
    let rig = rig();
    let tables = Tables::of(&rig.cluster, Version::V15.programs());
    for at in ["files", "consistent", "expect", "held"] {
        let mut child = Child::begin(&rig, Version::V15, "public.wanted", true);
        if at == "held" {
            child.said();
        } else {
            wait_for(&tables, at);
        }
        child.kill();
        assert_eq!(crate::drill::rig::copies(&tables.place()).len(), 1, "{at}");
        // The next one finds it, whatever comes of itself.
        tables.hold(&tables.wanted(&["public.wante"], Target::Latest)).expect_err("there is no such table");
        tables.nothing_is_left();
    }
    // A drill's look finds it too.
    let mut child = Child::begin(&rig, Version::V15, "public.wanted", true);
    child.said();
    child.kill();
    // As whoever held it: what root has made is closed to others.
    let mut watch = Command::new(crate::restore::rig::program());
    watch.args(["watch", "--host", "db-1", "-p"]).arg(rig.path("policy.yaml")).arg("--state").arg(rig.path("other-state"));
    let said = watch.output().expect("it runs");
    assert!(said.status.success(), "{said:?}");
    tables.nothing_is_left();
    assert!(rig.cluster.is_running());
}

fn wait_for(tables: &Tables, phase: &str) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        for folder in crate::drill::rig::copies(&tables.place()) {
            if fs::read_to_string(folder.join("phase")).is_ok_and(|at| at == phase) {
                return;
            }
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    panic!("{phase} was not seen");
}

/// Its server was ended by others, as when memory is short: the same may go well a little later.
#[test]
fn its_server_is_killed_while_it_recovers() {
    let rig = rig();
    let tables = Tables::of(&rig.cluster, Version::V15.programs());
    for whom in ["postmaster", "startup"] {
        let fault = tables.hold_until(&tables.wanted(&["public.wanted"], Target::Latest), &|phase, _| {
            if phase == Phase::Replay {
                let all = servers_below(&tables.place());
                let is = |pid: &&i32, what: &str| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(what));
                let postmaster = all.iter().find(|pid| is(pid, "\0-D\0"));
                // Recovery may have come to its end by now.
                let one = all.iter().find(|pid| is(pid, whom)).or(postmaster).expect("a server");
                kill_process(Pid::from_raw(*one).expect("a process"), Signal::KILL).expect("it lives");
            }
        });
        let fault = TableFault::from(fault.expect_err("its server is gone"));
        assert_eq!(fault.why, Why::Passing, "{whom}: {} ({})", fault.message, fault.hint);
        tables.nothing_is_left();
    }
}

#[test]
fn asked_to_end_it_clears_away() {
    let rig = rig();
    let tables = Tables::of(&rig.cluster, Version::V15.programs());
    for at in [Phase::Prepare, Phase::Files, Phase::Consistent] {
        let fault = tables.hold_until(&tables.wanted(&["public.wanted"], Target::Latest), &|phase, stop| {
            if phase == at {
                stop.store(true, Ordering::Relaxed);
            }
        });
        assert_eq!(fault.expect_err("it was asked to end").message, "it was asked to end", "{at:?}");
        tables.nothing_is_left();
        assert!(servers_below(&tables.place()).is_empty());
    }
}
