//! Patroni (PyPI) with its Raft mode decides who is the primary; Seawall makes the replicas and keeps the log: docs/patroni.md, tried.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use age::secrecy::ExposeSecret;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use seawall::format::signature::SigningKey;
use seawall::postgres::Connection;

use super::rig::{free_port, wait_for};
use crate::clusters::{Account, Cluster, Options, Version, children, settings};
use crate::restore::rig::{Said, objects, program, said};

/// Two nodes with a server each, and a third voice, so that the two that are left are a majority.
struct Patroni {
    room: Cluster,
    nodes: [Node; 2],
    witness: Option<Child>,
}

struct Node {
    name: &'static str,
    port: u16,
    /// Of Patroni itself.
    rest: u16,
    running: Option<Child>,
}

impl Patroni {
    fn begin() -> Patroni {
        let room = Cluster::prepare(Version::V15, Options::default());
        let node = |name| Node { name, port: free_port(), rest: free_port(), running: None };
        let mut patroni = Patroni { nodes: [node("a"), node("b")], witness: None, room };
        patroni.write_policy();
        let raft: Vec<String> = (0..3).map(|_| format!("127.0.0.1:{}", free_port())).collect();
        for (at, own) in raft.iter().enumerate() {
            let partners: Vec<&str> = raft.iter().filter(|other| *other != own).map(String::as_str).collect();
            let name = ["a", "b", "witness"][at];
            let about = format!(
                "raft: {{ data_dir: {}, self_addr: '{own}', partner_addrs: {partners:?} }}\n",
                patroni.path(&format!("{name}/raft")).display()
            );
            let server = patroni.nodes.get(at).map(|node| patroni.server(node)).unwrap_or_default();
            patroni.write(&format!("{name}/patroni.yml"), &(about + &server));
        }
        patroni.room.account().own(patroni.room.folder());
        patroni.witness = Some(patroni.python(&["-c", "from patroni.raft_controller import main; main()"], "witness"));
        patroni
    }

    fn path(&self, name: &str) -> PathBuf {
        self.room.folder().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
    }

    fn write_policy(&self) {
        let identity = age::x25519::Identity::generate();
        self.write("identity.txt", identity.to_string().expose_secret());
        let mut writers = Vec::new();
        for node in &self.nodes {
            let signing = SigningKey::generate(node.name).expect("a key");
            self.write(&format!("{}/state/keys/signing", node.name), &signing.to_openssh().expect("text"));
            self.write(&format!("{}/state/keys/signing.pub", node.name), &signing.public());
            for folder in ["state", "state/keys"] {
                fs::set_permissions(self.path(node.name).join(folder), fs::Permissions::from_mode(0o700)).expect("ours");
            }
            writers.push(format!("{}: \"{}\"", node.name, signing.public()));
        }
        fs::create_dir(self.path("store")).expect("a store");
        let policy = format!(
            r#"
version: 1
policy: shop
owner: dba@example.com
review_by: 2099-06-30
cluster: {{ connection: "host=127.0.0.1,127.0.0.1 port={},{} user=postgres dbname=postgres target_session_attrs=read-write", databases: [postgres] }}
objectives:
  rpo: 5m
  rto: 1h
  assume: {{ cluster_size: 1GB, wal_per_hour: 100MB, backup: 50MB/s, restore: 50MB/s, replay: 20MB/s, assess: 10m, provision: 5m }}
stores: {{ local: {{ local: {{ path: {}, other_device: false }} }} }}
encryption:
  age: {{ recipients: [{}], identity: {{ file: {} }} }}
  writers: {{ {} }}
wal: {{ store: local, timeout: 60s, keep: 7d }}
backups:
  nightly: {{ physical: {{}}, schedule: {{ at: "02:00" }}, keep: {{ daily: 7 }}, takes: 1m }}
delegated: {{ failover: {{ to: Patroni }} }}
"#,
            self.nodes[0].port,
            self.nodes[1].port,
            self.path("store").display(),
            identity.to_public(),
            self.path("identity.txt").display(),
            writers.join(", ")
        );
        self.write("policy.yaml", &policy);
    }

    /// As docs/patroni.md has it.
    fn server(&self, node: &Node) -> String {
        let (folder, port, rest) = (self.path(node.name), node.port, node.rest);
        let (folder, bin) = (folder.display(), Version::V15.programs());
        let (seawall, bin) = (program(), bin.display());
        let here = format!("--policy {} --state {folder}/state", self.path("policy.yaml").display());
        format!(
            r#"
scope: shop
name: {name}
restapi: {{ listen: '127.0.0.1:{rest}', connect_address: '127.0.0.1:{rest}' }}
bootstrap:
  dcs:
    ttl: 10
    loop_wait: 1
    retry_timeout: 3
    postgresql:
      use_pg_rewind: false
      use_slots: true
      parameters: {{ archive_mode: 'on', archive_timeout: 60s, wal_level: replica, fsync: 'off' }}
  initdb: [data-checksums]
  pg_hba: [local all all trust, host all all 127.0.0.1/32 trust, host replication all 127.0.0.1/32 trust]
postgresql:
  listen: 127.0.0.1:{port}
  connect_address: 127.0.0.1:{port}
  data_dir: {folder}/data
  bin_dir: {bin}
  pgpass: {folder}/pgpass
  authentication: {{ superuser: {{ username: postgres }}, replication: {{ username: postgres }} }}
  parameters:
    unix_socket_directories: {folder}
    archive_command: '{seawall} wal push %p {here}'
  recovery_conf:
    restore_command: '{seawall} wal fetch %f %p --standby {here}'
  create_replica_methods: [seawall]
  seawall:
    command: {seawall} restore --yes --as-standby --delta --target {folder}/data {here}
    no_params: true
    keep_data: true
"#,
            name = node.name
        )
    }

    /// Another cluster, which begins with what is in the store.
    fn write_anew(&self, at: usize) {
        let file = format!("{}/patroni.yml", self.nodes[at].name);
        let data = self.path(self.nodes[at].name).join("data").display().to_string();
        let (policy, state) = (self.path("policy.yaml"), self.path(self.nodes[at].name).join("state"));
        let anew = data.replace("/data", "/anew");
        let command = format!("{} restore --yes --target {anew} --policy {} --state {}", program(), policy.display(), state.display());
        let bootstrap = format!(
            "bootstrap:\n  method: seawall\n  seawall: {{ command: '{command}', no_params: true, keep_existing_recovery_conf: true }}\n"
        );
        let text = fs::read_to_string(self.path(&file)).expect("its settings");
        let text = text.replace("scope: shop", "scope: anew").replace(&data, &anew).replace("bootstrap:\n", &bootstrap);
        self.write(&file, &text);
        self.room.account().own(&self.path(&file));
    }

    /// As the servers' account, which need not be allowed into the environment's own interpreter: the system's, of the same version, reads
    /// its packages.
    fn python(&self, words: &[&str], of: &str) -> Child {
        let own = PathBuf::from(std::env::var_os("SEAWALL_TEST_PYTHON").unwrap_or_else(|| "target/venv/bin/python".into()));
        let own = std::path::absolute(own).expect("a path");
        let library = own.parent().and_then(Path::parent).expect("an environment").join("lib");
        let versions = fs::read_dir(&library).expect("an environment").flatten().map(|entry| entry.path().join("site-packages"));
        let packages = versions.into_iter().find(|path| path.join("patroni").is_dir()).expect("patroni, which `bash tests/run` installs");
        let interpreter = if matches!(self.room.account(), Account::Own) { own } else { "/usr/bin/python3".into() };
        let log = fs::File::options().create(true).append(true).open(self.path(of).join("log")).expect("a log");
        let mut command: Command = self.room.account().command(interpreter);
        command.args(words).arg(self.path(of).join("patroni.yml")).env("PYTHONPATH", packages).env("HOME", self.path(of));
        command.stdout(log.try_clone().expect("a log")).stderr(Stdio::from(log)).spawn().expect("it runs")
    }

    fn start(&mut self, at: usize) {
        self.nodes[at].running = Some(self.python(&["-m", "patroni"], self.nodes[at].name));
    }

    /// Node and server at once, as when the machine is lost.
    fn kill_9(&mut self, at: usize) {
        let data = self.path(self.nodes[at].name).join("data/postmaster.pid");
        let postmaster = fs::read_to_string(data).ok().and_then(|text| Pid::from_raw(text.lines().next()?.trim().parse().ok()?));
        if let Some(running) = self.nodes[at].running.take() {
            kill_all(running);
        }
        for process in postmaster.into_iter().flat_map(|postmaster| children(postmaster).into_iter().chain([postmaster])) {
            let _ = kill_process(process, Signal::KILL);
        }
        // As long as there is a trace of it, the next one finds its lock taken.
        let began = Instant::now();
        while postmaster.is_some_and(|gone| test_kill_process(gone).is_ok()) && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn sql(&self, at: usize, statement: &str) -> Option<String> {
        let text = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", self.nodes[at].port);
        let rows = Connection::connect(&settings(&text)).ok()?.query(statement, &[]).ok()?;
        rows.iter().next()?.values().first().cloned().flatten()
    }

    fn wait(&self, at: usize, what: &str) {
        wait_for(&format!("{what} on {}\n{}", self.nodes[at].name, self.log(at)), || {
            self.sql(at, &format!("select {what}")).as_deref() == Some("t")
        });
    }

    /// As this node's Patroni has heard.
    fn sees_one_that_streams(&self, at: usize) -> bool {
        let asked = Command::new("curl").args(["-s", "-m", "10"]).arg(format!("http://127.0.0.1:{}/cluster", self.nodes[at].rest)).output();
        let seen: serde_json::Value = serde_json::from_slice(&asked.expect("curl runs").stdout).unwrap_or_default();
        seen["members"].as_array().is_some_and(|members| members.iter().any(|member| member["state"] == "streaming"))
    }

    fn log(&self, at: usize) -> String {
        fs::read_to_string(self.path(self.nodes[at].name).join("log")).unwrap_or_default()
    }

    fn seawall(&self, at: usize, words: &[&str]) -> Said {
        let mut command = self.room.account().command(program());
        command.args(words).arg("-p").arg(self.path("policy.yaml")).arg("--state").arg(self.path(self.nodes[at].name).join("state"));
        said(command.output().expect("it runs"))
    }
}

fn kill_all(mut running: Child) {
    let own = Pid::from_child(&running);
    for process in children(own).into_iter().chain([own]) {
        let _ = kill_process(process, Signal::KILL);
    }
    let _ = running.wait();
}

impl Drop for Patroni {
    fn drop(&mut self) {
        for at in 0..self.nodes.len() {
            if std::thread::panicking() {
                eprintln!("{}: {}", self.nodes[at].name, self.log(at));
            }
            self.kill_9(at);
        }
        if let Some(witness) = self.witness.take() {
            kill_all(witness);
        }
    }
}

#[test]
fn a_replica_by_seawall_and_a_failover_that_goes_on_archiving() {
    let mut patroni = Patroni::begin();
    patroni.start(0);
    patroni.wait(0, "not pg_is_in_recovery()");
    patroni.sql(0, "create table rows as select generate_series(1, 10) as n");
    let backup = patroni.seawall(0, &["backup", "nightly", "--host", "a"]);
    assert_eq!(backup.code, 0, "{}{}", backup.out, backup.err);
    patroni.sql(0, "insert into rows select generate_series(11, 20)");

    patroni.start(1);
    patroni.wait(1, "pg_is_in_recovery() and (select count(*) from rows) = 20");
    assert!(patroni.log(1).contains("replica has been created using seawall"), "{}", patroni.log(1));
    patroni.wait(1, "(select status = 'streaming' from pg_stat_wal_receiver)");
    // A leader that is lost before its standby is known to follow would not be replaced.
    patroni.wait(0, "(select count(*) = 1 from pg_replication_slots where active)");
    wait_for("both see a standby that streams", || (0..2).all(|at| patroni.sees_one_that_streams(at)));
    std::thread::sleep(Duration::from_secs(3));

    patroni.kill_9(0);
    patroni.wait(1, "not pg_is_in_recovery()");
    assert_eq!(patroni.sql(1, "select count(*) from rows").as_deref(), Some("20"));
    patroni.sql(1, "insert into rows select generate_series(21, 30)");
    patroni.sql(1, "select pg_walfile_name(pg_switch_wal())");
    let store = patroni.path("store");
    wait_for("the new timeline in the store", || {
        !objects(&store, "00000002.history").is_empty() && !objects(&store, "/00000002/").is_empty()
    });
    assert_eq!(patroni.sql(1, "select failed_count from pg_stat_archiver").as_deref(), Some("0"));
    // Who promotes is Patroni: a promotion by hand says so, and here it is none.
    let by_hand = patroni.seawall(1, &["promote", "--yes", "--host", "b", "--fenced-by-hand", "ann: by hand"]);
    assert!(by_hand.code == 1 && by_hand.err.contains("is no standby"), "{}", by_hand.err);

    patroni.start(0);
    patroni.wait(0, "pg_is_in_recovery() and (select count(*) from rows) = 30");

    // All of it is lost but the store: under a new name it begins from there.
    let last = patroni.sql(1, "select pg_walfile_name(pg_switch_wal())").expect("a segment");
    wait_for("the end of the log in the store", || !objects(&store, &last).is_empty());
    for at in 0..2 {
        patroni.kill_9(at);
    }
    patroni.write_anew(0);
    patroni.start(0);
    patroni.wait(0, "not pg_is_in_recovery() and (select count(*) from rows) = 30");
    assert!(patroni.sql(0, "select timeline_id > 2 from pg_control_checkpoint()").as_deref() == Some("t"), "{}", patroni.log(0));
    let release = patroni.seawall(0, &["release", "--wait", "60s", "--target", patroni.path("a/anew").to_str().expect("UTF-8")]);
    assert_eq!(release.code, 0, "{}{}", release.out, release.err);
    patroni.sql(0, "insert into rows select generate_series(31, 40)");
    patroni.sql(0, "select pg_switch_wal()");
    wait_for("the timeline after that in the store", || !objects(&store, "/00000003/").is_empty());
}
