//! The original's rows become those of the backup.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use seawall::execute::table::Why;
use seawall::execute::table::landing::Way;
use seawall::postgres::Connection;

use super::rig::{Two, into, merge, only, replace, rows, wanted};
use crate::clusters::Version;
use crate::logical::rig::EVERYTHING;

/// What a table may have around it.
pub const SHOP: &str = "\
    create role clerk; create role lacking login; \
    create table customers (id int primary key, email text unique, referred int references customers); \
    create table orders (id bigint generated always as identity primary key, customer int not null references customers, \
      number int unique, total numeric(10,2) not null, twice numeric generated always as (total * 2) stored, note text); \
    create table lines (orders bigint references orders on delete cascade, n int, primary key (orders, n)); \
    create table heard (what text); \
    create function heard() returns trigger language plpgsql as $$ begin insert into heard values (tg_op); return coalesce(new, old); end $$; \
    create view totals as select customer, sum(total) from orders group by 1; grant select, update on orders to clerk; \
    insert into customers select k, 'c' || k, nullif(k - 1, 0) from generate_series(1, 50) k; \
    insert into orders (customer, number, total, note) select 1 + k % 50, k, k / 3.0, repeat('x', k % 300) from generate_series(1, 1000) k; \
    insert into lines select 1 + k % 1000, k from generate_series(1, 3000) k; \
    create trigger heard after insert or update or delete on orders for each row execute function heard(); \
    alter table orders enable row level security; create policy own on orders to clerk using (customer < 10); \
    create publication shown for table orders";

/// All that must be the same afterwards.
const AROUND: &str = "\
    select c.oid || ' ' || coalesce(c.relacl::text, '-') || ' ' || c.relrowsecurity || ' ' || \
      (select count(*) from pg_trigger t where t.tgrelid = c.oid) || ' ' || (select count(*) from pg_policy p where p.polrelid = c.oid) || ' ' || \
      (select string_agg(conname || convalidated, ',' order by conname) from pg_constraint where conrelid = c.oid or confrelid = c.oid) || ' ' || \
      (select string_agg(prpubid::text, ',') from pg_publication_rel where prrelid = c.oid) || ' ' || \
      (select string_agg(indexrelid::text || indisvalid, ',' order by indexrelid) from pg_index where indrelid = c.oid) || ' ' || \
      'totals'::regclass::oid from pg_class c where c.oid = 'orders'::regclass";

#[test]
fn what_the_table_is_stays_and_its_rows_are_those_of_then() {
    for version in [Version::V13, Version::V15, Version::V18] {
        let two = Two::of(version, version, SHOP);
        computed_columns(&two, version == Version::V18);
        two.now("truncate heard; delete from orders where id % 10 = 0; update orders set total = 0, note = null where id % 7 = 0; \
                 insert into orders (customer, number, total) select 1, 2000 + k, 1 from generate_series(1, 30) k; truncate heard; \
                 update orders set number = -1 where id = 1; update orders set number = 1 where id = 2; update orders set number = 2 where id = 1");
        two.now("truncate heard");
        let (around, before) = (two.now(AROUND), two.now(&rows("orders")));
        let (landed, remarks) = two.brings(&wanted(&[("public", "orders")], replace()));
        assert_eq!(two.now(&rows("orders")), two.then(&rows("orders")), "{version}");
        assert_eq!(two.now(AROUND), around);
        assert_eq!(two.now("select count(*) from heard"), "0", "a trigger ran");
        // Those that lines lead to came back; those that nobody knew then went.
        assert_eq!((landed[0].rows, landed[0].added, landed[0].removed), (1000, 100, 30));
        assert_eq!(landed[0].changed, 128 + 2, "every seventh that was there, and the two that had swapped their numbers");
        // Numbers that were given out are not given out again.
        assert_eq!(two.now("insert into orders (customer, number, total) values (1, 5000, 1) returning id"), "1031");
        assert!(remarks.is_empty(), "{remarks:?}");
        assert_eq!(two.now(&rows("replaced.orders")).split(' ').next(), before.split(' ').next());
        // What the application has written since is not taken back with it.
        let undo = landed[0].undo.as_deref().expect("a way back");
        let refused = two.session().run(undo).expect_err("a row was written since");
        assert!(refused.message.contains("rows of \"public\".\"orders\" were written since, and would be lost"), "{refused}");
        assert_eq!(two.now("select count(*) from orders where id = 1031"), "1");
        two.now("delete from orders where id = 1031");
        two.now(undo);
        assert_eq!(two.now(&rows("orders")), before);
    }
}

/// Nobody writes them, and one of them may be the key.
fn computed_columns(two: &Two, has_virtual: bool) {
    let of_reading = if has_virtual { ", seen int generated always as (a + 1) virtual" } else { "" };
    let made = format!(
        "create table computed (a int not null, note text, b int generated always as (a * 10) stored primary key{of_reading}); \
         insert into computed (a, note) select k, 'n' || k from generate_series(1, 20) k"
    );
    two.then(&made);
    two.now(&format!(
        "{made}; delete from computed where a < 5; update computed set note = 'x' where a = 7; insert into computed values (30, 'new')"
    ));
    let before = two.now(&rows("computed"));
    let refused = two.refuses(&wanted(&[("public", "computed")], merge()));
    assert!(refused.message.contains("has a primary key with a generated column: `--merge` cannot tell"), "{refused}");
    let way = Way::Replace { kept: Some("computed_before".into()) };
    let (landed, _) = two.brings(&wanted(&[("public", "computed")], way));
    assert_eq!((two.now(&rows("computed")), landed[0].added), (two.then(&rows("computed")), 20));
    two.now(landed[0].undo.as_deref().expect("a way back"));
    assert_eq!(two.now(&rows("computed")), before);
    two.brings(&wanted(&[("public", "computed")], Way::Merge { key: vec!["a".into()], delete_others: true, kept: None }));
    assert_eq!(two.now(&rows("computed")), two.then(&rows("computed")));
    two.brings(&wanted(&[("public", "computed")], into("beside")));
    assert_eq!(two.now(&rows("beside.computed")), two.now(&rows("computed")));
}

#[test]
fn rows_that_others_lead_to_are_not_taken_away() {
    let two = Two::new(SHOP);
    two.now("insert into orders (customer, number, total) select 1, 2000 + k, 1 from generate_series(1, 9) k; insert into lines values (1004, 1), (1005, 1)");
    let before = two.now(&rows("orders"));
    let refused = two.refuses(&wanted(&[("public", "orders")], replace()));
    assert_eq!(
        refused.message,
        "foreign keys would not hold any more: `lines_orders_fkey`: 2 of the rows in public.lines lead to none in public.orders: orders = 1004; 1005"
    );
    assert_eq!((two.now(&rows("orders")), two.now("select count(*) from pg_namespace where nspname = 'replaced'")), (before, "0".into()));
    // And none comes back that leads nowhere.
    two.now("delete from lines where orders > 1000; delete from lines where orders in (select id from orders where customer = 7); \
             delete from orders where customer = 7; update customers set referred = null where referred = 7; delete from customers where id = 7");
    let refused = two.refuses(&wanted(&[("public", "orders")], replace()));
    assert!(
        refused.message.contains("`orders_customer_fkey`: 20 of the rows in public.orders lead to none in public.customers: customer = 7"),
        "{refused}"
    );
    // All together they hold, in whatever circle they stand.
    let (landed, _) = two.brings(&wanted(&[("public", "lines"), ("public", "orders"), ("public", "customers")], replace()));
    assert_eq!(landed.len(), 3);
    for table in ["orders", "lines", "customers"] {
        assert_eq!(two.now(&rows(table)), two.then(&rows(table)), "{table}");
    }
}

#[test]
fn every_type_in_and_out_of_circles_and_partitions() {
    for (origin, live) in [(Version::V15, Version::V15), (Version::V15, Version::V18)] {
        let two = Two::of(origin, live, EVERYTHING);
        two.now("delete from types where i % 3 = 0; update types set j = '{\"a\": 2}', n = 'NaN', mo = 'sad' where i % 5 = 0; insert into types (i) values (7); \
                 update parts set at = at + 20 where n % 2 = 0 and at < '2026-02-05'; delete from \"; drop table types --\"; update \"Sch \"\"ema\".\"T'able\" set n = 0; \
                 update egg set hen = null; update hen set egg = null; delete from egg; delete from hen");
        let tables = [
            ("public", "types"),
            ("public", "; drop table types --"),
            ("Sch \"ema", "T'able"),
            ("public", "parts"),
            ("public", "egg"),
            ("public", "hen"),
        ];
        two.brings(&wanted(&tables, replace()));
        for (schema, name) in tables {
            let name = format!("\"{}\".\"{}\"", schema.replace('"', "\"\""), name.replace('"', "\"\""));
            assert_eq!(two.now(&rows(&name)), two.then(&rows(&name)), "{name}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_done() {
    let two = Two::new(SHOP);
    let replacing = wanted(&[("public", "orders")], replace());
    two.now("alter table orders add column new int, alter column note type varchar(400)");
    let refused = two.refuses(&replacing);
    assert_eq!(
        refused.message,
        "the columns of \"public\".\"orders\" have changed since: now it has \"new\" integer and \"note\" character varying(400); in the backup it has \"note\" text"
    );
    two.now("alter table orders drop column new, alter column note type text; alter table orders enable always trigger heard");
    let refused = two.refuses(&replacing);
    assert_eq!(refused.message, "the trigger heard of \"public\".\"orders\" would run for each row that comes back, whoever writes it");
    two.now(
        "alter table orders enable trigger heard; create table replaced_orders (); create schema replaced; create table replaced.orders ()",
    );
    let refused = two.refuses(&replacing);
    assert_eq!(refused.message, "\"replaced\".\"orders\" is in `shop` already, and is not overwritten");
    // A role that has not what it takes hears what it lacks.
    let settings = two.live.settings().with_dbname("shop");
    let as_lacking = |wanted| {
        let mut settings = settings.clone();
        settings.user = "lacking".into();
        seawall::execute::table::landing::look(&settings, wanted).expect_err("it may not").message
    };
    let replacing = wanted(&[("public", "customers")], Way::Replace { kept: None });
    assert_eq!(as_lacking(&replacing), "the role `lacking` may not read and write \"public\".\"customers\"");
    two.now("grant all on customers, orders to lacking");
    assert!(as_lacking(&replacing).starts_with("this role may not keep the application's triggers from running: "));
    let hidden = wanted(&[("public", "orders")], Way::Replace { kept: None });
    assert_eq!(as_lacking(&hidden), "row-level security hides rows of \"public\".\"orders\" from the role `lacking`");
}

#[test]
fn a_merge_is_shown_and_then_done() {
    let two = Two::new(SHOP);
    two.now("delete from lines where orders in (3, 5); delete from orders where id in (3, 5); update orders set total = 0, note = E'\\x1b[31mred' where id in (7, 8); \
             insert into orders (customer, number, total) values (1, 7777, 1); truncate heard");
    let wish = only(wanted(&[("public", "orders")], merge()), "id < 10 or id > 1000");
    let (differences, landed) = two.shown(&wish, || {});
    let shown = &differences[0];
    assert_eq!((shown.added, shown.changed, shown.missing, shown.same), (2, 2, 1, 5));
    assert_eq!((shown.first_added.clone(), shown.first_missing.clone()), (vec!["3".to_owned(), "5".to_owned()], vec!["1001".to_owned()]));
    let changed: Vec<String> = (shown.first_changed[0].columns.iter())
        .map(|column| format!("{}: {:?} -> {:?}", column.name, column.now.as_deref(), column.then.as_deref()))
        .collect();
    assert_eq!(shown.first_changed[0].key, "7");
    assert_eq!(changed, ["total: Some(\"0.00\") -> Some(\"2.33\")", "note: Some(\"\\u{1b}[31mred\") -> Some(\"xxxxxxx\")"]);
    let landed = landed.expect("it is done");
    assert_eq!((landed[0].added, landed[0].changed, landed[0].removed), (2, 2, 0));
    assert_eq!(two.now("select count(*) from heard"), "0");
    assert_eq!(two.now("select count(*) || ' ' || count(*) filter (where id = 1001) from orders"), "1001 1");
    // Those that are not in the backup go only when somebody says so; the rows outside of the condition are nobody's concern.
    let way = Way::Merge { key: vec!["id".into()], delete_others: true, kept: Some("before".into()) };
    let (landed, _) = two.brings(&only(wanted(&[("public", "orders")], way), "id > 900"));
    assert_eq!((landed[0].added, landed[0].changed, landed[0].removed), (0, 0, 1));
    assert_eq!(two.now(&rows("orders")), two.then(&rows("orders")));
    two.now(landed[0].undo.as_deref().expect("a way back"));
    assert_eq!(two.now("select count(*) filter (where id = 1001) from orders"), "1");
}

/// Also as a row is called while it is compared.
#[test]
fn a_column_may_have_any_name() {
    let two = Two::new(
        "create table t (id int primary key, n int, s text, t int, x int); insert into t select k, k, 's', k, k from generate_series(1, 9) k",
    );
    two.now("update t set n = 100 where id = 3; update t set s = 'x' where id = 4");
    let (differences, landed) = two.shown(&only(wanted(&[("public", "t")], merge()), "n > 2 or s = 'x'"), || {});
    let names: Vec<&str> =
        differences[0].first_changed.iter().flat_map(|row| row.columns.iter().map(|column| column.name.as_str())).collect();
    assert_eq!((names, landed.expect("it is done")[0].changed), (vec!["n", "s"], 2));
}

#[test]
fn what_changed_since_it_was_shown_is_not_overwritten() {
    let two = Two::new(SHOP);
    two.now("delete from lines where orders = 3; delete from orders where id = 3; update orders set total = 0 where id in (7, 8)");
    let wish = only(wanted(&[("public", "orders")], merge()), "id < 10");
    for meanwhile in [
        "update orders set total = 1 where id = 7",
        "delete from lines where orders = 8; delete from orders where id = 8",
        "insert into orders (id, customer, number, total) overriding system value values (3, 1, 9999, 1)",
    ] {
        let mut before = String::new();
        let (_, landed) = two.shown(&wish, || {
            two.now(meanwhile);
            before = two.now(&rows("orders"));
        });
        let fault = landed.expect_err("it is stale");
        assert_eq!(
            (fault.why, fault.message.as_str()),
            (Why::Stale, "1 row of \"public\".\"orders\" changed since the difference was shown"),
            "{meanwhile}"
        );
        assert_eq!(two.now(&rows("orders")), before);
    }
    let (_, landed) = two.shown(&wish, || _ = two.now("alter table orders add column more int"));
    assert_eq!(landed.expect_err("it is stale").why, Why::Stale);
}

/// What is looked at before rows are fetched is looked at again when nobody can change it any more: fetching may take hours.
#[test]
fn what_would_swallow_rows_may_come_while_they_are_fetched() {
    let two = Two::new(SHOP);
    two.now("update customers set email = null where id in (7, 8)");
    let wish = wanted(&[("public", "customers")], merge());
    for (meanwhile, said, back) in [
        (
            "create rule swallows as on insert to customers do instead nothing; alter table customers enable always rule swallows",
            "the rule swallows of \"public\".\"customers\" would run for each row that comes back",
            "drop rule swallows on customers",
        ),
        (
            "create trigger hears before insert on customers for each row execute function heard(); alter table customers enable replica trigger hears",
            "the trigger hears of \"public\".\"customers\" would run for each row that comes back",
            "drop trigger hears on customers",
        ),
        (
            "create table more_customers () inherits (customers)",
            "1 table (public.more_customers) has inherited from \"public\".\"customers\"",
            "drop table more_customers",
        ),
    ] {
        let before = two.now(&rows("customers"));
        let (_, landed) = two.shown(&wish, || _ = two.now(meanwhile));
        let fault = landed.expect_err("it would not come back as it was");
        assert!(fault.message.contains(said), "{fault}");
        assert_eq!(two.now(&rows("customers")), before);
        two.now(back);
    }
    let (_, landed) = two.shown(&wish, || {});
    assert_eq!(landed.expect("it is done")[0].changed, 2);
    assert_eq!(two.now(&rows("customers")), two.then(&rows("customers")));
}

#[test]
fn without_a_key_all_rows_go_and_come() {
    let two = Two::new("create table plain (a int, b json); insert into plain select k % 3, '{}' from generate_series(1, 30) k");
    two.now("delete from plain where a = 1; insert into plain values (9, null)");
    let merging = two.refuses(&wanted(&[("public", "plain")], merge()));
    assert_eq!(merging.message, "\"public\".\"plain\" has no primary key: `--merge` cannot tell which rows are the same");
    let named = Way::Merge { key: vec!["a".into()], delete_others: false, kept: None };
    let merging = two.refuses(&wanted(&[("public", "plain")], named));
    assert_eq!(merging.message, "`a` is no key of \"public\".\"plain\": in the backup several rows have `0`");
    let (landed, _) = two.brings(&wanted(&[("public", "plain")], replace()));
    assert_eq!((landed[0].added, landed[0].removed), (30, 21));
    assert_eq!(two.now(&rows("plain")), two.then(&rows("plain")));
    two.now(landed[0].undo.as_deref().expect("a way back"));
    assert_eq!(two.now("select count(*) from plain"), "21");
}

/// Whoever writes waits; nothing that was written and answered is lost without being in the rows that were kept.
#[test]
fn writers_wait_and_lose_nothing_unseen() {
    let two = Two::new(
        "create table counted (id int primary key, n bigint not null); insert into counted select k, 0 from generate_series(1, 2000) k; \
                        create table log (id int, n bigint)",
    );
    two.now("update counted set n = 1");
    let ended = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (two, ended) = (&two, &ended);
                scope.spawn(move || {
                    let mut connection: Connection = two.session();
                    let mut done = 0_u64;
                    while !ended.load(Ordering::Relaxed) {
                        let id = 1 + (done * 7 + writer) % 2000;
                        let sql = format!("begin; update counted set n = n + 1 where id = {id}; insert into log select id, n from counted where id = {id}; commit");
                        connection.run(&sql).expect("it only waits");
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(300));
        let wish = patient();
        let (landed, _) = two.brings(&wish);
        thread::sleep(Duration::from_millis(300));
        ended.store(true, Ordering::Relaxed);
        let done: u64 = writers.into_iter().map(|writer| writer.join().expect("it ends well")).sum();
        assert!(done > 20 && landed[0].rows == 2000);
        // Every write is either in what was kept, or was done to the rows that had come back.
        let all =
            two.now("select (select count(*) from log) || ' ' || (select sum(n) from counted) + (select sum(n - 1) from replaced.counted)");
        assert_eq!(all, format!("{done} {done}"));
    });
}

fn patient() -> seawall::execute::table::landing::Wanted {
    let mut wish = wanted(&[("public", "counted")], replace());
    wish.lock_timeout = Duration::from_secs(20);
    wish
}

#[test]
fn a_lock_is_not_waited_for_for_ever() {
    let two = Two::new(SHOP);
    let mut other = two.session();
    other.run("set application_name = 'nightly job'; begin; update orders set total = 1 where id = 1").expect("a lock");
    let refused = two.refuses(&wanted(&[("public", "orders")], replace()));
    assert_eq!(refused.why, Why::Passing);
    assert!(
        refused.message.contains("lock timeout; it is locked by `")
            && refused.message.contains("postgres, nightly job, idle in transaction"),
        "{refused}"
    );
    // A reader is in nobody's way.
    other.run("rollback; begin; select count(*) from orders").expect("a snapshot");
    two.brings(&wanted(&[("public", "orders")], replace()));
}

#[test]
fn whoever_ends_it_leaves_the_table_as_it_was() {
    let two = Two::new(SHOP);
    two.now("update orders set total = 0");
    let before = two.now(&rows("orders"));
    let mut other = two.session();
    other.run("begin; update orders set total = 1 where id = 1").expect("a lock");
    thread::scope(|scope| {
        let bringing = scope.spawn(|| {
            let mut wish = wanted(&[("public", "orders")], replace());
            wish.lock_timeout = Duration::from_secs(60);
            two.bring(&wish)
        });
        two.live.wait_until("exists (select from pg_locks where mode = 'ExclusiveLock' and locktype = 'relation' and not granted)");
        two.stop.store(true, Ordering::Relaxed);
        assert_eq!(bringing.join().expect("it ends").expect_err("it was stopped").why, Why::Stopped);
    });
    other.run("rollback").expect("an end");
    assert_eq!(two.now(&rows("orders")), before);
    assert_eq!(two.now("select count(*) from pg_namespace where nspname = 'replaced'"), "0");
}
