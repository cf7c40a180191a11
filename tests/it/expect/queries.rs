//! What queries find.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant as Clock};

use seawall::format::descriptor::Private;
use seawall::units::{Instant, is_wild};

use super::rig::Seen;
use crate::clusters::{Cluster, Options, Version};

const TABLES: &str = r#"
    create table orders (id bigint primary key, placed timestamptz, local timestamp, day date, amount numeric);
    insert into orders select n, now() - n * interval '10 min', localtimestamp - n * interval '10 min', current_date, n + 0.25 from generate_series(0, 1203) n;
    create table "; drop table x --" (a int); insert into "; drop table x --" values (1);
    create database other"#;

const EXPECT: &str = r#"
      enough: { sql: "select count(*) from orders", database: postgres, at_least: 1204 }
      too-few: { sql: "select count(*) from orders;", database: postgres, at_least: 1000000 }
      between: { sql: select sum(amount) from orders, database: postgres, at_least: 724507, at_most: 724507 }
      exact: { sql: "select 9007199254740993", database: postgres, is: 9007199254740992 }
      truth: { sql: select true, database: postgres, is: true }
      word: { sql: "select 'ok'", database: postgres, is: ok }
      version-words: { sql: show server_version_num, database: postgres, at_least: 130000 }
      none: { sql: select 1 from orders where amount < 0, database: postgres, no_rows: true }
      some-wrong: { sql: select id from orders where id < 3 order by id -- the first, database: postgres, no_rows: true }
      very-many: { sql: "select repeat('x', 1000) from generate_series(1, 5000000)", database: postgres, no_rows: true }
      there: { sql: select 1 from orders, database: postgres, some_rows: true }
      not-there: { sql: select 1 from orders where false, database: postgres, some_rows: true }
      set: { sql: "select id, amount > 2, 'a' || id from orders where id < 3 order by 1 desc", database: postgres, rows: [[0, false, a0], [1, false, a1], [2, true, a2]] }
      other-set: { sql: select id from orders where id < 3 order by 1, database: postgres, rows: [[0], [7]] }
      large-set: { sql: "select n, repeat('x', 1000) from generate_series(1, 5000000) n", database: postgres, rows: [[1, x]] }
      narrow-set: { sql: select id from orders, database: postgres, rows: [[0, 1]] }
      no-set: { sql: select id from orders where false, database: postgres, rows: [[0]] }
      fresh: { sql: select max(placed) from orders, database: postgres, newer_than: 5m }
      fresh-local: { sql: select max(local) from orders, database: postgres, newer_than: 5m }
      fresh-day: { sql: select max(day) from orders, database: postgres, newer_than: 25h }
      stale: { sql: select min(placed) from orders, database: postgres, newer_than: 1d }
      no-time: { sql: select max(placed) from orders where false, database: postgres, newer_than: 1d }
      word-for-time: { sql: "select 'soon'", database: postgres, newer_than: 1d }
      endless: { sql: "select 'infinity'::timestamptz", database: postgres, newer_than: 1d }
      evil-name: { sql: 'select a from "; drop table x --"', database: postgres, is: 1 }
      elsewhere: { sql: "select current_database()", database: other, is: other }
      not-a-table: { sql: select * from nowhere, database: postgres, some_rows: true }
      a-write: { sql: "insert into orders values (99999) returning id", database: postgres, is: 99999 }
      a-hidden-write: { sql: "with w as (delete from orders returning 1) select count(*) from w", database: postgres, at_least: 0 }
      two-statements: { sql: "select 1; drop table orders", database: postgres, is: 1 }
      two-rows: { sql: "values (1), (2)", database: postgres, is: 1 }
      two-columns: { sql: "select 1, 2", database: postgres, is: 1 }
      deceiving: { sql: "select E'\\x1b[2Jfine`\\n' || chr(8238) || repeat('y', 500)", database: postgres, is: fine }
      hangs: { sql: select pg_sleep(60), database: postgres, some_rows: true, timeout: 1s }
      unanswered: { sql: select count(*) from orders, database: postgres, like_source: 1% }
"#;

#[test]
fn every_query_is_judged_whatever_the_others_come_to() {
    for version in [Version::V13, Version::V15, Version::V18] {
        let cluster = Cluster::start(version, Options::default().with("timezone = 'Asia/Kolkata'"));
        for statement in TABLES.split(";\n") {
            cluster.sql(statement);
        }
        let began = Clock::now();
        let seen = Seen::now(&cluster, EXPECT);
        assert!(began.elapsed() < Duration::from_secs(55), "{:?}", began.elapsed());
        seen.met("enough", "1 204 rows, at least 1 204 expected");
        seen.failed("too-few", "1 204 rows, at least 1 000 000 expected");
        seen.met("between", "724 507, between 724 507 and 724 507 expected");
        seen.failed("exact", "9 007 199 254 740 993, 9 007 199 254 740 992 expected");
        seen.met("truth", "true, as expected");
        seen.met("word", "`ok`, as expected");
        seen.met("version-words", "at least 130 000 expected");
        seen.met("none", "no rows, as expected");
        seen.failed("some-wrong", "3 rows, none expected; the first is `0`");
        seen.failed("very-many", "1 000 rows or more, none expected");
        seen.met("there", "rows are there");
        seen.failed("not-there", "no rows, at least one expected");
        seen.met("set", "3 rows, as expected");
        seen.failed("other-set", "`7` is missing; `1` is not expected; `2` is not expected");
        seen.failed("large-set", "`1, x` is missing; `1, xxx");
        seen.failed("narrow-set", "1 column came, 2 expected");
        seen.failed("no-set", "`0` is missing");
        seen.met("fresh", "at most 5m expected");
        seen.met("fresh-local", "at most 5m expected");
        seen.met("fresh-day", "at most");
        seen.failed("stale", "at most 24h expected");
        seen.failed("no-time", "null, a time at most 24h old expected");
        seen.failed("word-for-time", "`soon` is no time");
        seen.failed("endless", "`infinity` is no time");
        seen.met("evil-name", "1, as expected");
        seen.met("elsewhere", "`other`");
        seen.failed("not-a-table", "relation \"nowhere\" does not exist");
        seen.failed("a-write", "read-only transaction");
        seen.failed("a-hidden-write", "read-only transaction");
        seen.failed("two-statements", "cannot insert multiple commands into a prepared statement");
        seen.failed("two-rows", "one value was expected, and 2 rows came");
        seen.failed("two-columns", "one value was expected, and 2 columns came");
        seen.failed("deceiving", "fine'");
        seen.failed("hangs", "it took longer than 1s");
        seen.failed("unanswered", "the backup has no answer of the original");
        let socket = cluster.sockets().display().to_string();
        for one in &seen.0 {
            assert!(!one.says.chars().any(is_wild) && one.says.len() < 600 && !one.says.contains(&socket), "{one:?}");
        }
        let hung = seen.0.iter().find(|one| one.name.as_str() == "hangs").expect("it is there");
        assert!((1_000..10_000).contains(&hung.millis), "{hung:?}");
        assert_eq!(cluster.sql("select count(*) from orders"), "1204", "nothing was changed");
    }
}

#[test]
fn a_time_is_seen_from_the_moment_that_was_recovered_to() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let expect = "      fresh: { sql: \"select timestamptz '2020-01-01 10:00:00+00'\", database: postgres, newer_than: 15m }";
    let at = |text: &str| text.parse::<Instant>().expect("a moment");
    let seen = |moment| Seen::of(&cluster.settings(), &Private::default(), at(moment), expect);
    seen("2020-01-01T10:15:00Z").met("fresh", "2020-01-01 10:00:00 UTC is 15m old, at most 15m expected");
    seen("2020-01-01T10:15:01Z").failed("fresh", "is 15m 1s old");
}

#[test]
fn a_drill_that_is_to_end_waits_for_no_query() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let expect = "      a-hangs: { sql: select pg_sleep(60), database: postgres, some_rows: true }\n      b-next: { sql: select 1, database: postgres, is: 1 }";
    let stop = AtomicBool::new(false);
    let began = Clock::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            cluster.wait_until(
                "exists (select from pg_stat_activity where state = 'active' and query like '%seawall%' and pid <> pg_backend_pid())",
            );
            stop.store(true, Ordering::Relaxed);
        });
        let seen = Seen::stopping(&cluster.settings(), &Private::default(), Instant::now(), expect, &stop);
        seen.failed("a-hangs", "it was asked to end");
        seen.failed("b-next", "it was not looked at");
    });
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    cluster.wait_until(
        "not exists (select from pg_stat_activity where query like '%pg_sleep%' and state = 'active' and pid <> pg_backend_pid())",
    );
}

#[test]
fn a_database_that_is_not_there_fails_what_is_asked_of_it() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let seen = Seen::now(
        &cluster,
        "      query: { sql: select 1, database: other, is: 1 }\n      check: { check: constraints-valid, database: other }\n      sound: { check: constraints-valid }",
    );
    seen.failed("query", "database \"other\" does not exist");
    seen.failed("check", "database \"other\" does not exist");
    seen.met("sound", "valid");
}
