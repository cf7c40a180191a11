//! A cluster, its policy, and a catalog beside it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use seawall::catalog::{Catalog, Filter, RunRow, StepRow, Where};

use crate::backup::rig::{Policy, Rig};
use crate::clusters::{Account, Version};

#[derive(Debug)]
pub(crate) struct Run {
    pub rig: Rig,
}

impl Run {
    pub(crate) fn new(job: &str, more: &str) -> Run {
        Run::with(&Policy { job: job.into(), ..Policy::default() }, more)
    }

    pub(crate) fn with(policy: &Policy, more: &str) -> Run {
        let run = Run { rig: Rig::new(Version::V15, policy) };
        run.add(more);
        run
    }

    /// More of the policy, at its end.
    pub(crate) fn add(&self, more: &str) {
        let path = self.rig.path("policy.yaml");
        let text = fs::read_to_string(&path).expect("the policy") + more;
        fs::write(path, text).expect("the policy");
    }

    pub(crate) fn change(&self, from: &str, to: &str) {
        let path = self.rig.path("policy.yaml");
        let text = fs::read_to_string(&path).expect("the policy");
        assert!(text.contains(from), "{from}: {text}");
        fs::write(path, text.replace(from, to)).expect("the policy");
    }

    pub(crate) fn command_in(&self, state: &str, words: &[&str]) -> Command {
        let mut command = self.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
        command.args(words).arg("--policy").arg(self.rig.path("policy.yaml")).arg("--state").arg(self.rig.path(state));
        command
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.command_in("state", words);
        command.args(["--host", "db-1"]);
        command
    }

    pub(crate) fn say(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().expect("seawall"))
    }

    /// By a clock that is off by so much: `+6m`, `-1h`.
    pub(crate) fn say_at(&self, offset: &str, words: &[&str]) -> Said {
        Said::of(by_clock(self.rig.cluster.account(), offset, &self.command(words)).output().expect("faketime"))
    }

    /// Changes the catalog behind its back.
    pub(crate) fn sql(&self, script: &str) {
        let changed = Command::new("python3")
            .args(["-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.commit()"])
            .arg(self.file("state").join("catalog.db"))
            .arg(script)
            .status()
            .expect("python");
        assert!(changed.success(), "{script}");
    }

    pub(crate) fn catalog(&self) -> Catalog {
        self.catalog_of("state").expect("a catalog")
    }

    pub(crate) fn catalog_of(&self, state: &str) -> Option<Catalog> {
        Catalog::open_existing(&Where::Sqlite(self.rig.path(state).join("catalog.db"))).expect("it can be read")
    }

    /// The oldest first.
    pub(crate) fn history(&self) -> Vec<RunRow> {
        let mut runs = self.catalog().history(&Filter::default()).expect("a history");
        runs.sort_by_key(|run| run.run);
        runs
    }

    /// Job and outcome of each run.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        let outcome = |run: &RunRow| format!("{} {}", run.job, run.outcome.map_or("?", |outcome| outcome.word()));
        self.history().iter().map(outcome).collect()
    }

    pub(crate) fn steps(&self, run: &RunRow) -> Vec<StepRow> {
        self.catalog().steps_of(run.run).expect("its steps")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.rig.path(name)
    }

    /// To a `seawall run nightly` itself, not to who started it under another account.
    pub(crate) fn signal(&self, signal: &str) {
        self.signal_to("run nightly", signal);
    }

    pub(crate) fn signal_to(&self, words: &str, signal: &str) {
        let policy = self.file("policy.yaml");
        self.rig.shell_as_root(&format!("pkill -{signal} -f '^[^ ]*seawall {words} --policy {}' || true", policy.display()));
    }

    pub(crate) fn backups(&self) -> usize {
        self.rig.objects("backups").iter().filter(|name| name.ends_with(".json")).count()
    }
}

/// The same command by a clock that is off. How long things take is counted as ever.
pub(crate) fn by_clock(account: Account, offset: &str, command: &Command) -> Command {
    let words: Vec<_> = command.get_args().collect();
    // Who starts it under the server's account stands before the program.
    let program = words.iter().position(|word| *word == env!("CARGO_BIN_EXE_seawall"));
    let words = program.map_or(words.as_slice(), |at| &words[at + 1..]);
    let mut faked = account.command(env!("CARGO_BIN_EXE_seawall"));
    faked.args(words);
    by(&mut faked, offset);
    faked
}

/// Whatever the command starts has that clock too. `faketime` itself is asked only for its library: what it keeps in shared memory for each call
/// is left there when the call is killed, and is in the way of a later one that gets the same process number.
pub(crate) fn by(command: &mut Command, clock: &str) {
    static LIBRARY: OnceLock<String> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let asked = Command::new("faketime").args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).output().expect("faketime");
        String::from_utf8(asked.stdout).expect("a path").trim().to_owned()
    });
    assert!(library.contains("libfaketime"), "{library:?}");
    command.env("LD_PRELOAD", library).env("FAKETIME", clock).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

#[derive(Debug)]
pub(crate) struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    pub(crate) fn ends_with_code(self, code: i32) -> Said {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Said {
        assert!(self.out.contains(words) || self.err.contains(words), "not `{words}`:\n{}\n{}", self.out, self.err);
        self
    }
}
