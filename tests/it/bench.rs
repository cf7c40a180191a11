//! `seawall bench`: a figure, and nothing else is left.

use std::fs;

use crate::backup::rig::{Policy, Rig};
use crate::clusters::Version;
use crate::run::rig::Run;

fn run() -> Run {
    let run = Run { rig: Rig::new(Version::V15, &Policy::default()) };
    run.rig.cluster.sql("create table big as select n, repeat(md5(n::text), 8) as words from generate_series(1, 200000) n; checkpoint");
    run
}

fn figure(run: &Run, name: &str, subject: &str) -> f64 {
    let latest = run.catalog().latest("try").expect("figures");
    latest.into_iter().find(|one| one.name == name && one.subject == subject).unwrap_or_else(|| panic!("no {name} of {subject}")).value
}

#[test]
fn a_backup_is_measured_and_leaves_nothing_in_the_store() {
    let run = run();
    run.rig.backup(&[]);
    let (before, leases) = (run.rig.objects("data"), run.rig.objects("leases"));
    let said = run.say(&["bench", "backup", "--format", "json"]).ends_with_code(0);
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let number = |name: &str| json[name].as_f64().unwrap_or_else(|| panic!("{name}: {json}"));
    assert!(number("bytes") > 60e6 && number("in_store") < number("bytes") && number("files") > 900.0, "{json}");
    assert_eq!((json["what"].as_str(), json["how"].as_str(), json["store"].as_str()), (Some("backup"), Some("benchmark"), Some("disk")));
    // The figures fit each other, and are on record.
    assert!((number("bytes") / number("seconds") / number("bytes_per_second") - 1.0).abs() < 0.01, "{json}");
    assert!((figure(&run, "benchmark_backup_bytes_per_second", "nightly") - number("bytes_per_second")).abs() < 1.0);
    assert!(figure(&run, "benchmark_push_bytes_per_second", "disk") > 0.0);
    assert_eq!((run.rig.objects("data"), run.rig.objects("leases"), run.backups()), (before, leases, 1));
    // Less of it is from all over the cluster.
    let said = run.say(&["bench", "backup", "nightly", "--amount", "10MB", "--format", "json"]).ends_with_code(0);
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let bytes = json["bytes"].as_f64().expect("a number");
    assert!((5e6..80e6).contains(&bytes), "{json}");
    run.say(&["bench", "backup", "nightly"]).ends_with_code(0).says("/s");
    run.rig.backup(&[]);
}

#[test]
fn a_restore_is_measured_and_leaves_nothing_on_the_disk() {
    let run = run();
    let touched = run.file("touched");
    run.add(&format!("hooks: {{ before_restore: {{ run: [touch, {}] }} }}\n", touched.display()));
    let place = run.rig.cluster.tablespace("other");
    run.rig.cluster.sql("create table there tablespace other as select generate_series(1, 100000) n; checkpoint");
    run.rig.backup(&[]);
    let within = run.file("room");
    fs::create_dir(&within).expect("a folder");
    run.rig.cluster.account().own(&within);
    let within = within.display().to_string();
    let inside = fs::read_dir(&place).expect("the tablespace").count();
    let said = run.say(&["bench", "restore", "--in", &within, "--format", "json"]).ends_with_code(0);
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let number = |name: &str| json[name].as_f64().unwrap_or_else(|| panic!("{name}: {json}"));
    assert!(number("bytes") > 60e6 && number("in_store") > 1e6 && number("seconds") > 0.0, "{json}");
    assert!((figure(&run, "benchmark_restore_bytes_per_second", "") - number("bytes_per_second")).abs() < 1.0);
    assert!(figure(&run, "benchmark_fetch_bytes_per_second", "disk") > 0.0);
    assert_eq!(fs::read_dir(&within).expect("there").count(), 0, "nothing is left");
    assert_eq!(fs::read_dir(&place).expect("the tablespace").count(), inside);
    assert!(!touched.exists(), "the application was not stopped for a measurement");
    // One that was killed.
    fs::create_dir(run.file("room/seawall-bench")).expect("a folder");
    run.say(&["bench", "restore", "--in", &within]).ends_with_code(1).says("another measurement is going on");
    assert!(run.file("room/seawall-bench").is_dir());
    // What fails leaves nothing either.
    fs::remove_dir(run.file("room/seawall-bench")).expect("a folder");
    run.say(&["bench", "restore", "--in", &within, "--identity", "/dev/null"]).ends_with_code(1);
    assert_eq!(fs::read_dir(&within).expect("there").count(), 0);
}
