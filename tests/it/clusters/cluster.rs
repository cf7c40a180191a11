//! A cluster and its server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use seawall::postgres::conninfo::Outside;
use seawall::postgres::{BackupSession, Connection, Settings};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::account::{self, Account};
use super::options::Options;
use super::ports::free_ports;
use super::template;
use super::version::Version;

/// A running server in a folder of its own. Dropping it stops the server and deletes the folder; if the test failed, the end of
/// the server's log is shown.
#[derive(Debug)]
pub struct Cluster {
    version: Version,
    root: TempDir,
    port: u16,
    account: Account,
    options: Options,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    Smart,
    Fast,
    Immediate,
}

impl Cluster {
    pub fn start(version: Version, options: Options) -> Cluster {
        let cluster = Cluster::prepare(version, options);
        template::data_directory(version, &cluster.options, &cluster.data());
        cluster.configure();
        cluster.resume();
        cluster
    }

    /// Follows `primary`, of which it is a copy. The primary must have no tablespaces: on one machine they would be in each
    /// other's way.
    pub fn standby_of(primary: &Cluster, options: Options) -> Cluster {
        let standby = Cluster::prepare(primary.version, options);
        let minute = Duration::from_secs(60);
        let session = BackupSession::start(primary.connect(), "standby", true, minute).expect("a backup of the primary");
        // What vanishes while it is copied was not needed.
        let _ = Command::new("cp").args(["-a", "--reflink=auto"]).arg(primary.data()).arg(standby.data()).output();
        let (stop, _) = session.stop(false, minute).expect("the end of the backup");
        assert_eq!(stop.tablespace_map, "", "the primary has tablespaces");
        for name in ["postmaster.pid", "postmaster.opts"] {
            let _ = fs::remove_file(standby.data().join(name));
        }
        standby.write("backup_label", &stop.backup_label);
        standby.write("standby.signal", "");
        standby.configure();
        standby.add_conf(&format!("primary_conninfo = '{} application_name=standby'\nhot_standby = on", primary.conninfo()));
        standby.resume();
        standby
    }

    /// A cluster whose files will be put at [`Cluster::data`] by the test: nothing is there and nothing runs.
    pub fn prepare(version: Version, options: Options) -> Cluster {
        let root = tempfile::Builder::new().prefix("sw-").tempdir().expect("a folder");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("a folder that the server may enter");
        fs::create_dir(root.path().join("s")).expect("a folder for sockets");
        let account = Account::current();
        account.own(root.path());
        Cluster { version, root, port: free_ports::<1>()[0], account, options }
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// Who the server runs as.
    pub fn account(&self) -> Account {
        self.account
    }

    /// The folder that belongs to this cluster alone and goes with it.
    pub fn folder(&self) -> &Path {
        self.root.path()
    }

    pub fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub fn sockets(&self) -> PathBuf {
        self.root.path().join("s")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// For psql and for policies.
    pub fn conninfo(&self) -> String {
        format!("host={} port={} user=postgres dbname=postgres", self.sockets().display(), self.port)
    }

    pub fn settings(&self) -> Settings {
        settings(&self.conninfo())
    }

    pub fn connect(&self) -> Connection {
        Connection::connect(&self.settings()).unwrap_or_else(|fault| panic!("{fault}\n{}", self.log_tail()))
    }

    pub fn replicate(&self) -> Connection {
        Connection::replicate(&self.settings()).unwrap_or_else(|fault| panic!("{fault}\n{}", self.log_tail()))
    }

    /// As `psql -At`: rows in lines, columns with `|` between. Of several statements the last one's answer.
    pub fn sql(&self, statements: &str) -> String {
        let answers = self.connect().run(statements).unwrap_or_else(|fault| panic!("{statements}: {fault}\n{}", self.log_tail()));
        let line =
            |row: &seawall::postgres::Row| row.values().iter().map(|value| value.clone().unwrap_or_default()).collect::<Vec<_>>().join("|");
        answers.last().map(|rows| rows.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap_or_default()
    }

    /// Waits until a condition (an SQL expression) is true.
    pub fn wait_until(&self, condition: &str) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.sql(&format!("select {condition}")) != "t" {
            assert!(Instant::now() < deadline, "`{condition}` did not come true\n{}", self.log_tail());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A new tablespace in this cluster's folder.
    pub fn tablespace(&self, name: &str) -> PathBuf {
        let place = self.root.path().join(format!("ts-{name}"));
        fs::create_dir(&place).expect("a folder for a tablespace");
        self.account.own(&place);
        self.sql(&format!("create tablespace {name} location '{}'", place.display()));
        place
    }

    /// A program of this server's version (15 and 18 have them all) or of 18.
    pub fn program(&self, name: &str) -> Command {
        let own = self.programs().join(name);
        self.account.command(if own.is_file() { own } else { Version::V18.programs().join(name) })
    }

    /// Those that its server runs with.
    pub fn programs(&self) -> PathBuf {
        self.options.programs.clone().unwrap_or_else(|| self.version.programs())
    }

    /// Adds lines to postgresql.conf; they count after a restart or reload.
    pub fn add_conf(&self, lines: &str) {
        let path = self.data().join("postgresql.conf");
        let conf = fs::read_to_string(&path).unwrap_or_default();
        self.write("postgresql.conf", &format!("{conf}\n{lines}\n"));
    }

    /// Writes a file into the data directory.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        self.account.own(&path);
    }

    /// Writes what [`Options`] say into the files of the data directory.
    pub fn configure(&self) {
        let lines = self.options.lines(&self.sockets().display().to_string(), self.port);
        self.add_conf(&lines);
        if let Some(hba) = &self.options.hba {
            self.write("pg_hba.conf", hba);
        }
    }

    /// Starts the server where it was stopped or killed.
    pub fn resume(&self) {
        if let Err(said) = self.try_resume() {
            panic!("PostgreSQL {} does not start: {said}\n{}", self.version, self.log_tail());
        }
    }

    pub fn try_resume(&self) -> Result<(), String> {
        let output = self.pg_ctl().args(["-w", "-t", "180", "start"]).output().expect("pg_ctl");
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    pub fn restart(&self) {
        self.stop(StopMode::Fast);
        self.resume();
    }

    /// Whoever connects from now on has the new settings, and every process of the server was told of them. Where nobody may connect, it
    /// was only asked to read them.
    pub fn reload(&self) {
        let before = self.loaded();
        account::run(self.pg_ctl().arg("reload"));
        let deadline = Instant::now() + Duration::from_secs(60);
        while before.is_some() && self.loaded() == before {
            assert!(Instant::now() < deadline, "its settings are not read\n{}", self.log_tail());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// When its settings were read.
    fn loaded(&self) -> Option<String> {
        let rows = Connection::connect(&self.settings()).ok()?.query("select pg_conf_load_time()::text as at", &[]).ok()?;
        rows.iter().next()?.values().first().cloned().flatten()
    }

    pub fn stop(&self, mode: StopMode) {
        let mode = match mode {
            StopMode::Smart => "smart",
            StopMode::Fast => "fast",
            StopMode::Immediate => "immediate",
        };
        account::run(self.pg_ctl().args(["-w", "-t", "180", "-m", mode, "stop"]));
    }

    /// Kills the server and all its processes, as the machine's end would.
    pub fn kill_9(&self) {
        let postmaster = self.postmaster().expect("a server that runs");
        let all: Vec<Pid> = [postmaster].into_iter().chain(children(postmaster)).collect();
        for process in &all {
            let _ = rustix::process::kill_process(*process, Signal::KILL);
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while all.iter().any(|process| is_alive(*process)) {
            assert!(Instant::now() < deadline, "killed processes are still there");
            thread::sleep(Duration::from_millis(5));
        }
        // Where nobody collects the dead soon, PostgreSQL takes them for alive and does not start again.
        if status(postmaster.as_raw_nonzero().get()).is_some() {
            let lock = self.sockets().join(format!(".s.PGSQL.{}.lock", self.port));
            for names_the_dead in [self.data().join("postmaster.pid"), lock] {
                let _ = fs::remove_file(names_the_dead);
            }
        }
    }

    pub fn promote(&self) {
        account::run(self.pg_ctl().args(["-w", "promote"]));
    }

    /// Holds a copy of the data directory against its manifest with PostgreSQL's own program. Panics with what it says. WAL is
    /// not looked at.
    pub fn verify_backup(&self, copy: &Path) {
        // The program of 18 reads the control file of its own version only, and looks at it when the manifest, as from 17 on,
        // names the system. So it is given a manifest of the older form.
        let manifest = copy.join("backup_manifest");
        let whole = fs::read_to_string(&manifest).expect("a manifest");
        let plain = self.folder().join("manifest");
        fs::write(&plain, if self.version == Version::V17 { manifest_1(&whole) } else { whole }).expect("a manifest");
        self.account.own(&plain);
        let mut verify = self.account.command(Version::V18.programs().join("pg_verifybackup"));
        account::run(verify.args(["-n", "-e", "-m"]).arg(&plain).arg(copy));
    }

    pub fn is_running(&self) -> bool {
        self.postmaster().is_some_and(is_alive)
    }

    /// The end of what the server said.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.root.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        format!("-- the server's log ends:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"))
    }

    fn pg_ctl(&self) -> Command {
        let mut command = self.account.command(self.programs().join("pg_ctl"));
        command.arg("-D").arg(self.data()).arg("-l").arg(self.root.path().join("log"));
        command
    }

    fn postmaster(&self) -> Option<Pid> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        Pid::from_raw(file.lines().next()?.trim().parse().ok()?)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("PostgreSQL {} in {}\n{}", self.version, self.root.path().display(), self.log_tail());
        }
        if self.is_running() {
            let _ = self.pg_ctl().args(["-w", "-m", "immediate", "stop"]).output();
        }
        if self.is_running() {
            self.kill_9();
        }
    }
}

/// What a connection string means with nothing around it.
pub fn settings(conninfo: &str) -> Settings {
    let outside = Outside { env: &|_| None, home: None, user: None, file: &|_| None, exists: &|_| false };
    Settings::resolve(conninfo, &outside).expect("a connection string")
}

/// The same manifest in version 1, without the system's identifier and under a checksum of its own.
fn manifest_1(manifest: &str) -> String {
    let (body, _) = manifest.split_once("\"Manifest-Checksum\"").expect("a manifest with its checksum");
    let kept = body.lines().filter(|line| !line.starts_with("\"System-Identifier\""));
    let body: String = kept.map(|line| format!("{line}\n")).collect();
    let body = body.replacen("\"PostgreSQL-Backup-Manifest-Version\": 2", "\"PostgreSQL-Backup-Manifest-Version\": 1", 1);
    let sum: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{body}\"Manifest-Checksum\": \"{sum}\"}}\n")
}

/// The processes that a process started.
pub fn children(parent: Pid) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|number| status(*number).is_some_and(|(of, _)| of == parent.as_raw_nonzero().get())).filter_map(Pid::from_raw).collect()
}

/// What was killed and not yet collected does not count.
fn is_alive(process: Pid) -> bool {
    status(process.as_raw_nonzero().get()).is_some_and(|(_, state)| state != 'Z')
}

/// Parent and state. The name before them may hold anything.
fn status(number: i32) -> Option<(i32, char)> {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, state))
}
