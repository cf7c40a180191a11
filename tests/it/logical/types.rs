//! What chosen tables go by comes back with them: types of every kind, functions, operators, extensions; and nothing else.

use super::chosen::{rows, taken, with};
use super::drill::{drill, drills, nothing_is_left};
use super::rig::{Ground, sql_in, succeeds};
use crate::clusters::Version;
use crate::run::rig::Said;

const KINDS: &str = r#"
    create schema kinds; create schema "Odd kinds"; create extension citext schema kinds; create extension hstore;
    create type mood as enum ('sad', 'ok', 'a ''quoted''; one');
    create domain kinds.sure as int default 1 check (value > 0);
    create function kinds.checked(int) returns boolean language sql immutable as 'select $1 < 1000';
    create domain "Odd kinds"."Ch ecked" as kinds.sure check (kinds.checked(value));
    create type "Odd kinds".pair as (a "Odd kinds"."Ch ecked", b mood[]);
    create type spans as range (subtype = float8, subtype_diff = float8mi);
    create collation kinds.plain (provider = libc, locale = 'C');
    create function kinds.later(int) returns int language plpgsql set search_path = kinds as $$ begin return helped($1); end $$;
    create function kinds.helped(int) returns int language sql as 'select $1 + 1';
    create operator kinds.=== (leftarg = int, rightarg = int, function = int4eq);
    create function heard() returns trigger language plpgsql security definer as $$ begin return new; end $$;
    revoke execute on function heard() from public; grant execute on function heard() to clerk;
    create function nobodys() returns int language sql as 'select 1'; create type nobodys_own as enum ('x'); create table secret (n nobodys_own);
    create table plain (n int); insert into plain values (1);
    create table goods (id int primary key default kinds.later(1), mood mood not null default 'ok', sure kinds.sure, pairs "Odd kinds".pair[],
        span spans, many spans_multirange, name kinds.citext, note text collate kinds.plain, check (id operator(kinds.===) id));
    create trigger heard before insert on goods for each row execute function heard();
    create index on goods (kinds.checked(id));
    comment on type mood is 'how it is'; alter type mood owner to clerk; comment on function kinds.checked(int) is 'whether';
    insert into goods select k, 'sad', k, array[row(k, '{ok}')::"Odd kinds".pair], spans(k, k + 1), spans_multirange(spans(0, k)), 'N' || k, 'n' from generate_series(1, 99) k;
"#;

fn ground(version: Version) -> Ground {
    let ground = Ground::new(version, "");
    ground.rig.cluster.sql("create role clerk");
    ground.sql(KINDS);
    with(&ground, "tables: [goods, plain]");
    ground
}

fn into(ground: &Ground, more: &[&str]) -> Said {
    ground.say(&[&["restore", "--job", "some", "--yes", "--into-database"], more].concat())
}

fn definitions(ground: &Ground, database: &str) -> Vec<String> {
    let cluster = &ground.rig.cluster;
    let mut dump = cluster.program("pg_dump");
    dump.arg("--schema-only").arg("--dbname").arg(format!("{} dbname={database}", cluster.conninfo()));
    let text = succeeds(dump.output().expect("pg_dump"));
    text.lines().filter(|line| !line.is_empty() && !line.starts_with(['-', '\\'])).map(str::to_owned).collect()
}

#[test]
fn a_new_database_gets_what_the_tables_need() {
    for version in [Version::V15, Version::V14] {
        let ground = ground(version);
        drills(
            &ground,
            "drills: { tables: { restore: { latest: some }, expect: { rows: { sql: \"select count(*) from goods\", is: 99 } } } }\n",
        );
        taken(&ground);
        ground.say(&["verify", "--deep"]).ends_with_code(0);
        let said = into(&ground, &["back", "--create"]).ends_with_code(0).says("made before the tables, which need it: ");
        for what in ["the type public.mood", "the domain kinds.sure", "the schema Odd kinds", "more"] {
            assert!(said.out.contains(what), "{what}: {}", said.out);
        }
        for table in ["goods", "plain"] {
            assert_eq!(rows(&ground, "back", table), rows(&ground, "shop", table), "{table}");
        }
        // As it was, whose it was, and for whom; and nothing that no table needs.
        let (all, back) = (definitions(&ground, "shop"), definitions(&ground, "back"));
        let strange: Vec<&String> = back.iter().filter(|line| !all.contains(line)).collect();
        assert_eq!(strange, [""; 0], "{version}");
        assert!(!back.iter().any(|line| line.contains("nobodys") || line.contains("hstore") || line.contains("secret")), "{back:#?}");
        for what in [
            "ALTER TYPE public.mood OWNER TO clerk;",
            "COMMENT ON TYPE public.mood IS 'how it is';",
            "REVOKE ALL ON FUNCTION public.heard() FROM PUBLIC;",
        ] {
            assert!(back.iter().any(|line| line == what), "{what}: {back:#?}");
        }
        // It is a table to work with.
        sql_in(&ground.rig.cluster, "back", "insert into goods (id, name) values (kinds.later(299), 'x')");
        // Of one that needs nothing nothing else comes.
        let alone = into(&ground, &["alone", "--create", "--table", "plain"]).ends_with_code(0);
        assert!(!alone.out.contains("which need it"), "{}", alone.out);
        assert_eq!(sql_in(&ground.rig.cluster, "alone", "select count(*) from pg_type where typname in ('mood', 'spans')"), "0");
        let record = drill(&ground, 0, &["tables"]);
        assert_eq!(record["outcome"], "passed", "{record:#}");
        nothing_is_left(&ground);
    }
}

/// Whose type it is must be there, before anything is made.
#[test]
fn roles_of_types_are_asked_for() {
    let ground = ground(Version::V15);
    taken(&ground);
    ground.sql("alter type mood owner to postgres; revoke all on function heard() from clerk");
    ground.rig.cluster.sql("drop role clerk");
    into(&ground, &["back", "--create"]).ends_with_code(1).says("`clerk`");
    into(&ground, &["back", "--create", "--no-owner"]).ends_with_code(1).says("`clerk`");
    into(&ground, &["back", "--create", "--no-owner", "--no-privileges"]).ends_with_code(0);
    assert_eq!(rows(&ground, "back", "goods"), rows(&ground, "shop", "goods"));
    ground.rig.cluster.sql("create role other");
    into(&ground, &["mapped", "--create", "--map-role", "clerk=other"]).ends_with_code(0);
    assert_eq!(sql_in(&ground.rig.cluster, "mapped", "select typowner::regrole from pg_type where typname = 'mood'"), "other");
}

#[test]
fn what_is_there_stays_and_must_fit() {
    let ground = ground(Version::V15);
    taken(&ground);
    let cluster = &ground.rig.cluster;
    let there = |sql: &str| sql_in(cluster, "there", sql);
    let anew = |sql: &str| {
        cluster.sql("drop database if exists there");
        cluster.sql("create database there");
        there(sql);
    };
    let back = || into(&ground, &["there", "--occupied"]);
    const SURE: &str = "create schema kinds; create domain kinds.sure as int check (value > 5 or value < 5000)";
    // It takes the rows, and is whose it is.
    anew(&format!(
        "create type mood as enum ('new', 'sad', 'ok', 'a ''quoted''; one'); {SURE}; create table mine (m mood); \
         create function kinds.checked(int) returns boolean language sql immutable as 'select true'"
    ));
    back()
        .ends_with_code(0)
        .says("the type public.mood is there already, with the label `new` beside those of then")
        .says("the domain Odd kinds.Ch ecked");
    assert_eq!(rows(&ground, "there", "goods"), rows(&ground, "shop", "goods"));
    let mine = "select concat_ws(' ', (select typowner::regrole from pg_type where typname = 'mood'), obj_description('mood'::regtype, 'pg_type'), \
        (select prosrc from pg_proc where proname = 'checked'), obj_description('kinds.checked(int)'::regprocedure, 'pg_proc'))";
    assert_eq!(there(mine), "postgres select true");
    // It does not, and nothing is begun.
    for (sql, said) in [
        ("create type mood as enum ('sad', 'new')", "it has not the labels `ok` and `a 'quoted'; one` of then"),
        ("create type mood as (a int)", "the type public.mood is in `there` already, and is another one: it was of another kind"),
        ("create domain mood as text", "it was of another kind"),
        ("create schema kinds; create domain kinds.sure as bigint", "then it was made of `integer`, and now of `bigint`"),
        (
            "create schema \"Odd kinds\"; create type mood as enum ('sad', 'ok', 'a ''quoted''; one'); create type \"Odd kinds\".pair as (b mood[], a int)",
            "the type Odd kinds.pair is in `there` already, and is another one",
        ),
        ("create type spans as range (subtype = float4)", "then it was made of `double precision`, and now of `real`"),
    ] {
        anew(sql);
        let before = there("select count(*) from pg_class");
        let refused = back().ends_with_code(1).says(said).says("--create");
        assert!(!refused.out.contains("restored"), "{}", refused.out);
        assert_eq!(there("select count(*) from pg_class"), before, "{sql}");
    }
    // Their own rows, into tables that are there, ask for nothing.
    anew("create type mood as enum ('other'); create table plain (n int)");
    into(&ground, &["there", "--occupied", "--section", "data", "--table", "plain"]).ends_with_code(0);
    assert_eq!(there("select count(*) from plain"), "1");
}
