//! Drills of a table alone, out of a backup of everything.

use serde_json::Value;

use super::killed::wait;
use super::passing::port_of;
use super::rig::{Drills, bytes_below, millis, phase, servers_below};
use crate::clusters::Version;

const DRILLS: &str = r#"
drills:
  series:
    restore: { latest: nightly, tables: [series] }
    within: 10m
    expect:
      rows: { sql: "select count(*) from series", is: 50 }
      fresh: { sql: "select max(at) from series", newer_than: 15m }
    run: { run: ["sh", "-c", 'test "$(psql -Atc "select max(id) from series")" = 51 && echo "${PGDATABASE}|${SEAWALL_DRILL}"'] }
  base: { restore: { random: nightly, tables: [public.series] }, expect: { rows: { sql: "select count(*) from series", is: 20 } } }
  sometime: { restore: { point_in_time: random, tables: [series] } }
  unmet: { restore: { latest: nightly, tables: [series] }, expect: { rows: { sql: "select count(*) from series", is: 49 } } }
  nothing: { restore: { latest: nightly, tables: [never] } }
  fleeting: { restore: { latest: nightly, tables: [fleeting] } }
  whole: { restore: { latest: nightly } }
"#;

fn tables(record: &Value) -> Value {
    record["restored"]["tables"].clone()
}

fn came_back(rows: u64) -> Value {
    serde_json::json!([{ "database": "postgres", "table": "public.series", "rows": rows }])
}

/// What `seawall plan` would reckon with.
fn measured(drills: &Drills) -> String {
    let exported: Value = serde_json::from_str(&drills.say(&["inventory", "export"]).out).expect("JSON");
    exported["clusters"]["shop"]["measured"]["known"].to_string()
}

fn passes(version: Version) {
    let drills = Drills::new(version, DRILLS);
    let rig = &drills.rig;
    rig.cluster
        .sql("create table bulk (id int, text text); insert into bulk select k, repeat(md5(k::text), 30) from generate_series(1, 40000) k");
    rig.cluster.sql("create unlogged table fleeting (n int); insert into fleeting values (1)");
    let backup = rig.backup();
    rig.archive();
    rig.cluster.sql("delete from series where id = 1; insert into series (v) values ('another')");
    rig.archive();

    let began = std::time::Instant::now();
    let record = drills.drill(0, &["series"]);
    let wall = began.elapsed().as_millis() as u64;
    assert_eq!((&record["outcome"], &record["restored"]["backup"]), (&"passed".into(), &backup.as_str().into()), "{record:#}");
    assert_eq!(tables(&record), came_back(50), "{record:#}");
    assert_eq!(record["expectations"].as_array().map(Vec::len), Some(2));
    assert_eq!(record["command"]["output"], "postgres|series");
    assert_eq!(record["opened_with"], rig.recipient.as_str());
    assert!(record["reached"]["lsn"].is_string() && record["reached"]["last_commit"].is_string(), "{record:#}");
    // The bulk stayed in the store.
    let bulk: u64 = rig.cluster.sql("select pg_relation_size('bulk')").parse().expect("a number");
    let (all, taken) = (record["restored"]["size"].as_u64().expect("bytes"), phase(&record, "files")["bytes"].as_u64().expect("bytes"));
    assert!(taken + bulk <= all, "{taken} of {all}, with {bulk}");
    let one_after_the_other = ["prepare", "files", "consistent", "replay", "count", "expect", "command", "remove"];
    let order: Vec<&str> = record["phases"].as_array().expect("phases").iter().filter_map(|phase| phase["phase"].as_str()).collect();
    let expected = ["prepare", "files", "fetch", "open", "write", "consistent", "replay", "count", "expect", "command", "remove"];
    assert_eq!(order, expected, "{record:#}");
    let sum: u64 = one_after_the_other.iter().map(|name| millis(&record, name)).sum();
    assert!(super::passing::is_all_of(sum, wall), "{sum} of {wall} ms: {record:#}");
    drills.nothing_is_left();

    // It is said before it is done, and on record as every other drill.
    let mut planning = drills.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    let plan = crate::restore::rig::said(planning.arg("plan").arg(rig.path("policy.yaml")).output().expect("it runs")).out;
    assert!(plan.contains("fetch the catalogs of `postgres` and `public.series` of a backup of `nightly`"), "{plan}");
    let text = drills.say(&["drill", "series"]).out;
    assert!(text.contains("`public.series` of `postgres`: 50 rows"), "{text}");
    assert!(drills.history().contains("drills.series"), "{}", drills.history());
    let verified = drills.say(&["verify"]);
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);

    // However fast that was, nobody reckons a recovery with it.
    assert!(!measured(&drills).contains("\"restore\":"), "{}", measured(&drills));
    drills.drill(0, &["whole"]);
    assert!(measured(&drills).contains("\"restore\":"), "{}", measured(&drills));
    drills.nothing_is_left();
}

#[test]
fn tables_come_back_without_the_rest_of_their_cluster_on_13() {
    passes(Version::V13);
}

#[test]
fn tables_come_back_without_the_rest_of_their_cluster_on_18() {
    passes(Version::V18);
}

#[test]
fn moments_failures_and_what_is_kept() {
    let drills = Drills::new(Version::V15, DRILLS);
    let rig = &drills.rig;
    // Of some backup its own end; of some moment what was committed by then.
    assert_eq!(tables(&drills.drill(0, &["base"])), came_back(20));
    let record = drills.drill(0, &["sometime"]);
    let asked: jiff::Timestamp = record["restored"]["target"].as_str().expect("a moment").parse().expect("a time");
    assert!(asked <= jiff::Timestamp::now(), "{record:#}");
    assert_eq!(tables(&drills.drill(0, &["sometime", "--time", &rig.after_row(40)])), came_back(40));
    drills.nothing_is_left();

    let record = drills.drill(1, &["unmet"]);
    assert_eq!((&record["outcome"], &record["failure"]["phase"]), (&"failed".into(), &"expect".into()), "{record:#}");
    assert_eq!(tables(&record), came_back(50));
    let record = drills.drill(1, &["nothing"]);
    assert!(record["failure"]["message"].as_str().is_some_and(|said| said.contains("public.never")), "{record:#}");
    drills.nothing_is_left();

    // Rows that no backup has are none that a recovery would bring back.
    rig.cluster.sql("create unlogged table fleeting (n int); insert into fleeting values (1)");
    rig.backup();
    rig.load(1);
    rig.archive();
    let record = drills.drill(1, &["fleeting"]);
    assert!(record["failure"]["message"].as_str().is_some_and(|said| said.contains("no backup has the rows of")), "{record:#}");
    drills.nothing_is_left();

    let record = drills.drill(1, &["series", "--keep"]);
    assert_eq!((&record["failure"]["phase"], tables(&record)), (&"expect".into(), came_back(51)), "{record:#}");
    let [copy] = &drills.copies()[..] else { panic!("one copy was kept: {:?}", drills.copies()) };
    let text = format!("host={} port={} user=postgres dbname=postgres", copy.join("s").display(), port_of(copy));
    let mut connection = seawall::postgres::Connection::connect(&crate::clusters::settings(&text)).expect("it was kept");
    let count = connection.query("select count(*)::text as n from series", &[]).expect("rows");
    assert_eq!(count.one().expect("one").get("n"), Some("51"));
    drop(connection);
    assert!(bytes_below(copy) > 0);
    assert!(drills.say(&["drill", "--remove"]).out.contains("removed"));
    drills.nothing_is_left();
}

#[test]
fn what_a_killed_one_left_goes_and_is_on_record() {
    let slow = DRILLS.replace("test \"$(psql", "sleep 600; test \"$(psql");
    let drills = Drills::new(Version::V15, &slow);
    let (mut child, process, folder) = drills.begin_until("series", "command");
    rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it lives");
    child.wait().expect("it ended");
    assert_eq!(drills.copies(), [folder]);
    let next = drills.say(&["watch"]);
    assert_eq!(next.code, 0, "{}{}", next.out, next.err);
    wait(&|| servers_below(&drills.place()).is_empty());
    drills.nothing_is_left();
    assert!(drills.history().contains("lost"), "{}", drills.history());
}
