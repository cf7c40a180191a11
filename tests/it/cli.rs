//! The command line as people and CI use it: the built binary on real files.

mod docs;
mod exits;
mod explain;
mod fleets;
mod git;
mod hostile;
mod messages;
mod schemas;
mod secrets;
mod show;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A directory for the files of one test, in which the program runs.
#[derive(Debug)]
pub struct Room(tempfile::TempDir);

impl Room {
    pub fn new() -> Self {
        Room(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
        std::fs::write(path, content).expect("a file");
        self
    }

    /// The program itself, hermetic: nothing of the environment decides what it prints.
    pub fn command(&self) -> Command {
        hermetic(Command::new(env!("CARGO_BIN_EXE_seawall")), self.path())
    }

    pub fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Run {
        finish(self.command().args(arguments), b"")
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Run {
        finish(self.command().args(arguments), input)
    }

    /// With no more than this much memory for its data: more, and it aborts.
    pub fn run_within(&self, mebibytes: u32, arguments: &[&str]) -> Run {
        let mut shell = hermetic(Command::new("sh"), self.path());
        let limit = format!("ulimit -d {}; exec \"$@\"", mebibytes * 1024);
        finish(shell.args(["-c", &limit, "sh", env!("CARGO_BIN_EXE_seawall")]).args(arguments), b"")
    }
}

pub fn hermetic(mut command: Command, directory: &Path) -> Command {
    command.current_dir(directory).env("NO_COLOR", "1").env("COLUMNS", "140").env("LC_ALL", "C.UTF-8").env_remove("CLICOLOR_FORCE");
    command
}

pub fn finish(command: &mut Command, input: &[u8]) -> Run {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // It may not read all of it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("the writer ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The program in the root of the repository, where the files have the names that everybody knows them by.
pub fn in_repository(arguments: &[&str]) -> Run {
    in_repository_with_input(arguments, b"")
}

pub fn in_repository_with_input(arguments: &[&str], input: &[u8]) -> Run {
    let mut command = hermetic(Command::new(env!("CARGO_BIN_EXE_seawall")), Path::new(env!("CARGO_MANIFEST_DIR")));
    finish(command.env("COLUMNS", "120").args(arguments), input)
}

/// What a program would read, held against the schema that is published for it.
#[track_caller]
pub fn follows(schema: &str, printed: &str) -> serde_json::Value {
    let value: serde_json::Value = serde_json::from_str(printed).unwrap_or_else(|error| panic!("{schema}: {error}: {printed}"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{schema}.schema.json"));
    let kept = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let kept = serde_json::from_slice(&kept).expect("JSON");
    let validator = jsonschema::validator_for(&kept).expect("a schema");
    let faults: Vec<String> = validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(faults.is_empty(), "{schema}: {faults:?}\n{value}");
    assert_eq!(value["format_version"], 1, "{schema}");
    value
}

/// A policy in which nothing is wrong.
pub fn sound(name: &str) -> String {
    format!(
        "version: 1
policy: {name}
cluster: {{ connection: service={name}, databases: [app] }}
objectives: {{ rpo: 24h, rto: 4h, assume: {{ cluster_size: 1GB, wal_per_hour: 10MB }} }}
stores: {{ main: {{ local: {{ path: /srv/backups/{name} }}, replicated: {{ to: elsewhere }} }} }}
encryption: {{ none: {{ because: a sample for tests }} }}
wal: {{ store: main, timeout: 60s, keep: 30d }}
backups:
  nightly: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ daily: 30 }} }}
drills:
  weekly:
    restore: {{ latest: nightly }}
    schedule: {{ on: sunday, at: \"05:00\" }}
    expect: {{ rows: {{ check: row-counts }} }}
receivers: {{ dba: {{ email: {{ to: [dba@example.com] }} }} }}
alerts: {{ routes: [{{ severity: critical, to: [dba] }}], heartbeat: {{ url: {{ env: HEARTBEAT_URL }} }} }}
smtp: {{ host: localhost, from: seawall@example.com }}
"
    )
}

/// Compares with what is kept in `tests/it/cli/golden`; `SEAWALL_BLESS=1` keeps the new one.
pub fn golden(name: &str, actual: &str) {
    golden_at(&format!("tests/it/cli/golden/{name}"), actual);
}

/// The same with a file anywhere in the repository.
pub fn golden_at(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("SEAWALL_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
        std::fs::write(&path, actual).expect("the golden file is written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{name} differs (SEAWALL_BLESS=1 keeps the new one); now it is:\n{actual}\n--- and was:\n{expected}");
}
