//! What others do to tables while they are dumped: to a snapshot that is older, a table that was emptied or rewritten has no rows.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::chosen::with;
use super::rig::{EVERYTHING, Ground, connect, hashes};
use crate::clusters::Version;

/// PostgreSQL's own programs, where `before` is run before `pg_dump` begins, and `after` when it has ended. What is run of it is for a shell.
pub fn around(ground: &Ground, before: &str, after: &str) {
    let (own, folder) = (ground.rig.cluster.version().programs(), ground.file("programs"));
    fs::create_dir(&folder).expect("a folder");
    for name in ["pg_dumpall", "pg_restore"] {
        std::os::unix::fs::symlink(own.join(name), folder.join(name)).expect("a link");
    }
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *--snapshot=*) ;; *) exec {own}/pg_dump \"$@\" ;; esac\n\
         ( {before} ) >&2\n{own}/pg_dump \"$@\"\ncode=$?\n( {after} ) >&2\nexit $code\n",
        own = own.display()
    );
    fs::write(folder.join("pg_dump"), text).expect("a script");
    fs::set_permissions(folder.join("pg_dump"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let known = format!("logical: {{ programs: {}, ", own.display());
    let is_known = fs::read_to_string(ground.file("policy.yaml")).expect("the policy").contains(&known);
    ground.change(if is_known { &known } else { "logical: { " }, &format!("logical: {{ programs: {}, ", folder.display()));
}

/// As another session, which waits for no lock.
pub fn psql(sql: &str) -> String {
    format!("{}/psql -X -d shop -c \"set lock_timeout = '500ms'\" -c \"{sql}\"", Version::V15.programs().display())
}

fn counted(contents: &Value, table: &str) -> u64 {
    let tables = contents["databases"][0]["tables"].as_array().expect("tables");
    let found = tables.iter().find(|known| known["name"] == table).unwrap_or_else(|| panic!("{table}: {contents:#}"));
    found["rows"].as_u64().expect("a number")
}

#[test]
fn a_table_is_not_emptied_between_its_definition_and_its_rows() {
    let ground = Ground::new(Version::V15, "jobs: 2");
    ground.sql(EVERYTHING);
    let before = hashes(&ground.rig.cluster, "shop");
    let rewritten = "alter table wider alter column id type bigint";
    around(&ground, ":", &format!("case \"$*\" in *--section=pre-data*) {}; {} ;; esac", psql("truncate wide"), psql(rewritten)));
    let dump = ground.dump();
    let contents = ground.contents(&dump);
    assert_eq!((counted(&contents, "wide"), counted(&contents, "wider")), (4000, 3000));
    // They were tried, and waited for a lock that they did not get.
    assert_eq!(hashes(&ground.rig.cluster, "shop"), before);
    ground.say(&["restore", "--into-database", "back", "--create", "--yes"]).ends_with_code(0);
    assert_eq!(hashes(&ground.rig.cluster, "back"), before);
}

#[test]
fn a_table_is_not_emptied_between_the_snapshot_and_pg_dump() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(EVERYTHING);
    around(&ground, &psql("truncate wide"), ":");
    let dump = ground.dump();
    assert_eq!(counted(&ground.contents(&dump), "wide"), 4000);
    assert_eq!(ground.sql("select count(*) from wide"), "4000");
}

/// Who is at a table before the dump begins: it is waited for where the job's patterns choose it, and by nobody where they do not.
#[test]
fn only_what_the_patterns_choose_is_waited_for() {
    let ground = Ground::new(Version::V15, "schemas: [public], lock_timeout: 60s");
    ground.sql(EVERYTHING);
    ground.sql("create schema other; create table other.busy (n int)");
    let (mut chosen, mut other) = (connect(&ground.rig.cluster, "shop"), connect(&ground.rig.cluster, "shop"));
    chosen.run("begin; truncate wide").expect("a lock");
    other.run("begin; lock table other.busy").expect("a lock");
    let child =
        ground.command(&["backup", "dump", "--format", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall");
    ground.rig.cluster.wait_until("exists (select from pg_stat_activity where wait_event_type = 'Lock')");
    chosen.run("rollback").expect("its end");
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    // What was emptied before it began is empty, and not what it was before that.
    chosen.run("truncate wide").expect("a lock");
    let dump = ground.dump();
    assert_eq!(counted(&ground.contents(&dump), "wide"), 0);
}

/// Of several tables all are locked before the snapshot, and not each when its turn comes.
#[test]
fn chosen_tables_are_all_of_one_moment() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(EVERYTHING);
    with(&ground, "format: csv, tables: [wide, wider]");
    let deadline = Instant::now() + Duration::from_secs(240);
    loop {
        ground.sql("truncate wider; insert into wider values (1, 'one'), (2, 'two')");
        let (mut first, mut second) = (connect(&ground.rig.cluster, "shop"), connect(&ground.rig.cluster, "shop"));
        first.run("begin; lock table wide").expect("a lock");
        let child =
            ground.command(&["backup", "some", "--format", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall");
        ground.rig.cluster.wait_until("exists (select from pg_stat_activity where wait_event_type = 'Lock')");
        second.run("begin; truncate wider; insert into wider values (3, 'three'); commit").expect("another's work");
        first.run("commit").expect("its end");
        let output = child.wait_with_output().expect("its end");
        let said = String::from_utf8_lossy(&output.stderr);
        // On a machine that is slow enough it has waited for too long.
        if output.status.code() == Some(1) && said.contains("LOCK TABLE") && Instant::now() < deadline {
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{said}");
        break;
    }
    let folder = ground.file("out").display().to_string();
    ground.say(&["restore", "--export-to", &folder, "--yes"]).ends_with_code(0);
    let rows = ground.rig.shell("cat out/public.wider.csv");
    // Those of before or those of after, and not none.
    assert!(rows.contains("3,three") || rows.contains("1,one"), "{rows}");
}

/// From PostgreSQL 17 on a transaction has a limit of its own.
#[test]
fn no_limit_of_the_database_ends_what_takes_long() {
    let ground = Ground::new(Version::V18, "");
    ground.sql(EVERYTHING);
    for limit in ["transaction_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout"] {
        ground.rig.cluster.sql(&format!("alter database shop set {limit} = '2s'"));
    }
    around(&ground, "sleep 4", ":");
    ground.dump();
}
