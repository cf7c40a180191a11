//! What a drill must find: each planted, each named with the phase in which it shows.

use std::fs;
use std::process::Stdio;
use std::thread;

use seawall::catalog::{Catalog, Measured, Where};
use seawall::units::Instant;

use super::rig::{Drills, begin_until};
use crate::clusters::Version;
use crate::faults::small::Small;
use crate::restore::rig::{flip, objects, said};

const NEWEST: &str = "drills: { newest: { restore: { latest: nightly } } }";

const MAJORS: [Version; 3] = [Version::V13, Version::V15, Version::V18];

/// The phase and the words of a drill that fails; who is on call hears them.
fn fails(drills: &Drills, words: &[&str]) -> (String, String) {
    let record = drills.drill(1, words);
    assert_eq!(record["outcome"], "failed", "{record:#}");
    drills.nothing_is_left();
    let failure = &record["failure"];
    let text = |name: &str| failure[name].as_str().unwrap_or_default().to_owned();
    assert!(!text("hint").is_empty(), "{record:#}");
    is_told(drills, words[0], &text("message"));
    (text("phase"), text("message"))
}

fn is_told(drills: &Drills, drill: &str, message: &str) {
    let watched = crate::cli::follows("watch-output", &drills.say(&["watch", "--format", "json"]).out);
    let firing = watched["policies"][0]["firing"].as_array().expect("what is wrong");
    let key = format!("failed:drills.{drill}");
    let told = firing.iter().find(|one| one["key"] == key.as_str()).unwrap_or_else(|| panic!("no {key} in {watched:#}"));
    assert_eq!(told["severity"], "critical", "{told:#}");
    // As a sentence, and without what people's programs would take for more than text.
    let words: String = message.replace('`', "'").replace('\n', " ").chars().skip(1).take(80).collect();
    assert!(told["text"].as_str().is_some_and(|text| text.contains(&words)), "{words}: {told:#}");
}

#[test]
fn a_segment_that_is_missing() {
    for version in MAJORS {
        let drills = Drills::new(version, NEWEST);
        let rig = &drills.rig;
        let lost = rig.cluster.sql("select pg_walfile_name(pg_current_wal_lsn())");
        rig.load(5);
        rig.archive();
        rig.load(5);
        rig.archive();
        for object in objects(&rig.path("store"), &lost) {
            fs::remove_file(object).expect("it was there");
        }
        let (phase, message) = fails(&drills, &["newest"]);
        assert_eq!(phase, "prepare");
        assert!(message.contains("missing") || message.contains("gap") || message.contains("not archived"), "{message}");
        // On record, and heard of.
        let history = drills.history();
        assert!(history.contains("drills.newest") && history.contains("failed"), "{history}");
    }
}

/// Nothing in the store tells of what it has lost at its end: the server was seen to be further.
#[test]
fn the_newest_log_that_was_lost() {
    // Each drill waits a while for log that may be on its way.
    thread::scope(|scope| {
        for version in MAJORS {
            scope.spawn(move || a_lost_newest_day(version));
        }
    });
}

fn a_lost_newest_day(version: Version) {
    let drills = Drills::new(version, NEWEST);
    let rig = &drills.rig;
    let first = rig.cluster.sql("select pg_walfile_name(pg_current_wal_lsn())");
    for _ in 0..3 {
        rig.load(5);
        rig.archive();
    }
    let position: f64 = rig.cluster.sql("select pg_current_wal_lsn() - '0/0'::pg_lsn").parse().expect("a number");
    let catalog = Catalog::open(&Where::Sqlite(rig.path("state/catalog.db"))).expect("a catalog");
    // Long enough ago for any promise.
    let days_ago = Instant::now() - jiff::SignedDuration::from_hours(72);
    catalog.measure("shop", &[Measured { name: "wal_position_bytes", subject: "", value: position }], days_ago).expect("measured");
    drop(catalog);
    if version == Version::V15 {
        drills.drill(0, &["newest"]);
    }
    let is_lost = |object: &std::path::PathBuf| object.file_name().is_some_and(|name| *name.to_string_lossy() >= *first);
    for object in objects(&rig.path("store"), &first[..16]).into_iter().filter(is_lost) {
        fs::remove_file(object).expect("it was there");
    }
    let (_, message) = fails(&drills, &["newest"]);
    assert!(message.contains("the server had written up to"), "{message}");
}

/// Its bytes are wrong, and nobody knows before they are read.
#[test]
fn a_segment_that_cannot_be_read() {
    let drills = Drills::new(Version::V15, NEWEST);
    let rig = &drills.rig;
    let bad = rig.cluster.sql("select pg_walfile_name(pg_current_wal_lsn())");
    rig.load(5);
    rig.archive();
    let found = objects(&rig.path("store"), &bad);
    flip(found.first().expect("it was archived"));
    let (phase, message) = fails(&drills, &["newest"]);
    assert!(["consistent", "replay"].contains(&phase.as_str()), "{phase}: {message}");
}

#[test]
fn a_part_that_is_corrupt() {
    for version in MAJORS {
        let drills = Drills::new(version, NEWEST);
        let parts = objects(&drills.rig.path("store"), "part-00001.tar");
        flip(parts.first().expect("a part"));
        let (phase, message) = fails(&drills, &["newest"]);
        assert_eq!(phase, "files");
        assert!(message.contains("part-00001"), "{message}");
    }
}

/// The backups of the newest day are gone, and the store does not say so: it has an older one.
#[test]
fn a_newest_backup_that_was_lost() {
    for version in MAJORS {
        let drills = Drills::new(version, NEWEST);
        let rig = &drills.rig;
        let newest = rig.backup();
        rig.archive();
        // First its data alone, then all that speaks of it.
        let data = rig
            .path("store")
            .join(objects(&rig.path("store"), &format!("data/{newest}/part-00001.tar"))[0].strip_prefix(rig.path("store")).expect("below"));
        fs::remove_file(&data).expect("a part");
        let (phase, message) = fails(&drills, &["newest"]);
        assert_eq!(phase, "prepare");
        assert!(message.contains("is not in the store"), "{message}");
        for object in objects(&rig.path("store"), &newest) {
            fs::remove_file(object).expect("it was there");
        }
        let (phase, message) = fails(&drills, &["newest"]);
        assert_eq!(phase, "prepare");
        assert!(message.contains(&newest) && message.contains("not there any more"), "{message}");
    }
}

/// The original has an extension that this host's PostgreSQL has not.
#[test]
fn an_extension_that_is_missing() {
    for version in MAJORS {
        let drills = Drills::new(version, NEWEST);
        let rig = &drills.rig;
        rig.cluster.sql("create table seen (n int)");
        // By the catalog alone: what the backup records is what the database says it has.
        rig.cluster.sql("insert into pg_extension select 99999, 'nowhere_to_be_found', 10, 11, false, '4.2', null, null");
        rig.backup();
        rig.archive();
        let (phase, message) = fails(&drills, &["newest"]);
        assert_eq!(phase, "prepare");
        assert!(message.contains("`nowhere_to_be_found` 4.2 in `postgres`") && message.contains("not here at all"), "{message}");
    }
}

#[test]
fn a_disk_without_room() {
    for version in MAJORS {
        let drills = Drills::new(version, "");
        let rig = &drills.rig;
        let Some(_small) = Small::mount(&rig.path("small"), "16m") else { return };
        drills.drills(&format!("drills: {{ newest: {{ restore: {{ latest: nightly }}, directory: {} }} }}", rig.path("small").display()));
        let (phase, message) = fails(&drills, &["newest"]);
        assert_eq!(phase, "prepare");
        assert!(message.contains("left, and the copy needs") || message.contains("the backup needs"), "{message}");
        assert_eq!(super::rig::copies(&rig.path("small")), Vec::<std::path::PathBuf>::new());
    }
}

/// The number of its port names a socket in a folder that is its own, so nobody can have taken it before; somebody may still be in the way of the
/// server when it starts.
#[test]
fn a_socket_that_cannot_be_there() {
    for version in MAJORS {
        let drills = Drills::new(version, NEWEST);
        let begin = || {
            // Slow enough that there is a moment between the folder and the server.
            let mut command = drills.command(&["drill", "newest", "--format", "json"]);
            command.env("SEAWALL_TEST_FAULTS", "slow=2MB/s").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
        };
        let (child, _, folder) = begin_until(&drills.place(), "files", &begin);
        let sockets = folder.join("s");
        fs::remove_dir(&sockets).expect("nothing is in it yet");
        fs::write(&sockets, "taken").expect("written");
        let record = said(child.wait_with_output().expect("it ends")).json();
        assert_eq!((&record["outcome"], &record["failure"]["phase"]), (&"failed".into(), &"consistent".into()), "{record:#}");
        let message = record["failure"]["message"].as_str().expect("why");
        assert!(message.contains("lock file") && message.contains(".s.PGSQL."), "{message}");
        is_told(&drills, "newest", message);
        drills.nothing_is_left();
    }
}

#[test]
fn an_expectation_that_is_not_met() {
    for version in MAJORS {
        let drills = Drills::new(
            version,
            r#"drills: { rows: { restore: { latest: nightly }, expect: { enough: { sql: "select count(*) from series", at_least: 1000 }, there: { sql: "select 1", is: 1 } } } }"#,
        );
        let (phase, message) = fails(&drills, &["rows"]);
        assert_eq!(phase, "expect");
        assert!(message.contains("`enough` is not met"), "{message}");
    }
}

#[test]
fn what_is_expected_and_is_not_so() {
    let drills = Drills::new(
        Version::V15,
        r#"
drills:
  program: { restore: { latest: nightly }, run: { run: [sh, -c, "echo orders are wrong; exit 3"] } }
  slow: { restore: { latest: nightly }, within: 1s }
  long: { restore: { latest: nightly }, timeout: 4s, run: { run: [sleep, "600"], timeout: 10m } }
  late: { restore: { latest: nightly }, run: { run: [sh, -c, "sleep 600 & sleep 600"], timeout: 1s } }
"#,
    );
    let record = drills.drill(1, &["program"]);
    assert_eq!((&record["failure"]["phase"], &record["command"]["output"]), (&"command".into(), &"orders are wrong".into()));
    let message = record["failure"]["message"].as_str().expect("why");
    assert!(message.contains("exit status 3") && message.contains("orders are wrong"), "{message}");
    let (phase, message) = fails(&drills, &["late"]);
    assert_eq!(phase, "command");
    assert!(message.contains("did not end within 1 s"), "{message}");
    // Too long is as wrong as broken: who ends it by hand says nothing of it, its own limit does.
    let (phase, message) = fails(&drills, &["long"]);
    assert_eq!(phase, "command");
    assert!(message.contains("drills.long.timeout"), "{message}");
    let said = drills.say_over("1MB/s", &["drill", "slow"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(
        said.out.starts_with("Drill `slow` of `shop` FAILED") && said.err.contains("`drills.slow.within` allows 1s"),
        "{}{}",
        said.out,
        said.err
    );
    drills.nothing_is_left();
}

#[test]
fn the_original_itself_and_what_lies_in_it() {
    let drills = Drills::new(Version::V15, "");
    let data = drills.rig.cluster.data();
    drills.drills(&format!("drills: {{ bad: {{ restore: {{ latest: nightly }}, directory: {}/base }} }}", data.display()));
    let (phase, message) = fails(&drills, &["bad"]);
    assert_eq!(phase, "prepare");
    assert!(message.contains("the original's data directory"), "{message}");
}
