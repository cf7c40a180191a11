//! Some rows: what a condition may read, and which rows it means.

use seawall::execute::table::Why;
use seawall::execute::table::landing::{Condition, CsvTo, Wanted, Way};

use super::rig::{Two, into, merge, only, replace, rows, wanted};

const ORDERS: &str = "\
    create table vip (customer int); insert into vip values (1), (2); \
    create table orders (id int primary key, customer int not null, status text not null, at timestamptz not null); \
    insert into orders select k, k % 10, case when k % 2 = 0 then 'closed' else 'open' end, '2026-01-01 12:00Z'::timestamptz + k * interval '1 hour' \
      from generate_series(1, 100) k; \
    create function is_vip(int) returns boolean language sql stable as 'select $1 in (select customer from public.vip)'; \
    create function twice(int) returns int language sql immutable as 'select $1 * 2'; \
    create function same(int, int) returns boolean language sql stable as 'select $1 = $2'; \
    create operator === (leftarg = int, rightarg = int, function = same)";

fn orders(way: Way) -> Wanted {
    wanted(&[("public", "orders")], way)
}

#[test]
fn a_condition_reads_nothing_but_the_row() {
    let two = Two::new(ORDERS);
    // As a private server has it.
    two.then("truncate vip");
    let before = two.now(&rows("orders"));
    for (condition, said) in [
        ("customer in (select customer from public.vip)", "reads public.vip: of other tables no rows are at hand"),
        ("exists (select from pg_catalog.pg_class where relname = 'vip')", "reads pg_catalog.pg_class"),
        ("public.is_vip(customer)", "calls public.is_vip, which may read tables"),
        ("customer operator(public.===) 1", "calls public.same, which may read tables"),
        ("pg_catalog.query_to_xml('select customer from public.vip', true, true, '') is not null", "calls pg_catalog.query_to_xml"),
    ] {
        for way in [replace(), merge(), Way::Csv(CsvTo::Stdout)] {
            let refused = two.refuses(&only(orders(way), condition));
            assert!(refused.message.contains(said), "{condition}: {refused}");
        }
    }
    assert_eq!(two.now(&rows("orders")), before);
    assert_eq!(two.now("select count(*) from pg_namespace where nspname in ('aside', 'replaced')"), "0");
    // The row itself and what depends on nothing else may be asked, also by other rows of the same table.
    two.now("delete from orders where customer = 2");
    let condition = "public.twice(customer) = 4 and orders.id in (select generate_series(1, 50)) and tableoid = 'public.orders'::regclass \
                     and at < (select max(at) from public.orders)";
    let (landed, _) = two.brings(&only(orders(merge()), condition));
    assert_eq!((landed[0].rows, landed[0].added), (5, 5));
    // At the origin the table is another one's after this.
    let refused = two.refuses(&only(orders(into("aside")), "customer in (select customer from public.vip)"));
    assert!(refused.message.contains("reads public.vip"), "{refused}");
    assert_eq!(two.now("select count(*) from pg_namespace where nspname = 'aside'"), "0");
}

/// What is wrong in it is said before anything is fetched, and the look leaves nothing behind.
#[test]
fn a_condition_is_read_where_it_will_be_asked() {
    let two = Two::new(ORDERS);
    let catalogs = "select (select count(*) from pg_class) || ' ' || (select count(*) from pg_namespace)";
    let before = two.now(catalogs);
    for (condition, said) in [
        ("custmer = 1", "column \"custmer\" does not exist"),
        ("customer = 'seven'", "invalid input syntax for type integer"),
        ("customer", "argument of WHERE must be type boolean"),
        ("count(*) > 1", "aggregate functions are not allowed in WHERE"),
        ("customer in (select customer from public.vip)", "reads public.vip: of other tables no rows are at hand"),
    ] {
        for way in [replace(), merge()] {
            let refused = two.look(&only(orders(way), condition)).expect_err(condition);
            assert!(
                refused.message.contains("the condition on rows of \"public\".\"orders\" ") && refused.message.contains(said),
                "{condition}: {refused}"
            );
        }
        // Beside it and as CSV, what is there now need not be what was there then.
        two.look(&only(orders(into("aside")), condition)).expect("nobody has read it");
    }
    for condition in ["customer in (select customer from vip)", "exists (select from orders o where o.customer = 1)"] {
        let refused = two.look(&only(orders(merge()), condition)).expect_err(condition);
        assert!(
            refused.hint.contains("by its whole name (`\"public\".\"orders\"`). Of other tables no rows are at hand"),
            "{}",
            refused.hint
        );
    }
    two.look(&only(orders(merge()), "customer = 7")).expect("it is understood");
    assert_eq!(two.now(catalogs), before);
    // Whoever locks the table is named, and the condition is not blamed for it.
    let mut other = two.session();
    other.run("begin; lock table orders in access exclusive mode").expect("a lock");
    let quick = Wanted { lock_timeout: std::time::Duration::from_millis(100), ..only(orders(merge()), "customer = 7") };
    let refused = two.look(&quick).expect_err("it is locked");
    assert_eq!(refused.why, Why::Passing, "{refused}");
    assert!(refused.message.contains("it is locked by") && !refused.message.contains("understood"), "{refused}");
}

/// A row of the backup that fits only now is not missing there.
#[test]
fn what_the_backup_has_does_not_go() {
    let two = Two::new(ORDERS);
    two.now(
        "update orders set status = 'closed' where id = 3; update orders set status = 'open' where id = 4; delete from orders where id = 6; \
         update orders set customer = 77 where id = 8; update orders set customer = 78 where id = 9; \
         insert into orders values (200, 1, 'closed', now()), (201, 1, 'open', now())",
    );
    let before = two.now(&rows("orders"));
    let changed = "select string_agg(id || status || customer, ' ' order by id) from orders where id in (3, 4, 5, 6, 8, 9, 200, 201, 202)";
    let as_then = "3open3 4closed4 5open5 6closed6 8closed8 9open78 201open1";
    let closed = "status = 'closed'";
    // Those that fitted, and the third, which fits now.
    let (landed, _) = two.brings(&only(orders(replace()), closed));
    assert_eq!((landed[0].rows, landed[0].added, landed[0].changed, landed[0].removed), (51, 1, 3, 1));
    assert_eq!(two.now(changed), as_then);
    two.now(landed[0].undo.as_deref().expect("a way back"));
    assert_eq!(two.now(&rows("orders")), before);
    two.now("drop schema replaced cascade");
    // The same when it is shown.
    let way = |delete_others| Way::Merge { key: Vec::new(), delete_others, kept: None };
    let (differences, landed) = two.shown(&only(orders(way(true)), closed), || {});
    let shown = &differences[0];
    assert_eq!((shown.added, shown.changed, shown.missing, shown.same), (1, 3, 1, 47));
    assert_eq!((shown.first_missing.clone(), shown.first_changed[0].key.as_str()), (vec!["200".to_owned()], "3"));
    assert_eq!(landed.expect("it is done")[0].removed, 1);
    assert_eq!(two.now(changed), as_then);
    // And those that come to fit while nobody looks.
    let (_, landed) = two.shown(&only(orders(replace()), closed), || {
        two.now("update orders set status = 'closed' where id = 5; insert into orders values (202, 1, 'closed', now())");
    });
    let landed = landed.expect("it is done");
    assert_eq!((landed[0].rows, landed[0].changed, landed[0].removed), (51, 1, 1));
    assert_eq!(two.now(changed), as_then);
}

#[test]
fn days_are_those_of_the_zone() {
    let two = Two::new(ORDERS);
    two.now("update orders set status = 'lost'");
    let tokyo = |wanted: Wanted, text: &str| Wanted {
        condition: Some(Condition::read(text).expect("a condition").in_zone("Asia/Tokyo")),
        ..wanted
    };
    // A text becomes a time when the condition is read, and not only row by row; at the destination too.
    let (landed, _) = two.brings(&tokyo(orders(merge()), "at::date = '2026-01-02' and at < '2026-01-02 02:00'"));
    assert_eq!((landed[0].rows, landed[0].changed), (2, 2));
    assert_eq!(two.now("select string_agg(id::text, ' ' order by id) from orders where status <> 'lost'"), "3 4");
    let (landed, _) = two.brings(&tokyo(orders(into("day")), "at::date = '2026-01-02'"));
    assert_eq!(landed[0].rows, 24);
    assert_eq!(two.now("select min(id) || ' ' || max(id) from day.orders"), "3 26");
}

/// Where no schema is searched, `=` of such a type is another one, which finds other rows. So it must be said.
#[test]
fn a_type_of_an_extension_is_not_taken_for_text() {
    let two = Two::new(
        "create extension citext; create domain mails as citext; create domain names as text; \
         create table people (id int primary key, email citext, other mails, name names, note varchar(9)); \
         insert into people select k, 'U' || k || '@x.y', 'O' || k, 'n' || k, 'v' || k from generate_series(1, 9) k",
    );
    two.now("delete from people");
    let people = || wanted(&[("public", "people")], merge());
    for (condition, column) in
        [("email = 'u5@x.y'", "\"email\""), ("id = 5 or email in ('u5@x.y', 'u6@x.y')", "\"email\""), ("other like 'o5'", "\"other\"")]
    {
        let refused = two.refuses(&only(people(), condition));
        assert!(refused.message.contains(&format!("compare {column} as PostgreSQL's own text, and not as the public.citext")), "{refused}");
        assert!(refused.hint.contains(&format!("{column} operator(public.=) 'it'")), "{}", refused.hint);
    }
    for (condition, count) in [
        ("email operator(public.=) 'u5@x.y'", 1),
        ("email::text = 'U6@x.y' or other is null", 1),
        ("name = 'n7' and note <> 'x'", 1),
        ("id = 8", 1),
        ("email::text = 'u9@x.y'", 0),
    ] {
        assert_eq!(two.brings(&only(people(), condition)).0.first().map_or(0, |landed| landed.added), count, "{condition}");
    }
}
