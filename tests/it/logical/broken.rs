//! What goes wrong is named, and leaves nothing that looks complete.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::rig::{EVERYTHING, Ground, connect, sql_in};
use crate::clusters::{StopMode, Version};

#[test]
fn who_changes_a_table_is_not_waited_for() {
    let ground = Ground::new(Version::V15, "lock_timeout: 1s");
    ground.sql(EVERYTHING);
    let mut other = connect(&ground.rig.cluster, "shop");
    other.run("begin; alter table egg add column colour text").expect("a lock");
    ground.say(&["backup", "dump"]).ends_with_code(1).says("shop").says("LOCK TABLE public.egg").says("lock_timeout");
    assert!(ground.has_nothing());
    other.run("commit").expect("its end");
    ground.dump();
}

#[test]
fn a_table_that_may_not_be_read_is_named() {
    let ground = Ground::new(Version::V15, "jobs: 2");
    ground.sql(EVERYTHING);
    ground.sql("create role reader login; grant pg_read_all_data to reader");
    ground.sql("revoke pg_read_all_data from reader; grant usage on schema public to reader; grant select on all tables in schema public to reader; revoke select on hen from reader");
    ground.change("user=postgres", "user=reader");
    ground.say(&["backup", "dump"]).ends_with_code(1).says("permission denied").says("exclude_tables");
    assert!(ground.has_nothing());
    // Row security would leave rows out in silence: refused as well.
    ground.sql("grant pg_read_all_data to reader");
    ground.say(&["backup", "dump"]).ends_with_code(1).says("secret").says("bypassrls");
    assert!(ground.has_nothing());
    ground.sql("alter role reader bypassrls; grant select on large object 77 to reader");
    let dump = ground.dump();
    assert_eq!(ground.contents(&dump)["globals"]["passwords"], true);
}

#[test]
fn a_client_that_is_older_than_the_server_is_refused_before_it_starts() {
    let ground = Ground::new(Version::V18, "");
    ground.change(&Version::V18.programs().display().to_string(), "/usr/lib/postgresql/15/bin");
    ground.say(&["backup", "dump"]).ends_with_code(1).says("is version 15, and the server is PostgreSQL 18");
    assert!(ground.has_nothing());
    ground.change("/usr/lib/postgresql/15/bin", "/nowhere");
    ground.say(&["backup", "dump"]).ends_with_code(1).says("logical.programs");
}

#[test]
fn killed_at_any_moment_it_leaves_nothing_that_counts() {
    let ground = Ground::new(Version::V15, "jobs: 2");
    ground.sql(EVERYTHING);
    ground.dump();
    let mut lot = crate::faults::chance::lot("logical::killed");
    for _ in 0..crate::faults::chance::rounds(6, 60) {
        let mut child = ground.command(&["backup", "dump"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
        thread::sleep(Duration::from_millis(lot.below(900) as u64));
        ground.rig.shell_as_root(&format!(
            "pkill -KILL -f '^[^ ]*seawall backup dump --policy {}' || true",
            ground.file("policy.yaml").display()
        ));
        child.wait().expect("its end");
        ground.say(&["verify", "--deep"]).ends_with_code(0);
        // What it started does not stay.
        ground.rig.cluster.wait_until("not exists (select from pg_stat_activity where application_name like '%pg_dump%' or query like '%pg_export%' and pid <> pg_backend_pid())");
    }
    let dump = ground.dump();
    let folders = ground.rig.shell("ls store/*/data");
    assert!(folders.lines().any(|folder| folder == dump.descriptor.id.as_str()));
    ground.say(&["verify", "--deep"]).ends_with_code(0);
}

#[test]
fn a_server_that_goes_away_ends_it() {
    let ground = Ground::new(Version::V15, "lock_timeout: 30s");
    ground.sql(EVERYTHING);
    let mut other = connect(&ground.rig.cluster, "shop");
    other.run("begin; alter table egg add column colour text").expect("a lock");
    let child = ground.command(&["backup", "dump"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall");
    ground.rig.cluster.wait_until("exists (select from pg_stat_activity where wait_event_type = 'Lock')");
    ground.rig.cluster.stop(StopMode::Immediate);
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(ground.has_nothing());
}

#[test]
fn damage_is_found_by_hash_and_inside() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(EVERYTHING);
    let dump = ground.dump();
    ground.rig.shell_as_root(&format!(
        "f={}/dump-00001.pgdump.zst.age; chmod u+w $f; printf damaged | dd of=$f bs=1 seek=4000 conv=notrunc 2>/dev/null",
        ground.folder(&dump)
    ));
    ground.say(&["verify"]).ends_with_code(1).says("dump-00001.pgdump.zst.age");
    ground.say(&["verify", "--deep"]).ends_with_code(1).says("dump-00001.pgdump.zst.age");
}

#[test]
fn what_may_not_be_read_is_left_out_where_the_policy_says_so() {
    let ground = Ground::new(Version::V15, "jobs: 2, globals: false");
    ground.sql("create table orders (n int); insert into orders values (1); create sequence counter; create table pay (n int)");
    ground.sql("create schema hidden; create table hidden.away (n int)");
    ground.sql("create role reader login; grant usage on schema public to reader; grant select on orders, counter to reader");
    ground.change("user=postgres", "user=reader");
    ground.say(&["backup", "dump"]).ends_with_code(1).says("permission denied").says("unreadable: skip");
    assert!(ground.has_nothing());
    ground.change("jobs: 2", "jobs: 2, unreadable: skip");
    let dump = ground.dump();
    assert!(dump.said.contains(r#"may not read them (`unreadable: skip`): "hidden"."away", "public"."pay""#), "{}", dump.said);
    let contents = ground.contents(&dump);
    let database = &contents["databases"][0];
    assert_eq!((database["partial"].as_bool(), database["skipped"].as_array().map(Vec::len)), (Some(true), Some(2)), "{contents:#}");
    ground
        .say(&["show", "latest"])
        .ends_with_code(0)
        .says(r#"`"hidden"."away"` and `"public"."pay"`: the role that made the dump might not"#);
    let said = ground.say(&["show", "latest", "--format", "json"]).ends_with_code(0);
    let shown = crate::cli::follows("show-output", &said.out);
    let left = serde_json::json!([{ "database": "shop", "unreadable": [r#""hidden"."away""#, r#""public"."pay""#] }]);
    assert_eq!(shown["left_out"], left, "{shown:#}");
    ground.change("user=reader", "user=postgres");
    let into = |name: &str, how: &str| ground.say(&["restore", "--into-database", name, how, "--yes"]);
    into("shop", "--replace").ends_with_code(1).says("does not have all of the database `shop`");
    into("back", "--create").ends_with_code(0).says(r#"it does not have "hidden"."away" and "public"."pay""#);
    assert_eq!(sql_in(&ground.rig.cluster, "back", "select n, to_regclass('pay') is null from orders"), "1|t");
    // Where everything may be read nothing is left out.
    let dump = ground.dump();
    assert!(!dump.said.contains("unreadable"), "{}", dump.said);
    assert_eq!(ground.contents(&dump)["databases"][0]["partial"].as_bool(), Some(false));
    let said = ground.say(&["show", "latest"]).ends_with_code(0);
    assert!(!said.out.contains("left out"), "{}", said.out);
    into("shop", "--replace").ends_with_code(0);
}

/// `pg_dump` has all large objects or none, and knows no rights on them but their owner's and those that he gave.
#[test]
fn large_objects_that_may_not_be_read_are_left_out_and_named() {
    let ground = Ground::new(Version::V15, "globals: false");
    ground.sql("create table orders (n int); insert into orders values (1); select lo_from_bytea(77, 'x')");
    ground.sql("create role reader login; grant pg_read_all_data to reader");
    ground.change("user=postgres", "user=reader");
    ground.say(&["backup", "dump"]).ends_with_code(1).says("permission denied for large object").says("`unreadable: skip` leaves all");
    ground.change("globals: false", "globals: false, unreadable: skip");
    let dump = ground.dump();
    assert!(dump.said.contains("no large object is in the dump of `shop`: this role may not read 1 large object"), "{}", dump.said);
    let database = &ground.contents(&dump)["databases"][0];
    assert_eq!((&database["partial"], &database["skipped"][0]), (&true.into(), &"large objects".into()), "{database:#}");
    ground.say(&["show", "latest"]).ends_with_code(0).says("large objects");
    ground.sql("grant select on large object 77 to reader");
    let dump = ground.dump();
    let database = &ground.contents(&dump)["databases"][0];
    assert_eq!((&database["partial"], &database["large_objects"]), (&false.into(), &1.into()), "{database:#}");
}
