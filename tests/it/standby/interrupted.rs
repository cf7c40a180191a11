//! Stopped in the middle: where it stands is said, and the same call goes on.

use rustix::process::{Pid, Signal, kill_process};

use super::rig::{Pair, wait_for};
use crate::clusters::{Version, children};
use crate::restore::rig::said;

fn journal(pair: &Pair) -> String {
    std::fs::read_to_string(pair.rig.path("state-2/policies/shop/promotion.json")).unwrap_or_default()
}

fn rewrite(pair: &Pair, from: &str, to: &str) {
    let text = journal(pair);
    assert!(text.contains(from), "{text}");
    std::fs::write(pair.rig.path("state-2/policies/shop/promotion.json"), text.replace(from, to)).expect("a journal");
}

/// It was told, and is a standby yet: because the word was lost, or because replay takes longer than anybody waited.
#[test]
fn told_and_not_yet_promoted() {
    let pair = Pair::streaming(Version::V15);
    pair.rig.load(5);
    pair.caught_up();
    pair.rig.cluster.kill_9();
    pair.hook("before_promote", "exit 3", "10s");
    assert_eq!(pair.promote(&["--yes"]).code, 1);
    rewrite(&pair, "\"stage\": \"fencing\"", "\"stage\": \"told\"");
    // Somebody has started the old primary since.
    pair.rig.cluster.resume();
    let both = pair.promote(&["--yes", "--fenced-by-hand", "ann: power cable"]);
    assert!(both.code == 1 && both.err.contains("may do so at any moment") && both.err.contains("STOP ONE OF THEM NOW"), "{}", both.err);
    assert!(pair.is_standby() && journal(&pair).contains("\"told\""), "{}", journal(&pair));
    pair.rig.cluster.kill_9();
    // The fence of then says nothing of now.
    let unfenced = pair.promote(&["--yes"]);
    assert!(unfenced.code == 1 && unfenced.err.contains("`hooks.before_promote` failed (exit status 3)"), "{}", unfenced.err);
    assert!(pair.is_standby());
    let asked = pair.promote(&["--fenced-by-hand", "ann: power cable"]);
    assert!(asked.code == 1 && asked.out.contains("it is a standby yet") && asked.err.contains("--yes"), "{}{}", asked.out, asked.err);
    let promotion = pair.promoted(&["--fenced-by-hand", "ann: power cable"]);
    assert_eq!((promotion["stage"].as_str(), promotion["timeline"].as_u64()), (Some("done"), Some(2)));
    assert!(crate::restore::rig::objects(&pair.rig.path("store"), "promote-").is_empty());
}

#[test]
fn during_the_fence_by_a_person_and_by_the_machine() {
    let pair = Pair::streaming(Version::V15);
    pair.rig.cluster.kill_9();
    // It outlives a run that is killed, and must not hold what the run said to.
    pair.hook("before_promote", "exec >/dev/null 2>&1; exec sleep 60", "90s");
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        let _ = std::fs::remove_file(pair.rig.path("state-2/policies/shop/promotion.json"));
        let mut command = pair.command(&["--yes"]);
        let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("it runs");
        wait_for("the fence is under way", || journal(&pair).contains("\"stage\": \"fencing\""));
        // Where another program changes the account for it, it is that one's child.
        let started = Pid::from_child(&child);
        kill_process(children(started).first().copied().unwrap_or(started), signal).expect("it is there");
        let ended = child.wait_with_output().expect("it ends");
        assert!(code.is_none_or(|code| ended.status.code() == Some(code)), "{ended:?}");
        if code.is_some() {
            let said = said(ended);
            assert!(said.err.contains("MAY BE STOPPED") && said.err.contains("same call goes on"), "{}", said.err);
        }
        assert!(pair.is_standby());
    }
    // The claim of the run that was killed is this host's own.
    pair.hook("before_promote", "exit 0", "30s");
    let again = pair.promote(&["--yes"]);
    assert!(again.code == 0 && again.out.contains("begun again, fencing included"), "{}{}", again.out, again.err);
}

#[test]
fn after_the_promotion_it_goes_on_from_there() {
    let pair = Pair::streaming(Version::V15);
    pair.rig.cluster.kill_9();
    pair.hook("after_promote", "exit 1", "10s");
    let failed = pair.promote(&["--yes", "--fenced-by-hand", "ann: power cable"]);
    assert!(failed.code == 1 && failed.err.contains("IS THE PRIMARY now") && failed.err.contains("hooks.after_promote"), "{}", failed.err);
    assert!(!pair.is_standby());
    let folder = pair.rig.cluster.folder().display().to_string();
    pair.hook("after_promote", &format!("echo x >> {folder}/announced"), "10s");
    let promotion = pair.promoted(&[]);
    assert_eq!((promotion["stage"].as_str(), promotion["fencing"]["words"].as_str()), (Some("done"), Some("ann: power cable")));
    assert_eq!(std::fs::read_to_string(pair.rig.path("announced")).expect("it ran"), "x\n");

    // Killed between the word and the answer: the server is a primary, the journal says that it was told.
    rewrite(&pair, "\"stage\": \"done\"", "\"stage\": \"told\"");
    assert_eq!(pair.promoted(&[])["stage"], "done");
}

/// The server archives nothing: found out, said how to mend it, and gone on with.
#[test]
fn a_server_that_would_not_archive() {
    let pair = Pair::streaming(Version::V15);
    pair.standby.sql("alter system set archive_command = ''");
    pair.standby.sql("select pg_reload_conf()");
    pair.rig.cluster.kill_9();
    let failed = pair.promote(&["--yes", "--fenced-by-hand", "ann: power cable"]);
    assert!(
        failed.code == 1 && failed.err.contains("`archive_command` is empty") && failed.err.contains("alter system set"),
        "{}",
        failed.err
    );
    let command =
        failed.err.split("alter system set archive_command = '").nth(1).and_then(|rest| rest.split("'`").next()).expect("a command");
    pair.standby.sql(&format!("alter system set archive_command = '{command}'"));
    pair.standby.sql("select pg_reload_conf()");
    assert_eq!(pair.promoted(&[])["stage"], "done");
}
