//! Another process at the same catalog: this program again, told by its environment what to do.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use seawall::catalog::{Catalog, Measured, Outcome, QueuedNotice, StepOutcome, Where};

use super::rows::{at, begin, end, entry, open};
use crate::clusters::{Account, settings};

const WHAT: &str = "SEAWALL_TEST_CATALOG_WHAT";
const NAME: &str = "SEAWALL_TEST_CATALOG_NAME";
const FILE: &str = "SEAWALL_TEST_CATALOG_FILE";
const CONNECTION: &str = "SEAWALL_TEST_CATALOG_CONNECTION";
/// What a child says begins with it; the test's own words do not.
const SAYS: &str = "child: ";

/// How a child finds the catalog.
#[derive(Debug, Clone)]
pub(super) enum Address {
    File(PathBuf),
    Connection(String),
}

impl Address {
    pub(super) fn place(&self) -> Where {
        match self {
            Address::File(path) => Where::Sqlite(path.clone()),
            Address::Connection(text) => Where::Postgres(Box::new(settings(text))),
        }
    }

    pub(super) fn start(&self, what: &str, name: &str) -> Running {
        self.start_as(Account::Own, what, name)
    }

    pub(super) fn start_as(&self, account: Account, what: &str, name: &str) -> Running {
        let mut command = account.command(std::env::current_exe().expect("this program"));
        command.args(["--exact", "catalog::child::errand", "--nocapture", "--test-threads=1"]);
        match self {
            Address::File(path) => command.env(FILE, path),
            Address::Connection(text) => command.env(CONNECTION, text),
        };
        let mut child = command.env(WHAT, what).env(NAME, name).stdout(Stdio::piped()).spawn().expect("it starts");
        let said = BufReader::new(child.stdout.take().expect("its words")).lines();
        Running { child, said }
    }
}

pub(super) struct Running {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// The next thing it says; none when it is gone.
    pub(super) fn next(&mut self) -> Option<String> {
        self.said.by_ref().map_while(Result::ok).find_map(|line| line.split_once(SAYS).map(|(_, words)| words.to_owned()))
    }

    /// All it says, until it ends well.
    pub(super) fn finish(mut self) -> Vec<String> {
        let said: Vec<String> = std::iter::from_fn(|| self.next()).collect();
        assert!(self.child.wait().expect("its end").success(), "{said:?}");
        said
    }

    /// Kills it, and gives what it had said by then.
    pub(super) fn kill_9(mut self) -> Vec<String> {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("its end");
        std::iter::from_fn(|| self.next()).collect()
    }
}

fn say(words: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{SAYS}{words}").and_then(|()| out.flush()).expect("somebody listens");
}

#[test]
fn errand() {
    let Ok(what) = std::env::var(WHAT) else { return };
    let name = std::env::var(NAME).expect("a name");
    let address = match std::env::var(CONNECTION) {
        Ok(text) => Address::Connection(text),
        Err(_) => Address::File(std::env::var_os(FILE).expect("a file").into()),
    };
    let place = address.place();
    match what.as_str() {
        "work" => work(&open(&place), &name),
        "open" => {
            begin(&open(&place), &name, 0);
        }
        "try" => match Catalog::open(&place) {
            Ok(catalog) => {
                begin(&catalog, &name, 0);
                assert!(catalog.try_lock("orders", "expire").expect("asked").is_some());
                say("done");
            }
            Err(fault) => say(&format!("{fault:?}")),
        },
        "claim" => claim(&open(&place), &name),
        "append" => (0..50).for_each(|number| {
            open(&place).append(&entry(&format!("{name} {number}"))).expect("appended");
        }),
        "decide" => decide(&open(&place), &name),
        "hold" => {
            let _held = open(&place).try_lock("orders", "expire").expect("asked").expect("it is free");
            say("held");
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
        other => panic!("nobody knows what `{other}` is"),
    }
}

/// Something of everything, round after round, until it is killed. Says what it was told is done.
fn work(catalog: &Catalog, name: &str) {
    for round in 0.. {
        let run = begin(catalog, name, round);
        for step in 1..=3 {
            catalog.begin_step(run, step, "backup", "a step", at(round)).expect("begun");
            catalog.end_step(run, step, StepOutcome::Succeeded, None, at(round)).expect("ended");
        }
        let (version, _) = catalog.memory("orders").expect("read");
        let ids = [format!("{}-a", version + 1), format!("{}-b", version + 1)];
        let notices: Vec<_> =
            ids.iter().map(|id| QueuedNotice { id, policy: "orders", receiver: "mail", json: "{}", not_before: at(0) }).collect();
        assert_eq!(catalog.decide("orders", version, &(version + 1).to_string(), &notices, at(round)), Ok(true));
        let measured = ["one", "two", "three"].map(|name| Measured { name, subject: "", value: round as f64 });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        catalog.measure("orders", &measured, at(i64::try_from(now).expect("small") % 1_000_000_000)).expect("measured");
        end(catalog, run, Outcome::Succeeded, round);
        let head = catalog.append(&entry(&run.to_string())).expect("appended");
        say(&format!("{run} {}", head.seq));
    }
}

/// Sends what it is given until nothing is left.
fn claim(catalog: &Catalog, name: &str) {
    while !catalog.undelivered("orders").expect("read").is_empty() {
        for one in catalog.claim(&["orders"], at(10), 7, at(1000), name).expect("claimed") {
            assert_eq!(one.attempts, 1);
            say(&one.id);
            catalog.delivered(&one.id, at(11), None).expect("noted");
        }
    }
}

/// Counts to 25 more, one decision after the other, against others who do the same.
fn decide(catalog: &Catalog, name: &str) {
    for number in 0..25 {
        loop {
            let (version, memory) = catalog.memory("orders").expect("read");
            let count: i64 = if memory.is_empty() { 0 } else { memory.parse().expect("a number") };
            let id = format!("{name}-{number}");
            let notice = QueuedNotice { id: &id, policy: "orders", receiver: "mail", json: "{}", not_before: at(0) };
            if catalog.decide("orders", version, &(count + 1).to_string(), &[notice], at(0)).expect("decided") {
                break;
            }
        }
    }
}
