//! Whatever a table is, and whatever happens to it and beside it between the backup and the moment: its rows are those that it had.

use seawall::recovery::Target;

use super::rig::{Tables, hash};
use crate::clusters::{Options, Version};
use crate::restore::rig::Rig;

const BEFORE: &str = r#"
    create function filler(n int, seed text) returns text language sql volatile as
        $$ select string_agg(md5(seed || n || i || random()), '') from generate_series(1, 300) i $$;
    create table orders (id serial primary key, note text, long text);
    alter table orders alter long set storage external;
    insert into orders (note, long) select 'n' || n, filler(n, 'o') from generate_series(1, 60) n;
    create index on orders (note);
    create table events (day int, kind text, v text) partition by range (day);
    create table events_1 partition of events for values from (0) to (10) partition by list (kind);
    create table events_1_a partition of events_1 for values in ('a');
    create table events_1_b partition of events_1 for values in ('b');
    create table events_2 partition of events for values from (10) to (20);
    insert into events select n % 20, case when n % 3 = 0 then 'a' else 'b' end, md5(n::text) from generate_series(1, 4000) n;
    create table parent (a int, t text);
    create table child (extra text) inherits (parent);
    insert into parent select n, md5(n::text) from generate_series(1, 500) n;
    insert into child select n, md5(n::text), 'x' || n from generate_series(1, 500) n;
    create table far (id int, t text) tablespace far;
    insert into far select n, md5(n::text) from generate_series(1, 3000) n;
    create table rewritten (id int primary key, t text);
    insert into rewritten select n, md5(n::text) from generate_series(1, 3000) n;
    create table emptied (id int, t text);
    insert into emptied select n, md5(n::text) from generate_series(1, 3000) n;
    create table altered (id int, gone text, t text);
    insert into altered select n, 'gone', md5(n::text) from generate_series(1, 3000) n;
    create table moved (id int, t text);
    insert into moved select n, md5(n::text) from generate_series(1, 3000) n;
    create schema "Odd; Schema";
    create table "Odd; Schema"."A ""table""; drop table x --" (id int, t text);
    insert into "Odd; Schema"."A ""table""; drop table x --" select n, md5(n::text) from generate_series(1, 1000) n;
    create table dull (id int, t text);
    insert into dull select n, md5(n::text) from generate_series(1, 1000) n;
    create materialized view seen as select count(*) from orders;
    create table big1 (id int primary key, t text, p point, a int[]);
    insert into big1 select n, md5(n::text), point(n, n), array[n, n % 7] from generate_series(1, 20000) n;
    create index on big1 using hash (id);
    create index on big1 using gin (a);
    create index on big1 using gist (p);
    create index on big1 using spgist (p);
    create index on big1 using brin (id);
    create table big2 as select * from big1;
    create table big3 as select * from big1;
    create table big4 as select * from big1;
    create index on big2 (t);
    select lo_from_bytea(0, decode(repeat('00', 100000), 'hex'));
    checkpoint;
"#;

/// On what is not wanted.
const NOISE: &str = "
    update big1 set t = md5(t), p = point(id, 1), a = array[id % 5] where id % 3 = 0;
    delete from big1 where id % 5 = 0;
    vacuum big1;
    insert into big1 select n, md5(n::text), point(n, n), array[n] from generate_series(20001, 26000) n on conflict do nothing;
    reindex table big1;
    update big2 set t = md5(t) where id % 2 = 0;
    vacuum full big2;
    truncate big3;
    insert into big3 select n, md5(n::text), point(n, n), array[n] from generate_series(1, 4000) n;
    drop table big4;
    create table big4 as select * from big1;
    create index on big4 using gin (a);
    checkpoint;
    update big1 set t = md5(t) where id % 7 = 0;
    vacuum big1;
";

/// On what is.
const CHANGES: &str = r#"
    update orders set long = filler(id, 'p') where id % 4 = 0;
    delete from orders where id % 9 = 0;
    insert into orders (note, long) select 'm' || n, filler(n, 'q') from generate_series(1, 30) n;
    create table events_3 partition of events for values from (20) to (30);
    insert into events select 20 + n % 10, 'c', md5(n::text) from generate_series(1, 500) n;
    update events set v = 'changed' where day = 3;
    alter table events detach partition events_2;
    update child set extra = 'y' where a % 2 = 0;
    update far set t = 'far' where id % 2 = 0;
    delete from rewritten where id % 3 = 0;
    vacuum full rewritten;
    truncate emptied;
    insert into emptied select n, 'again' from generate_series(1, 50) n;
    alter table altered drop column gone, add column more int default 7, add column most text default md5(random()::text);
    alter table moved set tablespace far;
    update moved set t = 'moved' where id % 2 = 0;
    alter table dull rename to bright;
    update bright set t = 'bright' where id % 3 = 0;
    update "Odd; Schema"."A ""table""; drop table x --" set t = 'odd' where id % 2 = 0;
    refresh materialized view seen;
    create table made (id int, t text);
    insert into made select n, filler(n, 'm') from generate_series(1, 20) n;
    vacuum orders;
    vacuum full pg_class;
    vacuum full pg_namespace;
"#;

const WANTED: [&str; 12] = [
    "public.orders",
    "public.events",
    "public.parent",
    "public.far",
    "public.rewritten",
    "public.emptied",
    "public.altered",
    "public.moved",
    "public.bright",
    "Odd; Schema.A \"table\"; drop table x --",
    "public.made",
    "public.seen",
];

fn as_sql(name: &str) -> String {
    let (schema, name) = name.split_once('.').expect("a schema");
    format!("\"{schema}\".\"{}\"", name.replace('"', "\"\""))
}

/// Statement by statement: some must not run in a transaction.
fn each(rig: &Rig, statements: &str) {
    let mut connection = rig.cluster.connect();
    for statement in statements.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        connection.run(statement).unwrap_or_else(|fault| panic!("{statement}: {fault}"));
    }
}

fn every_kind_of_table(version: Version, without_pages: bool) {
    let conf = vec!["max_prepared_transactions = 5".to_owned(), "autovacuum = off".to_owned()];
    let rig = Rig::start(version, Options { segment_mb: 1, conf, ..Options::default() });
    rig.cluster.tablespace("far");
    each(&rig, BEFORE);
    rig.cluster.sql("create database other");
    rig.backup();
    if without_pages {
        rig.cluster.sql("alter system set full_page_writes = off");
        rig.cluster.reload();
        rig.cluster.wait_until("current_setting('full_page_writes') = 'off'");
    }
    each(&rig, NOISE);
    each(&rig, CHANGES);
    rig.cluster.sql("create database made_meanwhile");
    each(&rig, NOISE.replace("big4 using gin", "big4 using brin").replace("(a)", "(id)").as_str());
    rig.cluster.sql("drop database other");
    rig.cluster.sql("begin; update orders set note = 'never'; prepare transaction 'half''way'");
    let before: Vec<String> = WANTED.iter().map(|name| rig.cluster.sql(&hash(&as_sql(name)))).collect();
    let sequence = rig.cluster.sql("select last_value from orders_id_seq");
    // A record that begins at the moment belongs to it, so that must not be the end of what is prepared.
    let moment = rig.cluster.sql("select pg_current_wal_insert_lsn()");
    rig.cluster.sql("select pg_logical_emit_message(false, 'seawall', 'after the moment')");
    rig.cluster.sql("rollback prepared 'half''way'");
    for name in WANTED {
        let what = if name == "public.seen" { "materialized view" } else { "table" };
        rig.cluster.sql(&format!("drop {what} {} cascade", as_sql(name)));
        if name == "public.orders" {
            rig.cluster.sql("create materialized view seen as select 1 as count");
        }
    }
    rig.archive();

    let tables = Tables::of(&rig.cluster, version.programs());
    let wanted = tables.wanted(&WANTED, Target::Lsn(moment.parse().expect("a position")));
    let got = tables.hold(&wanted).unwrap_or_else(|fault| panic!("{fault} {}", fault.hint));
    for (name, before) in WANTED.iter().zip(&before) {
        assert_eq!(got.sql(&hash(&as_sql(name))), *before, "{name}");
    }
    // After a recovery a sequence goes on a little later than it had come: its numbers are logged ahead.
    let ahead: i64 = got.sql(&format!("select last_value - {sequence} from orders_id_seq")).parse().expect("a number");
    assert!((0..=32).contains(&ahead), "{ahead}");
    assert!(got.held.flaws.iter().any(|flaw| flaw.contains("half'way")), "{:?}", got.held.flaws);
    assert!(got.size < 20 << 20 && got.fetch < got.fetch_of, "{} {} {}", got.size, got.fetch, got.fetch_of);
    // Writable, and its own.
    got.connect().run("update orders set note = 'new'; create table mine as select * from orders").expect("it is writable");
    let definition = got.sql("select count(*) from pg_indexes where tablename = 'orders'");
    assert_eq!(definition, "2");
    drop(got);
    tables.nothing_is_left();
    assert!(rig.cluster.is_running());
}

#[test]
fn every_kind_of_table_13() {
    every_kind_of_table(Version::V13, false);
}

#[test]
fn every_kind_of_table_15() {
    every_kind_of_table(Version::V15, true);
}

#[test]
fn every_kind_of_table_18() {
    every_kind_of_table(Version::V18, false);
}

#[test]
fn every_kind_of_table_17() {
    every_kind_of_table(Version::V17, true);
}
