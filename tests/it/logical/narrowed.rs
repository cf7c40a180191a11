//! Dumps of a part of a database: what patterns choose, what sections leave, and how slowly it may be read.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::drill::{drill, drills};
use super::rig::{Dump, Ground, connect, sql_in};
use crate::clusters::{Cluster, Options, Version};
use crate::drill::killed::ours;
use crate::drill::rig::phase;
use crate::run::rig::Said;

const NAMES: &str = r#"
    create schema sales; create schema "Tmp.1"; create schema archive;
    create table orders_1 (n int primary key); insert into orders_1 values (1), (2);
    create table orders_2 (n int primary key); create table "Orders_Odd" (n int); insert into "Orders_Odd" values (1);
    create table sales.orders_1 (n int references orders_1); insert into sales.orders_1 values (1), (2), (1);
    create table sales.audit_1 (n int); create table sales."a*b" (n int); create table sales.axb (n int);
    create table "Tmp.1"."; drop table x --" (n int); insert into "Tmp.1"."; drop table x --" values (7);
    create table "tab$le" (id serial primary key); insert into "tab$le" default values; create view seen as select n from orders_1;
    create table parts (n int) partition by range (n); create index on parts (n);
    create table archive.parts_1 partition of parts for values from (0) to (100); insert into parts select generate_series(1, 50);
    create materialized view summed as select count(*) as n from orders_1; analyze"#;

fn programs(version: Version) -> std::path::PathBuf {
    if version == Version::V15 { version.programs() } else { Version::V18.programs() }
}

/// The lines of a kind in a list of `pg_restore`, without their numbers and owners.
fn lines(list: &str, kind: &str) -> BTreeSet<String> {
    let entries = list.lines().filter(|line| !line.starts_with(';')).filter_map(|line| line.splitn(4, ' ').nth(3));
    let of_kind =
        entries.filter_map(|entry| entry.strip_prefix(kind)).filter(|rest| !(rest.starts_with("DATA ") || rest.starts_with("SET ")));
    of_kind.map(|rest| rest.trim_end_matches(" postgres").to_owned()).collect()
}

/// What is in the first archive of a dump.
fn listed(ground: &Ground, dump: &Dump, programs: &std::path::Path) -> String {
    let piece = ground.rig.shell(&format!("cd {}; ls *.pgdump.zst.age | head -n 1", ground.folder(dump)));
    ground.rig.shell(&format!(
        "age -d -i identity.txt {}/{piece} | zstd -dc | {}/pg_restore --list",
        ground.folder(dump),
        programs.display()
    ))
}

/// The same by `pg_dump` itself.
fn by_hand(ground: &Ground, words: &[&str], programs: &std::path::Path) -> String {
    let (cluster, bin) = (&ground.rig.cluster, programs.display());
    let words: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
    let (sockets, port, words) = (cluster.sockets(), cluster.port(), words.join(" "));
    ground.rig.shell(&format!("{bin}/pg_dump -h {} -p {port} -U postgres -d shop -Fc {words} | {bin}/pg_restore --list", sockets.display()))
}

/// Each with the same in `pg_dump`'s own words, and with a table that it has and one that it does not have.
const CHOICES: [(&str, &[&str], &str, &str); 8] = [
    ("schemas: [s*]", &["-n", "s*"], "sales.axb", "orders_1"),
    ("exclude_schemas: [sal?s, '\"Tmp.1\"']", &["-N", "sal?s", "-N", "\"Tmp.1\""], "orders_1", "sales.axb"),
    ("tables: ['orders_*', sales.a*]", &["-t", "orders_*", "-t", "sales.a*"], "sales.audit_1", "sales.orders_1"),
    ("tables: ['\"Orders_*\"', 'sales.\"a*b\"'], unmatched: allow", &["-t", "sales.\"a*b\""], "sales.\"a*b\"", "sales.axb"),
    ("tables: ['\"Tmp.1\".\"; drop table x --\"', 'tab$le']", &["-t", "\"Tmp.1\".*", "-t", "tab$le"], "\"tab$le\"", "orders_1"),
    ("exclude_tables: ['*.orders_[0-9]', sales.*]", &["-T", "*.orders_[0-9]", "-T", "sales.*"], "\"Orders_Odd\"", "orders_2"),
    (
        "tables: [(orders_1|seen), parts], exclude_tables: [orders_1]",
        &["-t", "seen", "-t", "parts", "-t", "archive.parts_1"],
        "parts",
        "orders_2",
    ),
    (
        "exclude_table_data: ['Orders_*', '\"Orders_Odd\"']",
        &["--exclude-table-data=orders_*", "--exclude-table-data=\"Orders_Odd\""],
        "orders_1",
        "",
    ),
];

/// Who changes a table that is chosen is waited for, and not who changes one that is left out.
fn dump_beside_locks(ground: &Ground, has: &str, lacks: &str) -> Dump {
    let mut other = connect(&ground.rig.cluster, "shop");
    other.run(&format!("begin; lock table only {has} in access exclusive mode")).expect("a lock");
    let said = ground.say(&["backup", "dump"]).ends_with_code(1).says("lock_timeout");
    let named = if has.contains('.') { has.to_owned() } else { format!("public.{has}") };
    assert!(said.err.replace('"', "").contains(&format!("LOCK TABLE {}", named.replace('"', ""))), "{}", said.err);
    other.run("rollback").expect("its end");
    if !lacks.is_empty() {
        other.run(&format!("begin; lock table only {lacks} in access exclusive mode")).expect("a lock");
    }
    ground.dump()
}

/// What is in the dump, what is locked for it, and what is recorded are the same, and the same as by `pg_dump` alone.
#[test]
fn patterns_choose_what_pg_dump_chooses() {
    for version in [Version::V13, Version::V15, Version::V18] {
        let programs = programs(version);
        let ground = Ground::new(version, "globals: false, lock_timeout: 1s, ");
        ground.sql(NAMES);
        let mut before = "globals: false".to_owned();
        for (number, (policy, words, has, lacks)) in CHOICES.into_iter().enumerate() {
            // The last ones in pieces.
            let now = if number < 5 { format!("globals: false, {policy}") } else { format!("globals: false, jobs: 2, {policy}") };
            ground.change(&before, &now);
            before = now;
            let dump = if version == Version::V15 { dump_beside_locks(&ground, has, lacks) } else { ground.dump() };
            let (ours, theirs) = (listed(&ground, &dump, &programs), by_hand(&ground, words, &programs));
            for kind in ["TABLE ", "VIEW ", "SEQUENCE ", "MATERIALIZED VIEW ", "SCHEMA "] {
                assert_eq!(lines(&ours, kind), lines(&theirs, kind), "{version:?} {policy}: {kind}");
            }
            let tables: BTreeSet<String> = lines(&theirs, "TABLE DATA ").into_iter().collect();
            let contents = ground.contents(&dump);
            let database = &contents["databases"][0];
            let recorded = database["tables"].as_array().expect("a list").iter();
            let recorded =
                recorded.map(|table| format!("{} {}", table["schema"].as_str().expect("text"), table["name"].as_str().expect("text")));
            assert_eq!(recorded.collect::<BTreeSet<String>>(), tables, "{version:?} {policy}");
            assert_eq!(database["partial"], true);
            assert!(dump.said.contains("the dump of `shop` has ") && dump.said.contains(" of its 11 tables"), "{}", dump.said);
        }
    }
}

#[test]
fn a_pattern_that_fits_nothing_is_an_error_unless_it_is_allowed() {
    let ground = Ground::new(Version::V15, "globals: false, tables: [ordres*, \"orders_*\"]");
    ground.sql(NAMES);
    ground
        .say(&["backup", "dump"])
        .ends_with_code(1)
        .says("`ordres*` of `backups.dump.logical.tables` fits nothing in the database `shop`")
        .says("unmatched: allow");
    assert!(ground.has_nothing());
    ground.change("tables: [ordres*", "unmatched: allow, exclude_tables: [audt_*], tables: [ordres*");
    let dump = ground.dump();
    assert!(dump.said.contains("`ordres*` of `backups.dump.logical.tables` fits nothing"), "{}", dump.said);
    assert!(
        dump.said
            .contains("`audt_*` of `backups.dump.logical.exclude_tables` fits nothing in the database `shop`: nothing is left out by it"),
        "{}",
        dump.said
    );
    assert!(dump.said.contains("has 2 of its 11 tables"), "{}", dump.said);
    let refused = |from: &str, to: &str, words: &str| {
        ground.change(from, to);
        ground.say(&["backup", "dump"]).ends_with_code(1).says(words);
    };
    refused("tables: [ordres*, \"orders_*\"]", "tables: [ordres*]", "nothing in the database `shop` fits `schemas` or `tables`");
    // PostgreSQL's own tables would be dumped, and no server takes them back.
    refused("tables: [ordres*]", "tables: [\"pg_cl*\"]", "fits what is PostgreSQL's own, in the schema `pg_catalog`");
    refused("tables: [\"pg_cl*\"]", "tables: [\"(orders\"]", "`(orders` of `tables` is no pattern");
}

/// A dump of chosen tables brings the schemas along in which they lie, in one piece and in several.
#[test]
fn chosen_tables_come_back_with_what_they_lie_in() {
    for logical in ["tables: [sales.a*, '\"Tmp.1\".*', parts, 'tab$le']", "jobs: 2, tables: [sales.a*, '\"Tmp.1\".*', parts, 'tab$le']"] {
        let ground = Ground::new(Version::V15, logical);
        ground.sql(NAMES);
        ground.sql("create role auditor; grant select on sales.audit_1 to auditor");
        let dump = ground.dump();
        ground.say(&["restore", "--into-database", "back", "--create", "--yes"]).ends_with_code(0);
        let counted = r#"select (select count(*) from "Tmp.1"."; drop table x --"), (select count(*) from parts), nextval('"tab$le_id_seq"'), to_regclass('orders_1') is null"#;
        assert_eq!(sql_in(&ground.rig.cluster, "back", counted), "1|50|2|t");
        let said = ground.say(&["show", dump.descriptor.id.as_str()]).ends_with_code(0).says("by the job's patterns");
        assert!(said.out.contains(r#""public"."orders_1""#), "{}", said.out);
        // One of them alone, too; and one that is not in it.
        let alone = |table: &str| ground.say(&["restore", "--table", table, "--job", "dump", "--csv", "-", "--yes"]);
        assert_eq!(alone(r#""Tmp.1"."; drop table x --""#).ends_with_code(0).out, "n\n7\n");
        alone("orders_1").ends_with_code(1).says("there is no table");
        let aside = ["restore", "--table", "sales.audit_1", "--job", "dump", "--into-schema", "aside", "--yes"];
        ground.say(&aside).ends_with_code(0).says("what is granted to auditor");
    }
}

#[test]
fn a_dump_without_rows_is_none_of_rows() {
    let ground = Ground::new(Version::V15, "sections: [pre-data, post-data], globals: false");
    ground.sql(NAMES);
    let dump = ground.dump();
    assert!(dump.said.contains("it is without `data` (`sections`)"), "{}", dump.said);
    let contents = ground.contents(&dump);
    let database = &contents["databases"][0];
    assert_eq!(database["sections"], serde_json::json!(["pre-data", "post-data"]));
    assert_eq!((database["tables"].as_array().map(Vec::len), database["without_rows"].is_null()), (Some(0), true), "{database:#}");
    ground.say(&["verify", "--deep"]).ends_with_code(0);
    let said = ground.say(&["show", "latest", "--format", "json"]).ends_with_code(0);
    let shown = crate::cli::follows("show-output", &said.out);
    assert_eq!(shown["left_out"][0]["sections"], serde_json::json!(["pre-data", "post-data"]), "{shown:#}");
    ground.say(&["show", "latest"]).ends_with_code(0).says("only `pre-data` and `post-data`");
    let into = |name: &str, more: &[&str]| ground.say(&[&["restore", "--into-database", name, "--yes", "--job", "dump"], more].concat());
    into("back", &["--create"]).ends_with_code(0).says("this dump is without `data` (`sections`): no table gets a row");
    let made = "select (select count(*) from orders_1), (select count(*) from pg_indexes where schemaname = 'public')";
    assert_eq!(sql_in(&ground.rig.cluster, "back", made), "0|4");
    into("rows", &["--create", "--section", "data"]).ends_with_code(1).says("has no `data`: its job leaves that out (`sections`)");
    into("shop", &["--replace"]).ends_with_code(1).says("does not have all of the database `shop`");
    ground.say(&["restore", "--table", "orders_1", "--job", "dump", "--csv", "-", "--yes"]).ends_with_code(1).says("is without `data`");
    assert_eq!(ground.rig.cluster.sql("select count(*) from pg_database where datname like 'seawall%' or datname = 'rows'"), "0");
}

/// That its definitions can be made is what a drill of it shows, and it is no drill of a database.
#[test]
fn definitions_alone_are_drilled() {
    let ground = Ground::new(Version::V15, "sections: [pre-data, post-data]");
    ground.sql(NAMES);
    let text = "drills:\n  definitions: { restore: { latest: dump }, schedule: { first: monday, at: \"04:00\" }, expect: { made: \
                { sql: \"select count(*) from pg_indexes where schemaname = 'public'\", is: 4, database: shop } } }\n";
    drills(&ground, text);
    ground.dump();
    let record = drill(&ground, 0, &["definitions"]);
    assert_eq!((&record["outcome"], &record["restored"]["kind"]), (&"passed".into(), &"logical".into()), "{record:#}");
    assert!(phase(&record, "load")["bytes"].is_null(), "it would count as how fast rows come back: {record:#}");
    let mut validate = ground.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    Said::of(validate.arg("validate").arg(ground.file("policy.yaml")).output().expect("seawall")).says("no drill of a database");
    // What is asked of rows is refused before anything is made.
    ground.change("expect: { made:", "expect: { rows: { check: row-counts }, made:");
    ground.say(&["drill", "definitions"]).ends_with_code(1).says("has no rows (`sections`), and this check looks at rows");
}

/// Rows alone go into tables that are there, also where they were dumped in pieces.
#[test]
fn rows_alone_go_into_tables_that_are_there() {
    for jobs in ["", "jobs: 2, "] {
        let ground = Ground::new(Version::V15, &format!("{jobs}sections: [data], exclude_tables: [sales.*], globals: false"));
        ground.sql(NAMES);
        ground.sql("create table wide as select k, repeat(md5(k::text), 20) as text from generate_series(1, 4000) k; analyze");
        let dump = ground.dump();
        let contents = ground.contents(&dump);
        let excluded = contents["databases"][0]["excluded"].as_array().expect("a list");
        assert_eq!(excluded.len(), 4, "{contents:#}");
        let into =
            |name: &str, more: &[&str]| ground.say(&[&["restore", "--into-database", name, "--yes", "--job", "dump"], more].concat());
        into("back", &["--create"]).ends_with_code(1).says("is without `pre-data`").says("--occupied");
        let target = Cluster::start(Version::V15, Options::default());
        sql_in(&target, "postgres", "create database there");
        sql_in(&target, "there", NAMES);
        sql_in(
            &target,
            "there",
            "truncate orders_1 cascade; truncate \"Orders_Odd\", \"Tmp.1\".\"; drop table x --\", \"tab$le\", parts; create table wide (k int, text text)",
        );
        into("there", &["--occupied", "--connection", &target.conninfo()]).ends_with_code(0).says("tables must be there already");
        let counted = "select (select count(*) from orders_1), (select count(*) from wide), (select count(*) from parts), (select count(*) from sales.orders_1)";
        assert_eq!(sql_in(&target, "there", counted), "2|4000|50|0");
    }
}

#[test]
fn it_is_read_no_faster_than_the_policy_says() {
    let ground = Ground::new(Version::V15, "jobs: 2, read_limit: 2MB/s, globals: false");
    // Rows of about five megabytes, in two tables.
    ground.sql("create table one as select k, repeat(md5(k::text), 8) as text from generate_series(1, 10000) k");
    ground.sql("create table two as select * from one; analyze");
    let began = Instant::now();
    ground.dump();
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    ground.say(&["verify", "--deep"]).ends_with_code(0);
    // Whoever ends it does not wait for what it would still have read.
    ground.change("read_limit: 2MB/s", "read_limit: 1KB/s");
    let child = ground.command(&["backup", "dump"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("seawall");
    ground.rig.cluster.wait_until("exists (select from pg_stat_activity where query like 'COPY%')");
    kill_process(ours(&child), Signal::INT).expect("a signal");
    let began = Instant::now();
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
    ground.rig.cluster.wait_until("not exists (select from pg_stat_activity where query like 'COPY%' or application_name = 'pg_dump')");
}

/// Names on `pg_dump`'s command line are read in the database's encoding.
#[test]
fn names_of_another_encoding_can_be_chosen() {
    let ground = Ground::new(Version::V15, "databases: [latin], jobs: 2, tables: [\"tést*\"], exclude_tables: [\"tésté\"], globals: false");
    ground.change("databases: [shop], hosts", "databases: [latin], hosts");
    ground.rig.cluster.sql("create database latin template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'");
    let rows = "create table \"tést\" (v text); insert into \"tést\" select 'é' || repeat('x', 90) || k from generate_series(1, 20000) k; \
                create table \"téster\" as select * from \"tést\"; create table \"tésté\" (v text); create table plain (n int); analyze";
    sql_in(&ground.rig.cluster, "latin", rows);
    let dump = ground.dump();
    assert!(dump.descriptor.objects.iter().any(|object| object.name.contains("rows-00002")), "{:#?}", dump.descriptor.objects);
    let contents = ground.contents(&dump);
    let tables: Vec<&str> =
        contents["databases"][0]["tables"].as_array().expect("a list").iter().filter_map(|table| table["name"].as_str()).collect();
    assert_eq!(tables, ["tést", "téster"]);
    // One of them alone, as the dump's list has its name.
    let said = ground.say(&["restore", "--table", "\"tést\"", "--job", "dump", "--csv", "-", "--yes"]).ends_with_code(0);
    assert_eq!((said.out.lines().count(), said.out.contains("é")), (20_001, true), "{}", said.err);
    ground.say(&["restore", "--into-database", "back", "--create", "--yes"]).ends_with_code(0);
    let sum = "select md5(string_agg(v, ',' order by v)) from (table \"tést\" union all table \"téster\") as all_of_it";
    assert_eq!(sql_in(&ground.rig.cluster, "back", sum), sql_in(&ground.rig.cluster, "latin", sum));
    // The same where `pg_restore` chooses.
    let said = ground.say(&["restore", "--into-database", "one", "--create", "--table", "tést", "--yes"]).ends_with_code(0);
    assert!(said.out.contains("20000 in 1 table"), "{}", said.out);
    assert_eq!(sql_in(&ground.rig.cluster, "one", "select count(*) from \"tést\""), "20000");
    assert_eq!(sql_in(&ground.rig.cluster, "one", "select count(*) from pg_tables where schemaname = 'public'"), "1");
}

/// Who writes no schema is told which tables that does not mean.
#[test]
fn a_name_without_a_schema_is_that_which_the_search_path_finds() {
    let ground = Ground::new(Version::V15, "globals: false, tables: [orders_1], exclude_tables: [audit_1]");
    ground.sql(NAMES);
    let said = ground.say(&["backup", "dump"]).ends_with_code(0);
    let heard = format!("{}{}", said.out, said.err);
    assert!(
        heard.contains("`orders_1` of `tables` is looked up by the role's search_path, and so does not mean \"sales\".\"orders_1\""),
        "{heard}"
    );
    assert!(heard.contains("does not mean \"sales\".\"audit_1\""), "{heard}");
    ground.change("tables: [orders_1], exclude_tables: [audit_1]", "tables: [public.orders_1]");
    let said = ground.say(&["backup", "dump"]).ends_with_code(0);
    assert!(!format!("{}{}", said.out, said.err).contains("search_path"), "{}", said.err);
}
