//! Settings of the server that somebody changed by hand, on a real one.

use crate::run::rig::Run;

#[test]
fn settings_that_were_changed_by_hand_are_told() {
    let run = Run::new("", "");
    run.rig.cluster.sql("alter system set archive_timeout = 60");
    run.rig.cluster.sql("select pg_reload_conf()");
    run.rig.cluster.wait_until("current_setting('archive_timeout') = '1min'");
    run.say(&["run", "backups.nightly"]).ends_with_code(0);
    // Ten minutes is how long somebody may be at it.
    let told = |first: &str, then: &str| {
        run.say_at(first, &["watch"]).ends_with_code(0);
        run.say_at(then, &["watch"]).ends_with_code(0);
        run.say_at(then, &["status"]).out
    };
    // The log goes through a script of the host's own, and arrives.
    let status = told("+0m", "+11m");
    assert!(!status.contains("of the server"), "{status}");
    run.rig.cluster.sql("alter system set archive_timeout = 0");
    run.rig.cluster.sql("select pg_reload_conf()");
    run.rig.cluster.wait_until("current_setting('archive_timeout') = '0'");
    let status = told("+12m", "+23m");
    assert!(status.contains("1 thing of the server is not as the policy says"), "{status}");
    assert!(status.contains("'archive_timeout' is to be '60', and is '0'"), "{status}");
}
