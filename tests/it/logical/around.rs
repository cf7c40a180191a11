//! What is around a database that comes back: who sits in it, what is left of others, what goes with the one that is set aside.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use seawall::postgres::Connection;

use super::rig::{EVERYTHING, Ground, connect, hashes, sql_in};
use crate::clusters::{Options, Version};
use crate::run::rig::Said;

fn into(ground: &Ground, database: &str, more: &[&str]) -> Said {
    ground.say(&[&["restore", "--into-database", database, "--yes"], more].concat())
}

const PUBLIC: &str = "select string_agg(a.privilege_type, ' ' order by a.privilege_type) from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a \
                      where d.datname = current_database() and a.grantee = 0";

/// Connects to whatever is being made, and stays there.
fn sit<'s>(scope: &'s thread::Scope<'s, '_>, ground: &'s Ground, user: &'static str, over: &'s AtomicBool, sat: &'s AtomicUsize) {
    scope.spawn(move || {
        let mut asking = connect(&ground.rig.cluster, "postgres");
        while !over.load(Ordering::Relaxed) {
            let rows =
                asking.query("select datname as name from pg_database where datname like 'seawall\\_restore\\_%'", &[]).expect("names");
            let name = rows.iter().next().and_then(|row| row.get("name")).map(str::to_owned);
            let Some(name) = name else { continue };
            let mut settings = ground.rig.cluster.settings().with_dbname(&name);
            user.clone_into(&mut settings.user);
            let Ok(mut session) = Connection::connect(&settings) else { continue };
            sat.fetch_add(1, Ordering::Relaxed);
            while !over.load(Ordering::Relaxed) && session.query("select 1", &[]).is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
        }
    });
}

#[test]
fn whoever_sits_in_what_is_being_made_does_not_keep_it_from_its_name() {
    let ground = Ground::new(Version::V15, "jobs: 2");
    ground.sql(EVERYTHING);
    ground.rig.cluster.sql("create role monitor login");
    ground.dump();
    let (over, plain, superuser) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        sit(scope, &ground, "monitor", &over, &plain);
        sit(scope, &ground, "postgres", &over, &superuser);
        let said =
            [&["back", "--create"][..], &["shop", "--replace", "--end-connections"]].map(|words| into(&ground, words[0], &words[1..]));
        over.store(true, Ordering::Relaxed);
        for said in said {
            said.ends_with_code(0);
        }
    });
    assert!(superuser.load(Ordering::Relaxed) > 0, "nobody sat there");
    assert_eq!(plain.load(Ordering::Relaxed), 0, "it is open to everybody while it is made");
    for database in ["back", "shop"] {
        assert_eq!(sql_in(&ground.rig.cluster, database, PUBLIC), "CONNECT TEMPORARY", "{database}");
    }
    assert_eq!(hashes(&ground.rig.cluster, "back"), hashes(&ground.rig.cluster, "shop"));
}

#[test]
fn what_is_left_of_others_and_what_stays_behind_is_told_before() {
    let ground = Ground::with(Version::V15, Options::default().with("lc_monetary = 'C'").with("wal_level = logical"), "");
    ground.sql("create table orders (n int); insert into orders values (1); create extension hstore version '1.4'");
    ground.dump();
    ground.rig.cluster.sql("create database seawall_restore_0123abcd");
    ground.rig.cluster.sql("create database seawall_restore_busy");
    let _busy = connect(&ground.rig.cluster, "seawall_restore_busy");
    ground.sql("select pg_create_logical_replication_slot('cdc', 'pgoutput')");
    let said = into(&ground, "back", &["--create"]).ends_with_code(0);
    assert!(said.out.contains("`drop database \"seawall_restore_0123abcd\";`"), "{}", said.out);
    assert!(!said.out.contains("seawall_restore_busy") && !said.out.contains("cdc"), "{}", said.out);
    assert!(said.out.contains("`hstore` 1.8 instead of 1.4, which is here too"), "{}", said.out);
    // Whoever reads it is a session like others.
    ground.sql("create publication everything for all tables");
    let mut reader = Command::new(Version::V15.programs().join("pg_recvlogical"));
    reader
        .args(["-S", "cdc", "--start", "-f", "/dev/null", "-o", "proto_version=1", "-o", "publication_names=everything", "-d"])
        .stderr(Stdio::null());
    let mut reader = reader.arg(ground.rig.cluster.conninfo().replace("dbname=postgres", "dbname=shop")).spawn().expect("pg_recvlogical");
    ground.rig.cluster.wait_until("exists (select from pg_replication_slots where active)");
    let refused = into(&ground, "shop", &["--replace"]);
    let said = into(&ground, "shop", &["--replace", "--end-connections"]);
    reader.kill().expect("it runs");
    reader.wait().expect("its end");
    refused.ends_with_code(1).says("1 session is connected");
    let said = said.ends_with_code(0);
    assert!(said.out.contains("the replication slot `cdc` (pgoutput) stays with what is set aside"), "{}", said.out);
    assert_eq!(ground.rig.cluster.sql("select database ~ '^shop_before_' from pg_replication_slots"), "t");
}

/// What would keep it from its name, or leave it without its indexes, is found before an hour is spent on it.
#[test]
fn what_would_fail_at_the_end_is_refused_at_the_beginning() {
    let options = Options::default().with("lc_monetary = 'C'").with("max_prepared_transactions = 5");
    let ground = Ground::with(Version::V15, options, "");
    let cluster = &ground.rig.cluster;
    let place = ground.file("ts-fast");
    std::fs::create_dir(&place).expect("a folder");
    cluster.account().own(&place);
    cluster.sql(&format!("create tablespace fast location '{}'", place.display()));
    ground
        .sql("create table orders (n int, at int); insert into orders values (1, 1); create index by_time on orders (at) tablespace fast");
    ground.dump();

    ground.sql("drop index by_time");
    cluster.sql("drop tablespace fast");
    let said = into(&ground, "back", &["--create"]).ends_with_code(1);
    assert!(
        said.err.contains("in the tablespace `fast`, and this server does not") && said.err.contains("--no-tablespaces"),
        "{}",
        said.err
    );
    into(&ground, "back", &["--create", "--no-tablespaces"]).ends_with_code(0);
    assert_eq!(sql_in(cluster, "back", "select reltablespace from pg_class where relname = 'by_time'"), "0");

    let replace = ["--replace", "--end-connections", "--no-tablespaces"];
    ground.sql("begin; insert into orders values (2, 2); prepare transaction 'of an application'");
    let said = into(&ground, "shop", &replace).ends_with_code(1);
    assert!(said.err.contains("`of an application` is prepared in the database `shop`"), "{}", said.err);
    assert!(said.err.contains("rollback prepared 'of an application';"), "{}", said.err);
    into(&ground, "shop", &["--occupied", "--snapshot", "--end-connections", "--no-tablespaces"]).ends_with_code(1).says("is prepared");
    ground.sql("rollback prepared 'of an application'");
    ground.sql("create subscription feed connection 'host=/nowhere dbname=x' publication p with (connect = false, slot_name = 's')");
    ground.sql("alter subscription feed enable");
    let said = into(&ground, "shop", &replace).ends_with_code(1);
    assert!(said.err.contains("the subscription `feed` receives into the database `shop`"), "{}", said.err);
    assert_eq!(ground.sql("select count(*) from pg_stat_activity where datname like 'seawall_restore_%'"), "0");
    ground.sql("alter subscription feed disable");
    let said = into(&ground, "shop", &replace).ends_with_code(0);
    assert!(said.out.contains("the subscription `feed` stays with what is set aside"), "{}", said.out);
}

#[test]
fn a_database_that_something_comes_into_is_copied_first_where_that_is_wanted() {
    let ground = Ground::new(Version::V15, "");
    ground.sql("create table orders (n int); insert into orders select generate_series(1, 100)");
    ground.dump();
    ground.rig.cluster.sql("create database \"it's\"");
    sql_in(&ground.rig.cluster, "it's", "create table precious (n int); insert into precious values (42)");
    into(&ground, "it's", &["--snapshot"]).ends_with_code(64);
    let mut idle = connect(&ground.rig.cluster, "it's");
    into(&ground, "it's", &["--occupied", "--snapshot"]).ends_with_code(1).says("only one that nobody uses can be copied");
    let said = into(&ground, "it's", &["--occupied", "--snapshot", "--end-connections"]).ends_with_code(0);
    assert!(idle.query("select 1", &[]).is_err(), "it was sent away");
    let copy = ground.rig.cluster.sql("select datname from pg_database where datname ~ 'before'");
    assert!(
        copy.starts_with("it's_before_") && said.out.contains(&format!("what was there before is in `{copy}`")),
        "{copy}: {}",
        said.out
    );
    assert_eq!(sql_in(&ground.rig.cluster, &copy, "select n, to_regclass('orders') is null from precious"), "42|t");
    assert_eq!(sql_in(&ground.rig.cluster, "it's", "select (select n from precious), count(*) from orders"), "42|100");
    // What fails in the middle says where it is.
    let said = into(&ground, "it's", &["--occupied", "--snapshot"]).ends_with_code(1);
    assert!(said.err.contains("already exists") && said.err.contains("what was there before is in `it's_before_"), "{}", said.err);
}

#[test]
fn how_much_and_how_long_is_told_before_and_what_was_chosen_is_counted() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(EVERYTHING);
    ground.dump();
    let said = into(&ground, "back", &["--create"]).ends_with_code(0);
    assert!(said.out.contains("not known: nothing was measured yet") && said.out.contains("with its indexes"), "{}", said.out);
    let said = into(&ground, "some", &["--create", "--table", "wide", "--table", "types"]).ends_with_code(1);
    assert!(said.err.contains("mood"), "{}", said.err);
    let said = into(&ground, "some", &["--create", "--table", "wide", "--table", "wider"]).ends_with_code(0);
    assert!(said.out.contains("7000 in 2 tables, as many as in the dump"), "{}", said.out);
    assert!(said.out.contains("by what was measured"), "{}", said.out);
    // A trigger that is there already changes what comes.
    ground.rig.cluster.sql("create database used");
    into(&ground, "used", &["--table", "wide", "--section", "pre-data"]).ends_with_code(0).says("not compared");
    let said = ground.say(&["restore", "--table", "wide", "--job", "dump", "--csv", "-", "--yes"]).ends_with_code(0);
    assert!(said.err.contains("at most about") && said.err.contains("by the tables' share of all rows"), "{}", said.err);
}
