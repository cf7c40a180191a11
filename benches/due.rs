//! `seawall run --due` where nothing is owed, which is what it finds nearly always: one policy, and a fleet in one process.
//!
//! `cargo bench --bench due` measures 1,000 policies; `cargo test --bench due` runs it once on five, to see that it still works. There is no
//! peer: a cron line starts another tool whether or not anything is owed.

mod harness;
#[allow(dead_code, unused_imports, reason = "shared with a benchmark that also compares fleets")]
mod policies;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use harness::{Goal, compare};
use jiff::Timestamp;
use seawall::catalog::{Catalog, End, NewRun, Outcome, Where, Why};

/// In every policy: the host that takes the backups.
const HOST: &str = "runs-them";

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let (count, runs) = if full { (1_000, 9) } else { (5, 1) };
    let room = tempfile::tempdir().expect("a folder");
    let (fleet, state) = (room.path().join("fleet"), room.path().join("state"));
    let lines = write_fleet(&fleet, count).unwrap_or_else(|error| panic!("{}: {error}", fleet.display()));
    println!("{count} policies of {} lines, all of whose backups have run, {runs} runs, medians\n", lines / count);
    record(&state, count);
    let one = fleet.join("service-0000.yaml");
    let quick = Goal { wall: Some(Duration::from_millis(25)), ..Goal::default() };
    let large = Goal { wall: Some(Duration::from_secs(1)), memory_mb: Some(150), exit: 0 };
    let outcomes = [
        compare("run --due, one policy", quick, &due(&one, &state), None, runs * 3),
        compare("run --due, the fleet", large, &due(&fleet, &state), None, runs),
    ];
    harness::print(&outcomes, full);
    if !full {
        println!("(a trial on {count} policies in a debug build: these figures mean nothing; `cargo bench --bench due` measures)");
    }
    if outcomes.iter().any(|outcome| outcome.ours.is_err()) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn due(policies: &Path, state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.args(["run", "--due", "--host", HOST, "--policy"]).arg(policies).arg("--state").arg(state);
    command
}

/// The benches' fleet, in a time zone in which it is late morning now: nothing in it fires before the afternoon.
fn write_fleet(folder: &Path, count: usize) -> std::io::Result<usize> {
    let lines = policies::write_fleet(folder, count)?;
    let zone = late_morning();
    for number in 0..count {
        let path = folder.join(format!("service-{number:04}.yaml"));
        let text = fs::read_to_string(&path)?.replace(&format!("service-{number:04}-2:"), &format!("{HOST}:"));
        let in_zone = |line: &str| if line.starts_with("timezone: ") { format!("timezone: {zone}") } else { line.to_owned() };
        let text: Vec<String> = text.lines().map(in_zone).collect();
        fs::write(path, text.join("\n").replace("timezone: UTC }", &format!("timezone: {zone} }}")))?;
    }
    Ok(lines)
}

fn late_morning() -> String {
    let hour = i64::from(Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour());
    // What is called `Etc/GMT-5` is five hours ahead.
    match 11 - hour {
        0 => "UTC".to_owned(),
        ahead if ahead > 0 => format!("Etc/GMT-{ahead}"),
        behind => format!("Etc/GMT+{}", -behind),
    }
}

/// A backup that has never run is owed at once.
fn record(state: &Path, count: usize) {
    fs::create_dir_all(state).expect("a folder");
    let catalog = Catalog::open(&Where::Sqlite(state.join("catalog.db"))).expect("a catalog");
    let now = Timestamp::now();
    for number in 0..count {
        let policy = format!("service-{number:04}");
        for job in ["backups.nightly", "backups.system"] {
            let new = NewRun {
                policy: &policy,
                job,
                host: HOST,
                boot: None,
                pid: 1,
                why: Why::Due,
                owed_since: Some(now),
                started: now,
                digest: None,
                commit: None,
            };
            let run = catalog.begin_run(&new).expect("begun");
            catalog.end_run(run, &End::with(Outcome::Succeeded, now)).expect("ended");
        }
    }
}
