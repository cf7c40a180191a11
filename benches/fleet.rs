//! A fleet of policies: `seawall` against what people check YAML with today.
//!
//! `cargo bench` measures 1,000 policies. `cargo test --bench fleet` runs everything once on five, to see that it still works.
//! The other programs come from the Python environment of `tests/run` (its `python` is `SEAWALL_TEST_PYTHON`).

mod harness;
mod policies;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use harness::{Goal, Outcome, compare};

fn main() -> ExitCode {
    // `cargo bench` says so; `cargo test` does not.
    let full = std::env::args().any(|argument| argument == "--bench");
    let (count, runs) = if full { (1_000, 5) } else { (5, 1) };
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    let outcomes = measure(folder.path(), count, runs).unwrap_or_else(|error| panic!("{}: {error}", folder.path().display()));
    harness::print(&outcomes, full);
    if !full {
        println!("(a trial on {count} policies in a debug build: these figures mean nothing; `cargo bench` measures)");
    }
    // A command of ours that does not run is a failure; a peer that is not installed is not.
    let broken = outcomes.iter().any(|outcome| outcome.ours.is_err());
    if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn measure(folder: &Path, count: usize, runs: usize) -> std::io::Result<Vec<Outcome>> {
    let (fleet, changed) = (folder.join("fleet"), folder.join("changed"));
    let lines = policies::write_fleet(&fleet, count)?;
    policies::write_changed_fleet(&changed, count)?;
    println!("{count} policies of {} lines, {runs} runs in turn, medians\n", lines / count);

    let quick = |millis| Goal { wall: Some(Duration::from_millis(millis)), ..Goal::default() };
    let large = Goal { wall: Some(Duration::from_secs(1)), memory_mb: Some(150), exit: 0 };
    // The changed fleet deletes backups, which is what `diff` has to say.
    let destructive = Goal { exit: 3, ..large };
    let mut outcomes = vec![compare("--version", quick(5), &seawall(&["--version"]), None, runs * 5)];

    let one = fleet.join("service-0000.yaml");
    outcomes.push(compare("validate, one policy", quick(15), &with(seawall(&["validate"]), [&one]), None, runs * 3));

    let validate = with(seawall(&["validate"]), [&fleet]);
    let schema = folder.join("policy.schema.json");
    let written = seawall(&["schema", "policy"]).stderr(Stdio::null()).output()?;
    std::fs::write(&schema, written.stdout)?;
    let mut check = peer("check-jsonschema");
    check.arg("--schemafile").arg(&schema).args(files(&fleet)?);
    outcomes.push(compare("validate, the fleet", large, &validate, Some(&check), runs));

    let mut lint = peer("yamllint");
    lint.args(["-d", "{extends: relaxed, rules: {line-length: disable}}"]).arg(&fleet);
    outcomes.push(compare("validate, the fleet", large, &validate, Some(&lint), runs));

    outcomes.push(compare("plan, the fleet", large, &with(seawall(&["plan"]), [&fleet]), None, runs));
    outcomes.push(compare("diff, the fleet", destructive, &with(seawall(&["diff"]), [&fleet, &changed]), None, runs));

    // Retention: one policy and many backups.
    let backups = count * 100;
    let inventory = folder.join("inventory.json");
    policies::write_inventory(&inventory, backups)?;
    let known = |command| with(seawall(&[command, "--inventory"]), [&inventory]);
    let name = |command| format!("{command}, {backups} backups");
    outcomes.push(compare(&name("plan"), large, &with(known("plan"), [&one]), None, runs));
    let changed = changed.join("service-0000.yaml");
    outcomes.push(compare(&name("diff"), destructive, &with(known("diff"), [&one, &changed]), None, runs));
    Ok(outcomes)
}

fn seawall(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.args(arguments);
    command
}

fn with<const N: usize>(mut command: Command, paths: [&PathBuf; N]) -> Command {
    command.args(paths);
    command
}

/// A program beside the Python of the tests, or on the path.
fn peer(program: &str) -> Command {
    let beside = std::env::var_os("SEAWALL_TEST_PYTHON").map(|python| Path::new(&python).with_file_name(program));
    Command::new(beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(program)))
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    found.sort();
    Ok(found)
}
