//! When only the archive has rows, nothing takes them from there, whatever else was lost.

use super::rig::{Ground, ORDERS, SUM};

const GRACE: &str = "expire: { grace: 1d }\narchive: { old-orders: { table: orders, column: placed_at, after: 2y, store: disk } }\n";

impl Ground {
    /// All extents and what lies below them, without the notes of when.
    fn objects(&self) -> String {
        self.run.rig.shell("cd store/try-*/archive; find . -name 'rows.*' | sort")
    }
}

/// Somebody followed a hint too far, or a bucket lost an object.
#[test]
fn a_descriptor_that_is_gone_takes_nothing_with_it() {
    let ground = Ground::new();
    ground.archive();
    let all = ground.objects();
    ground.run.rig.shell("mkdir aside; mv store/try-*/archive/*.json* aside; find store -type f -exec touch -d '2 days ago' {} +");
    let notes = [
        "true",
        // Each of the two notes, and at last the database's own record alone.
        "rm store/try-*/archive/*/removed.json",
        "rm store/try-*/archive/*/leaving.json",
    ];
    for lost in notes {
        ground.run.rig.shell_as_root(lost);
        ground.run.say(&["run", "old-orders"]).ends_with_code(1).says("only the archive has the rows").says("Put the descriptor");
        assert_eq!(ground.objects(), all, "{lost}");
    }
    // And where the database has no record of it either, it was read back once.
    ground.sql("delete from seawall.archived");
    ground.archive().says("somebody has read it back");
    assert_eq!(ground.objects(), all);
    ground.run.rig.shell("mv aside/* store/try-*/archive");
    ground.archive();
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0).says("1500 rows");
}

#[test]
fn a_look_at_the_store_misses_a_descriptor() {
    let ground = Ground::new();
    ground.archive();
    ground.verify();
    ground.run.rig.shell("mkdir aside; mv store/try-*/archive/*.json* aside");
    ground.run.say(&["verify"]).ends_with_code(1).says("only the archive has the rows of this extent");
    ground.run.rig.shell("mv aside/* store/try-*/archive");
    ground.verify();
}

/// From a dump without the schema `seawall`: then rows are written into the old stretch of time, and leave in their turn.
#[test]
fn a_database_made_anew_lets_go_of_nothing() {
    let ground = Ground::with(GRACE);
    ground.archive();
    ground.sql("drop schema seawall cascade");
    ground.archive().says("which is not on this database's record");
    ground.sql("insert into orders (id, placed_at, note) values (-1, '2019-03-01', 'backfilled')");
    for _ in 0..3 {
        ground.archive();
        assert_eq!(ground.files("expiring/archive").len(), 0);
        ground.two_days_later();
    }
    assert_eq!((ground.sql("select count(*) from orders"), ground.extents().len()), ("0".into(), 2));
    let back = ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0).says("1501 rows of 2 extents");
    assert!(!back.out.contains("left out"), "{}", back.out);
}

/// What came late has left as an extent of its own; the one before it is in the table again, and may go the way that it went before.
#[test]
fn what_left_later_does_not_stand_for_what_left_before() {
    let ground = Ground::with(GRACE);
    ground.archive();
    let all = ground.extents();
    ground.sql("insert into orders (id, placed_at) values (-1, '2019-03-01')");
    ground.archive();
    assert_eq!(ground.extents().len(), 2);
    ground
        .run
        .say(&["archive", "restore", "--table", "orders", "--into", "orders", "--to", "2019-02-01"])
        .ends_with_code(0)
        .says("1500 rows");
    ground.archive();
    // Taken out again as it was, and not exported anew.
    assert_eq!((ground.extents().len(), ground.files("expiring/archive").len()), (2, 0));
    assert!(ground.extents().contains(&all[0]));
    assert_eq!(ground.sql("select count(*) from orders"), "0");
}

/// They were exported and waited for somebody to read them back; the rest has left the table since.
#[test]
fn what_was_deleted_while_it_waited_lies_in_its_only_copy() {
    let ground = Ground::with(GRACE);
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    let identity = ground.run.file("elsewhere.txt").display().to_string();
    ground.archive();
    let first = ground.extents();
    ground.run.say(&["archive", "verify", "--identity", &identity]).ends_with_code(0);
    ground.sql("update orders set note = 'changed' where id = 700");
    ground.archive();
    assert_eq!(ground.extents().len(), 2);
    ground.sql("delete from orders where id % 5 = 0");
    ground.run.rig.shell("mv elsewhere.txt identity.txt");
    ground.archive();
    // What comes late, and as many as are missing, are others.
    ground.sql(
        "insert into orders (id, placed_at) select -i, timestamptz '2020-01-01' + i * interval '1 hour' from generate_series(1, 300) i",
    );
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "0");
    let list = ground.list();
    let mut rows: Vec<u64> = list.iter().map(|one| one["rows"].as_u64().expect("a number")).collect();
    rows.sort_unstable();
    assert_eq!(rows, [300, 1200, 1500, 1500]);
    assert!(list.iter().all(|one| one.get("superseded_by").is_none()), "{list:?}");
    for _ in 0..2 {
        ground.archive().says("may be the only copy of rows");
        assert_eq!((ground.files("expiring/archive").len(), ground.extents().len()), (0, 4));
        ground.two_days_later();
    }
    let back = ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0).says("1500 rows of 2 extents");
    back.says("with 1200 rows instead of 1500").says(&format!("`--extent {}` brings them all", first[0]));
    let one = ["archive", "restore", "--table", "orders", "--extent", &first[0], "--into", "beside"];
    ground.run.say(&one).ends_with_code(0).says("1500 rows");
}

/// Under the same name, with as many rows in the same stretch of time.
#[test]
fn a_table_made_anew_does_not_stand_for_the_one_before_it() {
    let ground = Ground::with(GRACE);
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    ground.archive();
    ground.sql(&format!("drop table orders; {ORDERS}; update orders set note = 'made anew'"));
    ground.run.rig.shell("mv elsewhere.txt identity.txt");
    ground.archive();
    assert_eq!((ground.sql("select count(*) from orders"), ground.extents().len()), ("0".into(), 2));
    for _ in 0..2 {
        ground.archive().says("may be the only copy of rows");
        assert_eq!((ground.files("expiring/archive").len(), ground.extents().len()), (0, 2));
        ground.two_days_later();
    }
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0).says("3000 rows of 2 extents");
    assert_eq!(ground.sql("select count(*) from orders_archived where note = 'made anew'"), "1500");
}

/// They were held when the others were exported, and do not stand for those of them that somebody has deleted.
#[test]
fn held_rows_do_not_stand_for_others() {
    let ground = Ground::with(&format!(
        "{GRACE}holds: {{ case: {{ reason: litigation, rows: {{ database: postgres, table: orders, where: customer = 3 }} }} }}\n"
    ));
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    let identity = ground.run.file("elsewhere.txt").display().to_string();
    for change in ["select 1", "update orders set note = 'changed' where id = 700", "delete from orders where customer = 2"] {
        ground.sql(change);
        ground.archive();
        ground.run.say(&["archive", "verify", "--identity", &identity]).ends_with_code(0);
    }
    assert_eq!(ground.extents().len(), 3);
    // The hold would keep all of the archive; that it ends must not let go what it had nothing to do with.
    ground.archive().says("may be the only copy of rows");
    ground.run.change("reason: litigation,", "reason: litigation, until: 2020-01-01,");
    for _ in 0..2 {
        ground.archive().says("may be the only copy of rows");
        assert_eq!(ground.files("expiring/archive").len(), 0);
    }
}

/// Read back by another host; then something happens to the objects before the rows leave.
fn read_back_elsewhere() -> (Ground, String) {
    let ground = Ground::new();
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    ground.archive();
    let identity = ground.run.file("elsewhere.txt").display().to_string();
    ground.run.say(&["archive", "verify", "--identity", &identity]).ends_with_code(0).says("1 extent read back");
    (ground, identity)
}

#[test]
fn rows_stay_whose_objects_are_not_there_any_more() {
    let (ground, _) = read_back_elsewhere();
    let object = "$(ls -d store/try-*/archive/*/rows.csv.zst.age)";
    for (harm, words) in
        [(format!("mv {object} aside"), "is gone from the store"), (format!("chmod u+w {object}; echo >> {object}"), "bytes instead of")]
    {
        let held = ground.run.rig.shell(&format!("ls {object}"));
        ground.run.rig.shell_as_root(&format!("cp -p {object} copy; {harm}"));
        ground.run.say(&["run", "old-orders"]).ends_with_code(1).says(words);
        assert_eq!(ground.sql("select count(*) from orders"), "1500");
        ground.run.rig.shell_as_root(&format!("cp -p copy {held}"));
    }
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "0");
}

#[test]
fn what_was_read_back_long_ago_is_compared_byte_by_byte() {
    let (ground, identity) = read_back_elsewhere();
    // As large as before, and not what it was.
    let object = "$(ls -d store/try-*/archive/*/rows.csv.zst.age)";
    let held = ground.run.rig.shell(&format!("ls {object}"));
    ground.run.rig.shell_as_root(&format!(
        "cp -p {object} copy; chmod u+w {object}; printf damaged | dd of={object} bs=1 seek=4000 conv=notrunc 2>/dev/null"
    ));
    ground.say_then("+8d", &["run", "old-orders"]).ends_with_code(1).says("rows.csv.zst.age").says("is not any more what was read back");
    assert_eq!(ground.sql("select count(*) from orders"), "1500");
    ground.run.say_at("+8d", &["archive", "verify", "--identity", &identity]).ends_with_code(1).says("rows.csv.zst.age");
    ground.run.rig.shell_as_root(&format!("cp -p copy {held}"));
    // Verified on the 2nd, and the job runs on the 1st: nobody has to read it back in between.
    ground.say_then("+30d", &["run", "old-orders"]).ends_with_code(0);
    assert_eq!(ground.sql("select count(*) from orders where placed_at < now() - interval '2 years'"), "0");
}

/// Exported, never taken out, and gone by somebody's own hand.
#[test]
fn what_went_by_another_way_comes_back() {
    let ground = Ground::new();
    let columns = "id, placed_at, customer, note, amount, ratio, raw, tags";
    let all = ground.sql(&format!("{SUM} (select {columns} from orders) t"));
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    ground.archive();
    ground.run.rig.shell("mv elsewhere.txt identity.txt");
    let restore = ["archive", "restore", "--table", "orders"];
    ground.run.say(&restore).ends_with_code(1).says("the table still has all of these rows");
    // Some of them: whether on purpose is not known here.
    ground.sql("delete from orders where id <= 700");
    let extent = ground.extents()[0].clone();
    ground.run.say(&restore).ends_with_code(1).says("has only 800 of the 1500 rows").says(&extent);
    ground.run.say(&[&restore[..], &["--extent", &extent]].concat()).ends_with_code(0).says("1500 rows of 1 extent");
    assert_eq!(ground.sql(&format!("{SUM} (select {columns} from orders_archived) t")), all);
    ground.sql("drop table orders_archived; delete from orders");
    ground.run.say(&[&restore[..], &["--into", "orders"]].concat()).ends_with_code(1).says("the table does not have its rows");
    ground.run.say(&restore).ends_with_code(0).says("1500 rows of 1 extent");
    assert_eq!(ground.sql(&format!("{SUM} (select {columns} from orders_archived) t")), all);
    // And with the table.
    ground.sql("drop table orders, orders_archived");
    ground.run.say(&restore).ends_with_code(0).says("1500 rows of 1 extent");
    ground.run.say(&[&restore[..], &["--extent", "20261121T020000Z-0000000a"]].concat()).ends_with_code(1).says("no such extent");
}

/// The notes in the store follow the record as well as they can; what a restore brings does not go by them.
#[test]
fn a_note_that_was_lost_hides_no_rows() {
    let ground = Ground::new();
    ground.archive();
    ground.sql("insert into orders (id, placed_at) values (-1, '2019-03-01')");
    ground.archive();
    ground.run.rig.shell_as_root("rm -f $(ls -d store/try-*/archive/*/removed.json store/try-*/archive/*/leaving.json | sort | head -2)");
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0).says("1501 rows of 2 extents");
}
