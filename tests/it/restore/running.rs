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

/// Whoever looks after the servers starts the old one again while the policy's own program does its work.
#[test]
fn a_server_that_is_started_meanwhile_is_not_overwritten() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    let [port] = crate::clusters::free_ports();
    let said = rig.restore("r", &["--set", &format!("port={port}")]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let pg_ctl = rig.cluster.version().programs().join("pg_ctl");
    let start = format!("{} -D $SEAWALL_DIRECTORY -l {} -w start", pg_ctl.display(), rig.path("started.log").display());
    rig.change_policy("backups:", &format!("hooks: {{ before_restore: {{ run: [sh, -c, '{start}'] }} }}\nbackups:"));
    let said = rig.restore("r", &["--delta"]);
    let server = rig.running("r", port);
    assert!(said.code == 1 && said.err.contains("a server runs in"), "{}{}", said.out, said.err);
    assert!(rig.path("r/global/pg_control").exists() && !rig.path("r/seawall.restoring").exists());
    server.wait_until("not pg_is_in_recovery()");
    assert_eq!(server.hash(), rig.hash(5), "nobody was disturbed");
}

/// What the policy's programs are told, when they run, and what their failure means.
#[test]
fn programs_of_the_policy_run_before_the_first_file_changes_and_after_all_is_done() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    let id = rig.backup();
    rig.load(5);
    rig.archive();
    let (told, data) = (rig.path("told"), rig.path("r"));
    let note = |what: &str| {
        let words = "$SEAWALL_HOOK $SEAWALL_POLICY $SEAWALL_DIRECTORY $SEAWALL_BACKUP $SEAWALL_STORE";
        format!("echo {words} files=$(ls -A $SEAWALL_DIRECTORY 2>/dev/null | wc -l) >> {}; {what}", told.display())
    };
    rig.change_policy(
        "backups:",
        &format!(
            "hooks:\n  before_restore: {{ run: [sh, -c, '{}'] }}\n  after_restore: {{ run: [sh, -c, '{}'] }}\nbackups:",
            note(&format!("test ! -e {}", rig.path("fail").display())),
            note("true")
        ),
    );
    let said = || fs::read_to_string(&told).unwrap_or_default();
    // Nobody has agreed yet.
    let shown = rig.seawall(&["restore", "--target", data.to_str().expect("text")]);
    assert_eq!((shown.code, said().as_str()), (1, ""), "{}", shown.err);
    rig.write("fail", "");
    let refused = rig.restore("r", &[]);
    assert!(refused.code == 1 && refused.err.contains("the hook `hooks.before_restore` failed (exit status 1)"), "{}", refused.err);
    assert!(fs::read_dir(&data).map_or(true, |mut files| files.next().is_none()), "nothing was changed");
    fs::remove_file(rig.path("fail")).expect("gone");
    let before = format!("before_restore shop {} {id} local files=0\n", data.display());
    assert_eq!(said(), before);
    let restored = rig.bring_back("r", &[]);
    assert_eq!(said(), before.repeat(2), "once for each restore, and the other one not before it is released");
    rig.cluster.stop(crate::clusters::StopMode::Immediate);
    let released = rig.seawall(&["release", "--target", data.to_str().expect("text"), "--wait", "120s"]);
    assert_eq!(released.code, 0, "{}{}", released.out, released.err);
    let last = said().strip_prefix(&before.repeat(2)).expect("the same again").to_owned();
    assert!(last.starts_with(&format!("after_restore shop {} ", data.display())) && last.lines().count() == 1, "{last}");
    assert_eq!(restored.hash().split_whitespace().next(), Some("5"));
}

/// Whoever does not wait any longer is told that a server runs, and how to stop it or let it go on.
#[test]
fn asked_to_end_while_the_server_recovers_it_says_what_goes_on() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    let [port] = crate::clusters::free_ports();
    let (data, programs) = (rig.path("r"), rig.cluster.version().programs());
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    // It recovers until tomorrow, unless it is told otherwise.
    let settings = [format!("port={port}"), "recovery_min_apply_delay=1d".to_owned()];
    let (target, programs) = (text(&data), text(&programs));
    let words =
        ["restore", "--yes", "--latest", "--target", &target, "--start-with", &programs, "--set", &settings[0], "--set", &settings[1]];
    let mut child = rig.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let log = || fs::read_to_string(data.join("seawall-recovery.log")).unwrap_or_default();
    let began = Instant::now();
    while !log().contains("consistent recovery state reached") {
        assert!(child.try_wait().expect("a child").is_none() && began.elapsed() < Duration::from_secs(300), "{}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let server = rig.running("r", port);
    rustix::process::kill_process(crate::drill::killed::ours(&child), rustix::process::Signal::INT).expect("it lives");
    let said = super::rig::said(child.wait_with_output().expect("its end"));
    assert_eq!(said.code, 130, "{}{}", said.out, said.err);
    for words in ["it is waited for no longer", "-m fast stop", "seawall release --target", "seawall-recovery.log", "--delta"] {
        assert!(said.err.contains(words), "no `{words}` in {}", said.err);
    }
    let history = rig.seawall(&["history", "--format", "json"]);
    assert!(history.out.contains("stopped") && !history.out.contains("failed"), "{}{}", history.out, history.err);
    // The very line that was given stops it.
    let line = said.err.split('`').find(|part| part.ends_with("-m fast stop")).expect("a command");
    rig.shell(line);
    assert!(!data.join("postmaster.pid").exists());
    drop(server);
}
