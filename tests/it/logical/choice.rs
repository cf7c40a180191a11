//! Which dump comes back, where there are several.

use std::fs;

use super::rig::{Ground, sql_in};
use crate::clusters::Version;
use crate::run::rig::Said;

fn into(ground: &Ground, database: &str, more: &[&str]) -> Said {
    ground.say(&[&["restore", "--into-database", database, "--yes"], more].concat())
}

fn taken(ground: &Ground, job: &str) -> String {
    let said = ground.say(&["backup", job, "--format", "json"]).ends_with_code(0);
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    json["id"].as_str().unwrap_or_else(|| panic!("{json:#}")).to_owned()
}

/// A job `name` before all others.
fn job(ground: &Ground, name: &str, logical: &str, store: &str) {
    let job = format!(
        "backups: {{ {name}: {{ logical: {{ {logical} }}, schedule: {{ at: \"04:00\" }}, keep: {{ last: 2 }}, takes: 1m, size: 1MB, store: {store} }}, "
    );
    ground.change("backups: { ", &job);
}

/// A second store, before the other one by its name.
fn with_alpha() -> Ground {
    let ground = Ground::new(Version::V15, "");
    ground.sql("create table orders (n int); insert into orders values (1)");
    let alpha = ground.file("alpha");
    fs::create_dir(&alpha).expect("a folder");
    ground.rig.cluster.account().own(&alpha);
    let stores = format!("stores: {{ alpha: {{ local: {{ path: {}, other_device: false }} }}, ", alpha.display());
    ground.change("stores: { ", &stores);
    ground.change("schedule: { at: \"03:00\" }", "store: disk, schedule: { at: \"03:00\" }");
    ground.change("keep: { daily: 7 }", "keep: { daily: 7 }, store: disk");
    ground
}

/// The rows of a table are no more replaced by a guess than a whole database is.
#[test]
fn a_table_is_not_replaced_by_what_may_be_an_older_dump() {
    let ground = with_alpha();
    job(&ground, "all", "", "alpha");
    ground.change("store: disk, schedule: { at: \"03:00\" }", "store: alpha, schedule: { at: \"03:00\" }");
    let older = taken(&ground, "dump");
    ground.change("store: alpha, schedule: { at: \"03:00\" }", "store: disk, schedule: { at: \"03:00\" }");
    ground.sql("insert into orders values (2)");
    taken(&ground, "dump");
    ground.rig.shell_as_root("mv store away");
    let words = ["restore", "--table", "public.orders", "--replace", "--yes"];
    let said = ground.say(&[words.as_slice(), &["--job", "dump"]].concat()).ends_with_code(1);
    assert!(said.err.contains("it is not sure that") && said.err.contains(&format!("--backup {older}")), "{}", said.err);
    assert_eq!(ground.sql("select count(*) from orders"), "2");
    ground.say(&["restore", "--table", "public.orders", "--job", "dump", "--csv", "-", "--yes"]).ends_with_code(0);
    ground.say(&[words.as_slice(), &["--backup", &older]].concat()).ends_with_code(0);
    assert_eq!(ground.sql("select count(*) from orders"), "1");
}

/// The first store has one, and another has a newer one.
#[test]
fn the_newest_dump_is_the_newest_of_all_stores() {
    let ground = with_alpha();
    job(&ground, "all", "", "alpha");
    let older = taken(&ground, "all");
    ground.sql("insert into orders values (2)");
    let newer = taken(&ground, "dump");
    into(&ground, "back", &["--create"]).ends_with_code(0).says(&newer);
    assert_eq!(sql_in(&ground.rig.cluster, "back", "select count(*) from orders"), "2");
    into(&ground, "older", &["--create", "--store", "alpha"]).ends_with_code(0).says(&older);
    // A store that cannot be asked may have a newer one: that is said, and nothing is replaced by a guess.
    ground.rig.shell_as_root("mv store away");
    let said = into(&ground, "shop", &["--replace"]).ends_with_code(1);
    assert!(said.err.contains("it is not sure that") && said.err.contains("store `disk` may have a newer one"), "{}", said.err);
    assert!(said.err.contains(&format!("--backup {older}")), "{}", said.err);
    into(&ground, "guess", &["--create"]).ends_with_code(0).says(&older).says("store `disk` may have a newer one");
    into(&ground, "shop", &["--replace", "--backup", &older]).ends_with_code(0);
    assert_eq!(ground.sql("select count(*) from orders"), "1");
    ground.rig.shell_as_root("mv away store");
    into(&ground, "shop", &["--replace"]).ends_with_code(0).says(&newer);
    let aside = "select count(*) from pg_database where datname like 'shop\\_before\\_%'";
    assert_eq!(ground.rig.cluster.sql(aside), "2");
}

/// When a dump was made says nothing of what is in it.
#[test]
fn a_database_is_not_replaced_by_another_one() {
    let ground = Ground::new(Version::V15, "databases: [shop]");
    ground.rig.cluster.sql("create database crm");
    ground.change("databases: [shop], hosts", "databases: [crm, shop], hosts");
    job(&ground, "crm", "databases: [crm]", "disk");
    ground.sql("create table orders (n int); insert into orders values (1)");
    sql_in(&ground.rig.cluster, "crm", "create table customers (n int)");
    let shop = taken(&ground, "dump");
    let crm = taken(&ground, "crm");
    into(&ground, "shop", &["--replace"]).ends_with_code(0).says(&shop);
    assert_eq!(ground.sql("select count(*) from orders"), "1");
    into(&ground, "back", &["--create", "--from-database", "crm"]).ends_with_code(0).says(&crm);
    let said = into(&ground, "other", &["--create"]).ends_with_code(1);
    assert!(said.err.contains("dump different databases") && said.err.contains("`dump` has `shop`"), "{}", said.err);
    // Whoever names the job may have named the wrong one; whoever names the database too means it.
    let said = into(&ground, "shop", &["--replace", "--job", "crm"]).ends_with_code(1);
    assert!(said.err.contains("is of the database `crm`") && said.err.contains("--from-database crm"), "{}", said.err);
    assert_eq!(ground.sql("select count(*) from orders"), "1");
    into(&ground, "shop", &["--replace", "--job", "crm", "--from-database", "crm"]).ends_with_code(0);
    assert_eq!(ground.sql("select to_regclass('customers') is not null"), "t");
}

/// `pg_dump` has owners in every archive: what the job leaves out stays out when it comes back.
#[test]
fn owners_and_grants_that_the_job_leaves_out_do_not_come_back() {
    let ground = Ground::new(Version::V15, "owners: false, grants: false");
    ground.rig.cluster.sql("create role clerk; create role reader; alter database shop owner to clerk");
    ground.sql(
        "create table orders (n int); insert into orders values (1); alter table orders owner to clerk; grant select on orders to reader",
    );
    ground.dump();
    into(&ground, "back", &["--create"]).ends_with_code(0).says("without owners and grants (`owners: false`, `grants: false`)");
    let owner = "select tableowner || ' ' || has_table_privilege('reader', 'orders', 'select') from pg_tables where tablename = 'orders'";
    assert_eq!(sql_in(&ground.rig.cluster, "back", owner), "postgres false");
    assert_eq!(ground.sql(owner), "clerk true");
    assert_eq!(ground.rig.cluster.sql("select pg_get_userbyid(datdba) from pg_database where datname = 'back'"), "postgres");
}
