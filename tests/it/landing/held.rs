//! Holds that come while rows are changed, or before the change is taken back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use seawall::execute::table::Why;
use seawall::execute::table::landing::Wanted;
use seawall::postgres::Connection;

use super::changed::SHOP;
use super::rig::{Two, merge, replace, rows, wanted};

const HOLDS: &str = "create schema seawall; create table seawall.hold (policy text not null, name text not null, of_table text not null, condition text, \
    rows_from date, rows_to date, reason text not null, until date, zone text not null, primary key (policy, name))";

fn held(of: &str, condition: &str) -> String {
    format!("insert into seawall.hold values ('shop', 'case-7', '{of}', '{condition}', null, null, 'a court asks', null, 'UTC')")
}

/// Rows 7, 14, … are not as they were; 2 is.
fn spoilt() -> Two {
    let two = Two::new(SHOP);
    two.now("update orders set total = 0 where id % 7 = 0");
    two.now(HOLDS);
    two
}

fn orders(way: seawall::execute::table::landing::Way) -> Wanted {
    wanted(&[("public", "orders")], way)
}

#[test]
fn a_hold_that_comes_while_rows_are_changed_keeps_them_as_they_were() {
    let two = spoilt();
    let before = two.now(&rows("orders"));
    let bring = |way, hold: &str| {
        two.now("delete from seawall.hold");
        two.bring_while(&orders(way), &|what| {
            if what == "checking foreign keys" {
                two.now(hold);
            }
        })
    };
    let refused = bring(replace(), &held("public.orders", "id = 7")).expect_err("it is held");
    assert!(refused.message.starts_with("1 row of") && refused.message.contains("under the hold `case-7`"), "{refused}");
    // The row itself is nowhere any more, so that nobody can ask whether it is this one.
    let refused = bring(merge(), &held("orders", "id = 2")).expect_err("it may be held");
    assert!(refused.why == Why::Stale && refused.message.ends_with("which came while rows were changed"), "{refused}");
    assert!(refused.hint.contains("Run it again"), "{}", refused.hint);
    assert_eq!(two.now(&rows("orders")), before);
    // What holds others is no obstacle: neither another row nor another table.
    let kept = "select count(*) from pg_namespace where nspname = 'replaced'";
    assert_eq!(two.now(kept), "0");
    bring(merge(), &held("lines", "true")).unwrap_or_else(|fault| panic!("{fault}"));
    two.now("update orders set total = 0 where id % 7 = 0");
    bring(replace(), &held("orders", "id = 2")).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(two.now(&rows("orders")), two.then(&rows("orders")));
}

/// Whoever applies a policy has changed holds and not committed.
#[test]
fn a_hold_on_its_way_is_waited_for_and_not_for_ever() {
    let two = spoilt();
    let before = two.now(&rows("orders"));
    let other: Mutex<Connection> = Mutex::new(two.session());
    let begin = |what: &str| {
        if what == "looking for holds that came" {
            other.lock().expect("nobody panics").run(&format!("begin; {}", held("orders", "id = 7"))).expect("a hold on its way");
        }
    };
    let mut hurried = orders(replace());
    hurried.lock_timeout = Duration::from_millis(300);
    let refused = two.bring_while(&hurried, &begin).expect_err("it cannot tell");
    assert!(refused.why == Why::Passing && refused.hint.contains("--lock-timeout"), "{refused} ({})", refused.hint);
    other.lock().expect("nobody panics").run("rollback").expect("it ends");
    assert_eq!(two.now(&rows("orders")), before);
    let mut patient = orders(replace());
    patient.lock_timeout = Duration::from_secs(120);
    let over = AtomicBool::new(false);
    let refused = std::thread::scope(|scope| {
        scope.spawn(|| {
            // It was refused once: what it asks of holds before that is no sign.
            let asks = "select count(*) from pg_stat_activity where query = 'rollback to savepoint seawall_hold'";
            let began = Instant::now();
            while two.now(asks) == "0" && !over.load(Ordering::Relaxed) {
                assert!(began.elapsed() < Duration::from_secs(120), "it never asks for the lock");
            }
            other.lock().expect("nobody panics").run("commit").expect("it ends");
        });
        let refused = two.bring_while(&patient, &begin);
        over.store(true, Ordering::Relaxed);
        refused
    });
    let refused = refused.expect_err("it is held");
    assert!(refused.message.contains("under the hold `case-7`"), "{refused}");
    assert_eq!(two.now(&rows("orders")), before);
}

/// It is run hours later, by hand, with whatever is at hand.
#[test]
fn what_takes_a_change_back_asks_for_holds_too() {
    let two = Two::new(SHOP);
    two.now("update orders set total = 0 where id % 7 = 0; delete from lines where orders = 10; delete from orders where id = 10");
    let before = two.now(&rows("orders"));
    let (landed, _) = two.brings(&orders(replace()));
    let undo = landed[0].undo.clone().expect("a way back");
    two.now(HOLDS);
    let refused = |undo: &str, of: &str, condition: &str| {
        two.now(&format!("delete from seawall.hold; {}", held(of, condition)));
        two.session().run(undo).err().map(|fault| fault.message)
    };
    two.now("alter database shop set datestyle = 'German'; create view cheap as select * from orders");
    let all = [
        ("public.orders", "id = 10"),
        ("Orders", "id = 7 -- this one"),
        ("\"cheap\"", "id = 2"),
        ("orders", "null::boolean"),
        ("shop.public.orders", "true"),
    ];
    for (of, condition) in all {
        let said = refused(&undo, of, condition).unwrap_or_else(|| panic!("{of}: {condition}: nobody asked"));
        assert!(said.contains("of the rows of") && said.contains("under the hold `case-7` of the policy `shop` (a court asks)"), "{said}");
    }
    assert_eq!(two.now(&rows("orders")), two.then(&rows("orders")));
    // One that is over, and one on a row that stays as it is.
    two.now(&format!("delete from seawall.hold; {}; update seawall.hold set until = '2020-01-01'", held("orders", "true")));
    two.now(&held("orders", "id = 2").replace("case-7", "case-8"));
    two.now(&undo);
    assert_eq!(two.now(&rows("orders")), before);
}

#[test]
fn a_hold_on_another_part_lets_a_change_be_taken_back() {
    let two = Two::new(
        "create table parted (id int primary key) partition by range (id); create table low partition of parted for values from (0) to (10); \
         create table high partition of parted for values from (10) to (20); insert into parted select generate_series(5, 14)",
    );
    two.now("delete from parted where id = 6");
    let (landed, _) = two.brings(&wanted(&[("public", "parted")], replace()));
    let undo = landed[0].undo.clone().expect("a way back");
    two.now(&format!("{HOLDS}; {}", held("low", "true")));
    let refused = two.session().run(&undo).expect_err("it is held").message;
    assert!(refused.contains("under the hold `case-7`"), "{refused}");
    two.now(&format!("delete from seawall.hold; {}", held("high", "true")));
    two.now(&undo);
    assert_eq!(two.now("select string_agg(id::text, ' ' order by id) from parted"), "5 7 8 9 10 11 12 13 14");
}
