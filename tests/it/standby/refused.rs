//! What must not be promoted, and is not.

use std::time::{Duration, Instant};

use super::rig::Pair;
use crate::clusters::Version;

impl Pair {
    fn refuses(&self, words: &[&str], code: i32, says: &str) {
        let said = self.promote(&[&["--yes"], words].concat());
        assert!(said.code == code && said.err.contains(says), "{words:?}: {} {}{}", said.code, said.out, said.err);
        assert!(self.is_standby(), "{words:?}");
    }
}

#[test]
fn while_the_primary_answers_and_without_a_fence() {
    let pair = Pair::streaming(Version::V15);
    let by_hand = ["--fenced-by-hand", "ann: power cable"];
    pair.refuses(&by_hand, 1, "still answers");
    pair.refuses(&[&by_hand[..], &["--switchover"]].concat(), 1, "still answers");
    pair.refuses(&["--switchover"], 1, "nobody answers for it");
    // The fence says that it holds, and does not.
    pair.hook("before_promote", "exit 0", "10s");
    pair.refuses(&["--switchover"], 1, "it was fenced, and still answers");
    // Asked without anybody to answer.
    pair.rig.cluster.kill_9();
    let asked = pair.promote(&[]);
    assert!(asked.code == 1 && asked.out.contains("LOST, if there is any") && asked.err.contains("--yes"), "{}{}", asked.out, asked.err);
    assert!(pair.is_standby());
    assert_eq!(pair.audited("promotion.failed"), 1);

    let told = pair.promote(&["--yes", "--connection", "host=/tmp password=geheim"]);
    assert!(told.code == 1 && told.err.contains("holds a password") && !told.err.contains("geheim"), "{}", told.err);

    // On the wrong host.
    pair.rig.cluster.resume();
    let wrong = crate::restore::rig::said(
        pair.rig
            .command_on("state-2", &["promote", "--host", "db-1", "--yes", "--fenced-by-hand", "ann: by hand"])
            .output()
            .expect("it runs"),
    );
    assert!(wrong.code == 1 && wrong.err.contains("is no standby: it takes writes"), "{}", wrong.err);
}

#[test]
fn a_fence_that_fails_or_hangs_promotes_nobody() {
    let pair = Pair::streaming(Version::V15);
    pair.rig.cluster.kill_9();
    pair.refuses(&[], 1, "nobody answers for it");
    pair.refuses(&["--fenced-by-hand", " "], 64, "say who fenced it");
    pair.hook("before_promote", "echo 'the power switch does not answer' >&2; exit 7", "10s");
    pair.refuses(&[], 1, "`hooks.before_promote` failed (exit status 7)");
    pair.hook("before_promote", "sleep 600", "2s");
    let began = Instant::now();
    pair.refuses(&[], 1, "did not end within 2 s");
    assert!(began.elapsed() < Duration::from_secs(60));
    pair.refuses(&[], 1, "MAY BE STOPPED");
    // A hand instead of the hook that is broken.
    pair.promoted(&["--fenced-by-hand", "ann: power cable"]);
}

#[test]
fn two_at_once_are_kept_apart() {
    let pair = Pair::streaming(Version::V15);
    pair.rig.cluster.kill_9();
    let by_hand = ["--yes", "--fenced-by-hand", "ann: power cable"];
    // On this host by a lock, on others by what lies in the store.
    let go = pair.rig.path("go");
    pair.hook("before_promote", &format!("until [ -e {} ]; do sleep 0.1; done", go.display()), "5m");
    let mut first = pair.command(&["--yes"]).spawn().expect("it runs");
    super::rig::wait_for("a fence that is under way", || {
        std::fs::read_to_string(pair.rig.path("state-2/policies/shop/promotion.json")).is_ok_and(|journal| journal.contains("\"fencing\""))
    });
    let second = pair.promote(&by_hand);
    assert!(second.code == 75 && second.err.contains("another promotion of this policy is going on"), "{}", second.err);
    pair.rig.shell("mkdir -m 700 -p state-3 && cp -a state/keys state-3/keys");
    let elsewhere = crate::restore::rig::said(
        pair.rig
            .command_on(
                "state-3",
                &[&["promote", "--host", "db-3", "--connection", &super::rig::conninfo(&pair.rig, pair.port)], &by_hand[..]].concat(),
            )
            .output()
            .expect("it runs"),
    );
    assert!(elsewhere.code == 75 && elsewhere.err.contains("promotes the server on db-2"), "{}", elsewhere.err);
    pair.rig.write("go", "");
    assert!(first.wait().expect("it ends").success());
    assert!(!pair.is_standby());
    assert!(crate::restore::rig::objects(&pair.rig.path("store"), "promote-").is_empty());
}

/// The stores are away: what they have is not known, which a person may decide to leave. What belongs there comes when they are back.
#[test]
fn a_store_that_is_down() {
    let pair = Pair::streaming(Version::V15);
    let fetch = pair.standby.sql("show restore_command");
    pair.standby.sql(&format!("alter system set restore_command = '{fetch} --patience 1s'"));
    pair.standby.sql("select pg_reload_conf()");
    pair.rig.cluster.kill_9();
    pair.rig.shell("mv store away");
    let announced = pair.rig.path("announced");
    pair.hook("after_promote", &format!("echo x >> {}", announced.display()), "10s");
    let by_hand = ["--fenced-by-hand", "ann: power cable"];
    pair.refuses(&by_hand, 75, "no store of the log can be asked");
    let said = pair.promote(&[&["--yes", "--without-stores", "--wait", "20s"], &by_hand[..]].concat());
    assert!(said.code == 1 && said.err.contains("IS THE PRIMARY now"), "{}{}\n{}", said.out, said.err, pair.log());
    assert!(!pair.is_standby());
    assert_eq!(std::fs::read_to_string(&announced).expect("the application is led here, whatever became of the store"), "x\n");
    pair.standby.sql("insert into series (v) values ('while the store was away')");
    pair.rig.shell("mv away store");
    let promotion = pair.promoted(&[]);
    assert_eq!((promotion["stage"].as_str(), promotion["timeline"].as_u64()), (Some("done"), Some(2)));
    assert_eq!(std::fs::read_to_string(&announced).expect("once"), "x\n");
}

/// Somebody else was promoted while this standby was cut off from it.
#[test]
fn another_was_promoted_before() {
    let pair = Pair::streaming(Version::V15);
    // It would follow the other one by the archive.
    pair.standby.sql("alter system set restore_command = 'false'");
    pair.standby.sql("select pg_reload_conf()");
    pair.rig.cluster.kill_9();
    let port = super::rig::free_port();
    let other = super::rig::restore(&pair.rig, "other", port, &[]);
    assert_eq!(other.code, 0, "{}{}", other.out, other.err);
    let other = pair.rig.running("other", port);
    other.sql("select pg_promote()");
    let segment = other.sql("select pg_walfile_name(pg_switch_wal())");
    other.wait_until(&format!("coalesce(last_archived_wal, '') >= '{segment}' from pg_stat_archiver"));
    let _gone = other.stop();
    pair.refuses(&["--fenced-by-hand", "ann: power cable"], 1, "another server was promoted already: store `local` has timeline 2");
}
