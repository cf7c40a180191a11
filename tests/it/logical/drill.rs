//! Drills of dumps: into a private server and out of the way again.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::rig::{EVERYTHING, Ground, sql_in};
use crate::clusters::{Options, Version};
use crate::drill::passing::is_all_of;
use crate::drill::rig::{begin_until, copies, phase, servers_below};
use crate::faults::chance;
use crate::restore::rig::objects;

const DRILLS: &str = r#"
drills:
  monthly:
    restore: { latest: dump }
    within: 10m
    expect:
      rows: { sql: "select count(*) from types", is: 301 }
      like: { sql: "select sum(i) from types", like_source: 0% }
      all: { check: row-counts, database: shop }
      whole: { check: constraints-valid }
    run: { run: [sh, -c, 'echo "${PGDATABASE}|${PGUSER}"; test -S "$PGHOST/.s.PGSQL.$PGPORT"'] }
  some: { restore: { random: dump } }
"#;

pub fn place(ground: &Ground) -> PathBuf {
    ground.file("state/policies/try/drills")
}

pub fn nothing_is_left(ground: &Ground) {
    let place = place(ground);
    // One that was killed before it had its name goes a minute later, and is empty.
    let named = |folder: &PathBuf| !folder.to_string_lossy().contains("/new-");
    assert_eq!(copies(&place).into_iter().filter(named).collect::<Vec<_>>(), Vec::<PathBuf>::new());
    let began = Instant::now();
    while !servers_below(&place).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?} run on", servers_below(&place));
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn drills(ground: &Ground, text: &str) {
    let path = ground.file("policy.yaml");
    let policy = fs::read_to_string(&path).expect("the policy");
    fs::write(path, policy + text).expect("the policy");
}

/// One that ends with this code; its record.
pub fn drill(ground: &Ground, code: i32, words: &[&str]) -> Value {
    let said = ground.say(&[&["drill", "--format", "json"], words].concat());
    assert_eq!(said.code, Some(code), "{}\n{}", said.out, said.err);
    crate::cli::follows("drill-output", &said.out)
}

fn with(version: Version) -> [String; 2] {
    ["--start-with".to_owned(), version.programs().display().to_string()]
}

fn passes(from: Version, into: Version, logical: &str) {
    let ground = Ground::new(from, logical);
    let sql = |sql: &str| ground.rig.cluster.sql(sql);
    sql("create role \"clerk; --\" login password 'hush' in role pg_monitor");
    sql("create role reader; grant reader to \"clerk; --\"; alter role reader set search_path to public, \"$user\"");
    sql("alter database shop owner to \"clerk; --\"; grant connect on database shop to reader with grant option");
    sql("alter database shop set search_path to public, \"Sch \"\"ema\"; alter role reader in database shop set work_mem to '5MB'");
    ground.sql(EVERYTHING);
    ground.sql("alter table public.hen owner to \"clerk; --\"; grant select on public.types to reader");
    drills(&ground, DRILLS);
    ground.dump();
    let before = sql("select pg_current_wal_lsn() || ' ' || (select count(*) from pg_database)");
    let with = with(into);
    let began = Instant::now();
    let record = drill(&ground, 0, &["monthly", &with[0], &with[1]]);
    let wall = began.elapsed().as_millis() as u64;
    assert_eq!(record["outcome"], "passed", "{record:#}");
    assert_eq!(record["restored"]["kind"], "logical");
    // What came back, and what lies there, is what the dump has.
    let has = &record["restored"]["scope"]["databases"];
    assert!(has["whole"].is_boolean() && has["names"].as_array().is_some_and(|names| names.contains(&"shop".into())), "{record:#}");
    assert_eq!(record["expectations"].as_array().map(Vec::len), Some(4), "{record:#}");
    assert_eq!(record["command"]["output"], "shop|postgres");
    assert!(record["opened_with"].as_str().is_some_and(|key| key.starts_with("age1")), "{record:#}");
    let one_after_the_other = ["prepare", "check", "load", "index", "count", "expect", "command", "remove"];
    let sum: u64 = one_after_the_other.iter().map(|name| phase(&record, name)["millis"].as_u64().expect("a number")).sum();
    assert!(is_all_of(sum, wall), "{sum} of {wall}: {record:#}");
    assert!(phase(&record, "check")["bytes"].as_u64() < phase(&record, "load")["bytes"].as_u64(), "{record:#}");
    assert_eq!(record["remarks"].to_string().contains("the original is PostgreSQL"), from != into, "{record:#}");
    nothing_is_left(&ground);
    // On record in every place, and never among the rates of files.
    assert_eq!(objects(&ground.file("store"), "/drills/").len(), 2);
    assert!(ground.say(&["history"]).out.contains("drills.monthly"));
    ground.say(&["verify"]).ends_with_code(0);
    let inventory: Value = serde_json::from_str(&ground.say(&["inventory", "export"]).ends_with_code(0).out).expect("JSON");
    let measured = &inventory["clusters"]["try"]["measured"]["known"];
    let backups =
        inventory["clusters"]["try"]["stores"].as_object().expect("stores").values().find_map(|store| store["known"]["backups"].as_array());
    assert!(backups.is_some_and(|all| all.iter().any(|backup| backup["scope"]["databases"] == *has)), "{inventory:#}");
    assert!(measured["load"]["value"].is_string() && measured["restore"].is_null() && measured["fetch"].is_null(), "{inventory:#}");
    drill(&ground, 0, &["some", &with[0], &with[1]]);
    // To be looked at: owners, grants and settings are as they were.
    let record = drill(&ground, 0, &["monthly", "--keep", &with[0], &with[1]]);
    let [copy] = &copies(&place(&ground))[..] else { panic!("one copy was kept: {record:#}") };
    let port = fs::read_to_string(copy.join("data/postmaster.pid")).expect("a server").lines().nth(3).expect("a port").to_owned();
    let text = format!("host={} port={port} user=postgres dbname=shop", copy.join("s").display());
    let mut connection = seawall::postgres::Connection::connect(&crate::clusters::settings(&text)).expect("it was kept");
    let mut ask = |sql: &str| connection.query(sql, &[]).expect(sql).one().expect("one row").text("v").expect("text").to_owned();
    assert_eq!(ask("select tableowner as v from pg_tables where tablename = 'hen'"), "clerk; --");
    assert_eq!(ask("select pg_get_userbyid(datdba)::text as v from pg_database where datname = 'shop'"), "clerk; --");
    assert_eq!(ask("select has_table_privilege('reader', 'public.types', 'select')::text as v"), "true");
    assert_eq!(ask("select has_database_privilege('reader', 'shop', 'connect with grant option')::text as v"), "true");
    assert_eq!(ask("select pg_has_role('clerk; --', 'reader', 'member')::text as v"), "true");
    assert_eq!(ask("select current_setting('search_path') as v"), "public, \"Sch \"\"ema\"");
    let setting = "select setconfig[1] as v from pg_db_role_setting where setrole = 'reader'::regrole and setdatabase <> 0";
    assert_eq!(ask(setting), "work_mem=5MB");
    drop(connection);
    assert!(ground.say(&["drill", "--remove"]).out.contains("removed"));
    nothing_is_left(&ground);
    assert_eq!(
        sql("select pg_current_wal_lsn() || ' ' || (select count(*) from pg_database)").split(' ').next_back(),
        before.split(' ').next_back()
    );
}

#[test]
fn from_fifteen() {
    passes(Version::V15, Version::V15, "jobs: 2");
}

#[test]
fn from_eighteen() {
    passes(Version::V18, Version::V18, "");
}

/// Its `pg_dump` is that of 18, and what that writes goes into nothing older.
#[test]
fn from_thirteen_into_eighteen() {
    passes(Version::V13, Version::V18, "jobs: 3");
}

#[test]
fn what_a_recovery_would_meet_fails_it_and_is_named() {
    let ground = Ground::new(Version::V15, "globals: false, databases: [shop, postgres]");
    drills(&ground, "drills: { weekly: { restore: { latest: dump }, timeout: 5m } }\n");
    ground.change("databases: [shop], hosts", "databases: [shop, postgres], hosts");
    ground.sql("create table t (n int); insert into t select generate_series(1, 50000); create role \"gone; --\"");
    // The database that every server has comes back as it was.
    sql_in(&ground.rig.cluster, "postgres", "create table there (n int)");
    ground.dump();
    drill(&ground, 0, &["weekly"]);
    // No other moment than its own.
    for words in [["--time", "2026-01-01T00:00:00Z"].as_slice(), &["--random"]] {
        ground.say(&[&["drill", "weekly"], words].concat()).ends_with_code(1).says("no other moment");
    }
    // An owner whom nobody has dumped.
    ground.sql("alter table t owner to \"gone; --\"");
    ground.dump();
    let record = drill(&ground, 1, &["weekly"]);
    let failure = |record: &Value| (record["failure"]["phase"].clone(), record["failure"]["message"].as_str().expect("text").to_owned());
    let (phase, message) = failure(&record);
    assert!(phase == "load" && message.contains("role \"gone; --\" does not exist"), "{record:#}");
    assert!(record["failure"]["hint"].as_str().expect("text").contains("logical.globals"), "{record:#}");
    // An extension that is not installed here.
    ground.sql("alter table t owner to postgres; create extension adminpack");
    ground.dump();
    let with = with(Version::V18);
    let record = drill(&ground, 1, &["weekly", &with[0], &with[1]]);
    let (phase, message) = failure(&record);
    assert!(phase == "prepare" && message.contains("extension `adminpack`"), "{record:#}");
    drill(&ground, 0, &["weekly"]);
    // Damage is found before anything is loaded.
    let dump = ground.dump();
    ground.rig.shell_as_root(&format!(
        "f={}/dump-00001.pgdump.zst.age; chmod u+w $f; printf damaged | dd of=$f bs=1 seek=500 conv=notrunc 2>/dev/null",
        ground.folder(&dump)
    ));
    let record = drill(&ground, 1, &["weekly"]);
    let (phase, message) = failure(&record);
    assert!(phase == "check" && message.contains("SHA-256"), "{record:#}");
    nothing_is_left(&ground);
    // What is lost is not passed over for something older.
    ground.rig.shell_as_root(&format!("rm -r store/*/backups/*{0}* {1}", dump.descriptor.id, ground.folder(&dump)));
    ground.say(&["drill", "weekly"]).ends_with_code(1).says("is not there any more");
    nothing_is_left(&ground);
}

#[test]
fn killed_in_each_phase_it_is_found_and_removed() {
    let ground = Ground::new(Version::V15, "jobs: 2");
    ground.sql(EVERYTHING);
    ground.sql("create table much as select n, md5(n::text) as v from generate_series(1, 200000) n; create index on much (v)");
    drills(
        &ground,
        "drills: { slow: { restore: { latest: dump }, expect: { slow: { sql: \"select pg_sleep(1)\", some_rows: true } } } }\n",
    );
    ground.dump();
    let begin = || ground.command(&["drill", "slow"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
    let mut killed = Vec::new();
    for wanted in ["prepare", "load", "index", "count", "expect"] {
        let (mut child, process, _) = begin_until(&place(&ground), wanted, &begin);
        let _ = kill_process(process, Signal::KILL);
        child.wait().expect("it ended");
        killed.push(wanted);
        ground.say(&["run", "--due", "drills.slow"]).ends_with_code(0);
        nothing_is_left(&ground);
    }
    assert!(ground.say(&["history"]).out.matches("lost").count() >= killed.len() - 1, "{}", ground.say(&["history"]).out);
    // Asked to end, it clears away first.
    for (signal, code, at) in [(Signal::INT, 130, "load"), (Signal::TERM, 143, "expect")] {
        let (mut child, process, _) = begin_until(&place(&ground), at, &begin);
        kill_process(process, signal).expect("it lives");
        assert_eq!(child.wait().expect("it ended").code(), Some(code));
        nothing_is_left(&ground);
    }
    drill(&ground, 0, &["slow"]);
    nothing_is_left(&ground);
}

/// In the long lane only: as many tables as some applications have.
#[test]
fn ten_thousand_tables() {
    if !chance::is_long() {
        return;
    }
    let ground = Ground::with(Version::V15, Options::default().with("max_locks_per_transaction = 1000"), "jobs: 2");
    let make = "do $$ begin for k in 1..10000 loop execute format('create table %I (id int primary key, v text); insert into %I values (%s, %L)', \
                'T ' || k, 'T ' || k, k, 'x'); end loop; end $$";
    ground.sql(make);
    drills(&ground, "drills: { all: { restore: { latest: dump }, expect: { rows: { check: row-counts, database: shop } } } }\n");
    let dump = ground.dump();
    assert_eq!(dump.descriptor.files, 10_000);
    let record = drill(&ground, 0, &["all"]);
    assert_eq!(record["outcome"], "passed", "{record:#}");
    nothing_is_left(&ground);
}
