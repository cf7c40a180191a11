//! What is on record, as people and those who watch are told it: the real program on catalogs that the library filled.

mod acks;
mod prometheus;
mod told;

use std::path::PathBuf;
use std::process::Stdio;

use seawall::catalog::{Catalog, End, Measured, NewRun, Outcome, RunId, StepOutcome, Where, Why};
use seawall::units::Instant;

use crate::cli::{Room, Run, follows, sound};

/// A room with a policy `shop` in it, and its catalog where `--state state` looks for it.
struct Rig {
    room: Room,
    now: Instant,
}

/// Whatever the hour and the day: what is to run next is a day away, and the last time was when `well` has its run.
fn undisturbed(name: &str) -> String {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let (drill, backup) = (now.saturating_add(jiff::Span::new().days(3)), now.saturating_sub(jiff::Span::new().minutes(31)));
    let text = sound(name);
    let far = text.replace("on: sunday", &format!("on: {}", drill.strftime("%A").to_string().to_lowercase()));
    far.replace("at: \"02:00\"", &format!("at: \"{}\"", backup.strftime("%H:%M")))
}

impl Rig {
    /// Nothing has run yet.
    fn new() -> Self {
        Self::of(&undisturbed("shop"))
    }

    fn of(text: &str) -> Self {
        Rig { room: Room::new().with("shop.yaml", text), now: Instant::now() }
    }

    /// One failure, one good run since, and somebody who watches: all is well.
    fn well() -> Self {
        let rig = Self::new();
        let catalog = rig.catalog();
        catalog.see_jobs("shop", &["backups.nightly", "drills.weekly", "expire"], rig.ago(24 * 60)).expect("seen");
        rig.failed(&catalog, 26 * 60);
        let run = rig.begin(&catalog, "backups.nightly", 30);
        catalog
            .end_run(
                run,
                &End {
                    backup: Some("20261121T020000Z-7f3c"),
                    store: Some("main"),
                    bytes: Some(5_000_000_000),
                    stored_bytes: Some(1_000_000_000),
                    ..End::with(Outcome::Succeeded, rig.ago(20))
                },
            )
            .expect("ended");
        rig.watched(&catalog, 1);
        drop(catalog);
        rig
    }

    fn place(&self) -> PathBuf {
        self.room.path().join("state/catalog.db")
    }

    fn catalog(&self) -> Catalog {
        Catalog::open(&Where::Sqlite(self.place())).expect("a catalog")
    }

    fn ago(&self, minutes: i64) -> Instant {
        self.now - jiff::SignedDuration::from_mins(minutes)
    }

    fn begin(&self, catalog: &Catalog, job: &str, minutes_ago: i64) -> RunId {
        let started = self.ago(minutes_ago);
        let new = NewRun {
            policy: "shop",
            job,
            host: "db1",
            boot: None,
            pid: 4711,
            why: Why::Due,
            owed_since: Some(started),
            started,
            digest: Some("abc"),
            commit: None,
        };
        catalog.begin_run(&new).expect("begun")
    }

    fn failed(&self, catalog: &Catalog, minutes_ago: i64) -> RunId {
        let run = self.begin(catalog, "backups.nightly", minutes_ago);
        catalog.begin_step(run, 1, "backup.copy", "copy the data directory", self.ago(minutes_ago)).expect("begun");
        let at = self.ago(minutes_ago - 1);
        catalog.end_step(run, 1, StepOutcome::Failed, Some("the disk is full"), at).expect("ended");
        let end = End { message: Some("the disk is full"), hint: Some("Make room."), ..End::with(Outcome::Failed, at) };
        catalog.end_run(run, &end).expect("ended");
        run
    }

    /// As `seawall watch` writes it when nothing is wrong.
    fn watched(&self, catalog: &Catalog, minutes_ago: i64) {
        let at = self.ago(minutes_ago);
        let measured = |name, subject, value| Measured { name, subject, value };
        let all = [
            measured("watched", "", at.as_second() as f64),
            measured("store_answers", "main", 1.0),
            measured("store_used_bytes", "main", 3e9),
            measured("wal_waiting_since", "", 0.0),
            measured("clock_skew_seconds", "", 2.0),
            measured("backup_newest", "backups.nightly", self.ago(20).as_second() as f64),
        ];
        catalog.measure("shop", &all, at).expect("measured");
    }

    fn run(&self, words: &[&str]) -> Run {
        self.room.run(&[words, &["-p", "shop.yaml", "--state", "state"]].concat())
    }

    fn json(&self, words: &[&str]) -> serde_json::Value {
        let run = self.run(&[words, &["--format", "json"]].concat());
        let schema = match words {
            ["audit", "show", ..] => "audit-output".to_owned(),
            ["audit", "verify", ..] => "audit-verify-output".to_owned(),
            [command, ..] => format!("{command}-output"),
            [] => panic!("no command"),
        };
        follows(&schema, &run.stdout)
    }
}

/// Prometheus' own judgement of a text.
pub(crate) fn promtool(text: &str) {
    use std::io::Write as _;
    let mut child = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts (Debian: prometheus)");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{text}");
}
