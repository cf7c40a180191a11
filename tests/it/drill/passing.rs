//! Drills that find everything as it should be, on three majors.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use seawall::catalog::{Catalog, Where};

use super::rig::{Drills, bytes_below, millis, phase};
use crate::clusters::{Options, Version};
use crate::restore::rig::objects;

const DRILLS: &str = r#"
drills:
  newest:
    restore: { latest: nightly }
    within: 10m
    expect:
      rows: { sql: "select count(*) from series", is: 50 }
      fresh: { sql: "select max(at) from series", newer_than: 15m }
      whole: { check: constraints-valid }
    run: { run: ["sh", "-c", 'echo "${PGHOST}|${PGPORT}|${PGDATABASE}|${PGUSER}|${SECRET_OF_OURS:-clean}|${SEAWALL_DRILL}"; test -S "$PGHOST/.s.PGSQL.$PGPORT"'] }
  sometime: { restore: { point_in_time: random } }
  some: { restore: { random: nightly }, expect: { base: { sql: "select count(*) from series", is: 20 } } }
"#;

fn passes(version: Version) {
    let drills = Drills::new(version, DRILLS);
    let rig = &drills.rig;
    let original = Original::of(&drills);
    let began = Instant::now();
    let mut command = drills.command(&["drill", "newest", "--format", "json"]);
    let said = crate::restore::rig::said(command.env("SECRET_OF_OURS", "hunter2").output().expect("it runs"));
    let wall = began.elapsed().as_millis() as u64;
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    let record = crate::cli::follows("drill-output", &said.out);
    assert_eq!((&record["outcome"], &record["drill"]), (&"passed".into(), &"newest".into()), "{record:#}");
    assert_eq!(record["expectations"].as_array().map(Vec::len), Some(3));
    let said = record["command"]["output"].as_str().expect("what it said");
    assert!(said.ends_with("|postgres|postgres|clean|newest"), "{said}");
    assert_eq!(record["opened_with"], rig.recipient.as_str());
    assert!(record["reached"]["last_commit"].is_string() && record["reached"]["lsn"].is_string(), "{record:#}");
    against_the_stopwatch(&record, wall);
    assert_eq!(phase(&record, "write")["bytes"], record["restored"]["size"]);
    let backup = record["restored"]["backup"].as_str().expect("an id");
    let parts: u64 = objects(&rig.path("store"), backup)
        .iter()
        .filter(|path| path.to_string_lossy().contains(".tar."))
        .map(|path| fs::metadata(path).expect("a part").size())
        .sum();
    let fetched = phase(&record, "fetch")["bytes"].as_u64().expect("bytes");
    // What is left out are the headers of age and of its chunks.
    assert!(fetched <= parts && fetched * 10 >= parts * 9, "{fetched} of {parts}");
    drills.nothing_is_left();
    let catalog = Catalog::open_existing(&Where::Sqlite(rig.path("state").join("catalog.db"))).expect("it can be read").expect("a catalog");
    // Its values are moments, of `seawall watch`; how this one ended is in its record.
    assert!(catalog.latest("shop").expect("read").iter().all(|one| one.name != "drill_passed"));
    let record_of_newest = record;

    let said = crate::restore::rig::said(drills.command_in_place(&["drill", "some"]).output().expect("it runs"));
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    drills.nothing_is_left();

    // A moment by chance lies in the window, and brings back what was committed by then.
    for _ in 0..2 {
        let record = drills.drill(0, &["sometime"]);
        let asked: jiff::Timestamp = record["restored"]["target"].as_str().expect("a moment").parse().expect("a time");
        let stopped: jiff::Timestamp = record["restored"]["stopped"].as_str().expect("a moment").parse().expect("a time");
        assert!(asked >= stopped && asked <= jiff::Timestamp::now(), "{record:#}");
    }
    let time = rig.after_row(40);
    let record = drills.drill(0, &["sometime", "--time", &time, "--keep"]);
    // It is a run of its own, and none of the drill that the policy names.
    assert_eq!(record["chosen"], serde_json::json!(["moment"]));
    let last_of = |job: &str| catalog.last_runs("shop").expect("read").into_iter().find(|one| one.job == job).and_then(|one| one.last_run);
    assert!(last_of("drills.sometime.once") > last_of("drills.sometime") && last_of("drills.sometime").is_some());
    assert!(
        catalog
            .last_drills("shop")
            .expect("read")
            .iter()
            .filter(|row| row.drill == "sometime")
            .all(|row| !row.record.contains(r#""chosen""#))
    );
    let [copy] = &drills.copies()[..] else { panic!("one copy was kept: {:?}", drills.copies()) };
    let port = port_of(copy);
    let text = format!("host={} port={port} user=postgres dbname=postgres", copy.join("s").display());
    let mut connection = seawall::postgres::Connection::connect(&crate::clusters::settings(&text)).expect("it was kept");
    let count = connection.query("select count(*)::text as n from series", &[]).expect("rows");
    assert_eq!(count.one().expect("one").get("n"), Some("40"), "{record:#}");
    for (setting, expected) in [
        ("archive_mode", "off"),
        ("listen_addresses", ""),
        ("primary_conninfo", ""),
        ("max_connections", "30"),
        ("max_logical_replication_workers", "0"),
    ] {
        let rows = connection.query("select current_setting($1) as v", &[setting]).expect("a setting");
        assert_eq!(rows.one().expect("one").get("v"), Some(expected), "{setting}");
    }
    drop(connection);
    // Its number is nobody's on any network.
    TcpListener::bind(("0.0.0.0", port.parse::<u16>().expect("a port"))).expect("nobody listens there");
    assert!(drills.say(&["drill", "--remove"]).out.contains("removed"));
    drills.nothing_is_left();
    // To the backup's own end: what lies on the disk is what was written, and what a server leaves that has started once.
    let record = drills.drill(0, &["some", "--keep"]);
    let [copy] = &drills.copies()[..] else { panic!("one copy was kept: {:?}", drills.copies()) };
    let data = copy.join("data");
    let own: u64 = ["pg_wal", "pg_stat", "log"].iter().map(|name| bytes_below(&data.join(name))).sum();
    let (there, written) = (bytes_below(&data) - own, phase(&record, "write")["bytes"].as_u64().expect("bytes"));
    assert!(there.abs_diff(written) * 20 < written, "{there} bytes on the disk, {written} were written");
    assert!(drills.say(&["drill", "--remove"]).out.contains("removed"));

    // For Prometheus each part of the last run, as the record has it.
    drills.say(&["watch"]);
    let metrics = drills.say(&["metrics"]).out;
    for part in ["prepare", "files", "fetch", "write", "replay", "expect", "remove"] {
        let name = format!(r#"seawall_drill_last_phase_duration_seconds{{policy="shop",drill="newest",phase="{part}"}} "#);
        let seconds = metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse::<f64>().ok());
        assert_eq!(seconds, Some(millis(&record_of_newest, part) as f64 / 1000.0), "{part}: {metrics}");
    }

    // On record: in the catalog, beside the backup, in the audit chain; and nobody takes it for something strange.
    let records = objects(&rig.path("store"), "/drills/");
    let of = |end: &str| records.iter().filter(|path| path.to_string_lossy().ends_with(end)).count();
    assert_eq!((of(".json"), of(".json.sig")), (6, 6), "{records:?}");
    assert!(drills.history().contains("drills.newest"), "{}", drills.history());
    assert!(drills.say(&["audit", "show"]).out.contains("drill"), "{}", drills.say(&["audit", "show"]).out);
    let verified = drills.say(&["verify"]);
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
    assert!(!verified.out.contains("does not know"), "{}", verified.out);
    original.is_untouched(&drills);
}

pub fn port_of(copy: &std::path::Path) -> String {
    let file = fs::read_to_string(copy.join("data/postmaster.pid")).expect("a server");
    file.lines().nth(3).expect("a port").trim().to_owned()
}

/// The phases together are the time that somebody outside has measured, but for what a program needs to begin and to write down what came of
/// it: more on a busy machine, on which everything else takes more as well.
pub(crate) fn is_all_of(sum: u64, wall: u64) -> bool {
    sum <= wall && wall - sum < (sum / 2).max(1500)
}

/// The phases are all of the time, and fetching, opening and writing fit into that of the files.
fn against_the_stopwatch(record: &serde_json::Value, wall: u64) {
    let one_after_the_other = ["prepare", "files", "sync", "consistent", "replay", "expect", "command", "remove"];
    let sum: u64 = one_after_the_other.iter().map(|name| millis(record, name)).sum();
    assert!(is_all_of(sum, wall), "{sum} of {wall} ms: {record:#}");
    let recovery = record["recovery_millis"].as_u64().expect("a number");
    let until: u64 = one_after_the_other[..5].iter().map(|name| millis(record, name)).sum();
    assert!(recovery.abs_diff(until) < (until / 10).max(100), "{recovery} and {until}");
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64 + 1;
    let busy: u64 = ["fetch", "open", "write"].iter().map(|name| millis(record, name)).sum();
    assert!(busy <= millis(record, "files") * threads + 50, "{record:#}");
}

/// What no drill may change.
pub(super) struct Original {
    identifier: String,
    archived: String,
    settings: String,
    files: u64,
}

impl Original {
    pub(super) fn of(drills: &Drills) -> Original {
        let cluster = &drills.rig.cluster;
        Original {
            identifier: cluster.sql("select system_identifier from pg_control_system()"),
            archived: cluster.sql("select failed_count || ' ' || timeline_id from pg_stat_archiver, pg_control_checkpoint()"),
            settings: fs::read_to_string(cluster.data().join("postgresql.auto.conf")).expect("settings"),
            files: bytes_below(&cluster.data().join("base")),
        }
    }

    pub(super) fn is_untouched(&self, drills: &Drills) {
        let now = Original::of(drills);
        assert_eq!((&self.identifier, &self.archived, &self.settings), (&now.identifier, &now.archived, &now.settings));
        assert_eq!(self.files, now.files);
        let histories = objects(&drills.rig.path("store"), ".history");
        assert!(histories.is_empty(), "a copy has archived: {histories:?}");
    }
}

#[test]
fn a_drill_passes_on_13() {
    passes(Version::V13);
}

#[test]
fn a_drill_passes_on_15() {
    passes(Version::V15);
}

#[test]
fn a_drill_passes_on_18() {
    passes(Version::V18);
}

/// Tablespaces lie below the drill's own folder, and not where the original's are.
#[test]
fn tablespaces_and_a_place_of_its_own() {
    let drills = Drills::new(Version::V15, "");
    let rig = &drills.rig;
    rig.shell("mkdir space elsewhere");
    rig.cluster.sql(&format!("create tablespace fast location '{}'", rig.path("space").display()));
    rig.cluster.sql("create table in_it tablespace fast as select generate_series(1, 1000) as n");
    rig.backup();
    rig.load(5);
    rig.archive();
    drills.drills(&format!(
        "drills: {{ there: {{ restore: {{ latest: nightly }}, directory: {}, expect: {{ n: {{ sql: \"select count(*) from in_it\", is: 1000 }} }} }} }}",
        rig.path("elsewhere").display()
    ));
    let before = bytes_below(&rig.path("space"));
    drills.drill(0, &["there"]);
    assert_eq!(bytes_below(&rig.path("space")), before);
    assert_eq!(super::rig::copies(&rig.path("elsewhere")), Vec::<std::path::PathBuf>::new());
    drills.nothing_is_left();
}

/// By the clock, as every other job; on the host that it was given to, and on no other.
#[test]
fn it_runs_when_it_is_owed_and_only_where_it_is_meant() {
    let drills = Drills::with(Version::V15, Options { segment_mb: 1, ..Options::default() }, "");
    drills.drills("drills: { often: { restore: { point_in_time: newest }, schedule: { every: 1h }, host: staging-1, rehearses: loss } }");
    drills.rig.change_policy("  rto: 1h", "  rto: 1h\n  scenarios: { loss: { recover: cluster, rto: 30m } }");
    drills.rig.change_policy(
        "databases: [postgres],",
        "databases: [postgres], hosts: { db-1: { role: primary }, staging-1: { role: staging } },",
    );
    let there = drills.say(&["run", "--due", "often", "--host", "db-1"]);
    assert!(there.out.contains("nothing is owed"), "{}{}", there.out, there.err);
    let refused = drills.say(&["drill", "often", "--host", "db-1"]);
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("runs on staging-1"), "{}", refused.err);
    // It was first seen just now; asked for, it runs.
    let ran = drills.say(&["run", "often", "--host", "staging-1"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let plan = drills.say(&["history", "--format", "json"]);
    assert!(plan.out.contains("drills.often"), "{}", plan.out);
    drills.nothing_is_left();
}
