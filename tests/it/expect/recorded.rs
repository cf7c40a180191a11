//! What a backup writes down of the original, and a copy that has less.

use std::fs;

use seawall::format::descriptor::Private;
use seawall::format::recorded::Gave;
use seawall::format::seal::Identities;
use seawall::units::Instant;

use super::rig::Seen;
use crate::backup::rig::{Policy, Rig};
use crate::clusters::Version;

const COUNT: &str = "select count(*) from orders";
const CHECKS: &str = "
      rows: { check: row-counts, database: postgres }
      everywhere: { check: row-counts }
      extensions: { check: extensions }
      count: { sql: \"select count(*) from orders\", database: postgres, like_source: 1% }
      word: { sql: \"select max(note) from orders\", database: postgres, like_source: 1% }
      nobody: { sql: select 1 from nowhere, database: postgres, like_source: 1% }
      hypertables: { check: hypertables, database: postgres }";

pub(crate) fn private_of(rig: &Rig) -> (Private, Vec<String>) {
    let backup = rig.backup(&[]);
    let identity = fs::read(rig.path("identity.txt")).expect("an identity");
    let private = rig.descriptor(&backup).open_private(&Identities::parse(&identity, None).expect("an identity"));
    let remarks = backup.0["remarks"].as_array().into_iter().flatten().filter_map(|remark| Some(remark.as_str()?.to_owned()));
    (private.expect("it opens"), remarks.collect())
}

pub(crate) fn add(rig: &Rig, more: &str) {
    let text = fs::read_to_string(rig.path("policy.yaml")).expect("the policy") + more;
    fs::write(rig.path("policy.yaml"), text).expect("the policy");
}

#[test]
fn what_a_backup_records_is_what_a_copy_is_held_against() {
    for version in [Version::V13, Version::V15, Version::V18] {
        let rig = Rig::new(version, &Policy::default());
        add(
            &rig,
            "drills: { any: { restore: { latest: nightly }, expect: { \
             count: { sql: \"select count(*) from orders\", like_source: 1% }, again: { sql: \"select count(*) from orders\", like_source: 5% }, \
             word: { sql: \"select max(note) from orders\", like_source: 1% }, nobody: { sql: select 1 from nowhere, like_source: 1% } } } }\n",
        );
        let cluster = &rig.cluster;
        cluster
            .sql("create table orders (id int primary key, note text); insert into orders select n, 'n' from generate_series(1, 50000) n");
        cluster.sql("create table parts (id int) partition by range (id); create table parts_1 partition of parts for values from (0) to (100000); insert into parts select generate_series(1, 30000)");
        cluster.sql(r#"create table "; drop table x --" (a int); insert into "; drop table x --" select generate_series(1, 20000)"#);
        cluster.sql("create table gone (a int); insert into gone select generate_series(1, 20000)");
        cluster.sql("create unlogged table fleeting (a int); insert into fleeting select generate_series(1, 20000)");
        cluster.sql("create database other");
        cluster.sql("analyze");
        cluster.wait_until(
            "pg_stat_get_live_tuples('orders'::regclass) = 50000 or (select reltuples from pg_class where relname = 'orders') = 50000",
        );
        let (private, remarks) = private_of(&rig);
        let recorded = private.recorded.get("postgres").expect("it is recorded");
        let rows = |name: &str| recorded.tables.iter().find(|one| one.table.name == name).map(|one| one.rows);
        assert_eq!(
            [rows("orders"), rows("parts"), rows("; drop table x --"), rows("gone"), rows("parts_1"), rows("fleeting")],
            [Some(50_000), Some(30_000), Some(20_000), Some(20_000), None, None],
            "{recorded:?}"
        );
        assert!(private.recorded.contains_key("other") && recorded.timescale.is_none());
        let answers: Vec<(&str, &Gave)> = private.answers.iter().map(|answer| (answer.sql.as_str(), &answer.gave)).collect();
        assert_eq!(answers.len(), 3, "each is asked once: {answers:?}");
        assert!(answers.contains(&(COUNT, &Gave::Value("50000".into()))), "{answers:?}");
        assert!(remarks.iter().any(|remark| remark.contains("select 1 from nowhere")), "{remarks:?}");

        let see = || Seen::of(&cluster.settings(), &private, Instant::now(), CHECKS);
        let seen = see();
        seen.met("rows", "4 tables with 120 000 rows, as about recorded");
        seen.met("everywhere", "as about recorded");
        seen.met("extensions", "as recorded");
        seen.met("count", "50 000 rows, and the original had 50 000; 1% more or less expected");
        seen.met("word", "`n`, as in the original");
        seen.failed("nobody", "does not exist");
        seen.failed("hypertables", "none of these databases has TimescaleDB");

        // A copy of which a part is missing.
        cluster
            .sql("delete from orders where id > 44000; drop table gone; delete from parts where id <= 29000; update orders set note = 'z'");
        cluster.sql("update pg_extension set extversion = '0.9' where extname = 'plpgsql'");
        cluster.sql("drop database other");
        let seen = see();
        seen.failed("rows", "`postgres: public.orders` has 44 000 rows, and about 50 000 were recorded");
        seen.failed("rows", "`postgres: public.gone` is not there");
        seen.failed("rows", "`postgres: public.parts` has 1 000 rows");
        seen.failed("everywhere", "the database `other` is not there");
        seen.failed("extensions", "`plpgsql` of `postgres` is `0.9`, and `1.0` was recorded");
        seen.failed("count", "44 000 rows, and the original had 50 000");
        seen.failed("word", "`z`, and the original had `n`");
    }
}

#[test]
fn a_backup_of_an_earlier_version_has_nothing_to_compare_with_and_that_fails() {
    let rig = Rig::new(Version::V15, &Policy::default());
    let seen = Seen::of(&rig.cluster.settings(), &Private::default(), Instant::now(), CHECKS);
    for name in ["rows", "everywhere", "extensions", "hypertables"] {
        seen.failed(name, "the backup recorded nothing of this");
    }
}

/// Whoever takes backups may not read the rows, and a table that somebody holds is no reason to wait.
#[test]
fn what_cannot_be_asked_is_a_remark_and_the_backup_is_one() {
    let rig = Rig::new(Version::V15, &Policy::default());
    rig.cluster.sql("create table orders (id int); insert into orders values (1)");
    add(
        &rig,
        "drills: { any: { restore: { latest: nightly }, expect: { count: { sql: \"select count(*) from orders\", like_source: 1% } } } }\n",
    );
    let mut holder = rig.cluster.connect();
    holder.run("begin; lock table orders in access exclusive mode").expect("a lock");
    let (private, remarks) = private_of(&rig);
    assert!(matches!(&private.answers[0].gave, Gave::Nothing(why) if why.contains("lock timeout")), "{:?}", private.answers);
    assert!(remarks.iter().any(|remark| remark.contains("lock timeout")), "{remarks:?}");
    holder.run("rollback").expect("an end");
    let seen = Seen::of(
        &rig.cluster.settings(),
        &private,
        Instant::now(),
        "      count: { sql: \"select count(*) from orders\", database: postgres, like_source: 1% }",
    );
    seen.failed("count", "the original gave no answer when the backup ended");
}
