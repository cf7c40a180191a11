//! What is dumped comes back, row by row, from every version into a newer one.

use super::rig::{Dump, EVERYTHING, Ground, hashes, sql_in};
use crate::clusters::{Cluster, Options, Version};
use crate::run::rig::Said;

/// Another cluster, and the same dump in it by `age`, `zstd` and `pg_restore`.
fn brought_back(ground: &Ground, dump: &Dump, into: Version) -> Cluster {
    let target = Cluster::start(into, Options::default().with("lc_monetary = 'C'"));
    let to = format!("-h {} -p {} -U postgres", target.sockets().display(), target.port());
    let bin = Version::V18.programs();
    let (bin, folder) = (bin.display(), ground.folder(dump));
    sql_in(&target, "postgres", "create database back");
    let pieces = ground.rig.shell(&format!("cd {folder}; ls *.pgdump.zst.age"));
    let feed = |piece: &str, words: &str| {
        ground.rig.shell(&format!(
            "set -o pipefail; age -d -i identity.txt {folder}/{piece} | zstd -dc | {bin}/pg_restore {to} -d back --exit-on-error {words}"
        ));
    };
    match pieces.lines().collect::<Vec<_>>().as_slice() {
        [whole] => feed(whole, ""),
        [definitions, rows @ ..] => {
            feed(definitions, "--section=pre-data");
            rows.iter().for_each(|rows| feed(rows, "--section=data"));
            feed(definitions, "--section=post-data");
        }
        [] => panic!("no dump"),
    }
    target
}

fn round_trip(from: Version, into: Version, logical: &str, pieces: usize) {
    let ground = Ground::new(from, logical);
    ground.sql(EVERYTHING);
    let dump = ground.dump();
    assert_eq!(dump.descriptor.objects.iter().filter(|object| object.name.contains(".pgdump.")).count(), pieces);
    let before = hashes(&ground.rig.cluster, "shop");
    let target = brought_back(&ground, &dump, into);
    assert_eq!(hashes(&target, "back"), before);
    // Every table's rows are on record, as the server counts them.
    let contents = ground.contents(&dump);
    let tables = contents["databases"][0]["tables"].as_array().expect("a list");
    for table in tables {
        let (schema, name) = (table["schema"].as_str().expect("text"), table["name"].as_str().expect("text"));
        let quoted = format!("\"{}\".\"{}\"", schema.replace('"', "\"\""), name.replace('"', "\"\""));
        assert_eq!(sql_in(&target, "back", &format!("select count(*) from {quoted}")), table["rows"].to_string(), "{quoted}");
    }
    assert_eq!((tables.len(), tables.len() as u64), (11, dump.descriptor.files));
    assert_eq!(contents["databases"][0]["large_objects"], 1);
    // And it shows where every other backup shows.
    ground.say(&["list"]).ends_with_code(0).says("logical").says("complete");
    ground
        .say(&["show", dump.descriptor.id.as_str()])
        .ends_with_code(0)
        .says("11 tables")
        .says("shop")
        .says("each database as of its snapshot");
    ground.say(&["verify", "--deep"]).ends_with_code(0);
}

#[test]
fn thirteen_into_eighteen() {
    // Its own clients are not here: those of 18 dump it, and what they write needs as new a pg_restore.
    round_trip(Version::V13, Version::V18, "", 1);
}

#[test]
fn fifteen_into_eighteen_in_pieces() {
    round_trip(Version::V15, Version::V18, "jobs: 3", 4);
}

#[test]
fn eighteen_into_eighteen() {
    round_trip(Version::V18, Version::V18, "format: directory, jobs: 2", 3);
}

#[test]
fn an_encoding_of_its_own_and_several_databases() {
    let name = "Ünï \"x\" = 'y' \\";
    let ground = Ground::new(Version::V15, "databases: [shop, latin, \"Ünï \\\"x\\\" = 'y' \\\\\"], jobs: 2");
    ground.change("databases: [shop], hosts", "databases: [shop, latin, \"Ünï \\\"x\\\" = 'y' \\\\\"], hosts");
    ground.rig.cluster.sql("create database latin template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'");
    ground.rig.cluster.sql(&format!("create database \"{}\"", name.replace('"', "\"\"")));
    let latin = "create table \"tést\" (v text); insert into \"tést\" select 'é' || k from generate_series(1, 60000) k; analyze";
    sql_in(&ground.rig.cluster, "latin", latin);
    sql_in(&ground.rig.cluster, name, "create table t (n int); insert into t values (1), (2)");
    let dump = ground.dump();
    let contents = ground.contents(&dump);
    let of = |at: usize| &contents["databases"][at];
    assert_eq!((of(1)["encoding"].as_str(), of(1)["tables"][0]["name"].as_str()), (Some("LATIN1"), Some("tést")));
    assert_eq!((of(1)["tables"][0]["rows"].as_u64(), of(2)["tables"][0]["rows"].as_u64()), (Some(60_000), Some(2)));
    assert_eq!(of(2)["name"].as_str(), Some(name));
    ground.say(&["verify", "--deep"]).ends_with_code(0);
}

#[test]
fn chosen_tables_and_no_owners() {
    let ground =
        Ground::new(Version::V15, "schemas: [public], exclude_tables: [wide*], exclude_table_data: [types], owners: false, globals: false");
    ground.sql(EVERYTHING);
    let dump = ground.dump();
    let contents = ground.contents(&dump);
    assert_eq!((contents["databases"][0]["partial"].as_bool(), contents["globals"].is_null()), (Some(true), true));
    let list = ground.rig.shell(&format!(
        "age -d -i identity.txt {}/dump-00001.pgdump.zst.age | zstd -dc | /usr/lib/postgresql/15/bin/pg_restore --list",
        ground.folder(&dump)
    ));
    for (words, is_there) in [("TABLE public types", true), ("TABLE DATA public types", false), ("wide", false), ("Sch \"ema", false)] {
        assert_eq!(list.contains(words), is_there, "{words}:\n{list}");
    }
    let said = ground.say(&["show", "latest", "--format", "json"]).ends_with_code(0);
    let shown = crate::cli::follows("show-output", &said.out);
    let left = serde_json::json!([{
        "database": "shop",
        "excluded": [r#""Sch ""ema"."T'able""#, r#""public"."wide""#, r#""public"."wider""#],
        "without_rows": [r#""public"."types""#],
    }]);
    assert_eq!(shown["left_out"], left, "{shown:#}");
    let said = ground.say(&["show", "latest"]).ends_with_code(0).says("by the job's patterns");
    assert!(said.out.contains("without rows") && said.out.contains(r#"`"public"."types"`"#), "{}", said.out);
    // A schema that is not there is a mistake.
    ground.change("schemas: [public]", "schemas: [public, nowhere]");
    ground.say(&["backup", "dump"]).ends_with_code(1).says("nowhere");
}

#[test]
fn passwords_of_roles_go_only_where_they_are_encrypted() {
    let ground = Ground::new(Version::V15, "");
    ground.rig.cluster.sql("create role clerk login password 'hush'");
    let dump = ground.dump();
    let sql = ground.rig.shell(&format!("age -d -i identity.txt {}/globals.sql.zst.age | zstd -dc", ground.folder(&dump)));
    assert!(sql.contains("CREATE ROLE clerk") && sql.contains("SCRAM-SHA-256"), "{sql}");
    let text = std::fs::read_to_string(ground.file("policy.yaml")).expect("the policy");
    let without: String =
        text.lines()
            .map(|line| {
                if line.starts_with("encryption:") { "encryption: { none: { because: a test } }\n".to_owned() } else { format!("{line}\n") }
            })
            .collect();
    std::fs::write(ground.file("policy.yaml"), without).expect("the policy");
    let dump = ground.dump();
    assert!(dump.said.contains("without their passwords"), "{}", dump.said);
    let sql = ground.rig.shell(&format!("zstd -dc {}/globals.sql.zst", ground.folder(&dump)));
    assert!(sql.contains("CREATE ROLE clerk") && !sql.contains("SCRAM"), "{sql}");
}

#[test]
fn from_a_standby() {
    let ground = Ground::new(Version::V15, "from: standby, jobs: 2");
    ground.sql(EVERYTHING);
    let standby = Cluster::standby_of(&ground.rig.cluster, Options::default());
    standby.wait_until("exists (select from pg_database where datname = 'shop')");
    let hosts = |of: &Cluster| format!("hosts: {{ db-1: {{ role: standby, backups: true, connection: \"{}\" }} }}", of.conninfo());
    ground.change("hosts: {  }", &hosts(&ground.rig.cluster));
    ground.say(&["backup", "dump"]).ends_with_code(1).says("this server is the primary");
    ground.change(&hosts(&ground.rig.cluster), &hosts(&standby));
    let before = hashes(&ground.rig.cluster, "shop");
    // No standby has its rows.
    ground.sql("create unlogged table sessions (id int primary key); insert into sessions values (1), (2)");
    let last = ground.rig.cluster.sql("select pg_current_wal_lsn()");
    standby.wait_until(&format!("pg_last_wal_replay_lsn() >= '{last}'"));
    let dump = ground.dump();
    assert!(dump.descriptor.cluster.standby);
    let target = brought_back(&ground, &dump, Version::V18);
    let (empty, others): (Vec<String>, Vec<String>) =
        hashes(&target, "back").lines().map(str::to_owned).partition(|line| line.starts_with("public.sessions "));
    assert_eq!((others.join("\n"), empty), (before, vec!["public.sessions 0-".to_owned()]));
    // Which is said when it is dumped, and whenever somebody wants it back.
    assert!(
        dump.said
            .contains(r#"no rows of unlogged tables, because a standby has none; on the primary they may have some: "public"."sessions""#),
        "{}",
        dump.said
    );
    let left = serde_json::json!([{ "database": "shop", "unlogged": [r#""public"."sessions""#] }]);
    let shown = crate::cli::follows("show-output", &ground.say(&["show", "latest", "--format", "json"]).ends_with_code(0).out);
    assert_eq!(shown["left_out"], left, "{shown:#}");
    ground.say(&["show", "latest"]).ends_with_code(0).says("unlogged, and a standby was dumped");
    ground.say(&["restore", "--into-database", "back", "--create"]).says("these come back empty: \"public\".\"sessions\"");
    let table = ["restore", "--table", "public.sessions", "--job", "dump", "--yes"];
    for way in [&["--replace", "--no-snapshot"][..], &["--merge", "--delete-others"]] {
        let refused = ground.say(&[&table[..], way].concat()).ends_with_code(1).says("no rows: it is unlogged");
        assert!(refused.err.contains("`public.sessions` is unlogged: this backup has none of its rows"), "{}", refused.err);
    }
    assert_eq!(ground.sql("select count(*) from sessions"), "2");
    let mut guard = ground.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    guard.args(["guard", "--plan", "dump", "--table", "sessions", "--host", "db-1", "--policy"]).arg(ground.file("policy.yaml"));
    let guarded = guard.arg("--state").arg(ground.file("state")).args(["--", "true"]).output().expect("it runs");
    Said::of(guarded).ends_with_code(125).says("a standby is dumped here, which has none of its rows");
}
