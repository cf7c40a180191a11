//! Every phase against a clock that is not the drill's own.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use super::rig::{Drills, copies, millis, phase};
use crate::clusters::Version;
use crate::restore::rig::{objects, said};

const DRILLS: &str = r#"
drills:
  timed:
    restore: { latest: nightly }
    expect: { slow: { sql: "select pg_sleep(3)", some_rows: true } }
    run: { run: [sleep, "2"] }
"#;
/// Bytes a second.
const LINE: (&str, u64) = ("1MB/s", 1_000_000);

/// When each phase was first seen from outside, and when nothing was left.
fn watched(place: &Path, child: &mut Child) -> Vec<(String, Instant)> {
    let mut seen: Vec<(String, Instant)> = Vec::new();
    let mut at = |phase: &str| {
        if seen.last().is_none_or(|(last, _)| last != phase) {
            seen.push((phase.to_owned(), Instant::now()));
        }
    };
    while child.try_wait().expect("asked").is_none() {
        for folder in copies(place).into_iter().filter(|folder| !folder.to_string_lossy().contains("/new-")) {
            at(fs::read_to_string(folder.join("phase")).as_deref().unwrap_or("prepare"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    at("gone");
    seen
}

fn lsn(text: &str) -> u64 {
    let (high, low) = text.split_once('/').expect("a position");
    (u64::from_str_radix(high, 16).expect("digits") << 32) + u64::from_str_radix(low, 16).expect("digits")
}

#[test]
fn each_phase_takes_what_a_clock_from_outside_says() {
    let drills = Drills::new(Version::V15, DRILLS);
    let rig = &drills.rig;
    rig.load(10);
    let written = lsn(&rig.cluster.sql("select pg_current_wal_lsn()"));
    rig.archive();
    let archived = lsn(&rig.cluster.sql("select pg_current_wal_lsn()"));
    let began = Instant::now();
    let mut command = drills.command(&["drill", "timed", "--format", "json"]);
    command.env("SEAWALL_TEST_FAULTS", format!("slow={}", LINE.0));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let seen = watched(&drills.place(), &mut child);
    let wall = began.elapsed().as_millis() as u64;
    let said = said(child.wait_with_output().expect("it ended"));
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    let record = crate::cli::follows("drill-output", &said.out);

    // What is known to take so long takes no less.
    assert!(millis(&record, "expect") >= 3_000 && millis(&record, "command") >= 2_000, "{record:#}");
    assert!(record["expectations"][0]["millis"].as_u64().is_some_and(|millis| millis >= 3_000), "{record:#}");
    let fetched = phase(&record, "fetch")["bytes"].as_u64().expect("bytes");
    let least = fetched * 1_000 / LINE.1 * 7 / 10;
    assert!(least > 1_000 && millis(&record, "fetch") >= least, "{fetched} bytes: {record:#}");
    assert!(millis(&record, "files") >= least, "{record:#}");

    // And no phase has what belongs to another one.
    let of = |from: &str, to: &str| {
        let at = |phase: &str| seen.iter().find(|(name, _)| name == phase).unwrap_or_else(|| panic!("no {phase} in {seen:?}")).1;
        at(to).duration_since(at(from)).as_millis() as u64
    };
    let sum = |names: &[&str]| names.iter().map(|name| millis(&record, name)).sum::<u64>();
    for (from, to, names) in [
        ("files", "consistent", &["files", "sync"][..]),
        ("consistent", "expect", &["consistent", "replay"][..]),
        ("expect", "command", &["expect"][..]),
        ("command", "remove", &["command"][..]),
    ] {
        let (outside, own) = (of(from, to), sum(names));
        assert!(outside.abs_diff(own) < 500 + outside / 5, "{names:?}: {own} ms, and {outside} from outside: {record:#}");
    }
    let all = sum(&["prepare", "files", "sync", "consistent", "replay", "expect", "command", "remove"]);
    let whole = seen.first().map_or(0, |(_, first)| seen[seen.len() - 1].1.duration_since(*first).as_millis() as u64);
    assert!(all <= wall && all + 700 + whole / 10 >= whole, "{all} ms of {whole}: {record:#}");

    // As much log was replayed as PostgreSQL says lies between the backup's end and where it ended.
    let backup = record["restored"]["backup"].as_str().expect("an id");
    let descriptor = objects(&rig.path("store"), backup).into_iter().find(|path| {
        let name = path.to_string_lossy();
        name.contains("/backups/") && name.ends_with(".json")
    });
    let descriptor = fs::read_to_string(descriptor.expect("a descriptor")).expect("it can be read");
    let descriptor: serde_json::Value = serde_json::from_str(&descriptor).expect("JSON");
    let stop = lsn(descriptor["position"]["stop"].as_str().expect("a position"));
    let reached = lsn(record["reached"]["lsn"].as_str().expect("a position"));
    // A server that was promoted writes some pages of its own.
    let most = archived + (1 << 16);
    assert!((written..=most).contains(&reached), "{reached} is not in {written}..{most}");
    assert_eq!(phase(&record, "replay")["bytes"], reached - stop, "{record:#}");
    // What it takes of the store is on record beside what it is.
    assert_eq!((&record["restored"]["size"], &record["restored"]["stored_size"]), (&descriptor["size"], &descriptor["stored_size"]));
    let status = drills.say(&["status", "--format", "json"]).json();
    let jobs = status["policies"][0]["jobs"].as_array().expect("jobs").clone();
    let stored = |name: &str| jobs.iter().find(|job| job["job"] == name).map(|job| job["stored_bytes"].clone());
    assert_eq!(stored("drills.timed"), stored("backups.nightly"), "{status:#}");
    drills.nothing_is_left();
}
