//! Drills of files: they come back below a folder of their own, are compared with the backup, tried by a program, and removed.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::rig::{Ground, shell};
use crate::drill::killed::ours;
use crate::drill::passing::is_all_of;
use crate::drill::rig::{copies, phase};
use crate::restore::rig::objects;

const DRILLS: &str = r#"
drills:
  monthly:
    restore: { latest: system }
    within: 10m
    run: { run: [sh, -c, 'cd "$SEAWALL_FILES/$WHERE" && grep -q hello etc/plain && stat -c %a etc/prog && test -z "$SECRET"'] }
  some: { restore: { random: system } }
  slow: { restore: { latest: system }, run: { run: [sleep, "60"] } }
"#;

fn drills(ground: &Ground) {
    let path = ground.file("policy.yaml");
    let policy = fs::read_to_string(&path).expect("the policy");
    let tree = ground.file("tree").display().to_string();
    fs::write(path, policy + &DRILLS.replace("$WHERE", tree.trim_start_matches('/'))).expect("the policy");
}

fn place(ground: &Ground) -> PathBuf {
    let state = if ground.file("root-state").exists() { "root-state" } else { "state" };
    ground.file(state).join("policies/try/drills")
}

#[track_caller]
fn nothing_is_left(ground: &Ground) {
    assert_eq!(copies(&place(ground)), Vec::<PathBuf>::new());
}

#[track_caller]
fn drill(ground: &Ground, code: i32, words: &[&str]) -> Value {
    let said = ground.say(&[&["drill", "--format", "json"], words].concat());
    assert_eq!(said.code, Some(code), "{}\n{}", said.out, said.err);
    crate::cli::follows("drill-output", &said.out)
}

#[test]
fn everything_comes_back_is_compared_and_goes() {
    let ground = Ground::everything();
    drills(&ground);
    ground.backup();
    let began = Instant::now();
    let record = drill(&ground, 0, &["monthly"]);
    let wall = began.elapsed().as_millis() as u64;
    assert_eq!((record["outcome"].as_str(), record["restored"]["kind"].as_str()), (Some("passed"), Some("files")), "{record:#}");
    assert_eq!(record["command"]["output"], "6755", "{record:#}");
    assert!(record["opened_with"].as_str().is_some_and(|key| key.starts_with("age1")), "{record:#}");
    let one_after_the_other = ["prepare", "files", "compare", "command", "remove"];
    let sum: u64 = one_after_the_other.iter().map(|name| phase(&record, name)["millis"].as_u64().expect("a number")).sum();
    assert!(is_all_of(sum, wall), "{sum} of {wall}: {record:#}");
    // Eight megabytes of chance, and what is small.
    assert!(phase(&record, "compare")["bytes"].as_u64().is_some_and(|bytes| bytes > 8 << 20), "{record:#}");
    assert!(!record["remarks"].to_string().contains("not proven"), "{record:#}");
    nothing_is_left(&ground);
    // On record in every place, and never among the rates of clusters.
    assert_eq!(objects(&ground.file("root-store"), "/drills/").len(), 2);
    assert!(ground.say(&["history"]).out.contains("drills.monthly"));
    ground.say(&["verify"]).ends_with_code(0);
    let inventory: Value = serde_json::from_str(&ground.say(&["inventory", "export"]).ends_with_code(0).out).expect("JSON");
    let measured = &inventory["clusters"]["try"]["measured"]["known"];
    assert!(measured["restore"].is_null() && measured["fetch"].is_null() && measured["load"].is_null(), "{inventory:#}");
    drill(&ground, 0, &["some"]);
    ground.say(&["drill", "monthly", "--random"]).ends_with_code(1).says("no other moment than its own");
    // To be looked at.
    drill(&ground, 0, &["monthly", "--keep"]);
    let [copy] = &copies(&place(&ground))[..] else { panic!("one copy was kept") };
    let kept = copy.join("files").join(ground.file("tree").strip_prefix("/").expect("absolute"));
    assert_eq!(fs::read_to_string(kept.join("etc/plain")).expect("it was kept"), "hello\n");
    assert!(ground.say(&["drill", "--remove"]).out.contains("removed"));
    nothing_is_left(&ground);
}

/// Folders that nobody may write to come back as such, and go all the same.
#[test]
fn an_increment_is_brought_back_with_what_it_builds_on() {
    let ground = Ground::everything();
    ground.change("globals: true", "globals: true, full_every: 7d");
    drills(&ground);
    ground.change("random: system", "latest: system");
    ground.backup();
    ground.rig.shell_as_root("cd tree; echo more >> etc/prog; chmod 600 etc/old; rm many/7; mv many/8 etc");
    let increment = ground.backup();
    assert!(increment.descriptor.parent.is_some());
    let record = drill(&ground, 0, &["some"]);
    assert_eq!(record["outcome"].as_str(), Some("passed"), "{record:#}");
    nothing_is_left(&ground);
}

#[test]
fn without_being_root() {
    let ground = Ground::new(false, "paths: [TREE]");
    ground.rig.shell(
        "mkdir -p tree/etc tree/closed/below tree/dark; echo hello > tree/etc/plain; echo prog > tree/etc/prog; chmod 755 tree/etc/prog; \
         echo in > tree/closed/below/in; chmod 400 tree/closed/below/in; chmod 555 tree/closed/below tree/closed; chmod 500 tree/dark",
    );
    // It belongs to somebody else, as far as a backup by root knows.
    ground.rig.shell_as_root("echo root > tree/etc/root; chmod 644 tree/etc/root");
    drills(&ground);
    ground.backup();
    let record = drill(&ground, 0, &["monthly"]);
    assert_eq!(record["command"]["output"], "755", "{record:#}");
    assert!(record["remarks"].to_string().contains("owners are not proven"), "{record:#}");
    nothing_is_left(&ground);
}

#[test]
fn damage_fails_it_and_leaves_nothing() {
    let ground = Ground::everything();
    drills(&ground);
    let copied = ground.backup();
    let part = ground.folder(&copied).join("part-00001.tar.zst.age");
    shell(&ground.rig, &format!("chmod u+w {0}; printf damaged | dd of={0} bs=1 seek=4000000 conv=notrunc 2>/dev/null", part.display()));
    let record = drill(&ground, 1, &["monthly"]);
    assert_eq!(record["failure"]["phase"], "files", "{record:#}");
    assert!(record["failure"]["message"].as_str().is_some_and(|why| why.contains("part-00001.tar.zst.age")), "{record:#}");
    nothing_is_left(&ground);
}

/// What is on the disk is compared, and not only what was fetched.
#[test]
fn what_came_back_otherwise_is_named() {
    let ground = Ground::everything();
    drills(&ground);
    ground.backup();
    let tree = ground.file("tree").display().to_string();
    let folders = place(&ground).display().to_string();
    let harms = [
        ("chmod 777", "its rights are 0777 instead of 0644"),
        ("chown 4711", "it belongs to 4711:0 instead of 0:0"),
        ("touch", "its time"),
        ("setfattr -x trusted.ours", "its access control list or its extended attributes"),
        ("sed -i s/old/odd/", "etc/old: its"),
        ("rm -f", "it is not there"),
    ];
    for (harm, says) in harms {
        let stop = AtomicBool::new(false);
        let record = thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let text = format!("f=$(echo {folders}/2*/files{tree}/etc/old); test ! -e \"$f\" || {harm} \"$f\"");
                    let _ = Command::new("bash").args(["-c", &text]).stderr(Stdio::null()).status();
                }
            });
            let record = drill(&ground, 1, &["monthly"]);
            stop.store(true, Ordering::Relaxed);
            record
        });
        let failure = &record["failure"];
        assert_eq!(failure["phase"], "compare", "{harm}: {record:#}");
        // Some of these change the folder's time as well.
        let mut named = record["remarks"].as_array().into_iter().flatten().filter_map(Value::as_str);
        assert!(named.any(|why| why.contains("etc/old") && why.contains(says)), "{harm}: {record:#}");
        nothing_is_left(&ground);
    }
}

#[test]
fn a_backup_that_lacks_files_passes_no_drill() {
    let ground = Ground::new(false, "paths: [TREE]");
    ground.rig.shell("mkdir -p tree/etc; echo hello > tree/etc/plain; echo prog > tree/etc/prog; echo secret > tree/secret");
    ground.rig.shell_as_root("chown root tree/secret; chmod 600 tree/secret");
    drills(&ground);
    ground.say(&["backup", "system"]).ends_with_code(1);
    let record = drill(&ground, 1, &["some"]);
    assert!(record["failure"]["message"].as_str().is_some_and(|why| why.contains("1 file could not be read")), "{record:#}");
    assert!(record["remarks"].to_string().contains("tree/secret"), "{record:#}");
    nothing_is_left(&ground);
}

/// Until the program of the drill runs.
fn begun(ground: &Ground) -> Child {
    let child = ground.command(&["drill", "slow"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
    let began = Instant::now();
    while !copies(&place(ground)).iter().any(|copy| copy.join("command.log").exists()) {
        assert!(began.elapsed() < Duration::from_secs(180), "it never came to its program");
        thread::sleep(Duration::from_millis(50));
    }
    child
}

#[test]
fn killed_or_asked_to_end_it_leaves_nothing() {
    let ground = Ground::everything();
    drills(&ground);
    ground.backup();
    for signal in [Signal::TERM, Signal::KILL] {
        let mut child = begun(&ground);
        kill_process(ours(&child), signal).expect("it lives");
        child.wait().expect("it ended");
        if signal == Signal::KILL {
            assert_eq!(copies(&place(&ground)).len(), 1, "there was no time to clear away");
            drill(&ground, 0, &["some"]);
            let history = ground.say(&["history"]).out;
            assert!(history.contains("drills.slow"), "{history}");
        }
        nothing_is_left(&ground);
    }
}
