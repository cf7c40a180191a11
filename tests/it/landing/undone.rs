//! The SQL that takes a change back, when somebody runs it later.

use super::changed::SHOP;
use super::rig::{Two, only, replace, rows, wanted};
use seawall::execute::table::landing::Way;

impl Two {
    /// Something is written, and then it is to be taken back; all of it in one transaction that nobody commits.
    fn refuses_to_undo(&self, write: &str, undo: &str) -> String {
        self.session().run(&format!("begin; {write}; {undo}")).expect_err(write).message
    }
}

const WRITTEN: &str = "were written since, and would be lost";

#[test]
fn it_takes_nothing_that_was_written_since() {
    let two = Two::new(SHOP);
    two.now("delete from lines where orders % 10 = 0; delete from orders where id % 10 = 0; update orders set total = 0 where id % 7 = 0");
    let before = two.now(&rows("orders"));
    let (landed, _) = two.brings(&wanted(&[("public", "orders")], replace()));
    let undo = landed[0].undo.clone().expect("a way back");
    for write in [
        "update orders set note = 'new' where id = 7",
        "update orders set note = 'new' where id = 1",
        "insert into orders (customer, number, total) values (1, 7777, 1)",
        "delete from orders where id = 10",
        "delete from orders where id = 1",
    ] {
        let said = two.refuses_to_undo(write, &undo);
        assert!(said.contains(WRITTEN), "{write}: {said}");
    }
    // Something leads to a row that would go again.
    let said = two.refuses_to_undo("insert into lines values (20, 1)", &undo);
    assert!(said.contains("the foreign key `lines_orders_fkey` would not hold any more"), "{said}");
    assert_eq!(two.now(&rows("orders")), two.then(&rows("orders")));
    two.now(&undo);
    assert_eq!(two.now(&rows("orders")), before);
}

/// What the change did not touch is not looked at.
#[test]
fn of_some_rows_only_those_are_taken_back() {
    let two = Two::new(SHOP);
    two.now(
        "delete from lines where orders = 3; delete from orders where id = 3; update orders set total = 0 where id in (7, 900); \
             insert into orders (customer, number, total) values (1, 7777, 1)",
    );
    let way = Way::Merge { key: Vec::new(), delete_others: true, kept: Some("merged".into()) };
    let (landed, _) = two.brings(&only(wanted(&[("public", "orders")], way), "id < 50 or id > 1000"));
    assert_eq!((landed[0].added, landed[0].changed, landed[0].removed), (1, 1, 1));
    let undo = landed[0].undo.clone().expect("a way back");
    for write in [
        "update orders set note = 'new' where id = 7",
        "delete from orders where id = 3",
        "insert into orders (id, customer, number, total) overriding system value values (1001, 1, 8888, 1)",
    ] {
        let said = two.refuses_to_undo(write, &undo);
        assert!(said.contains(WRITTEN), "{write}: {said}");
    }
    two.now("update orders set note = 'stays' where id in (1, 900)");
    two.now(&undo);
    let after = "select string_agg(id || ' ' || total || ' ' || coalesce(left(note, 5), '-'), ', ' order by id) from orders where id in (1, 3, 7, 900, 1001)";
    assert_eq!(two.now(after), "1 0.33 stays, 7 0.00 xxxxx, 900 0.00 stays, 1001 1.00 -");
}

/// Nothing in the table keeps two rows from having what somebody named for a key.
#[test]
fn a_second_row_of_a_named_key_is_not_taken_away() {
    let two = Two::new("create table stock (item int, n int); insert into stock select k, k from generate_series(1, 9) k");
    two.now("update stock set n = 0 where item in (3, 4)");
    let way = Way::Merge { key: vec!["item".into()], delete_others: false, kept: Some("merged".into()) };
    let (landed, _) = two.brings(&wanted(&[("public", "stock")], way));
    let undo = landed[0].undo.clone().expect("a way back");
    for write in ["insert into stock values (3, 77)", "insert into stock values (3, 3)"] {
        let said = two.refuses_to_undo(write, &undo);
        assert!(said.contains(WRITTEN), "{write}: {said}");
    }
    two.now(&undo);
    assert_eq!(two.now("select string_agg(item || '=' || n, ' ' order by item) from stock where item < 6"), "1=1 2=2 3=0 4=0 5=5");
}

#[test]
fn tables_that_came_together_go_together() {
    let two = Two::new(SHOP);
    two.now("truncate lines, orders");
    let tables = [("public", "lines"), ("public", "orders")];
    let (landed, _) = two.brings(&wanted(&tables, replace()));
    assert_eq!(landed[0].undo, landed[1].undo);
    two.now(landed[0].undo.as_deref().expect("a way back"));
    assert_eq!(two.now("select (select count(*) from lines) + (select count(*) from orders)"), "0");
}

#[test]
fn without_a_key_rows_are_counted_as_they_read() {
    let two = Two::new("create table plain (a int, b json); insert into plain select k % 3, '{}' from generate_series(1, 30) k");
    two.now("delete from plain where a = 1");
    let (landed, _) = two.brings(&wanted(&[("public", "plain")], replace()));
    let undo = landed[0].undo.clone().expect("a way back");
    let one = "ctid = (select min(ctid) from plain where a = 2)";
    for write in
        ["insert into plain values (2, '{}')", &format!("delete from plain where {one}"), &format!("update plain set a = 1 where {one}")]
    {
        let said = two.refuses_to_undo(write, &undo);
        assert!(said.contains(WRITTEN), "{write}: {said}");
    }
    two.now(&undo);
    assert_eq!(two.now("select count(*) from plain"), "20");
}
