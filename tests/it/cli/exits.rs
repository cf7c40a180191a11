//! Exit codes, colours, and how the program behaves among others.

use std::process::{Command, Stdio};

use super::{Room, finish, sound};

#[test]
fn each_end_has_its_code() {
    let room = Room::new().with("good.yaml", sound("good")).with("bad.yaml", "version: 1\npolicy: bad\nfoo: 1\n");
    for (arguments, code) in [
        (vec!["validate", "good.yaml"], 0),
        (vec!["validate", "bad.yaml"], 1),
        (vec!["validate", "missing.yaml"], 1),
        (vec!["validate", "--format", "xml"], 64),
        (vec!["validate", "-", "-"], 64),
        (vec!["validate", "git:-x:policies"], 64),
        (vec!["nonsense"], 64),
        (vec![], 64),
        (vec!["explain", "SW101"], 64),
        (vec!["explain", "SW0101"], 0),
        (vec!["schema", "polcy"], 64),
        (vec!["--version"], 0),
        (vec!["--help"], 0),
        (vec!["help", "validate"], 0),
        (vec!["help", "--help"], 0),
        (vec!["key", "help", "-h"], 0),
        (vec!["help", "nonsense", "--help"], 64),
        (vec!["completions", "fish"], 0),
    ] {
        let run = room.run(&arguments);
        assert_eq!(run.code, Some(code), "{arguments:?}: {run:?}");
    }
}

#[test]
fn warnings_fail_only_when_strict() {
    let text = sound("good").replace("policy: good\n", "policy: good\nreview_by: 2020-01-01\n");
    let room = Room::new().with("good.yaml", text);
    let run = room.run(&["validate", "good.yaml"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.ends_with("1 policy is sound; 1 warning\n"), "{run:?}");
    assert_eq!(room.run(&["validate", "--strict", "good.yaml"]).code, Some(1));
}

#[test]
fn a_closed_pipe_is_quiet() {
    let room = Room::new();
    let mut child = room.command().args(["schema", "policy"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(141));
    assert!(output.stderr.is_empty(), "{:?}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn colours_are_there_when_asked_for_only() {
    let room = Room::new().with("bad.yaml", "version: 1\npolicy: bad\nfoo: 1\n");
    let plain = room.run(&["validate", "bad.yaml"]).stdout;
    assert!(!plain.contains('\u{1b}'));
    let coloured = room.run(&["--color", "always", "validate", "bad.yaml"]).stdout;
    assert!(coloured.contains("\u{1b}["));
    let never =
        room.command().env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1").args(["validate", "--color", "never", "bad.yaml"]).output();
    assert!(!String::from_utf8_lossy(&never.expect("it runs").stdout).contains('\u{1b}'));
    let forced = room.command().env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1").args(["validate", "bad.yaml"]).output();
    assert!(String::from_utf8_lossy(&forced.expect("it runs").stdout).contains('\u{1b}'));
}

#[test]
fn completions_and_manual_pages_come_from_the_commands() {
    let room = Room::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(room.run(&["completions", shell]).stdout.contains("validate"), "{shell}");
    }
    assert_eq!(room.run(&["man", "man1"]).code, Some(0));
    for page in ["seawall.1", "seawall-validate.1", "seawall-policy-show.1"] {
        assert!(room.path().join("man1").join(page).exists(), "{page}");
    }
}

#[test]
fn without_paths_the_usual_directory_is_read() {
    let room = Room::new().with("policies/a.yaml", sound("a")).with("other.yaml", "nonsense");
    assert_eq!(room.run(&["validate"]).stdout, "1 policy is sound\n");
    let room = Room::new().with("a.yaml", sound("a"));
    assert_eq!(room.run(&["validate"]).stdout, "1 policy is sound\n");
    let room = Room::new().with("a.txt", sound("a"));
    let run = room.run(&["validate"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("SW0013"), "{run:?}");
    // As every other command does it.
    let run = finish(room.command().arg("validate").env("SEAWALL_POLICY", "a.txt"), b"");
    assert_eq!(run.stdout, "1 policy is sound\n", "{run:?}");
}

#[test]
fn a_policy_is_named_in_one_way_as_in_the_other() {
    let room = Room::new().with("a.yaml", sound("a"));
    for command in [&["systemd"][..], &["cron"], &["prometheus"], &["grafana"], &["runbook", "--at", "2026-11-21"]] {
        let said = |more: &[&str]| room.run(&[&["emit"][..], command, more].concat());
        let (one, other) = (said(&["a.yaml"]), said(&["-p", "a.yaml"]));
        assert_eq!((one.code, other.code), (Some(0), Some(0)), "{command:?}: {one:?} {other:?}");
        assert_eq!(one.stdout, other.stdout, "{command:?}");
    }
    let run = room.run(&["run", "-p", "a.yaml"]);
    assert!(run.code == Some(64) && run.stderr.contains("seawall run --due"), "{run:?}");
}

#[test]
fn standard_input_is_a_policy() {
    let room = Room::new().with("base.yaml", "version: 1\nabstract: true\nowner: me\n");
    let run = room.run_with_input(&["validate", "-"], sound("a").as_bytes());
    assert_eq!(run.stdout, "1 policy is sound\n", "{run:?}");
    let run = room.run_with_input(&["validate", "-"], format!("{}extends: base.yaml\n", sound("a")).as_bytes());
    assert_eq!(run.stdout, "1 policy is sound\n", "{run:?}");
    let run = room.run_with_input(&["validate", "-"], &vec![b'a'; 3 << 20]);
    assert!(run.stdout.contains("SW0002") && run.code == Some(1), "{run:?}");
}

#[test]
fn version_is_quick() {
    let run = || {
        let started = std::time::Instant::now();
        let done = Command::new(env!("CARGO_BIN_EXE_seawall")).arg("--version").stdout(Stdio::null()).status().expect("it runs");
        assert!(done.success());
        started.elapsed().as_millis()
    };
    // The promise is 5 ms for a release; unoptimised it is a few times that. Other tests share the machine: the best of some counts.
    let fastest = (0..20).map(|_| run()).min().expect("some");
    assert!(fastest < 100, "{fastest} ms");
}

/// What is about a dump is nothing that a restore of a cluster could follow: it is refused, not passed over.
#[test]
fn what_is_of_a_dump_says_nothing_of_a_cluster() {
    let room = Room::new();
    for words in [&["--job", "dump"][..], &["--replace"], &["--connection", "service=shop"], &["--programs", "/usr/lib/postgresql/16/bin"]]
    {
        let run = room.run(&[&["restore", "--target", "new"], words].concat());
        assert_eq!(run.code, Some(64), "{words:?}: {run:?}");
        assert!(run.stderr.contains("cannot be used with") && run.stderr.contains(words[0]), "{run:?}");
    }
}
