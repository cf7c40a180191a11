//! The checks that Seawall knows by itself, against databases in which something is broken.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::process::Command;
use std::time::{Duration, Instant as Clock};

use super::rig::Seen;
use crate::clusters::{Cluster, Options, StopMode, Version};

const CONSTRAINTS: &str = "      keys: { check: constraints-valid }";
const AMCHECK: &str = "      whole: { check: amcheck }";
const INDEXES: &str = "      indexes: { check: indexes-valid }";

fn sql(cluster: &Cluster, script: &str) {
    for statement in script.split(";;") {
        cluster.sql(statement);
    }
}

/// Under names that would break a query that is put together carelessly; all of it is sound.
const KEYS: &str = r#"
    create table "; drop table x --" ("a""b" int, "c'd" text, primary key ("a""b", "c'd"));;
    create table "Kinder" (id serial, "from" int, "$1" text, constraint "fk; --" foreign key ("from", "$1") references "; drop table x --");;
    create table strict (a int, b text, constraint full_key foreign key (a, b) references "; drop table x --" match full);;
    insert into "; drop table x --" select n, n::text from generate_series(1, 1000) n;;
    insert into "Kinder" ("from", "$1") select n, n::text from generate_series(1, 1000) n;;
    insert into "Kinder" ("from") values (7777);;
    insert into strict values (null, null), (1, '1');;
    create table parts (id int primary key, at date) partition by range (id);;
    create table parts_1 partition of parts for values from (0) to (100);;
    create table parts_2 partition of parts for values from (100) to (200);;
    create table users (id int primary key, part int references parts, self int references users);;
    insert into parts values (1), (150);;
    insert into users values (1, 1, null), (2, 150, 1), (3, null, 3)"#;
/// Past the triggers, as a broken restore or a careless repair would leave it.
const BREAK: &str = r#"
    set session_replication_role = replica; insert into "Kinder" ("from", "$1") values (5001, '5001'), (5002, 'x');;
    set session_replication_role = replica; insert into strict values (3, null);;
    set session_replication_role = replica; delete from parts where id = 150;;
    set session_replication_role = replica; update users set self = 99 where id = 3;;
    alter table users add constraint positive check (id > 2) not valid"#;

#[test]
fn a_foreign_key_is_valid_where_every_row_has_its_counterpart() {
    for version in [Version::V13, Version::V15, Version::V18] {
        let cluster = Cluster::start(version, Options::default());
        sql(&cluster, KEYS);
        let sound = Seen::now(&cluster, CONSTRAINTS);
        sound.met("keys", "valid, and every row of 4 foreign keys has its counterpart");
        sql(&cluster, BREAK);
        let seen = Seen::now(&cluster, CONSTRAINTS);
        for says in [
            "2 rows of `postgres: public.Kinder` without a row of `postgres: public.; drop table x --` (`fk; --`)",
            "1 row of `postgres: public.strict` without a row",
            "1 row of `postgres: public.users` without a row of `postgres: public.parts` (`users_part_fkey`)",
            "1 row of `postgres: public.users` without a row of `postgres: public.users` (`users_self_fkey`)",
            "`positive` of `postgres: public.users` was never validated",
        ] {
            seen.failed("keys", says);
        }
    }
}

#[test]
fn an_index_that_is_marked_invalid_or_says_what_its_table_does_not_say_is_found() {
    for version in [Version::V13, Version::V15, Version::V18] {
        let cluster = Cluster::start(version, Options { checksums: false, ..Options::default() }.with("autovacuum = off"));
        sql(
            &cluster,
            r#"create table orders (id int, "; drop table x --" text);;
               insert into orders select n, n::text from generate_series(1, 20000) n;;
               create index "Page" on orders (id);;
               create index "; drop index --" on orders ("; drop table x --");;
               create index ends on orders using gin (to_tsvector('simple', "; drop table x --"));;
               create function shrink(text) returns text immutable language sql as 'select $1';;
               create index by_function on orders (shrink("; drop table x --"));;
               checkpoint"#,
        );
        let sound = Seen::now(&cluster, INDEXES);
        sound.met("indexes", "indexes read and right");
        sound.met("indexes", if version == Version::V18 { "read and right" } else { "only marked valid" });

        let file = cluster.data().join(cluster.sql("select pg_relation_filepath('\"Page\"')"));
        cluster.sql("update pg_index set indisvalid = false where indexrelid = '\"; drop index --\"'::regclass");
        cluster.sql("create or replace function shrink(text) returns text immutable language sql as 'select substr($1, 2)'");
        cluster.stop(StopMode::Fast);
        // The key that no entry of the first leaf page may be above: 16 bytes of the page's own are at its end, the entries before them.
        let page = OpenOptions::new().write(true).open(file).expect("the index's file");
        page.write_all_at(&[0x7f], 8192 + 8192 - 16 - 5).expect("a byte");
        cluster.resume();
        let seen = Seen::now(&cluster, INDEXES);
        seen.failed("indexes", "`postgres: public.; drop index --` is not valid");
        seen.failed("indexes", "`postgres: public.Page`: high key invariant violated for index");
        seen.failed("indexes", "`postgres: public.by_function`:");
        // Only the copy is ours to change, and only with what is needed.
        assert_eq!(
            cluster.sql("select nspname from pg_extension e join pg_namespace n on n.oid = extnamespace where extname = 'amcheck'"),
            "seawall_drill"
        );
    }
}

/// Where a table's first row on a page begins, by the page's own list of them.
fn row_on(page: &[u8]) -> usize {
    let item = u32::from_le_bytes(page[24..28].try_into().expect("four bytes"));
    (item & 0x7fff) as usize
}

#[test]
fn a_table_with_a_damaged_page_is_named_with_its_block() {
    for version in [Version::V13, Version::V14, Version::V15, Version::V18] {
        let reads_tables = version > Version::V13;
        // With checksums nobody gets as far as the rows; without them only the rows can say it.
        let with_checksums = Cluster::start(version, Options { checksums: true, ..Options::default() }.with("autovacuum = off"));
        let without = Cluster::start(version, Options { checksums: false, ..Options::default() }.with("autovacuum = off"));
        for cluster in [&with_checksums, &without] {
            sql(
                cluster,
                r#"create table "; drop table x --" (id int, note text);;
                   insert into "; drop table x --" select n, repeat(n::text, 20) from generate_series(1, 5000) n;;
                   create table long (id int primary key, body text);;
                   alter table long alter body set storage external;;
                   insert into long select n, repeat(n::text, 3000) from generate_series(1, 50) n;;
                   checkpoint"#,
            );
            let sound = Seen::now(cluster, AMCHECK);
            match reads_tables {
                true => sound.met("whole", "tables and"),
                false => sound.met("whole", "no table was read: that of PostgreSQL 13 knows indexes only"),
            }
            let file = cluster.data().join(cluster.sql("select pg_relation_filepath('\"; drop table x --\"')"));
            let toast = cluster.sql("select pg_relation_filepath(reltoastrelid) from pg_class where relname = 'long'");
            let toast = cluster.data().join(toast);
            cluster.stop(StopMode::Fast);
            for file in [file, toast] {
                let page = OpenOptions::new().read(true).write(true).open(file).expect("a table's file");
                let mut block = vec![0; 8192];
                page.read_exact_at(&mut block, 3 * 8192).expect("a block");
                // Its number of columns and where its values begin, as no row has them.
                page.write_all_at(&[0xff, 0x07, 0xff, 0x0f, 0x40], (3 * 8192 + row_on(&block) + 18) as u64).expect("some bytes");
            }
            cluster.resume();
        }
        let seen = [Seen::now(&with_checksums, AMCHECK), Seen::now(&without, AMCHECK)];
        if !reads_tables {
            // The indexes are held against the table, and that is how far 13 goes.
            continue;
        }
        seen[0].failed("whole", "`postgres: public.; drop table x --`: invalid page in block 3 of relation");
        seen[0].failed("whole", "long values of `postgres: public.long`: invalid page in block 3 of relation");
        seen[1].failed("whole", "`postgres: public.; drop table x --`: block 3, item 1: ");
        seen[1].failed("whole", "long values of `postgres: public.long`: block 3, item 1: ");
    }
}

#[test]
fn a_check_that_takes_too_long_says_so() {
    let cluster = Cluster::start(Version::V15, Options::default());
    sql(
        &cluster,
        "create table big (a int primary key, b int references big);; insert into big select n, n from generate_series(1, 300000) n;; create table other (a int)",
    );
    let mut locked = cluster.connect();
    locked.run("begin; lock table big in access exclusive mode").expect("a lock");
    let began = Clock::now();
    let seen = Seen::now(
        &cluster,
        "      indexes: { check: indexes-valid, timeout: 2s }\n      keys: { check: constraints-valid, timeout: 2s }\n      after: { sql: select 1, database: postgres, is: 1 }",
    );
    seen.failed("indexes", "it took longer than 2s");
    seen.failed("keys", "it took longer than 2s");
    seen.met("after", "1, as expected");
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// A server of a distribution that packs its extensions apart.
#[test]
fn without_amcheck_nobody_claims_that_indexes_were_read() {
    let folder = tempfile::Builder::new().prefix("sw-").tempdir().expect("a folder");
    let native = Version::V13.programs().parent().expect("a folder").to_path_buf();
    let copied = Command::new("cp").arg("-a").arg(&native).arg(folder.path().join("native")).status().expect("cp");
    assert!(copied.success());
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("a folder that the server may enter");
    std::fs::remove_file(folder.path().join("native/share/postgresql/extension/amcheck.control")).expect("it was there");
    let programs = Some(folder.path().join("native/bin"));
    let cluster = Cluster::start(Version::V13, Options { programs, ..Options::default() });
    Seen::now(&cluster, INDEXES).failed("indexes", "`amcheck` is not installed here, so the indexes of `postgres` were not read");
}

/// The session finds PostgreSQL's own views and functions, whatever stands before them on somebody's path.
#[test]
fn nobody_s_own_functions_answer_for_the_server_s() {
    let cluster = Cluster::start(Version::V15, Options::default());
    cluster.sql("create schema mine; create view mine.pg_available_extensions as select * from pg_catalog.pg_available_extensions where name <> 'amcheck'");
    cluster.sql("create view mine.pg_constraint as select * from pg_catalog.pg_constraint where false");
    cluster.sql("alter role postgres set search_path = mine, pg_catalog, public");
    sql(&cluster, "create table public.users (id int);; alter table public.users add constraint positive check (id > 2) not valid");
    Seen::now(&cluster, INDEXES).met("indexes", "read and right");
    Seen::now(&cluster, CONSTRAINTS).failed("keys", "`positive` of `postgres: public.users` was never validated");
}
