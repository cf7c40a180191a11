//! A cluster that is backed up and archived by a policy, and servers restored from it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use age::secrecy::ExposeSecret;
use seawall::format::signature::SigningKey;
use serde_json::Value;

use crate::backup::rig::daily;
use crate::clusters::{Cluster, Options, Version, settings};
use seawall::postgres::Connection;

pub struct Rig {
    pub cluster: Cluster,
    pub recipient: String,
    place: Place,
}

/// Where the backups and the log go.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// As the policy says it; a directory of the rig's when empty.
    pub store: String,
    /// Where its credentials are.
    pub environment: Vec<(&'static str, String)>,
}

/// What a command came to.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Of the backup that was taken.
    pub fn backup(&self) -> String {
        find_id(&self.json()).expect("a backup's id")
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// A server that was restored and started.
pub struct Restored {
    pub data: PathBuf,
    pub report: Value,
    port: u16,
    sockets: PathBuf,
    _running: Running,
}

/// Stops when it goes.
struct Running(Command);

impl Rig {
    pub fn start(version: Version, options: Options) -> Rig {
        Rig::start_with(version, options, |_| Place::default())
    }

    /// `place` is told the rig's folder.
    pub fn start_with(version: Version, options: Options, place: impl FnOnce(&Path) -> Place) -> Rig {
        let first = ["archive_mode = on", "track_commit_timestamp = on", "max_wal_size = 256MB", "archive_command = 'false'"];
        let conf = first.into_iter().map(str::to_owned).chain(options.conf).collect();
        let cluster = Cluster::start(version, Options { conf, ..options });
        let identity = age::x25519::Identity::generate();
        let place = place(cluster.folder());
        let rig = Rig { cluster, recipient: identity.to_public().to_string(), place };
        rig.write("identity.txt", identity.to_string().expose_secret());
        let signing = SigningKey::generate("db").expect("a key");
        rig.write("state/keys/signing", &signing.to_openssh().expect("text"));
        rig.write("state/keys/signing.pub", &signing.public());
        for name in ["state", "state/keys"] {
            fs::set_permissions(rig.path(name), fs::Permissions::from_mode(0o700)).expect("a folder of ours");
        }
        rig.write_policy("policy.yaml", &signing.public());
        fs::create_dir(rig.path("store")).expect("a store");
        rig.cluster.account().own(rig.cluster.folder());
        rig.cluster.add_conf(&format!("archive_command = '{}'", rig.push()));
        rig.cluster.reload();
        rig
    }

    /// Where the store's credentials are.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.place.environment.clone()
    }

    /// What the server is told to archive with.
    pub fn push(&self) -> String {
        let environment: String = self.place.environment.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let (policy, state) = (self.path("policy.yaml"), self.path("state"));
        format!("env {environment}{} wal push %p -p {} --state {}", program(), policy.display(), state.display())
    }

    pub fn write_policy(&self, name: &str, writer: &str) {
        let local = format!("local: {{ path: {}, other_device: false }}", self.path("store").display());
        let store = if self.place.store.is_empty() { &local } else { &self.place.store };
        let (folder, conninfo, recipient) = (self.cluster.folder().display(), self.cluster.conninfo(), &self.recipient);
        let daily = daily();
        let policy = format!(
            r#"
version: 1
policy: shop
owner: dba@example.com
review_by: 2099-06-30
cluster: {{ connection: "{conninfo}", databases: [postgres], data_directory: {folder}/data }}
objectives:
  rpo: 5m
  rto: 1h
  assume: {{ cluster_size: 1GB, wal_per_hour: 100MB, backup: 50MB/s, restore: 50MB/s, replay: 20MB/s, assess: 10m, provision: 5m }}
stores: {{ local: {{ {store} }} }}
encryption:
  age: {{ recipients: [{recipient}], identity: {{ file: {folder}/identity.txt }} }}
  writers: {{ db: "{writer}" }}
wal: {{ store: local, timeout: 60s, keep: 7d }}
backups:
  nightly: {{ physical: {{}}, schedule: {{ {daily} }}, keep: {{ daily: 7 }}, takes: 1m }}
"#
        );
        self.write(name, &policy);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.cluster.folder().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a file of ours");
        self.cluster.account().own(&path);
    }

    /// Our program, as the account that the server runs as.
    pub fn command(&self, words: &[&str]) -> Command {
        self.command_on("state", words)
    }

    /// As a host that keeps its state there.
    pub fn command_on(&self, state: &str, words: &[&str]) -> Command {
        let mut command = self.cluster.account().command(program());
        command.envs(self.place.environment.iter().cloned());
        command.args(words).arg("-p").arg(self.path("policy.yaml")).arg("--state").arg(self.path(state));
        command
    }

    pub fn seawall(&self, words: &[&str]) -> Said {
        said(self.command(words).output().expect("it runs"))
    }

    pub fn backup(&self) -> String {
        let said = self.seawall(&["backup", "nightly", "--format", "json"]);
        assert_eq!(said.code, 0, "{}{}\n{}", said.out, said.err, self.cluster.log_tail());
        said.backup()
    }

    /// In the cluster's folder, as the server's account.
    pub fn shell(&self, text: &str) -> String {
        let folder = self.cluster.folder().display();
        let answer = said(
            self.cluster.account().command("bash").args(["-c", &format!("cd {folder} && set -e && {text}")]).output().expect("a shell"),
        );
        assert_eq!(answer.code, 0, "{text}: {}", answer.err);
        answer.out.trim().to_owned()
    }

    /// Changes words of the policy.
    pub fn change_policy(&self, from: &str, to: &str) {
        let policy = fs::read_to_string(self.path("policy.yaml")).expect("a policy");
        assert!(policy.contains(from), "{from} is not in {policy}");
        self.write("policy.yaml", &policy.replace(from, to));
    }

    /// All that was committed is in the store when this returns.
    pub fn archive(&self) {
        // Files tell the time in ticks of some milliseconds: what was just committed would not be proven by the segment's own.
        self.cluster.sql("select pg_sleep(0.01)");
        self.cluster.sql("select pg_create_restore_point('seen')");
        let segment = self.cluster.sql("select pg_walfile_name(pg_switch_wal())");
        self.cluster.wait_until(&format!("coalesce(last_archived_wal, '') >= '{segment}' from pg_stat_archiver"));
    }

    pub fn restore(&self, name: &str, words: &[&str]) -> Said {
        let target = self.path(name);
        let mut all = vec!["restore", "--yes", "--target", target.to_str().expect("text")];
        all.extend(words);
        self.seawall(&all)
    }

    /// Restores, starts, and follows to the end.
    pub fn bring_back(&self, name: &str, words: &[&str]) -> Restored {
        let [port] = crate::clusters::free_ports();
        let programs = self.cluster.version().programs();
        let setting = format!("port={port}");
        let mut all = vec!["--format", "json", "--set", &setting, "--start-with", programs.to_str().expect("text")];
        all.extend(words);
        let said = self.restore(name, &all);
        let data = self.path(name);
        let log = fs::read_to_string(data.join("seawall-recovery.log")).unwrap_or_default();
        assert_eq!(said.code, 0, "{}{}\n{log}", said.out, said.err);
        let report = crate::cli::follows("restore-output", &said.out);
        Restored { report, ..self.running(name, port) }
    }

    /// A server that runs in one of our folders.
    pub fn running(&self, name: &str, port: u16) -> Restored {
        let data = self.path(name);
        let mut stop = self.cluster.account().command(self.cluster.version().programs().join("pg_ctl"));
        stop.arg("-D").arg(&data).args(["-m", "immediate", "-w", "stop"]);
        Restored { data, report: Value::Null, port, sockets: self.cluster.sockets(), _running: Running(stop) }
    }

    /// Rows with a number and a text, each committed on its own, until told to stop.
    pub fn load(&self, rows: usize) {
        let mut connection = self.cluster.connect();
        for number in 0..rows {
            let text = format!("row {number}");
            connection.query("insert into series (v) values ($1)", &[&text]).expect("a row");
        }
    }

    pub fn series(&self) {
        self.cluster
            .sql("create table series (id bigserial primary key, at timestamptz not null default clock_timestamp(), v text not null)");
    }

    /// A moment between this row's commit and the next one's.
    pub fn after_row(&self, id: i64) -> String {
        let sql = format!(
            "with c as (select pg_xact_commit_timestamp(xmin) as at from series where id in ({id}, {}) order by at) \
             select to_char((min(at) + (max(at) - min(at)) / 2) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00' from c",
            id + 1
        );
        self.cluster.sql(&sql)
    }

    /// What must be in the table up to a row.
    pub fn hash(&self, up_to: i64) -> String {
        self.cluster.sql(&hash_of(up_to))
    }
}

fn hash_of(up_to: i64) -> String {
    format!("select count(*) || ' ' || coalesce(md5(string_agg(id || v || at, ',' order by id)), '') from series where id <= {up_to}")
}

pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_seawall")
}

pub fn said(output: Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

fn find_id(value: &Value) -> Option<String> {
    match value {
        Value::Object(map) => ["id", "backup"]
            .iter()
            .find_map(|key| map.get(*key).and_then(Value::as_str))
            .map(str::to_owned)
            .or_else(|| map.values().find_map(find_id)),
        _ => None,
    }
}

impl Restored {
    pub fn connect(&self, database: &str) -> Connection {
        Connection::connect(&self.settings(database)).expect("a connection")
    }

    fn settings(&self, database: &str) -> seawall::postgres::Settings {
        settings(&format!("host={} port={} user=postgres dbname={database}", self.sockets.display(), self.port))
    }

    pub fn sql(&self, statement: &str) -> String {
        self.sql_in("postgres", statement)
    }

    pub fn sql_in(&self, database: &str, statement: &str) -> String {
        let rows = self.connect(database).query(statement, &[]).unwrap_or_else(|fault| panic!("{statement}: {fault}"));
        let lines = rows.iter().map(|row| row.values().iter().map(|value| value.clone().unwrap_or_default()).collect::<Vec<_>>().join("|"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// All rows, also those that should not be there.
    pub fn hash(&self) -> String {
        self.sql(&hash_of(i64::MAX))
    }

    pub fn wait_until(&self, condition: &str) {
        let began = Instant::now();
        // While it recovers it may let nobody in.
        while Connection::connect(&self.settings("postgres")).is_err() || self.sql(&format!("select {condition}")) != "t" {
            assert!(began.elapsed() < Duration::from_secs(120), "{condition}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// For `-h` of PostgreSQL's programs, with the port after it.
    pub fn address(&self) -> [String; 3] {
        [self.sockets.display().to_string(), "-p".to_owned(), self.port.to_string()]
    }

    pub fn stop(self) -> PathBuf {
        self.data
    }

    /// Makes room for the next one. What fetches ahead of a recovery ends a moment after the server.
    pub fn remove(self) {
        let data = self.stop();
        let began = Instant::now();
        while let Err(error) = fs::remove_dir_all(&data) {
            assert!(began.elapsed() < Duration::from_secs(60), "{}: {error}", data.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.output();
    }
}

/// Every object below a folder of the store whose name has this in it.
pub fn objects(folder: &Path, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(objects(&path, part));
        } else if path.to_string_lossy().contains(part) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Changes one bit in the middle of a file.
pub fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("an object");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
    fs::write(path, bytes).expect("an object");
}
