//! Until it is released, a restored server does nothing to the world, and the world nothing to it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::rig::Rig;
use crate::clusters::{Options, Version};

/// The original subscribes to somebody, waits for standbys, and was once a standby that lagged on purpose.
fn one_of_many() -> Rig {
    let rig = Rig::start(Version::V15, Options::default().with("recovery_min_apply_delay = '1h'"));
    rig.series();
    let mut connection = rig.cluster.connect();
    for statement in [
        "create subscription feed connection 'host=127.0.0.1 port=1 dbname=nobody' publication feed with (connect = false)",
        "alter subscription feed enable",
        "alter system set synchronous_standby_names = 'nobody'",
        "alter system set max_logical_replication_workers = 3",
    ] {
        connection.run(statement).unwrap_or_else(|fault| panic!("{statement}: {fault}"));
    }
    rig.backup();
    rig.load(5);
    rig.archive();
    rig
}

#[test]
fn it_subscribes_to_nothing_and_waits_for_nobody() {
    let rig = one_of_many();
    // The delay would have it wait for an hour.
    let copy = rig.bring_back("copy", &[]);
    assert_eq!(copy.hash(), rig.hash(i64::MAX));
    let set = |name: &str| copy.sql(&format!("show {name}"));
    assert_eq!((set("max_logical_replication_workers").as_str(), set("synchronous_standby_names").as_str()), ("0", ""));
    assert_eq!((set("timescaledb.max_background_workers").as_str(), set("cron.launch_active_jobs").as_str()), ("0", "off"));
    copy.sql("create table written as select 1");
    assert_eq!(copy.sql("select count(*) from pg_stat_activity where backend_type ~ 'logical replication'"), "0");

    let data = copy.data.to_str().expect("text").to_owned();
    let release = |words: &[&str]| {
        let said = rig.seawall(&[&["release", "--target", &data, "--wait", "60s", "--format", "json"], words].concat());
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        crate::cli::follows("release-output", &said.out);
        said
    };
    rig.cluster.stop(crate::clusters::StopMode::Immediate);
    for _ in 0..2 {
        let quiet = release(&[]);
        assert_eq!(quiet.json()["still_quiet"], serde_json::json!(["max_logical_replication_workers"]), "{}", quiet.err);
        assert!(quiet.err.contains("--restart"), "{}", quiet.err);
    }
    let woken = release(&["--restart"]);
    assert_eq!((&woken.json()["still_quiet"], &woken.json()["restarted"]), (&serde_json::json!([]), &serde_json::json!(true)));
    assert!(woken.err.contains("every commit waits for standbys again") && woken.err.contains("`nobody`"), "{}", woken.err);
    assert_eq!((set("max_logical_replication_workers").as_str(), set("synchronous_standby_names").as_str()), ("3", "nobody"));
    copy.wait_until("exists (select from pg_stat_activity where backend_type = 'logical replication launcher')");
    // What the original's people had set is theirs, and holds nothing up.
    assert_eq!(release(&[]).json()["still_quiet"], serde_json::json!([]));
}

/// Nobody has to restart a server for libraries that it does not load.
#[test]
fn where_nothing_is_kept_quiet_nothing_is_woken() {
    let rig = Rig::start(Version::V15, Options::default());
    let seen = rig.path("hook");
    let hook =
        format!("hooks:\n  after_restore: {{ run: [sh, -c, 'echo $SEAWALL_POLICY $SEAWALL_DIRECTORY >> {}'] }}\nbackups:", seen.display());
    rig.change_policy("backups:", &hook);
    rig.series();
    rig.backup();
    rig.archive();
    let copy = rig.bring_back("copy", &[]);
    assert!(!seen.exists(), "nobody is told before it is released");
    rig.cluster.stop(crate::clusters::StopMode::Immediate);
    let data = copy.data.to_str().expect("text");
    let said = rig.seawall(&["release", "--target", data, "--wait", "60s", "--format", "json"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!((&said.json()["still_quiet"], &said.json()["restarted"]), (&serde_json::json!([]), &serde_json::json!(false)));
    assert_eq!(std::fs::read_to_string(&seen).expect("the hook ran"), format!("shop {data}\n"));
    let conf = std::fs::read_to_string(copy.data.join("postgresql.auto.conf")).expect("a configuration");
    assert!(!conf.contains("max_logical_replication_workers") && !conf.contains("timescaledb"), "{conf}");
}

/// The machine may never have seen the database: whether what it archives will be accepted is known before it archives.
#[test]
fn a_host_that_nobody_accepts_is_told_before_anything_changes() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    let copy = rig.bring_back("copy", &[]);
    rig.cluster.stop(crate::clusters::StopMode::Immediate);
    let data = copy.data.to_str().expect("text").to_owned();
    let settings = || std::fs::read(copy.data.join("postgresql.auto.conf")).expect("settings");
    let before = settings();
    let elsewhere = |words: &[&str]| super::rig::said(rig.command_on("elsewhere", words).output().expect("it runs"));
    let refused = elsewhere(&["release", "--target", &data]);
    assert!(
        refused.code == 1 && refused.err.contains("this host has no key") && refused.err.contains("seawall key host"),
        "{}",
        refused.err
    );
    assert_eq!(elsewhere(&["key", "host"]).code, 0);
    let refused = elsewhere(&["release", "--target", &data]);
    assert!(refused.code == 1 && refused.err.contains("`encryption.writers`"), "{}", refused.err);
    assert_eq!(settings(), before);

    // What keeps it from archiving is said while it is waited for, in the words of what it calls.
    rig.shell("chmod -R a-w store");
    let mut waits = rig.command(&["release", "--target", &data, "--wait", "10m"]);
    let mut waits = waits.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let lines = BufReader::new(waits.stdout.take().expect("its steps")).lines().map_while(Result::ok);
    let said: Vec<String> = lines.take_while(|line| !line.contains("archiving fails so far: ")).collect();
    assert_eq!(waits.try_wait().expect("it lives"), None, "it ended before it said why: {said:?}");
    waits.kill().expect("it lives");
    waits.wait().expect("its end");
    rig.shell("chmod -R u+w store");
    let last = rig.seawall(&["release", "--target", &data, "--wait", "10m"]);
    assert_eq!(last.code, 0, "{}{}", last.out, last.err);
}
