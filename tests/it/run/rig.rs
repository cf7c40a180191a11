//! A cluster, its policy, and a catalog beside it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use seawall::catalog::{Catalog, Filter, RunRow, StepRow, Where};

use crate::backup::rig::{Policy, Rig};
use crate::clusters::Version;

#[derive(Debug)]
pub(super) struct Run {
    pub rig: Rig,
}

impl Run {
    pub(super) fn new(job: &str, more: &str) -> Run {
        Run::with(&Policy { job: job.into(), ..Policy::default() }, more)
    }

    pub(super) fn with(policy: &Policy, more: &str) -> Run {
        let run = Run { rig: Rig::new(Version::V15, policy) };
        run.add(more);
        run
    }

    /// More of the policy, at its end.
    pub(super) fn add(&self, more: &str) {
        let path = self.rig.path("policy.yaml");
        let text = fs::read_to_string(&path).expect("the policy") + more;
        fs::write(path, text).expect("the policy");
    }

    pub(super) fn change(&self, from: &str, to: &str) {
        let path = self.rig.path("policy.yaml");
        let text = fs::read_to_string(&path).expect("the policy");
        assert!(text.contains(from), "{from}: {text}");
        fs::write(path, text.replace(from, to)).expect("the policy");
    }

    pub(super) fn command_in(&self, state: &str, words: &[&str]) -> Command {
        let mut command = self.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
        command.args(words).arg("--policy").arg(self.rig.path("policy.yaml")).arg("--state").arg(self.rig.path(state));
        command
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.command_in("state", words);
        command.args(["--host", "db-1"]);
        command
    }

    pub(super) fn say(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().expect("seawall"))
    }

    pub(super) fn catalog(&self) -> Catalog {
        self.catalog_of("state").expect("a catalog")
    }

    pub(super) fn catalog_of(&self, state: &str) -> Option<Catalog> {
        Catalog::open_existing(&Where::Sqlite(self.rig.path(state).join("catalog.db"))).expect("it can be read")
    }

    /// The oldest first.
    pub(super) fn history(&self) -> Vec<RunRow> {
        let mut runs = self.catalog().history(&Filter::default()).expect("a history");
        runs.sort_by_key(|run| run.run);
        runs
    }

    /// Job and outcome of each run.
    pub(super) fn outcomes(&self) -> Vec<String> {
        let outcome = |run: &RunRow| format!("{} {}", run.job, run.outcome.map_or("?", |outcome| outcome.word()));
        self.history().iter().map(outcome).collect()
    }

    pub(super) fn steps(&self, run: &RunRow) -> Vec<StepRow> {
        self.catalog().steps_of(run.run).expect("its steps")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.rig.path(name)
    }

    pub(super) fn backups(&self) -> usize {
        self.rig.objects("backups").iter().filter(|name| name.ends_with(".json")).count()
    }
}

#[derive(Debug)]
pub(super) struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub(super) fn of(output: Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    pub(super) fn ends_with_code(self, code: i32) -> Said {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(super) fn says(self, words: &str) -> Said {
        assert!(self.out.contains(words) || self.err.contains(words), "not `{words}`:\n{}\n{}", self.out, self.err);
        self
    }
}
