//! A promotion that is rehearsed: the same steps as a real one, and nothing of it reaches the cluster.

use std::fs;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::killed::{long, sleepers, wait};
use super::passing::{Original, port_of};
use super::rig::{Drills, phase, servers_below};
use crate::clusters::{Options, Version};
use crate::restore::rig::objects;

/// The real hooks leave a mark: nobody may ever find it.
fn policy(drills: &Drills, promote: &str, more: &str) {
    let folder = drills.rig.cluster.folder().display();
    drills.drills(&format!(
        r#"
hooks:
  before_promote: {{ run: [touch, {folder}/fenced-for-real] }}
  after_promote: {{ run: [touch, {folder}/announced-for-real] }}
drills:
  failover:
    restore: {{ latest: nightly }}
    promote: {{ {promote} }}
    expect: {{ rows: {{ sql: "select count(*) from series", at_least: 50 }} }}
    {more}
"#
    ));
}

fn script(drills: &Drills, name: &str) -> String {
    let file = drills.rig.path(&format!("{name}.env"));
    format!(r#"{name}: {{ run: [sh, -c, "env | grep ^SEAWALL_ | sort > {}"] }}"#, file.display())
}

fn nobody_was_fenced(drills: &Drills) {
    for mark in ["fenced-for-real", "announced-for-real"] {
        assert!(!drills.rig.path(mark).exists(), "{mark}");
    }
    // Not a word of it where promotions are written down, nor a segment where the log is.
    assert!(!drills.rig.path("state/policies/shop/promotion.json").exists());
    let store = drills.rig.path("store");
    for strange in [".history", "/00000002/", "leases/promote"] {
        assert_eq!(objects(&store, strange), Vec::<std::path::PathBuf>::new());
    }
    let audited = drills.say(&["audit", "show"]).out;
    assert!(!audited.contains("promotion."), "{audited}");
}

fn step<'r>(record: &'r Value, name: &str) -> &'r Value {
    let steps = record["promotion"]["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no step {name} in {record:#}"))
}

fn is_rehearsed(version: Version) {
    let drills = Drills::new(version, "");
    let (fence, after) = (script(&drills, "fence"), script(&drills, "after"));
    policy(&drills, &format!("{fence}, {after}, within: 5m"), r#"run: { run: [sh, -c, "true"] }"#);
    let original = Original::of(&drills);
    // Not archived: lost, and known to be.
    drills.rig.load(7);
    let record = drills.drill(0, &["failover"]);
    assert_eq!(record["outcome"], "passed", "{record:#}");
    let promotion = &record["promotion"];
    assert_eq!((promotion["timeline_before"].as_u64(), promotion["timeline"].as_u64()), (Some(1), Some(2)), "{record:#}");
    assert_eq!((&record["reached"]["timeline"], &record["reached"]["lsn"]), (&promotion["timeline"], &promotion["replayed"]));
    assert_eq!(promotion["within_millis"], 300_000);
    let names: Vec<&str> = promotion["steps"].as_array().expect("steps").iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(names, ["fence", "drain", "promote", "check", "announce"]);
    assert!(promotion["steps"].as_array().is_some_and(|steps| steps.iter().all(|step| step["done"] == true)), "{record:#}");
    assert!(step(&record, "check")["says"].as_str().is_some_and(|says| says.contains("takes writes")));
    assert!(promotion["lost_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{record:#}");
    assert!(promotion["lost_millis"].as_u64().is_some_and(|millis| millis > 0 && millis < 600_000), "{record:#}");
    let millis = phase(&record, "promote")["millis"].as_u64().expect("a number");
    let parts: u64 = promotion["steps"].as_array().expect("steps").iter().filter_map(|step| step["millis"].as_u64()).sum();
    assert!(parts <= millis + 50 && promotion["millis"].as_u64().is_some_and(|all| all <= millis + 50 && all + 50 >= parts), "{record:#}");
    for (file, hook, timeline) in [("fence.env", "fence", "1"), ("after.env", "after", "2")] {
        let told = fs::read_to_string(drills.rig.path(file)).expect("it ran");
        for line in [
            format!("SEAWALL_REHEARSAL=drills.failover.promote.{hook}"),
            "SEAWALL_KIND=rehearsal".to_owned(),
            "SEAWALL_OLD_PRIMARY=".to_owned(),
            format!("SEAWALL_TIMELINE={timeline}"),
            format!("SEAWALL_HOOK={hook}"),
        ] {
            assert!(told.lines().any(|told| told == line), "{line} is not in {told}");
        }
    }
    nobody_was_fenced(&drills);
    original.is_untouched(&drills);
    drills.nothing_is_left();
    // The cluster goes on as if nothing had been, and its log too.
    drills.rig.archive();
    assert_eq!(drills.rig.cluster.sql("select pg_is_in_recovery() || ' ' || timeline_id from pg_control_checkpoint()"), "false 1");
    let shown = drills.say(&["drill", "failover"]);
    assert_eq!(shown.code, 0, "{}{}", shown.out, shown.err);
    for words in ["promotion    to timeline 2 in", "fence     the fence was rehearsed (exit status 0 of sh)", "lost         "] {
        assert!(shown.out.contains(words), "not `{words}`: {}", shown.out);
    }
    nobody_was_fenced(&drills);
}

#[test]
fn a_promotion_is_rehearsed_on_13() {
    is_rehearsed(Version::V13);
}

#[test]
fn a_promotion_is_rehearsed_on_15() {
    is_rehearsed(Version::V15);
}

#[test]
fn a_promotion_is_rehearsed_on_18() {
    is_rehearsed(Version::V18);
}

/// What is kept to be looked at archives nothing either, however long it runs and whatever it writes.
#[test]
fn what_is_kept_archives_nothing() {
    let drills = Drills::new(Version::V15, "");
    policy(&drills, "", "");
    drills.drill(0, &["failover", "--keep"]);
    let [copy] = &drills.copies()[..] else { panic!("one copy was kept: {:?}", drills.copies()) };
    let text = format!("host={} port={} user=postgres dbname=postgres", copy.join("s").display(), port_of(copy));
    let mut connection = seawall::postgres::Connection::connect(&crate::clusters::settings(&text)).expect("it was kept");
    connection.run("create table written as select generate_series(1, 1000)").expect("it takes writes");
    connection.run("select pg_switch_wal(); checkpoint").expect("a segment");
    let rows = connection.query("select archived_count + failed_count as n from pg_stat_archiver", &[]).expect("rows");
    assert_eq!(rows.one().expect("one").get("n"), Some("0"));
    for (setting, expected) in [
        ("archive_mode", "off"),
        ("archive_command", "(disabled)"),
        ("listen_addresses", ""),
        ("primary_conninfo", ""),
        ("primary_slot_name", ""),
        ("shared_preload_libraries", ""),
    ] {
        let rows = connection.query("select current_setting($1) as v", &[setting]).expect("a setting");
        assert_eq!(rows.one().expect("one").get("v"), Some(expected), "{setting}");
    }
    drop(connection);
    assert!(!copy.join("data/standby.signal").exists());
    nobody_was_fenced(&drills);
    assert!(drills.say(&["drill", "--remove"]).out.contains("removed"));
    drills.nothing_is_left();
}

#[test]
fn it_fails_where_a_promotion_would() {
    let drills = Drills::new(Version::V15, "");
    policy(&drills, r#"fence: { run: [sh, -c, "exit 3"] }, after: { run: [touch, /nowhere/at/all] }"#, "");
    let record = drills.drill(1, &["failover"]);
    assert_eq!((&record["outcome"], &record["failure"]["phase"]), (&"failed".into(), &"promote".into()), "{record:#}");
    let message = record["failure"]["message"].as_str().expect("why");
    assert!(message.contains("drills.failover.promote.fence") && message.contains("exit status 3"), "{message}");
    assert_eq!((&step(&record, "fence")["done"], &record["promotion"]["timeline"]), (&false.into(), &Value::Null), "{record:#}");
    assert!(record["recovery_millis"].is_null(), "{record:#}");
    drills.nothing_is_left();
    // It is promoted, and nobody hears of it: the drill says so.
    drills.rig.change_policy(r#""exit 3""#, r#""exit 0""#);
    let record = drills.drill(1, &["failover"]);
    assert_eq!((&step(&record, "promote")["done"], &step(&record, "announce")["done"]), (&true.into(), &false.into()), "{record:#}");
    assert_eq!(record["promotion"]["timeline"], 2);
    // Too slow is not passed.
    drills.rig.change_policy("after: { run: [touch, /nowhere/at/all] }", "after: { run: [sleep, '2'] }, within: 1s");
    let record = drills.drill(1, &["failover"]);
    let message = record["failure"]["message"].as_str().expect("why");
    assert!(message.contains("`drills.failover.promote.within` allows 1s"), "{message}");
    let refused = drills.say(&["drill", "failover", "--random"]);
    assert!(refused.code == 1 && refused.err.contains("a standby is promoted at the newest moment"), "{}", refused.err);
    nobody_was_fenced(&drills);
    drills.nothing_is_left();
}

/// Killed while the fence runs: its program, the standby and everything are found and removed by the next run.
#[test]
fn killed_in_the_middle_it_is_found_and_removed() {
    let drills = Drills::new(Version::V15, "");
    let long = long(611);
    policy(&drills, &format!(r#"fence: {{ run: [sh, -c, "sleep {long} & sleep {long}"] }}"#), "");
    let (mut child, process, _) = drills.begin_until("failover", "promote");
    wait(&|| sleepers(&long) == 2);
    kill_process(process, Signal::KILL).expect("it lives");
    child.wait().expect("it ended");
    let next = drills.say(&["watch"]);
    assert_eq!(next.code, 0, "{}{}", next.out, next.err);
    wait(&|| servers_below(&drills.place()).is_empty());
    drills.nothing_is_left();
    assert_eq!(sleepers(&long), 0, "the fence's program runs on");
    assert!(drills.history().contains("lost"), "{}", drills.history());
    nobody_was_fenced(&drills);
    // Asked to end, it ends the program itself.
    let (mut child, process, _) = drills.begin_until("failover", "promote");
    wait(&|| sleepers(&long) == 2);
    kill_process(process, Signal::TERM).expect("it lives");
    assert_eq!(child.wait().expect("it ended").code(), Some(143));
    assert_eq!(sleepers(&long), 0);
    drills.nothing_is_left();
}

/// It streams where it is asked to, by no slot; then nothing is lost that the primary had.
#[test]
fn a_standby_that_streams_loses_nothing() {
    let drills = Drills::with(Version::V15, Options { segment_mb: 1, ..Options::default() }, "");
    let from = drills.rig.cluster.conninfo();
    policy(&drills, &format!(r#"stream: "{from}""#), "");
    // Never archived.
    drills.rig.load(7);
    drills.rig.change_policy("at_least: 50", "is: 57");
    let record = drills.drill(0, &["failover"]);
    assert_eq!((record["promotion"]["lost_bytes"].as_u64(), record["promotion"]["lost_millis"].as_u64()), (Some(0), Some(0)), "{record:#}");
    assert_eq!(drills.rig.cluster.sql("select count(*) from pg_replication_slots"), "0");
    drills.rig.cluster.wait_until("not exists (select from pg_stat_replication)");
    nobody_was_fenced(&drills);
    drills.nothing_is_left();
}
