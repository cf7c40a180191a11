//! Stores that fail at any call, runs that are killed, that sleep, and five at once: what the rules keep is there and whole, and what was
//! begun is finished by the next run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::rig::{Ground, day};
use crate::cli::hermetic;
use crate::faults::chance;
use crate::faults::sweep::{Counter, sweep};
use crate::repository::fixture::{segment, segment_bytes};

/// Twelve nights of which eight stay, marked and ripe; and the log of four is marked and ripe too.
struct Ripe {
    ground: Ground,
    template: PathBuf,
}

impl Ripe {
    fn new() -> Ripe {
        let mut ground = Ground::keeping("{ last: 8 }");
        ground.add("expire: { brake: 100%, grace: 1s }\n");
        for number in 0..16 {
            let file = seawall::units::WalFile::Segment(segment(1, number));
            ground.fixture.wal(file, &segment_bytes(1, number), &day(number as i64));
        }
        for number in 4..16 {
            ground.backup(&format!("n{number:02}"), &day(number as i64), number);
        }
        let first = ground.fixture.run(&["expire"]);
        assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
        sleep(Duration::from_millis(2100));
        let template = ground.fixture.path().join("template");
        copy(&ground.fixture.store_path(), &template);
        Ripe { ground, template }
    }

    fn again(&self) {
        std::fs::remove_dir_all(self.ground.fixture.store_path()).expect("removed");
        copy(&self.template, &self.ground.fixture.store_path());
    }

    fn command(&self) -> Command {
        let fixture = &self.ground.fixture;
        let mut command = hermetic(Command::new(env!("CARGO_BIN_EXE_seawall")), fixture.path());
        command
            .arg("expire")
            .env("SEAWALL_POLICY", fixture.path().join("policy.yaml"))
            .env("STATE_DIRECTORY", fixture.path().join("state"));
        command
    }

    fn begin(&self) -> Child {
        self.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs")
    }

    /// Whatever happened, nothing is missing of what stays.
    fn is_unharmed(&self, what: &str) {
        let there = self.ground.there();
        for number in 8..16 {
            let id = format!("n{number:02}");
            assert!(there.contains(&id), "{what}: {id} is gone: {there:?}");
            assert_eq!(
                self.ground.traces(&id).iter().filter(|path| !path.to_string_lossy().contains("expiring")).count(),
                6,
                "{what}: {id}"
            );
        }
        let log = self.ground.segments(1);
        // The base of the last day is the newest backup.
        for id in &there {
            let number: u64 = id[1..].parse().expect("a number");
            assert!(log.contains(&number), "{what}: the log of {id} is gone: {log:?}");
        }
    }

    /// The next runs, with the world in order, finish it.
    fn is_finished(&self, what: &str) {
        for _ in 0..3 {
            let run = self.command().output().expect("it runs");
            assert!(run.status.success(), "{what}: {}", String::from_utf8_lossy(&run.stderr));
            // What was broken off is finished when it is certain that nobody adds to it: its objects are aged here.
            for path in super::rig::files(&self.ground.fixture.store_path()) {
                let _ = std::fs::File::options()
                    .write(true)
                    .open(&path)
                    .and_then(|file| file.set_modified(std::time::SystemTime::now() - Duration::from_secs(7200)));
            }
        }
        self.is_unharmed(what);
        assert_eq!(self.ground.there().len(), 8, "{what}: {:?}", self.ground.there());
        for number in 4..8 {
            let traces = self.ground.traces(&format!("-n{number:02}"));
            assert!(traces.is_empty(), "{what}: {traces:?}");
            assert!(self.ground.traces(&format!("/n{number:02}")).is_empty(), "{what}");
        }
        assert_eq!(self.ground.segments(1), (8..16).collect(), "{what}");
        assert!(self.ground.names("expiring").is_empty(), "{what}: {:?}", self.ground.names("expiring"));
        assert!(self.ground.names("leases").is_empty(), "{what}");
    }
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("it runs");
    assert!(done.success());
}

#[test]
fn an_expiry_meets_faults() {
    let ripe = Ripe::new();
    let counter = Counter::in_folder(ripe.ground.fixture.path());
    let (output, calls) = counter.run(ripe.command(), None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(calls > 80, "{calls}");
    sweep("an expiry", calls, 12, |at| {
        ripe.again();
        let (output, calls) = counter.run(ripe.command(), Some(at));
        let what = format!("{at:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match output.status.code() {
            Some(0) => {}
            Some(1) if !at.passes => assert!(what.contains("error: "), "{what}"),
            _ => panic!("{what}"),
        }
        ripe.is_unharmed(&what);
        ripe.is_finished(&what);
        calls
    });
}

#[test]
fn runs_that_are_killed() {
    let ripe = Ripe::new();
    let began = std::time::Instant::now();
    assert!(ripe.begin().wait().expect("its end").success());
    let whole = usize::try_from(began.elapsed().as_millis()).expect("short") + 10;
    let mut lot = chance::lot("kills of expiries");
    for _ in 0..chance::rounds(8, 200) {
        ripe.again();
        let mut child = ripe.begin();
        let after = lot.below(whole);
        sleep(Duration::from_millis(after as u64));
        let _ = child.kill();
        let _ = child.wait();
        let what = format!("killed after {after} ms of {whole}");
        ripe.is_unharmed(&what);
        ripe.is_finished(&what);
    }
}

#[test]
fn five_at_once() {
    let ripe = Ripe::new();
    for round in 0..chance::rounds(3, 100) {
        ripe.again();
        let begin = || ripe.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
        let children: Vec<Child> = (0..5).map(|_| begin()).collect();
        for child in children {
            let output = child.wait_with_output().expect("its end");
            assert!(output.status.success(), "round {round}: {}", String::from_utf8_lossy(&output.stderr));
        }
        ripe.is_unharmed("five");
        ripe.is_finished("five");
    }
}

/// One sleeps in the middle; meanwhile somebody places a hold, and another run takes the marks off. What was there then is there when the
/// first one has woken up.
#[test]
fn a_run_that_sleeps_does_not_act_on_what_it_knew() {
    let ripe = Ripe::new();
    let mut lot = chance::lot("sleeping expiries");
    let hold = ripe.ground.fixture.store_path().join(ripe.ground.fixture.repository.as_str()).join("holds/all.json");
    for _ in 0..chance::rounds(3, 60) {
        ripe.again();
        let mut child = ripe.begin();
        sleep(Duration::from_millis(lot.below(250) as u64));
        let process = child.id().to_string();
        // It may have ended already.
        let signal = |signal: &str| Command::new("kill").args([signal, &process]).stderr(Stdio::null()).status().expect("it runs");
        signal("-STOP");
        std::fs::create_dir_all(hold.parent().expect("a folder")).expect("made");
        std::fs::write(&hold, r#"{"name":"all","reason":"an auditor came","selects":{}}"#).expect("written");
        let other = ripe.command().output().expect("it runs");
        let said = String::from_utf8_lossy(&other.stderr);
        // One that sleeps while it writes a deed down keeps the catalog, and without a record nobody deletes anything.
        assert!(other.status.success() || said.contains("recorded"), "{said}");
        let there = ripe.ground.there();
        sleep(Duration::from_millis(2500));
        signal("-CONT");
        let _ = child.wait().expect("its end");
        let after = ripe.ground.there();
        assert!(there.iter().all(|id| after.contains(id)), "{there:?} {after:?}");
        for id in &after {
            assert!(ripe.ground.traces(id).len() >= 6, "{id}: {:?}", ripe.ground.traces(id));
        }
        ripe.is_unharmed("slept");
    }
}
