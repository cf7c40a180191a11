//! What must not happen, and what cannot be known.

use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use seawall::execute::table::Why;
use seawall::execute::table::landing::{Change, Onlooker, Way};

use super::changed::SHOP;
use super::rig::{Two, merge, only, replace, rows, wanted};

/// No trigger runs, and the check of a deferrable constraint is one.
#[test]
fn what_is_checked_at_the_end_is_checked() {
    let two = Two::new(
        "create table seats (id int primary key, seat int, constraint one_each unique (seat) deferrable initially deferred); \
         insert into seats select k, k from generate_series(1, 10) k; \
         create table parted (id int, day int, number int, unique (number, day) deferrable) partition by list (day); \
         create table parted_1 partition of parted for values in (1); insert into parted select k, 1, k from generate_series(1, 10) k; \
         create table booked (id int primary key, during int4range, constraint apart exclude using gist (during with &&) deferrable)",
    );
    two.now("update seats set seat = 100 where id = 1; insert into seats values (11, 1), (12, null), (13, null)");
    let before = two.now(&rows("seats"));
    let refused = two.refuses(&wanted(&[("public", "seats")], merge()));
    assert_eq!(refused.message, "the constraint `one_each` of public.seats would not hold any more: several rows have `1`");
    assert_eq!(two.now(&rows("seats")), before);
    // Two rows without a seat have none in common.
    two.now("delete from seats where id = 11");
    two.brings(&wanted(&[("public", "seats")], merge()));
    assert_eq!(two.now("select count(*) || ' ' || sum(seat) from seats"), "12 55");
    two.now("update parted set number = 100 where id = 1; insert into parted values (11, 1, 1)");
    let by_id = Way::Merge { key: vec!["id".into()], delete_others: false, kept: None };
    let refused = two.refuses(&wanted(&[("public", "parted")], by_id));
    assert!(refused.message.contains("of public.parted would not hold any more: several rows have `1, 1`"), "{refused}");
    let refused = two.refuses(&wanted(&[("public", "booked")], replace()));
    assert_eq!(refused.message, "the constraint `apart` of public.booked excludes rows, is deferrable, and cannot be checked here");
}

/// A backup has no rows of it, so there are none to put in place of those that are there.
#[test]
fn an_unlogged_table_is_not_emptied() {
    let two = Two::new(SHOP);
    two.then("truncate lines");
    let before = two.now(&rows("lines"));
    let mut origin = two.origin();
    origin.unlogged = vec!["public.lines".into()];
    for way in [replace(), Way::Merge { key: Vec::new(), delete_others: true, kept: None }] {
        let wish = wanted(&[("public", "lines")], way);
        let destination = two.look(&wish).expect("it can be done");
        let refused = two.watched(|onlooker| Change::stage(&destination, &wish, &origin, onlooker).expect_err("it has no rows"));
        assert_eq!(refused.message, "`public.lines` is unlogged: this backup has none of its rows, and those that are there now would go");
    }
    assert_eq!(two.now(&rows("lines")), before);
}

/// Not even a look waits for a lock for longer than somebody said.
#[test]
fn a_look_waits_no_longer_than_it_may() {
    let two = Two::new(SHOP);
    let mut other = two.session();
    // It lets go by itself in the end: who waits for that has waited too long.
    other.run("set application_name = 'migration'; set idle_in_transaction_session_timeout = '30s'; begin; lock table orders in access exclusive mode").expect("a lock");
    let mut wish = wanted(&[("public", "orders")], replace());
    wish.lock_timeout = Duration::from_millis(300);
    let refused = two.look(&wish).expect_err("it is locked");
    assert_eq!(refused.why, Why::Passing);
    assert!(refused.message.contains("lock timeout; it is locked by `") && refused.message.contains("migration"), "{refused}");
}

/// The rows are there by then, and the answer is lost.
#[test]
fn whether_it_was_committed_may_not_be_known() {
    let two = Two::new(SHOP);
    two.now("update orders set total = 0");
    let wish = wanted(&[("public", "orders")], Way::Replace { kept: None });
    let destination = two.look(&wish).expect("it can be done");
    let begins = |what: &str| {
        if what == "committing" {
            // Nobody will ever confirm what is committed from now on.
            two.live.sql("alter system set synchronous_standby_names = 'nobody'");
            two.live.sql("select pg_reload_conf()");
            thread::sleep(Duration::from_secs(5));
        }
    };
    let onlooker = Onlooker { begins: &begins, bytes: &AtomicU64::new(0), stop: &two.stop };
    let fault = thread::scope(|scope| {
        scope.spawn(|| {
            two.live.wait_until("exists (select from pg_stat_activity where wait_event = 'SyncRep' and datname = 'shop')");
            two.live.sql("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep' and datname = 'shop'");
            // Its temporary tables go in a transaction as well.
            thread::sleep(Duration::from_secs(1));
            two.live.sql("alter system reset synchronous_standby_names");
            two.live.sql("select pg_reload_conf()");
        });
        let change = Change::stage(&destination, &wish, &two.origin(), onlooker).expect("rows");
        change.apply(&mut Vec::new(), onlooker).expect_err("the answer is lost")
    });
    assert_eq!(fault.why, Why::Unknown, "{fault}");
    assert!(fault.message.ends_with("whether it was committed is not known"), "{fault}");
    assert_eq!(two.now(&rows("orders")), two.then(&rows("orders")));
}

/// A row with the largest number of all is somebody's mark. Whether it comes or stays, the sequence is not spent for it.
#[test]
fn no_sequence_is_spent_for_a_row_that_it_cannot_have_given() {
    let two = Two::new("create table orders (id serial primary key, n int); insert into orders select i, i from generate_series(1, 20) i");
    two.then("insert into orders values (2147483647, 0), (30, 1); insert into orders values (17, 2) on conflict (id) do update set n = 0");
    two.now("insert into orders values (2147483646, 0); select setval('orders_id_seq', 25)");
    let (_, remarks) = two.brings(&only(wanted(&[("public", "orders")], replace()), "id in (17, 30, 2147483647)"));
    assert_eq!(remarks, ["the sequence \"public\".\"orders_id_seq\" went forward to 30"]);
    assert_eq!(two.now("insert into orders (n) values (1) returning id"), "31");
}

/// Far behind and nearly there: the next number is the one after the last, whichever way was gone.
#[test]
fn sequences_go_on_behind_the_rows() {
    let two = Two::new(
        "create table far (id bigint generated by default as identity primary key, n int); \
         create table down (id bigint generated by default as identity (increment by -3 start with -1) primary key)",
    );
    two.then("insert into far values (1152921504606846976, 1), (7, 2); insert into down values (-3100), (-4)");
    let (_, remarks) = two.brings(&wanted(&[("public", "far"), ("public", "down")], replace()));
    assert_eq!(
        remarks,
        [
            "the sequence \"public\".\"far_id_seq\" went forward to 1152921504606846976",
            "the sequence \"public\".\"down_id_seq\" went forward to -3100"
        ]
    );
    assert_eq!(
        (two.now("insert into far (n) values (1) returning id"), two.now("insert into down default values returning id")),
        ("1152921504606846977".into(), "-3103".into())
    );
}

/// PostgreSQL refuses each deletion where it could not be published. That is said before anything is fetched.
#[test]
fn what_is_published_without_an_identity_is_refused() {
    let two = Two::new(
        "create table keyed (id int primary key, v text); create table bare (id int, v text); insert into bare values (1, 'x'); \
         create table late (id int, v text, primary key (id) deferrable); \
         create table parted (id int, day int) partition by list (day); create table parted_1 partition of parted for values in (1); \
         create table parted_2 partition of parted for values in (2); alter table parted_2 replica identity full",
    );
    two.now("create publication added for all tables with (publish = 'insert, update')");
    let wish = |table: &str| wanted(&[("public", table)], replace());
    for table in ["keyed", "bare", "late", "parted"] {
        two.look(&wish(table)).expect("no deletion is published");
    }
    two.now("create publication all_of for all tables");
    two.look(&wish("keyed")).expect("its key is its identity");
    for (table, named) in [("bare", "public.bare"), ("late", "public.late"), ("parted", "public.parted_1")] {
        let refused = two.look(&wish(table)).expect_err("it could not be done");
        let said = format!("the publication `all_of` publishes deletes, and {named} has no replica identity");
        assert!(refused.message.ends_with(&said), "{refused}");
        assert!(refused.hint.contains(&format!("`alter table {named} replica identity full`")), "{}", refused.hint);
    }
    // Beside it nothing is deleted.
    two.look(&wanted(&[("public", "bare")], super::rig::into("aside"))).expect("it is beside");
    two.now("drop publication all_of; create publication parts for table parted");
    two.look(&wish("bare")).expect("it is in no publication of deletes");
    assert!(two.look(&wish("parted")).expect_err("with its parent").message.contains("`parts`"));
    two.now("drop publication parts; create publication home for tables in schema public");
    assert!(two.look(&wish("bare")).expect_err("with its schema").message.contains("`home`"));
    // A subscriber does not know what comes beside it there.
    let beside = |schema: &str| {
        let way = Way::Schema { schema: schema.into(), name: Some("other".into()) };
        two.look(&wanted(&[("public", "bare")], way)).expect("it is beside").remarks.join("\n")
    };
    let said = "the publication `home` publishes all tables of the schema `public`: subscribers stop at the rows of a new one";
    assert!(beside("public").contains(said) && !beside("aside").contains("`home`"), "{}", beside("public"));
    two.now("alter table bare replica identity full");
    two.now("delete from bare");
    two.brings(&wish("bare"));
    assert_eq!(two.now("select v from bare"), "x");
}
