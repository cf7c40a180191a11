//! Drills of tiers: each is timed until it is usable, and held against what is promised of it.

use seawall::postgres::Connection;
use serde_json::Value;

use super::rig::{TIERS, fill};
use crate::clusters::{Options, Version};
use crate::drill::rig::{Drills, phase};
use crate::logical::drill::{drill, drills, nothing_is_left};
use crate::logical::rig::{Ground, sql_in};
use crate::run::rig::Said;

fn came(record: &Value) -> Vec<(String, u64)> {
    let tiers = record["tiers"].as_array().unwrap_or_else(|| panic!("no tiers in {record:#}"));
    let one = |tier: &Value| (tier["tier"].as_str().expect("a name").to_owned(), tier["millis"].as_u64().expect("it was usable"));
    tiers.iter().map(one).collect()
}

/// In this order, one after the other, and everything after all of them.
#[track_caller]
fn in_order(record: &Value, names: &[&str]) {
    assert_eq!(record["outcome"], "passed", "{record:#}");
    let came = came(record);
    assert_eq!(came.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names, "{record:#}");
    assert!(came.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{came:?}");
    let whole = record["recovery_millis"].as_u64().expect("all of it came");
    assert!(came.iter().all(|(_, millis)| *millis <= whole) && came[0].1 < whole, "{came:?} of {whole}");
    assert!(phase(record, "load")["millis"].as_u64().is_some_and(|load| load > 0));
}

#[test]
fn a_dump_is_drilled_tier_by_tier() {
    let ground = Ground::with(Version::V15, Options::default().with("timezone = 'UTC'"), "jobs: 2");
    ground.change("objectives: { rpo: 5m, rto: 1h }", &format!("objectives: {{ rpo: 5m, rto: 6h, {TIERS} }}"));
    fill(&ground.rig.cluster);
    drills(
        &ground,
        r#"
drills:
  tiers:
    restore: { latest: dump, tiers: [reports, critical] }
    expect:
      users: { sql: "select count(*) from users", is: 500 }
      log: { sql: "select count(*) from log", is: 900 }
      whole: { check: indexes-valid }
    run: { run: [sh, -c, 'test "$PGDATABASE" = shop && test -S "$PGHOST/.s.PGSQL.$PGPORT"'] }
hooks: { before_restore: { run: [sh, -c, "echo > hooked"] }, after_restore: { run: [sh, -c, "echo > hooked"] } }
"#,
    );
    ground.say(&["backup", "dump"]).ends_with_code(0);
    let record = drill(&ground, 0, &["tiers"]);
    in_order(&record, &["reports", "critical", "rest"]);
    // Users and accounts, and the members whom a policy of theirs reads.
    assert_eq!(record["tiers"][1]["rows"], 1040, "{record:#}");
    assert_eq!(record["tiers"][1]["rows"], 1040, "{record:#}");
    assert_eq!(record["expectations"].as_array().map(Vec::len), Some(3));
    nothing_is_left(&ground);
    // It is a drill and no recovery.
    assert!(!ground.file("hooked").exists());
    let history = ground.say(&["history"]).out;
    assert!(history.contains("drills.tiers") && !history.contains("restore"), "{history}");
    shown_everywhere(&ground, &record);
}

fn shown_everywhere(ground: &Ground, record: &Value) {
    let critical = came(record)[1].1;
    let inventory: Value = serde_json::from_str(&ground.say(&["inventory", "export"]).ends_with_code(0).out).expect("JSON");
    let cluster = &inventory["clusters"]["try"];
    assert_eq!(cluster["proven"]["known"]["drills"]["tiers"]["tiers"]["critical"]["millis"][0], critical, "{cluster:#}");
    // Tier by tier is not how everything would be loaded.
    assert!(cluster["measured"]["known"]["load"].is_null() && cluster["measured"]["known"]["restore"].is_null(), "{cluster:#}");
    ground.say(&["watch"]);
    let metrics = ground.say(&["metrics"]).out;
    let line = format!(r#"seawall_drill_tier_usable_seconds{{policy="try",drill="tiers",tier="critical"}} {}"#, critical as f64 / 1_000.0);
    assert!(metrics.contains(&line), "{line}: {metrics}");
    let report = crate::cli::follows("report", &ground.say(&["report", "--format", "json"]).out)["policies"][0].clone();
    let objective =
        report["objectives"].as_array().expect("promises").iter().find(|one| one["objective"] == "objectives.data.critical.rto");
    let objective = objective.unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(objective["state"], "kept", "{objective:#}");
    assert_eq!(report["drills"]["list"]["shown"][0]["tiers"][1]["tier"], "critical", "{report:#}");
    let mut plan = ground.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    let plan = plan.arg("plan").arg(ground.file("policy.yaml")).arg("--state").arg(ground.file("state"));
    let plan = String::from_utf8(plan.output().expect("it runs").stdout).expect("text");
    assert!(plan.contains("Tiers of data, drilled") && plan.contains("critical"), "{plan}");
}

#[test]
fn a_physical_backup_is_drilled_tier_by_tier() {
    let drills = Drills::with(Version::V15, Options { segment_mb: 1, ..Options::default().with("timezone = 'UTC'") }, "");
    let rig = &drills.rig;
    rig.change_policy("databases: [postgres]", "databases: [shop]");
    rig.change_policy("rto: 1h", &format!("rto: 6h\n  {TIERS}"));
    rig.change_policy("restore: 50MB/s,", "restore: 50MB/s, load: 20MB/s,");
    rig.cluster.sql("create database shop");
    fill(&rig.cluster);
    sql_in(&rig.cluster, "shop", "delete from fleeting");
    rig.backup();
    sql_in(&rig.cluster, "shop", "insert into users select k, 'later ' || k, null, k from generate_series(501, 510) k");
    rig.archive();
    drills.drills(
        r#"
drills:
  tiers:
    restore: { latest: nightly, tiers: [critical] }
    expect: { users: { sql: "select count(*) from users", is: 510 }, log: { sql: "select count(*) from log", is: 900 } }
"#,
    );
    let record = drills.drill(0, &["tiers"]);
    in_order(&record, &["critical", "rest", "reports"]);
    assert!(record["reached"]["lsn"].is_string(), "{record:#}");
    assert_eq!(record["opened_with"], rig.recipient.as_str());
    drills.nothing_is_left();
    // What lies in it is asked where it is wanted, and nothing of it stays behind in the other databases.
    let kept = drills.drill(0, &["tiers", "--keep"]);
    let [copy] = &drills.copies()[..] else { panic!("one copy was kept: {:?}", drills.copies()) };
    let port = crate::drill::passing::port_of(copy);
    let text = format!("host={} port={port} user=postgres dbname=shop", copy.join("s").display());
    let mut connection = Connection::connect(&crate::clusters::settings(&text)).expect("it was kept");
    let rows = connection.query("select count(*)::text as n from pg_namespace where nspname ~ 'seawall'", &[]).expect("rows");
    assert_eq!(rows.one().expect("one").get("n"), Some("0"), "{kept:#}");
    drop(connection);
    drills.say(&["drill", "--remove"]);
    drills.nothing_is_left();
    let said = Said::of(drills.command(&["drill", "tiers"]).output().expect("it runs"));
    assert!(said.out.contains("`critical` usable after"), "{}{}", said.out, said.err);
}
