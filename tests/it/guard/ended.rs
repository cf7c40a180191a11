//! The command is itself: its input, output, environment, signals and end.

use std::io::Write as _;
use std::process::Stdio;

use rustix::process::Signal;

use super::rig::{Going, command, guard, holds, undo, wait_for};
use crate::clusters::{Options, Version};
use crate::restore::rig::{Rig, said};

fn ready() -> Rig {
    let rig = Rig::start(Version::V15, Options::default());
    rig.series();
    rig.backup();
    rig
}

#[test]
fn its_input_its_output_and_its_end_are_its_own() {
    let rig = ready();
    let script =
        "cat; echo $SEAWALL_GUARD_LABEL $SEAWALL_GUARD_STORE $SEAWALL_GUARD_RESTORE_POINT; echo \"$SEAWALL_GUARD_UNDO\" >&2; exit 42";
    let mut child = command(&rig, &["--label", "a b"], &["sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("a pipe").write_all(b"over here\n").expect("taken");
    let said = said(child.wait_with_output().expect("it ends"));
    assert_eq!(said.code, 42, "{}", said.err);
    assert!(said.out.starts_with("over here\na b local guard-a-b-"), "{}", said.out);
    assert_eq!(said.err.matches(&undo(&said)).count(), 3, "before, by the command, and after: {}", said.err);

    rig.write("plain", "no program");
    let plain = rig.path("plain").display().to_string();
    for (words, code, what) in [
        (vec!["no-such-program"], 127, "is not there"),
        (vec![plain.as_str()], 126, "is no program"),
        (vec!["sh", "-c", "kill -TERM $$"], 143, "was ENDED by signal 15"),
        (vec!["sh", "-c", "exit 125"], 125, "FAILED with exit status 125"),
    ] {
        let before = holds(&rig).len();
        let said = guard(&rig, &[], &words);
        assert_eq!(said.code, code, "{}", said.err);
        assert!(said.err.contains(what), "{what}: {}", said.err);
        // What cannot be run is found out before anything is done for it.
        assert_eq!(holds(&rig).len() > before, words[0] == "sh", "{words:?}");
    }
}

#[test]
fn signals_go_to_it_and_its_end_is_waited_for() {
    let rig = ready();
    let folder = rig.cluster.folder().display().to_string();
    for (signal, code) in [(Signal::TERM, 7), (Signal::INT, 7), (Signal::HUP, 7)] {
        let script = format!("trap 'sleep 1; exit 7' TERM INT HUP; touch {folder}/begun; while :; do sleep 0.1; done");
        let going = Going::start(command(&rig, &[], &["sh", "-c", &script]));
        wait_for("it begins", || rig.path("begun").exists());
        going.signal(signal);
        let said = going.end();
        assert_eq!(said.code, code, "{signal:?}: {}", said.err);
        assert!(said.err.contains("FAILED with exit status 7"), "{}", said.err);
        std::fs::remove_file(rig.path("begun")).expect("a mark");
    }
}

#[test]
fn killed_while_it_runs_the_way_back_was_said_before() {
    let rig = ready();
    let folder = rig.cluster.folder().display().to_string();
    let report = rig.path("report.json");
    let words = ["--report", report.to_str().expect("text")];
    let script = format!("exec >/dev/null 2>&1; touch {folder}/begun; sleep 3; touch {folder}/ended");
    let going = Going::start(command(&rig, &words, &["sh", "-c", &script]));
    wait_for("it begins", || rig.path("begun").exists());
    going.signal(Signal::KILL);
    let said = going.end();
    let report = crate::cli::follows("guard-report", &std::fs::read_to_string(&report).expect("a report"));
    assert_eq!(report["undo"][0], undo(&said));
    assert!(report["command"]["exit_code"].is_null() && report["command"]["started"].is_string());
    // It goes on without its guard, and whoever looks next knows.
    wait_for("the command ends", || rig.path("ended").exists());
    let again = guard(&rig, &[], &["true"]);
    assert!(again.code == 0 && again.err.contains("on record as lost"), "{}", again.err);
}
