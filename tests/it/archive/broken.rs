//! Whatever breaks off whenever: every row is in the table or in the archive, once.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::rig::{Ground, SUM};
use crate::faults::chance;

/// All rows, hot and cold.
fn union(ground: &Ground) -> String {
    ground.sql("drop table if exists orders_archived");
    ground.run.say(&["archive", "restore", "--table", "orders"]);
    let columns = "id, placed_at, customer, note, amount, ratio, raw, tags";
    let cold = ground.sql("select to_regclass('orders_archived') is not null");
    let cold = if cold == "t" { format!("union all select {columns} from orders_archived") } else { String::new() };
    ground.sql(&format!("{SUM} (select {columns} from orders {cold}) t"))
}

#[test]
fn killed_at_any_moment() {
    let ground = Ground::new();
    let columns = "id, placed_at, customer, note, amount, ratio, raw, tags";
    let whole = ground.sql(&format!("{SUM} (select {columns} from orders) t"));
    let mut lot = chance::lot("archive::killed");
    for _ in 0..chance::rounds(8, 200) {
        let mut child = ground.run.command(&["run", "old-orders"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
        thread::sleep(Duration::from_millis(lot.below(400) as u64));
        let policy = ground.run.file("policy.yaml");
        ground.run.rig.shell_as_root(&format!("pkill -KILL -f '^[^ ]*seawall run old-orders --policy {}' || true", policy.display()));
        child.wait().expect("its end");
        // What the server was told in its last moment it still does.
        ground
            .run
            .rig
            .cluster
            .wait_until("not exists (select from pg_stat_activity where application_name like 'seawall%' and pid <> pg_backend_pid())");
        assert_eq!(union(&ground), whole);
        // Half of the time somebody brings them back, so that there is always something to do.
        if lot.below(2) == 0 {
            ground.run.say(&["archive", "restore", "--table", "orders", "--into", "orders"]);
            assert_eq!(union(&ground), whole);
        }
    }
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "0");
    assert_eq!(union(&ground), whole);
}

#[test]
fn rows_that_change_while_they_move_stay() {
    let ground = Ground::new();
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    ground.archive();
    // Exported, read back, and then changed.
    let identity = ground.run.file("elsewhere.txt").display().to_string();
    ground.run.say(&["archive", "verify", "--identity", &identity]).ends_with_code(0);
    ground.sql("update orders set note = 'changed' where id = 700");
    ground.archive();
    assert_eq!(ground.sql("select note from orders where id = 700"), "changed");
    assert_eq!(ground.sql("select count(*) from orders"), "1500");
    ground.run.rig.shell("mv elsewhere.txt identity.txt");
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "0");
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0).says("1500 rows");
    assert_eq!(ground.sql("select note from orders_archived where id = 700"), "changed");
}

#[test]
fn rows_that_somebody_has_locked_stay_for_the_next_run() {
    let ground = Ground::new();
    let mut other = ground.run.rig.cluster.connect();
    other.run("begin; select from orders where id = 700 for update").expect("a lock");
    ground.archive().says("locked by somebody");
    assert_eq!(ground.sql("select count(*) from orders"), "1500");
    other.run("commit").expect("its end");
    // Exported and read back already: nothing is exported again.
    ground.archive();
    assert_eq!((ground.sql("select count(*) from orders"), ground.list().len()), ("0".into(), 1));
}

/// What is left of an export that was killed before it was committed.
#[test]
fn what_was_never_committed_goes_a_day_later() {
    let ground = Ground::new();
    ground.archive();
    ground.run.rig.shell(
        "cd store/try-*/archive; mkdir 20261121T020000Z-0000000a 20261121T020000Z-0000000b; \
         for left in *-0000000[ab]; do echo left > $left/rows.csv.zst.age; done; touch -d '2 days ago' *-0000000a/rows.csv.zst.age",
    );
    ground.verify().says("never completed");
    ground.archive();
    let left = ground.run.rig.shell("cd store/try-*/archive; ls -d *-0000000?/*");
    assert_eq!(left, "20261121T020000Z-0000000b/rows.csv.zst.age");
    ground.run.say(&["verify", "--deep"]).ends_with_code(0);
}

/// Without a record nothing leaves the table.
#[test]
fn nothing_leaves_that_cannot_be_recorded() {
    let ground = Ground::new();
    ground.archive();
    ground.run.say(&["archive", "restore", "--table", "orders", "--into", "orders"]).ends_with_code(0);
    ground.run.sql("create trigger full before insert on audit begin select raise(abort, 'no room'); end");
    ground.run.say(&["run", "old-orders"]).says("cannot be recorded");
    assert_eq!(
        (ground.sql("select count(*) from orders"), ground.sql("select count(*) from seawall.archived")),
        ("1500".into(), "0".into())
    );
    ground.run.sql("drop trigger full");
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "0");
}

#[test]
fn a_damaged_object_removes_nothing() {
    let ground = Ground::new();
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    ground.archive();
    ground.run.rig.shell("mv elsewhere.txt identity.txt");
    ground.run.rig.shell_as_root(
        "f=$(ls store/try-*/archive/*/rows.csv.zst.age); chmod u+w $f; printf damaged | dd of=$f bs=1 seek=4000 conv=notrunc 2>/dev/null",
    );
    ground.run.say(&["verify"]).ends_with_code(1).says("rows.csv.zst.age");
    // What is not of that extent moves on.
    ground.sql(
        "insert into orders (id, placed_at) values (0, '2018-01-01'), (1501, now() - interval '2 years' + interval '500 milliseconds')",
    );
    std::thread::sleep(std::time::Duration::from_secs(1));
    ground.run.say(&["run", "old-orders"]).ends_with_code(1).says("rows.csv.zst.age").says("exports its rows again");
    assert_eq!(ground.sql("select count(*), min(id), max(id) from orders"), "1501|0|1500");
    // The row from before its time came late: it waits with the extent's own.
    ground
        .run
        .rig
        .shell("mkdir aside; for json in store/try-*/archive/*.json; do grep -q '\"rows\": 1500' $json && mv $json* aside; done; true");
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "0");
    assert_eq!(ground.rows(&ground.list()), 1502);
}
