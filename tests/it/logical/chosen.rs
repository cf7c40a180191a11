//! Jobs of chosen tables: as `pg_dump` writes them, as CSV, as Parquet.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use seawall::format::descriptor::Descriptor;

use super::rig::{EVERYTHING, Ground, sql_in};
use crate::clusters::{Options, Version};

/// A job `some` beside the others; `tables` stands in its braces.
pub(super) fn with(ground: &Ground, tables: &str) {
    let job = format!(
        "backups: {{ some: {{ tables: {{ {tables} }}, schedule: {{ at: \"04:00\" }}, keep: {{ last: 2 }}, takes: 1m, size: 1MB }}, "
    );
    ground.change("backups: { ", &job);
}

const NAMES: &str = r#"types, parts, '"; drop table types --"', '"Sch ""ema"."T''able"', public.types"#;

pub(super) fn taken(ground: &Ground) -> String {
    let said = ground.say(&["backup", "some", "--format", "json"]).ends_with_code(0);
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let key = json["descriptor"].as_str().expect("a key");
    let text = fs::read(ground.file("store").join(key)).expect("the descriptor");
    Descriptor::from_json(&text).expect("it can be read").id.to_string()
}

pub(super) fn rows(ground: &Ground, database: &str, table: &str) -> String {
    let sql = format!(
        "set timezone = 'UTC'; select count(*) || ' ' || md5(string_agg(t::text, '|' order by t::text collate \"C\")) from {table} t"
    );
    sql_in(&ground.rig.cluster, database, &sql)
}

const TABLES: [&str; 4] = ["types", "parts", "\"; drop table types --\"", "\"Sch \"\"ema\".\"T'able\""];

#[test]
fn in_the_format_of_pg_dump_they_come_back() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(EVERYTHING);
    with(&ground, &format!("tables: [{NAMES}]"));
    let id = taken(&ground);
    ground.say(&["list"]).ends_with_code(0).says("tables");
    // `parts` has its rows in two partitions, and `types` was named twice.
    ground.say(&["show", &id]).ends_with_code(0).says("5 tables");
    ground.say(&["verify", "--deep"]).ends_with_code(0);
    // They need their types, which are not theirs: in the database that has them, under other names.
    ground.rig.cluster.sql("create database back");
    let types = "create type mood as enum ('sad', 'ok', 'a ''quoted'' one'); create domain positive as int check (value > 0); \
                 create type pair as (a int, b text); create function twice(int) returns int language sql immutable as 'select $1 * 2'";
    sql_in(&ground.rig.cluster, "back", types);
    let said = ground.say(&["restore", "--into-database", "back", "--occupied", "--job", "some", "--yes"]).ends_with_code(0);
    assert!(said.out.contains(&id) && said.out.contains("not all of it"), "{}", said.out);
    for table in TABLES {
        assert_eq!(rows(&ground, "back", table), rows(&ground, "shop", table), "{table}");
    }
    assert_eq!(sql_in(&ground.rig.cluster, "back", "select count(*) from pg_class where relname in ('wide', 'hen')"), "0");
    // Nobody who wants the newest dump gets a few tables.
    ground.say(&["restore", "--into-database", "other", "--create", "--yes"]).ends_with_code(1).says("no complete dump");
    ground.say(&["restore", "--export-to", "/nowhere", "--yes"]).ends_with_code(1).says("--into-database");
    // Under the same rules as every other backup.
    taken(&ground);
    taken(&ground);
    ground.say(&["expire"]).ends_with_code(0);
    assert!(ground.rig.objects("expiring").contains(&format!("{id}.json")));
}

#[test]
fn as_files_they_are_whole_and_nobody_elses() {
    for (format, version) in [("csv", Version::V15), ("parquet", Version::V18), ("csv", Version::V13)] {
        let ground = Ground::with(version, Options::default().with("lc_monetary = 'C'").with("timezone = 'Asia/Kolkata'"), "");
        ground.sql(EVERYTHING);
        if format == "parquet" {
            // What Parquet cannot express is refused: a backup loses nothing.
            with(&ground, &format!("format: parquet, tables: [{NAMES}]"));
            ground.say(&["backup", "some"]).ends_with_code(1).says("cannot be expressed in Parquet").says("format: csv");
            assert!(ground.has_nothing());
            ground.sql("alter table types drop column da");
        } else {
            with(&ground, &format!("format: {format}, tables: [{NAMES}]"));
        }
        let id = taken(&ground);
        ground.say(&["show", &id]).ends_with_code(0).says("4 tables");
        ground.say(&["verify", "--deep"]).ends_with_code(0);
        ground.say(&["restore", "--into-database", "back", "--create", "--job", "some", "--yes"]).ends_with_code(1).says("--export-to");
        let folder = ground.file("out").display().to_string();
        let said = ground.say(&["restore", "--export-to", &folder, "--yes", "--format", "json"]).ends_with_code(0);
        let exported = crate::cli::follows("restore-export-output", &said.out);
        assert_eq!(
            (exported["files"].as_array().map(Vec::len), exported["rows"].as_u64()),
            (Some(4), Some(301 + 200 + 3 + 10)),
            "{exported:#}"
        );
        for file in exported["files"].as_array().expect("files") {
            let path = Path::new(file["path"].as_str().expect("a path"));
            let about = fs::metadata(path).expect("it is there");
            assert_eq!((about.mode() & 0o777, about.len()), (0o600, file["bytes"].as_u64().expect("a number")), "{file:#}");
            let table = format!("{}.{}", quoted(&file["schema"]), quoted(&file["table"]));
            if format == "csv" {
                loads(&ground, path, &table, file);
            } else {
                let count = python(&format!("import pyarrow.parquet as p; print(p.read_table('{}').num_rows)", path.display()));
                assert_eq!(count, file["rows"].to_string());
            }
        }
        // What others have there stays theirs.
        let beside = ground.file("beside");
        fs::create_dir(&beside).expect("a folder");
        let names = exported["files"].as_array().expect("files").iter().map(|file| file["path"].as_str().expect("a path").to_owned());
        let theirs: Vec<_> =
            names.map(|path| beside.join(format!("{}.part", Path::new(&path).file_name().expect("a name").display()))).collect();
        theirs.iter().for_each(|path| fs::write(path, "theirs").expect("a file"));
        ground.rig.shell_as_root("chown -R postgres beside");
        ground.say(&["restore", "--export-to", beside.to_str().expect("text"), "--yes"]).ends_with_code(0);
        assert!(theirs.iter().all(|path| fs::read_to_string(path).is_ok_and(|text| text == "theirs")));
        assert_eq!(ground.rig.shell("ls -A beside | wc -l"), "8");
        // Nothing is overwritten, and one alone can be had.
        ground.say(&["restore", "--export-to", &folder, "--yes"]).ends_with_code(1).says("is there already");
        let other = ground.file("other").display().to_string();
        let words = ["restore", "--export-to", &other, "--table", "\"; drop table types --\"", "--backup", &id, "--yes"];
        ground.say(&words).ends_with_code(0).says("1 file with 3 rows");
        assert_eq!(ground.rig.shell("ls other | wc -l"), "1");
        ground.say(&["restore", "--export-to", &other, "--table", "nowhere", "--yes"]).ends_with_code(1).says("nowhere");
        // Damage gives no file.
        ground.rig.shell_as_root(&format!(
            "f=$(ls store/*/data/{id}/table-00001.*); chmod u+w $f; printf damaged | dd of=$f bs=1 seek=400 conv=notrunc 2>/dev/null"
        ));
        ground.say(&["verify"]).ends_with_code(1).says("table-00001");
        ground.say(&["verify", "--deep"]).ends_with_code(1).says("table-00001");
        let third = ground.file("third").display().to_string();
        ground.say(&["restore", "--export-to", &third, "--table", "types", "--yes"]).ends_with_code(1);
        assert_eq!(ground.rig.shell("ls third | wc -l"), "0");
    }
}

fn quoted(name: &serde_json::Value) -> String {
    format!("\"{}\"", name.as_str().expect("text").replace('"', "\"\""))
}

/// Into a table like the one it came from, row by row.
fn loads(ground: &Ground, path: &Path, table: &str, file: &serde_json::Value) {
    let columns: Vec<String> = file["columns"].as_array().expect("columns").iter().map(quoted).collect();
    ground.sql("drop table if exists loaded");
    ground.sql(&format!("create table loaded (like {table} including generated)"));
    let copy = format!("copy loaded ({}) from '{}' (format csv, header)", columns.join(", "), path.display());
    ground.sql(&copy);
    assert_eq!(rows(ground, "shop", "loaded"), rows(ground, "shop", table), "{table}");
}

fn python(code: &str) -> String {
    let python = std::env::var_os("SEAWALL_TEST_PYTHON").unwrap_or_else(|| "target/venv/bin/python".into());
    let output = Command::new(python).args(["-c", code]).output().expect("Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn what_is_wrong_is_named_and_leaves_nothing() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(EVERYTHING);
    ground.sql("create role reader login; grant usage on schema public to reader; grant select on types, secret, types_id_seq to reader");
    with(&ground, "format: csv, tables: [types, nowhere]");
    ground.say(&["backup", "some"]).ends_with_code(1).says("there is no table `nowhere`").says("backups.some.tables.tables");
    ground.change("nowhere]", "seen]");
    ground.say(&["backup", "some"]).ends_with_code(1).says("`seen` is no table");
    ground.change("seen]", "hen]");
    ground.change("user=postgres", "user=reader");
    for format in ["csv", "custom"] {
        ground.say(&["backup", "some"]).ends_with_code(1).says("permission denied").says("hen");
        ground.change("hen]", "secret]");
        ground.say(&["backup", "some"]).ends_with_code(1).says("row-level security");
        assert!(ground.has_nothing(), "{format}");
        if format == "csv" {
            ground.change("secret]", "hen]");
            ground.change("format: csv", "format: custom");
        }
    }
    // Somebody changes a table, and nobody waits behind us for it.
    ground.change("user=reader", "user=postgres");
    ground.change("format: custom", "format: csv");
    let mut other = super::rig::connect(&ground.rig.cluster, "shop");
    other.run("begin; alter table secret add column colour text").expect("a lock");
    ground.say(&["backup", "some"]).ends_with_code(1).says("lock");
    assert!(ground.has_nothing());
    other.run("rollback").expect("its end");
    taken(&ground);
}

/// What its columns are of is no table, and comes beside the tables: so one of them can be made anew alone.
#[test]
fn one_of_them_comes_back_alone_with_its_types() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(
        "create schema own; create extension citext schema own; create type own.mood as enum ('sad', 'ok'); create domain few as int check (value < 10); \
         create type pair as (mood own.mood, few few); create function plus(few) returns int immutable language sql as 'select $1 + 1'; \
         create table secret (n int); create role reader login; \
         create table goods (id int primary key, name own.citext, mood own.mood, pairs pair[], few few, next int generated always as (plus(few)) stored); \
         create index dear on goods (id) where id > 5; create function heard() returns trigger language plpgsql as 'begin return new; end'; \
         create trigger heard before insert on goods for each row execute function heard(); \
         create function of_secret() returns int immutable language sql begin atomic select max(n) from secret; end; \
         create index by_secret on goods ((few + of_secret())); \
         insert into goods select k, 'N' || k, 'ok', array[row('sad', 3)::pair], k from generate_series(1, 9) k; \
         grant usage on schema own to reader; grant select on goods to reader",
    );
    with(&ground, "tables: [goods]");
    // Of other tables the role need not be able to read anything.
    ground.change("user=postgres", "user=reader");
    taken(&ground);
    ground.change("user=reader", "user=postgres");
    ground.say(&["verify", "--deep"]).ends_with_code(0);
    let back = ["restore", "--table", "public.goods", "--job", "some", "--yes"];
    ground
        .say(&[&back[..], &["--into-schema", "aside"]].concat())
        .ends_with_code(0)
        .says("9 rows")
        .says("the trigger heard")
        .says("the index by_secret");
    assert_eq!(
        ground.sql("select string_agg(indexname, ' ' order by indexname) from pg_indexes where schemaname = 'aside'"),
        "dear goods_pkey"
    );
    assert_eq!(rows(&ground, "shop", "aside.goods"), rows(&ground, "shop", "public.goods"));
    ground.sql("update goods set few = 1");
    ground.say(&[&back[..], &["--replace"]].concat()).ends_with_code(0).says("8 changed");
    assert_eq!(rows(&ground, "shop", "aside.goods"), rows(&ground, "shop", "public.goods"));
    ground
        .say(&["restore", "--table", "public.secret", "--job", "some", "--csv", "-", "--yes"])
        .ends_with_code(1)
        .says("there is no table");
}
