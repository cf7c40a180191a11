//! Whether a server runs in the directory, and where that cannot be known.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::occupied::digest;
use super::rig::Rig;
use crate::clusters::{Options, Version};

/// Ends with everything in it.
struct Container(Child);

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_in_a_container_is_not_overwritten() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can make a namespace of processes");
        return;
    }
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    let [port] = crate::clusters::free_ports();
    let said = rig.restore("r", &["--set", &format!("port={port}")]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    // There it gets a number that nobody has here.
    let postgres = rig.cluster.version().programs().join("postgres");
    let line = format!(
        "for n in $(seq 400); do /bin/true; done; runuser -u postgres -- {} -D {} > {} 2>&1; true",
        postgres.display(),
        rig.path("r").display(),
        rig.path("container.log").display()
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", &line]).current_dir("/");
    let Ok(child) = unshare.stdin(Stdio::null()).spawn() else { return };
    let mut container = Container(child);
    let log = || fs::read_to_string(rig.path("container.log")).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !log().contains("ready to accept connections") {
        if container.0.try_wait().expect("a child").is_some() && log().is_empty() {
            eprintln!("no namespace can be made here");
            return;
        }
        assert!(Instant::now() < deadline, "{}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid_file = rig.path("r/postmaster.pid");
    let number: u32 = fs::read_to_string(&pid_file).expect("its number").lines().next().expect("a line").parse().expect("a number");
    let stranger = Path::new("/proc").join(number.to_string()).exists();
    let before = digest(&rig, &rig.path("r/base"));
    let said = rig.restore("r", &["--delta"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    if !stranger {
        for word in ["a server may run in", pid_file.to_str().expect("text"), "remove that file"] {
            assert!(said.err.contains(word), "no `{word}` in {}", said.err);
        }
    }
    assert_eq!(digest(&rig, &rig.path("r/base")), before);
    let server = seawall::postgres::Connection::connect(&crate::clusters::settings(&format!(
        "host={} port={port} user=postgres dbname=postgres",
        rig.cluster.sockets().display()
    )));
    assert!(server.is_ok(), "it runs: {server:?}");
    drop(container);
    // Dead, and nobody in a container is left: known without a doubt outside of containers, and only there.
    let is_outside = fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]");
    let said = rig.restore("r", &["--delta"]);
    if said.code != 0 {
        assert!(!is_outside || said.err.contains("a server"), "{}", said.err);
        fs::remove_file(&pid_file).expect("people say so");
        assert_eq!(rig.restore("r", &["--delta"]).code, 0);
    }
}

/// As after `kill -9`: its number belongs to nobody any more.
#[test]
fn what_a_killed_server_left_is_passed_by_where_it_is_proven() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    let rows = rig.hash(5);
    let restored = rig.bring_back("r", &[]);
    let pid_file = rig.path("r/postmaster.pid");
    let left = fs::read_to_string(&pid_file).expect("its file");
    restored.stop();
    let mut gone = Command::new("true").spawn().expect("a process");
    let number = gone.id();
    gone.wait().expect("it ends");
    let (_, rest) = left.split_once('\n').expect("lines");
    let put = |text: &str| {
        fs::write(&pid_file, text).expect("a file");
        rig.cluster.account().own(&pid_file);
    };
    put("");
    let said = rig.restore("r", &["--delta"]);
    let in_container = fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() != "pid:[4026531836]");
    if in_container {
        assert!(said.code == 1 && said.err.contains("a server may run in"), "{}", said.err);
        fs::remove_file(&pid_file).expect("people say so");
    } else {
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        put(&format!("{number}\n{rest}"));
    }
    assert_eq!(rig.bring_back("r", &["--delta"]).hash(), rows);
}
