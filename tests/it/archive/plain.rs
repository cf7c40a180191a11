//! A plain table.

use std::cell::Cell;

use seawall::cli::here::Here;
use seawall::cli::terminal::Colour;
use seawall::execute::archive::{self, Done};

use super::rig::{Ground, SUM};
use crate::run::rig::Said;

const OLD: &str = "(select * from orders where placed_at < now() - interval '2 years') t";
const YOUNG: &str = "(select * from orders where placed_at >= now() - interval '2 years') t";

#[test]
fn what_is_old_moves_and_comes_back_as_it_was() {
    let ground = Ground::new();
    ground.sql("insert into orders select 10000 + i, now() - i * interval '1 hour', 1 from generate_series(1, 50) i");
    let (old, young, all) =
        (ground.sql(&format!("{SUM} {OLD}")), ground.sql(&format!("{SUM} {YOUNG}")), ground.sql(&format!("{SUM} orders t")));
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders where placed_at < now() - interval '2 years'"), "0");
    assert_eq!(ground.sql(&format!("{SUM} orders t")), young);
    let list = ground.list();
    assert!(list.iter().all(|extent| extent["removed"] == true && extent["read_back_by"][0] == "db-1"), "{list:?}");
    let count = old.split(' ').next().expect("a count").to_owned();
    assert_eq!(ground.rows(&list).to_string(), count);
    assert_eq!(ground.sql("select sum(rows) from seawall.archived"), count);
    // Nothing more to do.
    ground.archive();
    assert_eq!(ground.list().len(), list.len());
    // With stock tools.
    ground
        .run
        .rig
        .shell("for file in store/try-*/archive/*/rows.csv.zst.age; do age -d -i identity.txt $file | zstd -dc > ${file##*/}.csv; done");
    let columns = "id, placed_at, customer, note, amount, ratio, raw, tags";
    let file = ground.run.file("rows.csv.zst.age.csv");
    ground.sql(&format!(
        "create table stock as select {columns} from orders limit 0; copy stock from '{}' (format csv, header)",
        file.display()
    ));
    assert_eq!(ground.sql(&format!("{SUM} (select {columns}, id * 2 as doubled from stock) t")), old);
    the_parquet_files_have_the_same_rows(&ground);
    // Beside the table, whole and in part.
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0).says("orders_archived");
    assert_eq!(ground.sql(&format!("{SUM} (select {columns}, id * 2 as doubled from orders_archived) t")), old);
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(1).says("has rows already");
    ground.run.say(&["archive", "restore", "--table", "orders", "--into", "x; drop table orders"]).ends_with_code(64).says("--into");
    let year = ["archive", "restore", "--table", "orders", "--from", "2020-01-01", "--to", "2021-01-01", "--into", "\"Of 2020\""];
    ground.run.say(&year).ends_with_code(0).says("366 rows");
    assert_eq!(
        ground.sql("select min(placed_at at time zone 'UTC')::date || ' ' || max(placed_at at time zone 'UTC')::date from \"Of 2020\""),
        "2020-01-01 2020-12-31"
    );
    // And into it, from where they move again without being exported.
    ground.run.say(&["archive", "restore", "--table", "public.orders", "--into", "orders"]).ends_with_code(0).says("moves them again");
    assert_eq!(ground.sql(&format!("{SUM} orders t")), all);
    ground.archive();
    assert_eq!((ground.sql(&format!("{SUM} orders t")), ground.list().len()), (young, list.len()));
    ground.run.say(&["audit", "verify"]).ends_with_code(0);
    ground.verify();
    ground.run.say(&["audit", "show"]).says("taken out of their table");
}

fn the_parquet_files_have_the_same_rows(ground: &Ground) {
    ground.run.rig.shell("for file in store/try-*/archive/*/rows.parquet.age; do age -d -i identity.txt $file > rows.parquet; done");
    let file = ground.run.file("rows.parquet").display().to_string();
    let text = crate::servers::python(include_str!("rows_of.py"), &file);
    let (types, rows) = text.split_once('\n').expect("types first");
    let types: serde_json::Value = serde_json::from_str(types).expect("JSON");
    let expected = serde_json::json!({
        "id": "int64", "placed_at": "timestamp[us, tz=UTC]", "customer": "int32", "note": "string", "amount": "decimal128(12, 2)",
        "ratio": "double", "raw": "binary", "tags": "string",
    });
    assert_eq!(types, expected);
    let of_server = ground.sql(
        "select coalesce(jsonb_agg(jsonb_build_object('id', id, 'placed_at', (extract(epoch from placed_at) * 1000000)::bigint, \
         'customer', customer, 'note', note, 'amount', amount::text, 'ratio', ratio, 'raw', encode(raw, 'hex'), 'tags', tags::text) \
         order by id), '[]') from stock",
    );
    let rows: Vec<serde_json::Value> = rows.lines().map(|row| serde_json::from_str(row).expect("JSON")).collect();
    let of_server: Vec<serde_json::Value> = serde_json::from_str(&of_server).expect("JSON");
    assert_eq!(rows.len(), of_server.len());
    for (row, expected) in rows.iter().zip(&of_server) {
        assert_eq!(row, expected);
    }
}

#[test]
fn what_comes_late_moves_with_the_next_run() {
    let ground = Ground::new();
    ground.archive();
    ground.sql("insert into orders (id, placed_at) values (-1, '2019-03-01'), (-2, '2010-01-01')");
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders where id < 0"), "0");
    assert_eq!(ground.rows(&ground.list()), 1502);
}

#[test]
fn held_rows_stay_and_what_a_hold_does_not_know_is_held() {
    let ground = Ground::with(
        "archive: { old-orders: { table: public.orders, column: placed_at, after: 2y, store: disk } }\n\
         holds:\n  case: { reason: litigation, until: 2099-01-01, rows: { database: postgres, table: orders, where: \"customer = 3 -- and no other\", from: 2020-01-01, to: 2020-12-31 } }\n\
         \x20 other: { reason: audit, until: 2099-01-01, rows: { database: postgres, table: orders, to: 2019-01-31 } }\n\
         \x20 past: { reason: over, until: 2020-01-01, rows: { database: postgres, table: orders } }\n",
    );
    ground.sql("update orders set customer = null where id = 500");
    let held =
        "(extract(year from placed_at at time zone 'UTC') = 2020 and (customer = 3 or customer is null)) or placed_at < '2019-02-01Z'";
    let expected = ground.sql(&format!("{SUM} (select * from orders where {held}) t"));
    ground.archive();
    assert_eq!(ground.sql(&format!("{SUM} orders t")), expected);
    assert!(expected.split(' ').next().expect("a count").parse::<u64>().expect("a number") > 60, "{expected}");
    // The hold ends: the rest moves.
    ground.run.change(
        "until: 2099-01-01, rows: { database: postgres, table: orders, where",
        "until: 2020-02-01, rows: { database: postgres, table: orders, where",
    );
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "30");
    assert_eq!(ground.rows(&ground.list()), 1470);
}

/// Whoever reads a policy reads its times by the policy's own zone, summer and winter; what is exported is in UTC all the same.
#[test]
fn times_of_a_hold_are_those_of_the_policy_s_zone() {
    const WHICH: &str = "placed_at >= '2020-06-01' and placed_at::date < '2020-06-03'";
    let ground = Ground::with(&format!(
        "timezone: Europe/Berlin\narchive: {{ old-orders: {{ table: orders, column: placed_at, after: 2y, store: disk }} }}\n\
         holds:\n  case: {{ reason: litigation, rows: {{ database: postgres, table: orders, where: \"{WHICH}\" }} }}\n\
         \x20 day: {{ reason: audit, rows: {{ database: postgres, table: orders, from: 2020-10-25, to: 2020-10-25 }} }}\n"
    ));
    ground.sql(
        "insert into orders (id, placed_at) select 20000 + i, timestamptz '2020-05-31 00:00+00' + i * interval '1 hour' from generate_series(1, 96) i \
         union all select 30000 + i, timestamptz '2020-10-24 00:00+00' + i * interval '1 hour' from generate_series(1, 72) i",
    );
    let ids = |which: &str| {
        let sql = format!("select count(*) || ' ' || string_agg(id::text, ' ' order by id) from orders where {which}");
        ground.sql(&format!("set timezone = 'Europe/Berlin'; {sql}"))
    };
    let held = ids(&format!("({WHICH}) or placed_at::date = '2020-10-25'"));
    // 48 hours and 2 days at midnight, and a day of 25 hours with one of those in it.
    assert!(held.starts_with("76 "), "{held}");
    // Nobody reads them back yet, so a restore finds them where they are.
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    ground.archive();
    ground.run.rig.shell("mv elsewhere.txt identity.txt");
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(1).says("the table still has all of these rows");
    let exported = ground.list().len();
    ground.archive();
    assert_eq!((ids("true"), ground.list().len()), (held, exported));
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0);
    assert_eq!(ground.sql("select count(*) from (select id from orders union select id from orders_archived) u"), "1668");
}

/// A run takes hours, and whoever places a hold meanwhile sees it in the database.
#[test]
fn a_hold_that_comes_while_rows_move_is_kept() {
    let ground = Ground::new();
    ground.sql(
        "create schema seawall; create table seawall.hold (policy text not null, name text not null, of_table text not null, \
         condition text, rows_from date, rows_to date, reason text not null, until date, zone text not null, primary key (policy, name))",
    );
    let place = |name: &str, which: &str| {
        ground.sql(&format!(
            "insert into seawall.hold values ('legal', '{name}', 'orders', '{which}', null, null, 'litigation', null, 'UTC')"
        ));
    };
    let exported = Cell::new(0);
    let done = while_it_runs(&ground, 250, &|done, _| {
        exported.set(exported.get() + u32::from(done == Done::Exported));
        if done == Done::Exported && exported.get() == 2 {
            place("first", "customer = 3");
        }
        true
    });
    assert_eq!((done.exported.len(), done.removed.len()), (2, 1), "{done:?}");
    assert!(done.remarks.iter().any(|remark| remark.contains("the hold `first` of the policy `legal` came meanwhile")), "{done:?}");
    let left = ground.sql("select count(*) from orders");
    assert_eq!(left, (1500 - done.removed[0].rows).to_string());
    // In the last moment: the rows are deleted already, and the transaction has not ended.
    let done = while_it_runs(&ground, 250, &|done, _| {
        if done == Done::Removing {
            place("second", "customer = 4");
        }
        true
    });
    assert!(done.removed.is_empty() && done.remarks.iter().any(|remark| remark.contains("the hold `second`")), "{done:?}");
    assert_eq!(ground.sql("select count(*) from orders"), left);
    let held = ground.sql("select count(*) from orders where customer in (3, 4)");
    while_it_runs(&ground, 250, &|_, _| true);
    assert_eq!(ground.sql("select count(*) filter (where customer in (3, 4)) || ' ' || count(*) from orders"), format!("{held} {held}"));
}

/// By a clock that is ahead, young rows would be old, and holds would have ended.
#[test]
fn no_row_goes_by_a_clock_that_the_database_does_not_share() {
    let ground = Ground::with(
        "archive: { old-orders: { table: orders, column: placed_at, after: 2y, store: disk } }\n\
         holds: { case: { reason: litigation, until: 2099-01-01, rows: { database: postgres, table: orders } } }\n",
    );
    ground.sql("insert into orders (id, placed_at) values (-1, now() - interval '1 year')");
    for offset in ["+2y", "+90y", "-1h"] {
        let said = ground.run.say_at(offset, &["run", "old-orders"]).ends_with_code(1);
        said.says("this host's clock says").says("and the database's").says("Set the wrong one of them right");
        assert_eq!(ground.sql("select count(*) from orders"), "1501", "{offset}");
    }
    // A minute apart is as good as none.
    ground.run.change("until: 2099-01-01", "until: 2020-01-01");
    ground.run.say_at("+1m", &["run", "old-orders"]).ends_with_code(0);
    assert_eq!(ground.sql("select count(*) from orders"), "1");
}

#[test]
fn without_an_identity_nothing_leaves_before_another_host_has_read_it_back() {
    let ground = Ground::new();
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    ground.run.say(&["run", "old-orders"]).ends_with_code(0).says("seawall archive verify");
    ground.run.say(&["run", "old-orders"]).ends_with_code(0);
    let list = ground.list();
    assert_eq!((ground.sql("select count(*) from orders"), ground.rows(&list)), ("1500".into(), 1500));
    assert!(
        list.iter().all(|extent| extent["removed"] == false && extent["read_back_by"].as_array().is_some_and(Vec::is_empty)),
        "{list:?}"
    );
    let identity = ground.run.file("elsewhere.txt").display().to_string();
    let mut verifier = ground.run.command_in("verifier", &["archive", "verify", "--host", "staging", "--identity", &identity]);
    Said::of(verifier.output().expect("seawall")).ends_with_code(0).says("1 extent read back");
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "0");
    assert_eq!(ground.list()[0]["read_back_by"][0], "staging");
}

/// A run finds them again and again; somebody hears of it, until they were read back.
#[test]
fn rows_that_nobody_reads_back_are_told_of() {
    let ground = Ground::with(
        "archive: { old-orders: { table: orders, column: placed_at, after: 2y, store: disk } }\n\
         alerts: { thresholds: { archive_unread: { above: 10d, severity: critical } } }\n",
    );
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    let status = |offset: &str| {
        ground.run.say_at(offset, &["watch"]);
        ground.run.say_at(offset, &["status"]).out
    };
    const KEY: &str = "archive_unread:archive.old-orders";
    ground.run.say(&["run", "old-orders"]).ends_with_code(0).says("seawall archive verify");
    ground.say_then("+9d", &["run", "old-orders"]).ends_with_code(0).says("seawall archive verify");
    assert!(!status("+9d").contains(KEY));
    ground.say_then("+11d", &["run", "old-orders"]).ends_with_code(0).says("seawall archive verify");
    let told = status("+11d");
    assert!(told.contains(KEY), "{told}");
    let identity = ground.run.file("elsewhere.txt").display().to_string();
    ground.run.say_at("+11d", &["archive", "verify", "--identity", &identity]).ends_with_code(0);
    ground.say_then("+12d", &["run", "old-orders"]).ends_with_code(0);
    let told = status("+12d");
    assert!(!told.contains(KEY), "{told}");
}

#[test]
fn what_cannot_work_is_said_before_anything_happens() {
    let ground = Ground::new();
    let fails = |words: &str| {
        let said = ground.run.say(&["run", "old-orders"]).ends_with_code(1).says(words);
        assert_eq!(ground.sql("select count(*) from orders"), "1500");
        said
    };
    ground.sql("create table lines (orders bigint references orders on delete cascade)");
    fails("would change rows of `lines`");
    ground.sql("drop table lines; create table special (extra text) inherits (orders)");
    fails("`special` inherits from");
    ground.sql("drop table special");
    ground.sql("alter table orders enable row level security; create role mover login; grant select, delete on orders to mover; grant create on database postgres to mover; grant pg_monitor to mover");
    let text = std::fs::read_to_string(ground.run.file("policy.yaml")).expect("the policy");
    let user = ground.sql("select current_user");
    std::fs::write(ground.run.file("policy.yaml"), text.replace(&format!("user={user}"), "user=mover")).expect("the policy");
    fails("row-level security");
    std::fs::write(ground.run.file("policy.yaml"), &text).expect("the policy");
    ground.run.change("column: placed_at", "column: note");
    fails("holds no time");
    ground.run.change("column: note", "column: doubled");
    fails("no column `doubled`");
    ground.run.change("table: orders", "table: order_lines");
    fails("there is no table `order_lines`");
    assert!(ground.run.rig.objects("archive").is_empty());
}

#[test]
fn partitions_are_held_and_guarded_like_the_whole() {
    let ground = Ground::with(
        "archive: { old-orders: { table: sales, column: at, after: 2y, store: disk } }\n\
         holds: { case: { reason: litigation, rows: { database: postgres, table: sales_2019, where: id % 2 = 0 } } }\n",
    );
    ground.sql(
        "create table sales (id bigint, at date not null, primary key (id, at)) partition by range (at); \
         create table sales_2019 partition of sales for values from ('2019-01-01') to ('2020-01-01'); \
         create table sales_2020 partition of sales for values from ('2020-01-01') to ('2021-01-01'); \
         create table sales_later partition of sales default; \
         insert into sales select i, date '2019-01-01' + i::int from generate_series(1, 1000) i; \
         create table notes (id bigint, at date, foreign key (id, at) references sales_2020 on delete cascade)",
    );
    ground.run.say(&["run", "old-orders"]).ends_with_code(1).says("would change rows of `notes`");
    ground.sql("drop table notes");
    ground.archive();
    assert_eq!(ground.sql("select count(*), count(*) filter (where at < '2020-01-01' and id % 2 = 0) from sales"), "182|182");
    // The other way round: a hold on the whole holds the rows of a part.
    ground.run.change("table: sales, column: at", "table: sales_2019, column: at");
    ground.run.change("table: sales_2019, where", "table: sales, where");
    ground.archive();
    assert_eq!(ground.sql("select count(*) from sales"), "182");
    ground.run.change("table: sales, where", "table: nowhere, where");
    ground.run.say(&["run", "old-orders"]).ends_with_code(1).says("nobody knows what it holds");
}

/// A hold that names something without rows of its own holds none, and whoever wrote it thinks otherwise.
#[test]
fn a_hold_on_a_view_is_refused() {
    let ground = Ground::with(
        "archive: { old-orders: { table: orders, column: placed_at, after: 2y, store: disk } }\n\
         holds: { case: { reason: litigation, rows: { database: postgres, table: threes } } }\n",
    );
    for kind in ["view", "materialized view"] {
        ground.sql(&format!("create {kind} threes as select * from orders where customer = 3"));
        ground.run.say(&["run", "old-orders"]).ends_with_code(1).says("`threes` in `postgres` has no rows of its own");
        assert_eq!(ground.sql("select count(*) from orders"), "1500");
        ground.sql(&format!("drop {kind} threes"));
    }
}

/// Each table that inherits is archived by itself, and a hold on the one that they all inherit from holds in each.
#[test]
fn a_hold_on_what_is_inherited_from_holds() {
    let ground = Ground::with(
        "archive: { old-orders: { table: orders, column: placed_at, after: 2y, store: disk } }\n\
         holds: { case: { reason: litigation, rows: { database: postgres, table: everything, where: customer = 3 } } }\n",
    );
    ground.sql(
        "create table everything (customer int); create table sold () inherits (everything); \
         alter table orders inherit sold",
    );
    let held = ground.sql(&format!("{SUM} (select * from orders where customer = 3) t"));
    ground.archive();
    assert_eq!(ground.sql(&format!("{SUM} orders t")), held);
}

#[test]
fn what_a_trigger_keeps_out_is_not_lost() {
    let ground = Ground::new();
    ground.archive();
    ground.sql(
        "create function keep_out() returns trigger language plpgsql as 'begin return null; end'; \
         create trigger keep_out before insert on orders for each row execute function keep_out()",
    );
    ground.run.say(&["archive", "restore", "--table", "orders", "--into", "orders"]).ends_with_code(1).says("0 of the 1500 rows");
    assert_eq!(ground.sql("select sum(rows) from seawall.archived"), "1500");
    ground.sql("drop trigger keep_out on orders");
    ground.run.say(&["archive", "restore", "--table", "orders", "--into", "orders"]).ends_with_code(0);
    // They are to stay for longer now, and do.
    ground.run.change("after: 2y", "after: 20y");
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "1500");
}

/// Afterwards the rows in the table would be the truth.
#[test]
fn what_a_trigger_would_change_is_not_lost() {
    let ground = Ground::new();
    let before = ground.sql(&format!("{SUM} orders t"));
    ground.archive();
    ground.sql(
        "create function stamp() returns trigger language plpgsql as 'begin new.note := ''stamped''; return new; end'; \
         create trigger stamp before insert on orders for each row execute function stamp()",
    );
    let back = ["archive", "restore", "--table", "orders", "--into", "orders"];
    ground.run.say(&back).ends_with_code(1).says("not those of the archive");
    assert_eq!(ground.sql("select (select count(*) from orders) || ' ' || (select sum(rows) from seawall.archived)"), "0 1500");
    // Nor what one changes afterwards, at the very end.
    ground.sql(
        "drop trigger stamp on orders; \
         create or replace function stamp() returns trigger language plpgsql as \
         'begin update orders set note = ''stamped'' where id = new.id and id = 7; return new; end'; \
         create constraint trigger stamp after insert on orders deferrable initially deferred for each row execute function stamp()",
    );
    ground.run.say(&back).ends_with_code(1).says("not those of the archive");
    assert_eq!(ground.sql("select (select count(*) from orders) || ' ' || (select sum(rows) from seawall.archived)"), "0 1500");
    // One that only watches is named, and one that changes nothing keeps nothing out.
    ground.sql(
        "create or replace function stamp() returns trigger language plpgsql as 'begin return new; end'; \
         create trigger watch after insert on orders for each row execute function stamp()",
    );
    ground.run.say(&back).ends_with_code(0).says("the triggers stamp, watch ran for what came back");
    assert_eq!(ground.sql(&format!("{SUM} orders t")), before);
}

#[test]
fn what_is_noted_in_the_store_follows_the_record() {
    let ground = Ground::new();
    ground.archive();
    let note = "store/try-*/archive/*/removed.json";
    ground.run.rig.shell_as_root(&format!("rm {note}"));
    assert_eq!(ground.list()[0]["removed"], false);
    ground.archive();
    assert_eq!((ground.list()[0]["removed"].clone(), ground.list().len()), (true.into(), 1));
    // As often as somebody likes.
    for _ in 0..2 {
        ground.run.say(&["archive", "verify", "--all"]).ends_with_code(0).says("1 extent read back");
    }
    // A column more, and both shapes come back, one after the other.
    ground.sql("alter table orders add column extra int; insert into orders (id, placed_at, extra) values (5000, '2018-01-01', 1)");
    ground.archive();
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(1).says("has other columns");
    let new = ["archive", "restore", "--table", "orders", "--to", "2018-06-01", "--into", "of_2018"];
    ground.run.say(&new).ends_with_code(0).says("1 rows");
    assert_eq!(ground.sql("select extra from of_2018"), "1");
}

/// Every kind of time and what goes with it, at both ends of what a server knows.
#[test]
fn times_beyond_the_calendar_move_and_come_back_once() {
    let ground = Ground::new();
    ground.sql(
        "alter table orders add wall timestamp, add day date, add span interval, add price money, add part timestamptz(3), add hour timetz; \
         update orders set wall = placed_at at time zone 'UTC' + interval '1.000001 s', day = placed_at, span = id * interval '1 mon -2 days 03:04:05.6', \
             price = (id * -1234.56)::numeric::money, part = placed_at, hour = '12:34:56.789+05:30'; \
         insert into orders (id, placed_at, wall, day) values (-1, '-infinity', '-infinity', '-infinity'), \
             (-2, '0044-03-15 12:00:00.000001+00 BC', '0044-03-15 12:00 BC', '0044-03-15 BC'), \
             (-3, '0001-01-01 00:00+00', 'infinity', '5874897-12-31'), (-4, 'infinity', '294276-12-31 23:59:59.999999', 'infinity')",
    );
    let columns = "id, placed_at, customer, note, amount, ratio, raw, tags, wall, day, span, price, part, hour";
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    ground.archive();
    ground.sql("update orders set note = 'changed' where id = 700");
    ground.run.rig.shell("mv elsewhere.txt identity.txt");
    let old = ground.sql(&format!("{SUM} (select {columns} from orders where placed_at < 'infinity') t"));
    assert!(old.starts_with("1503 "), "{old}");
    ground.archive().says("have changed since they were exported");
    assert_eq!(ground.sql("select string_agg(id::text, ' ') from orders"), "-4");
    // The first of the two has the same rows, but for one.
    let list = ground.list();
    assert_eq!((list.len(), &list[0]["from"]), (2, &"-infinity".into()));
    assert_eq!(list.iter().filter(|one| one.get("superseded_by").is_some()).count(), 1, "{list:?}");
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0).says("1503 rows of 1 extent");
    assert_eq!(ground.sql(&format!("{SUM} (select {columns} from orders_archived) t")), old);
    let ancient = ["archive", "restore", "--table", "orders", "--to", "0001-01-01", "--into", "ancient"];
    ground.run.say(&ancient).ends_with_code(0);
    assert_eq!(ground.sql("select string_agg(id::text, ' ' order by id) from ancient"), "-2 -1");

    // Into the table itself: one that has lost a column, one that has another type, one that has another name.
    let into = |table: &str| ground.run.say(&["archive", "restore", "--table", "orders", "--from", "2019-03-01", "--into", table]);
    ground.sql("alter table orders rename note to remark");
    into("orders").ends_with_code(1).says("does not have these columns of the rows any more: note").says("another table with `--into`");
    ground.sql("alter table orders rename remark to note; alter table orders alter ratio type real");
    into("orders").ends_with_code(1).says("not those of the archive").says("another type");
    ground.sql("alter table orders alter ratio type float8, alter customer type bigint; create table purchases (like orders)");
    ground.sql("insert into purchases select * from orders");
    into("purchases").ends_with_code(1).says("has rows already");
    ground.sql("drop table purchases; alter table orders rename to purchases");
    into("purchases").ends_with_code(0).says("1503 rows of 1 extent").says("come back whole: these have rows from -infinity");
    assert_eq!(ground.sql(&format!("{SUM} (select {columns} from purchases where placed_at < 'infinity') t")), old);
}

/// As long as a name can be: the server would cut what is put behind it, and its own rows would come back into it.
#[test]
fn rows_of_a_table_with_a_long_name_come_back_beside_it() {
    let long = "o".repeat(63);
    let ground = Ground::with(&format!("archive: {{ old-orders: {{ table: {long}, column: placed_at, after: 2y, store: disk }} }}\n"));
    ground.sql(&format!("alter table orders rename to {long}"));
    ground.archive();
    ground.run.say(&["archive", "restore", "--table", &long]).ends_with_code(0).says("1500 rows").says("_archived");
    assert_eq!(ground.sql(&format!("select count(*) from {long}")), "0");
    let beside = "select count(*) from pg_class where relkind = 'r' and relname like 'ooo%\\_archived' and length(relname) = 63";
    assert_eq!(ground.sql(beside), "1");
    // Another name that makes it the table itself.
    ground.run.change(&long, "letters");
    ground.sql(&format!("alter table {long} rename to letters; insert into letters (id, placed_at) values (1, '2019-01-01')"));
    ground.archive();
    ground.sql("alter table letters rename to letters_archived");
    ground.run.say(&["archive", "restore", "--table", "letters"]).ends_with_code(1).says("is the table itself").says("`--into`");
    assert_eq!(ground.sql("select count(*) from letters_archived"), "0");
}

/// A foreign key that lets nothing go keeps its extent in the table, and the others move on; whenever it is asked.
#[test]
fn rows_that_others_refer_to_stay() {
    let ground = Ground::new();
    ground.sql("create table lines (orders bigint references orders); insert into lines values (700)");
    let moved = |done: &archive::Archived| done.removed.iter().map(|deed| deed.rows).sum::<u64>();
    let stays = |done: &archive::Archived| done.remarks.iter().any(|remark| remark.contains("rows of lines refer to some of them"));
    let done = in_parts(&ground, 500);
    assert!((moved(&done), stays(&done)) == (999, true), "{done:?}");
    ground.sql("alter table lines alter constraint lines_orders_fkey deferrable initially deferred");
    let done = in_parts(&ground, 500);
    assert!((moved(&done), stays(&done), done.exported.len()) == (0, true, 0), "{done:?}");
    assert_eq!(ground.sql("select count(*) from orders"), "501");
    ground.sql("delete from lines");
    let done = in_parts(&ground, 500);
    assert!((moved(&done), stays(&done), done.exported.len()) == (501, false, 0), "{done:?}");
}

/// A large table moves in parts; rows of one moment stay together, and a part ends where the next begins.
#[test]
fn a_large_table_moves_in_parts() {
    let ground = Ground::new();
    ground.sql("update orders set placed_at = timestamptz '2019-06-01 00:00+00' where id between 300 and 700");
    let whole = ground.sql(&format!("{SUM} (select id, placed_at, note, raw from orders) t"));
    let done = in_parts(&ground, 250);
    let rows: Vec<u64> = done.removed.iter().map(|deed| deed.rows).collect();
    assert!(rows.len() > 3 && rows.iter().sum::<u64>() == 1500 && rows.iter().any(|rows| *rows >= 401), "{rows:?}");
    assert!(done.removed.windows(2).all(|two| two[0].to <= two[1].from), "{:?}", done.removed);
    assert_eq!(ground.sql("select count(*) from orders"), "0");
    ground.run.rig.cluster.account().own(ground.run.rig.cluster.folder());
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0);
    assert_eq!(ground.sql(&format!("{SUM} (select id, placed_at, note, raw from orders_archived) t")), whole);
}

/// Without an identity the next part is read while the last one becomes durable: the same parts, and each of them whole.
#[test]
fn parts_that_nobody_reads_back_are_exported_ahead() {
    let ground = Ground::new();
    let whole = ground.sql(&format!("{SUM} (select id, placed_at, note, raw from orders) t"));
    ground.run.rig.shell_as_root("mv identity.txt elsewhere.txt");
    let done = in_parts(&ground, 250);
    assert_eq!((done.removed.len(), done.waiting.as_slice()), (0, done.exported.as_slice()));
    let rows: Vec<u64> = done.exported.iter().map(|deed| deed.rows).collect();
    assert!(rows.len() > 3 && rows.iter().sum::<u64>() == 1500, "{rows:?}");
    assert!(done.exported.windows(2).all(|two| two[0].to <= two[1].from), "{:?}", done.exported);
    assert_eq!(ground.sql("select count(*) from orders"), "1500");
    // Nothing is exported twice.
    assert!(in_parts(&ground, 250).exported.is_empty());
    ground.run.rig.shell_as_root("mv elsewhere.txt identity.txt");
    ground.run.rig.cluster.account().own(ground.run.rig.cluster.folder());
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "0");
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0);
    assert_eq!(ground.sql(&format!("{SUM} (select id, placed_at, note, raw from orders_archived) t")), whole);
}

fn in_parts(ground: &Ground, rows_at_once: u64) -> archive::Archived {
    while_it_runs(ground, rows_at_once, &|_, _| true)
}

fn while_it_runs(ground: &Ground, rows_at_once: u64, deed: &dyn Fn(Done, &archive::Deed) -> bool) -> archive::Archived {
    let place = |name: &str| Some(ground.run.file(name));
    let here = Here { policy: place("policy.yaml"), state: place("another-state"), host: Some("db-1".parse().expect("a name")) };
    let policy = here.read(Colour::Never).expect("a sound policy");
    let site = here.site(&policy);
    let onlooker = archive::Onlooker { deed, stop: &std::sync::atomic::AtomicBool::new(false) };
    archive::archive(&site, &policy.archives[0], &archive::Wishes { rows_at_once }, onlooker).expect("it goes")
}

/// What the server knows of the column says where a part ends; where it knows nothing, the rows are counted.
#[test]
fn parts_of_many_rows_are_reckoned() {
    let ground = Ground::new();
    ground.sql(
        "insert into orders (id, placed_at) select 10000 + i, timestamptz '2016-01-01 00:00+00' + i * interval '1 minute' \
         from generate_series(1, 350000) i",
    );
    ground.sql("analyze orders");
    let whole = ground.sql(&format!("{SUM} (select id, placed_at, note, raw from orders) t"));
    let done = in_parts(&ground, 100_000);
    let rows: Vec<u64> = done.removed.iter().map(|deed| deed.rows).collect();
    assert_eq!(rows.iter().sum::<u64>(), 351_500, "{rows:?}");
    let about = |rows: &u64| (90_000..=110_000).contains(rows) && *rows != 100_000;
    assert!(rows.len() >= 4 && rows.split_last().is_some_and(|(_, full)| full.iter().all(about)), "{rows:?}");
    ground.run.rig.cluster.account().own(ground.run.rig.cluster.folder());
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0);
    assert_eq!(ground.sql(&format!("{SUM} (select id, placed_at, note, raw from orders_archived) t")), whole);

    // A table nobody has analyzed.
    ground.sql("create table fresh (like orders including all) with (autovacuum_enabled = off)");
    ground.sql("insert into fresh select * from orders_archived");
    ground.sql("drop table orders; alter table fresh rename to orders");
    let done = in_parts(&ground, 100_000);
    let rows: Vec<u64> = done.removed.iter().map(|deed| deed.rows).collect();
    assert_eq!(rows, [100_001, 100_001, 100_001, 51_497]);
}
