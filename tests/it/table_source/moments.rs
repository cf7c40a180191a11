//! A table at moments of its life: by time, at the backup's own end, and when its name was another one's.

use seawall::recovery::Target;

use super::rig::{Tables, hash};
use crate::clusters::{Options, Version};
use crate::restore::rig::Rig;

fn rig(version: Version) -> Rig {
    let rig = Rig::start(version, Options { segment_mb: 1, ..Options::default() });
    rig.series();
    rig.load(30);
    rig.cluster.sql("create table wide as select n, repeat(md5(n::text), 40) as t from generate_series(1, 20000) n");
    rig
}

#[test]
fn by_time_and_at_the_backups_end() {
    let rig = rig(Version::V16);
    rig.backup();
    let at_backup = rig.hash(30);
    rig.load(30);
    let (moment, rows) = (rig.after_row(45), rig.hash(45));
    rig.cluster.sql("update wide set t = md5(t)");
    rig.archive();
    let tables = Tables::of(&rig.cluster, Version::V16.programs());
    let hashed = "select count(*) || ' ' || coalesce(md5(string_agg(id || v || at, ',' order by id)), '') from series";

    let time = moment.replace(' ', "T").parse().expect("a moment");
    let got = tables.hold(&tables.wanted(&["public.series"], Target::Time(time))).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(got.sql(hashed), rows);
    assert_eq!(got.held.passes, 1);
    // Who connects has what it takes, whatever the database has set for itself.
    got.connect()
        .run("alter database postgres set default_transaction_read_only = on; alter role postgres set statement_timeout = 1")
        .expect("set");
    assert_eq!(got.sql("select current_setting('default_transaction_read_only') || current_setting('statement_timeout')"), "off0");
    let environment = got.held.environment("postgres");
    let mut dump = rig.cluster.program("pg_dump");
    let said = dump.args(["--schema-only", "-t", "series"]).envs(environment.iter().cloned()).output().expect("it runs");
    assert!(String::from_utf8_lossy(&said.stdout).contains("CREATE TABLE public.series"), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stdout).contains("series_pkey PRIMARY KEY"), "{said:?}");
    assert_eq!(got.sql("select count(*) from series where id > 40 and id < 1000000"), "5");
    got.connect().run("insert into series (v) values ('new'); delete from series where id = 3").expect("it is writable");
    drop(got);

    let got = tables.hold(&tables.wanted(&["public.series"], Target::Immediate(None))).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(got.sql(hashed), at_backup);
    drop(got);
    tables.nothing_is_left();
}

/// The name is that of another table by then: whose files they are is known only when the log is replayed.
#[test]
fn a_name_that_was_anothers_is_looked_for_again() {
    let rig = rig(Version::V15);
    rig.cluster.sql("create table orders_new as select n, md5(n::text) as t from generate_series(1, 5000) n; create table orders (n int)");
    rig.backup();
    rig.cluster.sql("alter table orders rename to orders_old; alter table orders_new rename to orders");
    rig.cluster.sql("checkpoint; update orders set t = 'x' where n % 50 = 0");
    let before = rig.cluster.sql(&hash("orders"));
    rig.archive();
    let tables = Tables::of(&rig.cluster, Version::V15.programs());
    let got = tables.hold(&tables.wanted(&["public.orders"], Target::Latest)).unwrap_or_else(|fault| panic!("{fault} {}", fault.hint));
    assert_eq!((got.sql(&hash("orders")), got.held.passes), (before, 2));
    assert!(got.held.flaws.iter().any(|flaw| flaw.contains("replayed again")), "{:?}", got.held.flaws);
}

/// In a database that was made after the backup.
#[test]
fn a_database_that_was_made_later() {
    for version in [Version::V13, Version::V18] {
        let rig = rig(version);
        rig.backup();
        rig.cluster.sql("create database later");
        let mut connection = seawall::postgres::Connection::connect(&rig.cluster.settings().with_dbname("later")).expect("a connection");
        connection.run("create table here as select n, md5(n::text) as t from generate_series(1, 2000) n").expect("made");
        let before = connection.query(&hash("here"), &[]).expect("asked").one().expect("a row").values()[0].clone();
        drop(connection);
        rig.archive();
        let tables = Tables::of(&rig.cluster, version.programs());
        let mut wanted = tables.wanted(&["public.here"], Target::Latest);
        wanted.database = Some("later".to_owned());
        let got = tables.hold(&wanted).unwrap_or_else(|fault| panic!("{fault} {}", fault.hint));
        assert_eq!(Some(got.sql(&hash("here"))), before);
        assert!(got.warnings.iter().any(|warning| warning.contains("the log makes it again")), "{:?}", got.warnings);
    }
}

/// The list of databases still has those that were dropped, and what others were called.
#[test]
fn a_database_whose_name_was_anothers() {
    let rig = rig(Version::V15);
    for sql in
        ["create database staging", "drop database staging", "create database staging", "create database shop", "create database shop_new"]
    {
        rig.cluster.sql(sql);
    }
    let fill = |database: &str, rows: u32| {
        let mut connection = seawall::postgres::Connection::connect(&rig.cluster.settings().with_dbname(database)).expect("a connection");
        connection.run(&format!("create table here as select n from generate_series(1, {rows}) n")).expect("made");
    };
    fill("staging", 3);
    fill("shop", 4);
    fill("shop_new", 5);
    rig.cluster.wait_until("not exists (select from pg_stat_activity where datname in ('shop', 'shop_new'))");
    rig.cluster.sql("alter database shop rename to shop_old");
    rig.cluster.sql("alter database shop_new rename to shop");
    rig.backup();
    rig.archive();
    let tables = Tables::of(&rig.cluster, Version::V15.programs());
    for (database, rows) in [("staging", "3"), ("shop", "5"), ("shop_old", "4")] {
        let mut wanted = tables.wanted(&["public.here"], Target::Latest);
        wanted.database = Some(database.to_owned());
        let got = tables.hold(&wanted).unwrap_or_else(|fault| panic!("{database}: {fault} {}", fault.hint));
        assert_eq!(got.sql("select count(*) from here"), rows, "{database}");
    }
}

/// What the backup's catalogs say is enough: nothing has to be looked for again, on the oldest version and the newest.
#[test]
fn what_can_be_foreseen_is() {
    for version in [Version::V13, Version::V14, Version::V17, Version::V18] {
        let rig = rig(version);
        rig.cluster.sql(
            "create table parts (id bigserial, kind int, long text) partition by list (kind); create table parts_1 partition of parts for values in (1); \
             create table parts_2 partition of parts for values in (2); alter table parts_1 alter long set storage external; \
             insert into parts (kind, long) select 1 + n % 2, repeat(md5(n::text), 100) from generate_series(1, 300) n",
        );
        rig.backup();
        rig.cluster.sql("insert into parts (kind, long) select 1, repeat(md5(n::text), 120) from generate_series(1, 50) n");
        rig.cluster.sql("update wide set t = 'x'");
        let before = rig.cluster.sql(&hash("parts"));
        rig.archive();
        let tables = Tables::of(&rig.cluster, version.programs());
        let got = tables.hold(&tables.wanted(&["public.parts"], Target::Latest)).unwrap_or_else(|fault| panic!("{fault} {}", fault.hint));
        assert_eq!(got.sql(&hash("parts")), before, "{version}");
        assert_eq!((got.held.passes, got.held.fetched), (1, got.fetch), "{version}: {:?}", got.held.flaws);
    }
}
