//! Drills of jobs of chosen tables: restored, loaded, or read back, each as its form allows, and compared.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::chosen::{rows, taken, with};
use super::drill::{drill, drills, nothing_is_left, place};
use super::rig::{EVERYTHING, Ground};
use crate::clusters::{Options, Version};
use crate::drill::killed::ours;
use crate::drill::rig::{copies, phase};
use crate::restore::rig::objects;

/// Tables that need nothing but themselves, and one that leads to another.
const GOODS: &str = r#"
    create schema "Sch ""ema";
    create table customers (id int primary key, email text);
    create table orders (id bigint generated always as identity primary key, customer int not null references customers, at timestamptz,
        total numeric(10, 2) check (total >= 0), twice numeric generated always as (total * 2) stored, note text);
    create index on orders (customer) where total > 1;
    create function heard() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger heard before insert on orders for each row execute function heard();
    create table "Sch ""ema"."; drop table x --" ("sel""ect" int, " " text);
    create table parts (at date, n int) partition by range (at);
    create table parts_1 partition of parts for values from ('2026-01-01') to ('2026-02-01');
    insert into customers select k, 'c' || k from generate_series(1, 20) k;
    insert into orders (customer, at, total, note) select 1 + k % 20, '2026-11-22Z'::timestamptz + k * interval '1.5 s', k / 3.0,
        E'line\none, "q" \\. Ü🐘' || repeat('x', k % 90) from generate_series(1, 500) k;
    insert into orders (customer) values (1);
    insert into "Sch ""ema"."; drop table x --" values (1, E'\\.'), (2, null), (3, E'\n'), (4, '');
    insert into parts select '2026-01-01'::date + k, k from generate_series(0, 29) k;
"#;
const NAMES: &str = r#"orders, parts, '"Sch ""ema"."; drop table x --"'"#;
/// `DB` stands for the database.
const DRILL: &str = r#"
drills:
  tables:
    restore: { latest: some }
    within: 10m
    expect:
      rows: { sql: "select count(*) from orders", is: 501 }
      sum: { sql: "select sum(total) from orders", at_least: 41000 }
      all: { check: row-counts, database: shop }
    run: { run: [sh, -c, 'echo "${PGDATABASE}|${PGUSER}"; test -S "$PGHOST/.s.PGSQL.$PGPORT"'] }
"#;

fn made(version: Version, format: &str, names: &str, sql: &str) -> Ground {
    let ground = Ground::with(version, Options::default().with("lc_monetary = 'C'").with("timezone = 'Asia/Kolkata'"), "");
    ground.sql(sql);
    with(&ground, &format!("format: {format}, tables: [{names}]"));
    ground
}

fn failure(record: &Value) -> (String, String) {
    let text = |key: &str| record["failure"][key].as_str().expect("text").to_owned();
    (text("phase"), text("message"))
}

/// The dump knows of keys that lead to tables it does not have: these are left out, and said.
#[test]
fn out_of_pg_dumps_format() {
    // The dump of 13 is made by a newer `pg_dump`, and goes into nothing older than that.
    for version in [Version::V15, Version::V13] {
        let ground = made(version, "custom", NAMES, GOODS);
        drills(&ground, DRILL);
        ground.sql("create role clerk; alter table orders owner to clerk; grant select on parts to clerk");
        taken(&ground);
        let record = drill(&ground, 0, &["tables"]);
        assert_eq!((&record["outcome"], &record["restored"]["kind"]), (&"passed".into(), &"tables".into()), "{record:#}");
        assert_eq!(record["remarks"].to_string().contains("the original is PostgreSQL 13"), version == Version::V13, "{record:#}");
        assert_eq!(record["expectations"].as_array().map(Vec::len), Some(3), "{record:#}");
        assert_eq!(record["command"]["output"], "shop|postgres");
        assert!(record["opened_with"].as_str().is_some_and(|key| key.starts_with("age1")), "{record:#}");
        let remarks = record["remarks"].to_string();
        assert!(remarks.contains("1 foreign key") && remarks.contains("1 trigger") && remarks.contains("left out"), "{remarks}");
        assert!(!remarks.contains("globals"), "{remarks}");
        for name in ["prepare", "check", "load", "index", "count", "expect", "command", "remove"] {
            assert!(phase(&record, name)["millis"].is_u64(), "{name}");
        }
        nothing_is_left(&ground);
        assert_eq!(objects(&ground.file("store"), "/drills/").len(), 2);
        // It says nothing of how fast a whole dump is loaded.
        let inventory: Value = serde_json::from_str(&ground.say(&["inventory", "export"]).ends_with_code(0).out).expect("JSON");
        assert!(inventory["clusters"]["try"]["measured"]["known"]["load"].is_null(), "{inventory:#}");
        let plan = ground.say(&["plan"]);
        assert!(!plan.out.contains("drills.tables is not"), "{}", plan.out);
    }
}

#[test]
fn out_of_csv() {
    for version in [Version::V15, Version::V13] {
        let ground = made(version, "csv", NAMES, GOODS);
        drills(&ground, DRILL);
        taken(&ground);
        let with = ["tables", "--start-with", &version.programs().display().to_string()].map(str::to_owned);
        let words: Vec<&str> = with.iter().map(String::as_str).collect();
        let record = drill(&ground, 0, &words);
        assert_eq!((&record["outcome"], &record["restored"]["kind"]), (&"passed".into(), &"tables".into()), "{record:#}");
        assert!(!record["remarks"].to_string().contains("as text"), "{record:#}");
        assert!(phase(&record, "load")["bytes"].as_u64().is_some_and(|bytes| bytes > 10_000), "{record:#}");
        nothing_is_left(&ground);
        // What came back is what was there, by another's reckoning.
        drill(&ground, 0, &[&words[..], &["--keep"]].concat());
        let [copy] = &copies(&place(&ground))[..] else { panic!("one copy was kept") };
        let port = fs::read_to_string(copy.join("data/postmaster.pid")).expect("a server").lines().nth(3).expect("a port").to_owned();
        let text = format!("host={} port={port} user=postgres dbname=shop", copy.join("s").display());
        let mut connection = seawall::postgres::Connection::connect(&crate::clusters::settings(&text)).expect("it was kept");
        let listed = "select count(*) || md5(string_agg((id, customer, at, total, note)::text, '|' order by id)) as v from orders";
        connection.run("set timezone = 'UTC'").expect("set");
        let there = connection.query(listed, &[]).expect("rows").one().expect("one").text("v").expect("text").to_owned();
        assert_eq!(there, ground.sql(&format!("set timezone = 'UTC'; {listed}")));
        drop(connection);
        ground.say(&["drill", "--remove"]).ends_with_code(0).says("removed");
        nothing_is_left(&ground);
    }
}

/// Types that only the database itself has: CSV has their values and not them, and that is said; a dump of tables has them beside it. What the tables
/// need besides is in none.
#[test]
fn types_of_ones_own() {
    let ground = made(Version::V15, "csv", "types", EVERYTHING);
    drills(
        &ground,
        "drills: { tables: { restore: { latest: some }, expect: { rows: { sql: \"select count(*) from types where mo = 'ok' or true\", is: 301 } } } }\n",
    );
    taken(&ground);
    let record = drill(&ground, 0, &["tables"]);
    let remarks = record["remarks"].to_string();
    for column in ["mo", "p", "pr"] {
        assert!(remarks.contains(&format!("`{column}`")), "{column}: {remarks}");
    }
    assert!(remarks.contains("came back as text"), "{remarks}");
    assert!(rows(&ground, "shop", "types").starts_with("301 "));
    ground.change("format: csv", "format: custom");
    taken(&ground);
    let record = drill(&ground, 0, &["tables"]);
    assert!(!record["remarks"].to_string().contains("came back as text"), "{record:#}");
    ground.sql("create sequence numbers; alter table types alter column i set default nextval('numbers')");
    taken(&ground);
    let record = drill(&ground, 1, &["tables"]);
    let (phase, message) = failure(&record);
    assert!(phase == "load" && message.contains("does not exist"), "{record:#}");
    assert!(record["failure"]["hint"].as_str().is_some_and(|hint| hint.contains("`logical` dumps it with the rest")), "{record:#}");
    nothing_is_left(&ground);
}

#[test]
fn parquet_is_read_back() {
    let ground = made(Version::V15, "parquet", NAMES, GOODS);
    drills(&ground, "drills: { tables: { restore: { latest: some }, within: 10m } }\n");
    let id = taken(&ground);
    let record = drill(&ground, 0, &["tables"]);
    assert_eq!((&record["outcome"], &record["restored"]["kind"]), (&"passed".into(), &"tables".into()), "{record:#}");
    assert!(record["remarks"].to_string().contains("535 rows were read back"), "{record:#}");
    assert!(record["opened_with"].as_str().is_some_and(|key| key.starts_with("age1")), "{record:#}");
    nothing_is_left(&ground);
    // Nobody can be asked: refused where the policy says so, and where an old backup still is so.
    ground.change("within: 10m", "expect: { rows: { check: row-counts } }");
    ground.say(&["drill", "tables"]).ends_with_code(1).says("no table is made that could be asked");
    ground.change("format: parquet", "format: csv");
    let record = drill(&ground, 1, &["tables"]);
    assert!(failure(&record).1.contains("has its rows as Parquet"), "{record:#}");
    ground.change("format: csv", "format: parquet");
    ground.change("expect: { rows: { check: row-counts } }", "within: 10m");
    damage(&ground, &id);
    let record = drill(&ground, 1, &["tables"]);
    let (phase, message) = failure(&record);
    assert!(phase == "check" && message.contains("SHA-256"), "{record:#}");
    nothing_is_left(&ground);
}

fn damage(ground: &Ground, id: &str) {
    ground.rig.shell_as_root(&format!(
        "f=$(ls store/*/data/{id}/table-00001.*); chmod u+w $f; printf damaged | dd of=$f bs=1 seek=400 conv=notrunc 2>/dev/null"
    ));
}

/// A policy of dumps alone: no log, no physical backup, and the store is found all the same.
#[test]
fn where_there_is_nothing_but_tables() {
    let ground = made(Version::V15, "csv", NAMES, GOODS);
    let path = ground.file("policy.yaml");
    let text = fs::read_to_string(&path).expect("the policy");
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("wal:")).collect();
    fs::write(&path, kept.join("\n") + "\n").expect("the policy");
    drills(&ground, DRILL);
    let id = taken(&ground);
    assert_eq!(drill(&ground, 0, &["tables"])["restored"]["backup"], id.as_str());
    ground.change("latest: some", "random: some");
    drill(&ground, 0, &["tables"]);
    damage(&ground, &id);
    let record = drill(&ground, 1, &["tables"]);
    assert_eq!(failure(&record).0, "check", "{record:#}");
    nothing_is_left(&ground);
}

#[test]
fn killed_while_it_loads_it_is_found_and_removed() {
    let ground = made(Version::V15, "csv", NAMES, GOODS);
    ground.sql("insert into orders (customer, total, note) select 1, k, repeat('y', 300) from generate_series(1, 100000) k");
    drills(&ground, "drills: { tables: { restore: { latest: some } } }\n");
    taken(&ground);
    for wanted in ["prepare", "load", "count"] {
        let mut child = ground.command(&["drill", "tables"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
        let process = ours(&child);
        let began = Instant::now();
        loop {
            let phases = copies(&place(&ground)).into_iter().map(|folder| fs::read_to_string(folder.join("phase")).unwrap_or_default());
            if phases.into_iter().any(|at| at == wanted || (wanted == "prepare" && at.is_empty())) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(60) && child.try_wait().expect("asked").is_none(), "{wanted} was not seen");
            std::thread::sleep(Duration::from_micros(300));
        }
        let _ = kill_process(process, Signal::KILL);
        child.wait().expect("it ended");
        ground.say(&["run", "--due", "drills.tables"]).ends_with_code(0);
        nothing_is_left(&ground);
    }
    drill(&ground, 0, &["tables"]);
    nothing_is_left(&ground);
}
